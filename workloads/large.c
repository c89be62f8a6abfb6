// large: the stream of random_mixed with blocks of 5 to 25 MiB, all of each written: buffers of
// images, files and columns. An allocator that gives such blocks back at once pays for every page
// again.

#include "workloads/mixed_malloc.h"

int main(int argc, char** argv) {
  wl_run run = wl_run_defaults();
  mixed_plan plan = {.ops = 500, .working_set = 16};
  run.min_bytes = 5u << 20;
  run.max_bytes = 25u << 20;
  run.touch = WL_TOUCH_ALL;
  const wl_option positionals[] = {
      {"OPS", WL_NUMBER, &plan.ops, NULL, 1, UINT64_MAX / WL_MAX_THREADS,
       "operations of each thread"},
      {"SLOTS", WL_NUMBER, &plan.working_set, NULL, 1, 65536,
       "slots of each thread; about half of them hold a block"},
      {"SEED", WL_NUMBER, &run.seed, NULL, 0, UINT64_MAX, "seed of the random numbers"},
  };
  const wl_program program = {
      .name = "large",
      .about =
          "Allocates, writes and frees blocks of 5 to 25 MiB.\n"
          "The warm-up is twice the slots unless --warmup says otherwise.",
      .positionals = positionals,
      .positional_count = WL_COUNT(positionals),
      .features = WL_HAS_SEED | WL_HAS_THREADS | WL_HAS_SIZES | WL_HAS_TOUCH | WL_HAS_WARMUP |
                  WL_HAS_VERIFY | WL_HAS_LATENCY,
  };
  wl_begin(&run, &program, argc, argv);
  mixed_choose_warmup(&run, &plan);
  wl_run_workers(&run, &kMixedMalloc, &plan);
  wl_add_u64(&run, "working_set", plan.working_set);
  wl_report(&run);
  return wl_end(&run);
}
