#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "hakmem/test_support.h"

extern "C" {
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/options.h"
#include "hakmem/purge.h"
#include "hakmem/size_class.h"
#include "hakmem/stats.h"
}

namespace {

hak_stats_t Gather() {
  hak_stats_t stats;
  hak_stats_gather(&stats);
  return stats;
}

// What holds of the figures of any quiescent program: nothing is counted twice or forgotten.
void ExpectConsistent(const hak_stats_t& stats) {
  size_t live = 0, free = 0, cached = 0, outgoing = 0;
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    const hak_class_stats_t& s = stats.classes[c];
    size_t block_bytes = hak_class_info(c)->block_bytes;
    EXPECT_EQ(s.live + s.free + s.cached + s.outgoing, s.capacity) << c;
    live += s.live * block_bytes;
    free += s.free * block_bytes;
    cached += s.cached * block_bytes;
    outgoing += s.outgoing * block_bytes;
  }
  EXPECT_EQ(stats.live_small_bytes, live);
  EXPECT_EQ(stats.free_small_bytes, free);
  EXPECT_EQ(stats.cached_bytes, cached);
  EXPECT_EQ(stats.outgoing_bytes, outgoing);
  EXPECT_GE(stats.slab_bytes, live + free + cached + outgoing);
  EXPECT_GE(stats.committed_bytes,
            stats.slab_bytes + stats.span_bytes + stats.huge_bytes + stats.free_dirty_bytes);
  EXPECT_GE(stats.reserved_bytes, stats.committed_bytes);
}

// No huge pages, whose unused parts count as committed, and no purge by the clock.
void KeepSimple() {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thp, "never"));
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "-1"));
}

TEST_IN_CHILD(StatsTest, BlocksInTheProgramsHandsAreCountedExactly) {
  KeepSimple();
  hak::Random random(100);
  std::vector<uint64_t> live(HAK_N_CLASSES, 0);
  std::vector<void*> blocks;
  size_t spans = 0, huge = 0;
  for (int i = 0; i < 20000; ++i) {
    size_t size = random.LogUniform(4 * HAK_MIB);
    void* block = hak_malloc(size);
    ASSERT_NE(block, nullptr);
    if (blocks.size() < 300 && random.Below(3) != 0) {
      blocks.push_back(block);
      if (size <= HAK_SMALL_MAX) {
        ++live[hak_class_of(size)];
      } else {
        ++(size <= HAK_MIB ? spans : huge);
      }
    } else {
      hak_free(block);
    }
  }
  hak_stats_t stats = Gather();
  ExpectConsistent(stats);
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) EXPECT_EQ(stats.classes[c].live, live[c]) << c;
  EXPECT_EQ(stats.spans, spans);
  EXPECT_EQ(stats.huge_blocks, huge);
  EXPECT_EQ(stats.heaps, 1u);
  for (void* block : blocks) hak_free(block);
  stats = Gather();
  ExpectConsistent(stats);
  EXPECT_EQ(stats.live_small_bytes, 0u);
  EXPECT_EQ(stats.span_bytes + stats.huge_bytes, 0u);
}

TEST_IN_CHILD(StatsTest, BlocksBetweenThreadsAreCountedOnce) {
  KeepSimple();
  constexpr size_t kBlocks = 2000;
  std::vector<void*> blocks(kBlocks);
  std::atomic<int> stage{0};
  std::thread owner([&] {
    for (void*& block : blocks) block = hak_malloc(64);
    stage = 1;
    while (stage != 2) std::this_thread::yield();
  });
  while (stage != 1) std::this_thread::yield();
  hak_free(hak_malloc(5000));
  for (size_t i = 0; i < 700; ++i) hak_free(blocks[i]);  // some outgoing, some in remote bitmaps
  hak_stats_t stats = Gather();
  ExpectConsistent(stats);
  unsigned c = hak_class_of(64);
  EXPECT_EQ(stats.classes[c].live, kBlocks - 700);
  EXPECT_EQ(stats.classes[c].outgoing, 701u % HAK_OUTGOING_BLOCKS) << "with the large one";
  EXPECT_GT(stats.classes[c].remote_frees, 0u);
  EXPECT_GT(stats.remote_atomics, 0u);
  EXPECT_EQ(stats.heaps, 2u);
  stage = 2;
  owner.join();
  stats = Gather();
  ExpectConsistent(stats);
  EXPECT_EQ(stats.heaps, 1u);
  EXPECT_EQ(stats.classes[c].live, kBlocks - 700);
  EXPECT_GE(stats.classes[c].taken, kBlocks) << "an ended thread's counts are kept";
}

TEST_IN_CHILD(StatsTest, PurgedMemoryIsNoLongerCommitted) {
  KeepSimple();
  hak_free(hak_malloc(10 * HAK_MIB));
  hak_stats_t before = Gather();
  EXPECT_GE(before.free_dirty_bytes, 10 * HAK_MIB);
  size_t given = hak_purge_all();
  hak_stats_t after = Gather();
  EXPECT_EQ(after.free_dirty_bytes, 0u);
  EXPECT_EQ(after.purged_bytes - before.purged_bytes, given);
  EXPECT_EQ(before.committed_bytes - after.committed_bytes, given);
  EXPECT_EQ(after.reserved_bytes, before.reserved_bytes);
}

TEST_IN_CHILD(StatsTest, AnIdleAllocatorHasNothing) {
  hak_stats_t stats = Gather();
  ExpectConsistent(stats);
  EXPECT_EQ(stats.committed_bytes + stats.slab_bytes + stats.spans + stats.heaps, 0u);
}

}  // namespace
