// The reservations: mapped, cut, searched, replaced in part, unmapped.

#include "hakmem/superslab/reserve.h"

#include <errno.h>

#include "hakmem/base/bits.h"
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/spare.h"

static unsigned super_shift = HAK_SUPER_DEFAULT_SHIFT;
static hak_reservation_t* reservations[HAK_RESERVE_MAX_COUNT];
static _Atomic(uint32_t) n_reservations;
static hak_counter_t reserved_bytes;
static size_t address_limit = SIZE_MAX;  // const once the options are read; see platform.h
static bool no_huge_pages;               // lock:BACKEND: the kernel refuses to give them

static size_t bytes_of(uint32_t n_supers) { return (size_t)n_supers << super_shift; }
size_t hak_super_bytes(void) { return bytes_of(1); }
unsigned hak_super_pages(void) { return 1u << (super_shift - HAK_PAGE_SHIFT); }

static size_t descriptor_stride(void) {
  return hak_round_up(hak_super_descriptor_bytes(hak_super_pages()), HAK_CACHE_LINE);
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
  size_t align_bytes = bytes_of(align_supers);
  for (uint32_t first = next_free(r, 0); first < r->n_supers;) {
    uintptr_t address = r->base + bytes_of(first);
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

// A guard behind each reservation: what runs past its last block touches nothing.
static size_t guard_of(size_t bytes) {
  size_t share = hak_round_up(bytes / HAK_RESERVE_GUARD_FRACTION, HAK_PAGE_BYTES);
  return hak_min_size(share, HAK_RESERVE_GUARD);
}

// Maps at least `needed` bytes, `wanted` if the kernel gives them, and their guard; *got says how
// many.
static void* map_some(size_t needed, size_t wanted, size_t align_bytes, size_t* got) {
  for (*got = wanted;; *got = hak_max_size(hak_round_down(*got / 2, hak_super_bytes()), needed)) {
    void* base = NULL;
    int error = hak_platform_map(*got + guard_of(*got), align_bytes, &base);
    if (hak_event_kernel_ok(HAK_KERNEL_MMAP, error, NULL, *got)) {
      // (One that the kernel refuses is one check less, not an error.)
      error = hak_platform_protect_none((char*)base + *got, guard_of(*got));
      (void)error;
      return base;
    }
    if (*got == needed) return NULL;
  }
}

// Asks for huge pages in all of a reservation, or asks not to get any: with one advice for all of
// it, it stays one mapping.
static void advise(hak_reservation_t* r, bool huge_pages) {
  size_t bytes = bytes_of(r->n_supers);
  int error = hak_platform_advise_huge((void*)r->base, bytes, huge_pages);
  r->has_huge_pages = huge_pages && error == 0;
  if (huge_pages && error == EINVAL) no_huge_pages = true;  // a kernel without: not asked again
}

static hak_reservation_t* reserve(uint32_t n, size_t align_bytes, bool huge_pages) {
  size_t needed = bytes_of(n);
  // As much again as there is, so that sizes double.
  size_t wanted = hak_min_size(HAK_RESERVE_FIRST + hak_reserve_bytes(), HAK_RESERVE_MAX);
  if (address_limit != SIZE_MAX) {
    wanted = hak_min_size(wanted, address_limit / HAK_RESERVE_LIMIT_FRACTION);
  }
  wanted = hak_max_size(hak_round_down(wanted, hak_super_bytes()), needed);
  size_t bytes;
  hak_reservation_t* r;
  for (;;) {
    void* base = map_some(needed, wanted, hak_max_size(align_bytes, HAK_HUGE_PAGE_BYTES), &bytes);
    if (base == NULL) return NULL;
    r = describe((uintptr_t)base, (uint32_t)(bytes >> super_shift));
    if (r != NULL) break;
    // It may have left no room for its own description: then half of it does.
    hak_platform_unmap(base, bytes + guard_of(bytes));
    if (bytes == needed) return NULL;
    wanted = hak_max_size(hak_round_down(bytes / 2, hak_super_bytes()), needed);
  }
  advise(r, huge_pages);
  hak_event_record(HAK_EVENT_RESERVED, 0, r->base, bytes, 0);
  return r;
}

// ---- mappings replaced ----
//
// Kernels refuse before they change anything, or after they have unmapped what is to be replaced
// (mremap before 6.17 of several mappings, either call when memory runs out on the way). The errors
// are the same. So a mark is left at the beginning of what is to be replaced, all of which goes or
// stays: whoever finds it there afterwards still has it. The kernel looks for it, lest memory be
// touched that has become another's.

typedef struct mark {
  uint64_t* at;
  uint64_t value, before;
} mark_t;

static mark_t leave_mark(const hak_superslab_t* super) {
  mark_t mark = {.at = (uint64_t*)super->base};
  // What nobody else's memory holds: an odd number that the time and the address have been mixed
  // in.
  mark.value = (hak_platform_now_ns() * UINT64_C(0x9e3779b97f4a7c15) ^ super->base) | 1;
  mark.before = hak_exchange_acq_rel((_Atomic(uint64_t)*)mark.at, mark.value);  // one fault
  return mark;
}

// Fresh memory lies in `n` SuperSlabs. The kernel merges only mappings with the same advice; should
// it refuse to take that, this one stays apart.
static void renew(hak_superslab_t* first, uint32_t n) {
  hak_reservation_t* r = first->reservation;
  (void)hak_platform_advise_huge((void*)first->base, bytes_of(n), r->has_huge_pages);
  for (uint32_t i = 0; i < n; i++)
    hak_reserve_super(r, hak_reserve_index(first) + i)->displacement = 0;
}

// After a refusal: what `mark` was left in, mapped anew if need be (REPLACED) and if it can be.
static hak_replace_t hold(hak_superslab_t* first, uint32_t n, mark_t mark) {
  if (hak_platform_holds(mark.at, mark.value)) {
    *mark.at = mark.before;
    return HAK_KEPT;
  }
  int error = hak_platform_map_free((void*)first->base, bytes_of(n));
  if (!hak_event_kernel_ok(HAK_KERNEL_MMAP, error, (void*)first->base, bytes_of(n))) {
    return HAK_LOST;
  }
  renew(first, n);
  return HAK_REPLACED;
}

hak_replace_t hak_reserve_map_again(hak_superslab_t* first, uint32_t n) {
  mark_t mark = leave_mark(first);
  int error = hak_platform_map_again((void*)first->base, bytes_of(n));
  if (!hak_event_kernel_ok(HAK_KERNEL_MMAP, error, (void*)first->base, bytes_of(n))) {
    return hold(first, n, mark);
  }
  renew(first, n);
  return HAK_REPLACED;
}

// The longest part of `n` SuperSlabs, halved again and again, that lies in one mapping; 0 when the
// first does not, or the kernel cannot tell. A program may have split it: with mlock, madvise or
// mprotect on part of a block. The first is then made fit to be copied from, and to be used again.
static uint32_t part_in_one_mapping(hak_superslab_t* first, uint32_t n) {
  int error = hak_platform_is_one_mapping((void*)first->base, bytes_of(n));
  while (error == EFAULT && n > 1) {
    n = (n + 1) / 2;
    error = hak_platform_is_one_mapping((void*)first->base, bytes_of(n));
  }
  if (error == EFAULT) {
    first->displacement = HAK_DISPLACEMENT_SPLIT;
    (void)hak_platform_make_writable((void*)first->base, bytes_of(1));
  }
  return error == 0 ? n : 0;
}

hak_replace_t hak_reserve_move(hak_superslab_t* from, hak_superslab_t* to, uint32_t* n) {
  uint32_t part = part_in_one_mapping(from, *n);
  if (part == 0) {
    if (from->displacement == HAK_DISPLACEMENT_SPLIT) *n = 1;
    return HAK_KEPT;
  }
  bool is_split = part < *n;
  *n = part;
  // A mapping that has memory when the move splits it in two can be whole again later: else each
  // half gets an anon_vma of its own with its first page, and the kernel never merges them. The
  // mark sees to that.
  mark_t mark = leave_mark(to);
  int error = hak_platform_move((void*)from->base, (void*)to->base, bytes_of(part));
  if (!hak_event_kernel_ok(HAK_KERNEL_MREMAP, error, (void*)from->base, bytes_of(part))) {
    return hold(to, part, mark) == HAK_LOST ? HAK_LOST : HAK_KEPT;
  }
  intptr_t distance = (intptr_t)(to->base - from->base);
  for (uint32_t i = 0; i < part; i++) {
    hak_superslab_t* drained = hak_reserve_super(from->reservation, hak_reserve_index(from) + i);
    hak_superslab_t* filled = hak_reserve_super(to->reservation, hak_reserve_index(to) + i);
    filled->displacement = drained->displacement + distance;
    drained->is_drained = true;
    if (is_split) drained->displacement = HAK_DISPLACEMENT_SPLIT;
  }
  return HAK_REPLACED;
}

void hak_reserve_lose(hak_superslab_t* first, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    hak_superslab_t* super = hak_reserve_super(first->reservation, hak_reserve_index(first) + i);
    hak_store_relaxed(&super->state, HAK_SUPER_LOST);
    super->free_pages = super->dirty_pages = super->aged_pages = 0;
    hak_spare_count(super);
    super->head = NULL;
    // A reservation of ours may have come to lie there, and be in the page map already.
    if (hak_page_map_super((void*)super->base) == super) {
      hak_page_map_set_super(super->base, hak_super_bytes(), NULL);
    }
  }
  hak_counter_add(&reserved_bytes, (uint64_t)0 - bytes_of(n));
}

// ---- reservations given back ----

static bool is_unused(const hak_reservation_t* r) {
  return r->base != 0 && r->n_free == r->n_supers;
}

static void unmap(hak_reservation_t* r) {
  size_t bytes = bytes_of(r->n_supers);
  r->is_leaving = true;
  hak_compiler_barrier();
  int error = hak_platform_unmap((void*)r->base, bytes + guard_of(bytes));
  if (hak_event_kernel_ok(HAK_KERNEL_MUNMAP, error, (void*)r->base, bytes)) {
    hak_page_map_set_super(r->base, bytes, NULL);
    // (A purge that one of them waits for will find nothing to give back.)
    for (uint32_t i = 0; i < r->n_prepared; i++) {
      hak_superslab_t* super = hak_reserve_super(r, i);
      super->base = 0;
      super->dirty_pages = super->aged_pages = 0;
      hak_spare_count(super);
    }
    for (uint32_t i = 0; i < r->n_supers; i += 64) r->free_supers[i / 64] = 0;
    r->n_prepared = r->n_free = 0;
    r->base = 0;
    hak_counter_add(&reserved_bytes, (uint64_t)0 - bytes);
  }
  hak_compiler_barrier();
  r->is_leaving = false;
}

// Whether the kernel would grant `bytes`, had it `more` than it has.
static bool would_grant(size_t bytes, size_t more) {
  if (bytes <= more) return true;
  void* base = NULL;
  if (hak_platform_map(bytes - more, hak_platform_os_page_bytes(), &base) != 0) return false;
  hak_platform_unmap(base, bytes - more);
  return true;
}

bool hak_reserve_is_possible(size_t bytes) { return would_grant(bytes, hak_reserve_bytes()); }

// Unmaps the reservations that nobody uses, if that can make room for `bytes`: a request that
// exceeds all there is must not cost the program the memory it has ready. Whether it did.
static bool give_back_unused(size_t bytes) {
  size_t before = hak_reserve_bytes(), unused = 0;
  uint32_t count = hak_load_relaxed(&n_reservations);
  for (uint32_t k = 0; k < count; k++) {
    if (is_unused(reservations[k])) unused += bytes_of(reservations[k]->n_supers);
  }
  if (unused == 0 || !would_grant(bytes, unused)) return false;
  for (uint32_t k = 0; k < count; k++) {
    if (is_unused(reservations[k])) unmap(reservations[k]);
  }
  return hak_reserve_bytes() < before;
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

hak_superslab_t* hak_reserve_try(uint32_t n, uint32_t align_supers, bool huge_pages) {
  huge_pages = huge_pages && !no_huge_pages;
  hak_superslab_t* first = take_free(n, align_supers, huge_pages);
  if (first != NULL) return first;
  hak_reservation_t* r = reserve(n, bytes_of(align_supers), huge_pages);
  if (r != NULL) return take_at(r, 0, n);
  return take_free(n, align_supers, !huge_pages);  // better the wrong kind than none
}

hak_superslab_t* hak_reserve_take(uint32_t n, uint32_t align_supers, bool huge_pages) {
  hak_superslab_t* first = hak_reserve_try(n, align_supers, huge_pages);
  if (first != NULL) return first;
  uint32_t room = align_supers > 1 ? n + align_supers : n;
  if (!give_back_unused(bytes_of(room))) return NULL;
  return hak_reserve_try(n, align_supers, huge_pages);
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
    if (r->is_leaving) {  // it may be gone or not
      r->base = 0;
      r->capacity = 0;
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
