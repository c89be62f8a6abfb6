// Forks at every moment: children that only have one thread of many must find a heap that works.
// Parents watch their children, so that a deadlock is a failure and not a hang.

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <thread>

#include "hakmem/thread/test_fork.h"

extern "C" {
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/lock.h"
#include "hakmem/superslab/layout.h"
#include "hakmem/superslab/purge.h"
}

namespace {

using hak::AllocBlock;
using hak::Crowd;
using hak::FreeBlock;
using hak::kScale;
using hak::Work;

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

}  // namespace
