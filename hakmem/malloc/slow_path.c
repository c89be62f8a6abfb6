// Refills, overflows, large blocks, and the last attempts when memory is short.

#include "hakmem/malloc/slow_path.h"

#include <errno.h>
#include <string.h>

#include "hakmem/hardened/hardened.h"
#include "hakmem/hardened/quarantine.h"
#include "hakmem/hardened/sample.h"
#include "hakmem/heap/cache.h"
#include "hakmem/heap/flush.h"
#include "hakmem/heap/span_cache.h"
#include "hakmem/malloc/background.h"
#include "hakmem/malloc/misuse.h"
#include "hakmem/malloc/zero_size.h"
#include "hakmem/options/events.h"
#include "hakmem/platform/fork.h"
#include "hakmem/slab/central.h"
#include "hakmem/superslab/large.h"
#include "hakmem/superslab/room.h"
#include "hakmem/thread/idle.h"
#include "hakmem/thread/thread.h"

// ---- the thread's heap ----

hak_noinline static hak_heap_t* begin(void) {
  hak_heap_t* heap = hak_thread_begin();
  if (heap != NULL && heap->entry->index != 0) hak_idle_start();
  return heap;
}

// The thread's heap, which it now gets if it has none; NULL when it can have none.
static hak_heap_t* begun(hak_heap_t* heap) {
  if (hak_likely(heap != HAK_NO_HEAP)) return heap;
  return hak_is_hardened() ? NULL : begin();
}

// What is asked for: a block of a class, and for which request.
typedef struct request {
  size_t size, alignment;
  unsigned size_class;
} request_t;

// Of a hardened process, or of a thread that is ending.
static void* refill_without_heap(request_t request) {
  if (hak_is_hardened()) {
    hak_background_look();
    return hak_hardened_alloc(request.size, request.alignment, false);
  }
  void* block = NULL;
  return hak_central_take(request.size_class, &block + 1, 1, true) == 1 ? block : NULL;
}

static void* refill(hak_heap_t* heap, request_t request) {
  hak_fork_look();
  bool is_new = heap == HAK_NO_HEAP;
  heap = begun(heap);
  if (heap == NULL) return refill_without_heap(request);
  void* block = hak_cache_refill(heap, request.size_class);
  if (hak_unlikely(is_new) && heap->entry->index != 0) hak_background_begin_thread();
  hak_background_look();
  return block;
}

// ---- out of memory ----

void* hak_refuse(void) {
  errno = ENOMEM;
  return NULL;
}

static void* out_of_memory(unsigned size_class, size_t bytes) {
  hak_event_record(HAK_EVENT_OUT_OF_MEMORY, size_class, 0, bytes, 0);
  return hak_refuse();
}

// Memory that caches hold, those of other threads too, serves a program that would have none
// otherwise. False: nothing could give it so much.
static bool empty_caches(size_t bytes) {
  if (hak_is_hardened()) hak_quarantine_empty();  // first: what waits is no room yet
  if (!hak_room_is_possible(bytes)) return false;
  if (hak_this_heap != HAK_NO_HEAP) hak_cache_drain(hak_this_heap);
  hak_idle_reclaim_all(true);
  return true;
}

// ---- malloc ----

_Atomic(bool) hak_has_ill_fitting;

static void* alloc_small(hak_heap_t* heap, request_t request) {
  void* block = NULL;
  if (hak_sample_is_due()) block = hak_sample_alloc(request.size, request.alignment);
  if (block == NULL) block = refill(heap, request);
  if (hak_likely(block != NULL)) return block;
  size_t bytes = (size_t)hak_class_info(request.size_class)->slab_pages << HAK_PAGE_SHIFT;
  if (empty_caches(bytes)) block = refill(hak_this_heap, request);
  return block != NULL ? block : out_of_memory(request.size_class, bytes);
}

void* hak_malloc_refill(size_t size, hak_heap_t* heap, size_t size_class) {
  if (size_class == 0) {  // malloc(0)
    void* nothing = hak_zero_size_alloc();
    if (nothing != NULL) return nothing;
    hak_store_relaxed(&hak_has_ill_fitting, true);
    size_class = 1;
  }
  return alloc_small(heap, (request_t){size, HAK_MIN_ALIGNMENT, (unsigned)size_class});
}

void* hak_malloc_refill_aligned(size_t size, size_t alignment, hak_heap_t* heap,
                                unsigned size_class) {
  return alloc_small(heap, (request_t){size, alignment, size_class});
}

static void* alloc_large(size_t size, size_t alignment, bool zero) {
  return hak_hardened_begin() ? hak_hardened_alloc(size, alignment, zero)
                              : hak_large_alloc(size, alignment, zero);
}

hak_noinline static void* alloc_uncached(size_t size, size_t alignment, bool zero) {
  hak_background_look();
  void* block = alloc_large(size, alignment, zero);
  if (hak_likely(block != NULL)) return block;
  if (empty_caches(size + alignment)) block = alloc_large(size, alignment, zero);
  return block != NULL ? block : out_of_memory(0, size);
}

void* hak_malloc_large_aligned(size_t size, size_t alignment, bool zero) {
  hak_fork_look();
  void* block = hak_span_cache_take(hak_this_heap, size, alignment);
  if (block == NULL) return alloc_uncached(size, alignment, zero);
  return zero ? memset(block, 0, size) : block;
}

void* hak_malloc_large(size_t size) {
  if (hak_unlikely(size > PTRDIFF_MAX)) return hak_refuse();
  hak_fork_look();
  void* block = hak_span_cache_take(hak_this_heap, size, HAK_MIN_ALIGNMENT);
  return hak_likely(block != NULL) ? block : alloc_uncached(size, HAK_MIN_ALIGNMENT, false);
}

void* hak_malloc_try(hak_heap_t* heap, size_t size) {
  if (size > HAK_SMALL_MAX) {
    hak_fork_look();
    void* block = hak_span_cache_take(heap, size, HAK_MIN_ALIGNMENT);
    return block != NULL ? block : hak_large_alloc(size, HAK_MIN_ALIGNMENT, false);
  }
  unsigned size_class = hak_class_of(size);
  void* block = hak_magazine_pop(heap->top, size_class);
  return block != NULL ? block : refill(heap, (request_t){size, HAK_MIN_ALIGNMENT, size_class});
}

// ---- free ----

static void free_uncached(void* ptr) {
  if (hak_zero_size_free(ptr) || hak_sample_free(ptr)) return;
  if (hak_unlikely(hak_large_usable_size(ptr) == 0)) hak_misuse_end(HAK_MISUSE_FREE, ptr);
  hak_large_free(ptr);
}

static void free_without_heap(void* ptr, size_t size_class) {
  if (hak_is_hardened()) {
    if (hak_hardened_free(ptr) || hak_zero_size_free(ptr)) return;
    hak_misuse_end(HAK_MISUSE_FREE, ptr);
  }
  if (size_class == 0) {
    free_uncached(ptr);
  } else {
    hak_flush_block(NULL, ptr);
  }
}

void hak_free_slow(void* ptr, hak_heap_t* heap, size_t size_class) {
  if (ptr == NULL) return;
  hak_fork_look();
  heap = begun(heap);
  if (hak_unlikely(heap == NULL)) {
    free_without_heap(ptr, size_class);
  } else if (size_class != 0) {
    hak_cache_overflow(ptr, heap, (unsigned)size_class);
  } else if (!hak_span_cache_put(heap, ptr)) {
    free_uncached(ptr);
  }
}
