// Rounds of looks at slabs, with a cursor in each heap and one for the slabs that nobody owns.

#include "hakmem/heap/holes.h"

#include "hakmem/heap/flush.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/platform.h"
#include "hakmem/slab/central.h"
#include "hakmem/superslab/purge.h"

// What one piece may cost, in looks; a slab whose holes go back takes as long as some of them.
#define PIECE 256
#define PURGE_COST 8

_Atomic(uint8_t) hak_holes_round;

static unsigned at_class;       // lock:IDLE: of the unowned slabs to look at; 0: the round begins
static unsigned n_left;         // lock:IDLE: of that class
static bool has_found;          // lock:IDLE: in this round
static _Atomic(bool) had_work;  // in the last round

static void report(size_t bytes) {
  if (bytes != 0) hak_purge_report(bytes);
}

// ---- a heap's own ----

// Slabs in reserve, the longest unused first.
static void return_unused(hak_heap_t* heap, unsigned size_class, uint8_t round) {
  hak_bin_t* bin = &heap->bins[size_class];
  unsigned n = 0, i = 0;
  for (hak_slab_t* slab = bin->reserve.first; slab != NULL; slab = slab->next, i++) {
    if (hak_slab_look(slab, round) != 0 && n == i) n++;
  }
  for (; n != 0; n--) hak_flush_return_reserve(heap, size_class);
}

// Whether a slab, as the cursor has it from a look that may lie back, is in the heap's list of
// those with free blocks. (That of a slab which is no more has no owner.)
static bool is_partial(const hak_heap_t* heap, unsigned size_class, hak_slab_t* slab) {
  return hak_load_acquire(&slab->owner) == heap && slab->run.size_class == size_class &&
         hak_slab_free_count(slab) != 0 && !hak_slab_is_idle(slab);
}

void hak_holes_look(hak_heap_t* heap) {
  uint8_t round = hak_load_relaxed(&hak_holes_round);
  unsigned c = heap->holes_class;  // 0: the round begins
  hak_slab_t* slab = heap->holes_next;
  // If it has gone elsewhere, the rest of its class is for the next round.
  if (slab != NULL && !is_partial(heap, c, slab)) slab = NULL;
  size_t bytes = 0;
  for (int left = PIECE; left > 0; left--) {
    if (slab == NULL) {
      c = hak_heap_next_used(heap, c);
      if (c >= HAK_N_CLASSES) {
        heap->holes_round = round;
        c = 0;
        break;
      }
      return_unused(heap, c, round);
      slab = heap->bins[c].partial.first;
      continue;
    }
    size_t least = hak_slab_look(slab, round);
    if (least != 0) {
      bytes += hak_slab_purge(slab, least);
      left -= PURGE_COST;
    }
    slab = slab->next;
  }
  heap->holes_class = (uint8_t)c;
  heap->holes_next = slab;
  report(bytes);
}

// ---- those that nobody owns ----

// Looks at slabs of a class, *n at the most, up to one whose holes go back: false: none's. The heap
// has that slab meanwhile, so that the class's lock need not be held: what is freed into it is a
// remote free. Without a heap (NULL) the lock is held.
static bool purge_one(hak_heap_t* heap, uint8_t round, unsigned* n, size_t* bytes) {
  if (heap == NULL) return hak_central_purge(at_class, round, n, bytes);
  size_t least = 0;
  hak_slab_t* slab = hak_central_look(at_class, heap, round, n, &least);
  if (slab == NULL) return false;
  *bytes += hak_slab_purge(slab, least);
  hak_central_return(slab);
  return true;
}

// Some of them. Returns whether the round is over.
static bool look_at_unowned(hak_heap_t* heap) {
  uint8_t round = hak_load_relaxed(&hak_holes_round);
  size_t bytes = 0;
  int left = PIECE;
  while (left > 0) {
    if (n_left == 0) {
      at_class++;
      if (at_class == HAK_N_CLASSES) break;
      n_left = hak_central_count(at_class);
      left--;
      continue;
    }
    unsigned n = (unsigned)hak_min_size(n_left, (size_t)left), before = n;
    bool is_one = purge_one(heap, round, &n, &bytes);
    n_left -= is_one ? before - n : before;
    left -= (int)(before - n) + 1;
    if (!is_one) continue;
    left -= PURGE_COST;
    has_found = true;
  }
  report(bytes);
  return at_class == HAK_N_CLASSES;
}

// ---- rounds ----

static void set_due(bool is_over) {
  uint64_t delay_ms = (uint64_t)hak_option_number(HAK_OPTION_purge_delay);
  uint64_t next_ms = hak_platform_now_ms() + hak_max_size(delay_ms, HAK_ROUND_LEAST_MS);
  hak_tick_set_due(HAK_JOB_HOLES, is_over ? next_ms : HAK_TICK_NOW);
}

// The job of the tick: goes on with the unowned slabs; when it is over with them a round begins for
// all.
static void look(void) {
  hak_heap_t* heap = hak_this_heap != HAK_NO_HEAP ? hak_this_heap : NULL;
  if (!hak_lock_try(&hak_reclaim_lock)) {
    set_due(false);
    return;
  }
  if (heap != NULL) hak_heap_enter(heap);
  bool is_over = look_at_unowned(heap);
  if (heap != NULL) hak_heap_leave(heap);
  if (is_over) {
    at_class = n_left = 0;
    hak_store_relaxed(&had_work, has_found);
    has_found = false;
    uint8_t round = hak_load_relaxed(&hak_holes_round);
    hak_store_relaxed(&hak_holes_round, (uint8_t)(round + 1));
  }
  hak_lock_release(&hak_reclaim_lock);
  set_due(is_over);
}

void hak_holes_start(void) {
  if (hak_tick_due(HAK_JOB_HOLES) != HAK_TICK_NEVER) return;
  if (hak_option_number(HAK_OPTION_purge_delay) < 0) return;
  hak_tick_register(HAK_JOB_HOLES, look);
  set_due(true);
}

bool hak_holes_has_work(void) { return hak_load_relaxed(&had_work); }

bool hak_holes_may_be_unowned(void) {
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    if (hak_central_count(c) != 0) return true;
  }
  return false;
}

// ---- all at once ----

static size_t purge_own(hak_heap_t* heap) {
  size_t bytes = 0;
  for (unsigned c = 0; (c = hak_heap_next_used(heap, c)) < HAK_N_CLASSES;) {
    hak_slab_t* slab = heap->bins[c].partial.first;
    for (; slab != NULL; slab = slab->next) bytes += hak_slab_purge(slab, 0);
  }
  return bytes;
}

static size_t purge_unowned(hak_heap_t* heap) {
  size_t bytes = 0;
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    for (unsigned n = hak_central_count(c); n != 0; n--) {
      hak_slab_t* slab = hak_central_adopt(c, heap);
      if (slab == NULL) break;
      bytes += hak_slab_purge(slab, 0);
      hak_central_return(slab);
    }
  }
  return bytes;
}

void hak_holes_purge_all(hak_heap_t* heap) {
  size_t bytes = 0;
  if (heap == NULL) {
    for (unsigned c = 1; c < HAK_N_CLASSES; c++) bytes += hak_central_purge_all(c);
  } else {
    hak_heap_enter(heap);
    bytes = purge_own(heap) + purge_unowned(heap);
    hak_heap_leave(heap);
  }
  report(bytes);
}
