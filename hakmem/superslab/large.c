// The choice between a span and a huge block, by size for new ones, by address for the rest.

#include "hakmem/superslab/large.h"

#include "hakmem/options/tick.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/check.h"
#include "hakmem/superslab/huge.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/superslab/span.h"

void* hak_large_alloc(size_t size, size_t alignment, bool zero) {
  if (size > HAK_LARGE_MAX || alignment > HAK_LARGE_MAX) return NULL;
  hak_reserve_ready();
  hak_tick();
  size_t span_max = hak_super_bytes() / 2;
  bool is_span = size <= span_max && alignment <= span_max;
  return is_span ? hak_span_alloc(size, alignment, zero) : hak_huge_alloc(size, alignment, zero);
}

void hak_large_free(void* ptr) {
  hak_superslab_t* super = hak_page_map_super(ptr);
  if (super == NULL) hak_fatal_pointer("free of a pointer that is not ours", ptr);
  hak_run_t* span = hak_span_at(super, ptr);
  hak_superslab_t* huge = hak_huge_at(super, ptr);
  if (span != NULL) {
    hak_span_free(span);
  } else if (huge != NULL) {
    hak_huge_free(huge);
  } else {
    hak_fatal_pointer("free of a pointer where no block is", ptr);
  }
  hak_tick();
}

bool hak_large_find(const void* address, uintptr_t* base, size_t* bytes) {
  hak_superslab_t* super = hak_page_map_super(address);
  if (super == NULL) return false;
  if (hak_super_has_runs(super)) {
    *base = hak_page_map_run_base(address);
    *bytes = hak_page_map_span_bytes((const void*)*base);
    return (uintptr_t)address - *base < *bytes;
  }
  hak_superslab_t* head = super->head;
  if (hak_load_relaxed(&super->state) != HAK_SUPER_HUGE || head == NULL) return false;
  *base = head->base;
  *bytes = head->huge_bytes;
  return (uintptr_t)address - *base < *bytes;
}

size_t hak_large_usable_size(const void* ptr) {
  uintptr_t base;
  size_t bytes;
  return hak_large_find(ptr, &base, &bytes) && base == (uintptr_t)ptr ? bytes : 0;
}

void* hak_large_resize(void* ptr, size_t size) {
  if (size > HAK_LARGE_MAX) return NULL;
  hak_superslab_t* super = hak_page_map_super(ptr);
  hak_superslab_t* huge = hak_huge_at(super, ptr);
  if (huge != NULL) return hak_huge_resize(huge, size);
  hak_run_t* span = hak_span_at(super, ptr);
  return span != NULL ? hak_span_resize(span, size) : NULL;
}
