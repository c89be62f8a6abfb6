#include "hakmem/superslab/large.h"

#include <errno.h>
#include <string.h>

#include "hakmem/base/bits.h"
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/reserve.h"

static uint32_t supers_of(size_t bytes) {
  return (uint32_t)((bytes + hak_super_bytes() - 1) / hak_super_bytes());
}

static hak_super_state_t state_of(const hak_superslab_t* super) {
  return (hak_super_state_t)hak_load_relaxed(&((hak_superslab_t*)super)->state);
}

size_t hak_large_good_size(size_t size) {
  return hak_round_up(hak_max_size(size, 1), hak_platform_os_page_bytes());
}

// ---- spans ----

void hak_large_set_span_bytes(uintptr_t span, size_t size) {
  hak_page_map_set_span_bytes(span, hak_large_good_size(size));
}

static void* span_alloc(size_t size, size_t alignment, bool zero) {
  bool dirty = false;
  unsigned n_pages = (unsigned)hak_max_size(hak_pages_of(size), 1);
  unsigned align_pages = (unsigned)hak_max_size(hak_pages_of(alignment), 1);
  hak_run_t* run = hak_super_take_run(n_pages, align_pages, 0, &dirty);
  if (run == NULL) return NULL;
  hak_large_set_span_bytes(run->base, size);
  if (zero && dirty) memset((void*)run->base, 0, size);
  return (void*)run->base;
}

// The live span that begins at `ptr`, or NULL. (What is cached or free is none.)
static hak_run_t* span_at(hak_superslab_t* super, const void* ptr) {
  return hak_page_map_span_bytes(ptr) != 0 ? hak_super_run_at(super, (uintptr_t)ptr) : NULL;
}

// ---- huge blocks ----

static hak_superslab_t* super_at(const hak_superslab_t* first, uint32_t i) {
  return hak_reserve_super(first->reservation, hak_reserve_index(first) + i);
}

// Pages of the i-th SuperSlab of a block of `bytes` that the block covers.
static uint64_t covered_pages(size_t bytes, uint32_t i) {
  size_t before = (size_t)i * hak_super_bytes();
  if (bytes <= before) return 0;
  return hak_bit_run(0, (unsigned)hak_min_size(hak_pages_of(bytes - before), hak_super_pages()));
}

// Makes SuperSlabs [from, huge_supers), just taken, part of the block of `head`, and all that the
// block covers dirty. lock:BACKEND
static void join_huge(hak_superslab_t* head, uint32_t from) {
  for (uint32_t i = 0; i < head->huge_supers; i++) {
    hak_superslab_t* super = super_at(head, i);
    if (i >= from) {
      super->head = head;
      super->free_pages = super->aged_pages = 0;
      super->stale_pages = super->dirty_pages;
      hak_store_relaxed(&super->state, HAK_SUPER_HUGE);
    }
    super->dirty_pages |= super->reservation->has_huge_pages ? hak_bit_run(0, hak_super_pages())
                                                             : covered_pages(head->huge_bytes, i);
  }
}

// Gives back SuperSlabs [from, huge_supers) of the block, of which the first `clean_bytes` are zero
// again. lock:BACKEND
static void leave_huge(hak_superslab_t* head, uint32_t from, size_t clean_bytes) {
  uint32_t end = head->huge_supers;
  for (uint32_t i = from; i < end; i++) {
    hak_superslab_t* super = super_at(head, i);
    super->free_pages = hak_bit_run(0, hak_super_pages());
    super->head = NULL;
    // Whole pages only: beyond, contents from when the block was larger may be left.
    super->dirty_pages &= ~covered_pages(hak_round_down(clean_bytes, HAK_PAGE_BYTES), i);
  }
  hak_reserve_give(super_at(head, from), end - from);
  for (uint32_t i = from; i < end; i++) hak_purge_enqueue(super_at(head, i));
  head->huge_supers = from;
}

// Clears the pages of a new block that had old contents and begin below `size`.
static void clear_stale(const hak_superslab_t* head, size_t size) {
  for (uint32_t i = 0; i < head->huge_supers; i++) {
    const hak_superslab_t* super = super_at(head, i);
    for (uint64_t pages = super->stale_pages & covered_pages(size, i); pages != 0;) {
      unsigned at = hak_lowest_bit(pages);
      memset((void*)(super->base + ((uintptr_t)at << HAK_PAGE_SHIFT)), 0, HAK_PAGE_BYTES);
      pages &= pages - 1;
    }
  }
}

static _Atomic(uint32_t) n_moved;  // live huge blocks with was_moved

