// How many mappings a process has after hours of what busy servers do, in compressed form: blocks
// of all sizes, resized, aligned, left behind by threads that come and go, purged and used again.
//
// A kernel grants a process 65530 mappings (vm.max_map_count), and most of them are the program's.
// However long it runs, of ours there are at most kPerReservation for each reservation and
// kPerMovedBlock for each live huge block that realloc has moved with mremap.
//
// MAPPINGS_TEST_OPERATIONS=1000000000 runs as many operations in each configuration, by hand.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/superslab/test_supers.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/options/options.h"
#include "hakmem/superslab/reserve.h"
}

namespace {

constexpr size_t kKib = 1024, kMib = 1024 * kKib;
constexpr size_t kPerReservation = 4, kPerMovedBlock = 4;

uint64_t Operations() {
  const char* text = getenv("MAPPINGS_TEST_OPERATIONS");
  return text != nullptr ? strtoull(text, nullptr, 10) : 60000;
}

unsigned SecondsAllowed() { return getenv("MAPPINGS_TEST_OPERATIONS") != nullptr ? 7200 : 60; }

// ---- the work ----

struct Block {
  char* at = nullptr;
  size_t size = 0;
};

void Touch(const Block& block) {
  for (size_t i = 0; i < block.size; i += HAK_PAGE_BYTES) block.at[i] = 1;
  if (block.size != 0) block.at[block.size - 1] = 1;
}

// Most blocks are small; large ones are what makes mappings.
size_t RandomSize(hak::Random& random) {
  uint64_t kind = random.Below(1000);
  if (kind < 900) return random.LogUniform(2 * kKib);
  if (kind < 970) return random.LogUniform(HAK_SMALL_MAX);
  if (kind < 995) return HAK_SMALL_MAX + random.Below(kMib);
  return kMib + random.Below(10 * kMib);
}

// A table of blocks, of which `huge_slots` may hold any size and the others up to a span's.
class Worker {
 public:
  static constexpr size_t kSlots = 400, kHugeSlots = 5;

  void Run(uint64_t seed, uint64_t operations) {
    hak::Random random(seed);
    for (uint64_t i = 0; i < operations; ++i) Step(random);
  }
  void FreeAll() {
    for (Block& block : blocks_) Free(block);
  }

 private:
  static void Free(Block& block) {
    hak_free(block.at);
    block = Block();
  }

  void Step(hak::Random& random) {
    size_t size = RandomSize(random);
    Block& block = blocks_[size > kMib ? random.Below(kHugeSlots)
                                       : kHugeSlots + random.Below(kSlots - kHugeSlots)];
    uint64_t what = random.Below(10);
    if (what < 3 && block.at != nullptr) {
      block.at = static_cast<char*>(hak_realloc(block.at, size));
    } else {
      Free(block);
      block.at = static_cast<char*>(
          what < 4   ? hak_aligned_alloc(size_t{16} << random.Below(size > kMib ? 18 : 9), size)
          : what < 5 ? hak_calloc(1, size)
                     : hak_malloc(size));
    }
    ASSERT_NE(block.at, nullptr) << size;
    block.size = size;
    Touch(block);
  }

  std::array<Block, kSlots> blocks_;
};

// ---- the count ----

struct Count {
  size_t ours = 0;  // mappings in which reservations lie
  size_t others = 0;
  size_t reservations = 0;
  size_t moved_blocks = 0;
  size_t Bound() const { return kPerReservation * reservations + kPerMovedBlock * moved_blocks; }
};

bool IsOurs(uintptr_t begin, uintptr_t end) {
  for (unsigned i = 0; i < hak_reserve_count(); ++i) {
    const hak_reservation_t* r = hak_reserve_get(i);
    if (r->base != 0 && begin < r->base + r->n_supers * hak_super_bytes() && r->base < end) {
      return true;
    }
  }
  return false;
}

Count CountMappings() {
  Count count;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    if (sscanf(line.c_str(), "%lx-%lx", &begin, &end) != 2) continue;
    (IsOurs(begin, end) ? count.ours : count.others)++;
  }
  for (unsigned i = 0; i < hak_reserve_count(); ++i) {
    count.reservations += hak_reserve_get(i)->base != 0;
  }
  hak_super_visit(
      [](hak_superslab_t* super, void* context) {
        bool is_head = super->state == HAK_SUPER_HUGE && super->head == super;
        if (is_head && super->was_moved) static_cast<Count*>(context)->moved_blocks++;
      },
      &count);
  return count;
}

// ---- the test ----

constexpr size_t kThreads = 4;
constexpr uint64_t kGenerations = 40;

