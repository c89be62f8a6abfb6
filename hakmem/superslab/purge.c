// The queue of SuperSlabs with free dirty pages, and the batches it is worked off in.

#include "hakmem/superslab/purge.h"

#include "hakmem/base/bits.h"
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/bins.h"
#include "hakmem/superslab/limit.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/superslab/spare.h"

// SuperSlabs whose pages are given back in one go, and pages where it is a tick that does it:
// enough to make few system calls of a freed huge block, few enough to keep the delay of the thread
// that does it short. What is left is due at the next tick. (Of what is beyond the bound of spare
// memory a tick gives back a batch: there is seldom more than the last free made of it.)
#define BATCH 32
#define TICK_PAGES (8 * HAK_MIB >> HAK_PAGE_SHIFT)

typedef struct batch {
  unsigned n;
  unsigned n_tails;   // huge blocks that were seen to at once
  size_t tail_bytes;  // what they gave
  hak_superslab_t* supers[BATCH];
  uint64_t pages[BATCH];
  uint64_t failed[BATCH];  // of those, what the kernel would not take
  bool is_asked;           // taken because somebody asked for all: no experience
  bool is_early;           // taken because there was too much, not for its age
} batch_t;

static hak_superslab_t* oldest;  // lock:BACKEND
static hak_superslab_t* newest;  // lock:BACKEND
static unsigned n_running;       // purges that have pages out of circulation; lock:BACKEND
static _Atomic(uint64_t) purged_bytes;
static hak_thread_local bool is_running_here;

// Milliseconds; UINT64_MAX: never.
static uint64_t delay_ms(void) { return (uint64_t)hak_option_number(HAK_OPTION_purge_delay); }

uint64_t hak_purge_bytes(void) { return hak_load_relaxed(&purged_bytes); }

void hak_purge_report(size_t bytes) {
  hak_fetch_add_relaxed(&purged_bytes, bytes);
  hak_event_record(HAK_EVENT_PURGED, 0, 0, bytes, 0);
}

bool hak_purge_is_running_here(void) { return is_running_here; }

static bool is_huge(hak_superslab_t* super) {
  return hak_load_relaxed(&super->state) == HAK_SUPER_HUGE;
}

// Pages that hold memory and are free, or behind the end of a huge block. (Where huge pages are
// asked for, these come along with the block's.)
static uint64_t idle_pages(hak_superslab_t* super) {
  if (!is_huge(super)) return super->dirty_pages & super->free_pages;
  return super->reservation->has_huge_pages ? 0 : super->dirty_pages & hak_super_tail_pages(super);
}

static void update_due(void) {
  uint64_t due = HAK_TICK_NEVER;
  if (oldest != NULL && delay_ms() != UINT64_MAX) due = oldest->dirty_since_ms + delay_ms();
  if (oldest != NULL && hak_spare_excess() != 0) due = HAK_TICK_NOW;
  hak_tick_set_due(HAK_JOB_PURGE, due);
}

void hak_purge_enqueue(hak_superslab_t* super) {
  if (idle_pages(super) == 0) return;
  if (hak_spare_excess() != 0) hak_tick_set_due(HAK_JOB_PURGE, HAK_TICK_NOW);
  if (super->in_dirty_queue) return;
  super->in_dirty_queue = true;
  super->dirty_since_ms = hak_platform_now_ms();
  super->aged_pages = idle_pages(super);
  super->next_dirty = NULL;
  super->prev_dirty = newest;
  if (newest != NULL) {
    newest->next_dirty = super;
    newest = super;
  } else {
    oldest = newest = super;
    hak_tick_register(HAK_JOB_PURGE, hak_purge_due);
    update_due();
  }
}

static void dequeue(hak_superslab_t* super) {
  hak_superslab_t *next = super->next_dirty, *prev = super->prev_dirty;
  *(prev != NULL ? &prev->next_dirty : &oldest) = next;
  *(next != NULL ? &next->prev_dirty : &newest) = prev;
  super->next_dirty = super->prev_dirty = NULL;
  super->in_dirty_queue = false;
}

