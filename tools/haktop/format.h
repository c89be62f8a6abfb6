// Numbers as people read them, in at most HT_NUMBER_BYTES - 1 characters whatever the value.
//
// All figures are doubles on their way to the eye: three digits are shown, which a double holds for
// any counter. NAN is a figure that is not known, and is shown as "-", never as 0.

#ifndef HAKMEM_TOOLS_HAKTOP_FORMAT_H_
#define HAKMEM_TOOLS_HAKTOP_FORMAT_H_

#include <stddef.h>
#include <stdint.h>

enum { HT_NUMBER_BYTES = 24 };

// The text is written to `out`, which is returned.
typedef char* ht_format(char out[HT_NUMBER_BYTES], double value);

char* ht_format_count(char out[HT_NUMBER_BYTES], double value);    // 7, 0.25, 12345, 1.23M
char* ht_format_bytes(char out[HT_NUMBER_BYTES], double bytes);    // 512 B, 1.50 MiB
char* ht_format_duration(char out[HT_NUMBER_BYTES], double ns);    // 1.23 us, 45.6 ms, 7.00 s
char* ht_format_percent(char out[HT_NUMBER_BYTES], double share);  // of 1: 12.3%
char* ht_format_clock(char out[HT_NUMBER_BYTES], double seconds);  // 0:07, 1:02:03

// A counter or gauge of the page: NAN for HAK_UNKNOWN.
double ht_known(uint64_t value);

#endif  // HAKMEM_TOOLS_HAKTOP_FORMAT_H_
