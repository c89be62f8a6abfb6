// Allocation profiles: how often a program asks for each size and how many blocks of it are live. A
// file has one row a size, "size, rate, live": bytes, allocations in some unit of time (only ratios
// count), blocks live on average. Rows that start with # and empty rows are skipped.

#ifndef HAKMEM_WORKLOADS_PROFILE_H_
#define HAKMEM_WORKLOADS_PROFILE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WL_PROFILE_MAX_ROWS = 65536, WL_PROFILE_MESSAGE_BYTES = 512 };

typedef struct wl_profile_row {
  uint64_t size;  // 1 .. 2^32 - 1
  double rate;    // > 0
  double live;    // > 0
} wl_profile_row;

typedef struct wl_profile {
  const wl_profile_row* rows;
  size_t count;
} wl_profile;

// A made-up program with the shape that production profiles share: half of the allocations below 64
// bytes, one in a hundred above 8 KiB, most of the memory in few large blocks.
wl_profile wl_profile_builtin(void);

// Reads a file into mapped memory. Returns false with a message that names file and line. Rows
// whose rate or live number is 0 are left out: there is nothing to do for them.
bool wl_profile_read(const char* path, wl_profile* out, char message[WL_PROFILE_MESSAGE_BYTES]);

// Sum of size * live.
double wl_profile_live_bytes(const wl_profile* profile);

#endif  // HAKMEM_WORKLOADS_PROFILE_H_
