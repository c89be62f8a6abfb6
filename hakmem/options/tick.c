// The jobs' due times, the next of them, and the run of those that are due.

#include "hakmem/options/tick.h"

#include "hakmem/platform/fork.h"
#include "hakmem/platform/platform.h"

_Atomic(uint64_t) hak_tick_next_ms = HAK_TICK_NEVER;

static _Atomic(uint64_t) due_ms[HAK_N_JOBS] = {[0 ... HAK_N_JOBS - 1] = HAK_TICK_NEVER};
static _Atomic(hak_job_function_t) functions[HAK_N_JOBS];
static _Atomic(uint32_t) wakes;

// All accesses to due_ms and hak_tick_next_ms that change either are sequentially consistent: a
// setter stores its due time and then lowers the next; the runner raises the next and then reads
// the due times. So one of the two sees the other, and no due time is overlooked.

static void lower_next(uint64_t due) {
  uint64_t next = atomic_load(&hak_tick_next_ms);
  while (due < next && !atomic_compare_exchange_weak(&hak_tick_next_ms, &next, due)) {
  }
}

void hak_tick_register(hak_job_t job, hak_job_function_t run) {
  hak_store_release(&functions[job], run);
}

void hak_tick_set_due(hak_job_t job, uint64_t due) {
  atomic_store(&due_ms[job], due);
  lower_next(due);
}

uint64_t hak_tick_due(hak_job_t job) { return atomic_load(&due_ms[job]); }

void hak_tick_run(void) {
  uint64_t now = hak_platform_now_ms();
  uint64_t next = atomic_load(&hak_tick_next_ms);
  if (now < next) return;
  // One thread sees to it. The others go on with what they came for.
  if (!atomic_compare_exchange_strong(&hak_tick_next_ms, &next, HAK_TICK_NEVER)) return;
  for (int job = 0; job < HAK_N_JOBS; job++) {
    hak_job_function_t run = hak_load_acquire(&functions[job]);
    if (run != NULL && atomic_load(&due_ms[job]) <= now) run();
    lower_next(atomic_load(&due_ms[job]));
  }
}

// Takes up the jobs that a thread which is gone was about to do.
static void repair(bool is_whole) {
  (void)is_whole;
  for (int job = 0; job < HAK_N_JOBS; job++) lower_next(atomic_load(&due_ms[job]));
}
HAK_REPAIR(NONE, repair, NULL);

void hak_tick_sleep(uint64_t at_most_ms) {
  uint32_t seen = hak_load_acquire(&wakes);
  uint64_t now = hak_platform_now_ms();
  uint64_t next = hak_load_relaxed(&hak_tick_next_ms);
  uint64_t until_next = next > now ? next - now : 1;
  hak_platform_wait_ms(&wakes, seen, until_next < at_most_ms ? until_next : at_most_ms);
}

void hak_tick_wake(void) {
  hak_fetch_add_relaxed(&wakes, 1);
  hak_platform_wake(&wakes);
}
