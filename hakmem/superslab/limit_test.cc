// The limit: what is refused and what is not, what goes back first, and what is asked for it.

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/superslab/test_large.h"
#include "hakmem/superslab/test_supers.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/superslab/limit.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/spare.h"
}

namespace {

using hak::Alloc;

void SetLimit(size_t soft, size_t hard) {
  ASSERT_TRUE(hak_limit_set(soft, hard, hak_spare_committed_bytes()));
}

void SetOptions(const char* delay, const char* direct = "1") {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, delay));
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thp, "never"));
  ASSERT_TRUE(hak_option_set(HAK_OPTION_use_superslab, direct));
}

size_t CountEvents(hak_event_kind_t kind) {
  hak_event_t events[HAK_EVENT_RING];
  size_t n = hak_events_read(events, HAK_EVENT_RING), found = 0;
  for (size_t i = 0; i < n; i++) found += events[i].kind == kind;
  return found;
}

// Blocks of a size, until there are no more or one more would be more than `at_most`.
std::vector<char*> Fill(size_t bytes, size_t at_most = SIZE_MAX) {
  std::vector<char*> blocks;
  while ((blocks.size() + 1) * bytes <= at_most) {
    char* block = Alloc(bytes);
    if (block == nullptr) break;
    memset(block, 1, bytes);
    blocks.push_back(block);
  }
  return blocks;
}

void FreeAll(std::vector<char*>* blocks) {
  for (char* block : *blocks) hak_large_free(block);
  blocks->clear();
}

class LimitTest : public testing::TestWithParam<size_t> {};

TEST_P(LimitTest, NothingIsHeldBeyondTheHardLimit) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("3600s");
    SetLimit(0, 64 * HAK_MIB);
    size_t bytes = GetParam();
    for (int round = 0; round < 3; round++) {
      std::vector<char*> blocks = Fill(bytes);
      size_t pages = (bytes + HAK_PAGE_BYTES - 1) / HAK_PAGE_BYTES * HAK_PAGE_BYTES;
      EXPECT_EQ(blocks.size(), 64 * HAK_MIB / pages);
      EXPECT_LE(hak_spare_committed_bytes(), 64 * HAK_MIB);
      EXPECT_EQ(Alloc(bytes), nullptr);
      hak_large_free(blocks.back());
      blocks.pop_back();
      blocks.push_back(Alloc(bytes));
      EXPECT_NE(blocks.back(), nullptr) << "what was freed serves";
      FreeAll(&blocks);
    }
    EXPECT_GE(hak_limit_refusals(), 6u);
    EXPECT_GE(CountEvents(HAK_EVENT_AT_LIMIT), 1u);
  }));
}

// Free memory of another kind is no reason to refuse: it goes back before the block is handed out.
TEST_P(LimitTest, WhatIsFreeCountsForNoRefusal) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("-1");  // not by itself
    SetLimit(64 * HAK_MIB, 64 * HAK_MIB);
    for (size_t bytes : {GetParam(), 48 * HAK_MIB, GetParam(), 60 * HAK_MIB, 192 * HAK_KIB}) {
      std::vector<char*> blocks = Fill(bytes, 62 * HAK_MIB);
      EXPECT_LE(hak_spare_committed_bytes(), 64 * HAK_MIB);
      size_t held = 0;
      for (char* block : blocks) held += hak_large_usable_size(block);
      EXPECT_GE(held, 40 * HAK_MIB) << bytes;
      FreeAll(&blocks);
    }
    EXPECT_EQ(hak_limit_refusals(), 0u);
  }));
}

TEST_P(LimitTest, BeyondTheSoftLimitWhatIsFreedGoesBackAtOnce) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("3600s");
    SetLimit(64 * HAK_MIB, 256 * HAK_MIB);
    size_t bytes = GetParam();
    // (Experience would keep much: it does not count here.)
    for (int round = 0; round < 3; round++) {
      std::vector<char*> blocks = Fill(bytes, 48 * HAK_MIB);
      FreeAll(&blocks);
    }
    EXPECT_FALSE(hak_limit_is_near());
    EXPECT_EQ(hak_limit_approaches(), 0u);
    std::vector<char*> live = Fill(bytes, 80 * HAK_MIB);
    EXPECT_TRUE(hak_limit_is_near());
    EXPECT_EQ(hak_limit_approaches(), 1u);
    EXPECT_EQ(CountEvents(HAK_EVENT_NEAR_LIMIT), 1u);
    size_t in_use = hak_spare_committed_bytes();
    std::vector<char*> more = Fill(bytes, 80 * HAK_MIB);
    FreeAll(&more);
    EXPECT_LE(hak_spare_committed_bytes(), in_use + 2 * HAK_MIB);
    FreeAll(&live);
    EXPECT_FALSE(hak_limit_is_near());
    EXPECT_EQ(hak_limit_approaches(), 1u);
  }));
}

