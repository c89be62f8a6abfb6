// Unowned slabs: shared, adopted, abandoned, given back.

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/slab/test_slabs.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/heap/flush.h"
}

namespace {

std::vector<void*> CentralTake(unsigned size_class, unsigned n) {
  std::vector<void*> slots(n);
  unsigned taken = hak_central_take(size_class, slots.data() + n, n, true);
  return std::vector<void*>(slots.end() - taken, slots.end());
}

hak_slab_t* SlabOf(const void* block) { return hak_slab_of(block); }

hak_heap_t* OwnerOf(const hak_slab_t* slab) {
  return hak_load_acquire(&const_cast<hak_slab_t*>(slab)->owner);
}

// A free by a thread without a heap. False when the slab has an owner, which was not told.
bool CentralFree(void* block) {
  hak_slab_t* slab = SlabOf(block);
  uint32_t index = hak::BlockIndex(slab, block);
  hak_slab_free_remote(slab, index / 64, uint64_t{1} << (index % 64));
  return !hak_slab_announce_remote(slab, 1) || hak_central_absorb(slab);
}

TEST_IN_CHILD(CentralTest, SharesOneSlabAndGivesItBackWhenEmpty) {
  std::set<void*> blocks;
  for (int i = 0; i < 30; ++i) {
    for (void* block : CentralTake(5, 4)) ASSERT_TRUE(blocks.insert(block).second);
  }
  ASSERT_EQ(blocks.size(), 120u);
  hak_slab_t* slab = SlabOf(*blocks.begin());
  for (void* block : blocks) {
    EXPECT_EQ(SlabOf(block), slab);
    EXPECT_EQ(hak_page_map_class(block), 5u) << "the class, and no owner";
  }
  for (void* block : blocks) EXPECT_TRUE(CentralFree(block));
  EXPECT_FALSE(hak::IsMapped(*blocks.begin()));
  EXPECT_EQ(hak_central_adopt(5, hak::MakeHeap()), nullptr);
}

TEST_IN_CHILD(CentralTest, GoesFromSlabToSlab) {
  const hak_class_info_t* info = hak_class_info(30);
  std::set<void*> blocks;
  std::set<hak_slab_t*> slabs;
  for (unsigned i = 0; i < 3u * info->slab_blocks; ++i) {
    std::vector<void*> one = CentralTake(30, 1);
    ASSERT_EQ(one.size(), 1u);
    ASSERT_TRUE(blocks.insert(one[0]).second);
    slabs.insert(SlabOf(one[0]));
  }
  EXPECT_EQ(slabs.size(), 3u);
  for (void* block : blocks) ASSERT_TRUE(CentralFree(block));
  for (void* block : blocks) ASSERT_FALSE(hak::IsMapped(block));
}

// Where threads came and went there are many slabs with a free block here and there, but no whole
// line: they are not all looked through, and the slab that is made instead serves those to come.
TEST_IN_CHILD(CentralTest, FewSlabsAreSearchedForWholeLines) {
  hak_heap_t* heap = hak::MakeHeap();
  std::vector<hak_slab_t*> slabs;
  for (int i = 0; i < 20; ++i) {
    slabs.push_back(hak_slab_create(2, heap));
    std::vector<void*> blocks = hak::TakeBlocks(slabs.back(), slabs.back()->capacity);
    hak_slab_put(slabs.back(), 0, 1);
    hak_central_abandon(slabs.back());
  }
  std::vector<void*> first = CentralTake(2, 4), second = CentralTake(2, 4);
  ASSERT_EQ(first.size() + second.size(), 8u);
  EXPECT_EQ(SlabOf(first[0]), SlabOf(second[0]));
  EXPECT_EQ(hak_central_adopt(2, heap), SlabOf(first[0]));
  for (size_t i = 0; i < slabs.size(); ++i) {
    EXPECT_EQ(hak_central_adopt(2, heap), slabs[(i + HAK_CENTRAL_TRIES) % slabs.size()]) << i;
  }
}

TEST_IN_CHILD(CentralTest, AdoptionMakesTheSlabTheHeaps) {
  hak_heap_t* heap = hak::MakeHeap();
  std::vector<void*> blocks = CentralTake(9, 4);
  hak_slab_t* slab = hak_central_adopt(9, heap);
  ASSERT_EQ(slab, SlabOf(blocks[0]));
  EXPECT_EQ(OwnerOf(slab), heap);
  EXPECT_EQ(hak_page_map_class(blocks[0]), 9u);
  EXPECT_FALSE(hak_central_absorb(slab)) << "it has an owner now";
  EXPECT_FALSE(hak_central_claim(slab, hak::MakeHeap()));
  EXPECT_EQ(hak_central_adopt(9, heap), nullptr);
  hak_central_abandon(slab);
  EXPECT_EQ(OwnerOf(slab), nullptr);
  EXPECT_EQ(hak_page_map_class(blocks[0]), 9u);
  for (void* block : blocks) EXPECT_TRUE(CentralFree(block));
  EXPECT_FALSE(hak::IsMapped(blocks[0]));
}

TEST_IN_CHILD(CentralTest, AFullSlabIsAdoptableOnlyAfterAFree) {
  hak_heap_t* heap = hak::MakeHeap();
  hak_slab_t* slab = hak_slab_create(9, heap);
  std::vector<void*> blocks = hak::TakeBlocks(slab, slab->capacity);
  hak_central_abandon(slab);
  EXPECT_EQ(hak_central_adopt(9, heap), nullptr);
  EXPECT_TRUE(CentralFree(blocks[0]));
  EXPECT_EQ(hak_central_adopt(9, heap), slab);
}

TEST_IN_CHILD(CentralTest, ASlabIsClaimedWhetherAnyOfItIsFreeOrNot) {
  for (unsigned n_free : {0u, 1u}) {
    hak_heap_t* heap = hak::MakeHeap();
    hak_slab_t* slab = hak_slab_create(9, heap);
    hak::TakeBlocks(slab, slab->capacity - n_free);
    hak_central_abandon(slab);
    ASSERT_TRUE(hak_central_claim(slab, heap));
    EXPECT_EQ(OwnerOf(slab), heap);
    EXPECT_EQ(hak_central_adopt(9, heap), nullptr) << "it is in no list any more";
  }
}

TEST_IN_CHILD(CentralTest, AbandoningAnEmptySlabGivesItBack) {
  hak_slab_t* slab = hak_slab_create(9, hak::MakeHeap());
  auto* base = reinterpret_cast<void*>(slab->run.base);
  hak_central_abandon(slab);
  EXPECT_FALSE(hak::IsMapped(base));
}

// Remote frees that were made for the owner but not yet taken in when it ended.
TEST_IN_CHILD(CentralTest, RemoteFreesAreNotLostWhenTheOwnerEnds) {
  for (bool is_announced_first : {true, false}) {
    hak_slab_t* slab = hak_slab_create(9, hak::MakeHeap());
    auto* base = reinterpret_cast<void*>(slab->run.base);
    hak::TakeBlocks(slab, 3);
    hak_slab_free_remote(slab, 0, 7);
    if (is_announced_first) {
      EXPECT_TRUE(hak_slab_announce_remote(slab, 3));
    }
    hak_central_abandon(slab);
    EXPECT_TRUE(hak::IsMapped(base)) << "whoever freed has still to be heard";
    if (!is_announced_first) {
      EXPECT_TRUE(hak_slab_announce_remote(slab, 3));
    }
    EXPECT_TRUE(hak_central_absorb(slab));
    EXPECT_FALSE(hak::IsMapped(base));
  }
}

TEST_IN_CHILD(CentralTest, FreshSlabsCanBeAddedForOthers) {
  hak_slab_t* slab = hak_slab_create(12, nullptr);
  hak_central_add(slab);
  EXPECT_EQ(SlabOf(CentralTake(12, 1).at(0)), slab);
}

TEST_IN_CHILD(CentralTest, RefusalIsNothingAndNotForEver) {
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
    EXPECT_TRUE(CentralTake(3, 4).empty());
    EXPECT_EQ(hak_slab_create(3, nullptr), nullptr);
  }
  EXPECT_EQ(CentralTake(3, 4).size(), 4u);
}

