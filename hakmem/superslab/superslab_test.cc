// Page runs: which is taken, that none overlap, what a purge has out, repair after a fork.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/superslab/test_supers.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/base/bits.h"
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/fork.h"
#include "hakmem/superslab/bins.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/superslab/room.h"
#include "hakmem/superslab/superslab.h"
}

namespace {

struct Run {
  hak_run_t* slab;
  bool dirty;
};

Run Take(unsigned n_pages, unsigned align_pages = 1) {
  Run run = {nullptr, false};
  run.slab = hak_super_take_run(n_pages, align_pages, 0, &run.dirty);
  return run;
}

char* Page(const hak_run_t* run, unsigned i) {
  return reinterpret_cast<char*>(run->base + i * HAK_PAGE_BYTES);
}

hak_superslab_t* SuperOf(const hak_run_t* run) {
  return hak_page_map_super(reinterpret_cast<void*>(run->base));
}

unsigned PageIndex(const hak_run_t* run) {
  return static_cast<unsigned>((run->base - SuperOf(run)->base) >> HAK_PAGE_SHIFT);
}

uint64_t FreeSupers() {
  uint64_t n = 0;
  for (unsigned i = 0; i < hak_reserve_count(); ++i) n += hak_reserve_get(i)->n_free;
  return n;
}

hak_superslab_t* TakeWhole(uint32_t n) {
  hak_lock_acquire(&hak_backend_lock);
  hak_superslab_t* super = hak_room_take(n, 1, true);
  hak_lock_release(&hak_backend_lock);
  return super;
}

// A run that bears a mark at the ends of each page, to see overlaps and to know stale memory.
void Mark(const hak_run_t* run, char mark) {
  for (unsigned i = 0; i < run->n_pages; ++i) {
    Page(run, i)[0] = Page(run, i)[HAK_PAGE_BYTES - 1] = mark;
  }
}

bool IsMarked(const hak_run_t* run, char mark) {
  for (unsigned i = 0; i < run->n_pages; ++i) {
    if (Page(run, i)[0] != mark || Page(run, i)[HAK_PAGE_BYTES - 1] != mark) return false;
  }
  return true;
}

void ExpectInOrder(const hak_run_t* run, unsigned n_pages, unsigned align_pages) {
  ASSERT_NE(run, nullptr);
  ASSERT_EQ(run->n_pages, n_pages);
  ASSERT_EQ(run->size_class, 0);
  ASSERT_EQ(run->base % (align_pages * HAK_PAGE_BYTES), 0u);
  hak_superslab_t* super = SuperOf(run);
  ASSERT_NE(super, nullptr);
  ASSERT_LE(PageIndex(run) + n_pages, hak_super_pages());
  for (unsigned i = 0; i < n_pages; ++i) {
    ASSERT_EQ(hak_super_run_of(super, Page(run, i)), run);
    ASSERT_EQ(hak_super_run_of(super, Page(run, i) + HAK_PAGE_BYTES - 1), run);
  }
}

// One thread's random takes, returns and shrinks. Marks show an overlap with any other run, and
// memory said to be clean that is not.
void Churn(uint64_t seed, int rounds, unsigned max_pages) {
  hak::Random random(seed);
  std::vector<std::pair<hak_run_t*, char>> runs;
  for (int i = 0; i < rounds; ++i) {
    if (runs.size() > 40 || (random.Below(2) == 0 && !runs.empty())) {
      size_t at = random.Below(runs.size());
      auto [run, mark] = runs[at];
      ASSERT_TRUE(IsMarked(run, mark));
      if (random.Below(4) == 0) {
        unsigned n_pages = static_cast<unsigned>(1 + random.Below(run->n_pages));
        hak_super_shrink_run(run, n_pages);
        ASSERT_EQ(run->n_pages, n_pages);
      } else {
        hak_super_return_run(run);
        std::swap(runs[at], runs.back());
        runs.pop_back();
      }
    } else {
      unsigned n_pages = static_cast<unsigned>(1 + random.Below(max_pages));
      unsigned align = 1u << random.Below(4);
      Run run = Take(n_pages, align);
      ExpectInOrder(run.slab, n_pages, align);
      if (testing::Test::HasFatalFailure()) return;
      ASSERT_TRUE(run.dirty || IsMarked(run.slab, 0)) << "said to be clean";
      char mark = static_cast<char>(1 + random.Below(100));
      Mark(run.slab, mark);
      runs.emplace_back(run.slab, mark);
    }
  }
  for (auto [run, mark] : runs) {
    ASSERT_TRUE(IsMarked(run, mark));
    hak_super_return_run(run);
  }
}

TEST_IN_CHILD(SuperSlabTest, ASecondOneMeansExhaustionTheFirstDoesNot) {
  for (unsigned i = 0; i < hak_super_pages(); ++i) ASSERT_NE(Take(1).slab, nullptr);
  EXPECT_EQ(hak_events_exhausted(0), 0u);
  ASSERT_NE(Take(1).slab, nullptr);
  EXPECT_EQ(hak_events_exhausted(0), 1u);
}

// ---- transparent huge pages ----

constexpr size_t kMany = HAK_THP_AUTO_BYTES + 2 * HAK_HUGE_PAGE_BYTES;
constexpr unsigned kSpans = 0, kSlabs = 5;

// Takes `bytes` in runs of one page. How often huge pages were asked for, or not asked for any
// more.
uint64_t AdviceWith(size_t bytes, unsigned size_class) {
  uint64_t calls = hak::KernelCalls(HAK_KERNEL_MADVISE), reservations = hak_reserve_count();
  for (size_t taken = 0; taken < bytes; taken += HAK_PAGE_BYTES) {
    bool dirty;
    hak_run_t* run = hak_super_take_run(1, 1, size_class, &dirty);
    EXPECT_NE(run, nullptr);
    run->size_class = static_cast<uint8_t>(size_class);
  }
  return hak::KernelCalls(HAK_KERNEL_MADVISE) - calls - (hak_reserve_count() - reservations);
}

TEST_IN_CHILD(SuperSlabTest, HugePagesAreForManySlabsOfSmallBlocks) {
  if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0) return;
  unsigned large = hak_class_of(16 * HAK_KIB);
  EXPECT_EQ(AdviceWith(3 * kMany, kSpans), 0u) << "a buffer may hardly be touched";
  EXPECT_EQ(AdviceWith(3 * kMany, large), 0u) << "nor may a block of several OS pages";
  EXPECT_EQ(AdviceWith(HAK_THP_AUTO_BYTES / 2, kSlabs), 0u) << "these are not many";
  // Each is asked for alone, and the kernel is told to add none.
  EXPECT_EQ(AdviceWith(kMany, kSlabs) % 2, 0u);
  EXPECT_EQ(AdviceWith(10 * HAK_HUGE_PAGE_BYTES, kSlabs), 20u);
  EXPECT_EQ(AdviceWith(kMany, kSpans), 0u) << "not even beside slabs";
}

