// A bounded ring through which one thread hands blocks to one other, which frees them. It has one
// writer and one reader, is mapped before the clock starts and never calls malloc, so that it costs
// the same whichever allocator is measured. It does not wait: whoever finds it full or empty
// decides what to do meanwhile (wait.h).
//
// The writer puts blocks in and publishes several at a time; closing says that no more will come.
// Each side writes cache lines of its own.

#ifndef HAKMEM_WORKLOADS_HARNESS_RING_H_
#define HAKMEM_WORKLOADS_HARNESS_RING_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "workloads/harness/measure.h"

enum { WL_CACHE_LINE = 64 };

typedef struct wl_handed {
  void* block;
  uint64_t tag;  // from which the reader knows what the block holds
} wl_handed;

// Entries [head, tail) are in the ring; both counters only grow.
typedef struct wl_ring {
  _Alignas(WL_CACHE_LINE) _Atomic uint64_t tail;  // writer: release after the entries are written
  uint64_t known_head;                            // writer: head as last read
  uint64_t written;                               // writer: entries written, published or not
  uint64_t waits_full;                            // writer's count, kept by the workload
  _Alignas(WL_CACHE_LINE) _Atomic uint64_t head;  // reader: release after the entries are read
  uint64_t waits_empty;                           // reader's count, kept by the workload
  _Alignas(WL_CACHE_LINE) atomic_bool closed;     // writer: set after its last publication
  uint64_t capacity;                              // const: a power of two
  wl_handed* entries;                             // const
} wl_ring;

// pre: `ring` is zeroed memory of wl_map; capacity is a power of two.
static inline void wl_ring_init(wl_ring* ring, uint64_t capacity) {
  ring->capacity = capacity;
  ring->entries = (wl_handed*)wl_map(capacity * sizeof(wl_handed));
}

// ---- the writer ----

static inline void wl_ring_publish(wl_ring* ring) {
  atomic_store_explicit(&ring->tail, ring->written, memory_order_release);
}

// Whether `count` more entries fit. The reader's line is read only when they may not.
static inline bool wl_ring_has_room(wl_ring* ring, uint64_t count) {
  if (ring->written + count - ring->known_head <= ring->capacity) return true;
  ring->known_head = atomic_load_explicit(&ring->head, memory_order_acquire);
  return ring->written + count - ring->known_head <= ring->capacity;
}

// pre: wl_ring_has_room(ring, 1). Publishes when `batch` entries have come together.
static inline void wl_ring_put(wl_ring* ring, wl_handed item, uint64_t batch) {
  ring->entries[ring->written++ & (ring->capacity - 1)] = item;
  if (ring->written % batch == 0) wl_ring_publish(ring);
}

static inline void wl_ring_close(wl_ring* ring) {
  wl_ring_publish(ring);
  atomic_store_explicit(&ring->closed, true, memory_order_release);
}

// ---- the reader ----

// Entries that are published and not taken.
static inline uint64_t wl_ring_ready(const wl_ring* ring) {
  uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  return atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
}

// The entry `index` places behind the oldest. pre: index < wl_ring_ready(ring).
static inline wl_handed wl_ring_at(const wl_ring* ring, uint64_t index) {
  uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  return ring->entries[(head + index) & (ring->capacity - 1)];
}

// Gives the places of the oldest `count` entries back to the writer.
static inline void wl_ring_take(wl_ring* ring, uint64_t count) {
  uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  atomic_store_explicit(&ring->head, head + count, memory_order_release);
}

// Whether nothing is left and nothing will come. Closed is read before the last look at the tail:
// the writer publishes first.
static inline bool wl_ring_has_ended(const wl_ring* ring) {
  return atomic_load_explicit(&ring->closed, memory_order_acquire) && wl_ring_ready(ring) == 0;
}

// For another use after it has ended: the writer must not have begun it.
static inline void wl_ring_reopen(wl_ring* ring) {
  atomic_store_explicit(&ring->closed, false, memory_order_relaxed);
}

#endif  // HAKMEM_WORKLOADS_HARNESS_RING_H_
