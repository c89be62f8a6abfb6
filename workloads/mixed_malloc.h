// The stream of mixed.h over the process's malloc and free: what random_mixed, ws_sweep and large
// run.

#ifndef HAKMEM_WORKLOADS_MIXED_MALLOC_H_
#define HAKMEM_WORKLOADS_MIXED_MALLOC_H_

#include "workloads/mixed.h"

// Phases of a worker; what wl_run_workers gets beside them is a mixed_plan.
extern const wl_phases kMixedMalloc;

#endif  // HAKMEM_WORKLOADS_MIXED_MALLOC_H_
