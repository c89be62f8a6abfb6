// Random numbers for workloads: one addition, one multiplication and two exclusive ors for 64 bits,
// all inline, so that a loop around them measures the allocator. The state is a counter, so that
// draws do not wait for one another.
//
// A draw is split into disjoint bit ranges (wl_high, wl_low), each scaled to its own range by
// multiply and shift: what is chosen from one half says nothing about what is chosen from the
// other.

#ifndef HAKMEM_WORKLOADS_HARNESS_RNG_H_
#define HAKMEM_WORKLOADS_HARNESS_RNG_H_

#include <stdint.h>

typedef struct wl_rng {
  uint64_t counter;
} wl_rng;

static inline uint64_t wl_fold(uint64_t a, uint64_t b) {
  unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

// A stream of its own for each (seed, stream) pair: threads of one run use stream 0, 1, 2 ...
static inline wl_rng wl_rng_make(uint64_t seed, uint64_t stream) {
  uint64_t mixed = wl_fold(seed ^ 0x9e3779b97f4a7c15u, 0xd1342543de82ef95u);
  return (wl_rng){wl_fold(mixed + stream + 1, 0x9fb21c651e98df25u) ^ seed};
}

static inline uint64_t wl_next(wl_rng* rng) {
  rng->counter += 0xa0761d6478bd642fu;
  return wl_fold(rng->counter, rng->counter ^ 0xe7037ed1a0b428dbu);
}

// A number in [0, range) from the upper or the lower half of a draw. pre: range <= 2^32. The bias
// is below range / 2^32.
static inline uint64_t wl_high(uint64_t draw, uint64_t range) { return (draw >> 32) * range >> 32; }
static inline uint64_t wl_low(uint64_t draw, uint64_t range) {
  return (draw & 0xffffffffu) * range >> 32;
}

#endif  // HAKMEM_WORKLOADS_HARNESS_RNG_H_
