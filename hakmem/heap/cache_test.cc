// The cache of a thread: how it starts, grows and stays within its budget; who gets which block.

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/heap/test_blocks.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/options/options.h"
}

namespace {

using hak::AllocBlock;
using hak::AllocMarked;
using hak::FreeBlock;
using hak::FreeMarked;
using hak::MarkedBlock;

hak_bin_t* Bin(unsigned size_class) { return &hak_this_heap->bins[size_class]; }

std::vector<void*> AllocMany(unsigned size_class, size_t n) {
  std::vector<void*> blocks(n);
  for (void*& block : blocks) block = AllocBlock(size_class);
  return blocks;
}

void FreeAll(const std::vector<void*>& blocks) {
  for (void* block : blocks) FreeBlock(block);
}

// Gets the class past its slow start, so that the thread has slabs of its own.
void WarmUp(unsigned size_class) {
  FreeAll(AllocMany(size_class, 200));
  ASSERT_GT(Bin(size_class)->n_slabs, 0u);
}

uint32_t Capacity(unsigned size_class) { return hak_magazine_capacity(&Bin(size_class)->magazine); }

size_t CachedBlocks(unsigned size_class) {
  if (Bin(size_class)->magazine.slots == nullptr) return 0;
  return hak_magazine_count(&Bin(size_class)->magazine, &hak_this_heap->top[size_class]);
}

uint64_t Exchanged(unsigned size_class) {
  return hak_counter_read(&Bin(size_class)->taken) + hak_counter_read(&Bin(size_class)->returned);
}

TEST_IN_CHILD(CacheTest, AThreadBeginsWithItsFirstBlock) {
  EXPECT_EQ(hak_this_heap, HAK_NO_HEAP);
  void* block = AllocBlock(5);
  ASSERT_NE(block, nullptr);
  EXPECT_NE(hak_this_heap, HAK_NO_HEAP);
  FreeBlock(block);
}

// The first blocks of a class come in small batches from slabs that all threads share; only a
// class in use gets slabs of the thread's own.
TEST_IN_CHILD(CacheTest, ClassesStartSlowly) {
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    SCOPED_TRACE(c);
    void* first = AllocBlock(c);
    EXPECT_LE(hak_counter_read(&Bin(c)->taken), 4u);
    EXPECT_EQ(hak_page_map_class(first), c) << "nobody owns the slab";
    EXPECT_EQ(Bin(c)->n_slabs, 0u);
    while (hak_counter_read(&Bin(c)->refills) <= HAK_SLOW_START_REFILLS) {
      ASSERT_NE(AllocBlock(c), nullptr);
    }
    EXPECT_EQ(Bin(c)->n_slabs, 1u);
  }
}

TEST_IN_CHILD(CacheTest, BlocksComeOutInAddressOrder) {
  constexpr unsigned kClass = 6;
  (void)AllocMany(kClass, 16 + 8 + 4 + 1);  // through the slow start
  uintptr_t last = 0;
  int steps_back = 0;
  for (int i = 0; i < 600; ++i) {
    auto at = reinterpret_cast<uintptr_t>(AllocBlock(kClass));
    steps_back += at < last;
    last = at;
  }
  EXPECT_LE(steps_back, 2) << "only from one slab to the next";
}

TEST_IN_CHILD(CacheTest, RandomUseOfAllClassesKeepsBlocksApart) {
  hak::Random random(90);
  std::vector<MarkedBlock> blocks;
  for (int i = 0; i < 300000; ++i) {
    bool grows = (i / 20000) % 2 == 0;
    if (blocks.empty() || random.Below(10) < (grows ? 6u : 4u)) {
      // Mostly a few classes, so that their magazines fill; now and then any.
      unsigned c = static_cast<unsigned>(
          random.Below(8) != 0 ? 1 + 9 * random.Below(4) : 1 + random.Below(HAK_N_CLASSES - 1));
      blocks.push_back(AllocMarked(c, random.Next()));
    } else {
      std::swap(blocks[random.Below(blocks.size())], blocks.back());
      FreeMarked(blocks.back());
      blocks.pop_back();
    }
  }
  for (const MarkedBlock& block : blocks) FreeMarked(block);
  hak_cache_drain(hak_this_heap);
  hak::SlabCount slabs = hak::CountSlabs();
  EXPECT_EQ(slabs.all, slabs.empty);
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    EXPECT_EQ(CachedBlocks(c), 0u);
    EXPECT_LE(Bin(c)->n_slabs, 1u);
  }
}

