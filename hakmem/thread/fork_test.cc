// Forks at every moment: children that only have one thread of many must find a heap that works.
// Parents watch their children, so that a deadlock is a failure and not a hang.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/heap/test_blocks.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/lock.h"
#include "hakmem/slab/central.h"
#include "hakmem/superslab/large.h"
#include "hakmem/superslab/purge.h"
}

namespace {

using hak::AllocBlock;
using hak::AllocMarked;
using hak::FreeBlock;
using hak::FreeMarked;
using hak::MarkedBlock;

// Random use of all layers: small blocks of many classes, spans and huge blocks. It keeps off
// libc's malloc, whose locks fork takes too, so that a signal handler may fork in its midst.
void Work(uint64_t seed, int rounds) {
  hak::Random random(seed);
  std::array<MarkedBlock, 500> blocks;
  size_t n = 0;
  for (int i = 0; i < rounds; ++i) {
    if (random.Below(100) == 0) {
      size_t size = HAK_SMALL_MAX + 1 + random.Below(random.Below(8) == 0 ? 3 * HAK_MIB : 500000);
      hak_fork_look();
      auto* large = static_cast<char*>(hak_large_alloc(size, 16, false));
      ASSERT_NE(large, nullptr);
      large[0] = large[size - 1] = 1;
      hak_large_free(large);
    } else if (n < blocks.size() && random.Below(2) == 0) {
      unsigned c = static_cast<unsigned>(1 + random.Below(60));
      blocks[n++] = AllocMarked(c, random.Next());
    } else if (n != 0) {
      std::swap(blocks[random.Below(n)], blocks[n - 1]);
      FreeMarked(blocks[--n]);
    }
  }
  while (n != 0) FreeMarked(blocks[--n]);
}

// Threads that work, end and begin again for as long as this lives, and free each other's blocks.
class Crowd {
 public:
  explicit Crowd(unsigned n) {
    for (unsigned t = 0; t < n; ++t) {
      threads_.emplace_back([this, t] {
        for (uint64_t life = 0; !is_over_; ++life) {
          std::thread([this, t, life] {
            for (uint64_t i = 0; i < 20 && !is_over_; ++i) {
              Work(1000 * t + 20 * life + i, 200);
              FreeBlock(slot_.exchange(AllocBlock(5)));
            }
          }).join();
        }
      });
    }
  }
  ~Crowd() {
    is_over_ = true;
    for (std::thread& thread : threads_) thread.join();
    FreeBlock(slot_);
  }

 private:
  std::atomic<bool> is_over_{false};
  std::atomic<void*> slot_{AllocBlock(5)};
  std::vector<std::thread> threads_;
};

constexpr int kScale = hak::kUnderSanitizer ? 10 : 1;

TEST_IN_CHILD(ForkTest, AChildOfACrowdAllocatesAMillionTimes) {
  Crowd crowd(8);
  Work(1, 1000);
  EXPECT_TRUE(hak::PassesInChild([] { Work(2, 1000000 / kScale); }));
  Work(3, 1000);
}

TEST_IN_CHILD(ForkTest, EveryChildOfACrowdWorks) {
  Crowd crowd(8);
  for (uint64_t i = 0; i < 100 / kScale; ++i) {
    Work(i, 100);
    ASSERT_TRUE(hak::PassesInChild([i] {
      Work(i, 3000);
      hak_purge_all();
      Work(i, 3000);
    })) << i;
  }
}

TEST_IN_CHILD(ForkTest, ChildrenWorkWhilePurgesRunAllTheTime) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "0"));
  Crowd crowd(4);
  for (uint64_t i = 0; i < 60 / kScale; ++i) {
    ASSERT_TRUE(hak::PassesInChild([i] { Work(i, 3000); })) << i;
  }
}

TEST_IN_CHILD(ForkTest, GrandchildrenAndTheirThreadsWork) {
  if (hak::kUnderSanitizer) return;  // tsan has no threads after a fork of several
  Crowd crowd(4);
  for (uint64_t i = 0; i < 10; ++i) {
    ASSERT_TRUE(hak::PassesInChild([i] {
      Crowd own(2);
      Work(i, 1000);
      EXPECT_TRUE(hak::PassesInChild([i] { Work(i, 1000); }));
    })) << i;
  }
}

