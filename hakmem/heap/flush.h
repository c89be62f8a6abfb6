// Where freed blocks go back to their slabs.
//
// Blocks are grouped by slab and bitmap word, so that one operation returns many: a plain OR into
// a slab of one's own, an atomic OR into the remote bitmap of any other. Whoever owns it is told;
// an unowned one becomes its freer's if that thread knows the class. Misuse shows here: a pointer
// that begins no block, a block that is free already.

#ifndef HAKMEM_FLUSH_H_
#define HAKMEM_FLUSH_H_

#include "hakmem/heap/heap.h"

// What is passed may have tokens among it (magazine.h), which are passed over.
//
// Returns `n` blocks of any classes to their slabs, on behalf of the calling thread's heap (NULL:
// it has none). The caller counts them.
void hak_flush_blocks(hak_heap_t* heap, void* const* blocks, unsigned n);

// The same for the first of them, at least one, until `most` groups of blocks have been begun that
// go to the same word of the same slab: what a single call may pay for. Returns how many.
unsigned hak_flush_some(hak_heap_t* heap, void* const* blocks, unsigned n, unsigned most);

// Returns one block: a free without any cache.
void hak_flush_block(hak_heap_t* heap, void* block);

// Returns one block if the heap does not own its slab, whose blocks travel, then. Whether it did.
bool hak_flush_foreign(hak_heap_t* heap, void* block);

// Takes in what other threads have freed into the heap's slabs.
void hak_flush_pending(hak_heap_t* heap);

// Enters a slab, which `heap` has become the owner of, in its list.
void hak_flush_own(hak_heap_t* heap, hak_slab_t* slab);

// Takes a slab off `list`, one of the heap's, and off those that it owns.
void hak_flush_disown(hak_heap_t* heap, hak_slab_list_t* list, hak_slab_t* slab);

// Says that `bytes` of blocks have been taken out of a slab of the heap's, of whose memory `purged`
// bytes had been given back.
void hak_flush_rise(hak_heap_t* heap, size_t bytes, size_t purged);

// Returns the slab of a class that has been in reserve longest. pre: n_reserve != 0.
void hak_flush_return_reserve(hak_heap_t* heap, unsigned size_class);

// Closes a heap's pending stack for good and sees to what is on it. pre: it owns no slab any more.
void hak_flush_close(hak_heap_t* heap);

// In a forked child, by its one thread. Takes the remote frees of a slab that the open heap owns,
// told or not. Whether a thread without a heap may have been cut off in the midst of one (said
// once).
void hak_flush_settle(hak_heap_t* heap, hak_slab_t* slab);
bool hak_flush_is_cut_off(void);

// Whether the calling thread returns blocks now, without a heap.
bool hak_flush_is_running_here(void);

#endif  // HAKMEM_FLUSH_H_
