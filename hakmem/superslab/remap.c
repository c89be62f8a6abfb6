// Marks, fresh mappings and moves.

#include "hakmem/superslab/remap.h"

#include <errno.h>

#include "hakmem/options/events.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/reserve.h"

// Kernels refuse before they change anything, or after they have unmapped what is to be replaced
// (mremap before 6.17 of several mappings, either call when memory runs out on the way). The errors
// are the same. So a mark is left at the beginning of what is to be replaced, all of which goes or
// stays: whoever finds it there afterwards still has it. The kernel looks for it, lest memory be
// touched that has become another's.

static size_t bytes_of(uint32_t n_supers) { return n_supers * hak_super_bytes(); }

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

hak_replace_t hak_remap_again(hak_superslab_t* first, uint32_t n) {
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

hak_replace_t hak_remap_move(hak_superslab_t* from, hak_superslab_t* to, uint32_t* n) {
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
