// The visits to heaps of idle threads, in batches; a cursor says where the next one goes on.

#include "hakmem/thread/idle.h"

#include <string.h>

#include "hakmem/heap/cache.h"
#include "hakmem/heap/flush.h"
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/thread/thread.h"

// Heaps whose threads may have to wait for each other's to be done with.
#define BATCH 8
// Heaps looked at in one go.
#define VISITS 64
// Beyond this a visit begins with no further heap: who comes next goes on there.
#define VISIT_NS 200000
// No visits more often than this, whatever the purge delay.
#define MIN_PERIOD_MS 100

typedef struct fence {
  void** slot;  // NULL: none
  void* block;  // what was there
} fence_t;

typedef struct victim {
  hak_heap_entry_t* entry;
  fence_t fences[HAK_N_STACKS];
} victim_t;

static victim_t victims[BATCH];         // lock:IDLE
static unsigned n_victims;              // lock:IDLE
static const hak_heap_entry_t* cursor;  // lock:IDLE: the next heap to visit; NULL: the first
static _Atomic(bool) is_started;

// ---- which heaps ----

// What a heap's fast paths change. (A thread that has been at work and left all as it was is taken
// for idle. It is safe all the same.)
static uint64_t signature_of(hak_heap_t* heap) {
  uint64_t signature = hak_load_relaxed(&heap->span_pages);
  for (unsigned c = 1; c < HAK_N_STACKS; c++) {
    signature =
        (signature ^ (uintptr_t)hak_load_relaxed(&heap->top[c])) * UINT64_C(0x9e3779b97f4a7c15);
  }
  return signature;
}

static bool is_victim(hak_heap_entry_t* entry, bool must_be_idle) {
  hak_heap_t* heap = entry->heap;
  if (heap == hak_this_heap || !hak_thread_heap_is_open(heap)) return false;
  uint64_t signature = signature_of(heap);
  bool is_idle = signature == entry->seen;
  entry->seen = signature;
  bool has_news = hak_load_relaxed(&heap->pending) != HAK_PENDING_NONE;
  return (is_idle || !must_be_idle) && (signature != entry->reclaimed || has_news);
}

// ---- taking back ----

static void mark(hak_reclaim_t state) {
  for (unsigned i = 0; i < n_victims; i++) {
    atomic_store(&victims[i].entry->heap->reclaim, state);  // before `busy` is read
  }
}

// Leaves out the heaps that are in a slow path or gone. What is left is marked as acted on.
static void drop_busy(void) {
  unsigned n = 0;
  for (unsigned i = 0; i < n_victims; i++) {
    hak_heap_t* heap = victims[i].entry->heap;
    // (A mark that is gone went with the memory of a heap whose thread has ended meanwhile.)
    bool is_free = atomic_load(&heap->busy) == 0 && hak_thread_heap_is_open(heap) &&
                   hak_load_relaxed(&heap->reclaim) == HAK_RECLAIM_ASKED;
    hak_store_release(&heap->reclaim, is_free ? HAK_RECLAIM_ACTING : HAK_RECLAIM_NONE);
    if (is_free) victims[n++].entry = victims[i].entry;
  }
  n_victims = n;
}

static void raise_fences(victim_t* victim) {
  hak_heap_t* heap = victim->entry->heap;
  for (unsigned c = 1; c < HAK_N_STACKS; c++) {
    fence_t* fence = &victim->fences[c];
    void** bottom = hak_load_relaxed(&heap->bins[c].magazine.bottom);
    void** top = hak_load_relaxed(&heap->top[c]);
    fence->slot = bottom != NULL && top >= bottom + 2 ? top - 2 : NULL;
    if (fence->slot == NULL) continue;
    // In one step: the owner may have come down there and put another block in the slot.
    fence->block = hak_exchange_acq_rel((hak_slot_t*)fence->slot, NULL);
  }
}

// Only if the owner has not put another block there since.
static void lower_fence(const fence_t* fence) {
  if (fence->slot == NULL) return;
  void* none = NULL;
  atomic_compare_exchange_strong_explicit((hak_slot_t*)fence->slot, &none, fence->block,
                                          memory_order_relaxed, memory_order_relaxed);
}

static void take_below(hak_heap_t* heap, unsigned stack, const fence_t* fence) {
  hak_bin_t* bin = &heap->bins[stack];
  if (fence->slot == NULL) return;
  // In this order. An owner that was below the fence when it went up, and has come back, has put
  // another block in its place, which stays.
  bool is_above = hak_load_acquire(&heap->top[stack]) > fence->slot + 1;
  if (!is_above || hak_load_relaxed((hak_slot_t*)fence->slot) != NULL) {
    lower_fence(fence);
    return;
  }
  void** first = hak_load_relaxed(&bin->magazine.bottom);
  unsigned n = (unsigned)(fence->slot - first);
  // Before they go: a forked child must not find them in two places.
  hak_store_relaxed(&bin->magazine.bottom, fence->slot + 1);
  hak_compiler_barrier();
  hak_flush_blocks(heap, first, n);
  hak_flush_block(heap, fence->block);
  hak_counter_add(&heap->bins[hak_class_proper(stack)].returned, n + 1);
}

