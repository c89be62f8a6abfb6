// malloc and free of a small block: the two fast paths, for hak_malloc and malloc alike.
//
// Of the allocator's state they read the thread's heap and the page map, and write one magazine.
// No call, no lock, no atomic read-modify-write; the block is not touched.

#ifndef HAKMEM_FAST_PATH_H_
#define HAKMEM_FAST_PATH_H_

#include "hakmem/page_map.h"
#include "hakmem/size_class.h"
#include "hakmem/thread_cache.h"

// Everything that is not small, or whose magazine is empty. Sets errno.
hak_nodiscard hak_noinline void* hak_malloc_large(size_t size);
hak_nodiscard hak_noinline void* hak_malloc_refill(hak_heap_t* heap, size_t size_class);

// NULL, a block of another thread, a large block, or a pointer that is not ours. `difference`: of
// its page map entry and the heap's tag (exclusive or).
hak_noinline void hak_free_other(void* ptr, hak_heap_t* heap, size_t difference);

static inline void* hak_fast_malloc(size_t size) {
  if (hak_unlikely(size > HAK_SMALL_MAX)) return hak_malloc_large(size);
  size_t size_class = hak_class_of(size);
  hak_heap_t* heap = hak_this_heap;
  void* block = hak_cache_pop(heap, size_class);
  if (hak_unlikely(block == NULL)) return hak_malloc_refill(heap, size_class);
  return block;
}

static inline void hak_fast_free(void* ptr) {
  size_t entry = hak_page_map_entry(ptr);
  hak_heap_t* heap = hak_this_heap;
  // Same tag: what is left is the class. Another tag leaves a bit above the class set.
  size_t difference = entry ^ heap->tag;
  if (hak_unlikely(difference > HAK_ENTRY_CLASS_MASK)) {
    hak_free_other(ptr, heap, difference);
  } else if (hak_unlikely(!hak_cache_push(heap, difference, ptr))) {
    hak_cache_overflow(ptr, heap, difference);
  }
}

#endif  // HAKMEM_FAST_PATH_H_