// A kernel that refuses huge pages because it is short of something is asked again; one that has
// none is not.
TEST(SuperSlabTest, HugePagesAreAskedForAsLongAsTheKernelHasSome) {
  for (int error : {ENOMEM, EINVAL}) {
    EXPECT_TRUE(hak::PassesInChild([error] {
      hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MADVISE, error));
      (void)AdviceWith(kMany, kSlabs);
      EXPECT_EQ(AdviceWith(10 * HAK_HUGE_PAGE_BYTES, kSlabs), error == ENOMEM ? 10u : 0u);
    })) << error;
  }
}

TEST(SuperSlabTest, RunsNeverOverlapWhateverTheSuperSlabsSize) {
  for (const char* size : {"512K", "1M", "2M", "4M"}) {
    SCOPED_TRACE(size);
    EXPECT_TRUE(hak::PassesInChild([size] {
      ASSERT_TRUE(hak_option_set(HAK_OPTION_superslab_size, size));
      ASSERT_NE(Take(1).slab, nullptr);  // from here on the size is known
      Churn(5, 20000, hak_super_pages());
    }));
  }
}

TEST_IN_CHILD(SuperSlabTest, ThreadsTakeAndReturnAtOnce) {
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) threads.emplace_back([t] { Churn(10 + t, 3000, 32); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(FreeSupers() * hak_super_bytes(), hak_reserve_bytes());
}

// What runs past the blocks of a small process meets memory that cannot be touched.
TEST_IN_CHILD(SuperSlabTest, TheFirstIsMadeWritableAsItsPagesAre) {
  constexpr unsigned kFirst = HAK_WRITABLE_FIRST / HAK_PAGE_BYTES;
  uint64_t calls = hak::KernelCalls(HAK_KERNEL_MPROTECT);
  hak_run_t* run = Take(1).slab;
  ASSERT_NE(run, nullptr);
  uintptr_t base = run->base;
  EXPECT_EQ(base, SuperOf(run)->base);
  uint64_t calls_of_one = hak::KernelCalls(HAK_KERNEL_MPROTECT) - calls;
  unsigned n = 1;
  for (; n < hak_super_pages(); ++n) {
    EXPECT_FALSE(hak::CanBeRead(run->base + HAK_MIB)) << n;
    EXPECT_EQ(hak::CanBeRead(base + HAK_MIB), n > HAK_MIB / HAK_PAGE_BYTES) << n;
    EXPECT_EQ(hak::CanBeRead(base + HAK_WRITABLE_FIRST), n > kFirst) << n;
    run = Take(1).slab;
    ASSERT_EQ(run->base, base + n * HAK_PAGE_BYTES);
    memset(Page(run, 0), 1, HAK_PAGE_BYTES);
  }
  EXPECT_LE(hak::KernelCalls(HAK_KERNEL_MPROTECT), calls + calls_of_one + 2);
  EXPECT_NE(SuperOf(Take(1).slab)->base, base);
}

TEST_IN_CHILD(SuperSlabTest, WhatTheFirstHasNotYetIsThereForWhoNeedsMore) {
  hak_run_t* small = Take(1).slab;
  hak_run_t* run = Take(hak_super_pages() / 2).slab;
  EXPECT_EQ(SuperOf(run), SuperOf(small));
  memset(Page(run, 0), 1, run->n_pages * HAK_PAGE_BYTES);
  hak_super_return_run(run);
  hak_super_return_run(small);
  hak_superslab_t* super = TakeWhole(1);
  EXPECT_EQ(super->base, small->base);
  memset(reinterpret_cast<char*>(super->base), 1, hak_super_bytes());
}

TEST_IN_CHILD(SuperSlabTest, AHugeBlockIsWritableInAFirstThatWasNot) {
  hak_run_t* run = Take(1).slab;
  uintptr_t base = run->base;
  hak_super_return_run(run);
  hak_superslab_t* super = TakeWhole(2);
  ASSERT_EQ(super->base, base);
  memset(reinterpret_cast<char*>(base), 1, 2 * hak_super_bytes());
}

// Where the kernel does not let it grow, the next is taken; once it does, it is used again.
TEST_IN_CHILD(SuperSlabTest, ARefusedPieceIsAskedForAgain) {
  std::vector<hak_run_t*> runs;
  for (size_t i = 0; i < HAK_WRITABLE_FIRST / HAK_PAGE_BYTES; ++i) runs.push_back(Take(1).slab);
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MPROTECT, ENOMEM));
    // (A mapping that is writable from the beginning is what is tried then.)
    hak_run_t* other = Take(1).slab;
    ASSERT_NE(other, nullptr);
    EXPECT_NE(SuperOf(other), SuperOf(runs[0]));
    *Page(other, 0) = 1;
    hak_super_return_run(other);
  }
  std::set<uintptr_t> bases;
  for (unsigned i = 0; i < 2 * hak_super_pages(); ++i) {
    hak_run_t* run = Take(1).slab;
    ASSERT_NE(run, nullptr);
    ASSERT_TRUE(bases.insert(run->base).second);
    *Page(run, 0) = 1;
    runs.push_back(run);
  }
  EXPECT_EQ(SuperOf(runs[0])->reserved_pages, 0u);
  for (hak_run_t* run : runs) hak_super_return_run(run);
  EXPECT_EQ(FreeSupers() * hak_super_bytes(), hak_reserve_bytes());
}

