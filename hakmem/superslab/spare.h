// Spare memory: pages that are free and still hold memory. How much of it there is, and how much is
// worth its keep.
//
// The purge (purge.h) gives back what has been free for its delay, when somebody comes by. A
// program that frees much and then sleeps would keep it all; so what is spare beyond a bound goes
// back at once. The bound is a share of what is in use, and what experience adds: where memory was
// given back at once and memory has to be faulted in again within the purge delay, that much more
// is kept from then on. So a program that goes up and down by the same amount pays for it once. And
// where spare memory gets as old as the delay after all, that much less is kept.

#ifndef HAKMEM_SPARE_H_
#define HAKMEM_SPARE_H_

#include "hakmem/superslab/layout.h"

// Counts a SuperSlab's pages anew, whose free_pages or dirty_pages have changed. lock:BACKEND
void hak_spare_count(hak_superslab_t* super);

// Counts nothing any more, so that hak_spare_count can count all of them. In a forked child.
void hak_spare_forget(void);

// Bytes of pages that hold memory, in use or not. No lock needed.
size_t hak_spare_committed_bytes(void);

// Of those, bytes of free pages. No lock needed.
size_t hak_spare_bytes(void);

// Whether the limit (limit.h) leaves room for `bytes` more in use, spare memory not counted; a
// refusal is an event. lock:BACKEND
hak_nodiscard bool hak_spare_admits(size_t bytes);

// Bytes of spare memory beyond the bound; 0 until they are worth a system call. Near the limit all
// of it is, whatever the purge delay. lock:BACKEND
size_t hak_spare_excess(void);

// Whether `bytes` that have become free in slabs, of `held` bytes that these are in all, are beyond
// the bound, too. No lock needed.
bool hak_spare_is_beyond(size_t bytes, size_t held);
static inline bool hak_spare_is_excess(size_t bytes, size_t held) {
  return hak_unlikely(bytes > HAK_SPARE_LEAST_BYTES) && hak_spare_is_beyond(bytes, held);
}

// Says that so much of slabs was given back before its time; or that blocks are in use again where
// so much was given back. No lock held.
void hak_spare_gave_holes(size_t bytes);
void hak_spare_took_holes(size_t bytes);

// Says that so much was given back before its time, and that of so much the kernel would not have
// it: that is kept, and not offered again before its time has come. Or that so much was given back
// because its time had come. lock:BACKEND
void hak_spare_gave_early(size_t bytes, size_t refused_bytes);
void hak_spare_gave_aged(size_t bytes);

// Whether memory that is dirty has grown since the last call, by so much that whoever holds some
// without using it should be asked. It may be threads that sleep: so that they are asked soon,
// growth makes the job of idle.c due at once, if it has a time at all. Any thread.
bool hak_spare_take_growth(void);

#endif  // HAKMEM_SPARE_H_
