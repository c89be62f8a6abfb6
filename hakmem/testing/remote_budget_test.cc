// What a block costs that another thread frees, in figures that repeat: atomic read-modify-writes
// and lock acquisitions a million. And what a consumer that frees, and never allocates, makes of
// memory.

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "hakmem/include/hakmem/hakmem.h"

namespace {

using Blocks = std::vector<void*>;

// Hands batches from producers to a consumer.
//
// Producers and the consumer take turns: who puts a batch waits until the consumer has freed all
// but the last `kDepth`. So what happens does not depend on how threads are scheduled, but for the
// order of the producers, and the figures repeat.
class Belt {
 public:
  void Put(Blocks batch) {
    std::unique_lock<std::mutex> guard(mutex_);
    changed_.wait(guard, [this] { return IsConsumerDone(); });
    batches_.push_back(std::move(batch));
    changed_.notify_all();
    changed_.wait(guard, [this] { return IsConsumerDone(); });
  }
  // False once it is closed and empty.
  bool Take(Blocks* batch) {
    std::unique_lock<std::mutex> guard(mutex_);
    is_consumer_waiting_ = true;
    changed_.notify_all();
    changed_.wait(guard, [this] { return batches_.size() > kDepth || is_closed_; });
    is_consumer_waiting_ = false;
    if (batches_.empty()) return false;
    *batch = std::move(batches_.front());
    batches_.pop_front();
    changed_.notify_all();
    return true;
  }
  void Close() {
    std::lock_guard<std::mutex> guard(mutex_);
    is_closed_ = true;
    changed_.notify_all();
  }

 private:
  bool IsConsumerDone() const { return is_consumer_waiting_ && batches_.size() <= kDepth; }

  static constexpr size_t kDepth = 4;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Blocks> batches_;
  bool is_consumer_waiting_ = false;
  bool is_closed_ = false;
};

hak_stats Stats() {
  hak_stats stats = {};
  EXPECT_TRUE(hak_stats_get(&stats, sizeof stats));
  return stats;
}

constexpr size_t kBatch = 1000;  // no multiple of what any buffer holds

void Produce(Belt* belt, size_t size, size_t n, bool shuffled) {
  std::mt19937_64 random(42);
  for (size_t made = 0; made < n; made += kBatch) {
    Blocks batch(kBatch);
    for (void*& block : batch) block = hak_malloc(size);
    if (shuffled) std::shuffle(batch.begin(), batch.end(), random);
    belt->Put(std::move(batch));
  }
}

void Consume(Belt* belt) {
  Blocks batch;
  while (belt->Take(&batch)) {
    for (void* block : batch) hak_free(block);
  }
}

struct Cost {
  double atomics, locks;  // a million remote frees
  size_t committed;       // at the end
};

// `producers` threads and one consumer; what `n` blocks of `size` bytes cost after a warm-up.
Cost Measure(size_t size, size_t n, bool shuffled, unsigned producers = 1) {
  hak_stats before = {}, after = {};
  for (hak_stats* stats : {&before, &after}) {
    Belt belt;
    std::thread consumer(Consume, &belt);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < producers; ++i) {
      threads.emplace_back(Produce, &belt, size, n / producers, shuffled);
    }
    for (std::thread& thread : threads) thread.join();
    belt.Close();
    consumer.join();
    *stats = Stats();
  }
  auto frees = static_cast<double>(after.remote_frees - before.remote_frees);
  // (The first blocks of a thread come from slabs that nobody owns; they are not remote.)
  EXPECT_GT(frees, 0.8 * static_cast<double>(n));
  Cost cost = {
      1e6 * static_cast<double>(after.remote_atomics - before.remote_atomics) / frees,
      1e6 * static_cast<double>(after.lock_acquisitions - before.lock_acquisitions) / frees,
      static_cast<size_t>(after.committed_bytes - after.metadata_bytes)};
  printf("%zu bytes%s, %u producer(s): %.0f atomics, %.0f locks a million; %zu KiB held\n", size,
         shuffled ? ", shuffled" : "", producers, cost.atomics, cost.locks, cost.committed >> 10);
  return cost;
}

constexpr size_t kBlocks = size_t{1} << 20;

TEST(RemoteBudgetTest, SmallBlocksInOrder) {
  Cost cost = Measure(64, kBlocks, false);
  EXPECT_LT(cost.atomics, 6200);
  EXPECT_LT(cost.locks, 100);
}

// Each batch is shuffled as a whole. After some turns hardly two blocks of a flush lie in one word,
// and each takes an atomic operation and sometimes a share of another.
TEST(RemoteBudgetTest, SmallBlocksShuffled) {
  Cost cost = Measure(64, kBlocks, true);
  EXPECT_LT(cost.atomics, 530000);
  EXPECT_LT(cost.locks, 100);
}

TEST(RemoteBudgetTest, BlocksOfWhichASlabHoldsFew) {
  Cost cost = Measure(1024, kBlocks, false);
  EXPECT_LT(cost.atomics, 44000);
  EXPECT_LT(cost.locks, 18000);  // without slabs in reserve: 31 000
}

// 64 MiB or more pass through; what is on its way at any time is 4 MiB of blocks at the most.
TEST(RemoteBudgetTest, MemoryIsBoundedWithSixteenProducers) {
  Cost cost = Measure(1024, kBlocks / 4, true, 16);
  EXPECT_LT(cost.committed, size_t{64} << 20);
}

}  // namespace
