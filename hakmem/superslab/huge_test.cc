// Huge blocks that grow, shrink and move, with and without the kernel's help.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <thread>
#include <vector>

#include "hakmem/superslab/test_large.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/base/bits.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/superslab/large.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/superslab/room.h"
#include "hakmem/superslab/spare.h"
}

namespace {

using hak::Alloc;
using hak::AllocConfined;
using hak::BlockGrowth;
using hak::IsFilledWith;
using hak::KeepMemory;
using hak::MemoryCalls;

// ---- resizing ----

TEST_IN_CHILD(HugeTest, GrowsInPlaceWhereThereIsRoom) {
  KeepMemory();
  size_t super = hak_super_bytes();
  hak_large_free(Alloc(10 * super));
  char* p = Alloc(super);
  memset(p, 7, super);
  uint64_t calls = MemoryCalls();
  for (size_t size = super; size <= 10 * super; size += super / 3) {
    ASSERT_EQ(hak_large_resize(p, size), p);
    ASSERT_GE(hak_large_usable_size(p), size);
  }
  EXPECT_EQ(MemoryCalls(), calls);
  EXPECT_TRUE(IsFilledWith(p, super, 7));
  p[10 * super - super / 3] = 1;
}

TEST_IN_CHILD(HugeTest, ShrinksInPlaceAndGivesTheRestBack) {
  KeepMemory();
  size_t super = hak_super_bytes();
  char* p = Alloc(8 * super);
  memset(p, 7, 8 * super);
  ASSERT_EQ(hak_large_resize(p, 3 * super - 100), p);
  EXPECT_LT(hak_large_usable_size(p), 3 * super + 1);
  EXPECT_TRUE(IsFilledWith(p, 3 * super - 100, 7));
  char* next = Alloc(5 * super);
  EXPECT_EQ(next, p + 3 * super) << "what was given back serves again";
  EXPECT_EQ(hak_large_resize(p, HAK_PAGE_BYTES), nullptr) << "better off as a span";
  char* span = Alloc(10 * HAK_PAGE_BYTES);
  ASSERT_EQ(hak_large_resize(span, 6 * HAK_PAGE_BYTES), span);
  EXPECT_EQ(hak_large_usable_size(span), 6 * HAK_PAGE_BYTES);
  EXPECT_EQ(hak_large_resize(span, 11 * HAK_PAGE_BYTES), span) << "into the free pages after it";
  EXPECT_EQ(hak_large_usable_size(span), 11 * HAK_PAGE_BYTES);
  ASSERT_EQ(hak_large_resize(span, 6 * HAK_PAGE_BYTES), span);
  char* wall = Alloc(HAK_PAGE_BYTES);
  ASSERT_EQ(wall, span + 6 * HAK_PAGE_BYTES);
  EXPECT_EQ(hak_large_resize(span, 11 * HAK_PAGE_BYTES), nullptr);
  EXPECT_EQ(hak_large_usable_size(span), 6 * HAK_PAGE_BYTES);
}

// What a block leaves behind its end, in its last SuperSlab.
TEST_IN_CHILD(HugeTest, WhatIsBehindAShrunkBlockGoesBackAfterTheDelay) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "100"));
  size_t super = hak_super_bytes();
  char* p = Alloc(2 * super);
  memset(p, 7, 2 * super);
  uint64_t shrunk_ms = hak_platform_now_ms();
  ASSERT_EQ(hak_large_resize(p, 2 * super - 5 * HAK_PAGE_BYTES), p);
  char* tail = p + 2 * super - 5 * HAK_PAGE_BYTES;
  while (hak::IsResident(tail) || hak::IsResident(p + 2 * super - 1)) {
    hak_tick();
    hak_platform_sleep_ms(1);
  }
  EXPECT_GE(hak_platform_now_ms(), shrunk_ms + 100);
  EXPECT_EQ(hak_purge_bytes(), 5 * HAK_PAGE_BYTES);
  EXPECT_EQ(hak_spare_committed_bytes(), 2 * super - 5 * HAK_PAGE_BYTES);
  EXPECT_TRUE(IsFilledWith(p, 2 * super - 5 * HAK_PAGE_BYTES, 7));
  EXPECT_EQ(hak_large_resize(p, 2 * super), p);
  tail[0] = 1;
  EXPECT_EQ(hak_spare_committed_bytes(), 2 * super);
}

