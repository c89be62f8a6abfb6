// A slab against its shadow, in every class; remote frees; double frees; what descriptors cost.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <list>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/slab/test_slabs.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/options/options.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/superslab/reserve.h"
}

namespace {

using hak::BlockAt;
using hak::TakeBlocks;
using testing::KilledBySignal;
using testing::MatchesRegex;

enum class Place { kFree, kTaken, kRemote };

unsigned CountFree(const std::vector<Place>& places) {
  return static_cast<unsigned>(std::count(places.begin(), places.end(), Place::kFree));
}

// Random steps of the owner and of remote threads, one at a time, against the place of each block.
void FollowShadow(hak_slab_t* slab, uint64_t seed) {
  hak::Random random(seed);
  std::vector<Place> places(slab->capacity, Place::kFree);
  uint32_t unannounced = 0, announced = 0;
  unsigned touched = slab->touched;
  for (int step = 0; step < 3000; ++step) {
    unsigned index = static_cast<unsigned>(random.Below(slab->capacity));
    uint64_t bit = uint64_t{1} << (index % 64);
    switch (random.Below(6)) {
      case 0:
      case 1: {
        unsigned n = static_cast<unsigned>(1 + random.Below(100));
        std::vector<void*> blocks = TakeBlocks(slab, n);
        ASSERT_EQ(blocks.size(), std::min(n, CountFree(places)));
        unsigned lowest = 0;
        for (void* block : blocks) {
          while (places[lowest] != Place::kFree) ++lowest;
          ASSERT_EQ(block, BlockAt(slab, lowest)) << "the lowest free block comes first";
          places[lowest] = Place::kTaken;
          touched = std::max(touched, lowest + 1);
        }
        ASSERT_EQ(slab->touched, touched);
        break;
      }
      case 2:
        if (places[index] != Place::kTaken) break;
        hak_slab_put(slab, index / 64, bit);
        places[index] = Place::kFree;
        break;
      case 3:
        if (places[index] != Place::kTaken) break;
        hak_slab_free_remote(slab, index / 64, bit);
        places[index] = Place::kRemote;
        ++unannounced;
        break;
      case 4:
        if (unannounced == 0) break;
        ASSERT_EQ(hak_slab_announce_remote(slab, unannounced), announced == 0)
            << "exactly who finds no count must tell";
        announced += unannounced;
        unannounced = 0;
        break;
      case 5: {
        auto n = std::count(places.begin(), places.end(), Place::kRemote);
        ASSERT_EQ(hak_slab_collect(slab), n);
        std::replace(places.begin(), places.end(), Place::kRemote, Place::kFree);
        if (announced != 0) {
          hak_slab_count_remote(slab);
          announced = 0;
        }
        // All that is free now has come back; only announcements can be missing.
        ASSERT_EQ(slab->uncounted, unannounced);
        ASSERT_EQ(hak_slab_is_idle(slab), CountFree(places) == slab->capacity && unannounced == 0);
        break;
      }
    }
    ASSERT_EQ(slab->free_count, CountFree(places));
  }
}

TEST_IN_CHILD(SlabTest, EveryClassFollowsItsShadow) {
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    SCOPED_TRACE(c);
    hak_slab_t* slab = hak_slab_create(c, nullptr);
    ASSERT_NE(slab, nullptr);
    ASSERT_TRUE(hak_slab_is_idle(slab));
    FollowShadow(slab, c);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST_IN_CHILD(SlabTest, AllBlocksLieApartWithinTheSlab) {
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    hak_slab_t* slab = hak_slab_create(c, nullptr);
    std::vector<void*> blocks = TakeBlocks(slab, slab->capacity + 1u);
    ASSERT_EQ(blocks.size(), slab->capacity);
    uintptr_t end = slab->run.base;
    for (void* block : blocks) {
      ASSERT_GE(reinterpret_cast<uintptr_t>(block), end);
      end = reinterpret_cast<uintptr_t>(block) + hak_class_info(c)->block_bytes;
    }
    ASSERT_LE(end, slab->run.base + slab->run.n_pages * HAK_PAGE_BYTES);
  }
}

// Every byte of a slab, its tail included: an index where a block begins, and nowhere else.
TEST_IN_CHILD(SlabTest, KnowsWhereBlocksBegin) {
  for (unsigned c : {1u, 2u, 3u, 8u, 9u, 13u, 33u, 64u, unsigned{HAK_N_CLASSES - 1}}) {
    hak_slab_t* slab = hak_slab_create(c, nullptr);
    size_t block_bytes = hak_class_info(c)->block_bytes;
    for (size_t offset = 0; offset < slab->run.n_pages * HAK_PAGE_BYTES; ++offset) {
      size_t index = offset / block_bytes;
      bool begins = offset % block_bytes == 0 && index < slab->capacity;
      auto* address = reinterpret_cast<void*>(slab->run.base + offset);
      ASSERT_EQ(hak::BlockIndex(slab, address), begins ? index : UINT32_MAX) << offset;
    }
  }
}

// Blocks taken by lines are on no cache line with a block that somebody had before.
TEST_IN_CHILD(SlabTest, WholeLinesAreNotShared) {
  for (unsigned c = 1; c <= 12; ++c) {
    size_t block_bytes = hak_class_info(c)->block_bytes;
    if (block_bytes > 48) continue;  // documented: as hak_slab_take
    hak_slab_t* slab = hak_slab_create(c, nullptr);
    hak::Random random(50 + c);
    std::vector<void*> live;
    auto lines_of = [&](void* block) {
      uintptr_t first = reinterpret_cast<uintptr_t>(block) / HAK_CACHE_LINE;
      uintptr_t last = (reinterpret_cast<uintptr_t>(block) + block_bytes - 1) / HAK_CACHE_LINE;
      return std::pair<uintptr_t, uintptr_t>(first, last);
    };
    for (int i = 0; i < 500; ++i) {
      std::set<uintptr_t> lines;
      for (void* block : live) lines.insert({lines_of(block).first, lines_of(block).second});
      for (void* block : TakeBlocks(slab, static_cast<unsigned>(1 + random.Below(20)), true)) {
        ASSERT_EQ(lines.count(lines_of(block).first), 0u);
        ASSERT_EQ(lines.count(lines_of(block).second), 0u);
        live.push_back(block);
      }
      for (uint64_t n = random.Below(25); n > 0 && !live.empty(); --n) {
        std::swap(live[random.Below(live.size())], live.back());
        uint32_t index = hak::BlockIndex(slab, live.back());
        hak_slab_put(slab, index / 64, uint64_t{1} << (index % 64));
        live.pop_back();
      }
    }
    for (void* block : live) {
      uint32_t index = hak::BlockIndex(slab, block);
      hak_slab_put(slab, index / 64, uint64_t{1} << (index % 64));
    }
    ASSERT_TRUE(hak_slab_is_idle(slab));
  }
}

// A remote free that has set its bits but not announced them keeps the slab from being given away,
// even when every block is back.
TEST_IN_CHILD(SlabTest, IsNotIdleWhileARemoteFreeIsInFlight) {
  hak_slab_t* slab = hak_slab_create(1, nullptr);
  ASSERT_EQ(TakeBlocks(slab, 3).size(), 3u);
  hak_slab_free_remote(slab, 0, 7);
  EXPECT_EQ(hak_slab_collect(slab), 3u);
  EXPECT_EQ(slab->free_count, slab->capacity);
  EXPECT_FALSE(hak_slab_is_idle(slab));
  EXPECT_TRUE(hak_slab_announce_remote(slab, 3));
  EXPECT_FALSE(hak_slab_is_idle(slab)) << "the owner has not been told yet";
  hak_slab_count_remote(slab);
  EXPECT_TRUE(hak_slab_is_idle(slab));
}

TEST_IN_CHILD(SlabTest, WholeWordsGoThroughTheRemoteBitmap) {
  hak_slab_t* slab = hak_slab_create(1, nullptr);
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(TakeBlocks(slab, slab->capacity).size(), slab->capacity);
    for (unsigned w = 0; w < slab->capacity / 64u; ++w) {
      hak_slab_free_remote(slab, w, ~uint64_t{0});
      EXPECT_EQ(hak_slab_announce_remote(slab, 64), w == 0);
    }
    EXPECT_EQ(hak_slab_collect(slab), slab->capacity);
    hak_slab_count_remote(slab);
    EXPECT_TRUE(hak_slab_is_idle(slab));
  }
}

