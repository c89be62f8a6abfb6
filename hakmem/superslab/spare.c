// Spare memory, counted, and its bound.

#include "hakmem/superslab/spare.h"

#include "hakmem/base/bits.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/limit.h"

// What is kept without experience: HAK_SPARE_LEAST_BYTES, and one part in so many of what is in
// use.
#define SHARE 16
// Excess is not worth a system call below this, and below one part in so many of the bound.
#define LEAST_EXCESS (512 * HAK_KIB)
#define EXCESS_SHARE 8
// Growth counts from so much on, and from one part in so many of what there was.
#define LEAST_GROWTH (4 * HAK_MIB)
#define GROWTH_SHARE 8

// lock:BACKEND to write. Spare: dirty, and free. Loose: dirty, and neither free nor
// in use: with a purge now, or behind the end of a huge block.
static hak_counter_t dirty_pages, spare_pages, loose_pages;
static hak_counter_t learned_bytes;  // lock:BACKEND to write: what experience adds to the bound
// lock:BACKEND: given back early, in the half purge delay that began at early_ms, and in the one
// before.
static size_t early_bytes, earlier_bytes;
static uint64_t early_ms;
static _Atomic(uint64_t) grown_pages =
    UINT64_MAX;  // so many dirty ones are growth; 0: there was some

// What was given back longer ago is forgotten.
static void forget_old(void) {
  uint64_t half_ms = (uint64_t)hak_option_number(HAK_OPTION_purge_delay) / 2;
  uint64_t now_ms = hak_platform_now_ms();
  if (now_ms <= early_ms + half_ms) return;
  earlier_bytes = now_ms <= early_ms + 2 * half_ms ? early_bytes : 0;
  early_bytes = 0;
  early_ms = now_ms;
}

// Memory is faulted in, by so many bytes. Some of it would be there had less been given back.
static void learn(size_t bytes) {
  if (early_bytes + earlier_bytes == 0) return;
  forget_old();
  size_t late = hak_min_size(bytes, early_bytes);
  size_t sooner = hak_min_size(bytes - late, earlier_bytes);
  early_bytes -= late;
  earlier_bytes -= sooner;
  hak_counter_add(&learned_bytes, late + sooner);
}

// Makes a job due that has a time at all.
static void hurry(hak_job_t job) {
  if (hak_tick_due(job) != HAK_TICK_NEVER) hak_tick_set_due(job, HAK_TICK_NOW);
}

void hak_spare_count(hak_superslab_t* super) {
  unsigned n_dirty = hak_bit_count(super->dirty_pages);
  unsigned n_spare = hak_bit_count(super->dirty_pages & super->free_pages);
  uint64_t loose = super->checked_out | hak_super_tail_pages(super);
  unsigned n_loose = hak_bit_count(super->dirty_pages & loose);
  unsigned before = super->counted_dirty;
  hak_counter_add(&dirty_pages, (uint64_t)n_dirty - before);
  hak_counter_add(&spare_pages, (uint64_t)n_spare - super->counted_spare);
  hak_counter_add(&loose_pages, (uint64_t)n_loose - super->counted_loose);
  super->counted_dirty = (uint8_t)n_dirty;
  super->counted_spare = (uint8_t)n_spare;
  super->counted_loose = (uint8_t)n_loose;
  bool is_short = hak_limit_note(hak_spare_committed_bytes());
  if (is_short) hurry(HAK_JOB_PURGE);
  if (n_dirty <= before) return;
  learn((size_t)(n_dirty - before) << HAK_PAGE_SHIFT);
  uint64_t grown = hak_load_relaxed(&grown_pages);
  if (grown == 0 || (hak_counter_read(&dirty_pages) < grown && !is_short)) return;
  hak_store_relaxed(&grown_pages, 0);
  hurry(HAK_JOB_IDLE);
}

bool hak_spare_take_growth(void) {
  size_t dirty = hak_spare_committed_bytes();
  size_t grown = dirty + hak_max_size(LEAST_GROWTH, dirty / GROWTH_SHARE);
  return hak_exchange_acq_rel(&grown_pages, grown >> HAK_PAGE_SHIFT) == 0;
}

void hak_spare_forget(void) {
  hak_store_relaxed(&dirty_pages, 0);
  hak_store_relaxed(&spare_pages, 0);
  hak_store_relaxed(&loose_pages, 0);
  early_bytes = earlier_bytes = 0;
}

static size_t bytes_of(hak_counter_t* pages) {
  return (size_t)hak_counter_read(pages) << HAK_PAGE_SHIFT;
}

size_t hak_spare_committed_bytes(void) { return bytes_of(&dirty_pages); }
size_t hak_spare_bytes(void) { return bytes_of(&spare_pages); }

bool hak_spare_admits(size_t bytes) {
  size_t in_use = hak_spare_committed_bytes() - hak_spare_bytes() - bytes_of(&loose_pages);
  return hak_limit_admits(in_use, hak_round_up(bytes, HAK_PAGE_BYTES));
}

// What of `spare` memory is beyond the bound, beside so much that is in use.
static size_t excess_of(size_t spare, size_t in_use) {
  if (hak_limit_is_near()) return spare >= LEAST_EXCESS ? spare : 0;
  if (hak_option_number(HAK_OPTION_purge_delay) < 0) return 0;
  size_t bound = HAK_SPARE_LEAST_BYTES + in_use / SHARE + (size_t)hak_counter_read(&learned_bytes);
  if (spare <= bound + hak_max_size(LEAST_EXCESS, bound / EXCESS_SHARE)) return 0;
  return spare - bound;
}

size_t hak_spare_excess(void) {
  size_t spare = hak_spare_bytes();
  return excess_of(spare, hak_spare_committed_bytes() - spare);
}

bool hak_spare_is_beyond(size_t bytes, size_t held) { return excess_of(bytes, held - bytes) != 0; }

void hak_spare_gave_early(size_t bytes, size_t refused_bytes) {
  hak_counter_add(&learned_bytes, refused_bytes);
  forget_old();
  early_bytes += bytes;
}

void hak_spare_gave_aged(size_t bytes) {
  uint64_t learned = hak_counter_read(&learned_bytes);
  hak_counter_add(&learned_bytes, (uint64_t)0 - hak_min_size(learned, bytes));
}

void hak_spare_gave_holes(size_t bytes) {
  hak_lock_acquire(&hak_backend_lock);
  hak_spare_gave_early(bytes, 0);
  hak_lock_release(&hak_backend_lock);
}

void hak_spare_took_holes(size_t bytes) {
  hak_lock_acquire(&hak_backend_lock);
  learn(bytes);
  hak_lock_release(&hak_backend_lock);
}
