// The span cache: spans that a thread has freed, kept for its next blocks of as many pages.
//
// Programs take and free buffers of 64 KiB to 1 MiB in turn; from here a buffer comes, and goes,
// with neither lock nor search, and with the memory it had. A span belongs to no thread, so it
// waits with whoever frees it. Beyond a limit spans go back to their SuperSlabs, those first of
// which there is most; like a magazine, the cache gets a higher limit only when it has to fetch
// again what it has returned, up to HAKMEM_THREAD_CACHE, and to 4 MiB of any one size. Spans are
// taken back from idle threads as blocks are (idle.h). With a purge delay of 0 or without
// SuperSlabs nothing is kept.
//
// For the owner of `heap`; flush and init also for idle.c in its place, and in a forked child.

#ifndef HAKMEM_SPAN_CACHE_H_
#define HAKMEM_SPAN_CACHE_H_

#include "hakmem/heap/heap.h"
#include "hakmem/options/tick.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/superslab/span.h"

// Pages in the spans kept.
static inline size_t hak_span_cache_pages(const hak_heap_t* heap) {
  return hak_load_relaxed(&((hak_heap_t*)heap)->span_pages);
}
static inline void hak_span_cache_set_pages(hak_heap_t* heap, size_t n_pages) {
  hak_store_relaxed(&heap->span_pages, (uint32_t)n_pages);
}

// What hak_span_cache_take does where there is none: sees to it that there may be one next time.
hak_noinline void hak_span_cache_miss(hak_heap_t* heap);

// Makes room for a span of `n_pages`; false: it is not to be kept.
hak_nodiscard hak_noinline bool hak_span_cache_make_room(hak_heap_t* heap, size_t n_pages);

// A block of `size` bytes at a multiple of `alignment`, a power of two, whose contents may be
// anything; NULL when the heap (or HAK_NO_HEAP) has no span of as many pages.
hak_nodiscard static inline void* hak_span_cache_take(hak_heap_t* heap, size_t size,
                                                      size_t alignment) {
  size_t n_pages = hak_pages_of(size);
  if (n_pages > HAK_SPAN_CACHE_MAX_PAGES || alignment > HAK_PAGE_BYTES || heap == HAK_NO_HEAP) {
    return NULL;
  }
  hak_heap_enter(heap);
  void* span = NULL;
  if (hak_likely(heap->span_top[n_pages] != heap->span_bottom[n_pages])) {
    span = *--heap->span_top[n_pages];
    hak_span_cache_set_pages(heap, hak_span_cache_pages(heap) - n_pages);
    hak_span_set_bytes((uintptr_t)span, size);
  } else {
    hak_span_cache_miss(heap);
  }
  hak_heap_leave(heap);
  return span;
}

// Keeps the span that begins at `ptr`, an address whose page map entry has no class. False when it
// is none, or is not to be kept: the caller has to free it.
hak_nodiscard static inline bool hak_span_cache_put(hak_heap_t* heap, void* ptr) {
  size_t n_pages = hak_pages_of(hak_page_map_span_bytes(ptr));
  if (n_pages == 0 || n_pages > HAK_SPAN_CACHE_MAX_PAGES) return false;
  hak_heap_enter(heap);
  bool has_room = heap->span_top[n_pages] != heap->span_bottom[n_pages + 1] &&
                  hak_span_cache_pages(heap) + n_pages <= heap->span_limit;
  bool is_kept = hak_likely(has_room) || hak_span_cache_make_room(heap, n_pages);
  if (is_kept) {
    *heap->span_top[n_pages]++ = ptr;
    hak_span_cache_set_pages(heap, hak_span_cache_pages(heap) + n_pages);
    hak_page_map_set_span_bytes((uintptr_t)ptr, 0);
  }
  hak_heap_leave(heap);
  if (heap->spans_kept++ % HAK_SPAN_CACHE_TICK == 0 || hak_unlikely(hak_tick_is_waiting())) {
    hak_tick();
  }
  return is_kept;
}

// Returns all spans to their SuperSlabs. pre: between hak_heap_enter and hak_heap_leave.
void hak_span_cache_flush(hak_heap_t* heap);

// Makes it empty, without looking at what it held.
void hak_span_cache_init(hak_heap_t* heap);

#endif  // HAKMEM_SPAN_CACHE_H_