TEST_IN_CHILD(SlabTest, RecountBelievesTheBitmap) {
  hak_slab_t* slab = hak_slab_create(2, nullptr);
  TakeBlocks(slab, 100);
  slab->free_count = 7;
  slab->scan_word = 20;
  hak_slab_recount(slab);
  EXPECT_EQ(slab->free_count, slab->capacity - 100);
  hak_slab_put(slab, 0, 1);
  EXPECT_EQ(TakeBlocks(slab, 1).at(0), BlockAt(slab, 0));
}

TEST(SlabTest, ListsKeepTheirOrder) {
  std::vector<hak_slab_t> slabs(20);
  hak_slab_list_t list = {nullptr, nullptr};
  std::list<hak_slab_t*> shadow;
  hak::Random random(7);
  for (int i = 0; i < 5000; ++i) {
    hak_slab_t* slab = &slabs[random.Below(slabs.size())];
    auto it = std::find(shadow.begin(), shadow.end(), slab);
    if (it == shadow.end()) {
      hak_slab_list_append(&list, slab);
      shadow.push_back(slab);
    } else {
      hak_slab_list_remove(&list, slab);
      shadow.erase(it);
    }
    hak_slab_t* at = list.first;
    hak_slab_t* before = nullptr;
    for (hak_slab_t* expected : shadow) {
      ASSERT_EQ(at, expected);
      ASSERT_EQ(at->prev, before);
      before = at;
      at = at->next;
    }
    ASSERT_EQ(at, nullptr);
    ASSERT_EQ(list.last, before);
  }
}

