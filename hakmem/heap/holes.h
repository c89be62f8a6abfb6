// Holes in the slabs: OS pages that lie in free blocks only, while other blocks of the slab are
// live. What survives a burst keeps them in memory; here they go back to the kernel.
//
// It is done in rounds, no more than one a purge delay, a piece at a time. In a round each heap
// looks once at each of its slabs with free blocks, in its slow paths (or idle.c does in its
// place), and a job of the tick looks at those that nobody owns. Holes go back where a slab has not
// changed from one look to the next, long ones first (hak_slab_look): memory in use is left alone.
// A look is a few loads; only what goes back takes system calls. Empty slabs kept in reserve that
// have not changed go back whole.

#ifndef HAKMEM_HOLES_H_
#define HAKMEM_HOLES_H_

#include "hakmem/heap/heap.h"

extern _Atomic(uint8_t) hak_holes_round;  // the round, modulo 256

// Has rounds begin, if they have not yet: once there may be holes that are worth them.
void hak_holes_start(void);

// Looks at some of the slabs of `heap`. pre: between hak_heap_enter and hak_heap_leave, or in the
// owner's place.
hak_cold void hak_holes_look(hak_heap_t* heap);

static inline bool hak_holes_wait(const hak_heap_t* heap) {
  return heap->holes_round != hak_load_relaxed(&hak_holes_round);
}

// Whether the last round found slabs that nobody owns whose holes are still to go back.
bool hak_holes_has_work(void);

// Whether there are slabs that nobody owns, with free blocks.
bool hak_holes_may_be_unowned(void);

// Gives back, whatever its age and length, what is in the slabs of `heap`, the calling thread's
// (NULL: it has none), and in those that nobody owns.
void hak_holes_purge_all(hak_heap_t* heap);

#endif  // HAKMEM_HOLES_H_
