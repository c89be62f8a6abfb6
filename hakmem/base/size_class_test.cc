// Size classes: the smallest that holds, bounded waste, exact division, alignment.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

extern "C" {
#include "hakmem/base/size_class.h"
}

namespace {

size_t BlockBytes(unsigned size_class) { return hak_class_info(size_class)->block_bytes; }

TEST(SizeClassTest, RoundTripNeverShrinksAndTakesTheSmallestClass) {
  for (size_t size = 1; size <= HAK_SMALL_MAX; ++size) {
    unsigned c = hak_class_of(size);
    ASSERT_GE(c, 1u);
    ASSERT_LT(c, unsigned{HAK_N_CLASSES});
    ASSERT_GE(BlockBytes(c), size);
    if (c > 1) {
      ASSERT_LT(BlockBytes(c - 1), size) << "a smaller class would do";
    }
  }
}

TEST(SizeClassTest, WasteIsBounded) {
  for (size_t size = 1; size <= HAK_SMALL_MAX; ++size) {
    size_t waste = BlockBytes(hak_class_of(size)) - size;
    if (size <= 128) {
      ASSERT_LT(waste, size_t{HAK_MIN_ALIGNMENT}) << size;
    } else {
      ASSERT_LE(8 * waste, size) << size;  // 12.5 %
    }
  }
}

TEST(SizeClassTest, ClassesRiseAndAreMultiplesOf16) {
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    EXPECT_LT(BlockBytes(c - 1), BlockBytes(c));
    EXPECT_EQ(BlockBytes(c) % HAK_MIN_ALIGNMENT, 0u);
    EXPECT_EQ(hak_class_of(BlockBytes(c)), c);
  }
  EXPECT_EQ(BlockBytes(0), 0u);
  EXPECT_EQ(BlockBytes(HAK_N_CLASSES - 1), HAK_SMALL_MAX);
}

TEST(SizeClassTest, SlabsHoldEnoughBlocksAndWasteLittle) {
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    const hak_class_info_t* info = hak_class_info(c);
    size_t slab_bytes = info->slab_pages * HAK_PAGE_BYTES;
    size_t used = size_t{info->slab_blocks} * info->block_bytes;
    EXPECT_GE(info->slab_blocks, 8) << c;
    EXPECT_LE(used, slab_bytes) << c;
    EXPECT_LT(slab_bytes - used, info->block_bytes) << c << ": another block would fit";
    EXPECT_LE(16 * (slab_bytes - used), slab_bytes) << c;
    EXPECT_LE(info->slab_blocks, size_t{HAK_SLAB_MAX_BLOCKS});
    EXPECT_EQ(info->slab_words, (info->slab_blocks + 63) / 64);
    EXPECT_LE(info->slab_pages << HAK_PAGE_SHIFT, 1 << HAK_SUPER_MIN_SHIFT);
  }
}

TEST(SizeClassTest, MagazinesAreBounded) {
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    const hak_class_info_t* info = hak_class_info(c);
    EXPECT_GE(info->magazine_max, HAK_MAGAZINE_MIN_BLOCKS);
    EXPECT_LE(info->magazine_max, HAK_MAGAZINE_MAX_BLOCKS);
    EXPECT_LE(
        info->magazine_max * info->block_bytes,
        std::max<size_t>(HAK_MAGAZINE_MAX_BYTES, HAK_MAGAZINE_MIN_BLOCKS * info->block_bytes));
  }
}

// The multiplication that stands for a division, for every offset in every slab.
TEST(SizeClassTest, ReciprocalDividesExactly) {
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    const hak_class_info_t* info = hak_class_info(c);
    uint32_t divisor = info->block_bytes / HAK_MIN_ALIGNMENT;
    uint32_t units = static_cast<uint32_t>(info->slab_pages * HAK_PAGE_BYTES / HAK_MIN_ALIGNMENT);
    for (uint32_t u = 0; u < units; ++u) {
      ASSERT_EQ(uint64_t{u} * info->reciprocal >> HAK_RECIPROCAL_SHIFT, u / divisor) << c;
    }
  }
}

TEST(SizeClassTest, AlignedClassIsTheSmallestThatHoldsAndAligns) {
  for (size_t alignment = 1; alignment <= HAK_SMALL_MAX; alignment *= 2) {
    for (size_t size = 0; size <= HAK_SMALL_MAX; size += size < 300 ? 1 : 61) {
      unsigned expected = 0;
      for (unsigned c = 1; c < HAK_N_CLASSES && expected == 0; ++c) {
        if (BlockBytes(c) >= size && BlockBytes(c) % alignment == 0) expected = c;
      }
      ASSERT_EQ(hak_class_of_aligned(size, alignment), expected) << size << " " << alignment;
    }
  }
}

// A slab begins at a multiple of a page, so that up to a page every block is as aligned as asked.
TEST(SizeClassTest, EveryBlockOfAnAlignedClassIsAligned) {
  for (size_t alignment = HAK_MIN_ALIGNMENT; alignment <= HAK_SMALL_MAX; alignment *= 2) {
    const hak_class_info_t* info = hak_class_info(hak_class_of_aligned(1, alignment));
    for (size_t i = 0; i < info->slab_blocks; ++i) {
      ASSERT_EQ(i * info->block_bytes % alignment, 0u);
    }
  }
}

TEST(SizeClassTest, NoClassForWhatIsTooLargeOrTooAligned) {
  EXPECT_EQ(hak_class_of_aligned(HAK_SMALL_MAX + 1, 16), 0u);
  EXPECT_EQ(hak_class_of_aligned(1, 2 * HAK_SMALL_MAX), 0u);
  EXPECT_EQ(hak_class_of_aligned(SIZE_MAX, 1), 0u);
  EXPECT_EQ(hak_class_of_aligned(1, SIZE_MAX / 2 + 1), 0u);
}

}  // namespace