// A program whose live blocks go up and down takes fresh memory only for a new peak, but for the
// rest of a batch.
TEST_IN_CHILD(CacheTest, BlocksUsedBeforeAreUsedAgainBeforeFreshOnes) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thread_cache, "0"));  // so that slabs are at work
  const unsigned kClass = hak_class_of(1024);
  std::mt19937_64 random(42);
  std::vector<void*> live;
  std::set<void*> used;
  size_t peak = 0;
  for (unsigned i = 0; i < 200000; ++i) {
    unsigned around = 64 + i / 100 % 64;
    if (random() % (2 * around) >= live.size()) {
      live.push_back(AllocBlock(kClass));
      used.insert(live.back());
      peak = std::max(peak, live.size());
    } else {
      std::swap(live[random() % live.size()], live.back());
      FreeBlock(live.back());
      live.pop_back();
    }
  }
  EXPECT_GT(hak_counter_read(&Bin(kClass)->flushes), 20u) << "slabs must have been at work";
  EXPECT_LE(used.size(), peak + HAK_MAGAZINE_FIRST);
}

// ---- magazine sizes ----

TEST_IN_CHILD(CacheTest, OnlyAllocatingOrOnlyFreeingGainsNoLargerMagazine) {
  for (unsigned c : {1u, 4u, 20u, 60u}) {
    SCOPED_TRACE(c);
    (void)AllocMany(c, 40);  // through the slow start
    uint32_t capacity = Capacity(c);
    std::vector<void*> blocks = AllocMany(c, 10 * capacity);
    EXPECT_EQ(Capacity(c), capacity);
    FreeAll(blocks);
    EXPECT_EQ(Capacity(c), capacity);
    EXPECT_LE(CachedBlocks(c), capacity);
  }
}

TEST_IN_CHILD(CacheTest, FetchingAgainWhatWasReturnedGrowsMagazinesToTheirMaximum) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thread_cache, "64M"));
  for (unsigned c : {1u, 4u, 20u, 60u}) {
    SCOPED_TRACE(c);
    WarmUp(c);
    uint32_t before = Capacity(c);
    uint32_t most = hak_class_info(c)->magazine_max;
    for (int i = 0; i < 10; ++i) FreeAll(AllocMany(c, 2 * most));
    EXPECT_EQ(Capacity(c), std::max(before, most));
    EXPECT_LE(CachedBlocks(c), Capacity(c));
  }
}

TEST_IN_CHILD(CacheTest, TheBudgetIsKept) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thread_cache, "256K"));
  for (int i = 0; i < 5; ++i) {
    for (unsigned c = 1; c < HAK_N_CLASSES; ++c) FreeAll(AllocMany(c, 300));
  }
  // Magazines begin at a size that does not ask; what they gained beyond it did.
  size_t floor_bytes = 0, now_bytes = 0;
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    size_t block_bytes = hak_class_info(c)->block_bytes;
    now_bytes += Capacity(c) * block_bytes;
    floor_bytes += std::max<size_t>(8 * block_bytes, HAK_MAGAZINE_SECOND_BYTES);
  }
  EXPECT_LE(now_bytes,
            floor_bytes + 256 * HAK_KIB + hak_this_heap->owned_bytes / HAK_THREAD_CACHE_SHARE);
  EXPECT_EQ(hak_this_heap->busy, 0u);
}

TEST_IN_CHILD(CacheTest, WithoutABudgetNothingGrows) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thread_cache, "0"));
  WarmUp(4);
  uint32_t capacity = Capacity(4);
  for (int i = 0; i < 10; ++i) FreeAll(AllocMany(4, 2 * capacity));
  EXPECT_EQ(Capacity(4), capacity);
}

// At whatever level a thread hovers, within a magazine's reach it exchanges nothing with slabs.
TEST_IN_CHILD(CacheTest, HoveringTouchesNoSlab) {
  constexpr unsigned kClass = 4;
  WarmUp(kClass);
  hak::Random random(91);
  std::vector<void*> blocks;
  for (int level = 0; level < 20; ++level) {
    size_t target = random.Below(3000);
    while (blocks.size() < target) blocks.push_back(AllocBlock(kClass));
    while (blocks.size() > target) {
      FreeBlock(blocks.back());
      blocks.pop_back();
    }
    auto hover = [&] {
      size_t reach = Capacity(kClass) / 4;
      FreeAll(AllocMany(kClass, reach));
    };
    hover();
    hover();
    uint64_t exchanged = Exchanged(kClass);
    for (int i = 0; i < 50; ++i) hover();
    EXPECT_EQ(Exchanged(kClass), exchanged) << level;
  }
}

// ---- others' blocks ----

// Whose slab it is in makes no difference: the block is warm here.
TEST_IN_CHILD(CacheTest, AThreadsNextBlockIsTheOneItFreed) {
  for (unsigned c = HAK_N_LINE_CLASSES + 1; c < HAK_N_CLASSES; ++c) {
    std::vector<void*> blocks;
    std::thread([&] { blocks = AllocMany(c, 2); }).join();
    FreeBlock(blocks[0]);
    EXPECT_EQ(AllocBlock(c), blocks[0]);
    FreeBlock(blocks[0]);
    FreeBlock(blocks[1]);
    EXPECT_EQ(AllocBlock(c), blocks[1]);
  }
}