TEST_IN_CHILD(SuperSlabTest, WholeSuperSlabsGoBackAndServeOthers) {
  std::vector<hak_run_t*> runs;
  for (unsigned i = 0; i < 4 * hak_super_pages(); ++i) runs.push_back(Take(1).slab);
  EXPECT_EQ(FreeSupers() * hak_super_bytes(), hak_reserve_bytes() - 4 * hak_super_bytes());
  std::vector<hak_superslab_t*> supers;
  for (hak_run_t* run : runs) supers.push_back(SuperOf(run));
  uint64_t mmaps = hak::KernelCalls(HAK_KERNEL_MMAP);
  for (hak_run_t* run : runs) hak_super_return_run(run);
  EXPECT_EQ(FreeSupers() * hak_super_bytes(), hak_reserve_bytes());
  for (hak_superslab_t* super : supers) {
    EXPECT_EQ(hak_load_relaxed(&super->state), HAK_SUPER_FREE);
  }
  hak_superslab_t* huge = TakeWhole(4);
  EXPECT_EQ(huge, *std::min_element(supers.begin(), supers.end()));
  EXPECT_EQ(hak::KernelCalls(HAK_KERNEL_MMAP), mmaps);
}

// From a peak, nine pages in ten are freed at random: what is free is found again, to the page.
TEST_IN_CHILD(SuperSlabTest, FragmentedPagesAreAllFoundAgain) {
  hak::Random random(6);
  std::vector<hak_run_t*> runs;
  for (int i = 0; i < 2000; ++i) runs.push_back(Take(1).slab);
  uint64_t free_supers = FreeSupers();
  uint64_t mmaps = hak::KernelCalls(HAK_KERNEL_MMAP);
  for (size_t i = runs.size(); i > 1; --i) std::swap(runs[i - 1], runs[random.Below(i)]);
  for (size_t i = 200; i < runs.size(); ++i) hak_super_return_run(runs[i]);
  std::set<uintptr_t> bases;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (i >= 200) runs[i] = Take(1).slab;
    ASSERT_NE(runs[i], nullptr);
    ASSERT_TRUE(bases.insert(runs[i]->base).second);
  }
  EXPECT_EQ(FreeSupers(), free_supers);
  EXPECT_EQ(hak::KernelCalls(HAK_KERNEL_MMAP), mmaps);
}

