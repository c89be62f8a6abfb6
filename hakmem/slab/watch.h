// Watched pages: of the pages of slabs a share, drawn at random, whose frees come to the slow path.
//
// For the heap profiler (heap/sampling.h says what for). A page is watched if a hash of its number
// and of a key is below its class's share; then the page map has its watched class in place of its
// class (size_class.h). With another key all is drawn anew. Pages of outgoing classes are left as
// they are, and so are those of sampled blocks.
//
// A slab made while a key changes may be drawn by either.

#ifndef HAKMEM_WATCH_H_
#define HAKMEM_WATCH_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"

// A share of all pages, in units of 2^-32; and the key with which none is watched.
#define HAK_WATCH_ALL (UINT64_C(1) << 32)
#define HAK_WATCH_NONE UINT64_C(0)

extern _Atomic(uint64_t) hak_watch_key;
static inline bool hak_watch_is_on(void) {
  return hak_load_relaxed(&hak_watch_key) != HAK_WATCH_NONE;
}

// The share of a class's pages, from the next key on.
void hak_watch_set_share(unsigned size_class, uint64_t share);

// Draws by a key which pages are watched, of all slabs that there are and of those to come. Any
// thread; no lock held.
void hak_watch_draw(uint64_t key);

// Draws the pages of a slab that has just been entered in the page map with its class. By its
// maker.
void hak_watch_draw_slab(uintptr_t base, unsigned n_pages, unsigned size_class);

// Ends the watch of the page that holds `block`: where it was overlooked when all ended.
void hak_watch_forget(const void* block, unsigned size_class);

#endif  // HAKMEM_WATCH_H_
