// realloc_grow: objects that grow by realloc until they are as large as they were meant to be, then
// start anew: vectors by factors of 1.5 and 2, strings by appending a few bytes. Several grow at
// the same time, so that what lies behind a block is seldom free. What is grown is filled before it
// grows again, as a program would; so there is something to copy.

#include <math.h>
#include <stdlib.h>

#include "workloads/harness/harness.h"
#include "workloads/harness/pattern.h"
#include "workloads/harness/rng.h"

typedef enum growth { GROW_BY_HALF, GROW_BY_DOUBLE, GROW_BY_APPEND, GROW_MIXED } growth;

enum { START_BYTES = 16, APPEND_MIN = 8, APPEND_RANGE = 57 };

typedef struct grow_plan {
  uint64_t
      ops;  // calls of realloc of each worker; the free of a finished object is part of its last
  uint64_t objects;
  uint64_t max_bytes;
  unsigned growth;
} grow_plan;

typedef struct grow_object {
  void* block;  // NULL: about to start
  size_t size;
  size_t target;  // grows no further once it has reached this
  growth kind;
  uint64_t tag;
} grow_object;

typedef struct grow_state {
  wl_rng rng;
  grow_object* objects;
} grow_state;

// A new life for an object: target sizes are spread evenly over the powers of two from 64 bytes to
// the maximum.
static void begin_object(const grow_plan* plan, grow_object* object, uint64_t draw) {
  double doublings = log2((double)plan->max_bytes / 64);
  double part = (double)(draw >> 11) * 0x1p-53;
  *object = (grow_object){
      .target = (size_t)(64 * exp2(doublings * part)),
      .kind = plan->growth == GROW_MIXED ? (growth)(draw % GROW_MIXED) : (growth)plan->growth,
      .tag = draw,
  };
}

static size_t next_size(const grow_object* object, uint64_t draw) {
  if (object->block == NULL) return START_BYTES;
  switch (object->kind) {
    case GROW_BY_HALF:
      return object->size + object->size / 2;
    case GROW_BY_DOUBLE:
      return object->size * 2;
    default:
      return object->size + APPEND_MIN + wl_low(draw, APPEND_RANGE);
  }
}

static void fill(const wl_run* run, const grow_object* object, size_t old_size) {
  if (run->verify) {
    wl_pattern_write(object->block, object->size, object->tag);
  } else {
    wl_touch_block((char*)object->block + old_size, object->size - old_size, run->touch);
  }
}

static void grow(wl_worker* worker, grow_object* object, uint64_t draw) {
  const wl_run* run = worker->run;
  size_t old_size = object->size;
  size_t size = next_size(object, draw);
  uint64_t before = run->latency ? wl_tick() : 0;
  void* block = realloc(object->block, size);
  if (run->latency) wl_count_latency(worker, before, wl_tick());
  if (block == NULL) {
    wl_fail(worker->run, "realloc to %zu bytes returned no memory", size);
    return;
  }
  // Only the whole words of the old size: the pattern's last word may have been cut short.
  if (run->verify && !wl_pattern_holds(block, old_size & ~(size_t)7, object->tag)) {
    wl_fail(worker->run, "realloc from %zu to %zu bytes lost contents", old_size, size);
  }
  object->block = block;
  object->size = size;
  fill(run, object, old_size);
  worker->checksum += size * (draw | 1);
}

static void work(wl_worker* worker, uint64_t ops) {
  const grow_plan* plan = worker->shared;
  grow_state* state = worker->state;
  for (uint64_t i = 0; i < ops && !wl_has_failed(worker->run); i++) {
    uint64_t draw = wl_next(&state->rng);
    grow_object* object = &state->objects[wl_high(draw, plan->objects)];
    if (object->size >= object->target) {
      free(object->block);
      begin_object(plan, object, wl_next(&state->rng));
    }
    grow(worker, object, draw);
  }
}

static void set_up(wl_worker* worker) {
  const grow_plan* plan = worker->shared;
  grow_state* state = wl_map(sizeof(*state));
  state->rng = wl_rng_make(worker->run->seed, worker->index);
  state->objects = wl_map(plan->objects * sizeof(*state->objects));
  worker->state = state;
  for (uint64_t i = 0; i < plan->objects; i++) {
    begin_object(plan, &state->objects[i], wl_next(&state->rng));
  }
  work(worker, worker->run->warmup);
}

static void timed(wl_worker* worker) {
  const grow_plan* plan = worker->shared;
  work(worker, plan->ops);
  worker->ops = plan->ops;
}

static void tear_down(wl_worker* worker) {
  const grow_plan* plan = worker->shared;
  grow_state* state = worker->state;
  for (uint64_t i = 0; i < plan->objects; i++) free(state->objects[i].block);
}

int main(int argc, char** argv) {
  static const char* const kNames[] = {"1.5", "2", "append", "mixed"};
  wl_run run = wl_run_defaults();
  run.warmup = 20000;
  run.touch = WL_TOUCH_ALL;
  grow_plan plan = {.ops = 1000000, .objects = 64, .max_bytes = 64u << 10, .growth = GROW_MIXED};
  const wl_option positionals[] = {
      {"OPS", WL_NUMBER, &plan.ops, NULL, 1, UINT64_MAX / WL_MAX_THREADS,
       "calls of realloc of each thread"},
  };
  const wl_option options[] = {
      {"growth", WL_CHOICE, &plan.growth, "1.5|2|append|mixed", 0, 0,
       "how an object grows; mixed draws one for each life"},
      {"objects", WL_NUMBER, &plan.objects, "N", 1, 1u << 24, "objects that grow at the same time"},
      {"largest", WL_NUMBER, &plan.max_bytes, "BYTES", 128, 1u << 30,
       "the largest size that objects grow to"},
  };
  const wl_program program = {
      .name = "realloc_grow",
      .about = "Vectors and strings that grow by realloc.",
      .positionals = positionals,
      .positional_count = WL_COUNT(positionals),
      .options = options,
      .option_count = WL_COUNT(options),
      .features = WL_HAS_SEED | WL_HAS_THREADS | WL_HAS_TOUCH | WL_HAS_WARMUP | WL_HAS_VERIFY |
                  WL_HAS_LATENCY,
  };
  wl_begin(&run, &program, argc, argv);
  wl_run_workers(&run, &(wl_phases){set_up, timed, tear_down}, &plan);
  wl_add_text(&run, "growth", kNames[plan.growth]);
  wl_add_u64(&run, "objects", plan.objects);
  wl_add_u64(&run, "largest_bytes", plan.max_bytes);
  wl_report(&run);
  return wl_end(&run);
}
