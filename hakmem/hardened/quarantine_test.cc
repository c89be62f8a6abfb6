// The quarantine: how long blocks wait, in what order they come back, what is noticed of them.

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/base/size_class.h"
#include "hakmem/hardened/fill.h"
#include "hakmem/hardened/quarantine.h"
#include "hakmem/heap/flush.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/fork.h"
}

namespace {

std::vector<void*> TakeMany(unsigned size_class, size_t n) {
  std::vector<void*> blocks(n);
  for (void*& block : blocks) block = hak_quarantine_take(size_class);
  return blocks;
}

TEST(QuarantineTest, HasRoomForEachClass) {
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    unsigned capacity = hak_quarantine_capacity(c);
    EXPECT_EQ(capacity & (capacity - 1), 0u);
    EXPECT_GE(capacity, HAK_QUARANTINE_MIN_BLOCKS);
    EXPECT_LE(capacity, HAK_QUARANTINE_MAX_BLOCKS);
  }
}

TEST_IN_CHILD(QuarantineTest, WhatIsFreedIsFilled) {
  for (unsigned c : {1u, 7u, 40u, 72u}) {
    size_t bytes = hak_class_info(c)->block_bytes;
    void* block = hak_quarantine_take(c);
    memset(block, 1, bytes);
    hak_quarantine_put(c, block);
    EXPECT_TRUE(hak_is_filled(block, bytes, HAK_FREED_BYTE)) << c;
  }
}

TEST_IN_CHILD(QuarantineTest, ABlockDoesNotComeBackBeforeHalfARingOfOthersWasFreed) {
  for (unsigned c : {1u, 7u, 72u}) {
    size_t half = hak_quarantine_capacity(c) / 2;
    for (void* block : TakeMany(c, 3 * half)) hak_quarantine_put(c, block);
    void* freed = hak_quarantine_take(c);
    hak_quarantine_put(c, freed);
    // A pair of take and put at a time, the ring stays as full as it is.
    for (size_t i = 0; i < half / 2; ++i) {
      void* block = hak_quarantine_take(c);
      ASSERT_NE(block, freed) << "class " << c << " after " << i;
      hak_quarantine_put(c, block);
    }
  }
}

TEST_IN_CHILD(QuarantineTest, AllBlocksComeBackInTime) {
  unsigned c = 7;
  std::set<void*> seen;
  for (int i = 0; i < 200000; ++i) {
    void* block = hak_quarantine_take(c);
    ASSERT_NE(block, nullptr);
    seen.insert(block);
    hak_quarantine_put(c, block);
  }
  EXPECT_LE(seen.size(), hak_quarantine_capacity(c) + 100);
}

TEST_IN_CHILD(QuarantineTest, BlocksComeInNoOrderThatCanBeForetold) {
  for (bool is_fresh : {true, false}) {
    std::vector<void*> blocks = TakeMany(7, 256);
    int next = 0;
    for (size_t i = 1; i < blocks.size(); ++i) {
      next += static_cast<char*>(blocks[i]) - static_cast<char*>(blocks[i - 1]) ==
              static_cast<ptrdiff_t>(hak_class_info(7)->block_bytes);
    }
    EXPECT_LT(next, 64) << is_fresh;
    for (void* block : blocks) hak_quarantine_put(7, block);
  }
}

TEST_IN_CHILD(QuarantineTest, NoBlockIsInTwoHands) {
  std::set<void*> live;
  hak::Random random(1);
  for (int i = 0; i < 50000; ++i) {
    if (live.size() < 500 && random.Below(2) == 0) {
      ASSERT_TRUE(live.insert(hak_quarantine_take(20)).second);
    } else if (!live.empty()) {
      auto at = std::next(live.begin(),
                          static_cast<ptrdiff_t>(random.Below(std::min<size_t>(live.size(), 50))));
      hak_quarantine_put(20, *at);
      live.erase(at);
    }
  }
}

TEST_IN_CHILD(QuarantineTest, WhenItIsEmptiedItsSlabsGoBack) {
  std::vector<void*> blocks = TakeMany(72, 100);
  for (void* block : blocks) hak_quarantine_put(72, block);
  hak_quarantine_empty();
  // Blocks of an empty slab are of no class any more.
  for (void* block : blocks) EXPECT_EQ(hak_page_map_class(block), 0u);
}

TEST(QuarantineDeathTest, AWriteIntoAFreedBlockIsNoticedAtTheLatestWhenItLeaves) {
  for (unsigned c : {1u, 7u, 72u}) {
    size_t bytes = hak_class_info(c)->block_bytes;
    for (size_t at : {size_t{0}, size_t{7}, bytes / 2, bytes - 1}) {
      auto act = [=] {
        auto* block = static_cast<char*>(hak_quarantine_take(c));
        hak_quarantine_put(c, block);
        block[at] = 0;
        hak_quarantine_empty();
      };
      EXPECT_EXIT(act(), testing::KilledBySignal(SIGABRT),
                  "hakmem: write to a freed block: 0x[0-9a-f]+ .*, in thread [0-9]+\n");
      auto act_and_go_on = [=] {
        auto* block = static_cast<char*>(hak_quarantine_take(c));
        hak_quarantine_put(c, block);
        block[at] = 0;
        for (size_t i = 0; i < 20 * HAK_QUARANTINE_MAX_BLOCKS; ++i) {
          std::vector<void*> others = TakeMany(c, 2);
          for (void* other : others) hak_quarantine_put(c, other);
        }
      };
      EXPECT_EXIT(act_and_go_on(), testing::KilledBySignal(SIGABRT), "write to a freed block");
    }
  }
}

TEST(QuarantineTest, AChildForkedInItsMidstGoesOn) {
  if (hak::kUnderSanitizer) GTEST_SKIP() << "its runtime does not survive such a fork";
  hak_fork_look();  // as every slow path does
  std::atomic<bool> is_over{false};
  std::thread other([&] {
    while (!is_over) {
      void* blocks[3];
      for (void*& block : blocks) block = hak_quarantine_take(5);
      for (void* block : blocks) hak_quarantine_put(5, block);
    }
  });
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(hak::PassesAfter(hak::BareFork, [] {
      std::set<void*> live;
      for (int k = 0; k < 1000; ++k) {
        hak_fork_look();
        ASSERT_TRUE(live.insert(hak_quarantine_take(5)).second);
      }
      for (void* block : live) hak_quarantine_put(5, block);
    }));
  }
  is_over = true;
  other.join();
}

}  // namespace