// ---- threads ----

// The owner hands out, others free, and give memory back where all of it lies with them. Each block
// is filled by whoever has it, so that tsan sees whether the bitmaps order the uses. Whoever is to
// tell does; the owner counts only when told.
TEST_IN_CHILD(SlabTest, OthersFreeWhileTheOwnerAllocates) {
  for (unsigned c : {1u, 20u, hak_class_of(8192)}) {
    hak_slab_t* slab = hak_slab_create(c, nullptr);
    std::mutex mutex;
    std::vector<void*> handed_out;  // under mutex
    std::atomic<bool> is_done{false};
    std::atomic<int> told{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        for (;;) {
          bool done = is_done;
          std::vector<void*> mine;
          {
            std::lock_guard<std::mutex> guard(mutex);
            size_t n = std::min<size_t>(handed_out.size(), 5);
            mine.assign(handed_out.end() - static_cast<ptrdiff_t>(n), handed_out.end());
            handed_out.resize(handed_out.size() - n);
          }
          if (mine.empty() && done) return;
          for (void* block : mine) {
            ASSERT_EQ(*static_cast<void**>(block), block);
            *static_cast<void**>(block) = nullptr;
            uint32_t index = hak::BlockIndex(slab, block);
            hak_slab_free_remote(slab, index / 64, uint64_t{1} << (index % 64));
          }
          if (!mine.empty()) (void)hak_slab_purge_remote(slab, c);
          if (!mine.empty() && hak_slab_announce_remote(slab, static_cast<unsigned>(mine.size()))) {
            ++told;
          }
        }
      });
    }
    auto absorb = [&] {
      for (int n = told.exchange(0); n > 0; --n) hak_slab_count_remote(slab);
      hak_slab_collect(slab);
    };
    for (int i = 0; i < 5000; ++i) {
      for (void* block : TakeBlocks(slab, 10)) {
        *static_cast<void**>(block) = block;
        std::lock_guard<std::mutex> guard(mutex);
        handed_out.push_back(block);
      }
      absorb();
    }
    is_done = true;
    for (std::thread& thread : threads) thread.join();
    absorb();
    EXPECT_TRUE(hak_slab_is_idle(slab)) << slab->free_count << " " << slab->uncounted;
  }
}

