// A heap: what one thread has of the allocator. Data, and how its owner marks that it is in motion.
//
// Its magazines (together the thread's cache), the spans it keeps, the slabs it owns, and the stack
// of slabs that others freed into. A heap has one thread at a time; a heap whose thread ended is
// kept and given to a later one. Heaps are never unmapped, so that a thread may follow a stale
// `owner` pointer; but the memory of an idle one may be given back to the kernel, which makes it
// zero: a valid closed heap.
//
// States: closed (pending == NULL: no thread; nothing may be pushed) and open.

#ifndef HAKMEM_HEAP_H_
#define HAKMEM_HEAP_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/bits.h"
#include "hakmem/base/config.h"
#include "hakmem/heap/magazine.h"
#include "hakmem/heap/sampling.h"
#include "hakmem/platform/lock.h"
#include "hakmem/slab/slab.h"

// The rest of what a heap has for a class; slow paths only. Figures are gathered from the atomic
// ones while the thread is at work. Of an outgoing class there is the magazine alone.
typedef struct hak_bin {
  hak_magazine_t magazine;
  uint8_t shared_refills;   // refills from unowned slabs so far
  bool flushed;             // a flush has happened since the magazine last grew
  bool frees_others;        // most blocks of the last flush were of other threads' slabs
  uint32_t n_slabs;         // slabs owned
  uint32_t n_reserve;       // of those, in reserve
  hak_slab_list_t partial;  // owned slabs that have free blocks; the first is allocated from
  hak_slab_list_t full;     // owned slabs that have none
  hak_slab_list_t reserve;  // owned slabs that are empty, last used last
  hak_counter_t taken;      // blocks that went from slabs into magazines
  hak_counter_t returned;   // blocks that went back
  hak_counter_t refills;
  hak_counter_t flushes;
  hak_counter_t remote_frees;  // blocks returned to slabs of other threads
  hak_counter_t adoptions;     // slabs of ended threads taken over
} hak_bin_t;

// What idle.c is doing with a heap. The owner's slow paths end it, or wait.
typedef enum hak_reclaim {
  HAK_RECLAIM_NONE,
  HAK_RECLAIM_ASKED,   // it waits for a sign of life
  HAK_RECLAIM_FENCED,  // the same, and there may be fences in the magazines
  HAK_RECLAIM_ACTING,  // the heap is its own, but for the tops of the magazines
} hak_reclaim_t;

#define HAK_PENDING_NONE ((hak_slab_t*)1)  // open, and nothing pending
#define HAK_PENDING_CLOSED ((hak_slab_t*)0)

typedef struct hak_heap {
  // Hot, read by every malloc and free of the owner: the top of each class's magazine, and of each
  // outgoing class's. [0] is always empty and full at once.
  hak_magazine_top_t top[HAK_N_ENTRIES];

  // Written by any thread.
  alignas(HAK_CACHE_LINE) _Atomic(hak_slab_t*) pending;
  _Atomic(size_t) waiting_bytes;  // a guess: of slabs that others have freed, still in memory

  // The owner's.
  alignas(HAK_CACHE_LINE) _Atomic(uint32_t) busy;  // see hak_heap_enter
  _Atomic(uint8_t) reclaim;                        // hak_reclaim_t; see hak_heap_enter
  _Atomic(uint32_t) thread;                        // hak_thread_id() of who has it, or had it last
  _Atomic(uint32_t) span_pages;                    // of all the spans kept; see span_cache.h
  uint32_t span_limit;                             // how many there may be
  bool span_evicted;                               // one went back since the limit last grew
  uint8_t spans_kept;                              // modulo 256: for HAK_SPAN_CACHE_TICK
  uint8_t holes_round;                             // the last that is over; see holes.h
  uint8_t holes_class;                             // where it stands: 0: no round is under way
  bool was_parked;                                 // when its thread began
  uint64_t used[(HAK_N_STACKS + 63) / 64];         // bit c: stack c has a magazine
  size_t cache_bytes;                              // what the magazines may hold when full
  size_t owned_bytes;                              // of the slabs owned
  size_t fallen_bytes;           // what is live is so much less than it was: see flush.c
  hak_slab_t* holes_next;        // in that class; NULL: the next class
  void** next_first_slot;        // in first_slots: not used yet
  _Atomic(void**) next_slot;     // in slots: not used yet
  hak_sampler_t sampler;         // when the next token is due
  hak_counter_t atomics;         // read-modify-writes made for remote frees
  struct hak_heap_entry* entry;  // const while open: the heap's place in the registry
  // The spans kept, a stack for each number of pages n, oldest first: from span_bottom[n] up to
  // below span_top[n], and at most up to span_bottom[n + 1].
  void** span_top[HAK_SPAN_CACHE_MAX_PAGES + 1];
  void** span_bottom[HAK_SPAN_CACHE_MAX_PAGES + 2];

  // Memory for magazines, packed in order of first use (magazine_size.c). This and what follows is
  // touched only as needed.
  void* first_slots[HAK_FIRST_SLOTS];
  hak_bin_t bins[HAK_N_STACKS];
  void* span_slots[HAK_SPAN_CACHE_SLOTS];
  void* slots[];
} hak_heap_t;

// What a heap may hold of free memory: in its slabs, and in its magazines when they are full.
static inline size_t hak_heap_bytes(const hak_heap_t* heap) {
  return heap->owned_bytes + heap->cache_bytes;
}