// Generations of threads; each works on with the blocks that an earlier one has left.
void Churn(uint64_t operations) {
  std::vector<Worker> workers(kThreads);
  size_t others_at_first = 0;
  Count most;
  for (uint64_t g = 0; g < kGenerations; ++g) {
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      Worker* worker = &workers[(t + g) % kThreads];
      threads.emplace_back(
          [=] { worker->Run(g * kThreads + t, operations / kGenerations / kThreads); });
    }
    for (std::thread& thread : threads) thread.join();
    Count count = CountMappings();
    if (count.ours > most.ours) most = count;
    ASSERT_LE(count.ours, count.Bound())
        << "in generation " << g << " with " << count.reservations << " reservations and "
        << count.moved_blocks << " moved blocks";
    // Metadata, and stacks that the C library keeps.
    if (g == kGenerations / 10) others_at_first = count.others;
    if (g > kGenerations / 10) {
      ASSERT_LE(count.others, others_at_first + 16) << g;
    }
  }
  for (Worker& worker : workers) worker.FreeAll();
  Count end = CountMappings();
  printf(
      "mappings: %zu of ours at most, with %zu reservations and %zu moved blocks; %zu at the "
      "end, with %zu and %zu; %zu others\n",
      most.ours, most.reservations, most.moved_blocks, end.ours, end.reservations, end.moved_blocks,
      end.others);
  EXPECT_EQ(end.moved_blocks, 0u);
  EXPECT_LE(end.ours, end.Bound());
}

struct Setting {
  const char* purge_delay;
  const char* thp;
};

class MappingsTest : public testing::TestWithParam<Setting> {};

TEST_P(MappingsTest, StayFewForEachReservation) {
  EXPECT_TRUE(hak::PassesInChild(
      [] {
        ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, GetParam().purge_delay));
        ASSERT_TRUE(hak_option_set(HAK_OPTION_thp, GetParam().thp));
        Churn(Operations());
      },
      SecondsAllowed()));
}

INSTANTIATE_TEST_SUITE_P(Settings, MappingsTest,
                         testing::Values(Setting{"0", "auto"}, Setting{"10", "auto"},
                                         Setting{"1000", "auto"}, Setting{"0", "always"},
                                         Setting{"1000", "always"}),
                         [](const testing::TestParamInfo<Setting>& setting) {
                           return std::string("Delay") + setting.param.purge_delay + "Thp" +
                                  setting.param.thp;
                         });

// ---- blocks that grow ----

size_t OurMappings() { return CountMappings().ours; }

// Whatever the kernel cannot merge while blocks live in it, it can when they are freed or shrunk.
TEST_IN_CHILD(MappingsTest, OfMovedBlocksGoWithThem) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "-1"));
  std::vector<char*> blocks;
  for (size_t i = 0; i < 20; ++i) blocks.push_back(static_cast<char*>(hak_malloc(3 * kMib)));
  size_t before = OurMappings();
  // Each is in the way of the one before, so that growing moves it.
  for (char*& block : blocks) {
    memset(block, 1, 3 * kMib);
    block = static_cast<char*>(hak_realloc(block, 9 * kMib));
    ASSERT_NE(block, nullptr);
  }
  EXPECT_EQ(CountMappings().moved_blocks, blocks.size());
  EXPECT_GT(OurMappings(), before + 10);
  for (char*& block : blocks) block = static_cast<char*>(hak_realloc(block, 2 * kMib));
  EXPECT_LE(OurMappings(), 3 * blocks.size() + 3) << "what was cut off is separate for ever";
  for (char* block : blocks) hak_free(block);
  EXPECT_LE(OurMappings(), 2 * hak_reserve_count());  // writable, and reserved
}

// Beyond a number of moved blocks that a process may well have mappings for, blocks are copied.
TEST_IN_CHILD(MappingsTest, AreNotSpentOnEveryBlockThatGrows) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "-1"));
  constexpr size_t kBlocks = HAK_MOVED_MAX + 10, kSize = 3 * kMib / 2;
  std::vector<char*> blocks;
  for (size_t i = 0; i < kBlocks; ++i) {
    blocks.push_back(static_cast<char*>(hak_malloc(kSize)));
    ASSERT_NE(blocks.back(), nullptr);
    blocks.back()[0] = static_cast<char>(i % 100);
  }
  for (size_t i = 0; i < kBlocks; ++i) {
    blocks[i] = static_cast<char*>(hak_realloc(blocks[i], 2 * kSize));
    ASSERT_NE(blocks[i], nullptr);
    ASSERT_EQ(blocks[i][0], static_cast<char>(i % 100));
  }
  EXPECT_LE(CountMappings().moved_blocks, HAK_MOVED_MAX);
  EXPECT_GT(OurMappings(), HAK_MOVED_MAX) << "is that what moving costs?";
  for (char* block : blocks) hak_free(block);
  EXPECT_EQ(CountMappings().moved_blocks, 0u);
  EXPECT_LE(OurMappings(), 2 * hak_reserve_count());  // writable, and reserved
}

}  // namespace
