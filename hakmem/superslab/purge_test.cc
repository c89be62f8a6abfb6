// The purge: when memory goes back, in how many calls, and what a refusal changes.

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "hakmem/superslab/test_supers.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/reserve.h"
}

namespace {

void SetDelay(const char* delay) { ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, delay)); }

char* Memory(const hak_run_t* run) { return reinterpret_cast<char*>(run->base); }

hak_run_t* Take(unsigned n_pages, bool* dirty = nullptr) {
  bool is_dirty = false;
  hak_run_t* run = hak_super_take_run(n_pages, 1, 0, &is_dirty);
  if (run == nullptr) {
    ADD_FAILURE() << "no memory";
    return nullptr;
  }
  if (dirty != nullptr) *dirty = is_dirty;
  return run;
}

// Takes and fills with something other than zero.
hak_run_t* TakeAndFill(unsigned n_pages) {
  hak_run_t* run = Take(n_pages);
  memset(Memory(run), 0x5a, n_pages * HAK_PAGE_BYTES);
  return run;
}

uint64_t Purges() { return hak::KernelCalls(HAK_KERNEL_MADVISE); }

TEST_IN_CHILD(PurgeTest, WithoutDelayMemoryGoesAtTheNextTick) {
  SetDelay("0");
  hak_run_t* run = TakeAndFill(3);
  char* memory = Memory(run);
  hak_tick();
  EXPECT_TRUE(hak::IsResident(memory)) << "it is not free yet";
  hak_super_return_run(run);
  hak_tick();
  EXPECT_FALSE(hak::IsResident(memory));
  EXPECT_EQ(hak_purge_bytes(), 3 * HAK_PAGE_BYTES);
  bool dirty = true;
  ASSERT_EQ(Take(3, &dirty), run);
  EXPECT_FALSE(dirty);
  EXPECT_EQ(memory[0], 0);
}

TEST_IN_CHILD(PurgeTest, NeverMeansOnlyOnRequest) {
  SetDelay("-1");
  hak_run_t* run = TakeAndFill(1);
  char* memory = Memory(run);
  hak_super_return_run(run);
  uint64_t purges = Purges();
  for (int i = 0; i < 100; ++i) hak_tick();
  EXPECT_EQ(Purges(), purges);
  EXPECT_TRUE(hak::IsResident(memory));
  EXPECT_EQ(hak_purge_all(), HAK_PAGE_BYTES);
  EXPECT_FALSE(hak::IsResident(memory));
  EXPECT_EQ(hak_purge_all(), 0u);
}

TEST_IN_CHILD(PurgeTest, MemoryStaysForTheDelayAndThenGoes) {
  constexpr uint64_t kDelayMs = 100;
  SetDelay("100");
  hak_run_t* run = TakeAndFill(1);
  char* memory = Memory(run);
  uint64_t freed_ms = hak_platform_now_ms();
  hak_super_return_run(run);
  while (hak::IsResident(memory)) {
    hak_tick();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_GE(hak_platform_now_ms(), freed_ms + kDelayMs);
}

// Pages that are taken between any two ticks are never given back, however short the delay.
TEST_IN_CHILD(PurgeTest, MemoryInSteadyUseIsNeverGivenBack) {
  SetDelay("1");
  hak_run_t* steady = TakeAndFill(4);
  uint64_t purges = Purges();
  uint64_t end_ms = hak_platform_now_ms() + 200;
  while (hak_platform_now_ms() < end_ms) {
    hak_super_return_run(steady);
    hak_tick();
    ASSERT_EQ(Take(4), steady);
  }
  EXPECT_EQ(Purges(), purges);
}

TEST_IN_CHILD(PurgeTest, AdjacentPagesGoInOneCall) {
  SetDelay("-1");
  std::vector<hak_run_t*> runs;
  for (unsigned i = 0; i < 3 * hak_super_pages(); ++i) runs.push_back(TakeAndFill(1));
  for (hak_run_t* run : runs) hak_super_return_run(run);
  uint64_t purges = Purges();
  EXPECT_EQ(hak_purge_all(), 3 * hak_super_bytes());
  EXPECT_EQ(Purges(), purges + 1);
  for (hak_run_t* run : runs) EXPECT_FALSE(hak::IsResident(Memory(run)));
}

TEST_IN_CHILD(PurgeTest, EachStretchIsACallOfItsOwn) {
  SetDelay("-1");
  std::vector<hak_run_t*> runs;
  for (unsigned i = 0; i < hak_super_pages(); ++i) runs.push_back(TakeAndFill(1));
  // Pages 1, 4-5 and the last one.
  for (size_t i : {size_t{1}, size_t{4}, size_t{5}, runs.size() - 1}) hak_super_return_run(runs[i]);
  uint64_t purges = Purges();
  EXPECT_EQ(hak_purge_all(), 4 * HAK_PAGE_BYTES);
  EXPECT_EQ(Purges(), purges + 3);
  for (size_t i : {size_t{0}, size_t{2}, size_t{3}, size_t{6}}) {
    EXPECT_EQ(Memory(runs[i])[0], 0x5a) << "in use, and gone";
  }
}

// More SuperSlabs than one batch takes.
TEST_IN_CHILD(PurgeTest, AllMeansAll) {
  SetDelay("-1");
  std::vector<hak_run_t*> runs;
  for (unsigned i = 0; i < 100; ++i) {
    runs.push_back(Take(hak_super_pages()));
    Memory(runs.back())[0] = 1;
  }
  for (hak_run_t* run : runs) hak_super_return_run(run);
  hak_purge_all();
  for (hak_run_t* run : runs) EXPECT_FALSE(hak::IsResident(Memory(run)));
  EXPECT_EQ(hak::CountHeld().dirty_bytes, 0u);
}

// ---- refusals ----

TEST_IN_CHILD(PurgeTest, RefusedMemoryStaysDirtyAndUsable) {
  SetDelay("-1");
  std::vector<hak_run_t*> runs;
  for (unsigned i = 0; i < 2 * hak_super_pages(); ++i) runs.push_back(TakeAndFill(1));
  for (hak_run_t* run : runs) hak_super_return_run(run);
  uint64_t mmaps = hak::KernelCalls(HAK_KERNEL_MMAP);
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MADVISE, EINVAL));
    EXPECT_EQ(hak_purge_all(), 0u);
    EXPECT_EQ(hak_purge_bytes(), 0u);
    for (size_t i = 0; i < runs.size(); ++i) {
      bool dirty = false;
      hak_run_t* run = Take(1, &dirty);
      EXPECT_TRUE(dirty);
      EXPECT_EQ(Memory(run)[0], 0x5a);
    }
  }
  EXPECT_EQ(hak::KernelCalls(HAK_KERNEL_MMAP), mmaps) << "pages were lost";
  for (hak_run_t* run : runs) hak_super_return_run(run);
  EXPECT_EQ(hak_purge_all(), 2 * hak_super_bytes());
}

