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

hak_snapshot_t Gather() {
  hak_snapshot_t snapshot;
  hak_stats_gather(&snapshot);
  return snapshot;
}

uint64_t SumOfReasons(const hak_retention& r) {
  return r.rounding_bytes + r.partial_slabs_bytes + r.abandoned_bytes + r.prewarmed_bytes +
         r.thread_caches_bytes + r.outgoing_bytes + r.empty_pages_bytes + r.huge_cache_bytes +
         r.lost_bytes + r.metadata_bytes;
}

// What holds of the figures of any quiescent program: nothing is counted twice or forgotten.
void ExpectConsistent(const hak_snapshot_t& snapshot) {
  const hak_stats& stats = snapshot.stats;
  const hak_retention& retention = snapshot.retention;
  size_t live = 0, free = 0, cached = 0, outgoing = 0;
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    const hak_class_stats& s = snapshot.classes[c];
    size_t block_bytes = hak_class_info(c)->block_bytes;
    EXPECT_EQ(s.block_bytes, block_bytes);
    EXPECT_EQ(s.live + s.free + s.cached + s.outgoing, s.capacity) << c;
    live += s.live * block_bytes;
    free += s.free * block_bytes;
    cached += s.cached * block_bytes;
    outgoing += s.outgoing * block_bytes;
  }
  EXPECT_EQ(stats.allocated_bytes, live + stats.span_bytes + stats.huge_bytes);
  EXPECT_EQ(retention.partial_slabs_bytes + retention.abandoned_bytes + retention.prewarmed_bytes,
            free);
  EXPECT_EQ(stats.cached_bytes, cached);
  EXPECT_EQ(stats.outgoing_bytes, outgoing);
  EXPECT_EQ(SumOfReasons(retention), retention.committed_bytes - retention.live_bytes);
  EXPECT_EQ(retention.committed_bytes, stats.committed_bytes);
  EXPECT_EQ(retention.live_bytes, stats.allocated_bytes);
  EXPECT_GE(stats.reserved_bytes, stats.committed_bytes - stats.metadata_bytes);
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
  hak_snapshot_t held = Gather();
  ExpectConsistent(held);
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) EXPECT_EQ(held.classes[c].live, live[c]) << c;
  EXPECT_EQ(held.stats.spans, spans);
  EXPECT_EQ(held.stats.huge_blocks, huge);
  EXPECT_EQ(held.stats.heaps, 1u);
  for (void* block : blocks) hak_free(block);
  hak_snapshot_t freed = Gather();
  ExpectConsistent(freed);
  EXPECT_EQ(freed.stats.allocated_bytes, 0u);
  EXPECT_EQ(freed.stats.spans + freed.stats.huge_blocks, 0u);
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
  hak_snapshot_t before = Gather();
  ExpectConsistent(before);
  unsigned c = hak_class_of(64);
  EXPECT_EQ(before.classes[c].live, kBlocks - 700);
  EXPECT_EQ(before.classes[c].outgoing, 701u % HAK_OUTGOING_BLOCKS) << "with the large one";
  EXPECT_GT(before.classes[c].remote_frees, 0u);
  EXPECT_GT(before.stats.remote_atomics, 0u);
  EXPECT_EQ(before.stats.heaps, 2u);
  stage = 2;
  owner.join();
  hak_snapshot_t after = Gather();
  ExpectConsistent(after);
  EXPECT_EQ(after.stats.heaps, 1u);
  EXPECT_EQ(after.classes[c].live, kBlocks - 700);
  EXPECT_GE(after.classes[c].taken, kBlocks) << "an ended thread's counts are kept";
}

TEST_IN_CHILD(StatsTest, PurgedMemoryIsNoLongerCommitted) {
  KeepSimple();
  hak_free(hak_malloc(10 * HAK_MIB));
  hak_snapshot_t before = Gather();
  EXPECT_GE(before.retention.huge_cache_bytes, 10 * HAK_MIB);
  size_t given = hak_purge_all();
  hak_snapshot_t after = Gather();
  EXPECT_EQ(after.retention.huge_cache_bytes + after.retention.empty_pages_bytes, 0u);
  EXPECT_EQ(after.stats.purged_bytes - before.stats.purged_bytes, given);
  EXPECT_EQ(before.stats.committed_bytes - after.stats.committed_bytes, given);
  EXPECT_EQ(after.stats.reserved_bytes, before.stats.reserved_bytes);
}

TEST_IN_CHILD(StatsTest, AnIdleAllocatorHasNothing) {
  hak_snapshot_t idle = Gather();
  ExpectConsistent(idle);
  EXPECT_EQ(idle.stats.committed_bytes + idle.stats.spans + idle.stats.heaps, 0u);
}

}  // namespace
