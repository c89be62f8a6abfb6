// Kept spans: a stack for each number of pages, all in one array, and a limit on all of them.

#include "hakmem/heap/span_cache.h"

#include <string.h>

#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/check.h"
#include "hakmem/superslab/limit.h"
#include "hakmem/superslab/span.h"

void hak_span_cache_init(hak_heap_t* heap) {
  hak_span_cache_set_pages(heap, 0);
  heap->span_limit = 0;
  heap->span_evicted = false;
  void** slot = heap->span_slots;
  heap->span_top[0] = heap->span_bottom[0] = slot;
  for (unsigned n = 1; n <= HAK_SPAN_CACHE_MAX_PAGES; n++) {
    heap->span_top[n] = heap->span_bottom[n] = slot;
    slot += HAK_SPAN_CACHE_SIZE_PAGES / n;
  }
  heap->span_bottom[HAK_SPAN_CACHE_MAX_PAGES + 1] = slot;
  hak_assert(slot == heap->span_slots + HAK_SPAN_CACHE_SLOTS);
}

static size_t most_pages(void) {
  if (hak_option_number(HAK_OPTION_purge_delay) == 0) return 0;
  if (hak_option_number(HAK_OPTION_use_superslab) == 0) return 0;
  return (size_t)hak_option_number(HAK_OPTION_thread_cache) >> HAK_PAGE_SHIFT;
}

// ---- taking ----

// At a miss: with a higher limit, the span might still be here that has been returned since.
static void grow_if_thrashing(hak_heap_t* heap) {
  if (!heap->span_evicted) return;
  heap->span_limit = (uint32_t)hak_min_size((size_t)heap->span_limit * 2, most_pages());
  heap->span_evicted = false;
}

// What orphans keep goes to where all threads find it.
hak_noinline static void take_over(void) {
  if (!hak_lock_try(&hak_reclaim_lock)) return;  // another time
  hak_orphans_take(0);
  for (hak_heap_entry_t* entry = hak_load_relaxed(&hak_orphans); entry != NULL;
       entry = entry->next_idle) {
    hak_heap_enter(entry->heap);
    hak_span_cache_flush(entry->heap);
    hak_heap_leave(entry->heap);
  }
  hak_lock_release(&hak_reclaim_lock);
}

void hak_span_cache_miss(hak_heap_t* heap) {
  grow_if_thrashing(heap);
  if (hak_orphans_may_have(0)) take_over();
}

// ---- keeping ----

static void return_span(void* ptr) {
  hak_super_return_run(hak_super_run_at(hak_page_map_super(ptr), (uintptr_t)ptr));
}

// The number of pages of whose spans most pages are kept. (A maximum of pairs, which takes no
// branches: they would be mispredicted.)
static unsigned most_kept(const hak_heap_t* heap) {
  enum { UNIT = 2 * HAK_SPAN_CACHE_MAX_PAGES };
  size_t most = 0;
  for (unsigned n = 1; n <= HAK_SPAN_CACHE_MAX_PAGES; n++) {
    size_t n_spans = (size_t)(heap->span_top[n] - heap->span_bottom[n]);
    most = hak_max_size(most, n_spans * n * UNIT + n);
  }
  return (unsigned)(most % UNIT);
}

// Returns the oldest span of `n_pages`.
static void evict(hak_heap_t* heap, unsigned n_pages) {
  void** oldest = heap->span_bottom[n_pages];
  void* span = *oldest;
  heap->span_top[n_pages]--;
  memmove(oldest, oldest + 1, (size_t)(heap->span_top[n_pages] - oldest) * sizeof *oldest);
  hak_span_cache_set_pages(heap, hak_span_cache_pages(heap) - n_pages);
  heap->span_evicted = true;
  return_span(span);
}

// Of the size first of which there is most. Here, not for each span, the options are looked up.
bool hak_span_cache_make_room(hak_heap_t* heap, size_t n_pages) {
  if (hak_limit_is_near()) {
    hak_span_cache_flush(heap);
    return false;
  }
  size_t most = most_pages();
  if (n_pages > most) return false;
  size_t limit = hak_max_size(heap->span_limit, HAK_SPAN_CACHE_FIRST_PAGES);
  heap->span_limit = (uint32_t)hak_min_size(limit, most);
  if (heap->span_top[n_pages] == heap->span_bottom[n_pages + 1]) evict(heap, (unsigned)n_pages);
  while (hak_span_cache_pages(heap) + n_pages > heap->span_limit) evict(heap, most_kept(heap));
  return true;
}

void hak_span_cache_flush(hak_heap_t* heap) {
  for (unsigned n = 1; n <= HAK_SPAN_CACHE_MAX_PAGES; n++) {
    while (heap->span_top[n] != heap->span_bottom[n]) return_span(*--heap->span_top[n]);
  }
  hak_span_cache_init(heap);  // the limit too: that was no sign of too low a one
}
