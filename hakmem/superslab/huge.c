// Huge blocks: taken from a reservation, given back, grown in place, moved in pieces.

#include "hakmem/superslab/huge.h"

#include <string.h>

#include "hakmem/base/bits.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/remap.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/superslab/room.h"
#include "hakmem/superslab/spare.h"

static _Atomic(uint32_t) n_moved;  // live huge blocks with was_moved

static uint32_t supers_of(size_t bytes) {
  return (uint32_t)((bytes + hak_super_bytes() - 1) / hak_super_bytes());
}

static hak_superslab_t* super_at(const hak_superslab_t* first, uint32_t i) {
  return hak_reserve_super(first->reservation, hak_reserve_index(first) + i);
}

// ---- taking ----

// Makes SuperSlabs [from, huge_supers), just taken, part of the block of `head`, and all that the
// block covers dirty. lock:BACKEND
static void join(hak_superslab_t* head, uint32_t from) {
  for (uint32_t i = 0; i < head->huge_supers; i++) {
    hak_superslab_t* super = super_at(head, i);
    if (i >= from) {
      super->head = head;
      super->free_pages = super->aged_pages = 0;
      super->stale_pages = super->dirty_pages;
      super->is_drained = false;
      hak_store_relaxed(&super->state, HAK_SUPER_HUGE);
    }
    super->dirty_pages |= super->reservation->has_huge_pages
                              ? hak_bit_run(0, hak_super_pages())
                              : hak_super_covered_pages(super, head->huge_bytes, i);
    hak_spare_count(super);
  }
  // What was behind the end is in use.
  if (from != 0)
    super_at(head, from - 1)->aged_pages &= hak_super_tail_pages(super_at(head, from - 1));
  hak_purge_enqueue(super_at(head, head->huge_supers - 1));
}

// With a block that is to move there, `from`, prefers a place that is followed by as much free
// address space again, and pins both. Of its memory so much moves along, and counts once.
static hak_superslab_t* take(size_t bytes, size_t alignment, hak_superslab_t* from,
                             size_t brought_bytes) {
  uint32_t n = supers_of(bytes);
  uint32_t align_supers = (uint32_t)hak_max_size(alignment / hak_super_bytes(), 1);
  hak_lock_acquire(&hak_backend_lock);
  hak_superslab_t* head = NULL;
  bool admitted = hak_spare_admits(bytes - brought_bytes);
  if (from != NULL && admitted) {
    from->is_pinned = true;
    head = hak_reserve_try(n, n, align_supers, true);
  }
  if (head == NULL && admitted) head = hak_room_take(n, align_supers, true);
  if (head != NULL) {
    head->huge_bytes = bytes;
    head->huge_supers = n;
    head->was_moved = false;
    head->is_pinned = from != NULL;
    join(head, 0);
  } else if (from != NULL) {
    from->is_pinned = false;
  }
  hak_lock_release(&hak_backend_lock);
  return head;
}

// Clears the pages of a new block that had old contents and begin below `size`.
static void clear_stale(const hak_superslab_t* head, size_t size) {
  for (uint32_t i = 0; i < head->huge_supers; i++) {
    const hak_superslab_t* super = super_at(head, i);
    for (uint64_t pages = super->stale_pages & hak_super_covered_pages(super, size, i);
         pages != 0;) {
      unsigned at = hak_lowest_bit(pages);
      memset((void*)(super->base + ((uintptr_t)at << HAK_PAGE_SHIFT)), 0, HAK_PAGE_BYTES);
      pages &= pages - 1;
    }
  }
}

void* hak_huge_alloc(size_t size, size_t alignment, bool zero) {
  hak_superslab_t* head = take(hak_whole_os_pages(size), alignment, NULL, 0);
  hak_purge_to_limit();
  if (head == NULL) return NULL;
  if (zero) clear_stale(head, size);
  return (void*)head->base;
}

