// The thread cache: a thread's magazines, and the fast paths over them.
//
// A magazine is a stack of free blocks of one class, an array of pointers: a pop is a load of the
// top, a load of the block's address and a store of the top; the block itself is not touched. An
// empty magazine gets a quarter of its capacity from slabs (refill), a full one returns its lower
// half (flush), so that a program that hovers around what it has comes to neither edge again.
// (Magazines after Bonwick and Adams, "Magazines and Vmem", 2001; but one for each class, not two.)

#ifndef HAKMEM_THREAD_CACHE_H_
#define HAKMEM_THREAD_CACHE_H_

#include "hakmem/heap.h"

// A block of `size_class` when its magazine is empty, or the thread has no heap yet.
// NULL: out of memory (errno is the caller's business).
hak_nodiscard hak_noinline void* hak_cache_refill(hak_heap_t* heap, size_t size_class);

// Takes a block back when the magazine of its class is full, or there is none.
// (The block comes first in these, so that it stays in the register that free got it in.)
hak_noinline void hak_cache_overflow(void* block, hak_heap_t* heap, size_t size_class);

// Takes a small block back that the thread does not own: into the outgoing buffer.
hak_noinline void hak_cache_free_remote(void* block, hak_heap_t* heap, size_t size_class);

// Returns everything the heap caches to the slabs, and its empty slabs. The heap stays open.
void hak_cache_drain(hak_heap_t* heap);

// Returns what `heap`, whose thread is gone, caches, on behalf of `self` (NULL: no heap).
void hak_cache_return_all(hak_heap_t* heap, hak_heap_t* self);

// Prepares a heap fresh from hak_meta_alloc, or cleared after its last thread.
void hak_cache_init(hak_heap_t* heap);

// Clears a heap whose memory is kept for the next thread.
void hak_cache_clear(hak_heap_t* heap);

// Empties the outgoing buffer, takes in what other threads have freed, and gives up the heap's
// spans and those of its slabs that have free blocks, with their memory: for idle.c in the place of
// the owner. Returns the bytes given back to the kernel.
size_t hak_cache_give_up(hak_heap_t* heap);

// In a forked child, of a heap that another thread was changing: forgets its slabs, which others
// may adopt now, and what of its magazines may be gone.
void hak_cache_forget_slabs(hak_heap_t* heap);

// Bytes of a heap with all its magazine memory.
size_t hak_cache_heap_bytes(void);

// A slot of a magazine, which idle.c may read and clear while the owner is at work.
typedef _Atomic(void*) hak_slot_t;

// (The tops are stored with release for idle.c, which reads them with acquire. What is hidden from
// GCC saves it an instruction each: the class, or it computes the address of the top beforehand,
// where load and store can do so themselves; the block, or it moves it to the register of results.)

// Pops a block, or NULL when the magazine is empty. The program will write to the block that is
// next: where another thread had it, its line is fetched meanwhile, for writing.
static inline void* hak_cache_pop(hak_heap_t* heap, size_t size_class) {
  void** slot = hak_load_relaxed(&heap->top[size_class]) - 1;
  void* block = hak_load_relaxed((hak_slot_t*)slot);
  hak_hide_value(block);
  if (hak_likely(block != NULL)) {
    hak_hide_value(size_class);
    hak_store_release(&heap->top[size_class], slot);
    hak_prefetch_write(hak_load_relaxed((hak_slot_t*)slot - 1));
  }
  return block;
}

// Pushes a block; false when the magazine is full.
static inline bool hak_cache_push(hak_heap_t* heap, size_t size_class, void* block) {
  void** slot = hak_load_relaxed(&heap->top[size_class]);
  if (hak_unlikely(slot == heap->limit[size_class])) return false;
  hak_store_relaxed((hak_slot_t*)slot, block);
  hak_hide_value(size_class);
  hak_store_release(&heap->top[size_class], slot + 1);
  return true;
}

#endif  // HAKMEM_THREAD_CACHE_H_
