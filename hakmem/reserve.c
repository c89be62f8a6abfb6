#include "hakmem/reserve.h"

#include "hakmem/bits.h"
#include "hakmem/check.h"
#include "hakmem/events.h"
#include "hakmem/meta.h"
#include "hakmem/options.h"
#include "hakmem/page_map.h"
#include "hakmem/platform.h"

static unsigned super_shift = HAK_SUPER_DEFAULT_SHIFT;
static hak_reservation_t* reservations[HAK_RESERVE_MAX_COUNT];
static _Atomic(uint32_t) n_reservations;
static size_t next_bytes = HAK_RESERVE_FIRST;
static hak_counter_t reserved_bytes;
static bool no_huge_pages;  // lock:BACKEND: the kernel refuses to give them

size_t hak_super_bytes(void) { return (size_t)1 << super_shift; }
unsigned hak_super_pages(void) { return 1u << (super_shift - HAK_PAGE_SHIFT); }

static size_t descriptor_stride(void) {
  size_t bytes = sizeof(hak_superslab_t) + hak_super_pages() * sizeof(hak_slab_t);
  return hak_round_up(bytes, HAK_CACHE_LINE);
}

unsigned hak_reserve_count(void) { return hak_load_acquire(&n_reservations); }
hak_reservation_t* hak_reserve_get(unsigned i) { return reservations[i]; }
size_t hak_reserve_bytes(void) { return hak_counter_read(&reserved_bytes); }

hak_superslab_t* hak_reserve_super(const hak_reservation_t* reservation, uint32_t i) {
  return (hak_superslab_t*)(reservation->descriptors + i * descriptor_stride());
}

uint32_t hak_reserve_index(const hak_superslab_t* super) {
  return (uint32_t)((super->base - super->reservation->base) >> super_shift);
}

// ---- the free SuperSlabs of one reservation ----

static bool is_free(const hak_reservation_t* r, uint32_t i) {
  return (r->free_supers[i / 64] >> (i % 64) & 1) != 0;
}

static void set_free(hak_reservation_t* r, uint32_t first, uint32_t n, bool is_now_free) {
  for (uint32_t i = first; i < first + n; i++) {
    uint64_t bit = UINT64_C(1) << (i % 64);
    hak_assert(is_free(r, i) != is_now_free);
    if (is_now_free) {
      r->free_supers[i / 64] |= bit;
      hak_store_relaxed(&hak_reserve_super(r, i)->state, HAK_SUPER_FREE);
    } else {
      r->free_supers[i / 64] &= ~bit;
    }
  }
  r->n_free = is_now_free ? r->n_free + n : r->n_free - n;
}

// First i from `from` on that is free; n_supers when there is none.
static uint32_t next_free(const hak_reservation_t* r, uint32_t from) {
  for (uint32_t i = from; i < r->n_supers; i = (i / 64 + 1) * 64) {
    uint64_t word = r->free_supers[i / 64] >> (i % 64);
    if (word != 0) return i + hak_lowest_bit(word);
  }
  return r->n_supers;
}

// First fit. Returns n_supers when no run of n is free at the alignment.
static uint32_t find_free(const hak_reservation_t* r, uint32_t n, uint32_t align_supers) {
  if (r->n_free < n) return r->n_supers;
  size_t align_bytes = (size_t)align_supers << super_shift;
  for (uint32_t first = next_free(r, 0); first < r->n_supers;) {
    uintptr_t address = r->base + ((uintptr_t)first << super_shift);
    uint32_t aligned =
        first + (uint32_t)((hak_round_up(address, align_bytes) - address) >> super_shift);
    if (aligned > r->n_supers || r->n_supers - aligned < n) break;
    uint32_t end = aligned;
    while (end < aligned + n && is_free(r, end)) end++;
    if (end == aligned + n) return aligned;
    first = next_free(r, end + 1);
  }
  return r->n_supers;
}

// ---- new reservations ----

void hak_reserve_ready(void) {
  static _Atomic(bool) is_ready;
  if (hak_likely(hak_load_acquire(&is_ready))) return;
  hak_lock_acquire(&hak_backend_lock);
  if (!hak_load_relaxed(&is_ready)) {
    hak_options_load();
    super_shift = hak_highest_bit((uint64_t)hak_option_number(HAK_OPTION_superslab_size));
    hak_store_release(&is_ready, true);
  }
  hak_lock_release(&hak_backend_lock);
}

static hak_reservation_t* describe(uintptr_t base, uint32_t n_supers) {
  size_t bytes = (size_t)n_supers << super_shift;
  size_t words = (n_supers + 63) / 64;
  hak_reservation_t* r =
      hak_meta_alloc(sizeof *r + words * sizeof r->free_supers[0], HAK_CACHE_LINE);
  char* descriptors = hak_meta_alloc(n_supers * descriptor_stride(), HAK_CACHE_LINE);
  if (r == NULL || descriptors == NULL || !hak_page_map_add_range(base, bytes)) return NULL;
  r->base = base;
  r->n_supers = n_supers;
  r->descriptors = descriptors;
  return r;
}

// Descriptors are filled in when their SuperSlab is first taken, so that metadata memory is
// touched only as the heap grows. A base of 0 marks one that has never been.
static void prepare(hak_reservation_t* r, uint32_t i) {
  hak_superslab_t* super = hak_reserve_super(r, i);
  if (super->base != 0) return;
  uintptr_t base = r->base + ((uintptr_t)i << super_shift);
  super->reservation = r;
  hak_page_map_set_super(base, hak_super_bytes(), super);
  if (i >= r->n_prepared) r->n_prepared = i + 1;
  // Last: a forked child must not take it for prepared when a thread that is gone was at it.
  hak_compiler_barrier();
  super->base = base;
}

