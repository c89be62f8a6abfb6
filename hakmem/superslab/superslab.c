// Page runs, taken and returned; the walk over all SuperSlabs; the repair of lock BACKEND.

#include "hakmem/superslab/superslab.h"

#include <errno.h>

#include "hakmem/base/bits.h"
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/fork.h"
#include "hakmem/superslab/bins.h"
#include "hakmem/superslab/direct.h"
#include "hakmem/superslab/limit.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/superslab/room.h"
#include "hakmem/superslab/spare.h"

static size_t n_dense_pages;  // pages in dense slabs; lock:BACKEND

static hak_superslab_t* super_of(const hak_run_t* run) {
  return hak_page_map_super((const void*)run->base);
}

static unsigned page_of(const hak_superslab_t* super, const hak_run_t* run) {
  return (unsigned)((run->base - super->base) >> HAK_PAGE_SHIFT);
}

// ---- transparent huge pages ----
//
// A huge page saves 511 page faults and most TLB misses, and costs up to 2 MiB where the program
// touches a few bytes of it. Slabs of blocks that are no larger than an OS page are dense, but for
// those that each thread has just begun, so a process asks for huge pages there once it has so many
// that what is partly used is a few per cent. Other blocks are not dense: of a buffer the program
// may touch the beginning only. For their sake none is asked for unless told "always".
//
// The kernel is asked for the one page that is touched at once, and then not to add any by itself:
// else it would fill in time what has been given back of a region (khugepaged).

static _Atomic(int) n_heaps;
static _Atomic(bool) has_no_huge_pages;  // the kernel says so

void hak_super_count_heaps(int change) { hak_fetch_add_relaxed(&n_heaps, change); }

static size_t dense_bytes(void) {
  return HAK_THP_AUTO_BYTES + (size_t)hak_load_relaxed(&n_heaps) * HAK_THP_AUTO_HEAP_BYTES;
}

static bool is_dense(unsigned size_class) {
  return size_class != 0 && hak_class_info(size_class)->block_bytes <= HAK_THP_AUTO_BLOCK;
}

static bool wants_huge_page(unsigned size_class) {
  return is_dense(size_class) && n_dense_pages * HAK_PAGE_BYTES >= dense_bytes() &&
         hak_option_number(HAK_OPTION_thp) == HAK_CHOICE_AUTO &&
         hak_super_bytes() >= HAK_HUGE_PAGE_BYTES && hak_platform_os_page_bytes() == 4 * HAK_KIB &&
         !hak_load_relaxed(&has_no_huge_pages) && !hak_limit_is_near();
}

// Has the huge page around `address`, which lies in fresh memory of the caller's, faulted in.
static void fault_huge_page(uintptr_t address) {
  void* page = (void*)hak_round_down(address, HAK_HUGE_PAGE_BYTES);
  int error = hak_platform_advise_huge(page, HAK_HUGE_PAGE_BYTES, true);
  if (error == EINVAL) hak_store_relaxed(&has_no_huge_pages, true);  // not asked again
  if (error != 0) return;
  *(volatile char*)address = 0;
  (void)hak_platform_advise_huge(page, HAK_HUGE_PAGE_BYTES, false);
}

// ---- taking a run ----

static void use_pages(hak_superslab_t* super, uint64_t pages) {
  super->free_pages &= ~pages;
  // A huge page brings its neighbours in.
  uint64_t mapped = hak_bit_run(0, super->n_pages) & ~super->absent_pages;
  super->dirty_pages |= super->reservation->has_huge_pages ? mapped : pages;
}

