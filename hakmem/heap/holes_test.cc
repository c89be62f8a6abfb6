// Holes in partly used slabs: what goes back, when, and that memory in use is left alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "hakmem/heap/test_blocks.h"

extern "C" {
#include "hakmem/heap/holes.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/superslab/purge.h"
}

namespace {

using hak::AllocBlock;
using hak::FreeBlock;

constexpr unsigned kBytes = 1024;
constexpr size_t kBlocks = 4000;

char* Touched(unsigned size_class) {
  return static_cast<char*>(memset(AllocBlock(size_class), 1, kBytes));
}

// Survivors of a burst: one block in forty, each a page; what they are in is full of holes.
class Survivors {
 public:
  Survivors() : size_class_(hak_class_of(kBytes)) {
    blocks_.reserve(kBlocks);
    for (size_t i = 0; i < kBlocks; ++i) {
      blocks_.push_back(Touched(size_class_));
    }
    for (size_t i = 0; i < kBlocks; ++i) {
      if (i % 40 != 0) FreeBlock(blocks_[i]);
    }
    hak::DrainThread();
  }
  // OS pages that the burst took and that are in memory.
  size_t ResidentBytes() const {
    size_t n = 0;
    for (size_t i = 0; i < kBlocks; i += 4) n += hak::IsResident(blocks_[i]) ? 4 * kBytes : 0;
    return n;
  }
  bool AreIntact() const {
    for (size_t i = 0; i < kBlocks; i += 40) {
      for (unsigned k = 0; k < kBytes; ++k) {
        if (blocks_[i][k] != 1) return false;
      }
    }
    return true;
  }
  unsigned size_class() const { return size_class_; }

 private:
  unsigned size_class_;
  std::vector<char*> blocks_;
};

// A round, of the heap's slabs alone.
void LookOnce() {
  hak_heap_t* heap = hak::ThisHeap();
  hak_heap_enter(heap);
  hak_store_relaxed(&hak_holes_round, static_cast<uint8_t>(hak_holes_round + 1));
  while (hak_holes_wait(heap)) hak_holes_look(heap);
  hak_heap_leave(heap);
}

// Nothing then depends on the time.
void StopTheClock() { ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "-1")); }

uint64_t Calls() { return hak_load_relaxed(&hak_platform_counters(HAK_KERNEL_MADVISE)->calls); }

TEST_IN_CHILD(HolesTest, GoBackLongOnesFirstWhereNothingChanges) {
  StopTheClock();
  if (hak_platform_os_page_bytes() != 4096) GTEST_SKIP() << "counts pages of 4 KiB";
  Survivors survivors;
  size_t all = survivors.ResidentBytes();
  EXPECT_GT(all, kBlocks * kBytes * 9 / 10);
  LookOnce();
  EXPECT_EQ(survivors.ResidentBytes(), all) << "no slab has been seen before";
  std::vector<size_t> resident;
  for (int i = 0; i < 3; ++i) {
    LookOnce();
    resident.push_back(survivors.ResidentBytes());
  }
  EXPECT_LT(resident[0], all / 2);
  EXPECT_LT(resident[1], resident[0]);
  EXPECT_LT(resident[2], resident[1]);
  EXPECT_LT(resident[2], kBlocks / 40 * 4096 * 3 / 2) << "the survivors' pages stay";
  EXPECT_TRUE(survivors.AreIntact());
  uint64_t calls = Calls();
  for (int i = 0; i < 300; ++i) LookOnce();  // the round's number comes again
  EXPECT_EQ(Calls(), calls) << "all has gone back";
}

// One call for what was taken of it, and none for what never was.
TEST_IN_CHILD(HolesTest, GoBackOfASlabThatWasNeverFull) {
  StopTheClock();
  unsigned c = hak_class_of(kBytes);
  std::vector<char*> blocks;
  while (hak::ThisHeap()->bins[c].partial.first == nullptr) blocks.push_back(Touched(c));
  hak_slab_t* slab = hak::ThisHeap()->bins[c].partial.first;
  while (blocks.size() < 2 || hak::SlabOf(blocks.rbegin()[1]) != slab) blocks.push_back(Touched(c));
  ASSERT_TRUE(hak_slab_is_fresh(slab));
  uint64_t calls = Calls();
  for (int i = 0; i < 4; ++i) LookOnce();
  EXPECT_EQ(Calls(), calls) << "what is free was never touched";
  char* live = nullptr;
  std::vector<char*> freed;
  for (char* block : blocks) {
    if (hak::SlabOf(block) != slab) continue;
    if (live == nullptr) {
      live = block;
      continue;
    }
    freed.push_back(block);
    FreeBlock(block);
  }
  hak::DrainThread();
  EXPECT_TRUE(hak::IsResident(freed.back()));
  for (int i = 0; i < 4; ++i) LookOnce();
  EXPECT_FALSE(hak::IsResident(freed.back()));
  EXPECT_EQ(Calls(), calls + 1);
  EXPECT_EQ(live[kBytes - 1], 1);
}