// Gives back `pages` behind the end of a huge block. (With the lock held: it may grow into them.)
// lock:BACKEND
static size_t give_back_tail(hak_superslab_t* super, uint64_t pages) {
  if (super->head->is_pinned) return 0;
  uint64_t last = hak_bit_run(hak_lowest_bit(pages), super->n_pages - hak_lowest_bit(pages));
  uintptr_t begin = super->base + ((uintptr_t)hak_lowest_bit(pages) << HAK_PAGE_SHIFT);
  size_t bytes = super->base + hak_super_bytes() - begin;
  int error = hak_platform_purge((void*)begin, bytes);
  if (!hak_event_kernel_ok(HAK_KERNEL_MADVISE, error, (void*)begin, bytes)) return 0;
  size_t held = (size_t)hak_bit_count(super->dirty_pages & last) << HAK_PAGE_SHIFT;
  super->dirty_pages &= ~last;
  hak_spare_count(super);
  return held;
}

// Takes what is due (all: whatever waits) off the queue and out of circulation: what is beyond the
// bound of spare memory, whatever its age, and what has been free for the delay.
static void collect(batch_t* batch, bool all) {
  batch->n = batch->n_tails = 0;
  batch->tail_bytes = 0;
  batch->is_asked = all;
  all = all || delay_ms() == 0;  // no page is too young
  uint64_t now_ms = hak_platform_now_ms();
  hak_lock_acquire(&hak_backend_lock);
  // A SuperSlab that is queued again below, because its pages are too young, is not met twice:
  // its new age is zero. What is behind a block is not spare: it goes by its age alone.
  size_t n_pages = 0, n_excess = hak_spare_excess() >> HAK_PAGE_SHIFT;
  batch->is_early = n_excess != 0;
  unsigned visits = 0;
  for (hak_superslab_t *super = oldest, *next; super != NULL; super = next) {
    next = super->next_dirty;
    if (batch->n + batch->n_tails == BATCH || visits++ == 4 * BATCH) break;
    bool is_excess = n_pages < n_excess;
    bool is_tail = is_huge(super);
    bool of_any_age = all || (is_excess && !is_tail);
    if (!all && !is_excess && (batch->is_early || n_pages >= TICK_PAGES)) break;
    if (!of_any_age && now_ms < super->dirty_since_ms + delay_ms()) {
      if (!is_excess) break;
      continue;
    }
    uint64_t pages = idle_pages(super);
    if (!of_any_age) pages &= super->aged_pages;
    dequeue(super);
    if (pages != 0 && is_tail) {
      batch->tail_bytes += give_back_tail(super, pages);
      batch->n_tails++;
      n_pages += hak_bit_count(pages);
      hak_purge_enqueue(super);
    } else if (pages != 0) {
      hak_super_check_out(super, pages);
      batch->supers[batch->n] = super;
      batch->pages[batch->n] = pages;
      batch->failed[batch->n] = 0;
      batch->n++;
      n_pages += hak_bit_count(pages);
    } else {
      hak_purge_enqueue(super);
    }
  }
  if (batch->n + batch->n_tails != 0) n_running++;
  update_due();
  hak_lock_release(&hak_backend_lock);
}

// Pages of the i-th SuperSlab of the batch that lie in [begin, end).
static uint64_t pages_between(const batch_t* batch, unsigned i, uintptr_t begin, uintptr_t end) {
  uintptr_t base = batch->supers[i]->base;
  size_t bytes = hak_super_bytes();
  if (end <= base || begin >= base + bytes) return 0;
  unsigned from = begin <= base ? 0 : (unsigned)((begin - base) >> HAK_PAGE_SHIFT);
  unsigned to = (unsigned)(hak_min_size(end - base, bytes) >> HAK_PAGE_SHIFT);
  return hak_bit_run(from, to - from) & batch->pages[i];
}

// Gives back one stretch of memory, which lies in entries [first, last] of the batch.
static size_t give_back(batch_t* batch, unsigned first, unsigned last, uintptr_t begin,
                        uintptr_t end) {
  if (begin == end) return 0;
  int error = hak_platform_purge((void*)begin, end - begin);
  if (hak_event_kernel_ok(HAK_KERNEL_MADVISE, error, (void*)begin, end - begin)) return end - begin;
  for (unsigned i = first; i <= last; i++) {
    batch->failed[i] |= pages_between(batch, i, begin, end);
  }
  return 0;
}

