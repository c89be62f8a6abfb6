// call_latency: how long single calls take, malloc and free apart, up to the rarest: what a program
// that must answer in time gets from an allocator, whose mean says nothing of it. The heap grows
// and shrinks in waves, so that all parts of an allocator have their turn: caches run over and run
// dry, slabs are begun and become empty, memory is taken from the system and given back.
//
// A wave grows until the peak, then shrinks to an eighth of it. Of its calls three in four go its
// way and one goes against it; a free is of a random block, so that the heap shrinks raggedly. All
// decisions follow from the seed alone.
//
// Each call is timed with the time-stamp counter (time_stamp.h), less the cost of an empty pair of
// readings. Histograms and tables are mapped and faulted in before the clock starts: timing neither
// allocates nor faults. What else the machine does meanwhile lies in the times too; the record has
// the involuntary context switches of the timed region beside them.

#include <stdlib.h>

#include "workloads/harness/harness.h"
#include "workloads/harness/rng.h"

enum {
  TROUGH_SHARE = 8,  // of the peak
  LEAST_LARGE_BYTES = 4 << 10,
  MOST_LARGE_BYTES = 64 << 10,
  WARMUP_PEAKS = 4,  // operations of the default warm-up over the peak: a wave and some more
};

// The histograms that were filled by one thread.
typedef struct latency_times {
  wl_histogram mallocs;
  wl_histogram frees;
} latency_times;

typedef struct latency_plan {
  uint64_t ops;            // of each thread
  uint64_t peak;           // blocks of each thread
  uint64_t large_percent;  // of the blocks
  latency_times* times;    // [threads]
  uint64_t waves;          // result: peaks that the first thread came to in the timed region
} latency_plan;

typedef struct latency_state {
  wl_rng rng;
  void** blocks;  // [peak]; those that are live stand first
  uint64_t count;
  bool is_growing;
  uint64_t waves;
} latency_state;

static size_t draw_size(const wl_run* run, const latency_plan* plan, uint64_t draw) {
  if (wl_high(draw, 100) < plan->large_percent) {
    return LEAST_LARGE_BYTES + wl_low(draw, MOST_LARGE_BYTES - LEAST_LARGE_BYTES + 1);
  }
  return run->min_bytes + wl_low(draw, run->max_bytes - run->min_bytes + 1);
}

static bool allocate(wl_worker* worker, latency_state* state, wl_histogram* mallocs) {
  const wl_run* run = worker->run;
  size_t size = draw_size(run, worker->shared, wl_next(&state->rng));
  uint64_t before = wl_tick();
  void* block = malloc(size);
  uint64_t after = wl_tick();
  if (block == NULL) {
    wl_fail(worker->run, "malloc(%zu) returned no memory", size);
    return false;
  }
  wl_count_ticks(run, mallocs, before, after);
  wl_touch_block(block, size, run->touch);
  state->blocks[state->count++] = block;
  worker->checksum += size;
  return true;
}

static void release(wl_worker* worker, latency_state* state, wl_histogram* frees, uint64_t index) {
  void* block = state->blocks[index];
  state->blocks[index] = state->blocks[--state->count];
  uint64_t before = wl_tick();
  free(block);
  uint64_t after = wl_tick();
  wl_count_ticks(worker->run, frees, before, after);
  worker->checksum += index << 32;
}

static void run_waves(wl_worker* worker, uint64_t ops) {
  const latency_plan* plan = worker->shared;
  latency_state* state = worker->state;
  latency_times* times = &plan->times[worker->index];
  const uint64_t trough = plan->peak / TROUGH_SHARE;
  for (uint64_t i = 0; i < ops; i++) {
    uint64_t draw = wl_next(&state->rng);
    bool goes_against = wl_high(draw, 4) == 0;
    bool is_malloc = state->is_growing != goes_against;
    if (state->count <= trough) is_malloc = true;
    if (state->count == plan->peak) is_malloc = false;
    if (is_malloc) {
      if (!allocate(worker, state, &times->mallocs)) return;
    } else {
      release(worker, state, &times->frees, wl_low(draw, state->count));
    }
    if (state->is_growing && state->count == plan->peak) {
      state->is_growing = false;
      state->waves++;
    } else if (!state->is_growing && state->count == trough) {
      state->is_growing = true;
    }
  }
  worker->ops += ops;
}

static void set_up(wl_worker* worker) {
  const latency_plan* plan = worker->shared;
  latency_state* state = wl_map(sizeof(*state));
  *state = (latency_state){
      .rng = wl_rng_make(worker->run->seed, worker->index),
      .blocks = wl_map(plan->peak * sizeof(void*)),
      .is_growing = true,
  };
  worker->state = state;
  run_waves(worker, worker->run->warmup);
  state->waves = 0;
  plan->times[worker->index] = (latency_times){0};
}

static void timed(wl_worker* worker) {
  latency_plan* plan = worker->shared;
  run_waves(worker, plan->ops);
  const latency_state* state = worker->state;
  if (worker->index == 0) plan->waves = state->waves;
}

static void tear_down(wl_worker* worker) {
  latency_state* state = worker->state;
  for (uint64_t i = 0; i < state->count; i++) free(state->blocks[i]);
}

static void report(wl_run* run, const latency_plan* plan) {
  latency_times* all = &plan->times[0];
  for (uint64_t i = 1; i < run->threads; i++) {
    wl_histogram_merge(&all->mallocs, &plan->times[i].mallocs);
    wl_histogram_merge(&all->frees, &plan->times[i].frees);
  }
  wl_add_u64(run, "peak_blocks", plan->peak);
  wl_add_u64(run, "large_percent", plan->large_percent);
  wl_add_u64(run, "waves", plan->waves);
  wl_add_percentiles(run, "malloc", &all->mallocs);
  wl_add_percentiles(run, "free", &all->frees);
  wl_report(run);
}

int main(int argc, char** argv) {
  wl_run run = wl_run_defaults();
  latency_plan plan = {.ops = 10000000, .peak = 100000, .large_percent = 1};
  const wl_option positionals[] = {
      {"OPS", WL_NUMBER, &plan.ops, NULL, 1, UINT64_MAX / WL_MAX_THREADS, "calls of each thread"},
      {"PEAK", WL_NUMBER, &plan.peak, NULL, TROUGH_SHARE, 1u << 30,
       "blocks of each thread when a wave turns; it turns again at an eighth"},
  };
  const wl_option options[] = {
      {"large", WL_NUMBER, &plan.large_percent, "PERCENT", 0, 100,
       "blocks of 4..64 KiB, whatever --min and --max say"},
  };
  const wl_program program = {
      .name = "call_latency",
      .about =
          "Times every call while the heap grows and shrinks in waves: percentiles of malloc and\n"
          "of free. The warm-up is four times the peak unless --warmup says otherwise.",
      .positionals = positionals,
      .positional_count = WL_COUNT(positionals),
      .options = options,
      .option_count = WL_COUNT(options),
      .features = WL_HAS_SEED | WL_HAS_THREADS | WL_HAS_SIZES | WL_HAS_TOUCH | WL_HAS_WARMUP,
  };
  run.latency = true;
  wl_begin(&run, &program, argc, argv);
  if (run.warmup == WL_UNSET) run.warmup = WARMUP_PEAKS * plan.peak;
  plan.times = wl_map(run.threads * sizeof(*plan.times));
  wl_run_workers(&run, &(wl_phases){set_up, timed, tear_down}, &plan);
  report(&run, &plan);
  return wl_end(&run);
}