hak_superslab_t* hak_huge_at(hak_superslab_t* super, const void* ptr) {
  bool is_head = hak_load_relaxed(&super->state) == HAK_SUPER_HUGE && super->head == super &&
                 super->base == (uintptr_t)ptr;
  return is_head ? super : NULL;
}

// ---- giving ----

// While a block's mappings are changed without the lock, none of them may be unmapped to make room.
static void set_pinned(hak_superslab_t* head, bool is_pinned) {
  hak_lock_acquire(&hak_backend_lock);
  head->is_pinned = is_pinned;
  hak_lock_release(&hak_backend_lock);
}

// Memory that was moved in, or a program's own split, keeps the kernel from merging the mapping
// with its neighbours. Mapping SuperSlabs [begin, end) of a block afresh, before they are free,
// mends that; where the kernel refuses, they just stay separate.
static hak_replace_t mend(hak_superslab_t* head, uint32_t begin, uint32_t end) {
  uint32_t displaced = begin;
  while (displaced < end && super_at(head, displaced)->displacement == 0) displaced++;
  if (displaced == end) return HAK_KEPT;
  set_pinned(head, true);
  // (Where the last one has a hole, another's mapping may lie in it.)
  if (super_at(head, end - 1)->absent_pages != 0) end--;
  return end > begin ? hak_remap_again(super_at(head, begin), end - begin) : HAK_KEPT;
}

// Gives back SuperSlabs [begin, end) of a block, of which `mended` tells what is left.
// lock:BACKEND
static void leave(hak_superslab_t* head, uint32_t begin, uint32_t end, hak_replace_t mended) {
  if (begin == end) return;
  hak_superslab_t* first = super_at(head, begin);
  if (mended == HAK_LOST) {
    hak_reserve_lose(first, end - begin);
    return;
  }
  for (uint32_t i = 0; i < end - begin; i++) {
    hak_superslab_t* super = super_at(first, i);
    super->free_pages = hak_bit_run(0, hak_super_pages());
    super->head = NULL;
    if (mended == HAK_REPLACED || super->is_drained) super->dirty_pages = 0;
    hak_spare_count(super);
  }
  hak_reserve_give(first, end - begin);
  for (uint32_t i = 0; i < end - begin; i++) hak_purge_enqueue(super_at(first, i));
}

static void forget_moved(const hak_superslab_t* head) {
  if (head->was_moved) hak_fetch_add_relaxed(&n_moved, (uint32_t)-1);
}

void hak_huge_free(hak_superslab_t* head) {
  hak_replace_t mended = mend(head, 0, head->huge_supers);
  forget_moved(head);
  hak_lock_acquire(&hak_backend_lock);
  leave(head, 0, head->huge_supers, mended);
  hak_lock_release(&hak_backend_lock);
}

// ---- moving ----

static size_t offset_of(uint32_t i) { return (size_t)i * hak_super_bytes(); }

// How many SuperSlabs from the i-th on lie in one mapping, as far as moves have cut it.
static uint32_t piece_at(const hak_superslab_t* head, uint32_t i) {
  uint32_t end = i + 1;
  while (end < head->huge_supers &&
         super_at(head, end)->displacement == super_at(head, i)->displacement) {
    end++;
  }
  return end - i;
}

// Copies back what has moved of the first `n` SuperSlabs: what is drained is mapped, and ours.
static void take_back(hak_superslab_t* from, const hak_superslab_t* to, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    hak_superslab_t* super = super_at(from, i);
    if (!super->is_drained) continue;
    super->is_drained = false;
    (void)hak_platform_make_writable((void*)super->base, hak_super_bytes());
    memcpy((void*)super->base, (const void*)(to->base + offset_of(i)), hak_super_bytes());
  }
}

