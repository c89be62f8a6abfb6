// ws_sweep: random_mixed over working sets from 2^FROM to 2^TO slots, one record each, so that the
// cliffs of caches and TLB show. Small sets come first: the heap only grows.

#include <inttypes.h>

#include "workloads/mixed_malloc.h"

int main(int argc, char** argv) {
  wl_run run = wl_run_defaults();
  mixed_plan plan = {.ops = 2000000};
  uint64_t from = 4;
  uint64_t to = 22;
  const wl_option positionals[] = {
      {"OPS", WL_NUMBER, &plan.ops, NULL, 1, UINT64_MAX / WL_MAX_THREADS,
       "operations of each thread for each working set"},
      {"FROM", WL_NUMBER, &from, NULL, 0, 30, "smallest working set, as a power of two"},
      {"TO", WL_NUMBER, &to, NULL, 0, 30, "largest working set, as a power of two"},
  };
  const wl_program program = {
      .name = "ws_sweep",
      .about =
          "random_mixed over working sets of 2^FROM to 2^TO slots, one record each.\n"
          "2^22 slots hold about 1.1 GiB. The warm-up is twice the working set unless "
          "--warmup says otherwise.",
      .positionals = positionals,
      .positional_count = WL_COUNT(positionals),
      .features = WL_HAS_SLICES | WL_HAS_SEED | WL_HAS_THREADS | WL_HAS_SIZES | WL_HAS_TOUCH |
                  WL_HAS_WARMUP | WL_HAS_VERIFY,
  };
  wl_begin(&run, &program, argc, argv);
  if (from > to) wl_reject(&run, "FROM: %" PRIu64 " is above TO %" PRIu64, from, to);
  const uint64_t warmup = run.warmup;
  for (uint64_t power = from; power <= to && !wl_has_failed(&run); power++) {
    plan.working_set = 1ull << power;
    run.warmup = warmup;
    mixed_choose_warmup(&run, &plan);
    wl_run_workers(&run, &kMixedMalloc, &plan);
    wl_add_u64(&run, "working_set", plan.working_set);
    wl_report_row(&run, "slots", plan.working_set, power == from);
  }
  return wl_end(&run);
}
