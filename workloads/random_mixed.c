// random_mixed: the headline workload. One operation picks a slot of the working set at random and
// frees the block it holds, or allocates one of 16..1040 bytes and writes its first byte.

#include <stdlib.h>

#include "workloads/mixed.h"

static void set_up(wl_worker* worker) {
  mixed_make_state(worker);
  mixed_run(worker, worker->run->warmup, false, malloc, free);
}

static void timed(wl_worker* worker) { mixed_run_timed(worker, malloc, free); }

static void tear_down(wl_worker* worker) { mixed_finish(worker, free); }

static void check_legacy(wl_run* run) {
  if (run->min_bytes != MIXED_LEGACY_MIN_BYTES || run->max_bytes != 1040) {
    wl_reject(run, "--legacy-rng fixes the block sizes: --min and --max cannot be used with it");
  }
  if (run->seed + run->threads > UINT32_MAX || run->seed == 0) {
    wl_reject(run, "SEED: --legacy-rng needs a seed from 1 to 2^32 - 1 (less one for each thread)");
  }
  run->max_bytes = MIXED_LEGACY_MIN_BYTES + MIXED_LEGACY_SIZE_MASK;
}

int main(int argc, char** argv) {
  wl_run run = wl_run_defaults();
  mixed_plan plan = {.ops = 10000000, .working_set = 8192};
  const wl_option positionals[] = {
      {"OPS", WL_NUMBER, &plan.ops, NULL, 1, UINT64_MAX / WL_MAX_THREADS,
       "operations of each thread"},
      {"WORKING_SET", WL_NUMBER, &plan.working_set, NULL, 1, MIXED_MAX_WORKING_SET,
       "slots of each thread; about half of them hold a block"},
      {"SEED", WL_NUMBER, &run.seed, NULL, 0, UINT64_MAX, "seed of the random numbers"},
  };
  uint64_t sweep_to = 0;
  const wl_option options[] = {
      MIXED_SWEEP_OPTION(&sweep_to),
      {"legacy-rng", WL_FLAG, &plan.legacy, NULL, 0, 0,
       "slot and size from one xorshift32 word, as published figures used"},
  };
  const wl_program program = {
      .name = "random_mixed",
      .about =
          "Picks slots at random: frees the block in a full slot, allocates one for an empty "
          "slot.\nThe warm-up is twice the working set unless --warmup says otherwise.",
      .positionals = positionals,
      .positional_count = WL_COUNT(positionals),
      .options = options,
      .option_count = WL_COUNT(options),
      .features = WL_HAS_SLICES | WL_HAS_SEED | WL_HAS_THREADS | WL_HAS_SIZES | WL_HAS_TOUCH |
                  WL_HAS_WARMUP | WL_HAS_VERIFY | WL_HAS_LATENCY,
  };
  wl_begin(&run, &program, argc, argv);
  if (plan.legacy) check_legacy(&run);
  return mixed_measure(&run, &plan, sweep_to, &(wl_phases){set_up, timed, tear_down}, "rng",
                       plan.legacy ? "legacy" : "independent");
}
