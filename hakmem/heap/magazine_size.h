// How many blocks a magazine holds.
//
// A class starts with a small one, gets the second size as soon as it has slabs of its own or
// overflows, and then grows fourfold whenever it has to fetch again what it has just returned: a
// program that only allocates, or only frees, gains nothing from a larger cache and gets none. What
// all magazines of a heap may hold together is bounded by HAKMEM_THREAD_CACHE, or by a share of the
// slabs that the heap owns. An outgoing magazine has one size.
//
// For the owner of `heap`, between hak_heap_enter and hak_heap_leave.

#ifndef HAKMEM_MAGAZINE_SIZE_H_
#define HAKMEM_MAGAZINE_SIZE_H_

#include "hakmem/heap/heap.h"

// Bytes of a heap with all its magazine memory.
size_t hak_magazine_heap_bytes(void);

// Gives a stack its first magazine.
void hak_magazine_begin(hak_heap_t* heap, unsigned stack);

// Grows a magazine to its second size; false when it has it.
bool hak_magazine_grow_to_second(hak_heap_t* heap, unsigned size_class);

// Grows a magazine to its next size if a flush has returned blocks since the last growth, and the
// bound allows it: at a refill, which fetches again what was returned; or where more blocks are to
// go back together. False: it is as it was.
bool hak_magazine_grow_after_flush(hak_heap_t* heap, unsigned size_class);

#endif  // HAKMEM_MAGAZINE_SIZE_H_
