// Caches of idle threads: what is taken back, what stays, and that an owner who wakes at any moment
// finds each of its blocks in one place.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <iterator>
#include <thread>
#include <vector>

#include "hakmem/heap/test_blocks.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/options/tick.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/thread/idle.h"
}

namespace {

using hak::AllocBlock;
using hak::AllocMarked;
using hak::FreeBlock;
using hak::FreeMarked;
using hak::MarkedBlock;
using hak::Sleeper;

// For all the tests' processes, which are children of this one.
const bool is_ready = (hak_platform_ready_libc(), true);

constexpr unsigned kClasses[] = {1, 2, 5, 12, 20, 30, 40};

// What is in the magazines of a heap.
size_t CachedBlocks(hak_heap_t* heap, unsigned size_class) {
  if (heap->bins[size_class].magazine.slots == nullptr) return 0;
  return hak_magazine_count(&heap->bins[size_class].magazine, &heap->top[size_class]);
}

// A round that is so late that what the last one stored is relied on.
void VisitNext() {
  std::this_thread::sleep_for(std::chrono::milliseconds(35));
  // A visit ends early where it takes long, and the next goes on.
  for (int i = 0; i < 4; ++i) hak_idle_visit();
}

// Visits until idle.c has come so far with a heap. Returns a time before that.
uint64_t VisitUntil(hak_heap_t* heap, hak_reclaim_t state) {
  for (;;) {
    uint64_t before_ns = hak_platform_now_ns();
    hak_idle_visit();
    if (heap->reclaim == state) return before_ns;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// Enough rounds for every step: asked, fenced, taken.
void VisitAll() {
  for (int i = 0; i < 3; ++i) VisitNext();
}

// (It keeps off libc's malloc, and so do the threads of Bursts: a sanitizer's may hang in a child.)
void FillCaches(uint64_t seed, size_t n) {
  std::array<MarkedBlock, 900> blocks;
  ASSERT_LE(n, blocks.size());
  for (unsigned c : kClasses) {
    for (size_t i = 0; i < n; ++i) blocks[i] = AllocMarked(c, seed + i);
    for (size_t i = 0; i < n; ++i) FreeMarked(blocks[i]);
  }
}

// Those of another thread, which then sleeps: its heap.
hak_heap_t* FillCachesOf(Sleeper* sleeper) {
  hak_heap_t* heap = nullptr;
  sleeper->Do([&] {
    FillCaches(7, 300);
    heap = hak_this_heap;
  });
  return heap;
}

TEST_IN_CHILD(IdleTest, AnIdleThreadKeepsOneBlockOfEachClass) {
  FreeBlock(AllocBlock(1));
  Sleeper sleeper;
  hak_heap_t* heap = nullptr;
  void* span = hak::AllocSpan(200000);
  sleeper.Do([&] {
    FillCaches(7, 900);
    hak::FreeSpan(span);
    heap = hak_this_heap;
  });
  EXPECT_EQ(heap->span_pages, 4u);
  size_t cached = 0;
  for (unsigned c : kClasses) cached += CachedBlocks(heap, c);
  EXPECT_GT(cached, 500u);
  VisitAll();
  for (unsigned c : kClasses) {
    EXPECT_LE(CachedBlocks(heap, c), 1u) << c;
    EXPECT_EQ(heap->bins[c].partial.first, nullptr) << c;
    EXPECT_EQ(heap->bins[c].reserve.first, nullptr) << c;
  }
  EXPECT_EQ(heap->span_pages, 0u);
  EXPECT_EQ(hak_large_usable_size(span), 0u);
  EXPECT_LE(hak::CountSlabs().all, static_cast<int>(std::size(kClasses)) + 1);
  // A second look finds nothing more to do.
  VisitNext();
  EXPECT_FALSE(hak_idle_has_work());
  EXPECT_EQ(heap->reclaim, HAK_RECLAIM_NONE);
  sleeper.Do([] { FillCaches(8, 900); });
  for (unsigned c : kClasses) EXPECT_GT(CachedBlocks(heap, c), 1u) << c;
}

TEST_IN_CHILD(IdleTest, MemoryOfPartlyUsedSlabsGoesBackToTheKernel) {
  constexpr unsigned kClass = 16;  // 256 bytes
  FreeBlock(AllocBlock(1));
  Sleeper sleeper;
  char* live = nullptr;
  void* middle = nullptr;
  sleeper.Do([&] {
    std::vector<void*> blocks;
    for (int i = 0; i < 256; ++i) {
      blocks.push_back(AllocBlock(kClass));
      memset(blocks.back(), 1, 256);
    }
    live = static_cast<char*>(blocks[200]);
    middle = blocks[130];
    for (void* block : blocks) {
      if (block != live) FreeBlock(block);
    }
  });
  ASSERT_EQ(hak::SlabOf(live), hak::SlabOf(middle));
  EXPECT_TRUE(hak::IsResident(middle));
  VisitAll();
  EXPECT_FALSE(hak::IsResident(middle));
  EXPECT_EQ(live[255], 1);
  FreeBlock(live);
}

TEST_IN_CHILD(IdleTest, WhatOthersFreedIntoAnIdleThreadsSlabsComesBack) {
  constexpr unsigned kClass = 32;
  FreeBlock(AllocBlock(1));
  Sleeper sleeper;
  std::vector<void*> blocks;
  sleeper.Do([&] {
    for (int i = 0; i < 640; ++i) blocks.push_back(AllocBlock(kClass));
  });
  VisitAll();
  int before = hak::CountSlabs().all;
  for (void* block : blocks) FreeBlock(block);
  hak::DrainThread();
  VisitAll();
  EXPECT_LE(hak::CountSlabs().all, before - 9);  // of ten slabs one may still have a block cached
}

// Memory that grows makes a round due at once, others soon after it, and slabs are given up a step
// earlier. (A machine that is slow beyond measure has forgotten the growth meanwhile.)
TEST_IN_CHILD(IdleTest, WhereMemoryGrowsThoseThatSleepAreVisitedAtOnce) {
  constexpr unsigned kClass = 32;
  size_t per_mib = HAK_MIB / hak_class_info(kClass)->block_bytes;
  FreeBlock(AllocBlock(1));
  hak_idle_start();
  Sleeper sleeper;
  hak_heap_t* heap = nullptr;
  std::vector<void*> blocks;
  sleeper.Do([&] {
    for (size_t i = 0; i < per_mib; ++i) blocks.push_back(AllocBlock(kClass));
    heap = hak_this_heap;
  });
  (void)VisitUntil(heap, HAK_RECLAIM_ASKED);
  (void)VisitUntil(heap, HAK_RECLAIM_NONE);
  for (void* block : blocks) FreeBlock(block);
  hak::DrainThread();
  EXPECT_GT(heap->owned_bytes, HAK_MIB / 2) << "nobody has told it";
  EXPECT_GT(hak_tick_due(HAK_JOB_IDLE), HAK_TICK_NOW);
  uint64_t grown_ms = hak_platform_now_ms();
  for (size_t i = 0; i < 8 * per_mib; ++i) blocks[i % per_mib] = AllocBlock(kClass);
  hak_tick();
  auto is_recent = [&] { return hak_platform_now_ms() < grown_ms + 80; };
  if (is_recent()) {
    EXPECT_EQ(heap->reclaim, HAK_RECLAIM_ASKED);
    EXPECT_LT(hak_tick_due(HAK_JOB_IDLE), grown_ms + 100);
  }
  while (heap->owned_bytes != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    hak_tick();
  }
  if (is_recent()) {
    EXPECT_EQ(heap->reclaim, HAK_RECLAIM_FENCED);
  }
}

// ---- signs of life ----

// One that takes two blocks of a class now and then, and gives them back, leaves all as it was.
TEST_IN_CHILD(IdleTest, AThreadThatWorksInItsMagazinesKeepsThem) {
  constexpr unsigned kClass = 12;
  FreeBlock(AllocBlock(1));
  Sleeper sleeper;
  hak_heap_t* heap = FillCachesOf(&sleeper);
  size_t before = CachedBlocks(heap, kClass);
  ASSERT_GT(before, 2u);
  for (int i = 0; i < 6; ++i) {
    VisitNext();
    sleeper.Do([] {
      void* blocks[] = {AllocBlock(kClass), AllocBlock(kClass)};
      for (void* block : blocks) FreeBlock(block);
    });
  }
  EXPECT_GE(CachedBlocks(heap, kClass) + 2, before);
}

// What others freed into its slabs comes back although it is at work, in its fast paths alone.
TEST_IN_CHILD(IdleTest, ABusyThreadsSlabsAreSeenTo) {
  constexpr unsigned kClass = 32, kOther = 5;
  FreeBlock(AllocBlock(1));
  Sleeper sleeper;
  std::vector<void*> blocks;
  sleeper.Do([&] {
    for (int i = 0; i < 640; ++i) blocks.push_back(AllocBlock(kClass));
    for (int i = 0; i < 3; ++i) FreeBlock(AllocBlock(kOther));
  });
  int before = hak::CountSlabs().all;
  for (void* block : blocks) FreeBlock(block);
  hak::DrainThread();
  void* held = nullptr;
  for (int i = 0; i < 4; ++i) {
    sleeper.Do([&] {
      if (held == nullptr) {
        held = AllocBlock(kOther);
      } else {
        FreeBlock(held);
        held = nullptr;
      }
    });
    VisitNext();
  }
  EXPECT_LE(hak::CountSlabs().all, before - 9);
}

// An owner that comes to a fence takes all of them down, and has what it had.
TEST_IN_CHILD(IdleTest, AnOwnerThatWakesTakesTheFencesDown) {
  FreeBlock(AllocBlock(1));
  Sleeper sleeper;
  hak_heap_t* heap = FillCachesOf(&sleeper);
  std::vector<size_t> before;
  for (unsigned c : kClasses) before.push_back(CachedBlocks(heap, c));
  (void)VisitUntil(heap, HAK_RECLAIM_FENCED);
  sleeper.Do([&] {
    hak_heap_enter(heap);
    hak_heap_leave(heap);
    EXPECT_EQ(heap->reclaim, HAK_RECLAIM_NONE);
    for (size_t i = 0; i < std::size(kClasses); ++i) {
      unsigned c = kClasses[i];
      EXPECT_EQ(CachedBlocks(heap, c), before[i]);
      std::vector<void*> blocks;
      while (CachedBlocks(heap, c) != 0) {
        blocks.push_back(hak_magazine_pop(heap->top, c));
        ASSERT_NE(blocks.back(), nullptr) << "a fence still stands";
      }
      for (void* block : blocks) FreeBlock(block);
    }
  });
}

// A round that comes too soon after the last relies on nothing.
TEST_IN_CHILD(IdleTest, NothingIsTakenBeforeTheGraceIsOver) {
  FreeBlock(AllocBlock(1));
  Sleeper sleeper;
  hak_heap_t* heap = FillCachesOf(&sleeper);
  for (hak_reclaim_t state : {HAK_RECLAIM_ASKED, HAK_RECLAIM_FENCED}) {
    uint64_t before_ns = VisitUntil(heap, state);
    for (int i = 0; i < 10; ++i) hak_idle_visit();
    if (hak_platform_now_ns() < before_ns + 10000000) {
      EXPECT_EQ(heap->reclaim, state);
    }
  }
}

// ---- at every moment ----

// Threads that work in bursts, with rests that a visitor takes for idleness, while visits never
// end.
class Bursts {
 public:
  explicit Bursts(unsigned n_threads) {
    for (unsigned t = 0; t < n_threads; ++t) {
      threads_.emplace_back([this, t] {
        hak::Random random(t);
        std::array<MarkedBlock, 400> blocks;
        size_t n = 0;
        for (uint64_t mark = t << 20; !is_over_; ++mark) {
          for (uint64_t i = random.Below(60); i != 0; --i) {
            unsigned c = kClasses[random.Below(std::size(kClasses))];
            if (n < blocks.size() && random.Below(2) == 0) {
              blocks[n++] = AllocMarked(c, mark + i);
            } else if (n != 0) {
              std::swap(blocks[random.Below(n)], blocks[n - 1]);
              FreeMarked(blocks[--n]);
            }
          }
          FreeBlock(slot_.exchange(AllocBlock(5)));  // now and then another thread's
          hak::FreeSpan(hak::AllocSpan(HAK_SMALL_MAX + random.Below(HAK_MIB)));
          if (random.Below(4) == 0) {
            std::this_thread::sleep_for(std::chrono::microseconds(random.Below(200)));
          } else if (random.Below(300) == 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20 + random.Below(60)));
          }
        }
        while (n != 0) FreeMarked(blocks[--n]);
      });
    }
    visitor_ = std::thread([this] {
      while (!is_over_) hak_idle_visit();
    });
  }
  ~Bursts() {
    is_over_ = true;
    for (std::thread& thread : threads_) thread.join();
    visitor_.join();
    FreeBlock(slot_);
  }

 private:
  std::atomic<bool> is_over_{false};
  std::atomic<void*> slot_{AllocBlock(5)};
  std::vector<std::thread> threads_;
  std::thread visitor_;
};

TEST_IN_CHILD(IdleTest, OwnersMayWakeAtAnyMoment) {
  uint64_t purges = hak_purge_bytes();
  {
    Bursts bursts(6);
    std::this_thread::sleep_for(std::chrono::seconds(2));
  }
  EXPECT_GT(hak_purge_bytes(), purges) << "nothing was reclaimed";
}

TEST_IN_CHILD(IdleTest, ForksAreSafeMeanwhile) {
  Bursts bursts(4);
  for (uint64_t i = 0; i < (hak::kUnderSanitizer ? 10 : 150); ++i) {
    FillCaches(i, 20);
    if (i % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
    ASSERT_TRUE(hak::PassesInChild([i] {
      FillCaches(i, 300);
      VisitAll();
      FillCaches(i, 100);
    })) << i;
  }
}

}  // namespace
