// The visits to heaps of idle threads, a step a round; a cursor says where the next one goes on.

#include "hakmem/thread/idle.h"

#include "hakmem/heap/cache.h"
#include "hakmem/heap/flush.h"
#include "hakmem/heap/holes.h"
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/spare.h"
#include "hakmem/thread/thread.h"

// Heaps looked at in one go.
#define VISITS 64
// Beyond this a visit goes on to no further heap: who comes next does.
#define VISIT_NS 200000
// And for so long holes in a heap's slabs may be given back, meanwhile its owner waits.
#define HOLES_NS 1000000
// What an owner had done before is visible to all by then; see idle.h. Some hundred nanoseconds is
// what it takes. By the clock that is exact: the coarse one may be as late as this.
#define GRACE_MS UINT64_C(10)
#define GRACE_NS (GRACE_MS * 1000000)
// For so long after memory has grown rounds follow one another in a hurry: all steps with a thread
// that falls asleep meanwhile. A round may then begin so long after the last for each visit it
// took.
#define HURRY_MS 100
#define HURRIED_VISIT_MS UINT64_C(2)

static const hak_heap_entry_t* cursor;  // lock:IDLE: the next heap to visit; NULL: the first
static bool has_fenced;                 // lock:IDLE: in this round
static bool has_holes;                  // lock:IDLE: there was more than time, in this round
static bool has_found;                  // lock:IDLE: something to do in this round
static unsigned n_visits;               // lock:IDLE: calls that this round took
static uint64_t hurry_until_ms;         // lock:IDLE: memory has grown of late
static bool is_hurried;                 // lock:IDLE: this round
static _Atomic(bool) had_work;          // in the last round
static _Atomic(bool) is_started;

// What a heap's fast paths change. (A thread may have been at work and left all as it was.)
static uint64_t signature_of(hak_heap_t* heap) {
  uint64_t signature = hak_load_relaxed(&heap->span_pages);
  for (unsigned c = 1; c < HAK_N_STACKS; c++) {
    signature =
        (signature ^ (uintptr_t)hak_load_relaxed(&heap->top[c])) * UINT64_C(0x9e3779b97f4a7c15);
  }
  return signature;
}

// ---- the steps ----

// 1: asks the owner for a sign of life.
static void ask(hak_heap_entry_t* entry) {
  hak_heap_t* heap = entry->heap;
  uint64_t signature = signature_of(heap);
  if (signature == entry->reclaimed && hak_load_relaxed(&heap->pending) == HAK_PENDING_NONE) return;
  entry->seen = signature;
  has_found = true;
  uint8_t none = HAK_RECLAIM_NONE;
  (void)atomic_compare_exchange_strong(&heap->reclaim, &none, HAK_RECLAIM_ASKED);
  // After the store, however long this thread was stopped before it: the grace begins here.
  entry->since_ns = hak_platform_now_ns();
}

// Begins a further step; false: the owner has been in a slow path since the last, or is in one.
static bool begin(hak_heap_t* heap, uint8_t state) {
  if (!atomic_compare_exchange_strong(&heap->reclaim, &state, HAK_RECLAIM_ACTING)) return false;
  if (hak_load_acquire(&heap->busy) == 0) return true;
  // It may have come there a moment ago, and wait. Else it was there before it was asked.
  if (state == HAK_RECLAIM_FENCED) hak_heap_lower_fences(heap);
  hak_store_release(&heap->reclaim, HAK_RECLAIM_NONE);
  return false;
}

static void look_at_holes(hak_heap_t* heap) {
  uint64_t end_ns = hak_platform_now_ns() + HOLES_NS;
  while (hak_holes_wait(heap) && hak_platform_now_ns() < end_ns) hak_holes_look(heap);
  has_holes |= hak_holes_wait(heap);
}

// 2: takes what others have freed, and sees to holes in slabs. Where the fast paths have done
// nothing either, or that does not matter, fences go up. Returns whether they have.
static bool raise_fences(hak_heap_entry_t* entry, bool must_be_idle) {
  hak_heap_t* heap = entry->heap;
  if (!begin(heap, HAK_RECLAIM_ASKED)) return false;
  hak_flush_pending(heap);
  look_at_holes(heap);
  if (signature_of(heap) != entry->seen && must_be_idle) {
    hak_store_release(&heap->reclaim, HAK_RECLAIM_NONE);
    return false;
  }
  // (Their memory is likely to be wanted.)
  if (is_hurried) (void)hak_cache_give_up(heap, false);
  for (unsigned c = 0; (c = hak_heap_next_used(heap, c)) < HAK_N_STACKS;) {
    hak_magazine_raise_fence(&heap->bins[c].magazine, &heap->top[c]);
  }
  has_fenced = true;
  hak_store_release(&heap->reclaim, HAK_RECLAIM_FENCED);
  entry->since_ns = hak_platform_now_ns();
  return true;
}

// 3: takes what lies at the fences and below, and all that only slow paths use.
static void take_cache(hak_heap_entry_t* entry) {
  hak_heap_t* heap = entry->heap;
  if (!begin(heap, HAK_RECLAIM_FENCED)) return;
  for (unsigned c = 0; (c = hak_heap_next_used(heap, c)) < HAK_N_STACKS;) {
    void** first;
    hak_magazine_t* magazine = &heap->bins[c].magazine;
    unsigned tokens = hak_magazine_tokens(magazine);
    unsigned n = hak_magazine_take_fenced(magazine, &heap->top[c], &first);
    if (n == 0) continue;
    hak_flush_blocks(heap, first, n - 1);
    if (magazine->fenced != NULL) hak_flush_block(heap, magazine->fenced);
    n -= tokens - hak_magazine_tokens(magazine);
    hak_counter_add(&heap->bins[hak_class_proper(c)].returned, n);
  }
  size_t bytes = hak_cache_give_up(heap, true);
  if (bytes != 0) hak_purge_report(bytes);
  entry->seen = entry->reclaimed = signature_of(heap);
  hak_store_release(&heap->reclaim, HAK_RECLAIM_NONE);
}

