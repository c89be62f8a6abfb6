// Units of address space, and the mappings entered in them.

#include "hakmem/superslab/direct.h"

#include "hakmem/base/bits.h"
#include "hakmem/options/events.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/spare.h"

#define UNIT_BYTES ((size_t)1 << HAK_SUPER_MIN_SHIFT)

static hak_superslab_t* units;  // lock:BACKEND

hak_superslab_t* hak_direct_units(void) { return units; }

static hak_superslab_t* unit_at(uintptr_t address) {
  hak_superslab_t* unit = hak_page_map_super((void*)address);
  // (It may still be said to be a SuperSlab's, whose address space was lost a moment ago.)
  if (unit != NULL) return hak_super_is_direct(unit) ? unit : NULL;
  uintptr_t base = hak_round_down(address, UNIT_BYTES);
  unit = hak_meta_alloc(hak_super_descriptor_bytes(HAK_DIRECT_MAX_PAGES), HAK_CACHE_LINE);
  if (unit == NULL || !hak_page_map_add_range(base, UNIT_BYTES)) return NULL;
  unit->base = base;
  unit->n_pages = HAK_DIRECT_MAX_PAGES;
  unit->free_pages = hak_bit_run(0, HAK_DIRECT_MAX_PAGES);
  hak_store_relaxed(&unit->state, HAK_SUPER_DIRECT);
  unit->next = units;
  units = unit;
  hak_page_map_set_super(base, UNIT_BYTES, unit);
  return unit;
}

// Enters a fresh mapping in its unit. lock:BACKEND
static hak_run_t* enter(uintptr_t base, unsigned n_pages, unsigned size_class) {
  hak_superslab_t* unit = unit_at(base);
  if (unit == NULL || !hak_super_ready_bitmaps(unit, size_class)) return NULL;
  unsigned at = (unsigned)((base - unit->base) >> HAK_PAGE_SHIFT);
  uint64_t mask = hak_bit_run(at, n_pages);
  hak_assert((unit->free_pages & mask) == mask);
  unit->free_pages &= ~mask;
  unit->dirty_pages |= mask;
  hak_spare_count(unit);
  hak_run_t* run = hak_super_run(unit, at);
  run->base = base;
  hak_page_map_set_run(base, 0, n_pages);
  run->n_pages = (uint8_t)n_pages;
  run->size_class = 0;
  hak_run_set_use(run, size_class != 0 ? HAK_RUN_SLAB : HAK_RUN_SPAN);
  return run;
}

hak_run_t* hak_direct_take_run(unsigned n_pages, unsigned align_pages, unsigned size_class) {
  size_t bytes = (size_t)n_pages << HAK_PAGE_SHIFT;
  size_t alignment = hak_max_size(HAK_PAGE_BYTES, (size_t)align_pages << HAK_PAGE_SHIFT);
  while (alignment < bytes) alignment *= 2;
  void* base = NULL;
  int error = hak_platform_map(bytes, alignment, &base);
  if (!hak_event_kernel_ok(HAK_KERNEL_MMAP, error, NULL, bytes)) return NULL;
  hak_lock_acquire(&hak_backend_lock);
  hak_run_t* run = enter((uintptr_t)base, n_pages, size_class);
  hak_lock_release(&hak_backend_lock);
  if (run == NULL) hak_platform_unmap(base, bytes);
  return run;
}

void hak_direct_return_run(hak_superslab_t* unit, hak_run_t* run) {
  size_t bytes = (size_t)run->n_pages << HAK_PAGE_SHIFT;
  uintptr_t base = run->base;
  uint64_t mask = hak_bit_run((unsigned)((base - unit->base) >> HAK_PAGE_SHIFT), run->n_pages);
  hak_lock_acquire(&hak_backend_lock);
  run->size_class = 0;
  run->n_pages = 0;
  unit->free_pages |= mask;
  unit->dirty_pages &= ~mask;
  hak_spare_count(unit);
  hak_lock_release(&hak_backend_lock);
  // Last: from here on another mapping may come to lie there. Where the kernel refuses, for it
  // would have to split a mapping and there are too many, the address space is lost but not the
  // memory.
  int error = hak_platform_unmap((void*)base, bytes);
  if (hak_event_kernel_ok(HAK_KERNEL_MUNMAP, error, (void*)base, bytes)) return;
  error = hak_platform_purge((void*)base, bytes);
  (void)hak_event_kernel_ok(HAK_KERNEL_MADVISE, error, (void*)base, bytes);
}