// One system call for each stretch of adjacent pages, across SuperSlabs too.
static size_t give_back_all(batch_t* batch) {
  size_t bytes = 0;
  uintptr_t begin = 0, end = 0;
  unsigned first = 0;
  for (unsigned i = 0; i < batch->n; i++) {
    for (uint64_t pages = batch->pages[i]; pages != 0;) {
      uint64_t run = hak_lowest_run(pages);
      uintptr_t at = hak_lowest_bit(run);
      uintptr_t address = batch->supers[i]->base + (at << HAK_PAGE_SHIFT);
      if (address != end) {
        bytes += give_back(batch, first, i, begin, end);
        begin = address;
        first = i;
      }
      end = address + ((uintptr_t)hak_bit_count(run) << HAK_PAGE_SHIFT);
      pages &= ~run;
    }
  }
  if (batch->n != 0) bytes += give_back(batch, first, batch->n - 1, begin, end);
  return bytes;
}

static void finish(batch_t* batch, size_t bytes) {
  size_t n_failed = 0;
  for (unsigned i = 0; i < batch->n; i++) n_failed += hak_bit_count(batch->failed[i]);
  hak_lock_acquire(&hak_backend_lock);
  if (!batch->is_asked && batch->is_early) {
    hak_spare_gave_early(bytes, n_failed << HAK_PAGE_SHIFT);
  } else if (!batch->is_asked) {
    hak_spare_gave_aged(bytes);
  }
  for (unsigned i = 0; i < batch->n; i++) {
    hak_super_check_in(batch->supers[i], batch->pages[i], batch->pages[i] & ~batch->failed[i]);
    hak_purge_enqueue(batch->supers[i]);
  }
  n_running--;
  update_due();
  hak_lock_release(&hak_backend_lock);
}

static size_t purge_batch(bool all, unsigned* n) {
  batch_t batch;
  size_t bytes = 0;
  is_running_here = true;
  hak_compiler_barrier();
  collect(&batch, all);
  if (batch.n + batch.n_tails != 0) {
    bytes = batch.tail_bytes + give_back_all(&batch);
    hak_purge_report(bytes);
    finish(&batch, bytes);
  }
  hak_compiler_barrier();
  is_running_here = false;
  *n = batch.n + batch.n_tails;
  return bytes;
}

void hak_purge_due(void) {
  unsigned n;
  (void)purge_batch(false, &n);
}

size_t hak_purge_all(void) {
  size_t bytes = 0;
  for (;;) {
    unsigned n;
    size_t given = purge_batch(true, &n);
    bytes += given;
    if (n == 0 || given == 0) return bytes;  // nothing left, or the kernel refuses
  }
}

// Sees to what no free has put in the queue: pages that huge pages have brought along. No further
// huge page shall bring back what has just been given back.
static void give_back_others(void) {
  hak_lock_acquire(&hak_backend_lock);
  for (unsigned k = 0; k < hak_reserve_count(); k++) {
    hak_reservation_t* r = hak_reserve_get(k);
    hak_reserve_forgo_huge_pages(r);
    for (uint32_t i = 0; i < r->n_prepared; i++) {
      hak_superslab_t* super = hak_reserve_super(r, i);
      if (super->base != 0) hak_purge_enqueue(super);
    }
  }
  hak_lock_release(&hak_backend_lock);
}

void hak_purge_to_limit(void) {
  if (hak_likely(hak_spare_committed_bytes() <= hak_limit_hard())) return;
  give_back_others();
  (void)hak_purge_all();
}

bool hak_purge_is_running(void) { return n_running != 0; }

void hak_purge_forget_running(void) { n_running = 0; }

void hak_purge_forget_queue(void) {
  oldest = newest = NULL;
  hak_tick_set_due(HAK_JOB_PURGE, HAK_TICK_NEVER);
}
