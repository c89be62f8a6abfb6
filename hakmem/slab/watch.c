// The key and the shares; a walk over all pages.

#include "hakmem/slab/watch.h"

#include "hakmem/base/bits.h"
#include "hakmem/base/size_class.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/superslab/superslab.h"

_Atomic(uint64_t) hak_watch_key;
static _Atomic(uint64_t) shares[HAK_N_CLASSES];

void hak_watch_set_share(unsigned size_class, uint64_t share) {
  hak_store_relaxed(&shares[size_class], share);
}

static bool is_watched(uintptr_t page, unsigned size_class, uint64_t key) {
  if (key == HAK_WATCH_NONE) return false;
  return hak_mix((page >> HAK_PAGE_SHIFT) ^ key) >> 32 < hak_load_relaxed(&shares[size_class]);
}

// Enters a page, which has `entry` of the page map's, as the key has it.
static void draw(uintptr_t page, unsigned entry, uint64_t key) {
  unsigned size_class = hak_class_proper(entry), watched = hak_class_watched(size_class);
  if (size_class == 0 || (entry != size_class && entry != watched)) return;
  unsigned to = is_watched(page, size_class, key) ? watched : size_class;
  if (to != entry) hak_page_map_swap_class(page, entry, to);
}

static void draw_super(hak_superslab_t* super, void* context) {
  if (!hak_super_has_runs(super)) return;
  for (unsigned i = 0; i < super->n_pages; i++) {
    uintptr_t page = super->base + ((uintptr_t)i << HAK_PAGE_SHIFT);
    draw(page, hak_page_map_class((const void*)page), *(const uint64_t*)context);
  }
}

void hak_watch_draw(uint64_t key) {
  hak_store_relaxed(&hak_watch_key, key);
  hak_super_visit(draw_super, &key);
}

void hak_watch_draw_slab(uintptr_t base, unsigned n_pages, unsigned size_class) {
  uint64_t key = hak_load_relaxed(&hak_watch_key);
  for (unsigned i = 0; i < n_pages; i++) {
    draw(base + ((uintptr_t)i << HAK_PAGE_SHIFT), size_class, key);
  }
}

void hak_watch_forget(const void* block, unsigned size_class) {
  uintptr_t page = hak_round_down((uintptr_t)block, HAK_PAGE_BYTES);
  hak_page_map_swap_class(page, hak_class_watched(size_class), size_class);
}
