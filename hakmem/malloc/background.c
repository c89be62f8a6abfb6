// The background thread: when it begins, what it waits for, when it ends.

#include "hakmem/malloc/background.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "hakmem/base/config.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/descriptor.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/line.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/spare.h"
#include "hakmem/thread/idle.h"

// Below this a heap is not worth a thread.
#define FROM_BYTES (32 * HAK_MIB)

// It ends when for so many of its sleeps there was nothing to give back.
#define QUIET_SLEEPS 10

_Atomic(bool) hak_background_is_wanted;
static _Atomic(bool) has_thread;
static bool is_always_needed;  // const once the library has begun
static int64_t
    process_id;  // of the process that may have a thread, not one made by vfork; 0: none may

// How long it may sleep while nothing is due: what becomes due meanwhile is done that much late.
static uint64_t longest_sleep_ms(void) {
  int64_t delay_ms = hak_option_number(HAK_OPTION_purge_delay);
  if (delay_ms < 0) return 1000;  // no purge; telemetry knows its times in advance
  return delay_ms < 20 ? 10 : (uint64_t)delay_ms / 2;
}

static bool has_work(void) {
  return hak_tick_due(HAK_JOB_PURGE) != HAK_TICK_NEVER || hak_idle_has_work();
}

// Whether the thread may end now. Work that is made meanwhile has its due time before malloc looks
// for a thread, and here it is the other way round: so one of the two sees the other. (What free
// makes finds none. So the thread stays while there is so much that much could be freed.)
static bool can_end(void) {
  if (is_always_needed) return false;
  atomic_store(&has_thread, false);
  bool may_end = !has_work() && hak_spare_committed_bytes() < FROM_BYTES;
  return may_end || atomic_exchange(&has_thread, true);
}

static void* run(void* arg) {
  (void)arg;
  prctl(PR_SET_NAME, "hakmem");
  hak_idle_start();
  uint64_t longest_ms = longest_sleep_ms();
  for (unsigned quiet = 0;; quiet++) {
    hak_tick_sleep(longest_ms);
    hak_tick();
    if (has_work()) quiet = 0;
    if (quiet >= QUIET_SLEEPS && can_end()) return NULL;
  }
}

static int create(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return error;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 128 * HAK_KIB);
  // The program's signals are for the program's threads.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  error = pthread_create(&thread, &attributes, run, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error;
}

void hak_background_begin_thread(void) {
  if (process_id == 0 || atomic_load(&has_thread)) return;
  if (!is_always_needed && (hak_spare_committed_bytes() < FROM_BYTES)) return;
  if (hak_process_id() != process_id || atomic_exchange(&has_thread, true)) return;
  int error = create();  // (it allocates, which may lead here again)
  if (error == 0) return;
  // It is not tried again.
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, "no background thread: errno ");
  hak_line_number(&line, (uint64_t)error);
  hak_line_end(&line);
}

static void repair(bool is_whole) {
  (void)is_whole;
  if (process_id != 0) process_id = hak_process_id();
  atomic_store(&has_thread, false);
}
HAK_REPAIR(BACKGROUND, repair, NULL);

void hak_background_begin(bool at_once) {
  int64_t choice = hak_option_number(HAK_OPTION_background);
  is_always_needed = at_once;
  if (choice == HAK_CHOICE_NEVER && !at_once) return;
  process_id = hak_process_id();
  hak_store_relaxed(&hak_background_is_wanted, choice == HAK_CHOICE_ALWAYS || at_once);
  if (at_once) hak_background_begin_thread();
}
