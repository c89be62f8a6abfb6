// Numbers that cannot be foretold from outside of the process. They are no secret to who can read
// its memory.

#ifndef HAKMEM_RANDOM_H_
#define HAKMEM_RANDOM_H_

#include <string.h>
#include <sys/auxv.h>

#include "hakmem/base/base.h"
#include "hakmem/base/bits.h"

// A number of the process's own, always the same, from what the kernel gave it at its start: that
// takes no system call, for which a sandbox might kill. (libc makes its own secrets of the same
// bytes. They cannot be had from this.)
static inline uint64_t hak_random_of_process(void) {
  uint64_t given[2] = {0, (uintptr_t)&given};
  const void* bytes = (const void*)getauxval(AT_RANDOM);
  if (bytes != NULL) memcpy(given, bytes, sizeof given);
  return hak_mix(hak_mix(given[0]) + given[1]);
}

// The next number below `below`, which must not be 0. By who holds the state's lock.
static inline uint32_t hak_random_below(uint64_t* state, uint32_t below) {
  *state += UINT64_C(0x9e3779b97f4a7c15);
  return (uint32_t)((hak_mix(*state) >> 32) * below >> 32);
}

#endif  // HAKMEM_RANDOM_H_
