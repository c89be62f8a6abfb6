// Bit operations on words and on masks of pages. Pure functions.

#ifndef HAKMEM_BITS_H_
#define HAKMEM_BITS_H_

#include "hakmem/base/base.h"

// pre: x != 0, for the three that look for a bit.
static inline unsigned hak_lowest_bit(uint64_t x) { return (unsigned)__builtin_ctzll(x); }
static inline unsigned hak_highest_bit(uint64_t x) { return 63u - (unsigned)__builtin_clzll(x); }
static inline unsigned hak_bit_count(uint64_t x) { return (unsigned)__builtin_popcountll(x); }

// The lowest power of two that is at least x; so 1 for 0. pre: x <= 2^63.
static inline uint64_t hak_power_of_two_from(uint64_t x) {
  return x <= 1 ? 1 : UINT64_C(2) << hak_highest_bit(x - 1);
}

// A mask of `count` ones from bit `first` on; first + count <= 64.
static inline uint64_t hak_bit_run(unsigned first, unsigned count) {
  if (count == 0) return 0;
  return (~UINT64_C(0) >> (64 - count)) << first;
}

// The `count` lowest set bits of x (all of them when it has no more).
static inline uint64_t hak_lowest_bits(uint64_t x, unsigned count) {
  if (hak_bit_count(x) <= count) return x;
  uint64_t taken = 0;
  for (; count != 0; count--) {
    uint64_t bit = x & (~x + 1);
    taken |= bit;
    x ^= bit;
  }
  return taken;
}

// The lowest run of ones in x. pre: x != 0.
static inline uint64_t hak_lowest_run(uint64_t x) {
  unsigned first = hak_lowest_bit(x);
  uint64_t above = ~(x >> first);
  return hak_bit_run(first, above == 0 ? 64 : hak_lowest_bit(above));
}

// Bit i of the result is set when bits i .. i + count - 1 of x are. count >= 1.
// Doubling the known run length takes log2(count) steps (Warren, Hacker's Delight, 6-3).
static inline uint64_t hak_run_starts(uint64_t x, unsigned count) {
  unsigned known = 1;
  while (known < count && x != 0) {
    unsigned step = known < count - known ? known : count - known;
    x &= x >> step;
    known += step;
  }
  return x;
}

// The length of the longest run of ones in x.
static inline unsigned hak_longest_run(uint64_t x) {
  unsigned length = 0;
  for (; x != 0; x &= x >> 1) length++;
  return length;
}

// Spreads what differs in x over all bits: the last step of SplitMix64 (Steele, Lea and Flood,
// "Fast Splittable Pseudorandom Number Generators", 2014).
static inline uint64_t hak_mix(uint64_t x) {
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

#endif  // HAKMEM_BITS_H_
