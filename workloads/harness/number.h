// Numbers as people type them: 8192, 1e7, 2.5e6, 64k, 0x2a. No allocation, no locale.

#ifndef HAKMEM_WORKLOADS_HARNESS_NUMBER_H_
#define HAKMEM_WORKLOADS_HARNESS_NUMBER_H_

#include <stdbool.h>
#include <stdint.h>

// Parses all of `text` into `*out`. Accepts decimal digits with an optional fraction, an exponent
// of ten (1e7) and one of the suffixes k, m, g (powers of 1024), or hexadecimal digits after 0x.
// The result must be a whole number that fits 64 bits. Returns false, and leaves `*out` unchanged,
// for anything else: empty text, signs, blanks, trailing letters.
bool wl_parse_number(const char* text, uint64_t* out);

#endif  // HAKMEM_WORKLOADS_HARNESS_NUMBER_H_
