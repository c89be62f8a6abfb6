// Every committed byte that is not live has exactly one reason. After each of many histories the
// reasons add up to what is committed less what the test itself knows to be live.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "hakmem/superslab/test_supers.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/base/size_class.h"
#include "hakmem/heap/cache.h"
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/stats/introspect.h"
#include "hakmem/superslab/bins.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/thread/idle.h"
#include "hakmem/thread/thread.h"
}

namespace {

// What the program holds, as the program knows it.
class Program {
 public:
  void* Alloc(size_t size) {
    void* block = hak_malloc(size);
    EXPECT_NE(block, nullptr);
    blocks_.push_back(block);
    live_bytes_ += hak_usable_size(block);
    return block;
  }
  void AllocMany(size_t n, size_t size) {
    for (size_t i = 0; i < n; ++i) Alloc(size);
  }
  void Realloc(size_t i, size_t size) {
    live_bytes_ -= hak_usable_size(blocks_[i]);
    blocks_[i] = hak_realloc(blocks_[i], size);
    live_bytes_ += hak_usable_size(blocks_[i]);
  }
  void Free(size_t i) {
    live_bytes_ -= hak_usable_size(blocks_[i]);
    hak_free(blocks_[i]);
    blocks_[i] = blocks_.back();
    blocks_.pop_back();
  }
  // Every `step`-th of the blocks.
  void FreeSome(size_t step) {
    for (size_t i = blocks_.size(); i-- != 0;) {
      if (i % step == 0) Free(i);
    }
  }
  void FreeAll() { FreeSome(1); }
  size_t live_bytes() const { return live_bytes_; }
  size_t size() const { return blocks_.size(); }

 private:
  std::vector<void*> blocks_;
  size_t live_bytes_ = 0;
};

uint64_t SumOfReasons(const hak_retention& r) {
  return r.rounding_bytes + r.partial_slabs_bytes + r.abandoned_bytes + r.prewarmed_bytes +
         r.thread_caches_bytes + r.outgoing_bytes + r.empty_pages_bytes + r.huge_cache_bytes +
         r.lost_bytes + r.metadata_bytes;
}

// What was given back of part-used slabs.
size_t PurgedInSlabs() {
  size_t bytes = 0;
  hak_lock_acquire(&hak_backend_lock);
  hak_super_visit_slabs(
      [](hak_run_t* run, void* context) {
        auto* slab = reinterpret_cast<hak_slab_t*>(run);
        *static_cast<size_t*>(context) += hak_load_relaxed(&slab->purged_bytes);
      },
      &bytes);
  hak_lock_release(&hak_backend_lock);
  return bytes;
}

// The equation, with both its sides from elsewhere than the figures.
hak_retention ExpectExact(size_t live_bytes) {
  hak_retention r = {};
  EXPECT_TRUE(hak_retention_get(&r, sizeof r));
  size_t committed = hak::CountHeld().dirty_bytes - PurgedInSlabs() + hak_meta_used_bytes() -
                     hak_thread_untouched_bytes();
  EXPECT_EQ(r.committed_bytes, committed);
  EXPECT_EQ(r.live_bytes, live_bytes);
  EXPECT_EQ(SumOfReasons(r), committed - live_bytes);
  return r;
}

hak_retention ExpectExact(const Program& program) { return ExpectExact(program.live_bytes()); }

void SetOption(hak_option_t option, const char* value) {
  ASSERT_TRUE(hak_option_set(option, value));
}

// No purge by the clock.
void KeepAll() { SetOption(HAK_OPTION_purge_delay, "-1"); }

// Runs `body` in a thread of its own. With `stays`, the thread waits, out of the way, until the
// process ends.
void InThread(const std::function<void()>& body, bool stays = false) {
  std::atomic<bool> done{false};
  std::thread thread([&body, &done, stays] {
    body();
    done = true;
    while (stays) pause();
  });
  while (!done) std::this_thread::yield();
  if (stays) {
    thread.detach();
  } else {
    thread.join();
  }
}

void ExpectExactInChild(const std::function<void()>& body) {
  int pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    body();
    hak::EndChild();
  }
  EXPECT_TRUE(hak::ChildPassed(pid));
}

size_t SlabBlockBytes(unsigned size_class) {
  const hak_class_info_t* info = hak_class_info(size_class);
  return size_t{info->slab_blocks} * info->block_bytes;
}

// ---- small blocks ----

