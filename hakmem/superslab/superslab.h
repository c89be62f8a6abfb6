// Runs of pages, taken from SuperSlabs and returned.
//
// Any run of free pages goes to whichever slab or span asks for it and comes back when that is
// empty; a SuperSlab whose pages are all free goes back to its reservation (reserve.h), to be used
// for pages again or for a huge block.

#ifndef HAKMEM_SUPERSLAB_H_
#define HAKMEM_SUPERSLAB_H_

#include "hakmem/superslab/layout.h"

// Takes a run of `n_pages` <= pages of a SuperSlab, beginning at a multiple of `align_pages` (a
// power of two) within its SuperSlab. Returns the descriptor of its first page, with `base`,
// `n_pages`, `use` and a `size_class` of 0 set; NULL when there is no memory. *dirty tells whether
// any of its memory may be other than zero. `size_class` says who asks (0: a span).
hak_nodiscard hak_run_t* hak_super_take_run(unsigned n_pages, unsigned align_pages,
                                            unsigned size_class, bool* dirty);

// Says that all memory of a run has been given back, and nothing was touched since.
void hak_super_clean_run(const hak_run_t* run);

// Returns a run. pre: nothing in it is live, and its page map entries are 0.
void hak_super_return_run(hak_run_t* run);

// Takes the pages that follow a run, so that it has `n_pages`; false when they are not all free.
hak_nodiscard bool hak_super_grow_run(hak_run_t* run, unsigned n_pages);

// Returns pages at the end of a run, keeping the first `n_pages`; may keep all. pre: n_pages >= 1.
void hak_super_shrink_run(hak_run_t* run, unsigned n_pages);

// Calls `visit` for every run that is a slab, of the heap as it is; for a child alone, or under
// lock BACKEND.
void hak_super_visit_slabs(void (*visit)(hak_run_t* run, void* context), void* context);

// Calls `visit` under lock BACKEND for every SuperSlab that was ever used, without keeping others
// from the lock for long: between two calls anything may change. No lock held.
void hak_super_visit(void (*visit)(hak_superslab_t* super, void* context), void* context);

// Calls `visit` for every slab and span of a SuperSlab that has runs; returns the pages they take.
// lock:BACKEND
uint64_t hak_super_visit_runs(hak_superslab_t* super, void (*visit)(hak_run_t* run, void* context),
                              void* context);

// Threads that have a heap have come (or, negative, gone): each may hold a partly used slab of
// every class, which huge pages would fill up.
void hak_super_count_heaps(int change);

#endif  // HAKMEM_SUPERSLAB_H_
