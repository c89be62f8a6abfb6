// The stream of mixed.h with malloc and free, compiled so that the calls stay calls.

#include "workloads/mixed_malloc.h"

#include <stdlib.h>

static void set_up(wl_worker* worker) {
  mixed_make_state(worker);
  mixed_run(worker, worker->run->warmup, false, malloc, free);
}

static void timed(wl_worker* worker) { mixed_run_timed(worker, malloc, free); }

static void tear_down(wl_worker* worker) { mixed_finish(worker, free); }

const wl_phases kMixedMalloc = {set_up, timed, tear_down};
