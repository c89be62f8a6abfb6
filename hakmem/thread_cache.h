// The thread cache: a thread's magazines, and the fast paths over them.
//
// A magazine is a stack of free blocks of one class, an array of pointers: a pop is a load of the
// top, a load of the block's address and a store of the top; the block itself is not touched. When
// the loaded magazine runs empty or full it changes places with the spare one (Bonwick and Adams,
// "Magazines and Vmem", 2001), so that no block moves in memory and a program that hovers at the
// edge does not pay for each step; only when the spare cannot help are blocks fetched from slabs
// (refill) or returned to them (flush).

#ifndef HAKMEM_THREAD_CACHE_H_
#define HAKMEM_THREAD_CACHE_H_

#include "hakmem/heap.h"

// A block of `size_class` when the loaded magazine is empty, or the thread has no heap yet.
// NULL: out of memory (errno is the caller's business).
hak_nodiscard hak_noinline void* hak_cache_refill(hak_heap_t* heap, unsigned size_class);

// Takes a block back when the loaded magazine of its class is full, or there is none.
hak_noinline void hak_cache_overflow(hak_heap_t* heap, unsigned size_class, void* block);

// Takes a small block back that the thread does not own: into the outgoing buffer.
hak_noinline void hak_cache_free_remote(hak_heap_t* heap, void* block);

// Returns everything the heap caches to the slabs. The heap stays open.
void hak_cache_drain(hak_heap_t* heap);

// Returns what `heap`, whose thread is gone, caches, on behalf of `self` (NULL: no heap).
void hak_cache_return_all(hak_heap_t* heap, hak_heap_t* self);

// Prepares a heap fresh from hak_meta_alloc or from its last thread.
void hak_cache_init(hak_heap_t* heap);

// Bytes of a heap with all its magazine memory.
size_t hak_cache_heap_bytes(void);

// Pops a block, or NULL when the loaded magazine is empty.
static inline void* hak_cache_pop(hak_heap_t* heap, unsigned size_class) {
  hak_magazine_t* magazine = &heap->magazines[size_class];
  void** top = hak_load_relaxed(&magazine->top);
  void* block = top[-1];
  if (hak_likely(block != NULL)) hak_store_relaxed(&magazine->top, top - 1);
  return block;
}

// Pushes a block; false when the loaded magazine is full.
static inline bool hak_cache_push(hak_heap_t* heap, unsigned size_class, void* block) {
  hak_magazine_t* magazine = &heap->magazines[size_class];
  void** top = hak_load_relaxed(&magazine->top);
  if (hak_unlikely(top == magazine->limit)) return false;
  *top = block;
  hak_store_relaxed(&magazine->top, top + 1);
  return true;
}

#endif  // HAKMEM_THREAD_CACHE_H_