// ---- threads ----

// All take from and free into unowned slabs of a few classes. Each block bears its holder's mark.
TEST_IN_CHILD(CentralTest, ThreadsShareUnownedSlabs) {
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      hak::Random random(60 + t);
      std::vector<void*> mine;
      for (int i = 0; i < 4000; ++i) {
        unsigned c = static_cast<unsigned>(1 + 20 * random.Below(3));
        for (void* block : CentralTake(c, static_cast<unsigned>(1 + random.Below(16)))) {
          *static_cast<uint64_t*>(block) = t;
          mine.push_back(block);
        }
        while (mine.size() > 50) {
          std::swap(mine[random.Below(mine.size())], mine.back());
          ASSERT_EQ(*static_cast<uint64_t*>(mine.back()), t);
          ASSERT_TRUE(CentralFree(mine.back()));
          mine.pop_back();
        }
      }
      for (void* block : mine) ASSERT_TRUE(CentralFree(block));
    });
  }
  for (std::thread& thread : threads) thread.join();
  hak_lock_acquire(&hak_backend_lock);
  int slabs = 0;
  hak_super_visit_slabs([](hak_run_t*, void* n) { ++*static_cast<int*>(n); }, &slabs);
  hak_lock_release(&hak_backend_lock);
  EXPECT_EQ(slabs, 0);
}

}  // namespace
