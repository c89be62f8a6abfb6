// Numbers as people read them, in at most 23 characters whatever the value.
//
// All figures are doubles on their way to the eye: three digits are shown, which a double holds for
// any counter. NAN is a figure that is not known, and is shown as "-", never as 0.

#ifndef HAKMEM_TOOLS_HAKTOP_FORMAT_H_
#define HAKMEM_TOOLS_HAKTOP_FORMAT_H_

#include <stdint.h>

typedef struct ht_number {
  char text[24];
} ht_number;

typedef ht_number ht_format(double value);

ht_number ht_format_count(double value);    // 7, 0.25, 12345, 1.23M
ht_number ht_format_bytes(double bytes);    // 512 B, 1.50 MiB
ht_number ht_format_duration(double ns);    // 1.23 us, 45.6 ms, 7.00 s
ht_number ht_format_percent(double share);  // of 1: 12.3%
ht_number ht_format_clock(double seconds);  // 0:07, 1:02:03

// A counter or gauge of the page: NAN for HAK_UNKNOWN.
double ht_known(uint64_t value);

#endif  // HAKMEM_TOOLS_HAKTOP_FORMAT_H_
