// A small lock: one word that names its holder, a futex behind it.
//
// The word holds the id of the thread that has the lock (0: free), and in its top bit whether
// others sleep on it. Taking the lock and naming the holder is a single store, so a forked child
// can tell from its copy of the word alone who held the lock at the moment of the fork: itself
// (then it will go on and release it), or a thread that does not exist in the child (then what
// the lock protects may be half done; see hak_lock_repair).
//
// Every lock has a rank. A thread takes locks in rising rank only; asserted at HAK_DEBUG >= 1.

#ifndef HAKMEM_LOCK_H_
#define HAKMEM_LOCK_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"

typedef enum hak_lock_rank {
  HAK_RANK_NONE,       // of no lock
  HAK_RANK_DUMP,       // whoever starts or stops the heap profiler, or writes a profile
  HAK_RANK_PROFILE,    // the heap profiler's samples and stacks
  HAK_RANK_TELEMETRY,  // whoever is writing telemetry
  HAK_RANK_EXPORT,     // the phase label, and memory to gather figures in
  HAK_RANK_COUNTS,     // what threads have counted
  HAK_RANK_IDLE,       // heaps whose threads are idle, while their caches are emptied
  HAK_RANK_REGISTRY,   // threads' heaps: list and free list
  HAK_RANK_HARDENED,   // one a size class: freed blocks of a hardened process
  HAK_RANK_CLASS,      // one a size class: its unowned slabs
  HAK_RANK_BACKEND,    // SuperSlabs, page runs, huge blocks, reservations
  HAK_RANK_META,       // memory for the allocator's own structures
} hak_lock_rank_t;

typedef struct hak_lock {
  _Atomic(uint32_t) word;
  uint32_t rank;               // const
  hak_counter_t acquisitions;  // written by the holder
  hak_counter_t waits;         // acquisitions that had to sleep or spin; written by the holder
} hak_lock_t;

#define HAK_LOCK_INIT(lock_rank) \
  { .rank = (lock_rank) }

void hak_lock_acquire(hak_lock_t* lock);
// Takes the lock if it is free. Never waits, so that it may be tried whatever the thread holds.
hak_nodiscard bool hak_lock_try(hak_lock_t* lock);
void hak_lock_release(hak_lock_t* lock);

// Adds what a lock has counted to a sum over several.
typedef struct hak_lock_counts {
  uint64_t acquisitions, waits;
} hak_lock_counts_t;
void hak_lock_count(const hak_lock_t* lock, hak_lock_counts_t* counts);

// Only in a forked child (fork.h), while no thread of its own has the lock but the caller. Returns
// true when a thread that is gone held the lock: the lock is free again, and the caller must give
// up whatever it protected that may be half done.
bool hak_lock_repair(hak_lock_t* lock);

// Whether the calling thread holds `lock`; whether it holds any lock.
bool hak_lock_is_mine(const hak_lock_t* lock);
bool hak_lock_holds_any(void);

#endif  // HAKMEM_LOCK_H_
