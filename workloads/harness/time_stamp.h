// The time-stamp counter, fenced so that the call between two readings lies between them. For
// latency runs only: the fences cost more than a malloc.

#ifndef HAKMEM_WORKLOADS_HARNESS_TIME_STAMP_H_
#define HAKMEM_WORKLOADS_HARNESS_TIME_STAMP_H_

#include <stdint.h>

#include "workloads/harness/measure.h"

#if defined(__x86_64__)
#include <x86intrin.h>

static inline uint64_t wl_tick(void) {
  _mm_lfence();
  uint64_t ticks = __rdtsc();
  _mm_lfence();
  return ticks;
}
#elif defined(__aarch64__)
static inline uint64_t wl_tick(void) {
  uint64_t ticks;
  __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(ticks)::"memory");
  return ticks;
}
#else
static inline uint64_t wl_tick(void) { return wl_now_ns(); }
#endif

#endif  // HAKMEM_WORKLOADS_HARNESS_TIME_STAMP_H_