static hak_run_t* take_in(hak_superslab_t* super, unsigned at, unsigned n_pages,
                          unsigned size_class, bool* dirty) {
  if (!hak_super_ready_bitmaps(super, size_class)) return NULL;
  uint64_t mask = hak_bit_run(at, n_pages);
  hak_super_begin_change(super);
  *dirty = (super->dirty_pages & mask) != 0;
  use_pages(super, mask);
  hak_run_t* run = hak_super_run(super, at);
  run->base = super->base + ((uintptr_t)at << HAK_PAGE_SHIFT);
  hak_page_map_set_run(run->base, 0, n_pages);
  run->n_pages = (uint8_t)n_pages;
  run->size_class = 0;
  hak_run_set_use(run, size_class != 0 ? HAK_RUN_SLAB : HAK_RUN_SPAN);
  if (is_dense(size_class)) n_dense_pages += n_pages;
  hak_super_end_change(super);
  return run;
}

// Whether the SuperSlab that is made writable in pieces has more free pages now.
static bool grow_first(void) {
  hak_superslab_t* super = hak_reserve_growing();
  if (super == NULL) return false;
  hak_super_begin_change(super);
  uint64_t more = hak_reserve_grow(super);
  super->free_pages |= more;
  hak_super_end_change(super);
  return more != 0;
}

// A run in one more SuperSlab. That is what happens when a class runs out of room, and there is no
// other way out. It is an event, unless there was no SuperSlab yet. *huge_page: the caller shall
// have a huge page faulted in there.
static hak_run_t* take_in_new(unsigned n_pages, unsigned align_pages, unsigned size_class,
                              bool* dirty, bool* huge_page) {
  bool fits_first_piece = n_pages <= HAK_WRITABLE_FIRST / HAK_PAGE_BYTES;
  hak_superslab_t* super = hak_room_take(1, 1, !fits_first_piece);
  if (super == NULL) return NULL;
  hak_super_cut(super);
  if (hak_bins_count() > 1) hak_event_record(HAK_EVENT_EXHAUSTED, size_class, super->base, 0, 0);
  unsigned at = hak_super_find_run(super, n_pages, align_pages);
  bool is_fresh = (super->dirty_pages | super->reserved_pages) == 0;
  *huge_page = is_fresh && wants_huge_page(size_class);
  hak_run_t* run = take_in(super, at, n_pages, size_class, dirty);
  if (run != NULL && *huge_page) {
    super->dirty_pages = hak_bit_run(0, super->n_pages);
    hak_spare_count(super);
  }
  if (run == NULL) {  // no memory for bitmaps: it goes back
    hak_super_begin_change(super);
    hak_super_end_change(super);
  }
  return run;
}

static hak_run_t* take_run(unsigned n_pages, unsigned align_pages, unsigned size_class,
                           bool* dirty) {
  hak_lock_acquire(&hak_backend_lock);
  if (!hak_spare_admits((size_t)n_pages << HAK_PAGE_SHIFT)) {
    hak_lock_release(&hak_backend_lock);
    return NULL;
  }
  unsigned at;
  bool huge_page = false;
  hak_superslab_t* super = hak_bins_find(n_pages, align_pages, &at);
  while (super == NULL && grow_first()) super = hak_bins_find(n_pages, align_pages, &at);
  hak_run_t* run = super != NULL ? take_in(super, at, n_pages, size_class, dirty) : NULL;
  if (run == NULL) {
    bool direct = hak_option_number(HAK_OPTION_use_superslab) == 0;
    if (direct && n_pages <= HAK_DIRECT_MAX_PAGES) {
      hak_lock_release(&hak_backend_lock);
      *dirty = false;
      return hak_direct_take_run(n_pages, align_pages, size_class);
    }
    run = take_in_new(n_pages, align_pages, size_class, dirty, &huge_page);
  }
  hak_lock_release(&hak_backend_lock);
  if (run != NULL && huge_page) fault_huge_page(run->base);
  return run;
}

hak_run_t* hak_super_take_run(unsigned n_pages, unsigned align_pages, unsigned size_class,
                              bool* dirty) {
  hak_reserve_ready();
  hak_assert(n_pages >= 1 && n_pages <= hak_super_pages());
  hak_run_t* run = take_run(n_pages, align_pages, size_class, dirty);
  hak_purge_to_limit();
  return run;
}

// ---- returning ----