// The thread that forks never allocated: the child begins with a repair and no heap.
TEST_IN_CHILD(ForkTest, AThreadWithoutAHeapMayFork) {
  std::atomic<bool> may_end{false};
  std::atomic<bool> is_ready{false};
  std::thread other([&] {
    Work(1, 1000);
    void* live = AllocBlock(9);
    is_ready = true;
    while (!may_end) std::this_thread::yield();
    FreeBlock(live);
  });
  while (!is_ready) std::this_thread::yield();
  EXPECT_TRUE(hak::PassesInChild([] { Work(2, 10000); }));
  may_end = true;
  other.join();
}

// ---- what the child inherits ----

TEST_IN_CHILD(ForkTest, SlabsAndCachesOfThreadsThatAreGoneServeTheChild) {
  constexpr unsigned kClass = 30;
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
TEST_IN_CHILD(ForkTest, RemoteFreesBeforeTheForkAreNotLost) {
  constexpr unsigned kClass = 30;
  std::vector<void*> blocks;
  for (int i = 0; i < 600; ++i) blocks.push_back(AllocBlock(kClass));
  std::thread([&] {
    for (void* block : blocks) FreeBlock(block);
  }).join();  // its outgoing buffer is flushed when it ends: the news waits for this thread
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
TEST_IN_CHILD(ForkTest, AChildWritesNoSlabWithoutNews) {
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

constexpr unsigned kCutClass = 30;

std::vector<void*> AllocBlocks() {
  std::vector<void*> blocks(600);
  for (void*& block : blocks) block = AllocBlock(kCutClass);
  return blocks;
}

// The last one has been freed, as far as its thread came.
void FreeTheRest(std::vector<void*> blocks) {
  blocks.pop_back();
  for (void* block : blocks) FreeBlock(block);
  hak_cache_drain(hak_this_heap);
}

void ExpectAllIdle() {
  hak_super_visit_slabs(
      [](hak_run_t* run, void*) {
        if (run->size_class != kCutClass) return;
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

TEST_IN_CHILD(ForkTest, ASlabOfTheForkingThreadIsIdleAfterAFreeCutOffAtItsBits) {
  CutOffAFreeIntoASlabOfTheForkingThread(Step::kBits);
}

TEST_IN_CHILD(ForkTest, ASlabOfTheForkingThreadIsIdleAfterAFreeCutOffAtItsCount) {
  CutOffAFreeIntoASlabOfTheForkingThread(Step::kCount);
}

// As when the owner was refilling, and took the bits before they were counted.
TEST_IN_CHILD(ForkTest, ASlabIsIdleAfterAFreeThatWasTakenAndNotCounted) {
  std::vector<void*> blocks = AllocBlocks();
  hak_cache_drain(hak_this_heap);
  hak_slab_t* slab = hak_this_heap->bins[kCutClass].partial.first;
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
    hak_super_visit_slabs([](hak_run_t* run, void*) { EXPECT_NE(run->size_class, kCutClass); },
                          nullptr);
  }));
}

TEST_IN_CHILD(ForkTest, ASlabOfNobodyIsGivenAwayAfterAFreeCutOffAtItsBits) {
  CutOffAFreeIntoASlabOfNobody(Step::kBits);
}

TEST_IN_CHILD(ForkTest, ASlabOfNobodyIsGivenAwayAfterAFreeCutOffAtItsCount) {
  CutOffAFreeIntoASlabOfNobody(Step::kCount);
}

// Of another thread that is gone, too.
TEST_IN_CHILD(ForkTest, ASlabOfAThreadThatIsGoneServesAfterACutOffFree) {
  std::vector<void*> blocks;
  FreeBlock(AllocBlock(1));
  Waiting owner([&] { blocks = AllocBlocks(); });
  CutOff cut_off(blocks.back(), Step::kCount);
  EXPECT_TRUE(hak::PassesInChild([&] {
    int all = hak::CountSlabs().all;
    FreeTheRest(blocks);
    for (size_t i = 0; i < blocks.size(); ++i) AllocBlock(kCutClass);
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
TEST_IN_CHILD(ForkTest, SlabsOfAThreadCaughtInASlowPathServeTheChild) {
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
          if (run->size_class != kCutClass) return;
          EXPECT_EQ(hak_load_relaxed(&reinterpret_cast<hak_slab_t*>(run)->owner), nullptr);
        },
        nullptr);
    int all = hak::CountSlabs().all;
    for (void* block : blocks) FreeBlock(block);
    for (size_t i = 0; i < blocks.size(); ++i) AllocBlock(kCutClass);
    EXPECT_LE(hak::CountSlabs().all, all);
  }));
}

// One whose cache another was taking back is as one that waits, but has no slabs.
TEST_IN_CHILD(ForkTest, AHeapWhoseReclaimIsCutOffServesOn) {
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

TEST_IN_CHILD(ForkTest, AThreadOfTheChildGetsTheHeapOfOneThatIsGone) {
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
TEST_IN_CHILD(ForkTest, HeapsDoNotPileUpOverGenerations) {
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

TEST_IN_CHILD(ForkTest, SpansOfThreadsThatAreGoneServeTheChild) {
  void* span = nullptr;
  FreeBlock(AllocBlock(1));
  Waiting other([&] {
    span = hak::AllocSpan(200000);
    hak::FreeSpan(span);
  });
  EXPECT_TRUE(hak::PassesInChild([&] { EXPECT_EQ(hak::AllocSpan(200000), span); }));
}

// What the child frees of their blocks comes back, however often.
TEST_IN_CHILD(ForkTest, BlocksFreedIntoSlabsOfThreadsThatAreGoneServeTheChild) {
  std::vector<void*> blocks;
  FreeBlock(AllocBlock(1));
  Waiting other([&] {
    for (int i = 0; i < 3000; ++i) blocks.push_back(AllocBlock(kCutClass));
  });
  EXPECT_TRUE(hak::PassesInChild([&] {
    int most = 0;
    for (int round = 0; round < 20; ++round) {
      for (void* block : blocks) FreeBlock(block);
      for (void*& block : blocks) block = AllocBlock(kCutClass);
      int all = hak::CountSlabs().all;
      if (round == 1) most = all;
      ASSERT_TRUE(round <= 1 || all <= most) << all << " slabs in round " << round;
    }
  }));
}

// ---- children that no handler has repaired ----

TEST_IN_CHILD(ForkTest, AHandlerThatRunsFirstMayAllocate) {
  static std::atomic<int> n_ran{0};
  pthread_atfork(nullptr, nullptr, [] {
    Work(1, 3000);
    ++n_ran;
  });
  Crowd crowd(4);
  for (int i = 0; i < 60 / kScale; ++i) {
    ASSERT_TRUE(hak::PassesInChild([] {
      EXPECT_EQ(n_ran, 1);
      Work(2, 1000);
    })) << i;
  }
}

TEST_IN_CHILD(ForkTest, ChildrenWithoutHandlersWork) {
  if (hak::kUnderSanitizer) return;  // its own locks need the handlers
  Crowd crowd(4);
  for (auto make : {hak::BareFork, hak::Clone}) {
    for (uint64_t i = 0; i < 100; ++i) {
      Work(i, 100);
      ASSERT_TRUE(hak::PassesAfter(make, [i] { Work(i, 3000); })) << i;
    }
  }
}

// ---- locks ----

TEST_IN_CHILD(ForkTest, ALockThatAnotherThreadHeldDoesNotStopTheChild) {
  FreeBlock(AllocBlock(1));
  std::atomic<bool> is_held{false}, may_release{false};
  std::thread holder([&] {
    hak_lock_acquire(&hak_backend_lock);
    is_held = true;
    while (!may_release) std::this_thread::yield();
    hak_lock_release(&hak_backend_lock);
  });
  while (!is_held) std::this_thread::yield();
  EXPECT_TRUE(hak::PassesInChild([] { Work(1, 10000); }));
  may_release = true;
  holder.join();
}

TEST_IN_CHILD(ForkTest, AJobThatAnotherThreadWasAboutToDoIsDone) {
  static std::atomic<int> step{0};
  static std::atomic<bool> is_done{false};
  FreeBlock(AllocBlock(1));
  hak_tick_register(HAK_JOB_PURGE, [] {
    hak_tick_set_due(HAK_JOB_PURGE, HAK_TICK_NEVER);
    int first = 0;
    while (step.compare_exchange_strong(first, 1) || step == 1) std::this_thread::yield();
  });
  hak_tick_register(HAK_JOB_TELEMETRY, [] {
    hak_tick_set_due(HAK_JOB_TELEMETRY, HAK_TICK_NEVER);
    is_done = true;
  });
  hak_tick_set_due(HAK_JOB_TELEMETRY, 0);
  hak_tick_set_due(HAK_JOB_PURGE, 0);
  std::thread other([] { hak_tick(); });
  while (step != 1) std::this_thread::yield();
  EXPECT_TRUE(hak::PassesInChild([] {
    step = 2;
    hak_tick();
    EXPECT_TRUE(is_done);
  }));
  step = 2;
  other.join();
}

// As when a signal handler forks while its thread is inside: in the child the thread goes on and
// releases what it holds.
TEST_IN_CHILD(ForkTest, ALockThatTheForkingThreadHoldsStaysItsOwn) {
  Work(1, 1000);
  hak_lock_acquire(&hak_backend_lock);
  EXPECT_TRUE(hak::PassesInChild([] {
    EXPECT_TRUE(hak_lock_is_mine(&hak_backend_lock));
    hak_lock_release(&hak_backend_lock);
    Work(2, 10000);
  }));
  hak_lock_release(&hak_backend_lock);
  Work(3, 1000);
}

// ---- signal handlers ----

constexpr int kMaxChildren = 200;
pid_t children[kMaxChildren];
std::atomic<int> n_children{0};
std::atomic<bool> is_child{false};

// Forks, and in the child goes on with what was interrupted, malloc or free for the most part.
void ForkInHandler(int) {
  int saved_errno = errno;
  if (!is_child && n_children < kMaxChildren) {
    pid_t pid = fork();
    if (pid == 0) {
      is_child = true;
    } else if (pid > 0) {
      children[n_children] = pid;
      ++n_children;
    }
  }
  errno = saved_errno;
}

void CatchForkSignal() {
  struct sigaction action = {};
  action.sa_handler = ForkInHandler;
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
}

void ForkWhileWorking(int n_forks) {
  CatchForkSignal();
  std::atomic<bool> is_over{false};
  pthread_t self = pthread_self();
  std::thread pest([&] {
    while (!is_over) {
      pthread_kill(self, SIGUSR1);
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
  });
  for (uint64_t i = 0; n_children < n_forks && !is_child; ++i) Work(i, 500);
  signal(SIGUSR1, SIG_IGN);
  if (is_child) {
    Work(1, 5000);
    hak::EndChild();
  }
  is_over = true;
  pest.join();
  for (int i = 0; i < n_children; ++i) EXPECT_TRUE(hak::ChildPassed(children[i])) << i;
}

TEST_IN_CHILD(ForkTest, ASignalHandlerMayForkInTheMiddleOfMalloc) {
  ForkWhileWorking(100 / kScale);
}

TEST_IN_CHILD(ForkTest, ASignalHandlerMayForkInTheMiddleOfMallocAmongOthers) {
  Crowd crowd(3);
  ForkWhileWorking(60 / kScale);
}

void MaskForkSignal(int how) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(how, &set, nullptr);
}

pthread_key_t key_before, key_after;
std::atomic<bool> has_ended{false};

// Children that go on from the middle of a thread's end: what is left of it must still end, and
// destructors that come after the heap has gone still allocate. Signals come while the allocator's
// own destructor runs, between those of the two keys, and not while libc frees the thread's state.
TEST_IN_CHILD(ForkTest, ASignalHandlerMayForkInTheMiddleOfAThreadsEnd) {
  ASSERT_EQ(pthread_key_create(&key_before, [](void*) { MaskForkSignal(SIG_UNBLOCK); }), 0);
  FreeBlock(AllocBlock(1));  // makes the allocator's key
  ASSERT_EQ(pthread_key_create(&key_after,
                               [](void*) {
                                 MaskForkSignal(SIG_BLOCK);
                                 has_ended = true;
                                 if (!is_child) return;
                                 Work(1, 2000);
                                 hak::EndChild();
                               }),
            0);
  CatchForkSignal();
  MaskForkSignal(SIG_BLOCK);
  const int n_forks = 100 / kScale;
  while (n_children < n_forks) {
    has_ended = false;
    std::thread thread([] {
      pthread_setspecific(key_before, &key_before);
      pthread_setspecific(key_after, &key_after);
      for (unsigned c = 1; c < 60; ++c) {
        for (int k = 0; k < 20; ++k) FreeBlock(AllocBlock(c));
      }
    });
    while (!has_ended) {
      pthread_kill(thread.native_handle(), SIGUSR1);
      std::this_thread::yield();
    }
    thread.join();
  }
  for (int i = 0; i < n_children; ++i) EXPECT_TRUE(hak::ChildPassed(children[i])) << i;
}

}  // namespace
