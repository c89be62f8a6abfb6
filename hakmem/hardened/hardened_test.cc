// The policy: blocks of all sizes, made, resized and freed, and what ends the process.

#include <gtest/gtest.h>
#include <signal.h>

#include <cstring>
#include <map>
#include <thread>
#include <vector>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/base/config.h"
#include "hakmem/hardened/hardened.h"
#include "hakmem/heap/heap.h"
#include "hakmem/options/options.h"
}

namespace {

class HardenedTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(hak_option_set(HAK_OPTION_hardened, "1"));
    ASSERT_TRUE(hak_hardened_begin());
  }
};
using HardenedDeathTest = HardenedTest;

char* Alloc(size_t size, size_t alignment = 16, bool zero = false) {
  return static_cast<char*>(hak_hardened_alloc(size, alignment, zero));
}

size_t Size(const char* block) {
  size_t size = 0;
  EXPECT_TRUE(hak_hardened_size(block, &size));
  return size;
}

constexpr size_t kSizes[] = {1,     8,     9,     16,    24,    25,     100,     1000,   5000,
                             32760, 32761, 32768, 32769, 65528, 200000, 1 << 20, 9 << 20};

TEST_F(HardenedTest, TheSizeIsExact) {
  for (size_t size : kSizes) {
    char* block = Alloc(size);
    memset(block, 0xff, size);
    EXPECT_EQ(Size(block), size);
    EXPECT_TRUE(hak_hardened_free(block));
    EXPECT_FALSE(hak_hardened_free(block));
  }
}

TEST_F(HardenedTest, AlignedBlocksAre) {
  for (size_t alignment = 16; alignment <= 4 << 20; alignment *= 2) {
    for (size_t size : kSizes) {
      char* block = Alloc(size, alignment);
      ASSERT_NE(block, nullptr);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignment, 0u);
      EXPECT_EQ(Size(block), size);
      EXPECT_TRUE(hak_hardened_free(block));
    }
  }
}

TEST_F(HardenedTest, ZeroMeansZero) {
  for (int i = 0; i < 3; ++i) {
    for (size_t size : kSizes) {
      char* block = Alloc(size, 16, true);
      for (size_t at = 0; at < size; ++at) ASSERT_EQ(block[at], 0) << size << " " << at;
      memset(block, 1, size);
      EXPECT_TRUE(hak_hardened_free(block));
    }
  }
}

TEST_F(HardenedTest, ResizingInPlaceKeepsContentsAndSize) {
  hak::Random random(1);
  for (int i = 0; i < 3000; ++i) {
    size_t size = random.LogUniform(4 << 20), wanted = random.LogUniform(4 << 20);
    char* block = Alloc(size);
    memset(block, 0x5a, size);
    auto* resized = static_cast<char*>(hak_hardened_resize(block, wanted));
    if (resized == nullptr) {
      EXPECT_EQ(Size(block), size);
      EXPECT_TRUE(hak_hardened_free(block));
      continue;
    }
    EXPECT_EQ(Size(resized), wanted);
    size_t kept = size < wanted ? size : wanted;
    EXPECT_EQ(resized[0], 0x5a);
    EXPECT_EQ(resized[kept - 1], 0x5a);
    memset(resized, 1, wanted);
    EXPECT_TRUE(hak_hardened_free(resized));
  }
}

TEST_F(HardenedTest, NoThreadHasAHeap) {
  std::thread([] {
    char* block = Alloc(100);
    EXPECT_TRUE(hak_hardened_free(block));
    EXPECT_EQ(hak_this_heap, HAK_NO_HEAP);
  }).join();
}

TEST_F(HardenedTest, ThreadsMayFreeEachOthersBlocks) {
  std::vector<char*> blocks(4000);
  hak::Random random(2);
  for (char*& block : blocks) block = Alloc(random.LogUniform(40000));
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&blocks, t] {
      hak::Random sizes(t);
      for (int round = 0; round < 5; ++round) {
        for (size_t i = t; i < blocks.size(); i += 4) {
          EXPECT_TRUE(hak_hardened_free(blocks[i]));
          blocks[i] = Alloc(sizes.LogUniform(40000));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (char* block : blocks) EXPECT_TRUE(hak_hardened_free(block));
}

TEST_F(HardenedDeathTest, AByteTooMuchEndsTheProcess) {
  for (size_t size : kSizes) {
    auto expect = [&](void (*act)(char*)) {
      EXPECT_EXIT(
          {
            char* block = Alloc(size);
            block[size] ^= 1;
            act(block);
          },
          testing::KilledBySignal(SIGABRT),
          "hakmem: write past the end of a block: 0x[0-9a-f]+ .*, in thread [0-9]+\n")
          << size;
    };
    expect([](char* block) { (void)!hak_hardened_free(block); });
    expect([](char* block) { (void)!hak_hardened_resize(block, 1); });
    expect([](char* block) { (void)Size(block); });
  }
}

}  // namespace