static size_t reclaim(victim_t* victim) {
  hak_heap_t* heap = victim->entry->heap;
  for (unsigned c = 1; c < HAK_N_STACKS; c++) take_below(heap, c, &victim->fences[c]);
  size_t bytes = hak_cache_give_up(heap, true);
  victim->entry->seen = victim->entry->reclaimed = signature_of(heap);
  return bytes;
}

static void lower_fences(victim_t* victim) {
  for (unsigned c = 1; c < HAK_N_STACKS; c++) lower_fence(&victim->fences[c]);
}

// Without the barrier the magazines keep what they have.
static void fence_victims(void) {
  bool has_barrier = hak_platform_has_barrier();
  for (unsigned i = 0; i < n_victims; i++) {
    if (has_barrier) {
      raise_fences(&victims[i]);
    } else {
      memset(victims[i].fences, 0, sizeof victims[i].fences);
    }
  }
  if (!has_barrier || n_victims == 0 || hak_platform_barrier_everywhere()) return;
  for (unsigned i = 0; i < n_victims; i++) {
    lower_fences(&victims[i]);
    memset(victims[i].fences, 0, sizeof victims[i].fences);
  }
}

// Until `end_ns`, but one at least. Returns how many were seen to.
static unsigned reclaim_victims(uint64_t end_ns) {
  mark(HAK_RECLAIM_ASKED);
  drop_busy();
  fence_victims();
  unsigned n_done = 0;
  for (unsigned i = 0; i < n_victims; i++) {
    if (i == 0 || hak_platform_now_ns() < end_ns) {
      n_done++;
      size_t bytes = reclaim(&victims[i]);
      if (bytes != 0) hak_purge_report(bytes);
    } else {
      lower_fences(&victims[i]);
    }
  }
  mark(HAK_RECLAIM_NONE);
  return n_done;
}

// Ends parked heaps once the lock is released: that takes locks of lower rank.
static void end_parked(const hak_heap_entry_t* const* entries, unsigned n) {
  for (unsigned i = 0; i < n; i++) (void)hak_thread_end_parked(entries[i]);
}

void hak_idle_visit(void) {
  if (!hak_lock_try(&hak_reclaim_lock)) return;
  n_victims = 0;
  const hak_heap_entry_t* idle[BATCH];
  unsigned n_idle = 0;
  if (cursor == NULL) cursor = hak_thread_heaps();
  for (unsigned i = 0; i < VISITS && n_victims < BATCH && cursor != NULL; i++) {
    hak_heap_entry_t* entry = (hak_heap_entry_t*)cursor;
    cursor = entry->next;
    if (!is_victim(entry, true)) continue;
    idle[n_idle++] = entry;
    victims[n_victims++].entry = entry;
  }
  uint64_t end_ns = hak_platform_now_ns() + VISIT_NS;
  unsigned n_done = reclaim_victims(end_ns);
  if (n_done < n_victims) cursor = victims[n_done].entry;
  bool is_round_over = cursor == NULL;
  hak_lock_release(&hak_reclaim_lock);
  end_parked(idle, n_idle);
  uint64_t period_ms =
      hak_max_size((size_t)hak_option_number(HAK_OPTION_purge_delay), MIN_PERIOD_MS);
  hak_tick_set_due(HAK_JOB_IDLE, is_round_over ? hak_platform_now_ms() + period_ms : HAK_TICK_NOW);
}

void hak_idle_reclaim_all(void) {
  hak_thread_end_all_parked();
  hak_lock_acquire(&hak_reclaim_lock);
  for (const hak_heap_entry_t* next = hak_thread_heaps(); next != NULL;) {
    for (n_victims = 0; next != NULL && n_victims < BATCH;) {
      hak_heap_entry_t* entry = (hak_heap_entry_t*)next;
      next = next->next;
      if (is_victim(entry, false)) victims[n_victims++].entry = entry;
    }
    (void)reclaim_victims(UINT64_MAX);
  }
  hak_lock_release(&hak_reclaim_lock);
}

void hak_idle_start(void) {
  if (hak_load_relaxed(&is_started) || hak_option_number(HAK_OPTION_purge_delay) < 0) return;
  hak_store_relaxed(&is_started, true);
  hak_tick_register(HAK_JOB_IDLE, hak_idle_visit);
  hak_tick_set_due(HAK_JOB_IDLE, hak_platform_now_ms() + MIN_PERIOD_MS);
}

// ---- after a fork ----

static void repair(bool is_whole) {
  (void)is_whole;
  if (hak_lock_repair(&hak_reclaim_lock)) cursor = NULL;
}
HAK_REPAIR(IDLE, repair, NULL);

void hak_idle_count_locks(hak_lock_counts_t* counts) { hak_lock_count(&hak_reclaim_lock, counts); }
