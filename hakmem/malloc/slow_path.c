// Refills, overflows, large blocks, and the last attempts when memory is short.

#include "hakmem/malloc/slow_path.h"

#include <errno.h>
#include <string.h>

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
  return hak_likely(heap != HAK_NO_HEAP) ? heap : begin();
}

static void* refill_without_heap(unsigned size_class) {
  void* block = NULL;
  return hak_central_take(size_class, &block + 1, 1) == 1 ? block : NULL;
}

static void* refill(hak_heap_t* heap, unsigned size_class) {
  hak_fork_look();
  bool is_new = heap == HAK_NO_HEAP;
  heap = begun(heap);
  if (heap == NULL) return refill_without_heap(size_class);
  void* block = hak_cache_refill(heap, size_class);
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
  if (!hak_room_is_possible(bytes)) return false;
  if (hak_this_heap != HAK_NO_HEAP) hak_cache_drain(hak_this_heap);
  hak_idle_reclaim_all(true);
  return true;
}

// ---- malloc ----

void* hak_malloc_refill(hak_heap_t* heap, size_t class_index) {
  unsigned size_class = (unsigned)class_index;
  if (size_class == 0) {  // malloc(0)
    void* nothing = hak_zero_size_alloc();
    if (nothing != NULL) return nothing;
    size_class = 1;
  }
  void* block = refill(heap, size_class);
  if (hak_likely(block != NULL)) return block;
  size_t bytes = (size_t)hak_class_info(size_class)->slab_pages << HAK_PAGE_SHIFT;
  if (empty_caches(bytes)) block = refill(hak_this_heap, size_class);
  return block != NULL ? block : out_of_memory(size_class, bytes);
}

hak_noinline static void* alloc_uncached(size_t size, size_t alignment, bool zero) {
  hak_background_look();
  void* block = hak_large_alloc(size, alignment, zero);
  if (hak_likely(block != NULL)) return block;
  if (empty_caches(size + alignment)) block = hak_large_alloc(size, alignment, zero);
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
  return block != NULL ? block : refill(heap, size_class);
}

// ---- free ----

static void free_uncached(void* ptr) {
  if (hak_zero_size_free(ptr)) return;
  if (hak_unlikely(hak_large_usable_size(ptr) == 0)) hak_misuse_end(HAK_MISUSE_FREE, ptr);
  hak_large_free(ptr);
}

void hak_free_slow(void* ptr, hak_heap_t* heap, size_t size_class) {
  if (ptr == NULL) return;
  hak_fork_look();
  heap = begun(heap);
  if (size_class == 0) {
    if (heap == NULL || !hak_span_cache_put(heap, ptr)) free_uncached(ptr);
  } else if (heap != NULL) {
    hak_cache_overflow(ptr, heap, (unsigned)size_class);
  } else {
    hak_flush_block(NULL, ptr);
  }
}