TEST_IN_CHILD(SuperSlabTest, TheShortestSufficientRunIsTaken) {
  unsigned pages = hak_super_pages();
  hak_run_t* a = Take(pages - 3).slab;  // leaves 3 pages
  hak_run_t* b = Take(pages - 8).slab;  // another SuperSlab; leaves 8
  hak_run_t* c = Take(2).slab;
  EXPECT_EQ(SuperOf(c), SuperOf(a));
  EXPECT_EQ(SuperOf(Take(4).slab), SuperOf(b));
  EXPECT_EQ(SuperOf(Take(1).slab), SuperOf(a));
}

uint64_t MaskOf(const hak_run_t* run) { return hak_bit_run(PageIndex(run), run->n_pages); }

void Purge(hak_superslab_t* super, uint64_t pages, bool are_clean) {
  hak_lock_acquire(&hak_backend_lock);
  hak_super_check_out(super, pages);
  hak_super_check_in(super, pages, are_clean ? pages : 0);
  hak_lock_release(&hak_backend_lock);
}

TEST_IN_CHILD(SuperSlabTest, MemoryThatIsThereIsPreferred) {
  hak_run_t* a = Take(8).slab;
  hak_run_t* b = Take(8).slab;
  hak_run_t* rest = Take(hak_super_pages() - 16).slab;
  ASSERT_EQ(SuperOf(rest), SuperOf(a));
  uint64_t pages_of_a = MaskOf(a);
  hak_super_return_run(a);
  hak_super_return_run(b);
  Purge(SuperOf(rest), pages_of_a, true);
  Run again = Take(8);
  EXPECT_EQ(again.slab, b) << "a lies lower, but has no memory any more";
  EXPECT_TRUE(again.dirty);
  again = Take(8);
  EXPECT_EQ(again.slab, a);
  EXPECT_FALSE(again.dirty);
}

