// Atomic operations under names that say their memory order.
//
// Two uses: synchronisation (acquire, release, the read-modify-writes), and plain single-writer
// values that other threads may read at any time (relaxed: they compile to ordinary loads and
// stores).

#ifndef HAKMEM_ATOMIC_H_
#define HAKMEM_ATOMIC_H_

// The product is C11. Tests are C++17, which has no <stdatomic.h>: this is what C++23's does.
// (Hence _Atomic(T) everywhere, not _Atomic T.)
#ifdef __cplusplus
extern "C++" {
#include <atomic>
}
#define _Atomic(T) std::atomic<T>
using std::atomic_compare_exchange_strong_explicit;
using std::atomic_compare_exchange_weak_explicit;
using std::atomic_exchange_explicit;
using std::atomic_fetch_add_explicit;
using std::atomic_fetch_or_explicit;
using std::atomic_load_explicit;
using std::atomic_signal_fence;
using std::atomic_store_explicit;
using std::memory_order_acq_rel;
using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;
using std::memory_order_seq_cst;
#else
#include <stdatomic.h>
#endif

#include "hakmem/base/base.h"

#if defined(__SANITIZE_THREAD__)
#define HAK_UNDER_TSAN 1
#elif defined(__has_feature)
#define HAK_UNDER_TSAN __has_feature(thread_sanitizer)
#else
#define HAK_UNDER_TSAN 0
#endif

#define hak_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define hak_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define hak_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define hak_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define hak_exchange_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define hak_fetch_or_acq_rel(p, v) atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define hak_fetch_add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define hak_fetch_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)

// Compare and swap: release on success (publishes what was written before), relaxed on failure.
#define hak_cas_weak_release(p, expected, desired)                                        \
  atomic_compare_exchange_weak_explicit((p), (expected), (desired), memory_order_release, \
                                        memory_order_relaxed)

#define hak_cas_release(p, expected, desired)                                               \
  atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_release, \
                                          memory_order_relaxed)

#define hak_cas_acquire(p, expected, desired)                                               \
  atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_acquire, \
                                          memory_order_relaxed)

// Compilers keep atomic accesses apart from the instructions that use them. Where one instruction
// will do for a comparison with memory, or to move a pointer in memory on, these two have it.
//
// A relaxed load of a pointer for nothing but one comparison.
// A pointer, of which the caller is the one writer, moved to the next element: stored with release,
// as x86 stores anyway.
#if defined(__x86_64__) && !HAK_UNDER_TSAN
#define hak_peek(p) (*(void**)(p))
#define hak_advance_release(p) \
  __asm__("addq %1, %0" : "+m"(*(p)) : "i"(sizeof(**(p))) : "memory", "cc")
#else
#define hak_peek(p) hak_load_relaxed((_Atomic(void*)*)(p))
#define hak_advance_release(p) hak_store_release((p), hak_load_relaxed(p) + 1)
#endif

// A counter with one writer at a time, readable by any thread without stopping the writer.
typedef _Atomic(uint64_t) hak_counter_t;

static inline void hak_counter_add(hak_counter_t* counter, uint64_t n) {
  hak_store_relaxed(counter, hak_load_relaxed(counter) + n);
}
static inline uint64_t hak_counter_read(const hak_counter_t* counter) {
  return atomic_load_explicit((hak_counter_t*)counter, memory_order_relaxed);
}

// Keeps the compiler from moving memory accesses across: for state that only a signal handler or
// a forked child of the same thread reads.
static inline void hak_compiler_barrier(void) { atomic_signal_fence(memory_order_seq_cst); }

#endif  // HAKMEM_ATOMIC_H_
