// Locks: exclusion, waiting, ranks, and repair in a child of a fork.

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/platform/lock.h"
}

namespace {

struct Lock : hak_lock_t {
  explicit Lock(hak_lock_rank_t lock_rank) : hak_lock_t() { rank = lock_rank; }
};

// A lock that another thread holds for as long as this lives.
class HeldByAnother {
 public:
  explicit HeldByAnother(hak_lock_t* lock)
      : thread_([this, lock] {
          hak_lock_acquire(lock);
          is_held_ = true;
          while (!may_release_) std::this_thread::yield();
          hak_lock_release(lock);
        }) {
    while (!is_held_) std::this_thread::yield();
  }
  ~HeldByAnother() {
    Release();
    thread_.join();
  }
  void Release() { may_release_ = true; }

 private:
  std::atomic<bool> is_held_{false}, may_release_{false};
  std::thread thread_;
};

// Under tsan this also shows that release and acquire order what the lock protects.
TEST(LockTest, ExcludesOthersAndCountsAcquisitions) {
  static Lock lock(HAK_RANK_CLASS);
  constexpr int kThreads = 4, kRounds = 20000;
  uint64_t counter = 0;
  std::atomic<int> inside{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        hak_lock_acquire(&lock);
        EXPECT_EQ(inside.fetch_add(1), 0);
        ++counter;
        inside.fetch_sub(1);
        hak_lock_release(&lock);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter, uint64_t{kThreads} * kRounds);
  EXPECT_EQ(hak_counter_read(&lock.acquisitions), counter);
  EXPECT_LE(hak_counter_read(&lock.waits), counter);
  EXPECT_EQ(hak_load_relaxed(&lock.word), 0u);
}

TEST(LockTest, SleepersAreWokenAndCounted) {
  static Lock lock(HAK_RANK_CLASS);
  HeldByAnother holder(&lock);
  constexpr int kWaiters = 3;
  std::atomic<int> done{0};
  std::vector<std::thread> waiters;
  for (int i = 0; i < kWaiters; ++i) {
    waiters.emplace_back([&] {
      hak_lock_acquire(&lock);
      ++done;
      hak_lock_release(&lock);
    });
  }
  // Until one sleeps: its mark is in the word's top bit.
  while ((hak_load_relaxed(&lock.word) >> 31) == 0) std::this_thread::yield();
  EXPECT_EQ(done, 0);
  holder.Release();
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(done, kWaiters);
  EXPECT_GE(hak_counter_read(&lock.waits), 1u);
}

TEST(LockTest, KnowsItsHolder) {
  static Lock low(HAK_RANK_REGISTRY), high(HAK_RANK_META);
  EXPECT_FALSE(hak_lock_holds_any());
  EXPECT_FALSE(hak_lock_is_mine(&low));
  hak_lock_acquire(&low);
  hak_lock_acquire(&high);
  EXPECT_TRUE(hak_lock_is_mine(&low));
  EXPECT_TRUE(hak_lock_is_mine(&high));
  std::thread([] {
    EXPECT_FALSE(hak_lock_is_mine(&low));
    EXPECT_FALSE(hak_lock_holds_any());
  }).join();
  hak_lock_release(&low);
  EXPECT_FALSE(hak_lock_is_mine(&low));
  EXPECT_TRUE(hak_lock_holds_any());
  hak_lock_release(&high);
  EXPECT_FALSE(hak_lock_holds_any());
}

// ---- ranks ----

Lock registry_lock(HAK_RANK_REGISTRY);
Lock class_lock(HAK_RANK_CLASS);
Lock other_class_lock(HAK_RANK_CLASS);

void TakeBoth(hak_lock_t* first, hak_lock_t* second) {
  hak_lock_acquire(first);
  hak_lock_acquire(second);
  hak_lock_release(second);
  hak_lock_release(first);
}

TEST(LockDeathTest, RanksOnlyRise) {
  TakeBoth(&registry_lock, &class_lock);
  if (HAK_DEBUG < 1) GTEST_SKIP() << "asserted in debug builds";
  EXPECT_EXIT(TakeBoth(&class_lock, &registry_lock), testing::KilledBySignal(SIGABRT),
              "assertion failed: .*held_ranks");
  EXPECT_EXIT(TakeBoth(&class_lock, &other_class_lock), testing::KilledBySignal(SIGABRT),
              "assertion failed: .*held_ranks");
  EXPECT_EXIT(TakeBoth(&class_lock, &class_lock), testing::KilledBySignal(SIGABRT),
              "assertion failed");
  EXPECT_EXIT(hak_lock_release(&class_lock), testing::KilledBySignal(SIGABRT), "assertion failed");
}

// ---- repair in a forked child ----

TEST(LockTest, RepairLeavesAFreeLockFree) {
  static Lock lock(HAK_RANK_CLASS);
  EXPECT_TRUE(hak::PassesInChild([] {
    EXPECT_FALSE(hak_lock_repair(&lock));
    hak_lock_acquire(&lock);
    hak_lock_release(&lock);
  }));
}

TEST(LockTest, RepairLeavesTheForkingThreadItsLock) {
  static Lock lock(HAK_RANK_CLASS);
  hak_lock_acquire(&lock);
  // Someone sleeps on it, so that its word carries the mark; in the child nobody does.
  std::thread sleeper([] {
    hak_lock_acquire(&lock);
    hak_lock_release(&lock);
  });
  while ((hak_load_relaxed(&lock.word) >> 31) == 0) std::this_thread::yield();
  EXPECT_TRUE(hak::PassesInChild([] {
    EXPECT_FALSE(hak_lock_repair(&lock));
    EXPECT_TRUE(hak_lock_is_mine(&lock));
    uint64_t futex_calls = hak::KernelCalls(HAK_KERNEL_FUTEX);
    hak_lock_release(&lock);
    EXPECT_EQ(hak::KernelCalls(HAK_KERNEL_FUTEX), futex_calls);  // nobody is left to be woken
    hak_lock_acquire(&lock);
    hak_lock_release(&lock);
  }));
  hak_lock_release(&lock);
  sleeper.join();
}

TEST(LockTest, RepairFreesALockWhoseHolderIsGone) {
  static Lock lock(HAK_RANK_CLASS);
  HeldByAnother holder(&lock);
  EXPECT_TRUE(hak::PassesInChild([] {
    EXPECT_TRUE(hak_lock_repair(&lock));
    EXPECT_FALSE(hak_lock_is_mine(&lock));
    EXPECT_FALSE(hak_lock_repair(&lock));
    hak_lock_acquire(&lock);
    hak_lock_release(&lock);
  }));
}

}  // namespace