TEST_IN_CHILD(SuperSlabTest, CheckedOutPagesAreNobodys) {
  hak_run_t* a = Take(8).slab;
  hak_superslab_t* super = SuperOf(a);
  uint64_t pages = MaskOf(a);
  hak_super_return_run(a);  // the SuperSlab is free as a whole
  hak_lock_acquire(&hak_backend_lock);
  hak_super_check_out(super, pages);
  hak_lock_release(&hak_backend_lock);
  std::vector<hak_run_t*> runs;
  for (unsigned i = 0; i < 2 * hak_super_pages(); ++i) {
    runs.push_back(Take(1).slab);
    EXPECT_FALSE(SuperOf(runs.back()) == super && (MaskOf(runs.back()) & pages) != 0);
  }
  hak_lock_acquire(&hak_backend_lock);
  hak_super_check_in(super, pages, 0);
  hak_lock_release(&hak_backend_lock);
  for (hak_run_t* run : runs) hak_super_return_run(run);
  EXPECT_EQ(FreeSupers() * hak_super_bytes(), hak_reserve_bytes());
}

// Two threads may purge different pages of one SuperSlab at a time.
TEST_IN_CHILD(SuperSlabTest, EachPurgeKeepsThePagesItHasOut) {
  hak_run_t* a = Take(8).slab;
  hak_run_t* b = Take(8).slab;
  hak_superslab_t* super = SuperOf(a);
  uint64_t pages_of_a = MaskOf(a), pages_of_b = MaskOf(b);
  hak_super_return_run(a);
  hak_lock_acquire(&hak_backend_lock);
  hak_super_check_out(super, pages_of_a);
  hak_lock_release(&hak_backend_lock);
  hak_super_return_run(b);
  hak_lock_acquire(&hak_backend_lock);
  hak_super_check_out(super, pages_of_b);
  EXPECT_EQ(super->checked_out, pages_of_a | pages_of_b);
  hak_super_check_in(super, pages_of_a, pages_of_a);
  EXPECT_EQ(super->checked_out, pages_of_b) << "what a fork now must give back to the child";
  hak_super_check_in(super, pages_of_b, pages_of_b);
  hak_lock_release(&hak_backend_lock);
  EXPECT_EQ(FreeSupers() * hak_super_bytes(), hak_reserve_bytes());
}

