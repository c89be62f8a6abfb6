// Beats by their due times, and the handler of their signals.

#include "hakmem/telemetry/beat.h"

#include <errno.h>
#include <signal.h>

#include "hakmem/platform/platform.h"

static _Atomic(hak_beat_t*) with_signals;  // through `next`

void hak_beat_set_interval(hak_beat_t* beat, uint64_t interval_ms) {
  beat->interval_ms = interval_ms;
  beat->due_ms = interval_ms != 0 ? hak_platform_now_ms() + interval_ms : HAK_TICK_NEVER;
}

static void on_signal(int number) {
  for (hak_beat_t* beat = hak_load_acquire(&with_signals); beat != NULL; beat = beat->next) {
    if (beat->signal != number) continue;
    atomic_store(&beat->is_signalled, true);
    hak_tick_set_due(beat->job, HAK_TICK_NOW);
  }
  hak_tick_wake();
}

int hak_beat_on_signal(hak_beat_t* beat, int signal) {
  beat->signal = signal;
  beat->next = hak_load_relaxed(&with_signals);
  while (!hak_cas_weak_release(&with_signals, &beat->next, beat)) {
  }
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  return sigaction(signal, &action, NULL) == 0 ? 0 : errno;
}

void hak_beat_restart(hak_beat_t* beat) {
  atomic_store(&beat->is_signalled, false);
  hak_beat_set_interval(beat, beat->interval_ms);
}

// Keeps the beat, unless a beat was missed.
bool hak_beat_take(hak_beat_t* beat) {
  uint64_t now_ms = hak_platform_now_ms();
  bool is_due = beat->due_ms <= now_ms;
  if (is_due && beat->interval_ms == 0) {
    beat->due_ms = HAK_TICK_NEVER;
  } else if (is_due) {
    beat->due_ms += beat->interval_ms;
    if (beat->due_ms <= now_ms) beat->due_ms = now_ms + beat->interval_ms;
  }
  return atomic_exchange(&beat->is_signalled, false) || is_due;
}

void hak_beat_set_due(const hak_beat_t* one, const hak_beat_t* other) {
  bool is_other_first = other != NULL && other->due_ms < one->due_ms;
  hak_tick_set_due(one->job, is_other_first ? other->due_ms : one->due_ms);
  // The handler sets this first and the due time then: one of the two is not overlooked.
  if (atomic_load(&one->is_signalled) || (other != NULL && atomic_load(&other->is_signalled))) {
    hak_tick_set_due(one->job, HAK_TICK_NOW);
  }
}