TEST_IN_CHILD(RetentionTest, FreshProcess) {
  KeepAll();
  hak_retention nothing = ExpectExact(0);
  EXPECT_EQ(nothing.committed_bytes, 0u);
  Program program;
  program.Alloc(1);
  hak_retention one = ExpectExact(program);
  EXPECT_GT(one.metadata_bytes, 0u);
  EXPECT_EQ(one.partial_slabs_bytes + one.thread_caches_bytes, 65536u - 16);
}

TEST_IN_CHILD(RetentionTest, SmallBlocksOfAllClasses) {
  KeepAll();
  Program program;
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) program.AllocMany(50, hak_class_size(c));
  hak_retention r = ExpectExact(program);
  EXPECT_GT(r.partial_slabs_bytes, 0u);
  EXPECT_GT(r.thread_caches_bytes, 0u);
  EXPECT_GT(r.rounding_bytes, 0u);
  EXPECT_EQ(r.abandoned_bytes + r.prewarmed_bytes + r.outgoing_bytes + r.lost_bytes, 0u);
}

TEST_IN_CHILD(RetentionTest, RoundingIsWhatNoBlockOfASlabCanUse) {
  KeepAll();
  Program program;
  unsigned c = hak_size_class(112);
  program.Alloc(112);
  ASSERT_NE(SlabBlockBytes(c) % HAK_PAGE_BYTES, 0u);
  EXPECT_EQ(ExpectExact(program).rounding_bytes, HAK_PAGE_BYTES - SlabBlockBytes(c));
}

TEST_IN_CHILD(RetentionTest, HalfFreedThenAllFreedThenTrimmed) {
  KeepAll();
  SetOption(HAK_OPTION_thp, "never");
  Program program;
  for (size_t size : {24u, 200u, 1000u, 5000u, 30000u}) program.AllocMany(2000, size);
  ExpectExact(program);
  program.FreeSome(2);
  hak_retention half = ExpectExact(program);
  EXPECT_GT(half.partial_slabs_bytes, half.live_bytes / 4);
  program.FreeAll();
  hak_retention all = ExpectExact(0);
  EXPECT_GT(all.empty_pages_bytes + all.huge_cache_bytes, 0u);
  EXPECT_GT(all.empty_pages_bytes, 0u);
  EXPECT_TRUE(hak_introspect_trim());
  hak_retention trimmed = ExpectExact(0);
  EXPECT_EQ(trimmed.empty_pages_bytes + trimmed.huge_cache_bytes, 0u);
  EXPECT_EQ(trimmed.thread_caches_bytes, 0u);
  EXPECT_LT(trimmed.committed_bytes, all.committed_bytes);
}

// They are still held while the kernel is being told.
TEST_IN_CHILD(RetentionTest, PagesThatAPurgeHasOut) {
  KeepAll();
  SetOption(HAK_OPTION_thp, "never");
  Program program;
  program.AllocMany(5, 200000);
  hak_superslab_t* super = hak_page_map_super(program.Alloc(300000));
  program.FreeSome(2);
  hak_cache_drain(hak_this_heap);
  uint64_t empty_bytes = ExpectExact(program).empty_pages_bytes;
  EXPECT_GT(empty_bytes, 0u);
  hak_lock_acquire(&hak_backend_lock);
  uint64_t pages = super->free_pages & super->dirty_pages;
  hak_super_check_out(super, pages);
  hak_lock_release(&hak_backend_lock);
  EXPECT_EQ(ExpectExact(program).empty_pages_bytes, empty_bytes);
  hak_lock_acquire(&hak_backend_lock);
  hak_super_check_in(super, pages, 0);
  hak_lock_release(&hak_backend_lock);
  ExpectExact(program);
}

TEST_IN_CHILD(RetentionTest, PurgeDelayZeroKeepsNoEmptyPages) {
  SetOption(HAK_OPTION_purge_delay, "0");
  SetOption(HAK_OPTION_thp, "never");
  Program program;
  program.AllocMany(3000, 4000);
  program.AllocMany(3, 3 * HAK_MIB);
  program.Alloc(100);
  ExpectExact(program);
  program.FreeAll();
  hak_cache_drain(hak_this_heap);
  hak_tick();
  hak_retention r = ExpectExact(0);
  EXPECT_EQ(r.empty_pages_bytes + r.huge_cache_bytes, 0u);
}

// ---- threads ----

TEST_IN_CHILD(RetentionTest, ThreadsEndedWithBlocksLive) {
  KeepAll();
  Program program;
  for (int i = 0; i < 5; ++i) {
    InThread([&program] {
      program.AllocMany(1000, 64);
      program.AllocMany(100, 3000);
      program.FreeSome(3);
    });
  }
  hak_retention r = ExpectExact(program);
  EXPECT_GT(r.abandoned_bytes, 0u);
  EXPECT_EQ(r.thread_caches_bytes, 0u) << "an ended thread caches nothing";
}

