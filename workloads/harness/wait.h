// Waiting for another thread without malloc and, as long as the wait is short, without the kernel:
// system calls of the harness would show up as kernel time of the allocator.

#ifndef HAKMEM_WORKLOADS_HARNESS_WAIT_H_
#define HAKMEM_WORKLOADS_HARNESS_WAIT_H_

#include <time.h>

enum {
  WL_SPINS = 2000,           // about 50 microseconds of pause instructions
  WL_SLEEP_NS = 50 * 1000L,  // after that
};

typedef struct wl_waiter {
  unsigned spins;
} wl_waiter;

// One step of a wait that started with a zeroed waiter.
static inline void wl_wait_step(wl_waiter* waiter) {
  if (waiter->spins++ < WL_SPINS) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
    return;
  }
  nanosleep(&(struct timespec){.tv_nsec = WL_SLEEP_NS}, NULL);
}

#endif  // HAKMEM_WORKLOADS_HARNESS_WAIT_H_