TEST_IN_CHILD(HolesTest, StayWhereBlocksComeAndGo) {
  StopTheClock();
  Survivors survivors;
  size_t all = survivors.ResidentBytes();
  uint64_t calls = Calls();
  std::vector<void*> blocks;
  for (int i = 0; i < 6; ++i) {
    LookOnce();
    // Out of each slab, and back.
    for (size_t k = 0; k < kBlocks - kBlocks / 40; ++k)
      blocks.push_back(AllocBlock(survivors.size_class()));
    for (void* block : blocks) FreeBlock(block);
    blocks.clear();
    hak::DrainThread();
  }
  EXPECT_EQ(Calls(), calls);
  EXPECT_EQ(survivors.ResidentBytes(), all);
}

TEST_IN_CHILD(HolesTest, AFreeStartsTheWaitAnew) {
  StopTheClock();
  unsigned c = hak_class_of(kBytes);
  FreeBlock(AllocBlock(c));
  Survivors survivors;
  LookOnce();
  hak_slab_t* slab = hak::ThisHeap()->bins[c].partial.first;
  ASSERT_NE(slab, nullptr);
  hak_store_relaxed(&slab->free_count, static_cast<uint16_t>(slab->free_count - 1));
  uint8_t round = hak_holes_round;
  EXPECT_EQ(hak_slab_look(slab, ++round), 0u);
  EXPECT_EQ(hak_slab_look(slab, round), 0u) << "the same round";
  EXPECT_EQ(hak_slab_look(slab, ++round), HAK_HOLE_BYTES);
  EXPECT_EQ(hak_slab_look(slab, ++round), HAK_HOLE_BYTES / 2);
  EXPECT_EQ(hak_slab_look(slab, ++round), HAK_HOLE_BYTES / 4);
  EXPECT_EQ(hak_slab_look(slab, ++round), 0u);
  hak_store_relaxed(&slab->free_count, static_cast<uint16_t>(slab->free_count + 1));
}

TEST_IN_CHILD(HolesTest, AllGoBackAtOnceWhenAsked) {
  StopTheClock();
  Survivors survivors;
  hak_holes_purge_all(hak::ThisHeap());
  EXPECT_LT(survivors.ResidentBytes(),
            kBlocks / 40 * hak_platform_os_page_bytes() * 3 / 2 + 2 * HAK_PAGE_BYTES);
  EXPECT_TRUE(survivors.AreIntact());
  uint64_t calls = Calls();
  hak_holes_purge_all(hak::ThisHeap());
  EXPECT_EQ(Calls(), calls) << "there is nothing new";
}

// What a thread left that has ended.
TEST_IN_CHILD(HolesTest, ThoseOfUnownedSlabsGoBackToo) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "100"));
  FreeBlock(AllocBlock(1));
  Survivors* survivors = nullptr;
  std::thread([&] { survivors = new Survivors; }).join();
  hak_thread_end_all_parked();
  unsigned c = survivors->size_class();
  unsigned n = hak_central_count(c);
  ASSERT_GT(n, 10u);
  size_t all = survivors->ResidentBytes();
  hak_holes_start();
  for (int i = 0; i < 60 && survivors->ResidentBytes() > all / 3; ++i) {
    hak_platform_sleep_ms(50);
    hak_tick();
  }
  EXPECT_LE(survivors->ResidentBytes(), all / 3);
  EXPECT_TRUE(survivors->AreIntact());
  EXPECT_EQ(hak_central_count(c), n);
  delete survivors;
}

// By a thread that has no heap, as none of a hardened process has.
TEST_IN_CHILD(HolesTest, ThoseOfUnownedSlabsGoBackWithoutAHeap) {
  for (bool at_once : {false, true}) {
    ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "100"));
    FreeBlock(AllocBlock(1));
    Survivors* survivors = nullptr;
    std::thread([&] { survivors = new Survivors; }).join();
    hak_thread_end_all_parked();
    size_t all = survivors->ResidentBytes();
    std::thread([&] {
      if (at_once) hak_holes_purge_all(nullptr);
      hak_holes_start();
      for (int i = 0; i < 60 && survivors->ResidentBytes() > all / 3; ++i) {
        hak_platform_sleep_ms(50);
        hak_tick();
      }
      EXPECT_EQ(hak_this_heap, HAK_NO_HEAP);
    }).join();
    EXPECT_LE(survivors->ResidentBytes(), all / 3);
    EXPECT_TRUE(survivors->AreIntact());
    delete survivors;
  }
}

