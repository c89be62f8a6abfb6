// What a child inherits of threads that it does not have: their slabs and caches serve it, whatever
// they were doing, and it writes only what has news.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/thread/test_fork.h"

extern "C" {
#include "hakmem/superslab/superslab.h"
}

namespace {

using hak::AllocBlock;
using hak::FreeBlock;
using hak::Work;

constexpr unsigned kClass = 30;

std::vector<void*> AllocBlocks() {
  std::vector<void*> blocks(600);
  for (void*& block : blocks) block = AllocBlock(kClass);
  return blocks;
}

// Threads that have a heap, and wait.
class Waiting {
 public:
  explicit Waiting(std::function<void()> work) {
    thread_ = std::thread([this, work = std::move(work)] {
      work();
      is_there_ = true;
      while (!may_end_) std::this_thread::yield();
    });
    while (!is_there_) std::this_thread::yield();
  }
  ~Waiting() {
    may_end_ = true;
    thread_.join();
  }

 private:
  std::thread thread_;
  std::atomic<bool> is_there_{false}, may_end_{false};
};

// ---- what the child inherits ----

TEST_IN_CHILD(ForkInheritedTest, SlabsAndCachesOfThreadsThatAreGoneServeTheChild) {
  std::atomic<bool> may_end{false};
  std::atomic<bool> is_ready{false};
  std::vector<void*> live;
  std::set<hak_slab_t*> slabs;
  FreeBlock(AllocBlock(1));
  std::thread other([&] {
    std::vector<void*> freed;
    for (int i = 0; i < 600; ++i) (i % 3 == 0 ? live : freed).push_back(AllocBlock(kClass));
    for (void* block : live) slabs.insert(hak::SlabOf(block));
    for (void* block : freed) FreeBlock(block);  // some stay in its magazines
    is_ready = true;
    while (!may_end) std::this_thread::yield();
  });
  while (!is_ready) std::this_thread::yield();
  EXPECT_TRUE(hak::PassesInChild([&] {
    size_t capacity = 0;
    for (hak_slab_t* slab : slabs) {
      EXPECT_EQ(hak_page_map_class(reinterpret_cast<void*>(slab->run.base)), kClass);
      capacity += slab->capacity;
    }
    // All that the dead thread did not have in the program's hands can be had again.
    std::set<void*> mine;
    int before = hak::CountSlabs().all;
    for (size_t i = live.size(); i < capacity; ++i) {
      ASSERT_TRUE(mine.insert(AllocBlock(kClass)).second);
    }
    EXPECT_EQ(hak::CountSlabs().all, before);
    EXPECT_GT(hak_counter_read(&hak_this_heap->bins[kClass].adoptions), 0u);
    for (void* block : live) {
      EXPECT_EQ(mine.count(block), 0u);
      FreeBlock(block);
    }
    for (void* block : mine) FreeBlock(block);
    hak_cache_drain(hak_this_heap);
    hak::SlabCount count = hak::CountSlabs();
    EXPECT_EQ(count.all, count.empty);
  }));
  may_end = true;
  other.join();
}

// The news of blocks that others freed is still on its way at the fork.
TEST_IN_CHILD(ForkInheritedTest, RemoteFreesBeforeTheForkAreNotLost) {
  std::vector<void*> blocks;
  for (int i = 0; i < 600; ++i) blocks.push_back(AllocBlock(kClass));
  std::thread([&] {
    for (void* block : blocks) FreeBlock(block);
  }).join();  // its magazines are returned when it ends: the news waits for this thread
  EXPECT_TRUE(hak::PassesInChild([] {
    hak_cache_drain(hak_this_heap);
    hak::SlabCount count = hak::CountSlabs();
    EXPECT_EQ(count.all, count.empty);
  }));
}

// ---- what a fork costs the child ----

long Faults() {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

// A page of a child that is written is one that has to be copied.
TEST_IN_CHILD(ForkInheritedTest, AChildWritesNoSlabWithoutNews) {
  if (hak::kUnderSanitizer) return;  // it has pages of its own
  std::vector<std::thread> others;
  std::atomic<int> n_ready{0};
  std::atomic<bool> may_end{false};
  auto fill = [] {
    for (int i = 0; i < 32 * 1024; ++i) AllocBlock(40);
  };
  fill();
  for (int t = 0; t < 4; ++t) {
    others.emplace_back([&] {
      fill();
      ++n_ready;
      while (!may_end) std::this_thread::yield();
    });
  }
  while (n_ready < 4) std::this_thread::yield();
  ASSERT_GT(hak::CountSlabs().all, 2000);
  EXPECT_TRUE(hak::PassesAfter(hak::BareFork, [] {
    hak_fork_look();  // what reading takes, and what is written always
    EXPECT_TRUE(hak::PassesAfter(hak::BareFork, [] {
      long before = Faults();
      hak_fork_look();
      EXPECT_LT(Faults() - before, 30);
    }));
  }));
  may_end = true;
  for (std::thread& other : others) other.join();
}

// ---- remote frees that a fork cuts off ----

enum class Step { kBits, kCount };

// Frees `block` of another thread's slab as far as to a step, and waits there until the fork is
// over.
class CutOff {
 public:
  CutOff(void* block, Step step) {
    thread_ = std::thread([this, block, step] {
      FreeBlock(AllocBlock(1));
      hak_slab_t* slab = hak::SlabOf(block);
      uint32_t index = hak_class_block_index(slab->run.size_class,
                                             reinterpret_cast<uintptr_t>(block) - slab->run.base);
      hak_heap_enter(hak_this_heap);
      hak_slab_free_remote(slab, index / 64, uint64_t{1} << (index % 64));
      if (step == Step::kCount) {
        EXPECT_TRUE(hak_slab_announce_remote(slab, 1));
      }
      is_there_ = true;
      while (!may_go_on_) std::this_thread::yield();
      hak_heap_leave(hak_this_heap);
    });
    while (!is_there_) std::this_thread::yield();
  }
  ~CutOff() {
    may_go_on_ = true;
    thread_.join();
  }

 private:
  std::thread thread_;
  std::atomic<bool> is_there_{false}, may_go_on_{false};
};

// The last one has been freed, as far as its thread came.
void FreeTheRest(std::vector<void*> blocks) {
  blocks.pop_back();
  for (void* block : blocks) FreeBlock(block);
  hak_cache_drain(hak_this_heap);
}

void ExpectAllIdle() {
  hak_super_visit_slabs(
      [](hak_run_t* run, void*) {
        if (run->size_class != kClass) return;
        auto* slab = reinterpret_cast<hak_slab_t*>(run);
        EXPECT_EQ(slab->uncounted, 0u);
        EXPECT_EQ(hak_load_relaxed(&slab->remote_count), 0u);
        EXPECT_TRUE(hak_slab_is_idle(slab));
      },
      nullptr);
}

void CutOffAFreeIntoASlabOfTheForkingThread(Step step) {
  std::vector<void*> blocks = AllocBlocks();
  ASSERT_EQ(hak_load_relaxed(&hak::SlabOf(blocks.back())->owner), hak_this_heap);
  CutOff cut_off(blocks.back(), step);
  EXPECT_TRUE(hak::PassesInChild([&] {
    FreeTheRest(blocks);
    ExpectAllIdle();
  }));
}

TEST_IN_CHILD(ForkInheritedTest, ASlabOfTheForkingThreadIsIdleAfterAFreeCutOffAtItsBits) {
  CutOffAFreeIntoASlabOfTheForkingThread(Step::kBits);
}

TEST_IN_CHILD(ForkInheritedTest, ASlabOfTheForkingThreadIsIdleAfterAFreeCutOffAtItsCount) {
  CutOffAFreeIntoASlabOfTheForkingThread(Step::kCount);
}

// As when the owner was refilling, and took the bits before they were counted.
TEST_IN_CHILD(ForkInheritedTest, ASlabIsIdleAfterAFreeThatWasTakenAndNotCounted) {
  std::vector<void*> blocks = AllocBlocks();
  hak_cache_drain(hak_this_heap);
  hak_slab_t* slab = hak_this_heap->bins[kClass].partial.first;
  ASSERT_NE(slab, nullptr);
  // A block of it comes last.
  auto is_of_slab = [slab](void* block) { return hak::SlabOf(block) == slab; };
  auto found = std::find_if(blocks.begin(), blocks.end(), is_of_slab);
  ASSERT_NE(found, blocks.end());
  std::iter_swap(found, blocks.end() - 1);
  CutOff cut_off(blocks.back(), Step::kBits);
  ASSERT_EQ(hak_slab_collect(slab), 1u);
  ASSERT_EQ(slab->uncounted, 1u);
  EXPECT_TRUE(hak::PassesInChild([&] {
    EXPECT_EQ(slab->uncounted, 0u);
    FreeTheRest(blocks);
    ExpectAllIdle();
  }));
}

// Of nobody's slabs those are gone that are idle.
void CutOffAFreeIntoASlabOfNobody(Step step) {
  std::vector<void*> blocks;
  std::thread([&] { blocks = AllocBlocks(); }).join();
  FreeBlock(AllocBlock(1));
  ASSERT_EQ(hak_load_relaxed(&hak::SlabOf(blocks.back())->owner), nullptr);
  CutOff cut_off(blocks.back(), step);
  EXPECT_TRUE(hak::PassesInChild([&] {
    FreeTheRest(blocks);
    hak_super_visit_slabs([](hak_run_t* run, void*) { EXPECT_NE(run->size_class, kClass); },
                          nullptr);
  }));
}

TEST_IN_CHILD(ForkInheritedTest, ASlabOfNobodyIsGivenAwayAfterAFreeCutOffAtItsBits) {
  CutOffAFreeIntoASlabOfNobody(Step::kBits);
}

TEST_IN_CHILD(ForkInheritedTest, ASlabOfNobodyIsGivenAwayAfterAFreeCutOffAtItsCount) {
  CutOffAFreeIntoASlabOfNobody(Step::kCount);
}

// Of another thread that is gone, too.
TEST_IN_CHILD(ForkInheritedTest, ASlabOfAThreadThatIsGoneServesAfterACutOffFree) {
  std::vector<void*> blocks;
  FreeBlock(AllocBlock(1));
  Waiting owner([&] { blocks = AllocBlocks(); });
  CutOff cut_off(blocks.back(), Step::kCount);
  EXPECT_TRUE(hak::PassesInChild([&] {
    int all = hak::CountSlabs().all;
    FreeTheRest(blocks);
    for (size_t i = 0; i < blocks.size(); ++i) AllocBlock(kClass);
    EXPECT_LE(hak::CountSlabs().all, all);
  }));
}

// ---- heaps of threads that are gone ----

size_t CountHeaps() {
  size_t n = 0;
  for (const hak_heap_entry_t* e = hak_thread_heaps(); e != nullptr; e = e->next) ++n;
  return n;
}

// One caught in a slow path loses what it caches, and gives its slabs up.
TEST_IN_CHILD(ForkInheritedTest, SlabsOfAThreadCaughtInASlowPathServeTheChild) {
  std::vector<void*> blocks;
  FreeBlock(AllocBlock(1));
  Waiting other([&] {
    blocks = AllocBlocks();
    hak_heap_enter(hak_this_heap);
  });
  EXPECT_TRUE(hak::PassesInChild([&] {
    EXPECT_EQ(hak_load_relaxed(&hak_orphans), nullptr);
    hak_super_visit_slabs(
        [](hak_run_t* run, void*) {
          if (run->size_class != kClass) return;
          EXPECT_EQ(hak_load_relaxed(&reinterpret_cast<hak_slab_t*>(run)->owner), nullptr);
        },
        nullptr);
    int all = hak::CountSlabs().all;
    for (void* block : blocks) FreeBlock(block);
    for (size_t i = 0; i < blocks.size(); ++i) AllocBlock(kClass);
    EXPECT_LE(hak::CountSlabs().all, all);
  }));
}

// One whose cache another was taking back is as one that waits, but has no slabs.
TEST_IN_CHILD(ForkInheritedTest, AHeapWhoseReclaimIsCutOffServesOn) {
  std::vector<void*> blocks = AllocBlocks();
  for (size_t i = 0; i < 300; ++i) FreeBlock(blocks[i]);
  hak_heap_t* self = hak_this_heap;
  std::atomic<bool> is_held{false}, may_release{false};
  std::thread reclaimer([&] {
    hak_lock_acquire(&hak_reclaim_lock);
    hak_store_release(&self->reclaim, HAK_RECLAIM_ACTING);
    is_held = true;
    while (!may_release) std::this_thread::yield();
    hak_store_release(&self->reclaim, HAK_RECLAIM_NONE);
    hak_lock_release(&hak_reclaim_lock);
  });
  while (!is_held) std::this_thread::yield();
  EXPECT_TRUE(hak::PassesInChild([&] {
    for (size_t i = 300; i < blocks.size(); ++i) FreeBlock(blocks[i]);
    Work(1, 5000);
  }));
  may_release = true;
  reclaimer.join();
}

TEST_IN_CHILD(ForkInheritedTest, AThreadOfTheChildGetsTheHeapOfOneThatIsGone) {
  if (hak::kUnderSanitizer) return;  // tsan has no threads after a fork of several
  void* block = nullptr;
  FreeBlock(AllocBlock(1));
  Waiting other([&] { FreeBlock(block = AllocBlock(7)); });
  EXPECT_TRUE(hak::PassesInChild([&] {
    ASSERT_NE(hak_load_relaxed(&hak_orphans), nullptr);
    size_t n = CountHeaps();
    std::thread([&] {
      (void)hak::ThisHeap();
      EXPECT_EQ(AllocBlock(7), block) << "with what it cached";
      FreeBlock(block);
    }).join();
    EXPECT_EQ(CountHeaps(), n);
    EXPECT_EQ(hak_load_relaxed(&hak_orphans), nullptr);
  }));
}

// Generations of a process that has threads do not pile heaps up.
TEST_IN_CHILD(ForkInheritedTest, HeapsDoNotPileUpOverGenerations) {
  if (hak::kUnderSanitizer) return;  // as above
  static std::function<void(int)> live;
  live = [](int generation) {
    Waiting a([] { Work(1, 300); }), b([] { Work(2, 300); });
    EXPECT_LE(CountHeaps(), 4u);
    if (generation < 8) {
      EXPECT_TRUE(hak::PassesInChild([&] { live(generation + 1); }));
    }
  };
  live(0);
}

TEST_IN_CHILD(ForkInheritedTest, SpansOfThreadsThatAreGoneServeTheChild) {
  void* span = nullptr;
  FreeBlock(AllocBlock(1));
  Waiting other([&] {
    span = hak::AllocSpan(200000);
    hak::FreeSpan(span);
  });
  EXPECT_TRUE(hak::PassesInChild([&] { EXPECT_EQ(hak::AllocSpan(200000), span); }));
}

// What the child frees of their blocks comes back, however often.
TEST_IN_CHILD(ForkInheritedTest, BlocksFreedIntoSlabsOfThreadsThatAreGoneServeTheChild) {
  std::vector<void*> blocks;
  FreeBlock(AllocBlock(1));
  Waiting other([&] {
    for (int i = 0; i < 3000; ++i) blocks.push_back(AllocBlock(kClass));
  });
  EXPECT_TRUE(hak::PassesInChild([&] {
    int most = 0;
    for (int round = 0; round < 20; ++round) {
      for (void* block : blocks) FreeBlock(block);
      for (void*& block : blocks) block = AllocBlock(kClass);
      int all = hak::CountSlabs().all;
      if (round == 1) most = all;
      ASSERT_TRUE(round <= 1 || all <= most) << all << " slabs in round " << round;
    }
  }));
}

}  // namespace