TEST_IN_CHILD(RetentionTest, CachesTakenBackFromAnIdleThread) {
  KeepAll();
  Program program;
  InThread(
      [&program] {
        program.AllocMany(3000, 64);
        program.AllocMany(300, 3000);
        program.FreeSome(1);
        program.AllocMany(3, 3000);
      },
      true);
  hak_retention before = ExpectExact(program);
  hak_idle_reclaim_all(true);
  hak_retention after = ExpectExact(program);
  EXPECT_LT(after.thread_caches_bytes, 4000u) << "one block of each class";
  EXPECT_GT(PurgedInSlabs(), 0u);
  EXPECT_LT(after.committed_bytes, before.committed_bytes);
  program.AllocMany(3000, 64);  // out of slabs that have given memory back
  ExpectExact(program);
}

TEST_IN_CHILD(RetentionTest, AdoptedSlabsAreNoLongerAbandoned) {
  KeepAll();
  Program program;
  InThread([&program] {
    program.AllocMany(1000, 512);
    program.FreeSome(2);
  });
  EXPECT_GT(ExpectExact(program).abandoned_bytes, 0u);
  program.AllocMany(1500, 512);
  hak_class_stats class_stats = {};
  ASSERT_TRUE(hak_stats_class_get(hak_size_class(512), &class_stats, sizeof class_stats));
  EXPECT_GT(class_stats.adoptions, 0u);
  EXPECT_EQ(ExpectExact(program).abandoned_bytes, 0u);
}

// Blocks that share lines wait apart, once it is known that they travel.
TEST_IN_CHILD(RetentionTest, RemoteFreesOnTheirWay) {
  KeepAll();
  Program program;
  InThread([&program] { program.AllocMany(3000, 48); }, true);
  for (int i = 0; i < 1000; ++i) program.Free(0);
  hak_retention r = ExpectExact(program);
  EXPECT_GT(r.outgoing_bytes, 0u);
  EXPECT_LE(r.outgoing_bytes, 48u * HAK_OUTGOING_BLOCKS);
  program.FreeAll();
  hak_cache_drain(hak_this_heap);
  EXPECT_EQ(ExpectExact(0).outgoing_bytes, 0u);
}

// ---- prewarm ----

TEST_IN_CHILD(RetentionTest, PrewarmedUntilFirstUsed) {
  KeepAll();
  unsigned c = hak_size_class(2048);
  ASSERT_EQ(hak_ss_prewarm_class(c, 2), 2u);
  size_t n_slabs = 2 * hak_super_pages() / hak_class_info(c)->slab_pages;
  EXPECT_EQ(ExpectExact(0).prewarmed_bytes, n_slabs * SlabBlockBytes(c));
  Program program;
  program.Alloc(2048);
  hak_retention partly = ExpectExact(program);
  EXPECT_EQ(partly.prewarmed_bytes, (n_slabs - 1) * SlabBlockBytes(c));
  EXPECT_GT(partly.partial_slabs_bytes, 0u);
  program.AllocMany(n_slabs * hak_class_info(c)->slab_blocks, 2048);
  EXPECT_EQ(ExpectExact(program).prewarmed_bytes, 0u);
  program.FreeAll();
  EXPECT_EQ(ExpectExact(0).prewarmed_bytes, 0u) << "used once, no longer in advance";
}

// ---- spans and huge blocks ----

TEST_IN_CHILD(RetentionTest, Spans) {
  KeepAll();
  SetOption(HAK_OPTION_thp, "never");
  Program program;
  program.AllocMany(7, 100000);
  program.AllocMany(3, 700000);
  hak_retention r = ExpectExact(program);
  size_t os_page = hak_platform_os_page_bytes();
  EXPECT_EQ(r.live_bytes, 7 * hak_round_up(100000, os_page) + 3 * hak_round_up(700000, os_page));
  EXPECT_EQ(r.rounding_bytes, (7u * 2 + 3u * 11) * HAK_PAGE_BYTES - r.live_bytes);
  EXPECT_EQ(SumOfReasons(r), r.metadata_bytes + r.rounding_bytes);
  program.FreeSome(2);  // all of the smaller four, and one
  size_t freed = 4u * 2 * HAK_PAGE_BYTES + 1u * 11 * HAK_PAGE_BYTES;
  r = ExpectExact(program);
  EXPECT_EQ(r.empty_pages_bytes + r.huge_cache_bytes + r.thread_caches_bytes, freed);
  EXPECT_GT(r.thread_caches_bytes, 0u);
  hak_cache_drain(hak_this_heap);
  r = ExpectExact(program);
  EXPECT_EQ(r.empty_pages_bytes + r.huge_cache_bytes, freed);
  EXPECT_GT(r.empty_pages_bytes, 0u);
}

