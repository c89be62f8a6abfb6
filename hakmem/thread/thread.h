// Threads: a heap for each, from its first allocation to its end, and the registry of all heaps.

#ifndef HAKMEM_THREAD_H_
#define HAKMEM_THREAD_H_

#include "hakmem/heap/heap.h"

// Gives the calling thread a heap, which it keeps until it ends. NULL when it can have none: there
// is no memory for one, or the thread is ending and has given its heap up. It then works without,
// one block at a time.
hak_heap_t* hak_thread_begin(void);

// Ends the heap of `entry` if it is parked, waiting for a thread with what it caches (false: it is
// not); ends all such. How many there are. No lock held.
bool hak_thread_end_parked(const hak_heap_entry_t* entry);
void hak_thread_end_all_parked(void);
unsigned hak_thread_count_parked(void);

// All heaps ever made, newest first: a list that only grows. A heap is open while a thread has it.
// Its counters and magazines may be read by any thread that holds the lock
// below while its entry is_counted.
const hak_heap_entry_t* hak_thread_heaps(void);
static inline bool hak_thread_heap_is_open(hak_heap_t* heap) {
  return hak_load_acquire(&heap->pending) != HAK_PENDING_CLOSED;
}

// Bytes of all heaps that no thread has come to yet, or that were given back: they are mapped, and
// not in memory.
size_t hak_thread_untouched_bytes(void);

// While it is held, what a thread has counted stays where it is: in its heap, whose entry then
// is_counted, or, once the thread has ended, in the totals below.
extern hak_lock_t hak_counts_lock;

// What heaps counted whose threads have ended, for one class. lock:COUNTS
typedef struct hak_class_totals {
  uint64_t taken, returned, refills, flushes, remote_frees, adoptions;
} hak_class_totals_t;
void hak_thread_add_totals(hak_class_totals_t* totals, const hak_bin_t* bin);
void hak_thread_ended_totals(unsigned size_class, hak_class_totals_t* totals);
uint64_t hak_thread_ended_atomics(void);

void hak_thread_count_locks(hak_lock_counts_t* counts);

#endif  // HAKMEM_THREAD_H_
