// Slabs: runs of pages cut into blocks of one size class, and the bitmaps that say which are free.
//
// The structure, hak_slab_t, is declared with the SuperSlabs that hold it. A block is, at any
// time, in exactly one place: live in the program or in some thread's magazine or outgoing buffer
// (both bits clear), free (its bit in free[] set), or freed by a thread that does not own the slab
// (its bit in remote[] set). Invariant, for the owner: free_count == bits set in free[].
//
// Owner: the thread heap in `owner`, or, when that is NULL, whoever holds the class's lock
// (central.h). Functions here are the owner's unless they say "any thread".
//
// Remote frees. A thread that frees blocks of another's slab (1) sets their bits in remote[], then
// (2) adds their number to remote_count. Whoever finds remote_count at 0 in step 2 must tell the
// owner (thread.h) that the slab has news; nobody else may touch the slab after step 2. The owner
// takes bits out of remote[] whenever it likes, but takes the count only when told. `uncounted` is
// the difference. When every block is free and it is 0, no remote free can be in flight (each has
// set bits that were taken, and the counts of all taken bits have arrived and been told), so the
// slab's pages may be given away.

#ifndef HAKMEM_SLAB_H_
#define HAKMEM_SLAB_H_

#include "hakmem/size_class.h"
#include "hakmem/superslab.h"

// Makes a run of pages a slab of `size_class`, all blocks free, unowned. The page map is the
// caller's business.
void hak_slab_init(hak_slab_t* slab, unsigned size_class);

// Takes up to `n` free blocks, lowest addresses first, and stores them downwards from `end`
// (exclusive), so that the lowest lies on top of a magazine's stack. Returns how many.
unsigned hak_slab_take(hak_slab_t* slab, void** end, unsigned n);

// The same, but only blocks whose cache lines hold no block of anybody else, so that threads which
// share the slab do not share lines (blocks above 48 bytes: as hak_slab_take). May return 0 though
// blocks are free.
unsigned hak_slab_take_lines(hak_slab_t* slab, void** end, unsigned n);

// Puts blocks (bits `mask` of `word`) back. Aborts on a double free.
void hak_slab_put(hak_slab_t* slab, unsigned word, uint64_t mask);

// Gives the OS pages that lie in free blocks only back to the kernel. Returns the bytes. No lock
// held.
size_t hak_slab_purge(hak_slab_t* slab);

// Takes what other threads have freed into free[]. Returns how many blocks came.
unsigned hak_slab_collect(hak_slab_t* slab);

// Takes the count of remote frees. Only when the owner was told of the slab, see above.
void hak_slab_count_remote(hak_slab_t* slab);

// Any thread that owns neither: steps 1 and 2 above. Step 1 aborts on a double free. Step 2
// returns true when the caller must tell the owner. pre: the blocks are not free.
void hak_slab_free_remote(hak_slab_t* slab, unsigned word, uint64_t mask);
hak_nodiscard bool hak_slab_announce_remote(hak_slab_t* slab, unsigned n);

// Blocks free in the slab, and what it is for: the owner's to set, any thread's to read.
static inline unsigned hak_slab_free_count(const hak_slab_t* slab) {
  return hak_load_relaxed(&((hak_slab_t*)slab)->free_count);
}
static inline hak_run_use_t hak_slab_use(const hak_slab_t* slab) {
  return (hak_run_use_t)hak_load_relaxed(&((hak_slab_t*)slab)->use);
}
static inline void hak_slab_set_use(hak_slab_t* slab, hak_run_use_t use) {
  hak_store_relaxed(&slab->use, (uint8_t)use);
}

// Whether no block is live and no remote free in flight: the pages may be given away.
static inline bool hak_slab_is_idle(const hak_slab_t* slab) {
  return hak_slab_free_count(slab) == slab->capacity && slab->uncounted == 0;
}

// Lists. `before` is in the list; NULL: at the end.
void hak_slab_list_insert(hak_slab_list_t* list, hak_slab_t* slab, hak_slab_t* before);
void hak_slab_list_remove(hak_slab_list_t* list, hak_slab_t* slab);
static inline void hak_slab_list_append(hak_slab_list_t* list, hak_slab_t* slab) {
  hak_slab_list_insert(list, slab, NULL);
}

// After a fork that may have caught the slab's owner at work: derives the counts from the bitmap.
void hak_slab_recount(hak_slab_t* slab);

#endif  // HAKMEM_SLAB_H_
