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

// A block of `size` bytes at a multiple of `alignment`, a power of two, whose contents may be
// anything; NULL when the heap (or HAK_NO_HEAP) has no span of as many pages.
hak_nodiscard void* hak_span_cache_take(hak_heap_t* heap, size_t size, size_t alignment);

// Keeps the span that begins at `ptr`, an address whose page map entry has no class. False when it
// is none, or is not to be kept: the caller has to free it.
hak_nodiscard bool hak_span_cache_put(hak_heap_t* heap, void* ptr);

// Returns all spans to their SuperSlabs. pre: between hak_heap_enter and hak_heap_leave.
void hak_span_cache_flush(hak_heap_t* heap);

// Makes it empty, without looking at what it held.
void hak_span_cache_init(hak_heap_t* heap);

#endif  // HAKMEM_SPAN_CACHE_H_
