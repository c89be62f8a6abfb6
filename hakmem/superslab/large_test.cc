// Large blocks of both kinds: contents, alignment, zeroing, system calls, misuse.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <thread>
#include <vector>

#include "hakmem/superslab/test_large.h"
#include "hakmem/superslab/test_supers.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/options/options.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/superslab/large.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/reserve.h"
}

namespace {

using hak::Alloc;
using hak::IsFilledWith;
using hak::KeepMemory;
using hak::MemoryCalls;

uint64_t Live(bool huge) {
  hak::Held held = hak::CountHeld();
  return huge ? held.huge_bytes : held.span_bytes;
}

// Random blocks of all sizes up to `max`, each with a pattern at its ends and at every OS page.
void Churn(uint64_t seed, int rounds, size_t max) {
  hak::Random random(seed);
  struct Block {
    char* at;
    size_t size;
    char mark;
  };
  std::vector<Block> blocks;
  auto mark = [](const Block& block) {
    for (size_t i = 0; i < block.size; i += 4096) block.at[i] = block.mark;
    block.at[block.size - 1] = block.mark;
  };
  auto is_marked = [](const Block& block, size_t size) {
    for (size_t i = 0; i < size; i += 4096) {
      if (block.at[i] != block.mark) return false;
    }
    return size < block.size || block.at[size - 1] == block.mark;
  };
  for (int i = 0; i < rounds; ++i) {
    size_t size = HAK_SMALL_MAX + random.LogUniform(max);
    if (blocks.size() < 6 || random.Below(2) == 0) {
      size_t alignment = size_t{16} << random.Below(random.Below(8) == 0 ? 20 : 13);
      bool zero = random.Below(2) == 0;
      Block block = {Alloc(size, alignment, zero), size, static_cast<char>(1 + random.Below(99))};
      ASSERT_NE(block.at, nullptr);
      ASSERT_EQ(reinterpret_cast<uintptr_t>(block.at) % alignment, 0u);
      ASSERT_GE(hak_large_usable_size(block.at), size);
      if (zero) {
        for (size_t k = 0; k < size; k += 4096) ASSERT_EQ(block.at[k], 0);
        ASSERT_EQ(block.at[size - 1], 0);
      }
      mark(block);
      blocks.push_back(block);
    }
    std::swap(blocks[random.Below(blocks.size())], blocks.back());
    Block& last = blocks.back();
    ASSERT_TRUE(is_marked(last, last.size));
    if (random.Below(3) == 0) {
      auto* resized = static_cast<char*>(hak_large_resize(last.at, size));
      if (resized == nullptr) continue;
      last.at = resized;
      ASSERT_GE(hak_large_usable_size(last.at), size);
      ASSERT_TRUE(is_marked(last, std::min(last.size, size)));
      last.size = size;
      mark(last);
    } else if (blocks.size() > 5) {
      hak_large_free(last.at);
      blocks.pop_back();
    }
  }
  for (const Block& block : blocks) {
    ASSERT_TRUE(is_marked(block, block.size));
    hak_large_free(block.at);
  }
}

TEST_IN_CHILD(LargeTest, BlocksOfAllSizesKeepTheirContents) {
  Churn(30, 3000, 16 * HAK_MIB);
  EXPECT_EQ(Live(false), 0u);
  EXPECT_EQ(Live(true), 0u);
}

TEST_IN_CHILD(LargeTest, ContentsSurviveAPurgeAtEveryFree) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "0"));
  Churn(31, 1500, 8 * HAK_MIB);
}

TEST_IN_CHILD(LargeTest, ContentsSurviveEveryRefusal) {
  hak::Random random(32);
  hak::ScopedFault fault([&random](hak_kernel_kind_t kind, size_t) {
    return kind != HAK_KERNEL_MMAP && random.Below(2) == 0 ? ENOMEM : 0;
  });
  Churn(33, 1500, 8 * HAK_MIB);
}

TEST_IN_CHILD(LargeTest, ThreadsShareIt) {
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) threads.emplace_back([t] { Churn(40 + t, 300, 4 * HAK_MIB); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Live(false), 0u);
  EXPECT_EQ(Live(true), 0u);
}

// Programs use what malloc_usable_size says, and count it as theirs.
TEST_IN_CHILD(LargeTest, ASpansUsableSizeIsThatOfItsOsPages) {
  size_t os_page = hak_platform_os_page_bytes();
  char* p = Alloc(100000);
  EXPECT_EQ(hak_large_usable_size(p), hak_round_up(100000, os_page));
  memset(p, 7, 100000);
  EXPECT_EQ(hak_large_resize(p, 2 * HAK_PAGE_BYTES), p) << "the pages are there";
  EXPECT_EQ(hak_large_usable_size(p), 2 * HAK_PAGE_BYTES);
  EXPECT_EQ(hak_large_resize(p, 70000), p);
  EXPECT_EQ(hak_large_usable_size(p), hak_round_up(70000, os_page));
  EXPECT_TRUE(IsFilledWith(p, 70000, 7));
  hak_large_free(p);
}

