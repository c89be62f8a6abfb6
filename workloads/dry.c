// dry: the stream of random_mixed without an allocator, as the limit that others are measured
// against. With `void` a malloc is a constant pointer and a free is nothing: what remains is the
// loop itself. With `list` they are the ideal allocator: an array stack of ready-made blocks of the
// largest size, one load and one store a call.

#include <stdlib.h>

#include "workloads/mixed.h"

enum { LIMIT_VOID, LIMIT_LIST };

// The stack of free blocks; its entries are blocks that no slot holds. One thread.
static void** stack;
static uint64_t depth;

static char* dummy;

static inline void* void_allocate(size_t size) {
  (void)size;
  return dummy;
}
static inline void void_release(void* block) { __asm__ volatile("" : : "r"(block)); }

// pre: depth > 0; holds because there are as many blocks as slots.
static inline void* list_allocate(size_t size) {
  (void)size;
  return stack[--depth];
}
static inline void list_release(void* block) { stack[depth++] = block; }

// One block for every slot, each as large as the largest request, 16-byte aligned.
static void make_list(const wl_run* run, uint64_t count) {
  uint64_t block_bytes = (run->max_bytes + 15) & ~15ull;
  char* blocks = wl_map(count * block_bytes);
  stack = wl_map(count * sizeof(*stack));
  for (uint64_t i = 0; i < count; i++) stack[count - 1 - i] = blocks + i * block_bytes;
  depth = count;
}

static void void_set_up(wl_worker* worker) {
  dummy = wl_map(worker->run->max_bytes);
  mixed_make_state(worker);
  mixed_run(worker, worker->run->warmup, false, void_allocate, void_release);
}

static void void_timed(wl_worker* worker) { mixed_run_timed(worker, void_allocate, void_release); }

static void void_tear_down(wl_worker* worker) { mixed_finish(worker, void_release); }

static void list_set_up(wl_worker* worker) {
  const mixed_plan* plan = worker->shared;
  make_list(worker->run, plan->working_set);
  mixed_make_state(worker);
  mixed_run(worker, worker->run->warmup, false, list_allocate, list_release);
}

static void list_timed(wl_worker* worker) { mixed_run_timed(worker, list_allocate, list_release); }

static void list_tear_down(wl_worker* worker) { mixed_finish(worker, list_release); }

int main(int argc, char** argv) {
  static const char* const kNames[] = {"void", "list"};
  wl_run run = wl_run_defaults();
  mixed_plan plan = {.ops = 10000000, .working_set = 8192};
  unsigned limit = LIMIT_VOID;
  const wl_option positionals[] = {
      {"OPS", WL_NUMBER, &plan.ops, NULL, 1, UINT64_MAX / 2, "operations"},
      {"WORKING_SET", WL_NUMBER, &plan.working_set, NULL, 1, MIXED_MAX_WORKING_SET, "slots"},
      {"SEED", WL_NUMBER, &run.seed, NULL, 0, UINT64_MAX, "seed of the random numbers"},
  };
  uint64_t sweep_to = 0;
  const wl_option options[] = {
      MIXED_SWEEP_OPTION(&sweep_to),
      {"limit", WL_CHOICE, &limit, "void|list", 0, 0, "what stands in for the allocator"},
  };
  const wl_program program = {
      .name = "dry",
      .about =
          "The stream of random_mixed with no allocator (void) or an ideal one (list): the "
          "physical limit.\nNothing here calls malloc; the record's allocator is \"none\".",
      .positionals = positionals,
      .positional_count = WL_COUNT(positionals),
      .options = options,
      .option_count = WL_COUNT(options),
      .features = WL_HAS_SLICES | WL_HAS_SEED | WL_HAS_SIZES | WL_HAS_TOUCH | WL_HAS_WARMUP,
  };
  wl_begin(&run, &program, argc, argv);
  if (run.expected_allocator != NULL) {
    wl_reject(&run, "--expect-allocator: no allocator serves this workload");
  }
  run.allocator = (wl_identity){.name = "none"};
  const wl_phases phases[] = {{void_set_up, void_timed, void_tear_down},
                              {list_set_up, list_timed, list_tear_down}};
  return mixed_measure(&run, &plan, sweep_to, &phases[limit], "limit", kNames[limit]);
}
