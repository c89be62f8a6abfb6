// Fork: a child repairs what the threads it does not have left behind, when it first needs to.
//
// Nothing is done before a fork. Taking the allocator's locks there deadlocks: another thread may
// hold a lock of stdio's, wait for ours, and be waited for by fork itself; and a fork in a signal
// handler would wait for the very thread it interrupted. So the child finds memory as a snapshot
// taken while the other threads were running, which for each of them is a prefix of its stores.
// (On x86 because stores become visible in order, and one to a page that is already copied faults
// and waits until the fork is over.)
//
// When. A word lies on a page that the kernel clears in a child (MADV_WIPEONFORK, Linux 4.14).
// Every slow path looks at it before it takes a lock or touches what threads share, so that a child
// works however it was made: before other libraries' handlers of fork have run, after _Fork, after
// a system call of the program's own. A child that shares its parent's memory (vfork, posix_spawn)
// finds the word as it was, and nothing happens. Fast paths do not look: they touch their own
// thread's magazines alone, which are whole. Where the kernel refuses, the handler that is
// registered with pthread_atfork does the same work.
//
// What. Each layer says in a row of one table how it repairs what its locks protect; rows are run
// from the highest rank of locks to the lowest, so that a repair finds in order what lies below it.
//
// - A lock whose word names another thread was held: what it protects is derived anew from truths
//   that are one store each (states, bitmaps); a SuperSlab caught in change is given up.
// - A lock that was not held protects what is whole, and nothing of it is read or written.
// - Heaps of threads that are gone are thread.c's to repair.
//
// A thread that was itself inside the allocator, where a signal handler has forked, goes on after
// the handler with all it had in its hands. Then only locks and what they protect are repaired, and
// the rest when that thread next looks and is not inside. The same is done, and no more, by a
// thread that was begun in the child and is the first to look, for it cannot know the heap of the
// thread that forked. Heaps of threads that are gone then stay as those of threads that sleep.

#ifndef HAKMEM_FORK_H_
#define HAKMEM_FORK_H_

#include "hakmem/base/atomic.h"
#include "hakmem/platform/lock.h"

#define HAK_FORK_READY 1u

// Where the word is: it reads HAK_FORK_READY when there is nothing to do.
extern _Atomic(_Atomic(uint32_t)*) hak_fork_word;

hak_noinline void hak_fork_settle(void);

// Before a slow path takes a lock or touches what threads share. Two loads. Preserves errno.
static inline void hak_fork_look(void) {
  if (hak_unlikely(hak_load_acquire(hak_load_acquire(&hak_fork_word)) != HAK_FORK_READY)) {
    hak_fork_settle();
  }
}

// The ranks of which there is a row, in the order that they are run in: the row of a rank repairs
// what locks of that rank protect, and of those above it that have no row.
#define HAK_REPAIRS(ROW) \
  ROW(META)              \
  ROW(BACKEND)           \
  ROW(CLASS)             \
  ROW(HARDENED)          \
  ROW(IDLE) ROW(COUNTS) ROW(EXPORT) ROW(TELEMETRY) ROW(PROFILE) ROW(DUMP) ROW(NONE) ROW(BACKGROUND)

typedef struct hak_repair {
  // Repairs, in a child. `is_whole`: the calling thread is the only one and not inside the
  // allocator; else only locks, and what they protect, may be touched.
  void (*repair)(bool is_whole);
  // Whether the calling thread is inside, beside holding a lock. NULL: it never is.
  bool (*is_inside)(void);
} hak_repair_t;

// Defines the row of a rank. The linker fills the table (fork.c) with those that a program has, so
// that it is complete before any code runs.
#define HAK_REPAIR(rank, repair, is_inside)    \
  extern const hak_repair_t hak_repair_##rank; \
  const hak_repair_t hak_repair_##rank = {repair, is_inside}

#endif  // HAKMEM_FORK_H_
