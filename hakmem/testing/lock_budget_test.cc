// How often all locks of the allocator together are taken a million operations, in three kinds of
// load: where they are taken often, many threads wait for each other. One thread is at work at a
// time and nothing depends on the clock, so the figures repeat.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "hakmem/include/hakmem/hakmem.h"

namespace {

// Before the first call reads the options: memory that is given back after a while, or taken from
// threads that have been idle for a while, takes locks too.
const int kIsSet = setenv("HAKMEM_PURGE_DELAY", "-1", 1);

uint64_t Locks() {
  EXPECT_EQ(kIsSet, 0);
  hak_stats stats = {};
  EXPECT_TRUE(hak_stats_get(&stats, sizeof stats));
  return stats.lock_acquisitions;
}

// What `run` takes a million operations, of which it returns the number, the second time.
template <typename Run>
double Measure(const char* name, Run run) {
  run();
  uint64_t before = Locks();
  auto operations = static_cast<double>(run());
  double locks = 1e6 * static_cast<double>(Locks() - before) / operations;
  printf("%s: %.0f locks a million\n", name, locks);
  return locks;
}

// Threads that live for a few blocks each and leave some of them to be freed by another.
uint64_t Churn() {
  constexpr int kLives = 4000, kBlocks = 20, kLeft = 5;
  std::mt19937_64 random(42);
  for (int life = 0; life < kLives; ++life) {
    std::vector<void*> blocks;
    std::thread thread([&blocks, &random] {
      for (int i = 0; i < kBlocks; ++i) blocks.push_back(hak_malloc(16 + random() % 1024));
      for (; blocks.size() > kLeft; blocks.pop_back()) hak_free(blocks.back());
    });
    thread.join();
    for (void* block : blocks) hak_free(block);
  }
  return uint64_t{kLives} * kBlocks * 2;
}

TEST(LockBudgetTest, ThreadsThatLiveForAFewBlocks) { EXPECT_LT(Measure("churn", Churn), 4800); }

// Threads with blocks of many sizes, a fifth of which the next thread frees. They take turns.
class Fleet {
 public:
  uint64_t Run() {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; ++i) threads.emplace_back(&Fleet::Thread, this, i);
    for (std::thread& thread : threads) thread.join();
    return uint64_t{kThreads} * kTurns * kTurnBirths * 2;
  }

 private:
  static constexpr unsigned kThreads = 8, kTurns = 100, kTurnBirths = 1000, kLive = 4000;

  void Thread(unsigned self) {
    std::mt19937_64 random(self);
    std::vector<void*> mine;
    for (unsigned turn = 0; turn < kTurns; ++turn) {
      std::unique_lock<std::mutex> guard(mutex_);
      changed_.wait(guard, [this, self] { return next_ == self; });
      for (unsigned i = 0; i < kTurnBirths; ++i) Birth(self, &random, &mine);
      for (void* block : received_[self]) hak_free(block);
      received_[self].clear();
      if (turn + 1 == kTurns) {
        for (void* block : mine) hak_free(block);
      }
      next_ = (next_ + 1) % kThreads;
      changed_.notify_all();
    }
  }

  // Sizes up to 4 KiB, every order of magnitude as likely as any other.
  void Birth(unsigned self, std::mt19937_64* random, std::vector<void*>* mine) {
    mine->push_back(hak_malloc(16 + (*random)() % (size_t{16} << (*random)() % 9)));
    if (mine->size() <= kLive) return;
    std::swap((*mine)[(*random)() % mine->size()], mine->back());
    if ((*random)() % 5 == 0) {
      received_[(self + 1) % kThreads].push_back(mine->back());
    } else {
      hak_free(mine->back());
    }
    mine->pop_back();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned next_ = 0;
  std::vector<void*> received_[kThreads];  // for each thread, by the one before it
};

TEST(LockBudgetTest, ThreadsThatFreeEachOthersBlocks) {
  EXPECT_LT(Measure("fleet", [] { return Fleet().Run(); }), 4500);
}

// One thread with spans of `min` to `max` bytes.
uint64_t Spans(size_t min, size_t max) {
  constexpr int kOperations = 200000;
  std::mt19937_64 random(42);
  std::vector<void*> blocks(128);
  for (int i = 0; i < kOperations; ++i) {
    void*& block = blocks[random() % blocks.size()];
    if (block != nullptr) {
      hak_free(block);
      block = nullptr;
    } else {
      block = hak_malloc(min + random() % (max - min + 1));
    }
  }
  for (void* block : blocks) hak_free(block);
  return kOperations;
}

TEST(LockBudgetTest, SpansOfOneSize) {
  EXPECT_LT(Measure("64 KiB", [] { return Spans(65536, 65536); }), 300);
}

TEST(LockBudgetTest, SpansOfFourSizes) {
  EXPECT_LT(Measure("32 to 256 KiB", [] { return Spans(32769, 262144); }), 70000);
}

TEST(LockBudgetTest, SpansOfSixteenSizes) {
  EXPECT_LT(Measure("64 KiB to 1 MiB", [] { return Spans(65536, 1048576); }), 620000);
}

}  // namespace
