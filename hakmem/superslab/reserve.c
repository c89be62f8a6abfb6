// The reservations: mapped, cut, searched, made writable, unmapped and mapped again.

#include "hakmem/superslab/reserve.h"

#include <errno.h>

#include "hakmem/base/bits.h"
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/limit.h"
#include "hakmem/superslab/spare.h"

static unsigned super_shift = HAK_SUPER_DEFAULT_SHIFT;
static hak_reservation_t* reservations[HAK_RESERVE_MAX_COUNT];
static _Atomic(uint32_t) n_reservations;
static hak_counter_t reserved_bytes;     // mapped now, writable or not
static hak_counter_t writable_bytes;     // mapped now and writable
static size_t address_limit = SIZE_MAX;  // const once the options are read; see platform.h

static size_t bytes_of_pages(uint64_t pages) {
  return (size_t)hak_bit_count(pages) << HAK_PAGE_SHIFT;
}
static void* address_of_pages(const hak_superslab_t* super, uint64_t pages) {
  return (void*)(super->base + ((uintptr_t)hak_lowest_bit(pages) << HAK_PAGE_SHIFT));
}
static size_t bytes_of(uint32_t n_supers) { return (size_t)n_supers << super_shift; }
size_t hak_super_bytes(void) { return bytes_of(1); }
unsigned hak_super_pages(void) { return 1u << (super_shift - HAK_PAGE_SHIFT); }

static size_t descriptor_stride(void) {
  return hak_round_up(hak_super_descriptor_bytes(hak_super_pages()), HAK_CACHE_LINE);
}

unsigned hak_reserve_count(void) { return hak_load_acquire(&n_reservations); }
hak_reservation_t* hak_reserve_get(unsigned i) { return reservations[i]; }
size_t hak_reserve_bytes(void) { return hak_counter_read(&reserved_bytes); }
size_t hak_reserve_writable_bytes(void) { return hak_counter_read(&writable_bytes); }

hak_superslab_t* hak_reserve_super(const hak_reservation_t* reservation, uint32_t i) {
  return (hak_superslab_t*)(reservation->descriptors + i * descriptor_stride());
}

uint32_t hak_reserve_index(const hak_superslab_t* super) {
  return (uint32_t)((super->base - super->reservation->base) >> super_shift);
}

// ---- the free SuperSlabs of one reservation ----

bool hak_reserve_is_free(const hak_reservation_t* r, uint32_t i) {
  return (r->free_supers[i / 64] >> (i % 64) & 1) != 0;
}