// One step with one heap. Whether its thread seems to be idle.
static bool visit(hak_heap_entry_t* entry, bool must_be_idle) {
  hak_heap_t* heap = entry->heap;
  if (heap == hak_this_heap || !hak_thread_heap_is_open(heap)) return false;
  uint64_t now_ns = hak_platform_now_ns();
  uint8_t state = hak_load_relaxed(&heap->reclaim);
  if (state == HAK_RECLAIM_NONE) {
    ask(entry);
    return false;
  }
  has_found = true;
  if (now_ns < entry->since_ns + GRACE_NS) {
    has_fenced |= state == HAK_RECLAIM_FENCED;
  } else if (state == HAK_RECLAIM_ASKED) {
    return raise_fences(entry, must_be_idle);
  } else {
    take_cache(entry);
  }
  return false;
}

// ---- rounds ----

// When the next round begins: soon, where fences stand; sooner, where memory grows.
static uint64_t next_round_ms(void) {
  uint64_t now_ms = hak_platform_now_ms();
  uint64_t delay_ms = (uint64_t)hak_option_number(HAK_OPTION_purge_delay);
  bool is_soon = has_fenced || has_holes;
  uint64_t period_ms = hak_max_size(is_soon ? 0 : delay_ms / 2, HAK_ROUND_LEAST_MS);
  if (hak_spare_take_growth()) hurry_until_ms = now_ms + HURRY_MS;
  is_hurried = now_ms < hurry_until_ms;
  if (is_hurried) period_ms = hak_min_size(period_ms, HURRIED_VISIT_MS * n_visits);
  return now_ms + period_ms;
}

void hak_idle_visit(void) {
  // To see to slabs that nobody owns takes a heap (holes.h).
  if (hak_this_heap == HAK_NO_HEAP && hak_holes_may_be_unowned()) (void)hak_thread_begin();
  if (!hak_lock_try(&hak_reclaim_lock)) return;
  const hak_heap_entry_t* idle[VISITS];
  unsigned n_idle = 0;
  if (cursor == NULL) {
    cursor = hak_thread_heaps();
    has_fenced = has_holes = has_found = false;
    n_visits = 0;
  }
  n_visits++;
  uint64_t end_ns = hak_platform_now_ns() + VISIT_NS;
  for (unsigned i = 0; i < VISITS && cursor != NULL; i++) {
    hak_heap_entry_t* entry = (hak_heap_entry_t*)cursor;
    cursor = entry->next;
    if (!visit(entry, true)) continue;
    idle[n_idle++] = entry;
    if (hak_platform_now_ns() >= end_ns) break;
  }
  bool is_over = cursor == NULL;
  uint64_t next_ms = is_over ? next_round_ms() : HAK_TICK_NOW;
  if (is_over) hak_store_relaxed(&had_work, has_found);
  hak_lock_release(&hak_reclaim_lock);
  // Parked heaps are ended without the lock: that takes locks of lower rank.
  for (unsigned i = 0; i < n_idle; i++) (void)hak_thread_end_parked(idle[i]);
  hak_tick_set_due(HAK_JOB_IDLE, next_ms);
}

bool hak_idle_has_work(void) { return hak_load_relaxed(&had_work) || hak_holes_has_work(); }

// One step with each heap. Whether there are further steps.
static bool visit_all(bool must_be_idle) {
  hak_lock_acquire(&hak_reclaim_lock);
  has_found = false;
  for (const hak_heap_entry_t* entry = hak_thread_heaps(); entry != NULL; entry = entry->next) {
    (void)visit((hak_heap_entry_t*)entry, must_be_idle);
  }
  bool is_more = has_found;
  hak_lock_release(&hak_reclaim_lock);
  return is_more;
}

void hak_idle_reclaim_all(bool busy_too) {
  hak_thread_end_all_parked();
  if (!hak_platform_has_true_clock()) return;
  for (int step = 0; visit_all(!busy_too) && step < 2; step++) hak_platform_sleep_ms(2 * GRACE_MS);
}

void hak_idle_start(void) {
  if (hak_load_relaxed(&is_started) || hak_option_number(HAK_OPTION_purge_delay) < 0) return;
  if (!hak_platform_has_true_clock()) return;
  hak_store_relaxed(&is_started, true);
  hak_tick_register(HAK_JOB_IDLE, hak_idle_visit);
  (void)hak_spare_take_growth();  // from here on it counts
  hak_tick_set_due(HAK_JOB_IDLE, hak_platform_now_ms() + HAK_ROUND_LEAST_MS);
  hak_holes_start();
}

// ---- after a fork ----

static void repair(bool is_whole) {
  (void)is_whole;
  if (hak_lock_repair(&hak_reclaim_lock)) cursor = NULL;
}
HAK_REPAIR(IDLE, repair, NULL);

void hak_idle_count_locks(hak_lock_counts_t* counts) { hak_lock_count(&hak_reclaim_lock, counts); }
