// Bins: the SuperSlabs that are cut into runs and have free pages, by the length of their longest
// free run. Taking from the shortest sufficient one keeps long runs whole.
//
// A SuperSlab whose pages are all free leaves them for its reservation. All functions here:
// lock:BACKEND.

#ifndef HAKMEM_BINS_H_
#define HAKMEM_BINS_H_

#include "hakmem/superslab/layout.h"

#define HAK_NO_PAGE 64u

// Where in `super` a run of `n_pages` fits, beginning at a multiple of `align_pages` (a power of
// two): the page's index, or HAK_NO_PAGE.
unsigned hak_super_find_run(const hak_superslab_t* super, unsigned n_pages, unsigned align_pages);

// A SuperSlab in which such a run fits, and *at, where; NULL when none has room.
hak_superslab_t* hak_bins_find(unsigned n_pages, unsigned align_pages, unsigned* at);

// Makes a SuperSlab that has been taken from its reservation one of free pages, in no bin yet.
void hak_super_cut(hak_superslab_t* super);

// Every change of a SuperSlab's pages goes between these two, so that its bin is always right and
// a fork in between can be noticed.
void hak_super_begin_change(hak_superslab_t* super);
void hak_super_end_change(hak_superslab_t* super);

// For the purge: takes free pages out of circulation while their memory is given
// back, and puts them back: `clean_pages` of them as clean, the rest as dirty as they were.
void hak_super_check_out(hak_superslab_t* super, uint64_t pages);
void hak_super_check_in(hak_superslab_t* super, uint64_t pages, uint64_t clean_pages);

// Unmaps the free pages of a SuperSlab in state PAGES.
void hak_super_unmap_free(hak_superslab_t* super);

// How many SuperSlabs are in state PAGES.
size_t hak_bins_count(void);

// In a forked child that finds another thread caught in here: empties the bins; enters a SuperSlab
// anew, or gives it up if it was being changed. Most have neither free pages nor a place in a list:
// those are not written.
void hak_bins_forget(void);
void hak_bins_relink(hak_superslab_t* super);

#endif  // HAKMEM_BINS_H_
