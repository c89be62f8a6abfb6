// Spare memory, counted, and its bound.

#include "hakmem/superslab/spare.h"

#include "hakmem/base/bits.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/limit.h"

// What is kept without experience: so much, and one part in so many of what is in use.
#define LEAST_BYTES (2 * HAK_MIB)
#define SHARE 16
// Excess is not worth a system call below this, and below one part in so many of the bound.
#define LEAST_EXCESS HAK_MIB
#define EXCESS_SHARE 8
// Growth counts from so much on, and from one part in so many of what there was.
#define LEAST_GROWTH (4 * HAK_MIB)
#define GROWTH_SHARE 8

// lock:BACKEND to write. Spare: dirty, and free. Loose: dirty, and neither free nor
// in use: with a purge now, or behind the end of a huge block.
static hak_counter_t dirty_pages, spare_pages, loose_pages;
static size_t learned_bytes;  // lock:BACKEND: what experience adds to the bound
static size_t early_bytes;    // lock:BACKEND: given back early of late
static uint64_t early_ms;     // lock:BACKEND: when that was
static _Atomic(uint64_t) grown_pages =
    UINT64_MAX;  // so many dirty ones are growth; 0: there was some

// Memory is faulted in, by so many bytes. Some of it would be there had less been given back.
static void learn(size_t bytes) {
  if (early_bytes == 0) return;
  uint64_t delay_ms = (uint64_t)hak_option_number(HAK_OPTION_purge_delay);
  if (hak_platform_now_ms() > early_ms + delay_ms) {
    early_bytes = 0;
    return;
  }
  size_t missed = hak_min_size(bytes, early_bytes);
  early_bytes -= missed;
  learned_bytes += missed;
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
  early_bytes = 0;
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

size_t hak_spare_excess(void) {
  size_t spare = hak_spare_bytes(), in_use = hak_spare_committed_bytes() - spare;
  if (hak_limit_is_near()) return spare >= LEAST_EXCESS ? spare : 0;
  if (hak_option_number(HAK_OPTION_purge_delay) < 0) return 0;
  size_t bound = LEAST_BYTES + in_use / SHARE + learned_bytes;
  if (spare <= bound + hak_max_size(LEAST_EXCESS, bound / EXCESS_SHARE)) return 0;
  return spare - bound;
}

void hak_spare_gave_early(size_t bytes, size_t refused_bytes) {
  learned_bytes += refused_bytes;
  early_bytes += bytes;
  early_ms = hak_platform_now_ms();
}

void hak_spare_gave_aged(size_t bytes) { learned_bytes -= hak_min_size(learned_bytes, bytes); }
