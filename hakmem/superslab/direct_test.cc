// The direct backend: every run its own mapping, and nothing left when it is returned.

extern "C" {
#include "hakmem/superslab/direct.h"

#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/options/options.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/superslab.h"
}

#include <errno.h>
#include <gtest/gtest.h>
#include <string.h>

#include <set>
#include <vector>

#include "hakmem/testing/support.h"

namespace {

hak_run_t* Take(unsigned n_pages) {
  bool dirty = true;
  hak_run_t* run = hak_super_take_run(n_pages, 1, 5, &dirty);
  EXPECT_FALSE(dirty) << "the memory is fresh";
  return run;
}

void TurnOn() { ASSERT_TRUE(hak_option_set(HAK_OPTION_use_superslab, "0")); }

TEST_IN_CHILD(DirectTest, EachRunIsMappedAndUnmapped) {
  TurnOn();
  hak_run_t* run = Take(1);
  ASSERT_NE(run, nullptr);
  memset(reinterpret_cast<void*>(run->base), 1, HAK_PAGE_BYTES);
  uint64_t unmaps = hak::KernelCalls(HAK_KERNEL_MUNMAP);
  hak_super_return_run(run);
  EXPECT_EQ(hak::KernelCalls(HAK_KERNEL_MUNMAP), unmaps + 1);
  uint64_t maps = hak::KernelCalls(HAK_KERNEL_MMAP);
  run = Take(1);
  EXPECT_GT(hak::KernelCalls(HAK_KERNEL_MMAP), maps);
  hak_super_return_run(run);
}

TEST_IN_CHILD(DirectTest, RunsAreFoundByAnyAddressAndDoNotOverlap) {
  TurnOn();
  std::set<uintptr_t> pages;
  std::vector<hak_run_t*> runs;
  for (unsigned i = 0; i < 200; i++) {
    unsigned n_pages = i % 5 + 1;
    hak_run_t* run = Take(n_pages);
    ASSERT_NE(run, nullptr);
    ASSERT_EQ(run->base % HAK_PAGE_BYTES, 0u);
    for (unsigned p = 0; p < n_pages; p++) {
      uintptr_t page = run->base + p * HAK_PAGE_BYTES;
      EXPECT_TRUE(pages.insert(page).second);
      auto* last = reinterpret_cast<void*>(page + HAK_PAGE_BYTES - 1);
      EXPECT_EQ(hak_super_run_of(hak_page_map_super(last), last), run);
    }
    runs.push_back(run);
    if (i % 3 == 2) {
      hak_run_t* old = runs[i / 2 % runs.size()];
      for (unsigned p = 0; p < old->n_pages; p++) pages.erase(old->base + p * HAK_PAGE_BYTES);
      runs.erase(runs.begin() + i / 2 % runs.size());
      hak_super_return_run(old);
    }
  }
}

TEST_IN_CHILD(DirectTest, LookupKnowsTheUnitsOfTheDirectBackend) {
  TurnOn();
  for (size_t size : {size_t{48}, size_t{20000}, 100 * HAK_KIB, 400 * HAK_KIB}) {
    void* p = hak_malloc(size);
    hak_super_info info = {};
    ASSERT_TRUE(hak_super_lookup(p, &info));
    EXPECT_EQ(info.super_bytes, 512 * HAK_KIB);
    EXPECT_EQ(info.super_base, reinterpret_cast<uintptr_t>(p) & ~(512 * HAK_KIB - 1));
    EXPECT_EQ(info.page_index, (info.page_base - info.super_base) / (64 * HAK_KIB));
  }
  hak_super_info huge = {};
  ASSERT_TRUE(hak_super_lookup(hak_malloc(3 * HAK_MIB), &huge));
  EXPECT_EQ(huge.super_bytes, 4 * HAK_MIB) << "SuperSlabs, here too";
}

// Where there are too many mappings the kernel does not split one more.
TEST_IN_CHILD(DirectTest, WhatCannotBeUnmappedGoesBackToTheKernelAllTheSame) {
  TurnOn();
  hak_run_t* run = Take(2);
  auto* memory = reinterpret_cast<char*>(run->base);
  memset(memory, 1, 2 * HAK_PAGE_BYTES);
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MUNMAP, ENOMEM));
    hak_super_return_run(run);
  }
  EXPECT_FALSE(hak::IsResident(memory));
  EXPECT_FALSE(hak::IsResident(memory + 2 * HAK_PAGE_BYTES - 1));
  hak_run_t* next = Take(2);
  EXPECT_NE(next->base, reinterpret_cast<uintptr_t>(memory)) << "it is mapped still";
  hak_super_return_run(next);
}

TEST_IN_CHILD(DirectTest, ARefusalIsNull) {
  TurnOn();
  hak_run_t* kept = Take(1);
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
    bool dirty;
    EXPECT_EQ(hak_super_take_run(1, 1, 5, &dirty), nullptr);
  }
  hak_run_t* again = Take(1);
  EXPECT_NE(again, nullptr);
  hak_super_return_run(again);
  hak_super_return_run(kept);
}

}  // namespace
