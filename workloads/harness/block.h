// The life of a block in most workloads: malloc, a first use, free; with each call timed in a
// latency run, and a pattern written and checked with --verify.

#ifndef HAKMEM_WORKLOADS_HARNESS_BLOCK_H_
#define HAKMEM_WORKLOADS_HARNESS_BLOCK_H_

#include <stdlib.h>

#include "workloads/harness/harness.h"
#include "workloads/harness/pattern.h"

// NULL, and the run has failed, when there is no memory.
static inline void* wl_malloc(wl_worker* worker, size_t size) {
  const bool latency = worker->run->latency;
  uint64_t before = latency ? wl_tick() : 0;
  void* block = malloc(size);
  if (latency) wl_count_latency(worker, before, wl_tick());
  if (__builtin_expect(block == NULL, 0)) {
    wl_fail(worker->run, "malloc(%zu) returned no memory", size);
  }
  return block;
}

static inline void wl_free(wl_worker* worker, void* block) {
  const bool latency = worker->run->latency;
  uint64_t before = latency ? wl_tick() : 0;
  free(block);
  if (latency) wl_count_latency(worker, before, wl_tick());
}

// `tag` tells blocks of the same size apart. NULL as wl_malloc.
static inline void* wl_make_block(wl_worker* worker, size_t size, uint64_t tag) {
  const wl_run* run = worker->run;
  void* block = wl_malloc(worker, size);
  if (block == NULL) return NULL;
  if (run->verify) {
    wl_pattern_write(block, size, tag);
  } else {
    wl_touch_block(block, size, run->touch);
  }
  return block;
}

// Size and tag as the block was made with.
static inline void wl_drop_block(wl_worker* worker, void* block, size_t size, uint64_t tag) {
  if (worker->run->verify && !wl_pattern_holds(block, size, tag)) {
    wl_fail(worker->run, "a block of %zu bytes at %p lost its contents", size, block);
  }
  wl_free(worker, block);
}

#endif  // HAKMEM_WORKLOADS_HARNESS_BLOCK_H_