// The stack after `stack` that has a magazine; HAK_N_STACKS when there is none. (0: the first.)
static inline unsigned hak_heap_next_used(const hak_heap_t* heap, unsigned stack) {
  stack++;
  uint64_t bits = stack < 64 ? heap->used[0] >> stack : 0;
  if (bits != 0) return stack + hak_lowest_bit(bits);
  stack = stack < 64 ? 64 : stack;
  bits = stack < HAK_N_STACKS ? heap->used[1] >> (stack - 64) : 0;
  return bits != 0 ? stack + hak_lowest_bit(bits) : HAK_N_STACKS;
}

// The registry of heaps: an entry each, for ever; see thread.h.
typedef struct hak_heap_entry {
  hak_heap_t* heap;                  // const
  struct hak_heap_entry* next;       // const
  struct hak_heap_entry* next_idle;  // lock:REGISTRY: those without a thread; IDLE: orphans
  uint32_t index;                    // const: 0 for the first
  uint64_t seen;                     // lock:IDLE: signature of its cache when it was asked
  uint64_t reclaimed;                // lock:IDLE: its signature when there was nothing left to take
  uint64_t since_ns;                 // lock:IDLE: when it was asked, or fenced
  _Atomic(bool) is_counted;          // the heap's counters are not in the totals of ended threads
  _Atomic(bool) is_orphan;           // by whoever holds lock IDLE
} hak_heap_entry_t;

// The heap of a thread that has none: every magazine is empty and full at once, so that malloc and
// free of such a thread take the slow path by themselves. Never written.
// It is only what the fast paths read of a heap, so that it does not cost a program 24 KiB.
typedef struct hak_no_heap {
  alignas(HAK_CACHE_LINE) hak_magazine_top_t top[HAK_N_ENTRIES];  // as a heap is aligned
} hak_no_heap_t;

extern const hak_no_heap_t hak_no_heap;
#define HAK_NO_HEAP ((hak_heap_t*)&hak_no_heap)

static_assert(offsetof(hak_no_heap_t, top) == offsetof(hak_heap_t, top), "the same beginning");

extern hak_thread_local hak_heap_t* hak_this_heap;

// A heap's slabs and magazines are in motion between these two (they nest). A forked child looks:
// of a thread that was between them nothing but its slabs' bitmaps can be trusted. And whoever
// takes back what an idle thread caches (idle.h): it stays away from a heap that is busy, and the
// owner waits here while it is at work. After hak_heap_enter the caller must look at its
// magazines anew.
//
// The owner stores `busy` and reads `reclaim` without a fence between; idle.c leaves so much time
// between its store and its reading that one of the two sees the other (idle.h says why).
hak_noinline void hak_heap_show_life(hak_heap_t* heap);
static inline void hak_heap_enter(hak_heap_t* heap) {
  uint32_t depth = hak_load_relaxed(&heap->busy) + 1;
  hak_store_relaxed(&heap->busy, depth);
  hak_compiler_barrier();
  if (hak_unlikely(hak_load_acquire(&heap->reclaim) != HAK_RECLAIM_NONE) && depth == 1)
    hak_heap_show_life(heap);
}
static inline void hak_heap_leave(hak_heap_t* heap) {
  hak_store_release(&heap->busy, hak_load_relaxed(&heap->busy) - 1);
}

// Held while caches of idle threads are emptied, or the list of orphans changes.
extern hak_lock_t hak_reclaim_lock;

// Takes down the fences of all magazines. By who has the heap.
void hak_heap_lower_fences(hak_heap_t* heap);

// Orphans: in a forked child, the open heaps of threads that it does not have. They stay as they
// were, since giving up their slabs would write to each of them. Whoever frees their blocks tells
// them as it would tell a thread that sleeps. What they have free of a class is taken over when
// somebody refills the class (cache.c; spans, as class 0, in span_cache.c), or by idle.c in time.
// And the next thread to begin gets one as it is.
extern _Atomic(hak_heap_entry_t*) hak_orphans;  // lock:IDLE: through next_idle
extern _Atomic(uint64_t)
    hak_orphan_classes[(HAK_N_CLASSES + 63) / 64];  // some may have free blocks

static inline bool hak_orphans_may_have(unsigned size_class) {
  uint64_t word = hak_load_relaxed(&hak_orphan_classes[size_class / 64]);
  return hak_unlikely(word != 0) && (word >> (size_class % 64) & 1) != 0;
}

// Any thread. (What a heap's thread has given back to the kernel has no entry.)
static inline bool hak_heap_is_orphan(const hak_heap_t* heap) {
  if (hak_likely(hak_load_relaxed(&hak_orphans) == NULL)) return false;
  struct hak_heap_entry* entry = heap->entry;
  return entry != NULL && hak_load_relaxed(&entry->is_orphan);
}

// Says that they may have free blocks of a class, or (take) that the caller takes those now.
void hak_orphans_give(unsigned size_class);
void hak_orphans_take(unsigned size_class);

// Makes a heap an orphan. In a forked child, by its one thread.
void hak_orphan_add(hak_heap_entry_t* entry);

// Takes one for a thread, as it is; NULL when there is none.
hak_heap_t* hak_orphan_take(void);

#endif  // HAKMEM_HEAP_H_
