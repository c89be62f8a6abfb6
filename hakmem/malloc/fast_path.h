// malloc and free of a small block: the two fast paths, for hak_malloc and malloc alike.
//
// Of the allocator's state they read the thread's heap and the page map, and write one magazine.
// No call, no lock, no atomic read-modify-write; the block is not touched.

#ifndef HAKMEM_FAST_PATH_H_
#define HAKMEM_FAST_PATH_H_

#include "hakmem/malloc/slow_path.h"
#include "hakmem/page_map/page_map.h"

static inline void* hak_fast_malloc(size_t size) {
  if (hak_unlikely(size > HAK_SMALL_MAX)) return hak_malloc_large(size);
  size_t size_class = hak_class_of(size);
  hak_heap_t* heap = hak_this_heap;
  void* block = hak_magazine_pop(heap->top, size_class);
  if (hak_unlikely(block == NULL)) return hak_malloc_refill(size, heap, size_class);
  return block;
}

// Class 0, of what is in no slab, has a magazine that is always full.
static inline void hak_fast_free(void* ptr) {
  size_t size_class = hak_page_map_block_class(ptr);
  hak_heap_t* heap = hak_this_heap;
  hak_hide_value(size_class);  // as in magazine.h
  if (hak_unlikely(!hak_magazine_push(heap->top, size_class, ptr))) {
    hak_free_slow(ptr, heap, size_class);
  }
}

#endif  // HAKMEM_FAST_PATH_H_
