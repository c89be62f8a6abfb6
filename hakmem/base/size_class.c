// The table of size classes: block sizes, slabs, magazines, as constants from four formulas.

#include "hakmem/base/size_class.h"

// The tables are written by the preprocessor from four formulas, so that they are constants and
// cannot disagree with each other.

// Block size of class c >= 1.
#define DOUBLING(c) ((c) < 9u ? 0u : ((c)-9u) / 8u)
#define BLOCK_BYTES(c) \
  ((c) <= 8 ? 16u * (c) : (128u << DOUBLING(c)) + (((c)-9u) % 8u + 1u) * (16u << DOUBLING(c)))

// The fewest pages that hold 8 blocks and waste at most 1/16.
#define FITS(bytes, pages) \
  ((pages)*65536u / (bytes) >= 8 && (pages)*65536u % (bytes) <= (pages)*65536u / 16)
#define SLAB_PAGES(bytes) \
  (FITS(bytes, 1) ? 1u : FITS(bytes, 2) ? 2u : FITS(bytes, 3) ? 3u : FITS(bytes, 4) ? 4u : 5u)
#define SLAB_BLOCKS(bytes) (SLAB_PAGES(bytes) * 65536u / (bytes))

#define CLAMP(low, x, high) ((x) < (low) ? (low) : (x) > (high) ? (high) : (x))
#define MAGAZINE_MAX(bytes) \
  CLAMP(HAK_MAGAZINE_MIN_BLOCKS, HAK_MAGAZINE_MAX_BYTES / (bytes), HAK_MAGAZINE_MAX_BLOCKS)

#define INFO(c)                                                                           \
  {                                                                                       \
    .block_bytes = BLOCK_BYTES(c),                                                        \
    .reciprocal =                                                                         \
        ((1u << HAK_RECIPROCAL_SHIFT) + BLOCK_BYTES(c) / 16 - 1) / (BLOCK_BYTES(c) / 16), \
    .slab_pages = SLAB_PAGES(BLOCK_BYTES(c)), .slab_blocks = SLAB_BLOCKS(BLOCK_BYTES(c)), \
    .slab_words = (SLAB_BLOCKS(BLOCK_BYTES(c)) + 63) / 64,                                \
    .magazine_max = MAGAZINE_MAX(BLOCK_BYTES(c)),                                         \
  }
#define INFO8(c)                                                                           \
  INFO(c), INFO((c) + 1u), INFO((c) + 2u), INFO((c) + 3u), INFO((c) + 4u), INFO((c) + 5u), \
      INFO((c) + 6u), INFO((c) + 7u)

#define INFO_OF_CLASSES                                                                         \
  INFO8(1u), INFO8(9u), INFO8(17u), INFO8(25u), INFO8(33u), INFO8(41u), INFO8(49u), INFO8(57u), \
      INFO8(65u)

const hak_class_info_t hak_class_infos[HAK_N_ENTRIES] = {
    {.slab_blocks = 1}, INFO_OF_CLASSES, INFO(1u), INFO(2u), INFO(3u), INFO_OF_CLASSES, {0},
};

// Class of a request of u units of 16 bytes. Above 8 units, with d the doubling above 128 bytes,
// u lies in (8 * 2^d, 16 * 2^d] and a step is 2^d units: class 8 d + ceil(u / 2^d). With d = 0 that
// holds below, too.
#define DOUBLING_OF(u) ((u) <= 8 ? 0u : 60u - (unsigned)__builtin_clzll((u)-1ull))
#define CLASS_OF(u) \
  ((u) == 0 ? 0u : 8u * DOUBLING_OF(u) + (((u) + (1u << DOUBLING_OF(u)) - 1) >> DOUBLING_OF(u)))

#define UNITS4(u) CLASS_OF(u), CLASS_OF((u) + 1), CLASS_OF((u) + 2), CLASS_OF((u) + 3)
#define UNITS16(u) UNITS4(u), UNITS4((u) + 4), UNITS4((u) + 8), UNITS4((u) + 12)
#define UNITS64(u) UNITS16(u), UNITS16((u) + 16), UNITS16((u) + 32), UNITS16((u) + 48)
#define UNITS256(u) UNITS64(u), UNITS64((u) + 64), UNITS64((u) + 128), UNITS64((u) + 192)
#define UNITS1024(u) UNITS256(u), UNITS256((u) + 256), UNITS256((u) + 512), UNITS256((u) + 768)

const uint8_t hak_class_by_units[HAK_SMALL_MAX / HAK_MIN_ALIGNMENT + 1] = {
    UNITS1024(0u), UNITS1024(1024u), CLASS_OF(2048u)};

static_assert(BLOCK_BYTES(HAK_N_LINE_CLASSES) < HAK_CACHE_LINE &&
                  BLOCK_BYTES(HAK_N_LINE_CLASSES + 1) == HAK_CACHE_LINE,
              "");
static_assert(BLOCK_BYTES(1) == 16 && BLOCK_BYTES(8) == 128 && BLOCK_BYTES(9) == 144, "");
static_assert(BLOCK_BYTES(HAK_N_CLASSES - 1) == HAK_SMALL_MAX, "the last class is the largest");
static_assert(CLASS_OF(9u) == 9 && CLASS_OF(16u) == 16 && CLASS_OF(17u) == 17, "");
static_assert(CLASS_OF(2048u) == HAK_N_CLASSES - 1, "");

unsigned hak_class_of_aligned(size_t size, size_t alignment) {
  if (size > HAK_SMALL_MAX || alignment > HAK_SMALL_MAX) return 0;
  // Block sizes that are multiples of a power of two are at most 8 classes apart.
  for (unsigned c = hak_class_of(hak_max_size(size, alignment)); c < HAK_N_CLASSES; c++) {
    if ((hak_class_infos[c].block_bytes & (alignment - 1)) == 0) return c;
  }
  return 0;
}