// Purge delay or not: who sets a limit has said what matters.
TEST_P(LimitTest, TheSoftLimitComesBeforeADelayOfForever) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("-1");
    SetLimit(16 * HAK_MIB, 256 * HAK_MIB);
    std::vector<char*> live = Fill(GetParam(), 32 * HAK_MIB), more = Fill(GetParam(), 32 * HAK_MIB);
    size_t all = hak_spare_committed_bytes();
    FreeAll(&more);
    EXPECT_LE(hak_spare_committed_bytes(), all - 28 * HAK_MIB);
    FreeAll(&live);
  }));
}

TEST_P(LimitTest, ABlockThatCannotGrowStaysAsItIs) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("3600s");
    SetLimit(0, 64 * HAK_MIB);
    size_t bytes = GetParam();
    char* block = Alloc(bytes);
    memset(block, 7, bytes);
    std::vector<char*> others = Fill(256 * HAK_KIB);
    EXPECT_EQ(hak_large_resize(block, bytes + 4 * HAK_MIB), nullptr);
    EXPECT_EQ(hak_large_resize(block, 80 * HAK_MIB), nullptr);
    EXPECT_EQ(hak_large_resize(block, PTRDIFF_MAX / 2), nullptr);
    EXPECT_TRUE(hak::IsFilledWith(block, bytes, 7));
    EXPECT_EQ(hak_large_usable_size(block), bytes);
    FreeAll(&others);
    hak_large_free(block);
    EXPECT_LE(hak_spare_committed_bytes(), 64 * HAK_MIB);
  }));
}

TEST_P(LimitTest, AForkedChildHasItsParentsLimitForItself) {
  EXPECT_TRUE(hak::PassesInChild([] {
    SetOptions("3600s");
    SetLimit(0, 64 * HAK_MIB);
    std::vector<char*> blocks = Fill(GetParam());
    EXPECT_TRUE(hak::PassesInChild([&] {
      EXPECT_EQ(Alloc(GetParam()), nullptr);
      size_t n = blocks.size();
      FreeAll(&blocks);
      blocks = Fill(GetParam());
      EXPECT_EQ(blocks.size(), n);
    }));
    EXPECT_EQ(Alloc(GetParam()), nullptr) << "what the child freed is the child's";
  }));
}

INSTANTIATE_TEST_SUITE_P(Sizes, LimitTest,
                         testing::Values(64 * HAK_KIB, 256 * HAK_KIB, 2 * HAK_MIB, 5 * HAK_MIB));

// A block that moves with its memory needs room for what it grows by, not for two of it.
TEST_IN_CHILD(LimitSettingTest, AMovedBlockCountsOnce) {
  SetOptions("3600s");
  SetLimit(0, 64 * HAK_MIB);
  char* block = Alloc(40 * HAK_MIB);
  memset(block, 3, 40 * HAK_MIB);
  char* wall = Alloc(2 * HAK_MIB);
  hak::BlockGrowth(block);
  auto* moved = static_cast<char*>(hak_large_resize(block, 56 * HAK_MIB));
  ASSERT_NE(moved, nullptr);
  EXPECT_NE(moved, block);
  EXPECT_TRUE(hak::IsFilledWith(moved, 40 * HAK_MIB, 3));
  EXPECT_LE(hak_spare_committed_bytes(), 64 * HAK_MIB);
  EXPECT_EQ(hak_large_resize(moved, 63 * HAK_MIB), nullptr) << "beside 2 MiB";
  hak_large_free(wall);
  hak_large_free(moved);
}

