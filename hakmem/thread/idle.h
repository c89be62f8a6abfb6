// Idle threads: taking back what their caches hold, while they sleep.
//
// A thread that stops allocating keeps up to HAKMEM_THREAD_CACHE of free blocks and the slabs they
// belong to, for ever, for nobody else may touch its magazines: its fast paths use no atomics. Here
// another thread, from a slow path or the background thread, does it all the same, in rounds, a
// step a round with each heap:
//
// 1. It asks the owner for a sign of life, in a word that the owner's slow paths read; the next of
//    them clears it.
// 2. Where there was none, the owner has been in no slow path since. What others freed is taken,
//    while its slow paths wait (hak_heap_enter). And where its fast paths have done nothing either,
//    each magazine gets a fence, NULL in place of the second block from the top: to the owner's
//    malloc the magazine ends there, and it comes to a slow path, which takes all fences down.
// 3. Where a fence still stands and the top lies above it, the owner is not at work on what is
//    below and cannot get there: that goes back to the slabs. So do all spans and slabs that only
//    slow paths use.
//
// Rounds are half a purge delay apart, and closer where fences stand. But where memory grows
// (spare.h) they follow one another at once: what those that sleep hold is used before fresh memory
// is. A pool of threads that take turns, each of which frees what the one before allocated, needs
// little more than what is live. Step 2 gives up slabs then, too, where the fast paths have done
// nothing.
//
// What stays with an idle thread is one block for each class it used, and the memory of its slabs
// that is in use. A thread that takes two blocks of a class in a tenth of a second loses nothing.
// The fast paths pay nothing, and the thread itself does nothing.
//
// Why it is right: it is Dekker's algorithm twice. The owner stores `busy` and reads `reclaim`;
// here `reclaim` is stored and `busy` read. The owner reads a slot (a pop) and the top it stored
// before is visible; here the slot is stored and the top read. Each needs a barrier between store
// and load on both sides. Here it is time: GRACE_MS pass before what was stored is relied on. An
// owner's load that missed the store lies so far back that its earlier stores have left the
// processor: store buffers drain by themselves, in less than a microsecond as a rule, and at each
// interrupt or switch of threads (C11 7.17.3p16: in a reasonable time. Morrison and Afek,
// "Temporally Bounding TSO for Fence-Free Asymmetric Synchronization", ASPLOS 2015, who measure
// that no store is kept longer.) Owners that are stopped between their load and a store that is
// still to come are met by the order in which they work, see hak_magazine_take_fenced. A clock that
// another library fakes may jump; so no heap is visited unless the clock is the kernel's.
// testing/idle_model_test.py explores every interleaving; docs/DECISIONS.md compares it with
// membarrier(2) and with fences in slow paths.

#ifndef HAKMEM_IDLE_H_
#define HAKMEM_IDLE_H_

#include "hakmem/heap/heap.h"

// From here on caches of idle threads are visited. Several calls are as one.
void hak_idle_start(void);

// Goes on with the round, some heaps on. When it is due the tick calls it.
void hak_idle_visit(void);

// Whether the last round found a heap that is not known to be empty.
bool hak_idle_has_work(void);

// Takes back what the caches of all idle threads hold, or (busy_too: for a thread that finds no
// memory) of all others, but for those that are in slow paths meanwhile. It sleeps twice, for some
// hundredths of a second, where there is something to take. No lock held.
void hak_idle_reclaim_all(bool busy_too);

void hak_idle_count_locks(hak_lock_counts_t* counts);

#endif  // HAKMEM_IDLE_H_