// With `room`, prefers a place that is followed by as much free address space again.
static hak_superslab_t* huge_take(size_t bytes, size_t alignment, bool room) {
  uint32_t n = supers_of(bytes);
  uint32_t align_supers = (uint32_t)hak_max_size(alignment / hak_super_bytes(), 1);
  bool huge_pages = hak_option_number(HAK_OPTION_thp) == HAK_THP_ALWAYS;
  hak_lock_acquire(&hak_backend_lock);
  hak_superslab_t* head = room ? hak_reserve_try(2 * n, align_supers, huge_pages) : NULL;
  if (head != NULL) {
    hak_reserve_give(super_at(head, n), n);
  } else {
    head = hak_reserve_take(n, align_supers, huge_pages);
  }
  if (head != NULL) {
    head->huge_bytes = bytes;
    head->huge_supers = n;
    head->was_moved = false;
    join_huge(head, 0);
  }
  hak_lock_release(&hak_backend_lock);
  return head;
}

static void* huge_alloc(size_t size, size_t alignment, bool zero) {
  size_t bytes = hak_large_good_size(size);
  hak_superslab_t* head = huge_take(bytes, alignment, false);
  if (head == NULL) return NULL;
  if (zero) clear_stale(head, size);
  return (void*)head->base;
}

// Memory that mremap moved in keeps the kernel from merging its mapping with its neighbours.
// Mapping SuperSlabs [from, huge_supers) afresh, before they are free, mends that; where the kernel
// refuses, they just stay separate. Returns whether they are zero now.
static bool mend_mapping(hak_superslab_t* head, uint32_t from) {
  return head->was_moved && hak_reserve_map_again(super_at(head, from), head->huge_supers - from);
}

static void huge_free(hak_superslab_t* head, size_t clean_bytes) {
  if (mend_mapping(head, 0)) clean_bytes = (size_t)head->huge_supers * hak_super_bytes();
  if (head->was_moved) hak_fetch_add_relaxed(&n_moved, (uint32_t)-1);
  hak_lock_acquire(&hak_backend_lock);
  leave_huge(head, 0, clean_bytes);
  hak_lock_release(&hak_backend_lock);
}

// ---- resizing a huge block ----

static bool grow_in_place(hak_superslab_t* head, size_t bytes) {
  uint32_t n = supers_of(bytes);
  uint32_t had = head->huge_supers;
  hak_lock_acquire(&hak_backend_lock);
  bool fits = n == had || hak_reserve_take_after(super_at(head, had - 1), n - had);
  if (fits) {
    head->huge_bytes = bytes;
    head->huge_supers = n;
    join_huge(head, had);
  }
  hak_lock_release(&hak_backend_lock);
  return fits;
}

static void shrink_in_place(hak_superslab_t* head, size_t bytes) {
  uint32_t n = supers_of(bytes), had = head->huge_supers;
  bool is_clean = n < had && mend_mapping(head, n);
  hak_lock_acquire(&hak_backend_lock);
  if (n < had) leave_huge(head, n, is_clean ? (size_t)had * hak_super_bytes() : 0);
  head->huge_bytes = bytes;
  hak_lock_release(&hak_backend_lock);
}

// Moves what is at `from` to `to`. The kernel moves page tables, not bytes, but only within one of
// its mappings (EFAULT): a range that earlier moves pieced together is moved in halves. SuperSlabs
// are moved whole, so that the seams lie between them and no half is left to be copied. Where the
// kernel cannot move at all, the bytes are copied. Returns whether the SuperSlabs at `from` are
// zero now. pre: the block at `to` covers as many SuperSlabs as that at `from`, and more.
static bool move_bytes(uintptr_t from, uintptr_t to, size_t bytes) {
  size_t whole = hak_round_up(bytes, hak_super_bytes());
  int error = hak_platform_move((void*)from, (void*)to, whole);
  if (hak_event_kernel_ok(HAK_KERNEL_MREMAP, error, (void*)from, whole)) return true;
  if (error == EFAULT && bytes > hak_super_bytes()) {
    size_t half = hak_round_up(whole / 2, hak_super_bytes());
    bool first = move_bytes(from, to, half);
    return move_bytes(from + half, to + half, bytes - half) && first;
  }
  memcpy((void*)to, (const void*)from, bytes);
  return false;
}