// A run that only address space is short of would cost reservations: what can never fit does not.
TEST_IN_CHILD(LimitSettingTest, WhatExceedsTheLimitIsRefusedBeforeAddressSpaceIsTaken) {
  SetOptions("3600s");
  SetLimit(0, 64 * HAK_MIB);
  hak_large_free(Alloc(HAK_MIB));
  size_t reserved = hak_reserve_bytes();
  EXPECT_EQ(Alloc(size_t{1} << 40), nullptr);
  EXPECT_EQ(hak_reserve_bytes(), reserved);
}

TEST_IN_CHILD(LimitSettingTest, TheDirectBackendIsLimitedToo) {
  SetOptions("3600s", "0");
  SetLimit(0, 64 * HAK_MIB);
  for (int round = 0; round < 2; round++) {
    std::vector<char*> blocks = Fill(128 * HAK_KIB);
    EXPECT_EQ(blocks.size(), 512u);
    FreeAll(&blocks);
  }
}

TEST_IN_CHILD(LimitSettingTest, HugePagesAreGivenUp) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thp, "always"));
  SetLimit(60 * HAK_MIB, 64 * HAK_MIB);
  std::vector<char*> blocks = Fill(300000);
  EXPECT_LE(hak_spare_committed_bytes(), 64 * HAK_MIB);
  EXPECT_GE(blocks.size() * 300000, 58 * HAK_MIB);
  FreeAll(&blocks);
}

TEST_IN_CHILD(LimitSettingTest, ALimitBelowWhatIsInUseRefusesOnlyMore) {
  SetOptions("3600s");
  std::vector<char*> live = Fill(256 * HAK_KIB, 64 * HAK_MIB);
  SetLimit(0, 32 * HAK_MIB);
  EXPECT_TRUE(hak_limit_is_near());
  EXPECT_EQ(Alloc(64 * HAK_KIB), nullptr);
  for (int i = 0; i < 160; i++) {
    hak_large_free(live.back());
    live.pop_back();
  }
  char* block = Alloc(64 * HAK_KIB);
  EXPECT_NE(block, nullptr);
  SetLimit(SIZE_MAX, SIZE_MAX);
  EXPECT_FALSE(hak_limit_is_near());
  std::vector<char*> more = Fill(256 * HAK_KIB, 64 * HAK_MIB);
  EXPECT_EQ(more.size(), 256u);
}

TEST_IN_CHILD(LimitSettingTest, ImpossibleLimitsAreRefused) {
  SetLimit(10, 20);
  EXPECT_FALSE(hak_limit_set(0, 0, 0));
  EXPECT_FALSE(hak_limit_set(2, 1, 0));
  EXPECT_FALSE(hak_limit_set(SIZE_MAX, 1, 0));
  EXPECT_EQ(hak_limit_soft(), 10u);
  EXPECT_EQ(hak_limit_hard(), 20u);
  SetLimit(0, 800);
  EXPECT_EQ(hak_limit_soft(), 700u);
  SetLimit(0, SIZE_MAX);
  EXPECT_EQ(hak_limit_soft(), SIZE_MAX);
}

// ---- the option ----

struct Given {
  const char* text;
  size_t soft, hard;
};

TEST(LimitOptionTest, BytesAreTaken) {
  const Given cases[] = {
      {"64M", 56 * HAK_MIB, 64 * HAK_MIB},
      {"1G", 896 * HAK_MIB, 1024 * HAK_MIB},
      {"40M,64M", 40 * HAK_MIB, 64 * HAK_MIB},
      {"1048576,1M", HAK_MIB, HAK_MIB},
  };
  for (const Given& c : cases) {
    SCOPED_TRACE(c.text);
    EXPECT_TRUE(hak::PassesInChild([&c] {
      ASSERT_TRUE(hak_option_set(HAK_OPTION_limit, c.text));
      hak_reserve_ready();
      EXPECT_EQ(hak_limit_soft(), c.soft);
      EXPECT_EQ(hak_limit_hard(), c.hard);
      uint64_t asked = hak::KernelCalls(HAK_KERNEL_TELEMETRY);
      std::vector<char*> blocks = Fill(256 * HAK_KIB, 100 * HAK_MIB);
      EXPECT_EQ(hak::KernelCalls(HAK_KERNEL_TELEMETRY), asked) << "bytes ask nobody";
    }));
  }
}

