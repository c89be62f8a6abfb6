// Blocks of size 0: addresses of their own that cannot be touched.

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/base/config.h"
#include "hakmem/malloc/zero_size.h"
}

namespace {

TEST(ZeroSizeTest, ABlockOfSizeZeroCannotBeTouched) {
  for (int i = 0; i < 1000; ++i) {
    auto p = reinterpret_cast<uintptr_t>(hak_malloc(0));
    EXPECT_FALSE(hak::CanBeRead(p));
    EXPECT_FALSE(hak::CanBeRead(p + 15));
    hak_free(reinterpret_cast<void*>(p));
  }
}

TEST(ZeroSizeTest, ABlockOfSizeZeroIsABlock) {
  void* p = hak_malloc(0);
  EXPECT_TRUE(hak_owns(p));
  EXPECT_EQ(hak_usable_size(p), 0u);
  auto* grown = static_cast<char*>(hak_realloc(p, 100));
  ASSERT_NE(grown, nullptr);
  memset(grown, 1, 100);
  EXPECT_FALSE(hak_owns(p));
  EXPECT_EQ(hak_realloc(hak_malloc(0), 0), nullptr);
  hak_free_sized(hak_malloc(0), 0);
  hak_free_aligned_sized(hak_aligned_alloc(8, 0), 8, 0);
  hak_free(grown);
}

// When all addresses for it are live, the smallest class has to do.
TEST(ZeroSizeTest, AnyNumberOfBlocksOfSizeZero) {
  std::set<void*> blocks;
  for (size_t i = 0; i < HAK_ZERO_SIZE_BLOCKS + 1000; ++i) blocks.insert(hak_malloc(0));
  EXPECT_EQ(blocks.size(), HAK_ZERO_SIZE_BLOCKS + 1000);
  size_t i = 0;
  for (void* block : blocks) {
    if (i++ % 2 == 0) {
      hak_free(block);
    } else {
      hak_free_sized(block, 0);
    }
  }
}

TEST(ZeroSizeTest, ThreadsTakeBlocksOfSizeZeroAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> n_faults{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20000; ++i) {
        void* p = hak_malloc(0);
        void* q = hak_malloc(0);
        if (p == q || p == nullptr || q == nullptr) n_faults++;
        hak_free(p);
        hak_free(q);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(n_faults, 0);
}

TEST(ZeroSizeTest, SizeZeroGivesBlocksOfTheirOwn) {
  std::set<void*> blocks;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(blocks.insert(hak_malloc(0)).second);
    EXPECT_TRUE(blocks.insert(hak_calloc(0, 5)).second);
    EXPECT_TRUE(blocks.insert(hak_aligned_alloc(HAK_KIB, 0)).second);
    EXPECT_TRUE(blocks.insert(hak_memalign(4 * HAK_MIB, 0)).second);
  }
  EXPECT_EQ(blocks.count(nullptr), 0u);
  for (void* block : blocks) hak_free(block);
}

}  // namespace