// Returns pages [at, at + n_pages). lock:BACKEND
static void return_pages(hak_superslab_t* super, unsigned at, unsigned n_pages) {
  if (hak_load_relaxed(&super->state) == HAK_SUPER_LOST) return;
  uint64_t mask = hak_bit_run(at, n_pages);
  hak_assert((super->free_pages & mask) == 0);
  hak_super_begin_change(super);
  super->free_pages |= mask;
  hak_super_end_change(super);
  hak_purge_enqueue(super);
}

void hak_super_clean_run(const hak_run_t* run) {
  hak_superslab_t* super = super_of(run);
  if (hak_super_is_direct(super)) return;
  hak_lock_acquire(&hak_backend_lock);
  super->dirty_pages &= ~hak_bit_run(page_of(super, run), run->n_pages);
  hak_spare_count(super);
  hak_lock_release(&hak_backend_lock);
}

void hak_super_return_run(hak_run_t* run) {
  hak_superslab_t* super = super_of(run);
  if (hak_super_is_direct(super)) {
    hak_direct_return_run(super, run);
    return;
  }
  hak_lock_acquire(&hak_backend_lock);
  unsigned at = page_of(super, run);
  unsigned n_pages = run->n_pages;
  if (is_dense(run->size_class)) n_dense_pages -= n_pages;
  run->size_class = 0;
  run->n_pages = 0;
  return_pages(super, at, n_pages);
  hak_lock_release(&hak_backend_lock);
}

bool hak_super_grow_run(hak_run_t* run, unsigned n_pages) {
  hak_superslab_t* super = super_of(run);
  unsigned at = page_of(super, run);
  if (hak_super_is_direct(super) || at + n_pages > super->n_pages) return false;
  hak_lock_acquire(&hak_backend_lock);
  uint64_t more = hak_bit_run(at, n_pages) & ~hak_bit_run(at, run->n_pages);
  bool fits = (super->free_pages & more) == more &&
              hak_spare_admits((size_t)hak_bit_count(more) << HAK_PAGE_SHIFT);
  if (fits) {
    hak_super_begin_change(super);
    use_pages(super, more);
    hak_page_map_set_run(run->base, run->n_pages, n_pages);
    run->n_pages = (uint8_t)n_pages;
    hak_super_end_change(super);
  }
  hak_lock_release(&hak_backend_lock);
  hak_purge_to_limit();
  return fits;
}

void hak_super_shrink_run(hak_run_t* run, unsigned n_pages) {
  hak_assert(n_pages >= 1 && n_pages <= run->n_pages);
  hak_superslab_t* super = super_of(run);
  if (n_pages == run->n_pages || hak_super_is_direct(super)) return;
  hak_lock_acquire(&hak_backend_lock);
  unsigned at = page_of(super, run);
  unsigned n_returned = run->n_pages - n_pages;
  run->n_pages = (uint8_t)n_pages;
  return_pages(super, at + n_pages, n_returned);
  hak_lock_release(&hak_backend_lock);
}

// ---- all of them ----

// Where a walk over all SuperSlabs stands: in a reservation, or after the last of them at a direct
// unit. It stays valid when the lock is released: no descriptor ever goes away.
typedef struct walk {
  unsigned reservation;
  uint32_t i;
  hak_superslab_t* unit;
  bool in_units;
} walk_t;

// The next SuperSlab that was ever used; NULL after the last. lock:BACKEND
static hak_superslab_t* next_super(walk_t* walk) {
  while (walk->reservation < hak_reserve_count()) {
    hak_reservation_t* r = hak_reserve_get(walk->reservation);
    while (walk->i < r->n_prepared) {
      hak_superslab_t* super = hak_reserve_super(r, walk->i++);
      if (super->base != 0) return super;
    }
    walk->reservation++;
    walk->i = 0;
  }
  walk->unit = walk->in_units ? walk->unit->next : hak_direct_units();
  walk->in_units = true;
  return walk->unit;
}

