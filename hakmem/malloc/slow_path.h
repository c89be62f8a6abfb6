// malloc and free where the fast paths do not reach: a thread without a heap, a magazine without
// blocks or without room, large blocks, memory that is short.

#ifndef HAKMEM_SLOW_PATH_H_
#define HAKMEM_SLOW_PATH_H_

#include "hakmem/base/atomic.h"
#include "hakmem/heap/heap.h"

// NULL, with errno ENOMEM.
void* hak_refuse(void);

// Whether there has been a block that is much larger than what it was asked for last: of size 0,
// with memory after all; or one that had to stay where it was, for want of another, when it shrank.
// From then on a sized free may say less than half of what a block has.
extern _Atomic(bool) hak_has_ill_fitting;

// A block of `size`, above the small classes. NULL: out of memory, with errno.
hak_nodiscard hak_noinline void* hak_malloc_large(size_t size);

// The same at a multiple of `alignment`, a power of two, and zero where `zero` asks for it. pre:
// the sum of size and alignment is at most PTRDIFF_MAX.
hak_nodiscard void* hak_malloc_large_aligned(size_t size, size_t alignment, bool zero);

// A block of `size_class`, which is that of `size` bytes, where `heap` has none at hand. NULL: out
// of memory, with errno. (The size comes first, so that it stays in the register that malloc got it
// in.)
hak_nodiscard hak_noinline void* hak_malloc_refill(size_t size, hak_heap_t* heap,
                                                   size_t size_class);

// The same at a multiple of `alignment`, for which the class is the right one. pre: size_class !=
// 0.
hak_nodiscard void* hak_malloc_refill_aligned(size_t size, size_t alignment, hak_heap_t* heap,
                                              unsigned size_class);

// hak_large_resize, as the heap profiler is to see it: one block is freed, another allocated.
hak_nodiscard void* hak_malloc_resize_large(void* ptr, size_t size);

// A block of `size` for those who can do with less: when memory is short, no cache is emptied for
// it, and errno is left alone.
hak_nodiscard void* hak_malloc_try(hak_heap_t* heap, size_t size);

// Frees what finds no room in the magazine of the class that the page map has for it: also NULL, a
// large block, and what is no block of ours. (The block comes first, so that it stays in the
// register that free got it in.)
hak_noinline void hak_free_slow(void* ptr, hak_heap_t* heap, size_t size_class);

#endif  // HAKMEM_SLOW_PATH_H_