TEST_IN_CHILD(HugeTest, WhatABlockGrowsIntoAgainStays) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "1"));
  size_t super = hak_super_bytes();
  char* p = Alloc(2 * super);
  memset(p, 7, 2 * super);
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(hak_large_resize(p, 2 * super - 5 * HAK_PAGE_BYTES), p);
    if (i != 0) hak_tick();  // it is longer in the queue than it is free
    ASSERT_EQ(hak_large_resize(p, 2 * super), p);
    hak_platform_sleep_ms(2);
  }
  EXPECT_EQ(hak_purge_bytes(), 0u);
  EXPECT_TRUE(IsFilledWith(p, 2 * super, 7));
}

TEST_IN_CHILD(HugeTest, WhatWasThereBeforeABlockThatCoversLessGoesBackToo) {
  KeepMemory();
  size_t super = hak_super_bytes();
  char* p = Alloc(super);
  memset(p, 7, super);
  hak_large_free(p);
  ASSERT_EQ(Alloc(super - 5 * HAK_PAGE_BYTES), p);
  EXPECT_TRUE(hak::IsResident(p + super - 1));
  EXPECT_EQ(hak_purge_all(), 5 * HAK_PAGE_BYTES);
  EXPECT_FALSE(hak::IsResident(p + super - 5 * HAK_PAGE_BYTES));
  EXPECT_TRUE(hak::IsResident(p + super - 5 * HAK_PAGE_BYTES - 1));
}

// As a child finds it whose parent forked while another thread freed the block.
TEST_IN_CHILD(HugeTest, WhatIsHalfFreedIsLeftAlone) {
  KeepMemory();
  char* p = Alloc(2 * hak_super_bytes());
  memset(p, 7, 2 * hak_super_bytes());
  hak_superslab_t* last = hak_page_map_super(p + hak_super_bytes());
  hak_superslab_t* head = last->head;
  hak_lock_acquire(&hak_backend_lock);
  last->free_pages = hak_bit_run(0, hak_super_pages());
  last->head = nullptr;
  hak_purge_enqueue(last);
  hak_lock_release(&hak_backend_lock);
  EXPECT_EQ(hak_purge_all(), 0u);
  last->free_pages = 0;
  last->head = head;
  EXPECT_TRUE(IsFilledWith(p, 2 * hak_super_bytes(), 7));
}

// At a limit on address space.
TEST_IN_CHILD(HugeTest, WhatIsFreeMakesRoomForMetadata) {
  KeepMemory();
  hak_large_free(Alloc(20 * hak_super_bytes()));
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_AS, &limit), 0);
  limit.rlim_cur = pages * hak_platform_os_page_bytes();
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  size_t bytes = 24 * HAK_MIB;
  EXPECT_EQ(hak_meta_alloc(bytes, HAK_CACHE_LINE), nullptr);
  EXPECT_NE(hak_room_meta_alloc(bytes, HAK_CACHE_LINE), nullptr);
  EXPECT_EQ(hak_room_meta_alloc(HAK_GIB, HAK_CACHE_LINE), nullptr);
}

TEST_IN_CHILD(HugeTest, MovesMemoryInsteadOfBytes) {
  KeepMemory();
  auto [p, wall] = AllocConfined(4 * HAK_MIB);
  memset(p, 7, 4 * HAK_MIB);
  uint64_t calls = hak::KernelCalls(HAK_KERNEL_MREMAP);
  auto* moved = static_cast<char*>(hak_large_resize(p, 12 * HAK_MIB));
  ASSERT_NE(moved, nullptr);
  EXPECT_NE(moved, p);
  EXPECT_EQ(hak::KernelCalls(HAK_KERNEL_MREMAP), calls + 2) << "a question and a move";
  EXPECT_TRUE(IsFilledWith(moved, 4 * HAK_MIB, 7));
  memset(moved, 8, 12 * HAK_MIB);
  EXPECT_EQ(hak_large_usable_size(p), 0u);
  hak_large_free(moved);
  hak_large_free(wall);
}

TEST_IN_CHILD(HugeTest, CopiesWhereTheKernelCannotMove) {
  KeepMemory();
  for (int error : {ENOMEM, EINVAL, ENOSYS, EFAULT}) {
    auto [p, wall] = AllocConfined(4 * HAK_MIB + 5000);
    memset(p, 7, 4 * HAK_MIB + 5000);
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MREMAP, error));
    auto* moved = static_cast<char*>(hak_large_resize(p, 12 * HAK_MIB));
    ASSERT_NE(moved, nullptr);
    EXPECT_TRUE(IsFilledWith(moved, 4 * HAK_MIB + 5000, 7));
    memset(moved, 8, 12 * HAK_MIB);
    hak_large_free(moved);
    hak_large_free(wall);
  }
}