TEST_IN_CHILD(RetentionTest, SpansResized) {
  KeepAll();
  SetOption(HAK_OPTION_thp, "never");
  Program program;
  program.AllocMany(2, 600000);
  program.Realloc(0, 330000);  // in place, its end given back
  EXPECT_GT(ExpectExact(program).empty_pages_bytes, 0u);
  program.Realloc(0, 500000);
  ExpectExact(program);
  program.Realloc(1, 40000);
  ExpectExact(program);
}

TEST_IN_CHILD(RetentionTest, HugeBlockFreedInsideTheDelay) {
  KeepAll();
  SetOption(HAK_OPTION_thp, "never");
  Program program;
  program.Alloc(10 * HAK_MIB + 5000);
  size_t covered = hak_round_up(10 * HAK_MIB + 5000, HAK_PAGE_BYTES);
  EXPECT_EQ(ExpectExact(program).rounding_bytes, covered - program.live_bytes());
  program.FreeAll();
  EXPECT_EQ(ExpectExact(0).huge_cache_bytes, covered);
  program.Alloc(3 * HAK_MIB);
  EXPECT_GT(ExpectExact(program).huge_cache_bytes, 0u);
  hak_purge_all();
  EXPECT_EQ(ExpectExact(program).huge_cache_bytes, 0u);
}

TEST_IN_CHILD(RetentionTest, HugeBlocksMovedAndShrunk) {
  KeepAll();
  SetOption(HAK_OPTION_thp, "never");
  Program program;
  program.Alloc(3 * HAK_MIB);
  program.Alloc(3 * HAK_MIB);
  for (size_t mib : {5u, 9u, 17u, 33u}) {
    program.Realloc(0, mib * HAK_MIB + 12345);  // the other one is in the way: it moves
    ExpectExact(program);
    program.Realloc(1, mib * HAK_MIB / 2 + 54321);
    ExpectExact(program);
  }
  program.Realloc(0, 31 * HAK_MIB);  // stale memory beyond its new end
  EXPECT_GE(ExpectExact(program).rounding_bytes, HAK_MIB);
  program.Realloc(0, 2 * HAK_MIB);
  ExpectExact(program);
  program.Realloc(1, 500000);  // a span now
  ExpectExact(program);
  program.FreeAll();
  EXPECT_EQ(ExpectExact(0).rounding_bytes, 0u);
}

// ---- policies ----

TEST_IN_CHILD(RetentionTest, HugePagesAlways) {
  KeepAll();
  SetOption(HAK_OPTION_thp, "always");
  Program program;
  program.AllocMany(100, 1000);
  program.Alloc(100000);
  hak_retention r = ExpectExact(program);
  EXPECT_GT(r.empty_pages_bytes, HAK_MIB) << "a huge page brings its neighbours in";
  program.Alloc(5 * HAK_MIB);
  EXPECT_GE(ExpectExact(program).rounding_bytes, HAK_MIB);
  program.FreeAll();
  EXPECT_GE(ExpectExact(0).huge_cache_bytes, 6 * HAK_MIB);
  hak_purge_all();
  ExpectExact(0);
}

TEST_IN_CHILD(RetentionTest, DirectBackend) {
  KeepAll();
  SetOption(HAK_OPTION_use_superslab, "0");
  Program program;
  for (size_t size : {24u, 1000u, 30000u}) program.AllocMany(500, size);
  program.AllocMany(5, 200000);
  program.Alloc(3 * HAK_MIB);
  ExpectExact(program);
  program.FreeSome(2);
  hak_retention r = ExpectExact(program);
  EXPECT_EQ(r.empty_pages_bytes, 0u) << "unmapped when empty";
  hak_stats stats = {};
  ASSERT_TRUE(hak_stats_get(&stats, sizeof stats));
  EXPECT_GE(stats.reserved_bytes, stats.committed_bytes - stats.metadata_bytes);
  program.FreeAll();
  ExpectExact(0);
}

// ---- forks ----