static void* move_huge(hak_superslab_t* from, size_t bytes) {
  hak_superslab_t* to = huge_take(bytes, 1, true);
  if (to == NULL) return NULL;
  bool is_clean = false;
  if (hak_load_relaxed(&n_moved) < HAK_MOVED_MAX) {
    hak_fetch_add_relaxed(&n_moved, 1);
    to->was_moved = true;
    // A mapping that has memory when the move splits it in two can be whole again later: else each
    // half gets an anon_vma of its own with its first page, and the kernel never merges them.
    *(volatile char*)to->base = 0;
    is_clean = move_bytes(from->base, to->base, from->huge_bytes);
  } else {
    memcpy((void*)to->base, (const void*)from->base, from->huge_bytes);
  }
  huge_free(from, is_clean ? (size_t)from->huge_supers * hak_super_bytes() : 0);
  return (void*)to->base;
}

static void* huge_resize(hak_superslab_t* head, size_t size) {
  size_t bytes = hak_large_good_size(size);
  if (bytes == head->huge_bytes) return (void*)head->base;
  if (bytes > head->huge_bytes) {
    return grow_in_place(head, bytes) ? (void*)head->base : move_huge(head, bytes);
  }
  if (bytes <= hak_super_bytes() / 2) return NULL;  // better off as a span
  shrink_in_place(head, bytes);
  return (void*)head->base;
}

// ---- the two together ----

void* hak_large_alloc(size_t size, size_t alignment, bool zero) {
  if (size > HAK_LARGE_MAX || alignment > HAK_LARGE_MAX) return NULL;
  hak_reserve_ready();
  hak_tick();
  size_t span_max = hak_super_bytes() / 2;
  bool is_span = size <= span_max && alignment <= span_max;
  return is_span ? span_alloc(size, alignment, zero) : huge_alloc(size, alignment, zero);
}

// The head of the huge block that begins at `ptr`, or NULL.
static hak_superslab_t* huge_at(hak_superslab_t* super, const void* ptr) {
  bool is_head =
      state_of(super) == HAK_SUPER_HUGE && super->head == super && super->base == (uintptr_t)ptr;
  return is_head ? super : NULL;
}

void hak_large_free(void* ptr) {
  hak_superslab_t* super = hak_page_map_super(ptr);
  if (super == NULL) hak_fatal_foreign("free of a pointer that is not ours", ptr);
  hak_run_t* span = span_at(super, ptr);
  hak_superslab_t* huge = huge_at(super, ptr);
  if (span != NULL) {
    hak_page_map_set_span_bytes(span->base, 0);
    hak_super_return_run(span);
  } else if (huge != NULL) {
    huge_free(huge, 0);
  } else {
    hak_fatal_block("free of a pointer that is not a live block (freed already, or inside one)",
                    ptr, 0, 0);
  }
  hak_tick();
}

size_t hak_large_usable_size(const void* ptr) {
  uintptr_t base;
  size_t bytes;
  return hak_large_find(ptr, &base, &bytes) && base == (uintptr_t)ptr ? bytes : 0;
}

bool hak_large_find(const void* address, uintptr_t* base, size_t* bytes) {
  hak_superslab_t* super = hak_page_map_super(address);
  if (super == NULL) return false;
  if (hak_super_has_runs(super)) {
    *base = hak_page_map_run_base(address);
    *bytes = hak_page_map_span_bytes((const void*)*base);
    return (uintptr_t)address - *base < *bytes;
  }
  hak_superslab_t* head = super->head;
  if (state_of(super) != HAK_SUPER_HUGE || head == NULL) return false;
  *base = head->base;
  *bytes = head->huge_bytes;
  return (uintptr_t)address - *base < *bytes;
}

// A span grows into the pages after it where they are free, and shrinks to half its size or more.
// Otherwise it is better off elsewhere.
static void* span_resize(hak_run_t* span, size_t size) {
  size_t n_pages = hak_pages_of(size);
  uint64_t had_pages = span->n_pages;
  if (n_pages > hak_super_pages() / 2 || 2 * n_pages < had_pages) return NULL;
  if (n_pages > had_pages) {
    if (!hak_super_grow_run(span, (unsigned)n_pages)) return NULL;
  } else if (n_pages < had_pages) {
    hak_super_shrink_run(span, (unsigned)n_pages);
  }
  hak_large_set_span_bytes(span->base, size);
  return (void*)span->base;
}

void* hak_large_resize(void* ptr, size_t size) {
  if (size > HAK_LARGE_MAX) return NULL;
  hak_superslab_t* super = hak_page_map_super(ptr);
  hak_superslab_t* huge = huge_at(super, ptr);
  if (huge != NULL) return huge_resize(huge, size);
  hak_run_t* span = span_at(super, ptr);
  return span != NULL ? span_resize(span, size) : NULL;
}
