// The layout of SuperSlabs: aligned regions of 64 KiB pages, of which each has a descriptor. What
// the files of this layer share, and the lock that all of it is under.
//
// Descriptors lie in metadata memory, apart from the pages: that of the SuperSlab, behind it one of
// each page, and behind those their bitmaps.
//
// State and owners of a SuperSlab (all under lock BACKEND):
//   FREE     in its reservation; no page in use
//   PAGES    cut into runs; linked in the bin of its longest free run unless it has none
//   HUGE     part of a huge block; `head` is the first SuperSlab of the block
//   DIRECT   512 KiB of address space that direct runs are mapped in (direct.h)
//   LOST     given up. After a fork that caught another thread changing it: the slabs and spans in
//            it live on, but what is freed is never used again. Or with nothing in it, because its
//            address space is no longer ours (see hak_replace_t in remap.h)
//
// Pages: free_pages is the truth about which are in no run and can be used. dirty_pages are those
// that may hold memory with old contents; the others read as zero. absent_pages are not mapped, to
// make room (room.h), and neither free nor dirty; of a FREE SuperSlab it is none or all of them.
// reserved_pages, of the process's first SuperSlab alone, cannot be touched yet (reserve.h), and
// are nothing of that either.

#ifndef HAKMEM_LAYOUT_H_
#define HAKMEM_LAYOUT_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"
#include "hakmem/base/config.h"
#include "hakmem/base/size_class.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/lock.h"
#include "hakmem/platform/platform.h"

typedef enum hak_super_state {
  HAK_SUPER_FREE,
  HAK_SUPER_PAGES,
  HAK_SUPER_HUGE,
  HAK_SUPER_DIRECT,
  HAK_SUPER_LOST,
} hak_super_state_t;

// What a run of pages is for.
typedef enum hak_run_use {
  HAK_RUN_SPAN,       // one large block, live or in a thread's cache
  HAK_RUN_SLAB,       // blocks of a class
  HAK_RUN_PREWARMED,  // a slab that was made ready, and of which nothing has been taken yet
  HAK_RUN_ABANDONED,  // a slab that nobody owns because its thread has ended
  HAK_RUN_SAMPLED,    // a slab of sampled blocks: unowned for good
  HAK_RUN_LOST,       // in a forked child: a slab in no list, though it may have free blocks
} hak_run_use_t;

// The descriptor of a page: in use when the page is the first of a run. This layer knows its first
// part; the rest, up to HAK_RUN_BYTES, is the slab layer's (slab.h).
typedef struct hak_run {
  uintptr_t base;        // const: address of the page
  uint8_t size_class;    // const while the run lives; 0: a span, or a free page
  uint8_t n_pages;       // const while the run lives; 0: no run begins here
  _Atomic(uint8_t) use;  // hak_run_use_t; its owner's to set, any thread's to read
} hak_run_t;

static inline hak_run_use_t hak_run_use(const hak_run_t* run) {
  return (hak_run_use_t)hak_load_relaxed(&((hak_run_t*)run)->use);
}
static inline void hak_run_set_use(hak_run_t* run, hak_run_use_t use) {
  hak_store_relaxed(&run->use, (uint8_t)use);
}
static inline size_t hak_run_bytes(const hak_run_t* run) {
  return (size_t)run->n_pages << HAK_PAGE_SHIFT;
}

#define HAK_DISPLACEMENT_SPLIT 1  // no distance between SuperSlabs