TEST_IN_CHILD(LargeTest, SizesAndAlignmentsAtTheEdges) {
  size_t super = hak_super_bytes();
  for (size_t size : {size_t{0}, size_t{1}, HAK_SMALL_MAX + 1, HAK_PAGE_BYTES, super / 2 - 1,
                      super / 2, super / 2 + 1, super, super + 1, 3 * super}) {
    for (size_t alignment : {size_t{16}, HAK_PAGE_BYTES, super / 2, super, 2 * super, 16 * super}) {
      char* p = Alloc(size, alignment);
      ASSERT_NE(p, nullptr) << size << " " << alignment;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % alignment, 0u);
      size_t usable = hak_large_usable_size(p);
      EXPECT_GE(usable, std::max(size, size_t{1}));
      memset(p, 1, usable);
      hak_large_free(p);
    }
  }
  EXPECT_EQ(Live(false), 0u);
  EXPECT_EQ(Live(true), 0u);
}

TEST_IN_CHILD(LargeTest, ImpossibleSizesAreRefused) {
  char* p = Alloc(3 * hak_super_bytes());
  for (unsigned bit = 48; bit < 64; ++bit) {
    for (size_t size : {size_t{1} << bit, (size_t{1} << bit) + 1, (size_t{1} << bit) - 1}) {
      if (size <= size_t{1} << 47) continue;
      EXPECT_EQ(Alloc(size), nullptr) << size;
      EXPECT_EQ(hak_large_resize(p, size), nullptr) << size;
    }
    EXPECT_EQ(Alloc(1, size_t{1} << bit), nullptr) << bit;
  }
  hak_large_free(p);
}

TEST_IN_CHILD(LargeTest, FindsTheBlockOfAnyAddressInIt) {
  for (size_t size : {size_t{100000}, HAK_MIB, 3 * hak_super_bytes() + 5000}) {
    char* p = Alloc(size);
    size_t usable = hak_large_usable_size(p);
    for (size_t offset : {size_t{0}, size_t{1}, HAK_PAGE_BYTES, usable / 2, usable - 1}) {
      uintptr_t base = 0;
      size_t bytes = 0;
      ASSERT_TRUE(hak_large_find(p + offset, &base, &bytes));
      EXPECT_EQ(base, reinterpret_cast<uintptr_t>(p));
      EXPECT_EQ(bytes, usable);
      EXPECT_EQ(hak_large_usable_size(p + offset), offset == 0 ? usable : 0);
    }
    uintptr_t base = 0;
    size_t bytes = 0;
    EXPECT_FALSE(hak_large_find(p + usable, &base, &bytes));
    hak_large_free(p);
    EXPECT_FALSE(hak_large_find(p, &base, &bytes));
    EXPECT_EQ(hak_large_usable_size(p), 0u);
  }
}

// A program that takes and frees large blocks in turn makes no system calls.
TEST_IN_CHILD(LargeTest, SteadyStateMakesNoSystemCalls) {
  KeepMemory();
  auto loop = [] {
    for (size_t mib = 1; mib <= 25; ++mib) {
      char* p = Alloc(mib * HAK_MIB + 12345);
      ASSERT_NE(p, nullptr);
      p[0] = 1;
      hak_large_free(p);
    }
  };
  loop();
  uint64_t calls = MemoryCalls();
  for (int i = 0; i < 20; ++i) loop();
  EXPECT_EQ(MemoryCalls(), calls);
}

uint64_t MinorFaults() {
  rusage usage;
  EXPECT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  return static_cast<uint64_t>(usage.ru_minflt);
}

// Threads that take and free huge blocks in a loop share a few, and pay for them once.
TEST_IN_CHILD(LargeTest, ThreadsTakeHugeBlocksInTurnWithoutTheKernel) {
  KeepMemory();
  constexpr unsigned kThreads = 4;
  constexpr size_t kSize = 64 * HAK_MIB;
  std::atomic<unsigned> warm{0};
  std::atomic<bool> begin{false};
  auto use = [](char mark) {
    char* p = Alloc(kSize);
    ASSERT_NE(p, nullptr);
    for (size_t i = 0; i < kSize; i += 4096) p[i] = mark;
    std::this_thread::yield();
    for (size_t i = 0; i < kSize; i += HAK_PAGE_BYTES) ASSERT_EQ(p[i], mark);
    hak_large_free(p);
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      char* p = Alloc(kSize);
      ASSERT_NE(p, nullptr);
      memset(p, 1, kSize);
      warm++;
      while (warm < kThreads) std::this_thread::yield();  // all have one at once
      hak_large_free(p);
      warm++;
      while (!begin) std::this_thread::yield();
      for (int i = 0; i < 10; ++i) use(static_cast<char>(2 + t));
    });
  }
  while (warm < 2 * kThreads) std::this_thread::yield();
  uint64_t calls = MemoryCalls(), faults = MinorFaults();
  begin = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(MemoryCalls(), calls);
  if (!hak::kUnderSanitizer) {
    EXPECT_LE(MinorFaults(), faults + 50);
  }
}

