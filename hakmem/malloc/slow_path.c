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
#include "hakmem/profile/profile.h"
#include "hakmem/slab/central.h"
#include "hakmem/slab/watch.h"
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

// What is asked for: a block of a class, for which request, and by whom: the return address of the
// program's call, as far as it is known, for the heap profiler.
typedef struct request {
  size_t size, alignment;
  unsigned size_class;
  const void* caller;
} request_t;

// Of a hardened process, or of a thread that is ending.
static void* refill_without_heap(request_t request) {
  if (hak_is_hardened()) {
    hak_background_look();
    return hak_hardened_alloc(request.size, request.alignment, false);
  }
  void* block = NULL;
  if (hak_central_take(request.size_class, &block + 1, 1, true) == 0) return NULL;
  bool is_sampled = hak_sampling_draw(NULL, hak_class_info(request.size_class)->block_bytes);
  return is_sampled ? hak_profile_take(block, request.size_class, request.caller) : block;
}

static void* refill(hak_heap_t* heap, request_t request) {
  hak_fork_look();
  bool is_new = heap == HAK_NO_HEAP;
  heap = begun(heap);
  if (heap == NULL) return refill_without_heap(request);
  bool has_token;
  void* block = hak_cache_refill(heap, request.size_class, &has_token);
  if (hak_unlikely(has_token) && block != NULL) {
    block = hak_profile_take(block, request.size_class, request.caller);
  }
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
  if (hak_sample_is_due()) {
    block = hak_sample_alloc(request.size, request.alignment, request.caller);
  }
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
  return alloc_small(heap, (request_t){size, HAK_MIN_ALIGNMENT, (unsigned)size_class,
                                       __builtin_return_address(0)});
}

void* hak_malloc_refill_aligned(size_t size, size_t alignment, hak_heap_t* heap,
                                unsigned size_class) {
  return alloc_small(heap, (request_t){size, alignment, size_class, __builtin_return_address(0)});
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

// Lets the heap profiler see a large block; NULL is none.
static inline void* noted(void* block, const void* caller) {
  if (hak_unlikely(hak_sampling_is_on()) && block != NULL) {
    hak_heap_t* heap = hak_this_heap != HAK_NO_HEAP ? hak_this_heap : NULL;
    hak_profile_note(block, hak_large_usable_size(block), heap, caller);
  }
  return block;
}

void* hak_malloc_large_aligned(size_t size, size_t alignment, bool zero) {
  hak_fork_look();
  void* block = hak_span_cache_take(hak_this_heap, size, alignment);
  if (block == NULL) {
    block = alloc_uncached(size, alignment, zero);
  } else if (zero) {
    memset(block, 0, size);
  }
  return noted(block, __builtin_return_address(0));
}

void* hak_malloc_large(size_t size) {
  if (hak_unlikely(size > PTRDIFF_MAX)) return hak_refuse();
  hak_fork_look();
  void* block = hak_span_cache_take(hak_this_heap, size, HAK_MIN_ALIGNMENT);
  if (hak_unlikely(block == NULL)) block = alloc_uncached(size, HAK_MIN_ALIGNMENT, false);
  return noted(block, __builtin_return_address(0));
}

void* hak_malloc_resize_large(void* ptr, size_t size) {
  hak_fork_look();
  hak_profile_forget(ptr);
  return noted(hak_large_resize(ptr, size), __builtin_return_address(0));
}

void* hak_malloc_try(hak_heap_t* heap, size_t size) {
  if (size > HAK_SMALL_MAX) {
    hak_fork_look();
    void* block = hak_span_cache_take(heap, size, HAK_MIN_ALIGNMENT);
    if (block == NULL) block = hak_large_alloc(size, HAK_MIN_ALIGNMENT, false);
    return noted(block, __builtin_return_address(0));
  }
  unsigned size_class = hak_class_of(size);
  void* block = hak_magazine_pop(heap->top, size_class);
  if (block != NULL) return block;
  return refill(heap,
                (request_t){size, HAK_MIN_ALIGNMENT, size_class, __builtin_return_address(0)});
}

// ---- free ----

static void free_uncached(void* ptr, const void* caller) {
  if (hak_zero_size_free(ptr) || hak_sample_free(ptr, caller)) return;
  if (hak_unlikely(hak_large_usable_size(ptr) == 0)) hak_misuse_end(HAK_MISUSE_FREE, ptr);
  hak_large_free(ptr);
}

// The stand-in of a sampled block is freed in its place, as free would.
static void free_sampled(void* ptr) {
  void* stand_in = hak_profile_free(ptr);
  if (stand_in == NULL) return;
  size_t size_class = hak_page_map_block_class(stand_in);
  hak_heap_t* heap = hak_this_heap;
  if (!hak_magazine_push(heap->top, size_class, stand_in)) {
    hak_free_slow(stand_in, heap, size_class);
  }
}

static void free_without_heap(void* ptr, size_t size_class, const void* caller) {
  if (hak_is_hardened()) {
    if (hak_hardened_free(ptr) || hak_zero_size_free(ptr)) return;
    hak_misuse_end(HAK_MISUSE_FREE, ptr);
  }
  if (size_class == 0) {
    free_uncached(ptr, caller);
  } else {
    hak_flush_block(NULL, ptr);
  }
}

// A block of a watched page: to its magazine as any other, with a token if one is due.
static void free_watched(void* ptr, hak_heap_t* heap, unsigned size_class) {
  int64_t hazard = hak_load_relaxed(&hak_free_hazards[size_class]);
  if (hak_unlikely(hazard == 0)) hak_watch_forget(ptr, size_class);
  bool has_token = hak_sampling_step(&heap->sampler, hazard);
  if (hak_unlikely(!hak_magazine_push(heap->top, size_class, ptr))) {
    hak_cache_overflow(ptr, heap, size_class);
  }
  if (hak_unlikely(has_token)) hak_cache_put_token(ptr, heap, size_class);
}

void hak_free_slow(void* ptr, hak_heap_t* heap, size_t size_class) {
  if (ptr == NULL) return;
  // Early, for these are many while they are, and take no more than the fast path does.
  if (hak_class_is_watched((unsigned)size_class) && hak_likely(heap != HAK_NO_HEAP)) {
    free_watched(ptr, heap, hak_class_proper((unsigned)size_class));
    return;
  }
  hak_fork_look();
  heap = begun(heap);
  if (size_class == 0) hak_profile_forget(ptr);
  if (hak_unlikely(size_class == HAK_CLASS_SAMPLED)) {
    free_sampled(ptr);
  } else if (hak_unlikely(heap == NULL)) {
    free_without_heap(ptr, size_class, __builtin_return_address(0));
  } else if (hak_unlikely(hak_class_is_watched((unsigned)size_class))) {  // it had no heap
    hak_cache_overflow(ptr, heap, hak_class_proper((unsigned)size_class));
  } else if (size_class != 0) {
    hak_cache_overflow(ptr, heap, (unsigned)size_class);
  } else if (!hak_span_cache_put(heap, ptr)) {
    free_uncached(ptr, __builtin_return_address(0));
  }
}
