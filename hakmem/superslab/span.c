// Spans: runs, and the bytes that the page map has for them.

#include "hakmem/superslab/span.h"

#include <string.h>

#include "hakmem/base/bits.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/superslab/reserve.h"

void* hak_span_alloc(size_t size, size_t alignment, bool zero) {
  bool dirty = false;
  unsigned n_pages = (unsigned)hak_max_size(hak_pages_of(size), 1);
  unsigned align_pages = (unsigned)hak_max_size(hak_pages_of(alignment), 1);
  hak_run_t* run = hak_super_take_run(n_pages, align_pages, 0, &dirty);
  if (run == NULL) return NULL;
  hak_span_set_bytes(run->base, size);
  if (zero && dirty) memset((void*)run->base, 0, size);
  return (void*)run->base;
}

hak_run_t* hak_span_at(hak_superslab_t* super, const void* ptr) {
  return hak_page_map_span_bytes(ptr) != 0 ? hak_super_run_at(super, (uintptr_t)ptr) : NULL;
}

void hak_span_free(hak_run_t* span) {
  hak_page_map_set_span_bytes(span->base, 0);
  hak_super_return_run(span);
}

void* hak_span_resize(hak_run_t* span, size_t size) {
  size_t n_pages = hak_pages_of(size);
  uint64_t had_pages = span->n_pages;
  if (n_pages > hak_super_pages() / 2 || 2 * n_pages < had_pages) return NULL;
  if (n_pages > had_pages) {
    if (!hak_super_grow_run(span, (unsigned)n_pages)) return NULL;
  } else if (n_pages < had_pages) {
    hak_super_shrink_run(span, (unsigned)n_pages);
  }
  hak_span_set_bytes(span->base, size);
  return (void*)span->base;
}
