#include "hakmem/span_cache.h"

#include <string.h>

#include "hakmem/large.h"
#include "hakmem/options.h"
#include "hakmem/thread.h"
#include "hakmem/tick.h"

void hak_span_cache_init(hak_heap_t* heap) {
  hak_store_relaxed(&heap->span_pages, 0);
  heap->span_limit = HAK_SPAN_CACHE_FIRST_PAGES;
  heap->span_evicted = false;
  memset(heap->spans, 0, sizeof heap->spans);
  memset(heap->n_spans, 0, sizeof heap->n_spans);
}

static unsigned span_pages(const hak_heap_t* heap) {
  return hak_load_relaxed(&((hak_heap_t*)heap)->span_pages);
}

static unsigned most_pages(void) {
  if (hak_option_number(HAK_OPTION_purge_delay) == 0) return 0;
  return (unsigned)((size_t)hak_option_number(HAK_OPTION_thread_cache) >> HAK_PAGE_SHIFT);
}

static void remove_span(hak_heap_t* heap, hak_slab_t* span) {
  unsigned n_pages = span->n_pages;
  hak_slab_list_remove(&heap->spans[n_pages], span);
  heap->n_spans[n_pages]--;
  hak_store_relaxed(&heap->span_pages, span_pages(heap) - n_pages);
  hak_store_relaxed(&span->use, HAK_RUN_SPAN);
}

static void add_span(hak_heap_t* heap, hak_slab_t* span) {
  unsigned n_pages = span->n_pages;
  hak_store_relaxed(&span->owner, heap);
  hak_store_relaxed(&span->use, HAK_RUN_CACHED);
  hak_page_map_set_span_bytes(span->base, 0);
  hak_slab_list_append(&heap->spans[n_pages], span);
  heap->n_spans[n_pages]++;
  hak_store_relaxed(&heap->span_pages, span_pages(heap) + n_pages);
}

// ---- taking ----

// At a miss: with a higher limit, the span might still be here that has been returned since.
static void grow_if_thrashing(hak_heap_t* heap) {
  if (!heap->span_evicted) return;
  heap->span_limit = (uint32_t)hak_min_size((size_t)heap->span_limit * 2, most_pages());
  heap->span_evicted = false;
}

void* hak_span_cache_take(hak_heap_t* heap, size_t size, size_t alignment) {
  size_t n_pages = hak_pages_of(size);
  if (n_pages > HAK_SPAN_CACHE_MAX_PAGES || alignment > HAK_PAGE_BYTES || heap == HAK_NO_HEAP) {
    return NULL;
  }
  hak_thread_enter(heap);
  hak_slab_t* span = heap->spans[n_pages].last;
  if (span != NULL) {
    remove_span(heap, span);
    hak_large_set_span_bytes(span, size);
  } else {
    grow_if_thrashing(heap);
  }
  hak_thread_leave(heap);
  return span != NULL ? (void*)span->base : NULL;
}

// ---- keeping ----

// Returns the oldest span of the size that takes most pages.
static void evict(hak_heap_t* heap) {
  unsigned victim = 0;
  for (unsigned n = 1; n <= HAK_SPAN_CACHE_MAX_PAGES; n++) {
    if (heap->n_spans[n] * n > heap->n_spans[victim] * victim) victim = n;
  }
  hak_slab_t* span = heap->spans[victim].first;
  remove_span(heap, span);
  hak_super_return_run(span);
  heap->span_evicted = true;
}

bool hak_span_cache_put(hak_heap_t* heap, const void* ptr) {
  hak_slab_t* span = hak_large_span_at(ptr);
  size_t most = most_pages();
  if (span == NULL || span->n_pages > hak_min_size(most, HAK_SPAN_CACHE_MAX_PAGES)) return false;
  if (heap == HAK_NO_HEAP) heap = hak_thread_begin();
  if (heap == NULL) return false;
  hak_thread_enter(heap);
  size_t limit = hak_min_size(heap->span_limit, most);
  while (span_pages(heap) + span->n_pages > limit) evict(heap);
  add_span(heap, span);
  hak_thread_leave(heap);
  hak_tick();
  return true;
}

void hak_span_cache_flush(hak_heap_t* heap) {
  for (unsigned n = 1; n <= HAK_SPAN_CACHE_MAX_PAGES; n++) {
    for (hak_slab_t* span; (span = heap->spans[n].last) != NULL;) {
      remove_span(heap, span);
      hak_super_return_run(span);
    }
  }
  hak_span_cache_init(heap);  // the limit too: that was no sign of too low a one
}
