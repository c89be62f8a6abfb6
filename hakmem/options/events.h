// Slow events: what the backend did and what ran out, when.
//
// A ring of the last ones, written on slow paths only, lock-free, readable at any time. When
// HAKMEM_SS_DEBUG=1 each is also a line on stderr, which the next tick writes: an event is recorded
// with locks held, and a write may take its time. And how often each class ran out of room: an
// event that is counted and answered by taking one more SuperSlab, never by falling back to
// another allocator.

#ifndef HAKMEM_EVENTS_H_
#define HAKMEM_EVENTS_H_

#include "hakmem/base/base.h"
#include "hakmem/base/config.h"
#include "hakmem/platform/platform.h"

typedef enum hak_event_kind {
  HAK_EVENT_RESERVED,       // address space reserved: bytes, at address
  HAK_EVENT_EXHAUSTED,      // no SuperSlab had room for the class: one more was taken, at address
  HAK_EVENT_OUT_OF_MEMORY,  // no memory for the class (0: a large block) or bytes
  HAK_EVENT_PURGED,         // bytes given back to the kernel
  HAK_EVENT_ADOPTED,  // a slab of the class (bytes, at address) whose thread ended got a new one
  HAK_EVENT_KERNEL_FAILED,  // a call failed: detail is the errno value, size_class the kind of call
  HAK_EVENT_PREWARMED,      // bytes made ready for the class
  HAK_EVENT_NEAR_LIMIT,     // memory is beyond the soft limit: bytes
  HAK_EVENT_AT_LIMIT,       // the hard limit has no room for bytes
  HAK_EVENT_N_KINDS,
} hak_event_kind_t;

typedef struct hak_event {
  uint64_t sequence;  // 1 for the first event of the process
  uint64_t time_ns;   // monotonic
  uint64_t address;
  uint64_t bytes;
  uint32_t thread;  // hak_thread_id
  uint16_t kind;
  uint16_t size_class;
  int32_t detail;
} hak_event_t;

#define HAK_EVENT_RING 256

void hak_event_record(hak_event_kind_t kind, unsigned size_class, uintptr_t address, size_t bytes,
                      int detail);

// Writes the lines of events that have none yet, and says how many the ring no longer holds. The
// tick's job; and once more when the process ends. No lock held.
void hak_events_print(void);

// Copies up to `max` of the last events, oldest first, without those that are being written over.
// Returns how many.
size_t hak_events_read(hak_event_t* out, size_t max);

// Events of the process so far; exhaustions of one class (0: spans).
uint64_t hak_events_count(void);
uint64_t hak_events_exhausted(unsigned size_class);

// Reports a failed call, when `error` is not 0; returns whether it succeeded.
static inline bool hak_event_kernel_ok(hak_kernel_kind_t kind, int error, const void* address,
                                       size_t bytes) {
  if (error != 0) hak_event_record(HAK_EVENT_KERNEL_FAILED, kind, (uintptr_t)address, bytes, error);
  return error == 0;
}

const char* hak_event_name(hak_event_kind_t kind);

#endif  // HAKMEM_EVENTS_H_