TEST_IN_CHILD(PurgeTest, RefusedMemoryIsTriedAgainAtATick) {
  SetDelay("0");
  hak_run_t* run = TakeAndFill(1);
  char* memory = Memory(run);
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MADVISE, EAGAIN));
    hak_super_return_run(run);
    hak_tick();
    EXPECT_TRUE(hak::IsResident(memory));
  }
  hak_tick();
  EXPECT_FALSE(hak::IsResident(memory));
}

// As with a page that the program has locked: its stretch is refused every time, its neighbours'
// are not. What went is clean, what stayed is dirty, and there is an end to the trying.
TEST_IN_CHILD(PurgeTest, OneRefusedStretchDoesNotHoldTheOthers) {
  SetDelay("-1");
  hak_run_t* refused = TakeAndFill(1);
  TakeAndFill(1);
  hak_run_t* given = TakeAndFill(2);
  hak_super_return_run(refused);
  hak_super_return_run(given);
  hak::ScopedFault fault([](hak_kernel_kind_t kind, size_t bytes) {
    return kind == HAK_KERNEL_MADVISE && bytes == HAK_PAGE_BYTES ? EINVAL : 0;
  });
  EXPECT_EQ(hak_purge_all(), 2 * HAK_PAGE_BYTES);
  EXPECT_EQ(hak_purge_bytes(), 2 * HAK_PAGE_BYTES);
  bool dirty = false;
  ASSERT_EQ(Take(1, &dirty), refused);
  EXPECT_TRUE(dirty);
  ASSERT_EQ(Take(2, &dirty), given);
  EXPECT_FALSE(dirty);
}

// ---- threads ----

// Live memory must never be given back, whoever purges.
TEST_IN_CHILD(PurgeTest, ThreadsPurgeAndUseAtOnce) {
  SetDelay("0");
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      hak::Random random(20 + t);
      for (int i = 0; i < 1500; ++i) {
        unsigned n_pages = static_cast<unsigned>(1 + random.Below(8));
        bool dirty = true;
        hak_run_t* run = Take(n_pages, &dirty);
        char* first = Memory(run);
        char* last = first + n_pages * HAK_PAGE_BYTES - 1;
        if (!dirty) {
          ASSERT_TRUE(*first == 0 && *last == 0);
        }
        *first = *last = static_cast<char>(1 + t);
        if (random.Below(4) == 0) hak_tick();
        if (random.Below(50) == 0) (void)hak_purge_all();
        ASSERT_TRUE(*first == static_cast<char>(1 + t) && *last == *first);
        hak_super_return_run(run);
        hak_tick();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  hak_purge_all();
  EXPECT_EQ(hak::CountHeld().dirty_bytes, 0u);
}

}  // namespace