TEST(LimitOptionTest, WhatIsNotUnderstoodIsNamed) {
  for (const char* text : {"", "0", "x", "64MB", "-1", "%", "0%", "101%", "50M%", "1.5G", ",64M",
                           "64M,", "64M,32M", "80%,70%", "1,2,3", "9223372036854775807K", "5 %"}) {
    SCOPED_TRACE(text);
    EXPECT_TRUE(hak::PassesInChild([text] {
      setenv("HAKMEM_LIMIT", text, 1);
      std::string said = hak::StderrOf(hak_reserve_ready);
      if (*text == '\0') {
        EXPECT_EQ(said, "") << "as if it were not set";
      } else {
        EXPECT_EQ(said.find("hakmem: HAKMEM_LIMIT=" + std::string(text) +
                            " is not understood ([SOFT,]HARD"),
                  0u)
            << said;
      }
      EXPECT_EQ(hak_limit_soft(), SIZE_MAX);
      EXPECT_EQ(hak_limit_hard(), SIZE_MAX);
    }));
  }
}

// The kernel's answers, but for the machine's memory.
std::atomic<size_t> machine_bytes;
std::atomic<int> n_asked;

int SmallMachine(hak_kernel_kind_t kind, size_t bytes, long* answer, long number,
                 const long arguments[6]) {
  (void)bytes;
  if (kind == HAK_KERNEL_TELEMETRY && number != 0) {
    if (number == SYS_sysinfo) {
      n_asked++;
      auto* info = reinterpret_cast<struct sysinfo*>(arguments[0]);
      info->totalram = machine_bytes / 4096;
      info->mem_unit = 4096;
      return 0;
    }
    return ENOENT;  // no groups
  }
  return hak_platform_ask(number, arguments, answer);
}

TEST_IN_CHILD(LimitOptionTest, AShareIsOfWhatThereIsAndAskedForWhenItMatters) {
  machine_bytes = 100 * HAK_MIB;
  hak_platform_set_kernel(SmallMachine);
  SetOptions("3600s");
  ASSERT_TRUE(hak_option_set(HAK_OPTION_limit, "50%,80%"));
  std::vector<char*> blocks = Fill(256 * HAK_KIB, 15 * HAK_MIB);
  EXPECT_EQ(n_asked, 0) << "a small program asks nothing";
  EXPECT_EQ(hak_limit_hard(), SIZE_MAX);
  std::vector<char*> more = Fill(256 * HAK_KIB, 5 * HAK_MIB);
  EXPECT_EQ(n_asked, 1);
  EXPECT_EQ(hak_limit_soft(), 50 * HAK_MIB);
  EXPECT_EQ(hak_limit_hard(), 80 * HAK_MIB);
  std::vector<char*> rest = Fill(256 * HAK_KIB);
  EXPECT_EQ(blocks.size() + more.size() + rest.size(), 320u);
  EXPECT_LE(n_asked, 6);
  machine_bytes = 110 * HAK_MIB;  // a container that is given more is believed
  rest.push_back(Alloc(256 * HAK_KIB));
  EXPECT_NE(rest.back(), nullptr);
  EXPECT_EQ(hak_limit_hard(), 88 * HAK_MIB);
}

TEST_IN_CHILD(LimitOptionTest, AFirstBlockThatIsTooLargeIsRefused) {
  machine_bytes = 100 * HAK_MIB;
  hak_platform_set_kernel(SmallMachine);
  ASSERT_TRUE(hak_option_set(HAK_OPTION_limit, "80%"));
  EXPECT_EQ(Alloc(90 * HAK_MIB), nullptr);
  EXPECT_NE(Alloc(70 * HAK_MIB), nullptr);
  EXPECT_EQ(hak_limit_soft(), 70 * HAK_MIB);
}

// Several at once, near the limit: it holds, and none is refused for what others are giving back.
TEST_IN_CHILD(LimitThreadsTest, TheLimitHoldsForAllTogether) {
  SetOptions("0");
  SetLimit(0, 64 * HAK_MIB);
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; t++) {
    threads.emplace_back([t, &refused] {
      hak::Random random(t);
      for (int i = 0; i < 300; i++) {
        size_t bytes = (1 + random.Below(15)) * HAK_MIB;  // 60 MiB together at the most
        char* block = Alloc(bytes);
        if (block == nullptr) {
          refused++;
          continue;
        }
        block[0] = block[bytes - 1] = 1;
        hak_large_free(block);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, 0);
  EXPECT_LE(hak_spare_committed_bytes(), 64 * HAK_MIB);
}

}  // namespace
