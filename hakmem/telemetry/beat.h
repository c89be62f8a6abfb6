// A beat: when something is to be written, at an interval and when a signal arrives.
//
// Nothing is written in the signal's handler. It leaves word, and lets the beat's job be due at
// once (tick.h): so whoever next takes a slow path does it, or the background thread, which is
// woken.

#ifndef HAKMEM_BEAT_H_
#define HAKMEM_BEAT_H_

#include "hakmem/base/atomic.h"
#include "hakmem/options/tick.h"

// The caller sees to it that one thread at a time is here. Made by HAK_BEAT_INIT: it never comes.
typedef struct hak_beat {
  hak_job_t job;               // const
  uint64_t interval_ms;        // 0: none
  uint64_t due_ms;             // by the interval, or when it was asked for; HAK_TICK_NEVER
  _Atomic(bool) is_signalled;  // by the handler, since it was last taken
  int signal;                  // 0: none
  struct hak_beat* next;       // of those with a signal; const once it is among them
} hak_beat_t;

#define HAK_BEAT_INIT(of_job) \
  { .job = (of_job), .due_ms = HAK_TICK_NEVER }

// From now on it comes every `interval_ms`; 0: no more.
hak_cold void hak_beat_set_interval(hak_beat_t* beat, uint64_t interval_ms);

// From now on it comes with a signal, too, whose disposition is changed for that. Once a beat;
// several may have one signal. 0 or an errno value.
hak_cold hak_nodiscard int hak_beat_on_signal(hak_beat_t* beat, int signal);

// In a forked child: its interval begins anew, and the parent's signal is forgotten.
hak_cold void hak_beat_restart(hak_beat_t* beat);

// Whether it is time. If so, the next time is an interval later.
hak_cold hak_nodiscard bool hak_beat_take(hak_beat_t* beat);

// Lets the job be due when the first of its beats is: of one, or of two that share it (else NULL).
hak_cold void hak_beat_set_due(const hak_beat_t* one, const hak_beat_t* other);

#endif  // HAKMEM_BEAT_H_
