// Unowned slabs, by class: what all threads share.
//
// A slab is unowned when it was made for threads that have only just begun to use its class, or
// when its owner ended with blocks of it live. Threads take small batches of blocks from unowned
// slabs (slow start) or adopt them whole; frees into them go through here. One lock a class.

#ifndef HAKMEM_CENTRAL_H_
#define HAKMEM_CENTRAL_H_

#include "hakmem/platform/lock.h"
#include "hakmem/slab/slab.h"

// Takes up to `n` blocks from unowned slabs, making one when there is none; stores them as
// hak_slab_take does, or (whole_lines) as hak_slab_take_lines. Returns how many; 0: out of memory.
unsigned hak_central_take(unsigned size_class, void** end, unsigned n, bool whole_lines);

// Enters an unowned slab, fresh from hak_slab_create, among those of its class.
void hak_central_add(hak_slab_t* slab);

// Makes `heap` the owner of an unowned slab with free blocks; NULL when there is none. What the
// slab is for stays as it was, so that the new owner sees whether it was HAK_RUN_ABANDONED.
hak_slab_t* hak_central_adopt(unsigned size_class, struct hak_heap* heap);

// Makes a slab that the caller owns, and that is in none of its lists, unowned. It is given back
// if nothing in it is live. (return: what it is for stays as it was.)
void hak_central_abandon(hak_slab_t* slab);
void hak_central_return(hak_slab_t* slab);

// Looks (hak_slab_look) at the next of a class's unowned slabs with free blocks, and at as many as
// *n at most, less one each time, until one has holes that are worth giving back. It makes `heap`
// the owner of that one, until hak_central_return. NULL: none. A look moves a slab to the end, so
// that hak_central_count of them meet all.
hak_slab_t* hak_central_look(unsigned size_class, struct hak_heap* heap, uint8_t round, unsigned* n,
                             size_t* least);

// The same for who has no heap: gives the holes of that slab back itself, with the class's lock
// held, and adds their bytes. False: none had any. And those of all slabs, whatever their age.
bool hak_central_purge(unsigned size_class, uint8_t round, unsigned* n, size_t* bytes);
size_t hak_central_purge_all(unsigned size_class);

// A class's unowned slabs with free blocks: how many there are, or were a moment ago.
unsigned hak_central_count(unsigned size_class);

// Makes `heap` the owner of an unowned slab, not a lost one, whatever is free in it. False when it
// has an owner (now).
hak_nodiscard bool hak_central_claim(hak_slab_t* slab, struct hak_heap* heap);

// Takes the news of remote frees into an unowned slab. False when the slab has an owner (now).
hak_nodiscard bool hak_central_absorb(hak_slab_t* slab);

// Sampled blocks lie in slabs of their own, which are unowned for good: their page map entry,
// HAK_CLASS_SAMPLED, sends every free of one to the slow path. A block of `size_class` from such a
// slab; NULL: out of memory. Its return aborts on misuse. Its usable bytes; 0 when no live sampled
// block begins at `ptr`.
hak_nodiscard void* hak_central_take_sampled(unsigned size_class);
void hak_central_return_sampled(void* block);
size_t hak_central_sampled_bytes(const void* ptr);

// Gives back the slabs for sampled blocks that have none. While pages are watched, one a class is
// kept.
void hak_central_end_sampled(void);

// Makes a fresh slab of `size_class`, owned by `heap` (NULL: unowned) and entered in the page map;
// in no list. NULL: out of memory. No lock needed, and CLASS may be held.
hak_slab_t* hak_slab_create(unsigned size_class, struct hak_heap* heap);

// Gives the pages of an idle slab, in no list, back.
void hak_slab_destroy(hak_slab_t* slab);

void hak_central_count_locks(hak_lock_counts_t* counts);

// In a forked child, for the one thread: takes the remote frees of an unowned slab, told or not.
void hak_central_settle(hak_slab_t* slab);

#endif  // HAKMEM_CENTRAL_H_
