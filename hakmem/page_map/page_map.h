// Page map: from an address to what lies there.
//
// Three questions, three tables in one leaf for 4 GiB of address space:
// - classes: for each 64 KiB page, 8 bits: the size class of the slab that the page belongs to; 0:
//   none, i.e. a span, a huge block, nothing, or foreign. This is what hak_free reads.
// - runs: for each page of a run (a slab or a span), 16 bits: how many of the run's pages lie
//   before it (high 6 bits), and on the first page of a live span its usable bytes, in units of
//   4 KiB (low 10 bits). With the class, this is what hak_realloc and hak_usable_size read.
// - supers: for each 512 KiB, the SuperSlab that holds it. Slow paths only.
//
// A leaf is made when a reservation first reaches its 4 GiB and stays for ever. Classes may be read
// by anyone at any time. For a live block the class is stable, but for one thing: it may become its
// outgoing or watched class, or the other way round, which stand for the same blocks
// (size_class.h).

#ifndef HAKMEM_PAGE_MAP_H_
#define HAKMEM_PAGE_MAP_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"
#include "hakmem/base/config.h"

#define HAK_LEAF_SHIFT 32  // the lower half of an address is its place in the leaf
#define HAK_LEAF_PAGES (1u << (HAK_LEAF_SHIFT - HAK_PAGE_SHIFT))
#define HAK_LEAF_SUPERS (1u << (HAK_LEAF_SHIFT - HAK_SUPER_MIN_SHIFT))
#define HAK_ROOT_LEAVES (1u << (HAK_ADDRESS_BITS - HAK_LEAF_SHIFT))

#define HAK_RUN_UNIT_BITS 10
#define HAK_RUN_UNIT_BYTES (4 * HAK_KIB)
static_assert(HAK_SUPER_MAX_PAGES <= 1u << (16 - HAK_RUN_UNIT_BITS), "pages before one");
static_assert((HAK_SUPER_MAX_PAGES << HAK_PAGE_SHIFT) / 2 / HAK_RUN_UNIT_BYTES <
                  1u << HAK_RUN_UNIT_BITS,
              "the units of the largest span");

struct hak_superslab;

typedef struct hak_page_leaf {
  _Atomic(uint8_t) classes[HAK_LEAF_PAGES * HAK_MIN_ALIGNMENT];  // see hak_page_map_block_class
  _Atomic(uint16_t) runs[HAK_LEAF_PAGES];
  _Atomic(struct hak_superslab*) supers[HAK_LEAF_SUPERS];
} hak_page_leaf_t;

extern _Atomic(hak_page_leaf_t*) hak_page_root[HAK_ROOT_LEAVES];

// The index of an address among the pages, and among the supers, of its leaf.
static inline uint32_t hak_leaf_page(uintptr_t address) {
  return (uint32_t)address >> HAK_PAGE_SHIFT;
}
static inline uint32_t hak_leaf_super(uintptr_t address) {
  return (uint32_t)address >> HAK_SUPER_MIN_SHIFT;
}

// The leaf that covers `address`; NULL when there is none, so that the address is foreign.
// (Relaxed: all that is read through it is atomic, at an address that depends on this load.)
static inline hak_page_leaf_t* hak_page_map_leaf(const void* address) {
  uintptr_t at = (uintptr_t)address >> HAK_LEAF_SHIFT;
  return hak_likely(at < HAK_ROOT_LEAVES) ? hak_load_relaxed(&hak_page_root[at]) : NULL;
}

// The class of the page that holds `address`; 0 for a foreign address.
static inline unsigned hak_page_map_class(const void* address) {
  hak_page_leaf_t* leaf = hak_page_map_leaf(address);
  if (hak_unlikely(leaf == NULL)) return 0;
  return hak_load_relaxed(&leaf->classes[hak_leaf_page((uintptr_t)address)]);
}