std::set<uintptr_t> LinesOf(const std::vector<void*>& blocks, size_t block_bytes) {
  std::set<uintptr_t> lines;
  for (void* block : blocks) {
    auto at = reinterpret_cast<uintptr_t>(block);
    for (uintptr_t a = at; a < at + block_bytes; a += 16) lines.insert(a / HAK_CACHE_LINE);
  }
  return lines;
}

// Each of two threads frees every other block of a third's, and allocates as many, again and again.
// `prepare` is what it has done before. With `are_known`, somebody has freed blocks of the third's
// slabs before.
void ExpectNoSharedLines(unsigned size_class, size_t n, const std::function<void()>& prepare,
                         bool are_known = false) {
  SCOPED_TRACE(size_class);
  size_t block_bytes = hak_class_info(size_class)->block_bytes;
  hak::Sleeper third, threads[2];
  std::vector<void*> given;
  std::vector<void*> blocks[2];
  third.Do([&] { given = AllocMany(size_class, 2 * n); });
  for (size_t i = 0; i < 2 * n; ++i) blocks[i % 2].push_back(given[i]);
  for (hak::Sleeper& thread : threads) thread.Do(prepare);
  if (are_known) {
    for (void* block : given) hak_slab_mark_outgoing(hak::SlabOf(block));
  }
  for (int turn = 0; turn < 3; ++turn) {
    for (int t : {0, 1}) {
      threads[t].Do([&] {
        FreeAll(blocks[t]);
        blocks[t] = AllocMany(size_class, n);
      });
    }
    std::set<uintptr_t> first = LinesOf(blocks[0], block_bytes);
    size_t shared = 0;
    for (uintptr_t line : LinesOf(blocks[1], block_bytes)) shared += first.count(line);
    EXPECT_EQ(shared, 0u) << n << " blocks, turn " << turn;
  }
}

TEST_IN_CHILD(CacheTest, TwoThreadsThatFreeAThirdsBlocksShareNoLine) {
  for (unsigned c = 1; c <= HAK_N_LINE_CLASSES; ++c) {
    for (size_t n : std::vector<size_t>{1, 2, 10, 100, 3000}) ExpectNoSharedLines(c, n, [] {});
  }
}

// Threads at work on the class before: as soon as one block of the slab has come home.
TEST(CacheTest, NorDoThreadsAtWorkOnceASlabIsKnown) {
  for (unsigned c = 1; c <= HAK_N_LINE_CLASSES; ++c) {
    for (size_t n : std::vector<size_t>{1, 2, 10, 100}) {
      EXPECT_TRUE(hak::PassesInChild([=] {
        ExpectNoSharedLines(
            c, n,
            [=] {
              WarmUp(c);
              for (int i = 0; i < 100; ++i) FreeAll(AllocMany(c, 10));
            },
            true);
      }));
    }
  }
}

// A refill takes what others have freed, though that is of another class.
TEST_IN_CHILD(CacheTest, EachRefillTakesTheNews) {
  constexpr unsigned kOne = 2, kOther = 32;
  WarmUp(kOne);
  WarmUp(kOther);
  std::vector<void*> others = AllocMany(kOther, 640);
  hak_heap_t* heap = hak::ThisHeap();
  std::thread([&] {
    FreeAll(others);
    hak::DrainThread();
  }).join();
  ASSERT_NE(heap->pending, HAK_PENDING_NONE);
  std::vector<void*> blocks = AllocMany(kOne, 3000);
  EXPECT_EQ(heap->pending, HAK_PENDING_NONE);
  FreeAll(blocks);
}

TEST_IN_CHILD(CacheTest, DrainReturnsEverything) {
  std::vector<void*> blocks;
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    for (void* block : AllocMany(c, 100)) blocks.push_back(block);
  }
  FreeAll(blocks);
  hak_cache_drain(hak_this_heap);
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) EXPECT_EQ(CachedBlocks(c), 0u);
  hak::SlabCount slabs = hak::CountSlabs();
  EXPECT_EQ(slabs.all, slabs.empty);
  EXPECT_EQ(slabs.all, slabs.owned) << "shared slabs go back as soon as they are empty";
}

TEST_IN_CHILD(CacheTest, RefusalIsNullAndNotForEver) {
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
    EXPECT_EQ(AllocBlock(4), nullptr) << "no memory for a heap, nor for a slab";
    EXPECT_EQ(AllocBlock(4), nullptr);
  }
  std::set<void*> blocks = {AllocBlock(60)};
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
    while (void* block = AllocBlock(60)) ASSERT_TRUE(blocks.insert(block).second);
    EXPECT_EQ(AllocBlock(60), nullptr);
    size_t n = blocks.size();
    for (void* block : blocks) FreeBlock(block);
    blocks.clear();
    while (void* block = AllocBlock(60)) ASSERT_TRUE(blocks.insert(block).second);
    EXPECT_GE(blocks.size() + Capacity(60), n) << "what was freed serves again";
  }
  EXPECT_NE(AllocBlock(60), nullptr);
}

}  // namespace
