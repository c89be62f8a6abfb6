// Large blocks: the guard behind them, and what becomes of them when they are freed.

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <set>
#include <vector>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/base/config.h"
#include "hakmem/hardened/guarded.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/large.h"
}

namespace {

char* Alloc(size_t bytes) { return static_cast<char*>(hak_guarded_alloc(bytes, 16, false)); }
uintptr_t Address(const char* p) { return reinterpret_cast<uintptr_t>(p); }

bool KernelHasGuards() {
  void* memory = nullptr;
  size_t bytes = hak_platform_os_page_bytes();
  return hak_platform_map(bytes, bytes, &memory) == 0 &&
         hak_platform_set_guard(memory, bytes, true) == 0;
}

constexpr size_t kSizes[] = {32769, 40000, 65536, 200000, 1 << 20, 9 << 20};

TEST(GuardedTest, AGuardLiesBehindThem) {
  for (size_t bytes : kSizes) {
    char* block = Alloc(bytes);
    size_t usable = hak_guarded_bytes(block);
    ASSERT_GE(usable, bytes);
    ASSERT_LT(usable, bytes + hak_platform_os_page_bytes());
    memset(block, 1, usable);
    EXPECT_NE(hak::CanBeRead(Address(block) + usable), KernelHasGuards()) << bytes;
    hak_guarded_free(block);
  }
}

TEST(GuardedTest, TheGuardComesWithThemWhenTheyAreResized) {
  char* block = Alloc(3 << 20);
  memset(block, 1, 3 << 20);
  for (size_t mib : std::initializer_list<size_t>{4, 40, 30, 3}) {
    size_t bytes = mib << 20;
    auto* resized = static_cast<char*>(hak_guarded_resize(block, bytes));
    if (resized == nullptr) continue;  // it would have to be copied
    block = resized;
    size_t usable = hak_guarded_bytes(block);
    ASSERT_GE(usable, bytes);
    EXPECT_TRUE(hak::CanBeRead(Address(block) + usable - 1));
    EXPECT_NE(hak::CanBeRead(Address(block) + usable), KernelHasGuards()) << bytes;
    for (size_t at = 0; at < 3 << 20; at += 4096) ASSERT_EQ(block[at], 1);
  }
  hak_guarded_free(block);
}

TEST(GuardedTest, AFreedOneCannotBeTouchedAndHasNoMemory) {
  for (size_t bytes : kSizes) {
    char* block = Alloc(bytes);
    memset(block, 1, bytes);
    hak_guarded_free(block);
    EXPECT_NE(hak::CanBeRead(Address(block)), KernelHasGuards()) << bytes;
    EXPECT_NE(hak::CanBeRead(Address(block) + bytes - 1), KernelHasGuards()) << bytes;
    EXPECT_FALSE(hak::IsResident(block)) << bytes;
  }
}

TEST(GuardedTest, AnAddressDoesNotComeBackAtOnce) {
  for (int i = 0; i < 1000; ++i) {
    char* block = Alloc(100000);
    hak_guarded_free(block);
    char* other = Alloc(100000);
    EXPECT_NE(block, other);
    hak_guarded_free(other);
  }
}

TEST_IN_CHILD(GuardedTest, WhatWaitsIsBounded) {
  std::set<char*> seen;
  size_t mappings = hak::CountMappings();
  for (int i = 0; i < 5000; ++i) {
    char* block = Alloc(100000);
    seen.insert(block);
    hak_guarded_free(block);
  }
  EXPECT_LE(seen.size(), HAK_FREED_LARGE_BLOCKS + 1u);
  EXPECT_LE(hak::CountMappings(), mappings + 10);
  hak_guarded_empty();
  for (char* block : seen) EXPECT_EQ(hak_guarded_bytes(block), 0u);
}

TEST_IN_CHILD(GuardedTest, WhatTakesMuchAddressSpaceDoesNotWait) {
  char* block = Alloc(HAK_FREED_LARGE_BYTES + 1);
  hak_guarded_free(block);
  EXPECT_EQ(hak_guarded_bytes(block), 0u);
}

TEST_IN_CHILD(GuardedTest, AKernelWithoutGuardsIsAskedOnce) {
  hak::ScopedFault refused([](hak_kernel_kind_t kind, size_t bytes) {
    return kind == HAK_KERNEL_MADVISE && bytes <= hak_platform_os_page_bytes() ? EINVAL : 0;
  });
  char* block = Alloc(100000);
  memset(block, 1, 100000);
  EXPECT_TRUE(hak::CanBeRead(Address(block) + hak_guarded_bytes(block)));
  hak_guarded_free(block);
  EXPECT_FALSE(hak::IsResident(block));
  EXPECT_TRUE(hak::CanBeRead(Address(block)));
  hak_guarded_empty();
  EXPECT_EQ(hak_guarded_bytes(block), 0u);
}

}  // namespace