typedef struct hak_superslab {
  uintptr_t base;                       // const
  struct hak_reservation* reservation;  // const
  unsigned n_pages;                     // const

  // Written under lock BACKEND, on lines that freeing threads do not read.
  alignas(HAK_CACHE_LINE) uint64_t free_pages;
  uint64_t dirty_pages;
  uint64_t absent_pages;
  uint64_t reserved_pages;
  uint64_t checked_out;  // pages that purges have out of circulation now
  uint64_t aged_pages;   // dirty, and free or behind a block, since before the purge's last visit
  struct hak_superslab* next;  // PAGES: the bin of its longest free run
  struct hak_superslab* prev;
  struct hak_superslab* next_dirty;  // queue of those with free dirty pages, oldest first
  struct hak_superslab* prev_dirty;
  uint64_t dirty_since_ms;     // when it joined that queue
  struct hak_superslab* head;  // HUGE: first SuperSlab of the block
  size_t huge_bytes;           // HUGE, in the head: bytes from the block's address on
  uint64_t stale_pages;        // HUGE: pages with old contents when the block was made
  uint32_t huge_supers;        // HUGE, in the head: how many SuperSlabs
  _Atomic(uint8_t) state;      // hak_super_state_t; read without the lock by address look-ups
  uint8_t bin;                 // PAGES: length of the longest free run
  uint8_t counted_dirty;       // what spare.c has counted of its pages
  uint8_t counted_spare;
  uint8_t counted_loose;
  bool in_dirty_queue;
  bool is_changing;  // set while the fields above are in motion: for a child of a fork
  bool was_moved;    // HUGE, in the head: it counts as a moved block (HAK_MOVED_MAX)
  bool is_pinned;    // HUGE, in the head: its mappings are being changed without the lock
  bool is_drained;   // HUGE: all that was in it has moved on; it reads as zero
  // How far from where it was mapped its mapping has been moved, in bytes: two neighbours are one
  // mapping only if they were moved equally far. 0: as its reservation was mapped;
  // HAK_DISPLACEMENT_SPLIT: the program has split it. HUGE: the block's owner's to change.
  intptr_t displacement;

  // Of a hardened process, see hakmem/hardened/live.h: whether the block at its base is live, and
  // which others are. NULL: none ever was.
  _Atomic(uint64_t) first_live;
  _Atomic(_Atomic(uint64_t)*) live;

  char* wide_bitmaps;  // see hak_super_ready_bitmaps; never changes again

  // One descriptor a page, of HAK_RUN_BYTES, and behind them one bitmap a page, of
  // HAK_BITMAP_BYTES.
  alignas(HAK_CACHE_LINE) char runs[];
} hak_superslab_t;

// Most pages of a direct run (direct.h): those of its unit of address space.
#define HAK_DIRECT_MAX_PAGES (1u << (HAK_SUPER_MIN_SHIFT - HAK_PAGE_SHIFT))

static inline bool hak_super_is_direct(const hak_superslab_t* super) {
  return hak_load_relaxed(&((hak_superslab_t*)super)->state) == HAK_SUPER_DIRECT;
}

// Pages that `bytes` take.
static inline size_t hak_pages_of(size_t bytes) {
  return (bytes + HAK_PAGE_BYTES - 1) >> HAK_PAGE_SHIFT;
}

// The usable bytes of a span or huge block of `size`: whole OS pages, one at least.
// pre: size <= PTRDIFF_MAX.
static inline size_t hak_whole_os_pages(size_t size) {
  return hak_round_up(hak_max_size(size, 1), hak_platform_os_page_bytes());
}

// The one lock of the backend: reservations, SuperSlabs, page runs, huge blocks, purge.
extern hak_lock_t hak_backend_lock;

// Whether slabs and spans lie in it. (In a lost one those stay that were not being changed.)
static inline bool hak_super_has_runs(const hak_superslab_t* super) {
  unsigned state = hak_load_relaxed(&((hak_superslab_t*)super)->state);
  return state == HAK_SUPER_PAGES || state == HAK_SUPER_DIRECT || state == HAK_SUPER_LOST;
}

// The descriptor of the `page`-th page of `super`, of the page at `base`, and of the first page of
// the run that holds `address`; the latter two must lie in it.
static inline hak_run_t* hak_super_run(hak_superslab_t* super, unsigned page) {
  return (hak_run_t*)(super->runs + (size_t)page * HAK_RUN_BYTES);
}
static inline hak_run_t* hak_super_run_at(hak_superslab_t* super, uintptr_t base) {
  return hak_super_run(super, (unsigned)((base - super->base) >> HAK_PAGE_SHIFT));
}
static inline hak_run_t* hak_super_run_of(hak_superslab_t* super, const void* address) {
  return hak_super_run_at(super, hak_page_map_run_base(address));
}

// Pages of a SuperSlab, the i-th of a huge block, that the block's `bytes` cover.
uint64_t hak_super_covered_pages(const hak_superslab_t* super, size_t bytes, uint32_t i);

// Pages of a SuperSlab, mapped ones, that the huge block which it is part of leaves behind its end.
// None in other SuperSlabs.
uint64_t hak_super_tail_pages(const hak_superslab_t* super);

// Bytes of the descriptors of a SuperSlab of `n_pages`, and of their bitmaps.
size_t hak_super_descriptor_bytes(unsigned n_pages);

// Memory for the bitmaps of a run that is for slabs of `size_class`. Those of the classes of the
// smallest blocks take more than HAK_BITMAP_BYTES; a SuperSlab gets memory for such when it first
// takes one in (lock:BACKEND), so that only who needs it pays for it. False: there is none.
hak_nodiscard bool hak_super_ready_bitmaps(hak_superslab_t* super, unsigned size_class);
void* hak_run_bitmap(hak_run_t* run, unsigned size_class);

#endif  // HAKMEM_LAYOUT_H_
