// Which blocks are live: exact, at every address, for every thread.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/hardened/live.h"
#include "hakmem/slab/central.h"
#include "hakmem/superslab/large.h"
}

namespace {

char* Take(unsigned size_class) {
  void* block = nullptr;
  EXPECT_EQ(hak_central_take(size_class, &block + 1, 1, false), 1u);
  return static_cast<char*>(block);
}

TEST(LiveTest, ABlockIsLiveFromAddToTake) {
  char* block = Take(2);
  EXPECT_FALSE(hak_live_is(block));
  EXPECT_FALSE(hak_live_take(block));
  ASSERT_TRUE(hak_live_add(block));
  EXPECT_TRUE(hak_live_is(block));
  for (int offset : {1, 8, 15, 16, 32, -16}) EXPECT_FALSE(hak_live_is(block + offset)) << offset;
  EXPECT_TRUE(hak_live_take(block));
  EXPECT_FALSE(hak_live_take(block));
  EXPECT_FALSE(hak_live_is(block));
}

TEST(LiveTest, ForeignAddressesAreNot) {
  alignas(16) static char foreign[64];
  for (const void* address : {static_cast<const void*>(nullptr), static_cast<const void*>(foreign),
                              reinterpret_cast<const void*>(~uintptr_t{15})}) {
    EXPECT_FALSE(hak_live_is(address));
    EXPECT_FALSE(hak_live_take(address));
  }
}

TEST(LiveTest, OfLargeBlocksTheirBeginning) {
  for (size_t bytes : {size_t{40000}, size_t{200000}, size_t{9} << 20}) {
    auto* block = static_cast<char*>(hak_large_alloc(bytes, 16, false));
    ASSERT_TRUE(hak_live_add(block));
    EXPECT_TRUE(hak_live_is(block));
    for (size_t offset = 16; offset < bytes; offset += 4080)
      ASSERT_FALSE(hak_live_is(block + offset));
    EXPECT_TRUE(hak_live_take(block));
    hak_large_free(block);
  }
}

TEST(LiveTest, AHugeBlockNeedsNoMemory) {
  void* block = hak_large_alloc(9 << 20, 16, false);
  hak::ScopedFault refused([](hak_kernel_kind_t, size_t) { return ENOMEM; });
  ASSERT_TRUE(hak_live_add(block));
  EXPECT_TRUE(hak_live_take(block));
}

TEST(LiveTest, OfManyThreadsOneTakesIt) {
  constexpr int kThreads = 4, kBlocks = 2000;
  std::vector<char*> blocks(kBlocks);
  for (char*& block : blocks) {
    block = Take(1);
    ASSERT_TRUE(hak_live_add(block));
  }
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (char* block : blocks) taken += hak_live_take(block);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, kBlocks);
}

}  // namespace
