// Size classes: which block size serves a request, and how its slabs are cut.
//
// Classes 1..8 are 16, 32, .. 128 bytes; above, 8 classes a doubling up to 32 KiB, so that at most
// 1/9 of a block above 128 bytes is wasted by rounding. All sizes are multiples of 16. A slab has
// at least 8 blocks and loses at most 1/16 of its bytes at its end. Tables are constants: they
// hold before any code has run.
//
// Of a class with several blocks to a cache line, the blocks of one line may be in use by several
// threads. Where a slab's blocks are seen to travel between threads, the page map gives its pages
// the *outgoing class* in place of the class: a number of its own for the same blocks, so that
// those freed wait apart until it is known whose they are, and no thread hands out what shares a
// line with another's.
//
// While the heap profiler samples allocations, the page map gives some pages of slabs the *watched
// class* in place of the class, for the same blocks: a number for which no magazine has room, so
// that what is freed there comes to the slow path (heap/sampling.h). Slabs of sampled blocks, of
// whichever class, have HAK_CLASS_SAMPLED, a number without blocks: who meets it asks the slab.

#ifndef HAKMEM_SIZE_CLASS_H_
#define HAKMEM_SIZE_CLASS_H_

#include "hakmem/base/base.h"
#include "hakmem/base/config.h"

// An offset in a slab, in units of 16 bytes, is divided by a block's size in the same units by
// multiplying by the reciprocal ceil(2^31 / divisor) and shifting. The result is exact because
// offset * divisor < 2^31: at most 5 pages (2^15 units) times 2^11 units (Granlund and Montgomery,
// "Division by Invariant Integers using Multiplication", 1994).
#define HAK_RECIPROCAL_SHIFT 31

typedef struct {
  uint32_t block_bytes;
  uint32_t reciprocal;    // see above
  uint16_t slab_pages;    // pages of a slab: 1..5
  uint16_t slab_blocks;   // blocks in a slab
  uint16_t slab_words;    // 64-bit words of its bitmap
  uint16_t magazine_max;  // most blocks of one magazine
} hak_class_info_t;

// [0] is what holds for a span: one block, at its beginning. Outgoing and watched classes are as
// their class. HAK_CLASS_SAMPLED has no blocks.
extern const hak_class_info_t hak_class_infos[HAK_N_ENTRIES];
extern const uint8_t hak_class_by_units[HAK_SMALL_MAX / HAK_MIN_ALIGNMENT + 1];

// pre: size <= HAK_SMALL_MAX. Size 0 has no class: its blocks are no memory (zero_size.h).
static inline unsigned hak_class_of(size_t size) {
  return hak_class_by_units[(size + HAK_MIN_ALIGNMENT - 1) / HAK_MIN_ALIGNMENT];
}

static inline const hak_class_info_t* hak_class_info(unsigned size_class) {
  return &hak_class_infos[size_class];
}

// The outgoing class of a class, 0 when it has none; its watched class; and the class that any of
// the three stands for (0 for HAK_CLASS_SAMPLED).
static inline unsigned hak_class_outgoing(unsigned size_class) {
  return size_class - 1 < HAK_N_LINE_CLASSES ? HAK_N_CLASSES - 1 + size_class : 0;
}
static inline unsigned hak_class_watched(unsigned size_class) {
  return HAK_N_STACKS - 1 + size_class;
}
static inline bool hak_class_is_watched(unsigned size_class) {
  return size_class >= HAK_N_STACKS && size_class < HAK_CLASS_SAMPLED;
}
static inline unsigned hak_class_proper(unsigned size_class) {
  if (hak_likely(size_class < HAK_N_CLASSES)) return size_class;
  if (size_class < HAK_N_STACKS) return size_class - (HAK_N_CLASSES - 1);
  return size_class < HAK_CLASS_SAMPLED ? size_class - (HAK_N_STACKS - 1) : 0;
}

// Whether the two bitmaps of a slab of the class take more than HAK_BITMAP_BYTES together.
static inline bool hak_class_has_wide_bitmaps(unsigned size_class) {
  return hak_class_info(size_class)->slab_words > HAK_BITMAP_BYTES / (2 * sizeof(uint64_t));
}

// The index of the block that begins `offset` bytes into a slab of the class; UINT32_MAX when none
// does. pre: the offset lies in the slab.
static inline uint32_t hak_class_block_index(unsigned size_class, size_t offset) {
  const hak_class_info_t* info = hak_class_info(size_class);
  uint64_t units = offset / HAK_MIN_ALIGNMENT;
  uint32_t index = (uint32_t)((units * info->reciprocal) >> HAK_RECIPROCAL_SHIFT);
  bool begins = (size_t)index * info->block_bytes == offset && index < info->slab_blocks;
  return hak_likely(begins) ? index : UINT32_MAX;
}

// The smallest class whose blocks hold `size` bytes and all lie at multiples of `alignment`, a
// power of two up to a page; 0 when there is none. A slab begins at a multiple of a page, so such
// a class is one whose block size is a multiple of the alignment.
unsigned hak_class_of_aligned(size_t size, size_t alignment);

#endif  // HAKMEM_SIZE_CLASS_H_
