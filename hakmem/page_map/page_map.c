// The page map's leaves: made for a range, then written.

#include "hakmem/page_map/page_map.h"

#include "hakmem/page_map/meta.h"
#include "hakmem/platform/check.h"

_Atomic(hak_page_leaf_t*) hak_page_root[HAK_ROOT_LEAVES];

static hak_page_leaf_t* leaf_of(uintptr_t address) {
  hak_page_leaf_t* leaf = hak_load_relaxed(&hak_page_root[address >> HAK_LEAF_SHIFT]);
  hak_assert(leaf != NULL);
  return leaf;
}

bool hak_page_map_add_range(uintptr_t base, size_t bytes) {
  uintptr_t last = (base + bytes - 1) >> HAK_LEAF_SHIFT;
  if (last >= HAK_ROOT_LEAVES) return false;
  for (uintptr_t at = base >> HAK_LEAF_SHIFT; at <= last; at++) {
    if (hak_load_relaxed(&hak_page_root[at]) != NULL) continue;
    hak_page_leaf_t* leaf = hak_meta_alloc(sizeof *leaf, HAK_CACHE_LINE);
    if (leaf == NULL) return false;
    hak_store_release(&hak_page_root[at], leaf);
  }
  return true;
}

void hak_page_map_set_super(uintptr_t base, size_t bytes, struct hak_superslab* super) {
  for (uintptr_t a = base; a < base + bytes; a += (uintptr_t)1 << HAK_SUPER_MIN_SHIFT) {
    hak_store_release(&leaf_of(a)->supers[hak_leaf_super(a)], super);
  }
}

void hak_page_map_set_class(uintptr_t base, unsigned n_pages, unsigned size_class) {
  hak_assert(size_class < HAK_N_ENTRIES);
  for (unsigned i = 0; i < n_pages; i++) {
    uintptr_t a = base + ((uintptr_t)i << HAK_PAGE_SHIFT);
    hak_store_relaxed(&leaf_of(a)->classes[hak_leaf_page(a)], (uint8_t)size_class);
  }
}

void hak_page_map_swap_class(uintptr_t page, unsigned from, unsigned to) {
  uint8_t expected = (uint8_t)from;
  (void)hak_cas_release(&leaf_of(page)->classes[hak_leaf_page(page)], &expected, (uint8_t)to);
}

void hak_page_map_set_run(uintptr_t base, unsigned from, unsigned to) {
  for (unsigned i = from; i < to; i++) {
    uintptr_t a = base + ((uintptr_t)i << HAK_PAGE_SHIFT);
    hak_store_relaxed(&leaf_of(a)->runs[hak_leaf_page(a)], (uint16_t)(i << HAK_RUN_UNIT_BITS));
  }
}