// ---- what slabs cost ----

// Leaves of the page map: how many there are depends on the addresses that the kernel gives.
size_t LeafBytes() {
  auto is_there = [](const auto& leaf) { return hak_load_relaxed(&leaf) != nullptr; };
  auto n = std::count_if(std::begin(hak_page_root), std::end(hak_page_root), is_there);
  return static_cast<size_t>(n) * sizeof(hak_page_leaf_t);
}

// Fills all the address space that is reserved, 200 MiB at the least, with slabs, and touches none
// of their pages.
void ExpectDescriptorsAreSmall(size_t block_bytes) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thp, "never"));  // reservations are of one kind
  unsigned size_class = hak_class_of(block_bytes);
  ASSERT_EQ(hak_class_info(size_class)->block_bytes, block_bytes);
  size_t slab_bytes = 0;
  while (slab_bytes < 200 * HAK_MIB || slab_bytes < hak_reserve_bytes()) {
    hak_slab_t* slab = hak_slab_create(size_class, nullptr);
    ASSERT_NE(slab, nullptr);
    slab_bytes += hak_slab_bytes(slab);
  }
  ASSERT_EQ(slab_bytes, hak_reserve_bytes());
  double share =
      static_cast<double>(hak_meta_used_bytes() - LeafBytes()) / static_cast<double>(slab_bytes);
  EXPECT_LT(share, 0.006) << block_bytes;
  EXPECT_GT(share, static_cast<double>(HAK_RUN_BYTES) / HAK_PAGE_BYTES) << "all is counted";
}

TEST_IN_CHILD(SlabTest, DescriptorsOf64ByteBlocksAreSmall) { ExpectDescriptorsAreSmall(64); }
TEST_IN_CHILD(SlabTest, DescriptorsOf128ByteBlocksAreSmall) { ExpectDescriptorsAreSmall(128); }
TEST_IN_CHILD(SlabTest, DescriptorsOf1KiBBlocksAreSmall) { ExpectDescriptorsAreSmall(HAK_KIB); }
TEST_IN_CHILD(SlabTest, DescriptorsOf4KiBBlocksAreSmall) { ExpectDescriptorsAreSmall(4 * HAK_KIB); }

// ---- misuse ----

constexpr char kDoubleFree[] = "hakmem: double free: 0x[0-9a-f]+30 \\(.*\\), in thread [0-9]+\n";

hak_slab_t* SlabWithTwoTaken() {
  hak_slab_t* slab = hak_slab_create(3, nullptr);
  TakeBlocks(slab, 2);  // the second is at offset 0x30
  return slab;
}

TEST(SlabDeathTest, DoubleFreeIsNoticedWhoeverFrees) {
  EXPECT_EXIT(
      {
        hak_slab_t* slab = SlabWithTwoTaken();
        hak_slab_put(slab, 0, 2);
        hak_slab_put(slab, 0, 2);
      },
      KilledBySignal(SIGABRT), MatchesRegex(kDoubleFree));
  EXPECT_EXIT(
      {
        hak_slab_t* slab = SlabWithTwoTaken();
        hak_slab_free_remote(slab, 0, 2);
        hak_slab_free_remote(slab, 0, 2);
      },
      KilledBySignal(SIGABRT), MatchesRegex(kDoubleFree));
  EXPECT_EXIT(
      {
        hak_slab_t* slab = SlabWithTwoTaken();
        hak_slab_put(slab, 0, 2);
        hak_slab_free_remote(slab, 0, 2);
        hak_slab_collect(slab);
      },
      KilledBySignal(SIGABRT), MatchesRegex(kDoubleFree));
  EXPECT_EXIT(
      {
        hak_slab_t* slab = SlabWithTwoTaken();
        hak_slab_free_remote(slab, 0, 2);
        hak_slab_put(slab, 0, 3);
        hak_slab_collect(slab);
      },
      KilledBySignal(SIGABRT), MatchesRegex(kDoubleFree));
}

}  // namespace
