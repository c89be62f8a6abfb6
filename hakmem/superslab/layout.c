// Where in a descriptor things lie; the backend's lock.

#include "hakmem/superslab/layout.h"

#include "hakmem/base/bits.h"
#include "hakmem/page_map/meta.h"

hak_lock_t hak_backend_lock = HAK_LOCK_INIT(HAK_RANK_BACKEND);

static size_t runs_bytes(unsigned n_pages) { return n_pages * HAK_RUN_BYTES; }

size_t hak_super_descriptor_bytes(unsigned n_pages) {
  return sizeof(hak_superslab_t) + runs_bytes(n_pages) + n_pages * HAK_BITMAP_BYTES;
}

uint64_t hak_super_covered_pages(const hak_superslab_t* super, size_t bytes, uint32_t i) {
  size_t before = (size_t)i * super->n_pages << HAK_PAGE_SHIFT;
  if (bytes <= before) return 0;
  return hak_bit_run(0, (unsigned)hak_min_size(hak_pages_of(bytes - before), super->n_pages));
}

bool hak_super_ready_bitmaps(hak_superslab_t* super, unsigned size_class) {
  if (!hak_class_has_wide_bitmaps(size_class) || super->wide_bitmaps != NULL) return true;
  super->wide_bitmaps = hak_meta_alloc(super->n_pages * HAK_WIDE_BITMAP_BYTES, HAK_CACHE_LINE);
  return super->wide_bitmaps != NULL;
}

void* hak_run_bitmap(hak_run_t* run, unsigned size_class) {
  hak_superslab_t* super = hak_page_map_super((const void*)run->base);
  size_t page = (run->base - super->base) >> HAK_PAGE_SHIFT;
  if (hak_class_has_wide_bitmaps(size_class))
    return super->wide_bitmaps + page * HAK_WIDE_BITMAP_BYTES;
  return super->runs + runs_bytes(super->n_pages) + page * HAK_BITMAP_BYTES;
}

uint64_t hak_super_tail_pages(const hak_superslab_t* super) {
  const hak_superslab_t* head = super->head;
  unsigned state = hak_load_relaxed(&((hak_superslab_t*)super)->state);
  if (state != HAK_SUPER_HUGE || head == NULL) return 0;
  size_t bytes = (size_t)super->n_pages << HAK_PAGE_SHIFT;
  uint32_t i = (uint32_t)((super->base - head->base) / bytes);
  return hak_bit_run(0, super->n_pages) & ~super->absent_pages &
         ~hak_super_covered_pages(super, head->huge_bytes, i);
}
