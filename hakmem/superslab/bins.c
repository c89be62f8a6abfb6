// The lists of SuperSlabs, one for each length of their longest free run.

#include "hakmem/superslab/bins.h"

#include "hakmem/base/bits.h"
#include "hakmem/platform/check.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/superslab/spare.h"

static hak_superslab_t* bins[HAK_SUPER_MAX_PAGES + 1];
static uint64_t bins_in_use[2];  // bit b: bins[b] has some
static size_t n_cut;             // SuperSlabs in state PAGES

size_t hak_bins_count(void) { return n_cut; }

static bool super_is_valid(const hak_superslab_t* super) {
  uint64_t all = hak_bit_run(0, super->n_pages);
  uint64_t not_there = super->absent_pages | super->reserved_pages;
  return ((super->free_pages | not_there) & ~all) == 0 &&
         ((super->free_pages | super->dirty_pages) & not_there) == 0 &&
         (super->dirty_pages & ~all) == 0 && super->bin == hak_longest_run(super->free_pages) &&
         (super->aged_pages & ~(super->free_pages & super->dirty_pages)) == 0;
}

static void bin_unlink(hak_superslab_t* super) {
  if (super->bin == 0) return;
  if (super->next != NULL) super->next->prev = super->prev;
  if (super->prev != NULL) {
    super->prev->next = super->next;
  } else {
    bins[super->bin] = super->next;
    if (super->next == NULL) bins_in_use[super->bin / 64] &= ~(UINT64_C(1) << (super->bin % 64));
  }
  super->next = super->prev = NULL;
  super->bin = 0;
}

static void bin_link(hak_superslab_t* super) {
  unsigned run = hak_longest_run(super->free_pages);
  super->bin = (uint8_t)run;
  if (run == 0) return;
  super->prev = NULL;
  super->next = bins[run];
  if (super->next != NULL) super->next->prev = super;
  bins[run] = super;
  bins_in_use[run / 64] |= UINT64_C(1) << (run % 64);
}

void hak_super_begin_change(hak_superslab_t* super) {
  super->is_changing = true;
  hak_compiler_barrier();
  bin_unlink(super);
}

void hak_super_end_change(hak_superslab_t* super) {
  hak_spare_count(super);
  super->aged_pages &= super->free_pages & super->dirty_pages;
  uint64_t unused = super->free_pages | super->absent_pages | super->reserved_pages;
  if (unused == hak_bit_run(0, super->n_pages)) {
    n_cut--;
    hak_reserve_give(super, 1);
  } else {
    bin_link(super);
    hak_assert_slow(super_is_valid(super));
  }
  hak_compiler_barrier();
  super->is_changing = false;
}

unsigned hak_super_find_run(const hak_superslab_t* super, unsigned n_pages, unsigned align_pages) {
  uint64_t starts = hak_run_starts(super->free_pages, n_pages);
  if (align_pages > 1) {
    uint64_t aligned = 0;
    for (unsigned i = 0; i < 64; i += align_pages) aligned |= UINT64_C(1) << i;
    starts &= aligned;
  }
  // Memory that is there already before memory that must be faulted in.
  uint64_t dirty_starts = starts & hak_run_starts(super->dirty_pages, n_pages);
  if (dirty_starts != 0) return hak_lowest_bit(dirty_starts);
  return starts != 0 ? hak_lowest_bit(starts) : HAK_NO_PAGE;
}

hak_superslab_t* hak_bins_find(unsigned n_pages, unsigned align_pages, unsigned* at) {
  for (unsigned bin = n_pages; bin <= HAK_SUPER_MAX_PAGES; bin++) {
    if (bins_in_use[bin / 64] >> (bin % 64) == 0) {
      bin |= 63;  // no run so long in this word of bins
      continue;
    }
    for (hak_superslab_t* super = bins[bin]; super != NULL; super = super->next) {
      // Only an alignment can fail here; the next SuperSlab of the bin may still fit.
      *at = hak_super_find_run(super, n_pages, align_pages);
      if (*at < HAK_NO_PAGE) return super;
    }
  }
  return NULL;
}

void hak_super_cut(hak_superslab_t* super) {
  super->free_pages = hak_bit_run(0, super->n_pages) & ~super->reserved_pages;
  super->bin = 0;
  n_cut++;
  hak_store_relaxed(&super->state, HAK_SUPER_PAGES);
}

void hak_super_check_out(hak_superslab_t* super, uint64_t pages) {
  if (hak_load_relaxed(&super->state) == HAK_SUPER_FREE) {
    hak_reserve_take_this(super);
    hak_super_cut(super);
  }
  hak_assert((super->free_pages & pages) == pages);
  hak_super_begin_change(super);
  super->free_pages &= ~pages;
  super->checked_out |= pages;  // another thread's purge may have some already
  hak_super_end_change(super);
}

void hak_super_check_in(hak_superslab_t* super, uint64_t pages, uint64_t clean_pages) {
  hak_super_begin_change(super);
  super->free_pages |= pages;
  super->checked_out &= ~pages;
  super->dirty_pages &= ~clean_pages;
  hak_super_end_change(super);
}

void hak_super_unmap_free(hak_superslab_t* super) {
  uint64_t pages = super->free_pages;
  hak_super_begin_change(super);
  uint64_t gone = hak_reserve_unmap_pages(super, pages);
  super->free_pages &= ~gone;
  super->dirty_pages &= ~gone;
  hak_super_end_change(super);
}

void hak_bins_forget(void) {
  for (unsigned b = 0; b <= HAK_SUPER_MAX_PAGES; b++) bins[b] = NULL;
  bins_in_use[0] = bins_in_use[1] = 0;
}

void hak_bins_relink(hak_superslab_t* super) {
  if (super->next != NULL || super->prev != NULL) super->next = super->prev = NULL;
  if (super->is_changing) hak_store_relaxed(&super->state, HAK_SUPER_LOST);
  unsigned state = hak_load_relaxed(&super->state);
  if (state == HAK_SUPER_PAGES && (super->bin | super->free_pages) != 0) bin_link(super);
}
