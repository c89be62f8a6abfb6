// Idle threads: taking back what their caches hold, while they sleep.
//
// A thread that stops allocating keeps up to HAKMEM_THREAD_CACHE of free blocks and the slabs they
// belong to, for ever, for nobody else may touch its magazines: its fast paths use no atomics. Here
// another thread, from a slow path or the background thread, does it all the same once a cache has
// not changed for the purge delay:
//
// 1. It marks the heap. From then on the owner's slow paths wait (hak_heap_enter); if it is in one
//    already, the heap is left alone.
// 2. All that only slow paths use goes back: spans kept, slabs, what others have freed.
//
// The magazines are the fast paths', which use no atomics. They are emptied, before that, only
// where HAKMEM_BACKGROUND asks for it, for it takes membarrier(2), for which a sandbox may kill:
//
// 1. In each magazine it puts up a fence, NULL in place of the second block from the top: to the
//    owner's malloc the magazine ends there. Then membarrier: an owner that still sees the old
//    block in that slot must be at work on it or below it.
// 2. Where the top lies above the fence and the fence stands, the owner is not, and cannot pass it:
//    what lies at the fence and below goes back to the slabs. Else the fence comes down again.
//
// What stays with an idle thread is what its magazines hold, or one block for each class it used,
// and the memory of its slabs that is in use. The fast paths pay nothing, and the thread itself
// does nothing. The fence is the asymmetric form of Dekker's algorithm (Dice, Huang and Yang,
// "Asymmetric Dekker Synchronization", 2001). Where the kernel has no membarrier (before 4.14), or
// refuses it, magazines are only bounded.

#ifndef HAKMEM_IDLE_H_
#define HAKMEM_IDLE_H_

#include "hakmem/heap/heap.h"

// From here on caches of idle threads are visited. Several calls are as one.
void hak_idle_start(void);

// Visits some heaps, and takes back what those cache that have not changed since the last visit.
void hak_idle_visit(void);

// Takes back what the caches of all other threads hold, idle or not, but for those in a slow path:
// for a thread that finds no memory. No lock held.
void hak_idle_reclaim_all(void);

void hak_idle_count_locks(hak_lock_counts_t* counts);

#endif  // HAKMEM_IDLE_H_
