// What --verify writes into a block and looks for before it frees it: words that depend on a tag
// and on their place, so that a block that overlaps another, was cleared or moved is noticed.

#ifndef HAKMEM_WORKLOADS_HARNESS_PATTERN_H_
#define HAKMEM_WORKLOADS_HARNESS_PATTERN_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t wl_pattern_word(uint64_t tag, size_t index) {
  return (tag + index) * 0x9e3779b97f4a7c15u | 1;
}

// The last word, of which only the bytes that fit are used.
static inline size_t wl_pattern_tail(size_t size) { return size & ~(size_t)7; }

static inline void wl_pattern_write(void* block, size_t size, uint64_t tag) {
  unsigned char* bytes = (unsigned char*)block;
  size_t tail = wl_pattern_tail(size);
  for (size_t at = 0; at < tail; at += 8) {
    uint64_t word = wl_pattern_word(tag, at / 8);
    memcpy(bytes + at, &word, 8);
  }
  uint64_t last = wl_pattern_word(tag, tail / 8);
  memcpy(bytes + tail, &last, size - tail);
}

static inline bool wl_pattern_holds(const void* block, size_t size, uint64_t tag) {
  const unsigned char* bytes = (const unsigned char*)block;
  size_t tail = wl_pattern_tail(size);
  uint64_t difference = 0;
  for (size_t at = 0; at < tail; at += 8) {
    uint64_t word;
    memcpy(&word, bytes + at, 8);
    difference |= word ^ wl_pattern_word(tag, at / 8);
  }
  uint64_t last = wl_pattern_word(tag, tail / 8);
  return difference == 0 && memcmp(bytes + tail, &last, size - tail) == 0;
}

#endif  // HAKMEM_WORKLOADS_HARNESS_PATTERN_H_