// ---- zero ----

TEST_IN_CHILD(LargeTest, ZeroMeansAllOfItAfterAnyUse) {
  KeepMemory();
  for (size_t size : {size_t{50000}, size_t{700001}, HAK_MIB, 5 * HAK_MIB + 777}) {
    char* p = Alloc(size);
    memset(p, 0xab, hak_large_usable_size(p));
    hak_large_free(p);
    p = Alloc(size, 16, true);
    EXPECT_TRUE(IsFilledWith(p, size, 0));
    hak_large_free(p);
  }
}

// Memory fresh from the kernel, or given back to it, is zero already: clearing would only cost.
TEST_IN_CHILD(LargeTest, FreshMemoryIsNotTouched) {
  KeepMemory();
  for (size_t size : {size_t{HAK_MIB}, size_t{6 * HAK_MIB}}) {
    char* p = Alloc(size, 16, true);
    for (size_t i = 0; i < size; i += HAK_PAGE_BYTES) ASSERT_FALSE(hak::IsResident(p + i));
    memset(p, 1, size);
    hak_large_free(p);
    hak_purge_all();
    char* again = Alloc(size, 16, true);
    EXPECT_EQ(again, p);
    for (size_t i = 0; i < size; i += HAK_PAGE_BYTES) ASSERT_FALSE(hak::IsResident(p + i));
  }
}

// Only the pages that an earlier block touched are cleared.
TEST_IN_CHILD(LargeTest, OnlyStaleMemoryIsCleared) {
  KeepMemory();
  char* small = Alloc(2 * HAK_MIB);
  memset(small, 1, 2 * HAK_MIB);
  hak_large_free(small);
  char* p = Alloc(8 * HAK_MIB, 16, true);
  ASSERT_EQ(p, small);
  EXPECT_TRUE(hak::IsResident(p));
  EXPECT_FALSE(hak::IsResident(p + 4 * HAK_MIB));
  EXPECT_TRUE(IsFilledWith(p, 8 * HAK_MIB, 0));
}

// ---- refusals ----

TEST_IN_CHILD(LargeTest, RefusalIsNullAndNotForEver) {
  char* kept = Alloc(4 * HAK_MIB);
  memset(kept, 7, 4 * HAK_MIB);
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
    EXPECT_EQ(Alloc(HAK_GIB), nullptr);
    EXPECT_EQ(hak_large_resize(kept, HAK_GIB), nullptr);
    EXPECT_TRUE(IsFilledWith(kept, 4 * HAK_MIB, 7));
    std::vector<char*> blocks;
    while (char* p = Alloc(HAK_MIB)) blocks.push_back(p);
    EXPECT_FALSE(blocks.empty());
    for (char* p : blocks) hak_large_free(p);
    EXPECT_NE(Alloc(HAK_MIB), nullptr);
  }
  char* large = Alloc(HAK_GIB / 4);
  EXPECT_NE(large, nullptr);
  hak_large_free(large);
}

// ---- misuse ----

TEST(LargeDeathTest, MisuseEndsWithOneLineThatNamesTheAddress) {
  const char not_live[] =
      "hakmem: free of a pointer where no block is: 0x[0-9a-f]+ \\(.*\\), in thread [0-9]+\n";
  struct Case {
    const char* name;
    void (*act)();
    const char* message;
  };
  static int foreign;
  const Case cases[] = {
      {"span twice",
       [] {
         char* p = Alloc(100000);
         hak_large_free(p);
         hak_large_free(p);
       },
       not_live},
      {"span twice beside another",
       [] {
         char* p = Alloc(100000);
         (void)Alloc(100000);
         hak_large_free(p);
         hak_large_free(p);
       },
       not_live},
      {"inside a span", [] { hak_large_free(Alloc(200000) + HAK_PAGE_BYTES); }, not_live},
      {"huge twice",
       [] {
         char* p = Alloc(5 * HAK_MIB);
         hak_large_free(p);
         hak_large_free(p);
       },
       not_live},
      {"inside huge", [] { hak_large_free(Alloc(5 * HAK_MIB) + hak_super_bytes()); }, not_live},
      {"a byte into huge", [] { hak_large_free(Alloc(5 * HAK_MIB) + 1); }, not_live},
      {"foreign", [] { hak_large_free(&foreign); },
       "hakmem: free of a pointer that is not ours: 0x[0-9a-f]+ \\(static memory, or another "
       "malloc's, in the program itself\\), in thread [0-9]+\n"},
      {"wild", [] { hak_large_free(reinterpret_cast<void*>(UINTPTR_MAX)); },
       "hakmem: free of a pointer that is not ours: 0xffffffffffffffff \\(another malloc's, or no "
       "block at all\\), in thread [0-9]+\n"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EXIT(c.act(), testing::KilledBySignal(SIGABRT), testing::MatchesRegex(c.message));
  }
}

}  // namespace