// Brings all that `from` holds to `to`, which covers more: its memory where the kernel moves it,
// else a copy. (SuperSlabs are moved whole, so that all seams lie between them.) Where that costs
// address space, because a refusal has left a hole that is another's now, `from` is whole again,
// the rest of `to` is given back, and the answer is false.
static bool bring(hak_superslab_t* from, hak_superslab_t* to) {
  for (uint32_t i = 0, n; i < from->huge_supers; i += n) {
    n = piece_at(from, i);
    hak_replace_t moved = hak_remap_move(super_at(from, i), super_at(to, i), &n);
    if (moved == HAK_KEPT) {
      size_t bytes = hak_min_size(offset_of(n), from->huge_bytes - offset_of(i));
      memcpy((void*)super_at(to, i)->base, (const void*)super_at(from, i)->base, bytes);
    } else if (moved == HAK_LOST) {
      take_back(from, to, i);
      hak_replace_t mended = mend(to, 0, i);
      forget_moved(to);
      hak_lock_acquire(&hak_backend_lock);
      from->is_pinned = false;
      leave(to, 0, i, mended);
      leave(to, i, i + n, HAK_LOST);
      leave(to, i + n, to->huge_supers, HAK_KEPT);
      hak_lock_release(&hak_backend_lock);
      return false;
    }
  }
  return true;
}

static void* move(hak_superslab_t* from, size_t bytes) {
  bool moves = hak_load_relaxed(&n_moved) < HAK_MOVED_MAX;
  hak_superslab_t* to = take(bytes, 1, from, moves ? from->huge_bytes : 0);
  if (to == NULL) return NULL;
  if (moves) {
    hak_fetch_add_relaxed(&n_moved, 1);
    to->was_moved = true;
    if (!bring(from, to)) return NULL;
  } else {
    memcpy((void*)to->base, (const void*)from->base, from->huge_bytes);
  }
  set_pinned(to, false);
  hak_huge_free(from);
  return (void*)to->base;
}

// ---- resizing ----

// Maps again what was unmapped behind a block, in its last SuperSlab. lock:BACKEND
static bool fill_hole(hak_superslab_t* last) {
  if (last->absent_pages == 0) return true;
  if (hak_reserve_map_pages(last) != 0) return false;
  if (last->displacement != 0) last->displacement = HAK_DISPLACEMENT_SPLIT;
  return true;
}

static bool grow_in_place(hak_superslab_t* head, size_t bytes) {
  uint32_t n = supers_of(bytes);
  uint32_t had = head->huge_supers;
  hak_lock_acquire(&hak_backend_lock);
  bool fits = hak_spare_admits(bytes - head->huge_bytes) && fill_hole(super_at(head, had - 1)) &&
              (n == had || hak_reserve_take_after(super_at(head, had - 1), n - had));
  if (fits) {
    head->huge_bytes = bytes;
    head->huge_supers = n;
    join(head, had);
  }
  hak_lock_release(&hak_backend_lock);
  return fits;
}

static void shrink_in_place(hak_superslab_t* head, size_t bytes) {
  uint32_t n = supers_of(bytes), had = head->huge_supers;
  hak_replace_t mended = mend(head, n, had);
  hak_lock_acquire(&hak_backend_lock);
  leave(head, n, had, mended);
  head->huge_supers = n;
  head->huge_bytes = bytes;
  head->is_pinned = false;
  hak_spare_count(super_at(head, n - 1));
  hak_purge_enqueue(super_at(head, n - 1));
  hak_lock_release(&hak_backend_lock);
}

void* hak_huge_resize(hak_superslab_t* head, size_t size) {
  size_t bytes = hak_whole_os_pages(size);
  if (bytes == head->huge_bytes) return (void*)head->base;
  if (bytes > head->huge_bytes) {
    void* grown = grow_in_place(head, bytes) ? (void*)head->base : move(head, bytes);
    hak_purge_to_limit();
    return grown;
  }
  if (bytes <= hak_super_bytes() / 2) return NULL;  // better off as a span
  shrink_in_place(head, bytes);
  return (void*)head->base;
}