// SuperSlabs that are visited before others get a turn at the lock.
#define VISIT_GROUP 16

void hak_super_visit(void (*visit)(hak_superslab_t* super, void* context), void* context) {
  walk_t walk = {0};
  hak_superslab_t* super;
  do {
    hak_lock_acquire(&hak_backend_lock);
    unsigned n = 0;
    while (n++ < VISIT_GROUP && (super = next_super(&walk)) != NULL) visit(super, context);
    hak_lock_release(&hak_backend_lock);
  } while (super != NULL);
}

uint64_t hak_super_visit_runs(hak_superslab_t* super, void (*visit)(hak_run_t* run, void* context),
                              void* context) {
  unsigned n_pages = super->n_pages;
  uint64_t in_runs = 0;
  uint64_t used = ~super->free_pages & hak_bit_run(0, n_pages);
  while (used != 0) {
    unsigned at = hak_lowest_bit(used);
    hak_run_t* run = hak_super_run(super, at);
    // Pages may also be in no run: those that a purge has, and lost ones.
    uint64_t pages = hak_bit_run(at, run->n_pages != 0 ? run->n_pages : 1);
    if (run->n_pages != 0) {
      in_runs |= pages;
      visit(run, context);
    }
    used &= ~pages;
  }
  return in_runs;
}

typedef struct slab_visit {
  void (*visit)(hak_run_t* run, void* context);
  void* context;
} slab_visit_t;

static void visit_if_slab(hak_run_t* run, void* context) {
  const slab_visit_t* slab_visit = context;
  if (run->size_class != 0) slab_visit->visit(run, slab_visit->context);
}

void hak_super_visit_slabs(void (*visit)(hak_run_t* run, void* context), void* context) {
  slab_visit_t slab_visit = {visit, context};
  walk_t walk = {0};
  for (hak_superslab_t* super; (super = next_super(&walk)) != NULL;) {
    if (hak_super_has_runs(super)) (void)hak_super_visit_runs(super, visit_if_slab, &slab_visit);
  }
}

// ---- after a fork ----

// One SuperSlab, as a thread that is gone may have left it: in the lists it belongs in. What is in
// none is not written.
static void relink(hak_superslab_t* super) {
  super->counted_dirty = super->counted_spare = super->counted_loose = 0;
  hak_spare_count(super);
  if (hak_super_is_direct(super)) return;
  hak_bins_relink(super);
  if (super->in_dirty_queue) {
    super->in_dirty_queue = false;
    super->next_dirty = super->prev_dirty = NULL;
  }
  if (hak_load_relaxed(&super->state) <= HAK_SUPER_HUGE) hak_purge_enqueue(super);
}

static void relink_all(void) {
  hak_reserve_repair();
  hak_bins_forget();
  hak_purge_forget_queue();
  hak_spare_forget();
  walk_t walk = {0};
  for (hak_superslab_t* super; (super = next_super(&walk)) != NULL;) relink(super);
}

// Brings back what purges of threads that are gone have out of circulation.
static void finish_purges(void) {
  walk_t walk = {0};
  for (hak_superslab_t* super; (super = next_super(&walk)) != NULL;) {
    if (super->checked_out == 0 || hak_load_relaxed(&super->state) != HAK_SUPER_PAGES) continue;
    hak_super_check_in(super, super->checked_out, 0);
    hak_purge_enqueue(super);
  }
  hak_purge_forget_running();
}

static void repair(bool is_whole) {
  (void)is_whole;
  bool was_held = hak_lock_repair(&hak_backend_lock);
  if (hak_lock_is_mine(&hak_backend_lock)) return;  // then nobody else was changing anything
  if (was_held) relink_all();
  // Where the caller has pages out itself: whose those are, nobody knows.
  bool is_cut_off = was_held || hak_purge_is_running();
  if (is_cut_off && !hak_purge_is_running_here()) finish_purges();
}
HAK_REPAIR(BACKEND, repair, hak_purge_is_running_here);
