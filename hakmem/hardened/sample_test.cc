// Samples: where they lie, what becomes of them, and how many there are.

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/base/config.h"
#include "hakmem/hardened/sample.h"
#include "hakmem/platform/platform.h"
}

namespace {

size_t OsPage() { return hak_platform_os_page_bytes(); }
uintptr_t Address(const void* p) { return reinterpret_cast<uintptr_t>(p); }
char* Alloc(size_t size, size_t alignment = 16) {
  return static_cast<char*>(hak_sample_alloc(size, alignment, nullptr));
}

bool IsFreed(void* block) { return hak_sample_free(block, nullptr); }
void Free(char* block) { ASSERT_TRUE(IsFreed(block)); }

TEST(SampleTest, EndsWhereAGuardBegins) {
  for (size_t alignment : {size_t{1}, size_t{16}, size_t{64}, size_t{1024}, OsPage()}) {
    for (size_t size : {size_t{1}, size_t{15}, size_t{16}, size_t{100}, OsPage()}) {
      char* block = Alloc(size, alignment);
      ASSERT_NE(block, nullptr);
      EXPECT_EQ(Address(block) % alignment, 0u);
      EXPECT_EQ(Address(block) % 16, 0u);
      for (size_t at = 0; at < size; ++at) ASSERT_EQ(block[at], 0);
      memset(block, 1, size);
      uintptr_t page = Address(block) / OsPage() * OsPage();
      EXPECT_LT(page + OsPage() - (Address(block) + size), std::max(alignment, size_t{16}));
      EXPECT_FALSE(hak::CanBeRead(page + OsPage()));
      EXPECT_FALSE(hak::CanBeRead(page - 1));
      EXPECT_EQ(hak_sample_size(block), size);
      EXPECT_TRUE(IsFreed(block));
      EXPECT_FALSE(hak::CanBeRead(Address(block)));
      EXPECT_EQ(hak_sample_size(block), 0u);
    }
  }
}

TEST(SampleTest, WhatHasNoRoomIsNone) {
  EXPECT_EQ(Alloc(0), nullptr);
  EXPECT_EQ(Alloc(OsPage() + 1), nullptr);
  EXPECT_EQ(Alloc(1, 2 * OsPage()), nullptr);
  EXPECT_EQ(Alloc(SIZE_MAX), nullptr);
}

TEST(SampleTest, OnlyALiveOneIsFreed) {
  char* block = Alloc(100);
  int local = 0;
  EXPECT_FALSE(IsFreed(&local));
  EXPECT_FALSE(IsFreed(nullptr));
  EXPECT_FALSE(IsFreed(block + 16));
  EXPECT_FALSE(IsFreed(block - OsPage()));
  EXPECT_TRUE(IsFreed(block));
  EXPECT_FALSE(IsFreed(block));
}

TEST(SampleTest, ThereAreSoManyAndTheyAreUsedInTurn) {
  std::set<char*> blocks;
  while (char* block = Alloc(OsPage())) blocks.insert(block);
  EXPECT_EQ(blocks.size(), HAK_SAMPLES);
  std::vector<char*> order(blocks.begin(), blocks.end());
  for (char* block : order) EXPECT_TRUE(IsFreed(block));
  std::set<char*> again;
  for (size_t i = 0; i < HAK_SAMPLES; ++i) {
    char* block = Alloc(OsPage());
    again.insert(block);
    EXPECT_TRUE(IsFreed(block));
  }
  EXPECT_EQ(again, blocks) << "each waits until all others were used";
}

TEST(SampleTest, MappingsAreFewWhateverComesAndGoes) {
  Free(Alloc(1));
  size_t before = hak::CountMappings();
  for (int i = 0; i < 10000; ++i) ASSERT_TRUE(IsFreed(Alloc(1)));
  EXPECT_LE(hak::CountMappings(), before + 2);
}

TEST(SampleTest, ItIsSaidWhoHadIt) {
  char* block = nullptr;
  std::thread([&] { block = Alloc(100); }).join();
  hak_sample_t sample;
  ASSERT_TRUE(hak_sample_find(block + 120, &sample));
  EXPECT_EQ(sample.base, Address(block));
  EXPECT_EQ(sample.size, 100u);
  EXPECT_FALSE(sample.is_free);
  EXPECT_EQ(sample.freed_by, 0u);
  std::thread([&] { EXPECT_TRUE(IsFreed(block)); }).join();
  uint32_t first = sample.allocated_by;
  ASSERT_TRUE(hak_sample_find(block - 200, &sample));
  EXPECT_TRUE(sample.is_free);
  EXPECT_EQ(sample.allocated_by, first);
  EXPECT_NE(sample.freed_by, first);
  EXPECT_NE(sample.freed_by, 0u);
}

TEST(SampleTest, WhereTheKernelRefusesThereIsNone) {
  Free(Alloc(1));
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MPROTECT, ENOMEM));
    EXPECT_EQ(Alloc(100), nullptr);
  }
  char* block = Alloc(100);
  ASSERT_NE(block, nullptr);
  hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
  EXPECT_TRUE(IsFreed(block));
  EXPECT_FALSE(IsFreed(block));
}

TEST(SampleTest, OneOfSoManyHasItsTurn) {
  constexpr uint32_t kEvery = 50;
  int turns = 0, in_a_row = 0, last = -1000;
  for (int i = 0; i < 100000; ++i) {
    if (!hak_sample_count(kEvery)) continue;
    turns++;
    in_a_row += i - last == static_cast<int>(kEvery);
    last = i;
  }
  EXPECT_GT(turns, 1800);
  EXPECT_LT(turns, 2200);
  EXPECT_LT(in_a_row, 200) << "it can be foretold";
}

TEST(SampleDeathTest, AWriteAroundItIsNoticedWhenItIsFreed) {
  auto end = [](size_t size, ptrdiff_t at) {
    char* block = Alloc(size);
    block[at] = 1;
    Free(block);
  };
  EXPECT_DEATH(end(100, 100), "write past the end of a block");
  EXPECT_DEATH(end(100, 111), "write past the end of a block");
  EXPECT_DEATH(end(1, 15), "write past the end of a block");
  EXPECT_DEATH(end(100, -1), "write before the beginning of a block");
  EXPECT_DEATH(end(100, -2000), "write before the beginning of a block");
}

TEST(SampleTest, AChildHasThemToo) {
  char* block = Alloc(100);
  block[0] = 7;
  EXPECT_TRUE(hak::PassesInChild([&] {
    EXPECT_EQ(block[0], 7);
    EXPECT_TRUE(IsFreed(block));
    EXPECT_TRUE(IsFreed(Alloc(10)));
  }));
  EXPECT_EQ(block[0], 7);
  EXPECT_TRUE(IsFreed(block));
}

}  // namespace
