// The tick: work that is due at a time, done by whichever thread next takes a slow path, or by the
// background thread where there is one. No thread is needed for it, and none is waited for.
//
// Each job has one due time. A layer whose work it is registers a function, which is called when
// that time has come, by one thread at a time as a rule but not as a promise; it sets the job's
// next due time before it returns. Nothing here locks or allocates, and hak_tick_set_due may be
// called in a signal handler.

#ifndef HAKMEM_TICK_H_
#define HAKMEM_TICK_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"

typedef enum hak_job {
  HAK_JOB_PURGE,      // memory whose delay is over goes back to the kernel
  HAK_JOB_IDLE,       // caches of threads that may have gone idle are to be visited
  HAK_JOB_HOLES,      // a round of looks at partly used slabs is to begin, or to go on
  HAK_JOB_WATCH,      // it is to be drawn anew which pages are watched
  HAK_JOB_TELEMETRY,  // a line is to be written, or the shared page to be brought up to date
  HAK_JOB_PROFILE,    // a heap profile is to be written, or the profiler to start or stop
  HAK_JOB_EVENTS,  // slow events are to be written to stderr: the last, for others' work makes some
  HAK_N_JOBS,
} hak_job_t;

#define HAK_TICK_NEVER UINT64_MAX

typedef void (*hak_job_function_t)(void);

// Says what does a job's work. A job without a function is not done.
void hak_tick_register(hak_job_t job, hak_job_function_t run);

// When the job is due, in milliseconds as hak_platform_now_ms counts them; HAK_TICK_NEVER: not at
// all.
void hak_tick_set_due(hak_job_t job, uint64_t due_ms);

uint64_t hak_tick_due(hak_job_t job);

extern _Atomic(uint64_t) hak_tick_next_ms;  // not later than any job's due time

hak_noinline void hak_tick_run(void);

// Does what is due. No lock held; one load when nothing is.
static inline void hak_tick(void) {
  if (hak_unlikely(hak_load_relaxed(&hak_tick_next_ms) != HAK_TICK_NEVER)) hak_tick_run();
}

// Whether there is work that has been left for whoever comes next: a due time of HAK_TICK_NOW.
#define HAK_TICK_NOW UINT64_C(0)
static inline bool hak_tick_is_waiting(void) {
  return hak_load_relaxed(&hak_tick_next_ms) == HAK_TICK_NOW;
}

// For the background thread: sleeps until a job is due or somebody calls hak_tick_wake (in a signal
// handler, say), but not longer than `at_most_ms`.
void hak_tick_sleep(uint64_t at_most_ms);
void hak_tick_wake(void);

#endif  // HAKMEM_TICK_H_
