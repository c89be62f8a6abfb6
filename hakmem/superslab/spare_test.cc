// Spare memory: what of it goes back at once, and what experience keeps.

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "hakmem/superslab/test_large.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/superslab/large.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/spare.h"
}

namespace {

void SetOptions(const char* delay) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, delay));
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thp, "never"));
}

// Blocks of one size, written, as a program would have them: a slow path each.
class Blocks {
 public:
  Blocks(size_t n, size_t bytes) {
    for (size_t i = 0; i < n; ++i) {
      blocks_.push_back(hak::Alloc(bytes));
      memset(blocks_.back(), 1, bytes);
    }
  }
  ~Blocks() {
    for (char* block : blocks_) hak_large_free(block);
  }

 private:
  std::vector<char*> blocks_;
};

constexpr size_t kLeast = 4 * HAK_MIB;  // what is kept of much that is freed, and a little

class SpareTest : public testing::TestWithParam<size_t> {};

// Nothing is done after the last free: the program sleeps.
TEST_P(SpareTest, AfterABurstLittleIsKept) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("3600s");
    size_t bytes = GetParam();
    { Blocks blocks(400 * HAK_MIB / bytes / 2, bytes); }
    EXPECT_LE(hak_spare_committed_bytes(), kLeast);
    EXPECT_GE(hak_purge_bytes(), 190 * HAK_MIB);
  }));
}

TEST_P(SpareTest, OfWhatIsInUseAShareMoreIsKept) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("3600s");
    size_t bytes = GetParam();
    Blocks live(160 * HAK_MIB / bytes, bytes);
    size_t in_use = hak_spare_committed_bytes();
    { Blocks blocks(160 * HAK_MIB / bytes, bytes); }
    EXPECT_LE(hak_spare_committed_bytes(), in_use + in_use / 10 + 4 * HAK_MIB);
    EXPECT_GE(hak_spare_committed_bytes(), in_use + 8 * HAK_MIB);
  }));
}

TEST_P(SpareTest, WhoGoesUpAndDownPaysOnce) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("3600s");
    size_t bytes = GetParam();
    uint64_t purged = 0;
    for (int round = 0; round < 20; ++round) {
      { Blocks blocks(80 * HAK_MIB / bytes, bytes); }
      if (round == 1) purged = hak_purge_bytes();
    }
    EXPECT_LE(hak_purge_bytes(), purged + 4 * HAK_MIB);
  }));
}

// A program that has all given back (malloc_trim) says nothing of what it will need.
TEST_P(SpareTest, WhatIsAskedForTeachesNothing) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("3600s");
    size_t bytes = GetParam();
    for (int round = 0; round < 3; ++round) Blocks blocks(80 * HAK_MIB / bytes, bytes);
    for (int round = 0; round < 5; ++round) {
      (void)hak_purge_all();
      EXPECT_LE(hak_spare_committed_bytes(), kLeast);
      { Blocks blocks(80 * HAK_MIB / bytes, bytes); }
      EXPECT_GE(hak_spare_committed_bytes(), 70 * HAK_MIB);
    }
  }));
}

TEST_P(SpareTest, WhatIsOldAfterAllIsNotKeptNextTime) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("50");
    size_t bytes = GetParam();
    for (int round = 0; round < 3; ++round) Blocks blocks(80 * HAK_MIB / bytes, bytes);
    for (int i = 0; i < 200 && hak_spare_committed_bytes() > kLeast; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      hak_tick();
    }
    EXPECT_LE(hak_spare_committed_bytes(), kLeast);
    // It is no longer known what went before its time, either.
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    { Blocks blocks(80 * HAK_MIB / bytes, bytes); }
    EXPECT_LE(hak_spare_committed_bytes(), kLeast);
  }));
}

TEST_P(SpareTest, NothingGoesBackWhereItShallNever) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("-1");
    size_t bytes = GetParam();
    { Blocks blocks(80 * HAK_MIB / bytes, bytes); }
    EXPECT_EQ(hak_purge_bytes(), 0u);
    EXPECT_GE(hak_spare_committed_bytes(), 80 * HAK_MIB);
  }));
}

