// The memory of runs over their time, looked at from outside: samples while they run, and what is
// left when a server has had its work.

#ifndef HAKMEM_TOOLS_HAKRUN_RUN_MEMORY_H_
#define HAKMEM_TOOLS_HAKRUN_RUN_MEMORY_H_

#include "tools/hakrun/run_records.h"

typedef struct memory_sampling {
  finished_run* runs;
  size_t count;
} memory_sampling;

// Adds a sample of each run's process to its samples. `context` is a memory_sampling.
void memory_take_samples(void* context);

// Waits, and notes what the run's process holds 1, 5 and 15 s from now.
void memory_watch_rest(finished_run* run);

// Adds the samples to what the workload wrote, unless it took samples itself.
void memory_add_samples(finished_run* run);

#endif  // HAKMEM_TOOLS_HAKRUN_RUN_MEMORY_H_