TEST_IN_CHILD(SuperSlabTest, CountsDirtyBytes) {
  auto dirty_bytes = [](size_t* free_bytes) {
    hak::Held held = hak::CountHeld();
    *free_bytes = held.free_dirty_bytes;
    return held.dirty_bytes;
  };
  size_t free_bytes = 1;
  hak_run_t* a = Take(3).slab;
  hak_run_t* b = Take(5).slab;
  EXPECT_EQ(dirty_bytes(&free_bytes), 8 * HAK_PAGE_BYTES);
  EXPECT_EQ(free_bytes, 0u);
  uint64_t pages = MaskOf(a);
  hak_super_return_run(a);
  EXPECT_EQ(dirty_bytes(&free_bytes), 8 * HAK_PAGE_BYTES);
  EXPECT_EQ(free_bytes, 3 * HAK_PAGE_BYTES);
  Purge(SuperOf(b), pages, false);
  EXPECT_EQ(dirty_bytes(&free_bytes), 8 * HAK_PAGE_BYTES);
  Purge(SuperOf(b), pages, true);
  EXPECT_EQ(dirty_bytes(&free_bytes), 5 * HAK_PAGE_BYTES);
  EXPECT_EQ(free_bytes, 0u);
}

TEST_IN_CHILD(SuperSlabTest, VisitsSlabsAndNotSpans) {
  std::set<hak_run_t*> slabs;
  for (unsigned i = 0; i < 100; ++i) {
    hak_run_t* run = Take(1 + i % 5).slab;
    if (i % 3 == 0) continue;
    run->size_class = 7;
    slabs.insert(run);
  }
  std::multiset<hak_run_t*> visited;
  hak_lock_acquire(&hak_backend_lock);
  hak_super_visit_slabs(
      [](hak_run_t* slab, void* context) {
        static_cast<std::multiset<hak_run_t*>*>(context)->insert(slab);
      },
      &visited);
  hak_lock_release(&hak_backend_lock);
  EXPECT_TRUE(std::equal(visited.begin(), visited.end(), slabs.begin(), slabs.end()));
}

TEST_IN_CHILD(SuperSlabTest, RefusalIsNullAndNotForEver) {
  hak_run_t* full = Take(hak_super_pages()).slab;
  ASSERT_NE(full, nullptr);
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
    uint64_t n = FreeSupers();
    for (uint64_t i = 0; i < n; ++i) ASSERT_NE(Take(hak_super_pages()).slab, nullptr);
    EXPECT_EQ(Take(1).slab, nullptr);
    hak_super_return_run(full);  // freeing works meanwhile, and what is freed serves again
    EXPECT_NE(Take(1).slab, nullptr);
  }
  EXPECT_NE(Take(hak_super_pages()).slab, nullptr);
}

// ---- after a fork ----

// One SuperSlab caught in change is given up; the others, and pages a purge had out, serve on.
TEST_IN_CHILD(SuperSlabTest, RepairGivesUpOnlyWhatWasInMotion) {
  hak_run_t* in_motion = Take(hak_super_pages() - 4).slab;
  hak_run_t* quiet = Take(hak_super_pages() - 6).slab;
  hak_superslab_t* lost = SuperOf(in_motion);
  hak_superslab_t* kept = SuperOf(quiet);
  ASSERT_NE(lost, kept);
  uint64_t out = kept->free_pages;
  hak_fork_look();
  std::atomic<bool> is_held{false}, may_release{false};
  std::thread holder([&] {
    hak_lock_acquire(&hak_backend_lock);
    lost->is_changing = true;
    hak_super_check_out(kept, out);
    is_held = true;
    while (!may_release) std::this_thread::yield();
    hak_lock_release(&hak_backend_lock);
  });
  while (!is_held) std::this_thread::yield();
  EXPECT_TRUE(hak::PassesInChild([&] {
    EXPECT_EQ(hak_load_relaxed(&lost->state), HAK_SUPER_LOST);
    EXPECT_EQ(hak_load_relaxed(&kept->state), HAK_SUPER_PAGES);
    EXPECT_EQ(kept->free_pages, out);
    EXPECT_EQ(SuperOf(Take(6).slab), kept);
    for (int i = 0; i < 200; ++i) {
      hak_run_t* run = Take(4).slab;
      ASSERT_NE(run, nullptr);
      ASSERT_NE(SuperOf(run), lost);
    }
  }));
  may_release = true;
  holder.join();
}

}  // namespace