static void set_free(hak_reservation_t* r, uint32_t first, uint32_t n, bool is_now_free) {
  for (uint32_t i = first; i < first + n; i++) {
    uint64_t bit = UINT64_C(1) << (i % 64);
    hak_assert(hak_reserve_is_free(r, i) != is_now_free);
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

// Which free SuperSlabs may be taken.
typedef enum wanted {
  DIRTY,     // those that hold memory already
  WRITABLE,  // and those that need nothing of the kernel but that
  MAPPED,    // and those that are reserved
  ANY,       // and those that were unmapped to make room
} wanted_t;

static bool is_wanted(const hak_reservation_t* r, uint32_t i, wanted_t wanted) {
  if (!hak_reserve_is_free(r, i)) return false;
  const hak_superslab_t* super = hak_reserve_super(r, i);
  if (wanted == DIRTY && super->dirty_pages == 0) return false;
  return wanted == ANY || super->absent_pages == 0;
}

// First fit. Returns n_supers when no run of n is free at the alignment, with `room` more behind
// it.
static uint32_t find_free(const hak_reservation_t* r, uint32_t n, uint32_t room,
                          uint32_t align_supers, wanted_t wanted) {
  if (r->n_free < n + room) return r->n_supers;
  uint32_t end_of_wanted = wanted <= WRITABLE ? r->n_writable : r->n_supers;
  size_t align_bytes = bytes_of(align_supers);
  for (uint32_t first = next_free(r, 0); first < r->n_supers;) {
    uintptr_t address = r->base + bytes_of(first);
    uint32_t aligned =
        first + (uint32_t)((hak_round_up(address, align_bytes) - address) >> super_shift);
    if (aligned > end_of_wanted || end_of_wanted - aligned < n) break;
    if (r->n_supers - aligned < n + room) break;
    uint32_t end = aligned;
    while (end < aligned + n && is_wanted(r, end, wanted)) end++;
    while (end >= aligned + n && end < aligned + n + room && hak_reserve_is_free(r, end)) end++;
    if (end == aligned + n + room) return aligned;
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
    hak_limit_load();
    address_limit = hak_platform_address_limit();
    super_shift = hak_highest_bit((uint64_t)hak_option_number(HAK_OPTION_superslab_size));
    hak_store_release(&is_ready, true);
  }
  hak_lock_release(&hak_backend_lock);
}

// The smallest of those that were unmapped with room for `n` SuperSlabs; NULL when there is none.
static hak_reservation_t* find_vacant(uint32_t n) {
  hak_reservation_t* best = NULL;
  for (uint32_t k = 0; k < hak_load_relaxed(&n_reservations); k++) {
    hak_reservation_t* r = reservations[k];
    bool fits = r->base == 0 && r->capacity >= n;
    if (fits && (best == NULL || r->capacity < best->capacity)) best = r;
  }
  return best;
}

static hak_reservation_t* new_vacant(uint32_t n) {
  uint32_t count = hak_load_relaxed(&n_reservations);
  if (count == HAK_RESERVE_MAX_COUNT) return NULL;
  size_t words = (n + 63) / 64;
  hak_reservation_t* r =
      hak_meta_alloc(sizeof *r + words * sizeof r->free_supers[0], HAK_CACHE_LINE);
  char* descriptors = hak_meta_alloc(n * descriptor_stride(), HAK_CACHE_LINE);
  if (r == NULL || descriptors == NULL) return NULL;
  r->capacity = n;
  r->descriptors = descriptors;
  reservations[count] = r;
  hak_store_release(&n_reservations, count + 1);
  return r;
}

// Enters what has been mapped, all of it free.
static hak_reservation_t* describe(uintptr_t base, uint32_t n_supers) {
  if (!hak_page_map_add_range(base, bytes_of(n_supers))) return NULL;
  hak_reservation_t* r = find_vacant(n_supers);
  if (r == NULL) r = new_vacant(n_supers);
  if (r == NULL) return NULL;
  r->n_supers = r->n_free = n_supers;
  for (uint32_t i = 0; i < n_supers; i++) r->free_supers[i / 64] |= UINT64_C(1) << (i % 64);
  hak_compiler_barrier();  // a child forked meanwhile leaves vacant what has no base
  r->base = base;
  hak_counter_add(&reserved_bytes, bytes_of(n_supers));
  return r;
}

// Descriptors are filled in when their SuperSlab is first taken, so that metadata memory is
// touched only as the heap grows. A base of 0 marks one that has never been.
static void prepare(hak_reservation_t* r, uint32_t i) {
  hak_superslab_t* super = hak_reserve_super(r, i);
  if (super->base != 0) return;
  uintptr_t base = r->base + bytes_of(i);
  super->reservation = r;
  super->n_pages = hak_super_pages();
  hak_page_map_set_super(base, hak_super_bytes(), super);
  if (i >= r->n_prepared) r->n_prepared = i + 1;
  // Last: a forked child must not take it for prepared when a thread that is gone was at it.
  hak_compiler_barrier();
  super->base = base;
}

// A reservation of ours may have come to lie where a SuperSlab is no more, and be in the page map.
static void leave_page_map(const hak_superslab_t* super) {
  if (hak_page_map_super((void*)super->base) != super) return;
  hak_page_map_set_super(super->base, hak_super_bytes(), NULL);
}

// A guard behind each reservation: what runs past its last block touches nothing. (With a whole one
// a reservation stays a multiple of a huge page, which kernels align by themselves.)
static size_t guard_of(size_t bytes) {
  if (bytes >= HAK_RESERVE_FIRST) return HAK_RESERVE_GUARD;
  return hak_round_up(bytes / HAK_RESERVE_GUARD_FRACTION, HAK_PAGE_BYTES);
}

// What has been mapped for a reservation.
typedef struct mapped {
  uintptr_t base;
  size_t bytes, writable, guard;
  bool has_huge_pages;
  bool is_in_pieces;  // the first SuperSlab is writable at its beginning only
} mapped_t;

// Asks for huge pages in all of it, or asks not to get any. With one advice for all of it, guard
// and all, it is as few mappings as without, and the kernel needs none more to follow.
static void advise(mapped_t* got) {
  bool wanted = hak_option_number(HAK_OPTION_thp) == HAK_CHOICE_ALWAYS && !hak_limit_is_near();
  int error = hak_platform_advise_huge((void*)got->base, got->bytes + got->guard, wanted);
  got->has_huge_pages = wanted && error == 0;
}

void hak_reserve_forgo_huge_pages(hak_reservation_t* r) {
  if (!r->has_huge_pages || r->base == 0) return;
  (void)hak_platform_advise_huge((void*)r->base, bytes_of(r->n_supers) + r->guard_bytes, false);
  r->has_huge_pages = false;
}

// Maps at least `needed` bytes with `map`, `wanted` if the kernel gives them, and a guard behind
// them if it is to have one. Where it does not, a limit is near: then little more than what is
// needed, for the program's sake, and no guard.
static bool map_some(int (*map)(size_t, size_t, void**), bool guarded, size_t needed, size_t wanted,
                     size_t align_bytes, mapped_t* got) {
  size_t little =
      hak_round_down(hak_reserve_bytes() / HAK_RESERVE_LIMIT_FRACTION, hak_super_bytes());
  const size_t tries[] = {wanted, hak_min_size(wanted, hak_max_size(little, needed)), needed};
  size_t refused = 0;
  for (unsigned i = 0; i < sizeof tries / sizeof tries[0]; i++) {
    *got = (mapped_t){.bytes = tries[i], .guard = guarded && i == 0 ? guard_of(tries[i]) : 0};
    size_t bytes = got->bytes + got->guard;
    if (bytes == refused) continue;
    void* base = NULL;
    int error = map(bytes, align_bytes, &base);
    got->base = (uintptr_t)base;
    if (hak_event_kernel_ok(HAK_KERNEL_MMAP, error, NULL, bytes)) {
      advise(got);
      return true;
    }
    refused = bytes;
  }
  return false;
}

static bool call_make_writable(uintptr_t base, size_t bytes) {
  int error = hak_platform_make_writable((void*)base, bytes);
  return hak_event_kernel_ok(HAK_KERNEL_MPROTECT, error, (void*)base, bytes);
}

// Makes at least `needed` bytes writable, and of `most` some ahead of the need: so calls are few,
// and a reservation is two mappings. Returns how many; 0 when the kernel refuses.
static size_t make_writable(uintptr_t base, size_t needed, size_t most) {
  size_t ahead = hak_reserve_writable_bytes() / HAK_WRITABLE_FRACTION;
  ahead = hak_min_size(hak_round_down(ahead, hak_super_bytes()), most);
  for (size_t bytes = hak_max_size(ahead, needed);; bytes = needed) {
    if (call_make_writable(base, bytes)) {
      hak_counter_add(&writable_bytes, bytes);
      return bytes;
    }
    if (bytes == needed) return 0;
  }
}

// The same for all SuperSlabs before `end`.
static bool make_writable_to(hak_reservation_t* r, uint32_t end) {
  if (end <= r->n_writable) return true;
  size_t bytes = make_writable(r->base + bytes_of(r->n_writable), bytes_of(end - r->n_writable),
                               bytes_of(r->n_supers - r->n_writable));
  r->n_writable += (uint32_t)(bytes >> super_shift);
  return bytes != 0;
}

// Reserves address space, at least `needed` of it writable; two mappings. (A SuperSlab that is
// writable in pieces counts as a whole.)
static bool map_reserved(size_t needed, size_t wanted, size_t align_bytes, bool whole,
                         mapped_t* got) {
  if (!map_some(hak_platform_reserve, true, needed, wanted, align_bytes, got)) return false;
  got->is_in_pieces = !whole && hak_reserve_count() == 0 && !got->has_huge_pages;
  if (!got->is_in_pieces) {
    got->writable = make_writable(got->base, needed, got->bytes);
  } else if (call_make_writable(got->base, HAK_WRITABLE_FIRST)) {
    got->writable = hak_super_bytes();
    hak_counter_add(&writable_bytes, got->writable);
  }
  if (got->writable != 0) return true;
  hak_platform_unmap((void*)got->base, got->bytes + got->guard);
  return false;
}

// Maps writable memory, without a guard: one mapping.
static bool map_writable(size_t needed, size_t wanted, size_t align_bytes, mapped_t* got) {
  if (!map_some(hak_platform_map, false, needed, wanted, align_bytes, got)) return false;
  got->writable = got->bytes;
  hak_counter_add(&writable_bytes, got->bytes);
  return true;
}

static hak_reservation_t* describe_or_unmap(const mapped_t* got) {
  hak_reservation_t* r = describe(got->base, (uint32_t)(got->bytes >> super_shift));
  if (r != NULL) return r;
  hak_counter_add(&writable_bytes, (uint64_t)0 - got->writable);
  hak_platform_unmap((void*)got->base, got->bytes + got->guard);
  return NULL;
}

static hak_reservation_t* reserve(uint32_t n, size_t align_bytes, bool whole) {
  size_t needed = bytes_of(n);
  // As much again as there is, so that sizes double.
  size_t had = hak_reserve_bytes();
  size_t wanted = hak_min_size(hak_max_size(had, HAK_RESERVE_SECOND), HAK_RESERVE_MAX);
  if (had == 0) wanted = HAK_RESERVE_FIRST;
  if (address_limit != SIZE_MAX) {
    wanted = hak_min_size(wanted, address_limit / HAK_RESERVE_LIMIT_FRACTION);
  }
  wanted = hak_max_size(hak_round_down(wanted, hak_super_bytes()), needed);
  align_bytes = hak_max_size(align_bytes, HAK_HUGE_PAGE_BYTES);
  mapped_t got;
  hak_reservation_t* r = NULL;
  if (map_reserved(needed, wanted, align_bytes, whole, &got)) r = describe_or_unmap(&got);
  // Where there may be no more mappings, one may do. It may have left no room for its own
  // description: then half of it does.
  while (r == NULL) {
    if (!map_writable(needed, wanted, align_bytes, &got)) return NULL;
    r = describe_or_unmap(&got);
    if (r == NULL && got.bytes == needed) return NULL;
    wanted = hak_max_size(hak_round_down(got.bytes / 2, hak_super_bytes()), needed);
  }
  r->n_writable = (uint32_t)(got.writable >> super_shift);
  r->guard_bytes = got.guard;
  r->has_huge_pages = got.has_huge_pages;
  if (got.is_in_pieces) {
    uint64_t first = hak_bit_run(0, HAK_WRITABLE_FIRST / HAK_PAGE_BYTES);
    hak_reserve_super(r, 0)->reserved_pages = hak_bit_run(0, hak_super_pages()) & ~first;
  }
  hak_event_record(HAK_EVENT_RESERVED, 0, r->base, got.bytes, 0);
  return r;
}

// ---- made writable, unmapped, mapped again ----

// Makes the first `bytes` of what is reserved of a SuperSlab writable, or as much as there is.
static uint64_t grow(hak_superslab_t* super, size_t bytes) {
  unsigned at = hak_lowest_bit(super->reserved_pages);
  unsigned n = (unsigned)hak_min_size(bytes / HAK_PAGE_BYTES, hak_super_pages() - at);
  uint64_t pages = hak_bit_run(at, n);
  if (!call_make_writable((uintptr_t)address_of_pages(super, pages), bytes_of_pages(pages)))
    return 0;
  super->reserved_pages &= ~pages;
  return pages;
}

uint64_t hak_reserve_grow(hak_superslab_t* super) {
  size_t had = bytes_of_pages(hak_bit_run(0, hak_super_pages()) & ~super->reserved_pages);
  return grow(super, (HAK_WRITABLE_GROWTH - 1) * had);
}

hak_superslab_t* hak_reserve_growing(void) {
  hak_superslab_t* first = hak_reserve_count() != 0 ? hak_reserve_super(reservations[0], 0) : NULL;
  bool is_growing = first != NULL && first->reserved_pages != 0 &&
                    hak_load_relaxed(&first->state) == HAK_SUPER_PAGES;
  return is_growing ? first : NULL;
}

void hak_reserve_lose(hak_superslab_t* first, uint32_t n) {
  uint64_t all = hak_bit_run(0, hak_super_pages());
  for (uint32_t i = 0; i < n; i++) {
    hak_superslab_t* super = hak_reserve_super(first->reservation, hak_reserve_index(first) + i);
    hak_store_relaxed(&super->state, HAK_SUPER_LOST);
    super->free_pages = super->dirty_pages = super->aged_pages = super->reserved_pages = 0;
    hak_spare_count(super);
    super->head = NULL;
    size_t mapped = bytes_of_pages(all & ~super->absent_pages);
    hak_counter_add(&reserved_bytes, (uint64_t)0 - mapped);
    hak_counter_add(&writable_bytes, (uint64_t)0 - mapped);
    super->absent_pages = all;
    leave_page_map(super);
  }
}

uint64_t hak_reserve_unmap_pages(hak_superslab_t* super, uint64_t pages) {
  uint64_t gone = 0;
  while (pages != 0) {
    uint64_t run = hak_lowest_run(pages);
    pages &= ~run;
    void* base = address_of_pages(super, run);
    super->absent_pages |= run;  // first: a child forked meanwhile must not take it for mapped
    hak_compiler_barrier();
    int error = hak_platform_unmap(base, bytes_of_pages(run));
    if (hak_event_kernel_ok(HAK_KERNEL_MUNMAP, error, base, bytes_of_pages(run))) {
      gone |= run;
    } else {
      super->absent_pages &= ~run;
    }
  }
  hak_counter_add(&reserved_bytes, (uint64_t)0 - bytes_of_pages(gone));
  hak_counter_add(&writable_bytes, (uint64_t)0 - bytes_of_pages(gone));
  return gone;
}

int hak_reserve_map_pages(hak_superslab_t* super) {
  while (super->absent_pages != 0) {
    uint64_t run = hak_lowest_run(super->absent_pages);
    void* base = address_of_pages(super, run);
    size_t bytes = bytes_of_pages(run);
    int error = hak_platform_map_free(base, bytes);
    if (!hak_event_kernel_ok(HAK_KERNEL_MMAP, error, base, bytes)) return error;
    (void)hak_platform_advise_huge(base, bytes, super->reservation->has_huge_pages);
    super->absent_pages &= ~run;
    hak_counter_add(&reserved_bytes, bytes);
    hak_counter_add(&writable_bytes, bytes);
  }
  return 0;
}

// Unmaps a SuperSlab that nobody uses, as far as it is mapped.
static bool unmap_whole(hak_superslab_t* super) {
  uint64_t all = hak_bit_run(0, hak_super_pages());
  (void)hak_reserve_unmap_pages(super, all & ~super->absent_pages);
  super->dirty_pages &= ~super->absent_pages;
  super->aged_pages = super->reserved_pages = 0;
  hak_spare_count(super);
  if (super->absent_pages != all) return false;
  leave_page_map(super);
  return true;
}

// Forgets SuperSlabs from `end` on, which are unmapped.
static void forget(hak_reservation_t* r, uint32_t end) {
  for (uint32_t i = end; i < r->n_supers; i++) {
    hak_superslab_t* super = hak_reserve_super(r, i);
    r->free_supers[i / 64] &= ~(UINT64_C(1) << (i % 64));
    r->n_free--;
    super->absent_pages = 0;
    if (super->base == 0) continue;
    // (A purge that it waits for will find nothing to give back.)
    leave_page_map(super);
    super->base = 0;
    super->dirty_pages = super->aged_pages = super->reserved_pages = 0;
    hak_spare_count(super);
  }
  r->n_supers = end;
  r->n_prepared = (uint32_t)hak_min_size(r->n_prepared, end);
  r->n_writable = (uint32_t)hak_min_size(r->n_writable, end);
  if (end == 0) r->base = 0;
}

// Unmaps free SuperSlabs [begin, end), all of which are mapped, and what lies `behind` them.
static bool unmap_range(const hak_reservation_t* r, uint32_t begin, uint32_t end, size_t behind) {
  void* at = (void*)(r->base + bytes_of(begin));
  size_t bytes = bytes_of(end - begin);
  int error = hak_platform_unmap(at, bytes + behind);
  if (!hak_event_kernel_ok(HAK_KERNEL_MUNMAP, error, at, bytes + behind)) return false;
  size_t writable = hak_min_size(end, r->n_writable) - hak_min_size(begin, r->n_writable);
  hak_counter_add(&reserved_bytes, (uint64_t)0 - bytes);
  hak_counter_add(&writable_bytes, (uint64_t)0 - bytes_of((uint32_t)writable));
  return true;
}

// Unmaps what a reservation ends with, from `used_end` on, and the guard behind it.
static void unmap_end(hak_reservation_t* r, uint32_t used_end) {
  r->is_leaving = true;
  hak_compiler_barrier();
  while (r->n_supers > used_end || r->guard_bytes != 0) {
    uint32_t begin = r->n_supers;
    while (begin > used_end && hak_reserve_super(r, begin - 1)->absent_pages == 0) begin--;
    bool is_mapped = begin < r->n_supers || r->guard_bytes != 0;
    if (is_mapped && !unmap_range(r, begin, r->n_supers, r->guard_bytes)) break;
    r->guard_bytes = 0;
    forget(r, is_mapped ? begin : begin - 1);
  }
  hak_compiler_barrier();
  r->is_leaving = false;
}

static bool is_free_and_mapped(const hak_reservation_t* r, uint32_t i) {
  return hak_reserve_is_free(r, i) && hak_reserve_super(r, i)->absent_pages == 0;
}

// Unmaps SuperSlabs [begin, end) until they are taken.
static void unmap_between(hak_reservation_t* r, uint32_t begin, uint32_t end) {
  uint64_t all = hak_bit_run(0, hak_super_pages());
  for (uint32_t i = begin; i < end; i++) {
    prepare(r, i);
    hak_reserve_super(r, i)->absent_pages = all;
  }
  hak_compiler_barrier();  // first: a child forked meanwhile must not take them for mapped
  bool is_unmapped = unmap_range(r, begin, end, 0);
  for (uint32_t i = begin; i < end; i++) {
    hak_superslab_t* super = hak_reserve_super(r, i);
    if (is_unmapped) {
      super->dirty_pages = super->aged_pages = super->reserved_pages = 0;
      hak_spare_count(super);
      leave_page_map(super);
    } else {
      super->absent_pages = 0;
    }
  }
}

void hak_reserve_unmap_free(hak_reservation_t* r) {
  if (r->base == 0) return;
  uint32_t used_end = r->n_supers;
  while (used_end > 0 && hak_reserve_is_free(r, used_end - 1)) used_end--;
  unmap_end(r, used_end);
  for (uint32_t begin = 0, end; begin < used_end; begin = end + 1) {
    end = begin;
    while (end < used_end && is_free_and_mapped(r, end)) end++;
    if (end > begin) unmap_between(r, begin, end);
  }
}

// ---- taking and giving ----

// Free SuperSlabs become memory: NULL, with all of them free as before, where the kernel refuses.
static hak_superslab_t* take_at(hak_reservation_t* r, uint32_t first, uint32_t n, bool whole) {
  if (!make_writable_to(r, first + n)) return NULL;
  for (uint32_t i = first; i < first + n; i++) {
    hak_superslab_t* super = hak_reserve_super(r, i);
    prepare(r, i);
    if (whole && super->reserved_pages != 0 && grow(super, hak_super_bytes()) == 0) return NULL;
    if (super->absent_pages == 0) continue;
    super->displacement = 0;
    int error = hak_reserve_map_pages(super);
    if (error == EEXIST) {  // another's mapping has come to lie there
      set_free(r, i, 1, false);
      hak_reserve_lose(super, 1);
    }
    if (error != 0) return NULL;
    hak_page_map_set_super(super->base, hak_super_bytes(), super);
  }
  set_free(r, first, n, false);
  return hak_reserve_super(r, first);
}

static hak_superslab_t* take_free(uint32_t n, uint32_t room, uint32_t align_supers, bool whole,
                                  wanted_t wanted) {
  for (uint32_t k = 0; k < hak_load_relaxed(&n_reservations); k++) {
    hak_reservation_t* r = reservations[k];
    uint32_t at = find_free(r, n, room, align_supers, wanted);
    if (at == r->n_supers) continue;
    hak_superslab_t* first = take_at(r, at, n, whole);
    if (first != NULL) return first;
  }
  return NULL;
}

hak_superslab_t* hak_reserve_try(uint32_t n, uint32_t room, uint32_t align_supers, bool whole) {
  // What is spare serves first: else it would be there beside as much fresh memory.
  hak_superslab_t* first = NULL;
  if (hak_spare_bytes() != 0) first = take_free(n, room, align_supers, whole, DIRTY);
  if (first == NULL) first = take_free(n, room, align_supers, whole, MAPPED);
  if (first == NULL) first = take_free(n, room, align_supers, whole, ANY);
  if (first != NULL) return first;
  hak_reservation_t* r = reserve(n + room, bytes_of(align_supers), whole);
  if (r != NULL) first = take_at(r, 0, n, whole);
  return first != NULL ? first : take_free(n, room, align_supers, whole, WRITABLE);
}

bool hak_reserve_take_after(const hak_superslab_t* last, uint32_t n) {
  hak_reservation_t* r = last->reservation;
  uint32_t first = hak_reserve_index(last) + 1;
  if (n > r->n_supers - first) return false;
  for (uint32_t i = first; i < first + n; i++) {
    if (!hak_reserve_is_free(r, i)) return false;
  }
  return take_at(r, first, n, true) != NULL;
}

void hak_reserve_take_this(hak_superslab_t* super) {
  set_free(super->reservation, hak_reserve_index(super), 1, false);
}

static void purge_mapped(const hak_superslab_t* super) {
  for (uint64_t pages = hak_bit_run(0, hak_super_pages()) & ~super->absent_pages; pages != 0;) {
    uint64_t run = hak_lowest_run(pages);
    pages &= ~run;
    int error = hak_platform_purge(address_of_pages(super, run), bytes_of_pages(run));
    (void)hak_event_kernel_ok(HAK_KERNEL_MADVISE, error, address_of_pages(super, run),
                              bytes_of_pages(run));
  }
}

void hak_reserve_give(hak_superslab_t* first, uint32_t n) {
  hak_reservation_t* r = first->reservation;
  uint32_t begin = hak_reserve_index(first);
  for (uint32_t i = begin; i < begin + n; i++) {
    hak_superslab_t* super = hak_reserve_super(r, i);
    if (super->absent_pages == 0 || unmap_whole(super)) {
      set_free(r, i, 1, true);
    } else {  // the address space is lost, but not the memory
      purge_mapped(super);
      hak_reserve_lose(super, 1);
    }
  }
}

// In a child: the end of what was in use when another thread was unmapping what is free.
static uint32_t end_of_known(const hak_reservation_t* r) {
  uint32_t end = r->n_supers;
  while (end > 0 && hak_load_relaxed(&hak_reserve_super(r, end - 1)->state) == HAK_SUPER_FREE)
    end--;
  return end;
}

void hak_reserve_repair(void) {
  for (uint32_t k = 0; k < hak_load_relaxed(&n_reservations); k++) {
    hak_reservation_t* r = reservations[k];
    if (r->is_leaving) {  // what is free in it may be gone or not
      r->n_supers = r->n_prepared = r->n_writable = end_of_known(r);
      r->guard_bytes = 0;
      if (r->n_supers == 0) r->base = r->capacity = 0;
      r->is_leaving = false;
    }
    bool is_mapped = r->base != 0;
    if (!is_mapped) r->n_prepared = 0;
    r->n_free = 0;
    for (uint32_t i = 0; i < r->n_supers; i++) {
      uint64_t bit = UINT64_C(1) << (i % 64);
      bool free_now =
          is_mapped && hak_load_relaxed(&hak_reserve_super(r, i)->state) == HAK_SUPER_FREE;
      r->free_supers[i / 64] =
          free_now ? r->free_supers[i / 64] | bit : r->free_supers[i / 64] & ~bit;
      r->n_free += free_now;
    }
  }
}