// Memory that is there is used again before more is, wherever it lies.
TEST_P(SpareTest, WhatIsSpareServesFirst) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("-1");
    size_t bytes = GetParam(), n = 40 * HAK_MIB / bytes;
    auto first = std::make_unique<Blocks>(n, bytes), second = std::make_unique<Blocks>(n, bytes);
    first.reset();
    (void)hak_purge_all();  // what comes first is free, and the kernel's
    second.reset();
    size_t before = hak_spare_committed_bytes();
    { Blocks small(30, HAK_MIB); }
    Blocks again(n, bytes);
    // (Blocks end within SuperSlabs.)
    EXPECT_LE(hak_spare_committed_bytes(), before + 8 * HAK_MIB);
  }));
}

// Locked memory, say. It is tried again when its time has come, and not at each tick.
TEST_P(SpareTest, WhatTheKernelDoesNotTakeIsNotOfferedAtOnceAgain) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("3600s");
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MADVISE, EINVAL));
    size_t bytes = GetParam();
    { Blocks blocks(80 * HAK_MIB / bytes, bytes); }
    hak_tick();
    uint64_t calls = hak::KernelCalls(HAK_KERNEL_MADVISE);
    for (int i = 0; i < 1000; ++i) hak_tick();
    EXPECT_EQ(hak::KernelCalls(HAK_KERNEL_MADVISE), calls);
  }));
}

// A child knows how much there is, whatever its parent was at.
TEST_P(SpareTest, AForkedChildCountsOn) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("3600s");
    size_t bytes = GetParam();
    Blocks live(16 * HAK_MIB / bytes, bytes);
    size_t in_use = hak_spare_committed_bytes();
    EXPECT_TRUE(hak::PassesInChild([&] {
      EXPECT_EQ(hak_spare_committed_bytes(), in_use);
      { Blocks blocks(80 * HAK_MIB / bytes, bytes); }
      EXPECT_LE(hak_spare_committed_bytes(), in_use + 6 * HAK_MIB);
    }));
  }));
}

// Growth is known once, and makes the visits to idle threads due where there are any.
TEST_P(SpareTest, GrowthIsSeen) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("3600s");
    size_t bytes = GetParam();
    (void)hak_spare_take_growth();
    EXPECT_FALSE(hak_spare_take_growth()) << "nothing has happened";
    {
      Blocks live(48 * HAK_MIB / bytes, bytes);
      EXPECT_EQ(hak_tick_due(HAK_JOB_IDLE), HAK_TICK_NEVER) << "there are no visits";
      EXPECT_TRUE(hak_spare_take_growth());
      EXPECT_FALSE(hak_spare_take_growth()) << "it is known";
      hak_tick_set_due(HAK_JOB_IDLE, HAK_TICK_NEVER - 1);
      for (int i = 0; i < 20; ++i) Blocks blocks(1, hak_min_size(bytes, HAK_MIB));
      EXPECT_EQ(hak_tick_due(HAK_JOB_IDLE), HAK_TICK_NEVER - 1)
          << "the same memory again and again";
      EXPECT_FALSE(hak_spare_take_growth());
      Blocks more(32 * HAK_MIB / bytes, bytes);
      EXPECT_EQ(hak_tick_due(HAK_JOB_IDLE), HAK_TICK_NOW);
      hak_tick_set_due(HAK_JOB_IDLE, HAK_TICK_NEVER - 1);
      Blocks yet_more(32 * HAK_MIB / bytes, bytes);
      EXPECT_EQ(hak_tick_due(HAK_JOB_IDLE), HAK_TICK_NEVER - 1) << "once, until it is taken";
      EXPECT_TRUE(hak_spare_take_growth());
    }
  }));
}

// Spans, of which several share a SuperSlab; huge blocks of one SuperSlab, of several, of many.
INSTANTIATE_TEST_SUITE_P(Sizes, SpareTest,
                         testing::Values(64 * HAK_KIB, 256 * HAK_KIB, 2 * HAK_MIB, 5 * HAK_MIB,
                                         16 * HAK_MIB));

}  // namespace
