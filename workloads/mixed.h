// The stream of operations behind random_mixed and dry: pick a slot; if it holds a block
// free it, else allocate one. It is a template: the allocation functions are constants of each
// caller, so that they are called directly (or inlined, for a program that has none), and each
// combination of options has a loop of its own without tests of options in it.

#ifndef HAKMEM_WORKLOADS_MIXED_H_
#define HAKMEM_WORKLOADS_MIXED_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workloads/harness/harness.h"
#include "workloads/harness/pattern.h"
#include "workloads/harness/rng.h"

#define MIXED_INLINE static inline __attribute__((always_inline))

enum {
  MIXED_MAX_WORKING_SET = 1 << 30,
  // The sizes of the stream that --legacy-rng keeps.
  MIXED_LEGACY_MIN_BYTES = 16,
  MIXED_LEGACY_SIZE_MASK = 0x3ff,
};

typedef struct mixed_plan {
  uint64_t ops;          // of each worker
  uint64_t working_set;  // slots of each worker; in the steady state half of them hold a block
  bool legacy;           // slot and size from one 32-bit word, as published figures used
} mixed_plan;

// What one worker works on. A slot is NULL or a live block; tags[slot] is then the draw that made
// it, from which its size and pattern follow (kept only with --verify).
typedef struct mixed_state {
  void** slots;
  uint64_t* tags;
  wl_rng rng;
  uint32_t legacy_word;
  uint64_t checksum;
} mixed_state;

typedef void* (*mixed_allocate)(size_t size);
typedef void (*mixed_release)(void* block);

MIXED_INLINE uint64_t mixed_draw(mixed_state* state, bool legacy) {
  if (!legacy) return wl_next(&state->rng);
  uint32_t word = state->legacy_word;
  word ^= word << 13;
  word ^= word >> 17;
  word ^= word << 5;
  return state->legacy_word = word;
}

MIXED_INLINE size_t mixed_slot(uint64_t draw, uint64_t working_set, bool legacy) {
  return legacy ? (uint32_t)draw % (uint32_t)working_set : wl_high(draw, working_set);
}

MIXED_INLINE size_t mixed_size(uint64_t draw, uint64_t min, uint64_t range, bool legacy) {
  return legacy ? MIXED_LEGACY_MIN_BYTES + (draw & MIXED_LEGACY_SIZE_MASK)
                : min + wl_low(draw, range);
}

MIXED_INLINE void mixed_fail_out_of_memory(wl_worker* worker, size_t size, uint64_t operation) {
  wl_fail(worker->run, "malloc(%zu) returned no memory at operation %llu of thread %u", size,
          (unsigned long long)operation, worker->index);
}

MIXED_INLINE void mixed_check(wl_worker* worker, const void* block, size_t size, uint64_t tag) {
  if (!wl_pattern_holds(block, size, tag)) {
    wl_fail(worker->run, "a block of %zu bytes at %p lost its contents", size, block);
  }
}

// What is done with a fresh block.
MIXED_INLINE void mixed_use(wl_worker* worker, void* block, size_t size, uint64_t tag,
                            unsigned touch, bool verify) {
  if (!verify) {
    wl_touch_block(block, size, touch);
    return;
  }
  if (size >= 16 && (uintptr_t)block % 16 != 0) {
    wl_fail(worker->run, "malloc(%zu) returned %p: not aligned to 16", size, block);
  }
  wl_pattern_write(block, size, tag);
}

MIXED_INLINE void mixed_loop(wl_worker* worker, uint64_t ops, bool legacy, unsigned touch,
                             bool verify, bool latency, mixed_allocate allocate,
                             mixed_release release) {
  const mixed_plan* plan = worker->shared;
  const uint64_t working_set = plan->working_set;
  const uint64_t min = worker->run->min_bytes;
  const uint64_t range = worker->run->max_bytes - min + 1;
  mixed_state* home = worker->state;
  mixed_state state = *home;
  for (uint64_t i = 0; i < ops; i++) {
    uint64_t draw = mixed_draw(&state, legacy);
    size_t slot = mixed_slot(draw, working_set, legacy);
    void* block = state.slots[slot];
    if (block != NULL) {
      if (verify) {
        uint64_t tag = state.tags[slot];
        mixed_check(worker, block, mixed_size(tag, min, range, legacy), tag);
      }
      uint64_t before = latency ? wl_tick() : 0;
      release(block);
      if (latency) wl_count_latency(worker, before, wl_tick());
      state.slots[slot] = NULL;
      continue;
    }
    size_t size = mixed_size(draw, min, range, legacy);
    uint64_t before = latency ? wl_tick() : 0;
    block = allocate(size);
    if (latency) wl_count_latency(worker, before, wl_tick());
    if (__builtin_expect(block == NULL, 0)) {
      mixed_fail_out_of_memory(worker, size, i);
      break;
    }
    mixed_use(worker, block, size, draw, touch, verify);
    if (verify) state.tags[slot] = draw;
    state.slots[slot] = block;
    state.checksum += draw;
  }
  *home = state;
}