TEST_IN_CHILD(RetentionTest, ForkedChild) {
  KeepAll();
  Program mine, others;
  mine.AllocMany(500, 300);
  InThread([&others] { others.AllocMany(700, 100); }, true);
  mine.AllocMany(2, 3 * HAK_MIB);
  for (int i = 0; i < 50; ++i) others.Free(0);  // outgoing at the fork
  ExpectExactInChild([&] {
    hak_retention r = ExpectExact(mine.live_bytes() + others.live_bytes());
    EXPECT_GT(r.abandoned_bytes, 0u) << "the slabs of a thread that is not here";
    EXPECT_EQ(r.lost_bytes, 0u);
    others.FreeAll();
    mine.FreeSome(2);
    ExpectExact(mine);
  });
}

// A signal handler forks in the midst of the allocator: what another thread had stays as it is
// until that is over.
TEST_IN_CHILD(RetentionTest, ForkedChildOfASignalHandler) {
  KeepAll();
  Program mine, others;
  mine.AllocMany(500, 300);
  auto work = [&others] {
    others.AllocMany(700, 100);
    others.Alloc(3 * HAK_PAGE_BYTES);
    others.Free(700);  // a span, which stays in the cache
  };
  InThread(work, true);
  hak_heap_enter(hak_this_heap);
  ExpectExactInChild([&] {
    EXPECT_EQ(ExpectExact(mine.live_bytes() + others.live_bytes()).abandoned_bytes, 0u);
    hak_heap_leave(hak_this_heap);
    hak_retention r = ExpectExact(mine.live_bytes() + others.live_bytes());
    EXPECT_GT(r.abandoned_bytes, 0u);
    EXPECT_GE(r.thread_caches_bytes, 3 * HAK_PAGE_BYTES) << "the span";
    others.FreeAll();
    hak_cache_drain(hak_this_heap);
    EXPECT_EQ(ExpectExact(mine).lost_bytes, 0u);
  });
}

// A fork that catches another thread changing a SuperSlab.
TEST_IN_CHILD(RetentionTest, ForkedChildThatGivesUpASuperSlab) {
  KeepAll();
  SetOption(HAK_OPTION_thp, "never");
  Program program;
  void* block = program.Alloc(100000);
  program.AllocMany(500, 1000);
  std::atomic<int> step{0};
  std::thread other([&] {
    hak_lock_acquire(&hak_backend_lock);
    hak_page_map_super(block)->is_changing = true;
    step = 1;
    while (step == 1) std::this_thread::yield();
    hak_page_map_super(block)->is_changing = false;
    hak_lock_release(&hak_backend_lock);
  });
  while (step == 0) std::this_thread::yield();
  ExpectExactInChild([&] {
    ExpectExact(program);
    program.FreeAll();
    hak_retention r = ExpectExact(0);
    EXPECT_GE(r.lost_bytes, 2 * HAK_PAGE_BYTES);
    program.AllocMany(500, 1000);
    ExpectExact(program);
  });
  step = 2;
  other.join();
}

// ---- anything ----

void Churn(uint64_t seed, Program* program) {
  hak::Random random(seed);
  for (int i = 0; i < (hak::kUnderSanitizer ? 500 : 3000); ++i) {
    size_t size = random.LogUniform(random.Below(50) == 0 ? 6 * HAK_MIB : 60000);
    if (program->size() < 100 || random.Below(5) < 2) {
      program->Alloc(size);
    } else if (random.Below(5) == 0) {
      program->Realloc(random.Below(program->size()), size);
    } else {
      program->Free(random.Below(program->size()));
    }
  }
}

// Threads take over each other's blocks, end, begin and trim, one at a time.
void ExpectExactThroughout(uint64_t seed) {
  hak::Random random(seed);
  Program program;
  for (int i = 0; i < 12; ++i) {
    bool stays = random.Below(3) == 0;
    InThread([&] { Churn(random.Next(), &program); }, stays);
    ExpectExact(program);
    Churn(random.Next(), &program);
    ExpectExact(program);
    if (random.Below(4) == 0) hak_introspect_trim();
    ExpectExact(program);
  }
  program.FreeAll();
  ExpectExact(0);
}

TEST(RetentionTest, RandomHistories) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    EXPECT_TRUE(hak::PassesInChild([seed] {
      KeepAll();
      SetOption(HAK_OPTION_thp, seed % 2 == 0 ? "always" : "auto");
      SetOption(HAK_OPTION_superslab_size, seed % 3 == 0 ? "512K" : "2M");
      SetOption(HAK_OPTION_use_superslab, seed == 5 ? "0" : "1");
      ExpectExactThroughout(seed);
    })) << "seed "
        << seed;
  }
}

}  // namespace