// The same for free, of the address of a block: in as few instructions as can be. What is no
// multiple of HAK_MIN_ALIGNMENT gets 0 too: turned right, it has its lowest bits above the number
// of the page, and finds what lies behind the pages' classes, which nobody writes. Bits above
// HAK_ADDRESS_BITS are not looked at here; they come to light when the block goes back to its slab.
static inline unsigned hak_page_map_block_class(const void* block) {
  enum { ZEROS = 4 };
  static_assert(1 << ZEROS == HAK_MIN_ALIGNMENT, "the lowest bits of a block's address");
  uint32_t low = (uint32_t)(uintptr_t)block;
  uint32_t page = (low >> ZEROS | low << (32 - ZEROS)) >> (HAK_PAGE_SHIFT - ZEROS);
  static_assert(HAK_ADDRESS_BITS - HAK_LEAF_SHIFT == 16, "what is left of an address");
  uint16_t at = (uint16_t)((uintptr_t)block >> HAK_LEAF_SHIFT);
  hak_page_leaf_t* leaf = hak_load_relaxed(&hak_page_root[at]);
  return hak_likely(leaf != NULL) ? hak_load_relaxed(&leaf->classes[page]) : 0;
}

// What `runs` has for the page that holds `address`; 0 for a foreign address.
static inline unsigned hak_page_map_run(const void* address) {
  hak_page_leaf_t* leaf = hak_page_map_leaf(address);
  if (hak_unlikely(leaf == NULL)) return 0;
  return hak_load_relaxed(&leaf->runs[hak_leaf_page((uintptr_t)address)]);
}

// Taken apart: the bytes of the run before the page; and the usable bytes of the live span that
// begins with it, or 0.
static inline size_t hak_run_bytes_before(unsigned run) {
  return (size_t)(run >> HAK_RUN_UNIT_BITS) << HAK_PAGE_SHIFT;
}
static inline size_t hak_run_span_bytes(unsigned run) {
  return (run & ((1u << HAK_RUN_UNIT_BITS) - 1)) * HAK_RUN_UNIT_BYTES;
}

// The usable bytes of the live span that begins at `address`; 0 when none does.
static inline size_t hak_page_map_span_bytes(const void* address) {
  size_t bytes = hak_run_span_bytes(hak_page_map_run(address));
  return (uintptr_t)address % HAK_PAGE_BYTES == 0 ? bytes : 0;
}

// The address of the first page of the run that holds `address`, which must lie in one.
static inline uintptr_t hak_page_map_run_base(const void* address) {
  return hak_round_down((uintptr_t)address, HAK_PAGE_BYTES) -
         hak_run_bytes_before(hak_page_map_run(address));
}

// The SuperSlab that holds `address`; NULL for a foreign address.
static inline struct hak_superslab* hak_page_map_super(const void* address) {
  hak_page_leaf_t* leaf = hak_page_map_leaf(address);
  if (leaf == NULL) return NULL;
  return hak_load_acquire(&leaf->supers[hak_leaf_super((uintptr_t)address)]);
}

// Makes the leaves for [base, base + bytes). False when there is no memory for them.
// lock:BACKEND
hak_nodiscard bool hak_page_map_add_range(uintptr_t base, size_t bytes);

// Enters `super` for [base, base + bytes), multiples of 512 KiB. pre: leaves exist.
void hak_page_map_set_super(uintptr_t base, size_t bytes, struct hak_superslab* super);

// Enters `size_class` for `n_pages` pages from `base` on. pre: leaves exist. By whoever makes or
// destroys the slab; its outgoing class by any thread that has a block of it to free.
void hak_page_map_set_class(uintptr_t base, unsigned n_pages, unsigned size_class);

// Any thread: enters `to` for a page that has `from` now, another number of the same class.
void hak_page_map_swap_class(uintptr_t page, unsigned from, unsigned to);

// Enters pages [from, to) of the run that begins at `base`. The first becomes no span's yet.
// pre: leaves exist. lock:BACKEND
void hak_page_map_set_run(uintptr_t base, unsigned from, unsigned to);

// Enters the usable bytes, whole OS pages, of the span at `base`; 0: no live span any more.
// pre: its run is entered. By whoever has the span.
static inline void hak_page_map_set_span_bytes(uintptr_t base, size_t bytes) {
  hak_page_leaf_t* leaf = hak_load_relaxed(&hak_page_root[base >> HAK_LEAF_SHIFT]);
  hak_store_relaxed(&leaf->runs[hak_leaf_page(base)], (uint16_t)(bytes / HAK_RUN_UNIT_BYTES));
}

#endif  // HAKMEM_PAGE_MAP_H_