// Runs `ops` operations, timing single calls only where that is asked for.
MIXED_INLINE void mixed_run_stream(wl_worker* worker, uint64_t ops, bool legacy, bool latency,
                                   mixed_allocate allocate, mixed_release release) {
  unsigned touch = worker->run->touch;
  if (worker->run->verify) {
    mixed_loop(worker, ops, legacy, WL_TOUCH_NONE, true, false, allocate, release);
  } else if (latency) {
    mixed_loop(worker, ops, legacy, touch, false, true, allocate, release);
  } else if (touch == WL_TOUCH_NONE) {
    mixed_loop(worker, ops, legacy, WL_TOUCH_NONE, false, false, allocate, release);
  } else if (touch == WL_TOUCH_FIRST) {
    mixed_loop(worker, ops, legacy, WL_TOUCH_FIRST, false, false, allocate, release);
  } else {
    mixed_loop(worker, ops, legacy, WL_TOUCH_ALL, false, false, allocate, release);
  }
}

MIXED_INLINE void mixed_run(wl_worker* worker, uint64_t ops, bool latency, mixed_allocate allocate,
                            mixed_release release) {
  const mixed_plan* plan = worker->shared;
  if (plan->legacy) {
    mixed_run_stream(worker, ops, true, latency, allocate, release);
  } else {
    mixed_run_stream(worker, ops, false, latency, allocate, release);
  }
}

// The timed region, in slices where it is long enough; what is left over comes last.
MIXED_INLINE void mixed_run_timed(wl_worker* worker, mixed_allocate allocate,
                                  mixed_release release) {
  const uint64_t ops = ((const mixed_plan*)worker->shared)->ops;
  const uint64_t slice_ops = wl_slice_ops(worker, ops);
  if (slice_ops > 0) wl_end_slice(worker);
  for (uint64_t done = 0, part; done < ops && !wl_has_failed(worker->run); done += part) {
    bool is_slice = slice_ops > 0 && ops - done >= slice_ops;
    part = is_slice ? slice_ops : ops - done;
    mixed_run(worker, part, worker->run->latency, allocate, release);
    if (is_slice) wl_end_slice(worker);
  }
  worker->ops = ops;
}

// Measures with the plan's working set and, up to `sweep_to`, with each twice as large; small sets
// come first, for the heap only grows. A record each; `key` and `value` stand in all of them. A
// warm-up of twice the working set fills the slots to within 2 % of their steady state.
static inline int mixed_measure(wl_run* run, mixed_plan* plan, uint64_t sweep_to,
                                const wl_phases* phases, const char* key, const char* value) {
  const uint64_t warmup = run->warmup;
  const uint64_t first = plan->working_set;
  if (sweep_to != 0 && run->latency) wl_reject(run, "--sweep-to and --latency exclude each other");
  if (sweep_to != 0 && sweep_to < first) wl_reject(run, "--sweep-to is below WORKING_SET");
  do {
    run->warmup = warmup == WL_UNSET ? 2 * plan->working_set : warmup;
    wl_run_workers(run, phases, plan);
    wl_add_u64(run, "working_set", plan->working_set);
    wl_add_text(run, key, value);
    if (sweep_to == 0) wl_report(run);
    if (sweep_to != 0) {
      wl_report_row(run, "slots", plan->working_set, plan->working_set == first);
    }
    plan->working_set *= 2;
  } while (plan->working_set <= sweep_to && !wl_has_failed(run));
  return wl_end(run);
}

#define MIXED_SWEEP_OPTION(target)                                                       \
  {                                                                                      \
    "sweep-to", WL_NUMBER, target, "SLOTS", 0, MIXED_MAX_WORKING_SET,                    \
        "twice the working set again and again, up to this: a record each (0: no sweep)" \
  }

// The worker's tables, from memory that is not malloc's.
static inline void mixed_make_state(wl_worker* worker) {
  const mixed_plan* plan = worker->shared;
  mixed_state* state = wl_map(sizeof(*state));
  state->slots = wl_map(plan->working_set * sizeof(*state->slots));
  if (worker->run->verify) state->tags = wl_map(plan->working_set * sizeof(*state->tags));
  state->rng = wl_rng_make(worker->run->seed, worker->index);
  state->legacy_word = (uint32_t)worker->run->seed + worker->index;
  worker->state = state;
}

// Frees what is still live, checking it where --verify asks; the checksum also counts the blocks
// that were left.
MIXED_INLINE void mixed_finish(wl_worker* worker, mixed_release release) {
  const mixed_plan* plan = worker->shared;
  mixed_state* state = worker->state;
  const uint64_t min = worker->run->min_bytes;
  const uint64_t range = worker->run->max_bytes - min + 1;
  uint64_t live = 0;
  for (uint64_t slot = 0; slot < plan->working_set; slot++) {
    if (state->slots[slot] == NULL) continue;
    if (worker->run->verify) {
      uint64_t tag = state->tags[slot];
      mixed_check(worker, state->slots[slot], mixed_size(tag, min, range, plan->legacy), tag);
    }
    release(state->slots[slot]);
    live++;
  }
  worker->checksum = wl_fold(state->checksum + live, 0xd1342543de82ef95u);
}

#endif  // HAKMEM_WORKLOADS_MIXED_H_