// Their blocks are freed meanwhile, and others take them.
TEST_IN_CHILD(HolesTest, OthersMayUseUnownedSlabsMeanwhile) {
  FreeBlock(AllocBlock(1));
  std::atomic<bool> is_over{false};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t mark = t << 20; !is_over; mark += 1000) {
        // Threads that end leave slabs with live blocks to those that come.
        std::vector<hak::MarkedBlock> blocks;
        std::thread([&] {
          for (unsigned i = 0; i < 500; ++i) {
            blocks.push_back(hak::AllocMarked(hak_class_of(kBytes), mark + i));
          }
          for (unsigned i = 0; i < 300; ++i) {
            hak::FreeMarked(blocks.back());
            blocks.pop_back();
          }
        }).join();
        for (const hak::MarkedBlock& block : blocks) hak::FreeMarked(block);
      }
    });
  }
  for (int i = 0; i < (hak::kUnderSanitizer ? 100 : 1000); ++i) {
    hak_holes_purge_all(i % 2 == 0 ? hak::ThisHeap() : nullptr);
  }
  is_over = true;
  for (std::thread& thread : threads) thread.join();
}

// ---- what falls ----

constexpr size_t kBurst = 32 * HAK_MIB, kSurvivorEach = 200;

// Frees all but one in so many, in order or shuffled. Returns what of it is in memory.
size_t ResidentAfter(std::vector<char*>& blocks, bool shuffled, size_t bytes) {
  std::vector<char*> doomed, live;
  for (size_t i = 0; i < blocks.size(); ++i) {
    (i % kSurvivorEach == 0 ? live : doomed).push_back(blocks[i]);
  }
  if (shuffled) std::shuffle(doomed.begin(), doomed.end(), std::mt19937(42));
  for (char* block : doomed) FreeBlock(block);
  size_t resident = 0;
  for (char* block : blocks) resident += hak::IsResident(block) ? bytes : 0;
  for (char* block : live) {
    for (size_t i = 0; i < bytes; ++i) EXPECT_EQ(block[i], 1);
  }
  blocks = live;
  return resident;
}

std::vector<char*> Burst(unsigned size_class, size_t bytes) {
  std::vector<char*> blocks(kBurst / bytes);
  for (char*& block : blocks) {
    block = static_cast<char*>(AllocBlock(size_class));
    memset(block, 1, bytes);
  }
  return blocks;
}

// Nobody comes by afterwards, and no time passes: what goes has gone while it was freed.
void ExpectLittleStays(bool shuffled) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "3600s"));
  std::vector<char*> blocks = Burst(hak_class_of(1024), 1024);
  EXPECT_LT(ResidentAfter(blocks, shuffled, 1024), kBurst / 2);
  for (char* block : blocks) FreeBlock(block);
}

TEST_IN_CHILD(FallTest, MemoryBetweenSurvivorsGoesWhileTheOthersAreFreed) {
  ExpectLittleStays(false);
}
TEST_IN_CHILD(FallTest, MemoryBetweenSurvivorsGoesInWhateverOrder) { ExpectLittleStays(true); }

// Where it is wanted again within the delay, more and more of it is kept.
TEST_IN_CHILD(FallTest, WhoFillsTheHolesAgainPaysOnce) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "3600s"));
  std::vector<char*> survivors;
  uint64_t before = 0;
  for (int round = 0; round < 6; ++round) {
    before = hak_purge_bytes();
    std::vector<char*> blocks = Burst(hak_class_of(1024), 1024);
    (void)ResidentAfter(blocks, false, 1024);
    survivors.insert(survivors.end(), blocks.begin(), blocks.end());
    if (round == 0) {
      EXPECT_GT(hak_purge_bytes() - before, kBurst / 4);
    }
  }
  EXPECT_LT(hak_purge_bytes() - before, kBurst / 8);
  for (char* block : survivors) FreeBlock(block);
}

TEST_IN_CHILD(FallTest, NoHoleGoesBackWhereNothingShall) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "-1"));
  std::vector<char*> blocks = Burst(hak_class_of(1024), 1024);
  EXPECT_GT(ResidentAfter(blocks, false, 1024), kBurst * 9 / 10);
  EXPECT_EQ(hak_purge_bytes(), 0u);
  for (char* block : blocks) FreeBlock(block);
}

}  // namespace
