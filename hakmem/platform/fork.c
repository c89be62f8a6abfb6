// The word that a child finds cleared, and the run through the table of repairs.
//
// Owns the word and its page. States of the word, in the order they come in: see below. One thread
// at a time repairs; others wait for it.

#include "hakmem/platform/fork.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "hakmem/platform/platform.h"
#include "hakmem/platform/thread_id.h"

enum {
  FRESH = 0,               // on a page of its own: of a child; else nothing has begun yet
  READY = HAK_FORK_READY,  // nothing to do
  CHILD = 2,               // what FRESH is on a page, where the kernel clears none
  INSIDE = 3,              // locks are repaired; the thread that forked was inside
  REPAIRING = 4,           // by a thread
};

// Until there is a page, and for good where the kernel does not clear it.
static _Atomic(uint32_t) plain_word;
_Atomic(_Atomic(uint32_t)*) hak_fork_word = &plain_word;

static hak_thread_local bool is_repairing;

// NULL where a program does not have the row's layer.
#define DECLARE_ROW(rank) extern const hak_repair_t hak_repair_##rank __attribute__((weak));
HAK_REPAIRS(DECLARE_ROW)
#define REFER_TO_ROW(rank) &hak_repair_##rank,
static const hak_repair_t* const rows[] = {HAK_REPAIRS(REFER_TO_ROW)};
#define N_ROWS (sizeof rows / sizeof rows[0])

static bool is_inside(void) {
  if (hak_lock_holds_any()) return true;
  for (unsigned i = 0; i < N_ROWS; i++) {
    if (rows[i] != NULL && rows[i]->is_inside != NULL && rows[i]->is_inside()) return true;
  }
  return false;
}

static void run_rows(bool is_whole) {
  for (unsigned i = 0; i < N_ROWS; i++) {
    if (rows[i] != NULL) rows[i]->repair(is_whole);
  }
}

// Makes the word REPAIRING, by this thread. False: there is nothing to do, or not now.
static bool begin_repair(_Atomic(uint32_t)* word, bool has_forked, uint32_t* state) {
  for (;;) {
    *state = hak_load_acquire(word);
    if (*state == READY || (*state == INSIDE && has_forked && is_inside())) return false;
    if (*state == REPAIRING) {
      hak_platform_wait(word, REPAIRING);
      continue;
    }
    // Before: a signal handler that forks must see it, and leave the rest to whom it interrupted.
    is_repairing = true;
    hak_compiler_barrier();
    if (atomic_compare_exchange_strong_explicit(word, state, REPAIRING, memory_order_acquire,
                                                memory_order_relaxed)) {
      return true;
    }
    is_repairing = false;
  }
}

// `has_forked`: the calling thread is the one that forked.
static void repair(bool has_forked) {
  _Atomic(uint32_t)* word = hak_load_acquire(&hak_fork_word);
  uint32_t state;
  if (is_repairing || !begin_repair(word, has_forked, &state)) return;
  bool is_whole = has_forked && !is_inside();
  if (state != INSIDE || is_whole) run_rows(is_whole);
  hak_store_release(word, has_forked && !is_whole ? INSIDE : READY);
  hak_compiler_barrier();
  is_repairing = false;
  hak_platform_wake_all(word);
}

// The handler. What has been repaired on need is READY by now.
static void begin_child(void) {
  if (is_repairing) return;
  _Atomic(uint32_t)* word = hak_load_acquire(&hak_fork_word);
  if (word == &plain_word) hak_store_relaxed(word, CHILD);
  repair(true);
}

// With signals blocked: fork takes the lock that libc holds meanwhile, so a signal handler that
// forks would wait for its own thread.
static void register_handler(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_atfork(NULL, NULL, begin_child);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

// No lock: a child of a fork meanwhile, by another thread, begins anew.
static void begin(void) {
  static _Atomic(bool) is_registered;
  size_t bytes = hak_platform_os_page_bytes();
  void* page = NULL;
  bool has_page = hak_platform_map(bytes, bytes, &page) == 0;
  if (has_page && hak_platform_wipe_on_fork(page, bytes) == 0) {
    _Atomic(uint32_t)* before = &plain_word;
    hak_store_relaxed((_Atomic(uint32_t)*)page, READY);
    if (!atomic_compare_exchange_strong(&hak_fork_word, &before, (_Atomic(uint32_t)*)page)) {
      hak_platform_unmap(page, bytes);
    }
  } else {
    if (has_page) hak_platform_unmap(page, bytes);
    hak_store_release(&plain_word, READY);
  }
  if (!atomic_exchange(&is_registered, true)) register_handler();
}

void hak_fork_settle(void) {
  int saved_errno = errno;
  _Atomic(uint32_t)* word = hak_load_acquire(&hak_fork_word);
  if (word == &plain_word && hak_load_acquire(word) == FRESH) {
    begin();
  } else {
    // A thread of the child's own has not come to take a lock, nor a heap, without a look.
    repair(hak_thread_has_id());
  }
  errno = saved_errno;
}