// Maps at least `needed` bytes, `wanted` if the kernel gives them; *got says how many.
static void* map_some(size_t needed, size_t wanted, size_t align_bytes, size_t* got) {
  for (*got = wanted;; *got = hak_max_size(hak_round_down(*got / 2, hak_super_bytes()), needed)) {
    void* base = NULL;
    int error = hak_platform_map(*got, align_bytes, &base);
    if (hak_event_kernel_ok(HAK_KERNEL_MMAP, error, NULL, *got)) return base;
    if (*got == needed) return NULL;
  }
}

// Asks for huge pages in all of a reservation, or asks not to get any: with one advice for all of
// it, it stays one mapping.
static void advise(hak_reservation_t* r, bool huge_pages) {
  size_t bytes = (size_t)r->n_supers << super_shift;
  bool advised = hak_platform_advise_huge((void*)r->base, bytes, huge_pages) == 0;
  r->has_huge_pages = huge_pages && advised;
  if (huge_pages && !advised) no_huge_pages = true;  // a kernel without: not asked again
}

static hak_reservation_t* reserve(uint32_t n, size_t align_bytes, bool huge_pages) {
  uint32_t count = hak_load_relaxed(&n_reservations);
  if (count == HAK_RESERVE_MAX_COUNT) return NULL;
  size_t needed = (size_t)n << super_shift;
  size_t limit = hak_platform_address_limit();
  size_t wanted = next_bytes;
  if (limit != SIZE_MAX) wanted = hak_min_size(wanted, limit / HAK_RESERVE_LIMIT_FRACTION);
  wanted = hak_max_size(hak_round_down(wanted, hak_super_bytes()), needed);
  size_t bytes;
  void* base = map_some(needed, wanted, hak_max_size(align_bytes, HAK_HUGE_PAGE_BYTES), &bytes);
  if (base == NULL) return NULL;
  hak_reservation_t* r = describe((uintptr_t)base, (uint32_t)(bytes >> super_shift));
  if (r == NULL) {
    hak_platform_unmap(base, bytes);
    return NULL;
  }
  for (uint32_t i = 0; i < r->n_supers; i++) r->free_supers[i / 64] |= UINT64_C(1) << (i % 64);
  r->n_free = r->n_supers;
  advise(r, huge_pages);
  reservations[count] = r;
  hak_store_release(&n_reservations, count + 1);
  hak_counter_add(&reserved_bytes, bytes);
  hak_event_record(HAK_EVENT_RESERVED, 0, r->base, bytes, 0);
  next_bytes = hak_min_size(hak_max_size(next_bytes, bytes) * 2, HAK_RESERVE_MAX);
  return r;
}

// ---- taking and giving ----

static hak_superslab_t* take_at(hak_reservation_t* r, uint32_t first, uint32_t n) {
  for (uint32_t i = first; i < first + n; i++) prepare(r, i);
  set_free(r, first, n, false);
  return hak_reserve_super(r, first);
}

// Among the reservations that have huge pages, or have none, as asked.
static hak_superslab_t* take_free(uint32_t n, uint32_t align_supers, bool huge_pages) {
  for (uint32_t k = 0; k < hak_load_relaxed(&n_reservations); k++) {
    if (reservations[k]->has_huge_pages != huge_pages) continue;
    uint32_t first = find_free(reservations[k], n, align_supers);
    if (first != reservations[k]->n_supers) return take_at(reservations[k], first, n);
  }
  return NULL;
}

hak_superslab_t* hak_reserve_take(uint32_t n, uint32_t align_supers, bool huge_pages) {
  huge_pages = huge_pages && !no_huge_pages;
  hak_superslab_t* first = take_free(n, align_supers, huge_pages);
  if (first != NULL) return first;
  hak_reservation_t* r = reserve(n, (size_t)align_supers << super_shift, huge_pages);
  if (r != NULL) return take_at(r, 0, n);
  return take_free(n, align_supers, !huge_pages);  // better the wrong kind than none
}

bool hak_reserve_take_after(const hak_superslab_t* last, uint32_t n) {
  hak_reservation_t* r = last->reservation;
  uint32_t first = hak_reserve_index(last) + 1;
  if (n > r->n_supers - first) return false;
  for (uint32_t i = first; i < first + n; i++) {
    if (!is_free(r, i)) return false;
  }
  take_at(r, first, n);
  return true;
}

void hak_reserve_take_this(hak_superslab_t* super) {
  set_free(super->reservation, hak_reserve_index(super), 1, false);
}

void hak_reserve_give(hak_superslab_t* first, uint32_t n) {
  set_free(first->reservation, hak_reserve_index(first), n, true);
}

void hak_reserve_repair(void) {
  for (uint32_t k = 0; k < hak_load_relaxed(&n_reservations); k++) {
    hak_reservation_t* r = reservations[k];
    r->n_free = 0;
    for (uint32_t i = 0; i < r->n_supers; i++) {
      uint64_t bit = UINT64_C(1) << (i % 64);
      bool free_now = hak_load_relaxed(&hak_reserve_super(r, i)->state) == HAK_SUPER_FREE;
      r->free_supers[i / 64] =
          free_now ? r->free_supers[i / 64] | bit : r->free_supers[i / 64] & ~bit;
      r->n_free += free_now;
    }
  }
}