// Moved, then grown in place into memory of another mapping, then moved again: the kernel moves
// one mapping at a time, so the block is moved in parts.
TEST_IN_CHILD(HugeTest, MovesABlockOfSeveralMappings) {
  KeepMemory();
  size_t super = hak_super_bytes();
  char* p = Alloc(3 * super);
  size_t size = 3 * super;
  for (size_t i = 0; i < size; i += 4096) p[i] = 7;
  for (int step = 0; step < 4; ++step) {
    BlockGrowth(p);
    auto* moved = static_cast<char*>(hak_large_resize(p, 2 * size));
    ASSERT_NE(moved, nullptr);
    ASSERT_NE(moved, p);
    p = moved;
    ASSERT_EQ(hak_large_resize(p, 2 * size + super), p) << "room is left for as much again";
    for (size_t i = size; i < 2 * size + super; i += 4096) p[i] = 7;
    size = 2 * size + super;
    for (size_t i = 0; i < size; i += 4096) ASSERT_EQ(p[i], 7) << step;
  }
}

// Sizes that end inside a SuperSlab make no seam there, at which the rest would have to be copied.
TEST_IN_CHILD(HugeTest, BlocksOfAnySizeAreMovedBySuperSlabs) {
  KeepMemory();
  auto moved_bytes = [] {
    return hak_load_relaxed(&hak_platform_counters(HAK_KERNEL_MREMAP)->bytes);
  };
  size_t super = hak_super_bytes(), size = 3 * super + 5000;
  char* p = Alloc(size);
  memset(p, 7, size);
  for (unsigned step = 0; step < 4; ++step) {
    BlockGrowth(p);
    uint64_t before = moved_bytes();
    uint64_t calls = hak::KernelCalls(HAK_KERNEL_MREMAP);
    auto* moved = static_cast<char*>(hak_large_resize(p, size + super));
    ASSERT_NE(moved, nullptr);
    ASSERT_NE(moved, p);
    EXPECT_EQ(hak::KernelCalls(HAK_KERNEL_MREMAP) - calls, 2u * (step + 1)) << "two a piece";
    EXPECT_EQ(moved_bytes() - before, (size + super - 1) / super * super) << "in step " << step;
    p = moved;
    ASSERT_EQ(hak_large_resize(p, 2 * size), p) << "room is left for as much again";
    memset(p + size, 7, size);
    size *= 2;
    ASSERT_TRUE(IsFilledWith(p, size, 7));
  }
}

// What a move leaves behind is zero only where the block was: the rest of its last SuperSlab may
// hold an earlier block's contents.
TEST_IN_CHILD(HugeTest, WhatAMoveLeavesIsZeroOnlyWhereTheBlockWas) {
  KeepMemory();
  size_t super = hak_super_bytes();
  char* earlier = Alloc(2 * super);
  memset(earlier, 0xab, 2 * super);
  hak_large_free(earlier);
  auto [p, wall] = AllocConfined(super + super / 4 + 5000);
  ASSERT_EQ(p, earlier);
  auto* moved = static_cast<char*>(hak_large_resize(p, 6 * super));
  ASSERT_NE(moved, nullptr);
  char* again = Alloc(2 * super, 16, true);
  ASSERT_EQ(again, earlier);
  EXPECT_TRUE(IsFilledWith(again, 2 * super, 0));
}

TEST_IN_CHILD(HugeTest, ChurnOfResizesLeavesFewMappings) {
  KeepMemory();
  size_t super = hak_super_bytes();
  hak::Random random(34);
  std::vector<char*> blocks(8);
  for (char*& block : blocks) block = Alloc(super);
  size_t before = hak::CountMappings();
  for (int i = 0; i < 10000; ++i) {
    char*& block = blocks[random.Below(blocks.size())];
    size_t size = super + random.Below(10 * super);
    auto* resized = static_cast<char*>(hak_large_resize(block, size));
    ASSERT_NE(resized, nullptr);
    block = resized;
    if (random.Below(4) == 0) {
      hak_large_free(block);
      block = Alloc(size);
    }
  }
  // However long the churn. A live block may consist of a few mappings; what is free merges again,
  // as far as the kernel can.
  EXPECT_LE(hak::CountMappings(), before + 8 * blocks.size());
  for (char* block : blocks) hak_large_free(block);
  EXPECT_LE(hak::CountMappings(), before + 24);
}

}  // namespace
