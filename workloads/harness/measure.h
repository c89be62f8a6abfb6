// What the kernel says about this process: clocks, processor time, page faults, context switches,
// resident memory.
// Files are read with open and read into buffers on the stack: measuring allocates nothing.

#ifndef HAKMEM_WORKLOADS_HARNESS_MEASURE_H_
#define HAKMEM_WORKLOADS_HARNESS_MEASURE_H_

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef struct wl_usage {
  uint64_t ns;  // CLOCK_MONOTONIC
  double user_s;
  double system_s;
  uint64_t minor_faults;
  uint64_t major_faults;
  uint64_t preemptions;  // involuntary context switches: a thread that could have gone on lost its
                         // processor to another
} wl_usage;

static inline uint64_t wl_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// All threads of the process, since it started.
void wl_usage_read(wl_usage* usage);

// end - begin.
wl_usage wl_usage_between(const wl_usage* begin, const wl_usage* end);

// Resident memory now, exact (the kernel walks the page tables: outside timed regions only). False
// when unknown.
bool wl_rss_bytes(uint64_t* bytes);

// The highest resident memory since wl_reset_peak_rss, or since the program started where the
// kernel cannot reset it (ru_maxrss would include whoever started it). False when unknown.
bool wl_peak_rss_bytes(uint64_t* bytes);
void wl_reset_peak_rss(void);

// Memory for the harness that does not come from malloc: zeroed, page aligned, faulted in (so that
// first touches of it are not part of a measurement). Prints a message and exits with 1 when there
// is none.
void* wl_map(uint64_t bytes);

// The same, but not faulted in: for tables whose size is only bounded, and that count as resident
// when they are used.
void* wl_reserve(uint64_t bytes);

// Keeps the first `used` bytes of what wl_reserve gave, which are now in use, and gives the rest
// back.
void wl_trim(void* memory, uint64_t reserved, uint64_t used);

// Gives back what wl_map gave.
void wl_unmap(void* memory, uint64_t bytes);

// Bytes of wl_map and wl_trim that are mapped now: the part of the resident memory that is not the
// allocator's.
uint64_t wl_harness_bytes(void);

#endif  // HAKMEM_WORKLOADS_HARNESS_MEASURE_H_
