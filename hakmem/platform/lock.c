// The lock's word, and the ranks that the calling thread holds.

#include "hakmem/platform/lock.h"

#include "hakmem/platform/check.h"
#include "hakmem/platform/platform.h"
#include "hakmem/platform/thread_id.h"

#define WAITERS (HAK_THREAD_ID_MAX + 1)

static hak_thread_local uint32_t held_ranks;  // bit mask

// Drepper, "Futexes Are Tricky", mutex 2, with the holder's id in place of 1.
static hak_cold void acquire_contended(hak_lock_t* lock, uint32_t self) {
  for (unsigned spin = 0; spin < 100; spin++) {
    uint32_t free_word = 0;
    if (hak_load_relaxed(&lock->word) == 0 &&
        atomic_compare_exchange_weak_explicit(&lock->word, &free_word, self, memory_order_acquire,
                                              memory_order_relaxed)) {
      return;
    }
    atomic_signal_fence(memory_order_seq_cst);
  }
  for (;;) {
    uint32_t seen = hak_load_relaxed(&lock->word);
    if (seen == 0) {
      // Whoever slept once must assume that others still do.
      if (atomic_compare_exchange_weak_explicit(&lock->word, &seen, self | WAITERS,
                                                memory_order_acquire, memory_order_relaxed)) {
        return;
      }
      continue;
    }
    if ((seen & WAITERS) == 0 &&
        !atomic_compare_exchange_weak_explicit(&lock->word, &seen, seen | WAITERS,
                                               memory_order_relaxed, memory_order_relaxed)) {
      continue;
    }
    hak_platform_wait(&lock->word, seen | WAITERS);
  }
}

void hak_lock_acquire(hak_lock_t* lock) {
  uint32_t self = hak_thread_id();
  hak_assert((hak_load_relaxed(&lock->word) & ~WAITERS) != self);
  hak_assert(held_ranks >> lock->rank == 0);
  // Before the lock is taken, and below after it is released: a signal handler that forks must not
  // find it held and take it for free (hak_lock_holds_any).
  held_ranks |= 1u << lock->rank;
  hak_compiler_barrier();
  uint32_t free_word = 0;
  bool waited = !atomic_compare_exchange_strong_explicit(
      &lock->word, &free_word, self, memory_order_acquire, memory_order_relaxed);
  if (hak_unlikely(waited)) acquire_contended(lock, self);
  hak_counter_add(&lock->acquisitions, 1);
  if (waited) hak_counter_add(&lock->waits, 1);
}

bool hak_lock_try(hak_lock_t* lock) {
  uint32_t bit = 1u << lock->rank;
  bool had_rank = (held_ranks & bit) != 0;
  held_ranks |= bit;  // before, as above
  hak_compiler_barrier();
  uint32_t free_word = 0;
  if (atomic_compare_exchange_strong_explicit(&lock->word, &free_word, hak_thread_id(),
                                              memory_order_acquire, memory_order_relaxed)) {
    hak_counter_add(&lock->acquisitions, 1);
    return true;
  }
  if (!had_rank) held_ranks &= ~bit;
  return false;
}

void hak_lock_release(hak_lock_t* lock) {
  hak_assert((hak_load_relaxed(&lock->word) & ~WAITERS) == hak_thread_id());
  uint32_t old = atomic_exchange_explicit(&lock->word, 0, memory_order_release);
  hak_compiler_barrier();
  held_ranks &= ~(1u << lock->rank);
  if (hak_unlikely((old & WAITERS) != 0)) hak_platform_wake(&lock->word);
}

void hak_lock_count(const hak_lock_t* lock, hak_lock_counts_t* counts) {
  counts->acquisitions += hak_counter_read(&lock->acquisitions);
  counts->waits += hak_counter_read(&lock->waits);
}

bool hak_lock_is_mine(const hak_lock_t* lock) {
  uint32_t holder = hak_load_relaxed(&((hak_lock_t*)lock)->word) & ~WAITERS;
  return holder != 0 && holder == hak_this_thread_id;
}

bool hak_lock_holds_any(void) { return held_ranks != 0; }

bool hak_lock_repair(hak_lock_t* lock) {
  uint32_t holder = hak_load_relaxed(&lock->word) & ~WAITERS;
  bool is_mine = hak_lock_is_mine(lock);
  uint32_t word = is_mine ? holder : 0;  // nobody else is left to wait
  if (hak_load_relaxed(&lock->word) != word) hak_store_relaxed(&lock->word, word);
  return holder != 0 && !is_mine;
}
