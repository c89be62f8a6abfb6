// The cache of a thread: its magazines, between the fast paths and the slabs.
//
// A freed block goes into the magazine of the thread that frees it, whoever has its slab: it is
// warm there, and that thread is the one to want a block of its class a moment later. An empty
// magazine gets a quarter of its capacity from slabs (refill); a full one returns a few of the
// blocks that have lain longest (overflow), whence they go to the slabs of whichever heap, grouped
// (flush.h).
//
// Blocks of a slab whose blocks travel between threads, and several of which share a cache line,
// wait in the outgoing magazine of their class, from which nothing is handed out: it goes back to
// the slabs when it is full, and when the class is refilled. So two threads that each free and
// allocate such blocks, which they have from a third, do not end up with parts of one line. A slab
// is known for one of these as soon as a block of it comes home from another thread; and a block
// for which a line class's magazine has no room, as when it is a thread's first, goes home at once.
//
// `heap` is never HAK_NO_HEAP here. (In some functions the block comes first, so that it stays in
// the register that free got it in.)

#ifndef HAKMEM_CACHE_H_
#define HAKMEM_CACHE_H_

#include "hakmem/heap/heap.h"

// A block of `size_class` when its magazine is empty, or has a token on top. NULL: out of memory
// (errno is the caller's business). *has_token: the block had one, so that the allocation is to be
// sampled.
hak_nodiscard void* hak_cache_refill(hak_heap_t* heap, unsigned size_class, bool* has_token);

// Gives a block its token, if it lies on top of its class's magazine.
void hak_cache_put_token(const void* block, hak_heap_t* heap, unsigned size_class);

// Takes a block back that finds no room in stack `stack`, a class or an outgoing class.
void hak_cache_overflow(void* block, hak_heap_t* heap, unsigned stack);

// Returns everything the heap caches to the slabs, and its empty slabs. The heap stays open.
void hak_cache_drain(hak_heap_t* heap);

// Returns what the magazines hold when sampling begins: it has no tokens. (But for line classes,
// which are little: blocks that go home before their class is known to be used count as
// travelling.)
void hak_cache_return_unsampled(hak_heap_t* heap);

// Prepares a heap fresh from hak_meta_alloc, or cleared after its last thread.
void hak_cache_init(hak_heap_t* heap);

// Before a heap is another thread's with what it caches: lets the magazines of line classes find no
// room for a block that is freed beyond what they hold, as if they were new. pre: between
// hak_heap_enter and hak_heap_leave.
void hak_cache_begin_lines(hak_heap_t* heap);

// Clears a heap whose memory is kept for the next thread.
void hak_cache_clear(hak_heap_t* heap);

// Takes in what other threads have freed, and gives up the heap's spans and those of its slabs that
// have free blocks; with_memory: and the memory of these, for idle.c in the place of the owner.
// Returns the bytes given back to the kernel.
size_t hak_cache_give_up(hak_heap_t* heap, bool with_memory);

// In a forked child, of a heap that another thread was changing: forgets its slabs, which others
// may adopt now, and what of its magazines may be gone.
void hak_cache_forget_slabs(hak_heap_t* heap);

#endif  // HAKMEM_CACHE_H_
