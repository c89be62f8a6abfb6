// Heaps come and go with threads; what they leave is adopted; random schedules keep their blocks.

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/heap/test_blocks.h"
#include "hakmem/superslab/test_supers.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/platform/thread_id.h"
#include "hakmem/slab/central.h"
}

namespace {

using hak::AllocBlock;
using hak::AllocMarked;
using hak::FreeBlock;
using hak::FreeMarked;
using hak::MarkedBlock;

size_t CountHeaps(bool open_only) {
  size_t n = 0;
  for (const hak_heap_entry_t* entry = hak_thread_heaps(); entry != nullptr; entry = entry->next) {
    n += !open_only || hak_thread_heap_is_open(entry->heap);
  }
  return n;
}

size_t DirtyBytes() { return hak::CountHeld().dirty_bytes; }

// All threads have ended and all blocks are free: what slabs there are, are this thread's.
void ExpectNothingLeft() {
  hak::DrainThread();
  hak_thread_end_all_parked();
  hak::SlabCount slabs = hak::CountSlabs();
  EXPECT_EQ(slabs.all, slabs.empty);
  EXPECT_EQ(slabs.all, slabs.owned);
}

TEST_IN_CHILD(ThreadTest, EachThreadHasAHeapOfItsOwn) {
  std::set<hak_heap_t*> heaps;
  std::mutex mutex;
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      FreeBlock(AllocBlock(1));
      {
        std::lock_guard<std::mutex> guard(mutex);
        heaps.insert(hak_this_heap);
      }
      ++ready;
      while (ready < 8) std::this_thread::yield();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(heaps.size(), 8u);
  EXPECT_EQ(CountHeaps(false), 8u);
  EXPECT_EQ(hak_thread_count_parked(), 8u);
  hak_thread_end_all_parked();
  EXPECT_EQ(hak_thread_count_parked(), 0u);
  EXPECT_EQ(CountHeaps(true), 0u);
}

// A thread that did little leaves its heap to the next as it is; there are so many of these, and no
// one of a thread that did more.
TEST_IN_CHILD(ThreadTest, HeapsOfThreadsThatDidLittleAreParked) {
  void* block = nullptr;
  std::thread([&] { FreeBlock(block = AllocBlock(20)); }).join();
  EXPECT_EQ(hak_thread_count_parked(), 1u);
  std::thread([&] {
    EXPECT_EQ(AllocBlock(20), block) << "from the parked magazine";
    FreeBlock(block);
  }).join();
  EXPECT_EQ(hak_thread_count_parked(), 1u);
  EXPECT_EQ(CountHeaps(false), 1u);
  std::vector<std::unique_ptr<hak::Sleeper>> threads;
  for (int i = 0; i < 2 * HAK_PARKED_HEAPS; ++i) {
    threads.push_back(std::make_unique<hak::Sleeper>());
    threads.back()->Do([] { FreeBlock(AllocBlock(1)); });
  }
  EXPECT_EQ(hak_thread_count_parked(), 0u);
  threads.clear();
  EXPECT_EQ(hak_thread_count_parked(), unsigned{HAK_PARKED_HEAPS});
  EXPECT_EQ(CountHeaps(true), size_t{HAK_PARKED_HEAPS});
  hak_thread_end_all_parked();
  std::thread([] {
    std::vector<void*> blocks;
    for (int i = 0; i < 1000; ++i) blocks.push_back(AllocBlock(30));
    for (void* each : blocks) FreeBlock(each);
  }).join();
  EXPECT_EQ(hak_thread_count_parked(), 0u);
  FreeBlock(AllocBlock(1));
  ExpectNothingLeft();
}

// A parked heap that nobody takes is ended by the visits to idle ones.
TEST_IN_CHILD(ThreadTest, ParkedHeapsDoNotWaitForEver) {
  FreeBlock(AllocBlock(1));
  std::thread([] { FreeBlock(AllocBlock(20)); }).join();
  for (int i = 0; i < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(35));
    hak_idle_visit();
  }
  EXPECT_EQ(hak_thread_count_parked(), 0u);
  ExpectNothingLeft();
}

TEST_IN_CHILD(ThreadTest, HeapsAreUsedAgain) {
  for (int i = 0; i < 200; ++i) {
    std::thread([] { FreeBlock(AllocBlock(1)); }).join();
  }
  EXPECT_EQ(CountHeaps(false), 1u);
}

// Threads come and go, each frees half of what it made and leaves half to others. Memory at the
// end is what it was after a tenth of them.
TEST_IN_CHILD(ThreadTest, ManyThreadsLeaveNoMemory) {
  const int n_threads = hak::kUnderSanitizer ? 1000 : 10000;
  std::vector<void*> left;
  size_t early_bytes = 0, early_meta = 0;
  for (int i = 0; i < n_threads; ++i) {
    std::thread([&] {
      std::vector<void*> mine;
      for (unsigned k = 0; k < 100; ++k) mine.push_back(AllocBlock(1 + (k * 7) % 60));
      for (size_t k = 0; k < 50; ++k) FreeBlock(mine[k]);
      for (void* block : left) FreeBlock(block);
      left.assign(mine.begin() + 50, mine.end());
    }).join();
    if (i == n_threads / 10) {
      early_bytes = DirtyBytes();
      early_meta = hak_meta_used_bytes();
    }
  }
  EXPECT_LE(DirtyBytes(), early_bytes + early_bytes / 10 + HAK_PARKED_BYTES);
  EXPECT_EQ(hak_meta_used_bytes(), early_meta);
  for (void* block : left) FreeBlock(block);
  ExpectNothingLeft();
}

// Many threads at once, a few blocks each: their slabs are shared.
TEST_IN_CHILD(ThreadTest, ThreadsWithFewBlocksCostLittle) {
  constexpr int kThreads = 100;
  std::atomic<int> ready{0};
  std::atomic<bool> may_end{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      std::vector<void*> mine;
      for (unsigned k = 0; k < 20; ++k) mine.push_back(AllocBlock(1 + k));
      ++ready;
      while (!may_end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      for (void* block : mine) FreeBlock(block);
    });
  }
  while (ready < kThreads) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_LE(DirtyBytes(), kThreads * 32 * HAK_KIB);
  may_end = true;
  for (std::thread& thread : threads) thread.join();
  ExpectNothingLeft();
}

TEST_IN_CHILD(ThreadTest, SlabsOfEndedThreadsAreAdopted) {
  constexpr unsigned kClass = 20;
  std::vector<MarkedBlock> blocks;
  std::thread([&] {
    for (uint64_t i = 0; i < 500; ++i) blocks.push_back(AllocMarked(kClass, i << 32));
  }).join();
  int before = hak::CountSlabs().all;
  for (size_t i = 0; i < blocks.size(); i += 2) FreeMarked(blocks[i]);
  hak::DrainThread();
  std::vector<MarkedBlock> mine;
  for (uint64_t i = 0; i < 250; ++i) mine.push_back(AllocMarked(kClass, i));
  EXPECT_GT(hak_counter_read(&hak_this_heap->bins[kClass].adoptions), 0u);
  EXPECT_LE(hak::CountSlabs().all, before + 1);
  for (size_t i = 1; i < blocks.size(); i += 2) FreeMarked(blocks[i]);
  for (const MarkedBlock& block : mine) FreeMarked(block);
  ExpectNothingLeft();
}

// An adoption is an event that says which slab, and stands for those that follow at once. Taking
// over a slab that threads which begin share is none.
TEST_IN_CHILD(ThreadTest, AdoptionsAreEvents) {
  constexpr unsigned kClass = 33;
  std::vector<void*> mine;
  for (int i = 0; i < 200; ++i) mine.push_back(AllocBlock(kClass));
  const hak_counter_t* adoptions = &hak_this_heap->bins[kClass].adoptions;
  EXPECT_EQ(hak_counter_read(adoptions), 0u);
  std::vector<void*> blocks;
  std::thread([&] {
    for (int i = 0; i < 2000; ++i) blocks.push_back(AllocBlock(kClass));
    for (size_t i = 0; i < 2000; i += 2) FreeBlock(blocks[i]);
  }).join();
  std::set<uint64_t> abandoned;
  for (size_t i = 1; i < 2000; i += 2) abandoned.insert(hak::SlabOf(blocks[i])->run.base);
  uint64_t begin_ms = hak_platform_now_ms();
  for (int i = 0; i < 2000; ++i) mine.push_back(AllocBlock(kClass));
  uint64_t intervals = (hak_platform_now_ms() - begin_ms) / HAK_ADOPTION_EVENT_MS;
  std::array<hak_event_t, HAK_EVENT_RING> events;
  size_t n = hak_events_read(events.data(), events.size());
  uint64_t adopted = 0;
  for (size_t i = 0; i < n; ++i) {
    if (events[i].kind != HAK_EVENT_ADOPTED) continue;
    ++adopted;
    EXPECT_EQ(events[i].size_class, kClass);
    EXPECT_EQ(abandoned.count(events[i].address), 1u);
    EXPECT_EQ(events[i].bytes, hak_class_info(kClass)->slab_pages * HAK_PAGE_BYTES);
    EXPECT_EQ(events[i].thread, hak_thread_id());
  }
  EXPECT_GT(adopted, 0u);
  EXPECT_LE(adopted, intervals + 1);
  EXPECT_GT(hak_counter_read(adoptions), 10u);
}

// What an ended thread counted is not lost.
TEST_IN_CHILD(ThreadTest, TotalsOutliveTheirThreads) {
  constexpr unsigned kClass = 7;
  uint64_t taken = 0, returned = 0;
  for (int i = 0; i < 40; ++i) {
    std::thread([&] {
      std::vector<void*> blocks;
      for (int k = 0; k < 300; ++k) blocks.push_back(AllocBlock(kClass));
      for (void* block : blocks) FreeBlock(block);
      hak::DrainThread();
      taken += hak_counter_read(&hak_this_heap->bins[kClass].taken);
      returned += hak_counter_read(&hak_this_heap->bins[kClass].returned);
    }).join();
    hak_thread_end_all_parked();
  }
  hak_class_totals_t totals;
  hak_thread_ended_totals(kClass, &totals);
  EXPECT_EQ(totals.taken, taken);
  EXPECT_EQ(totals.returned, returned);
  EXPECT_GT(totals.refills, 0u);
  EXPECT_GT(totals.flushes, 0u);
}

// ---- destructors that run after the thread's heap has gone ----

pthread_key_t late_key;
std::atomic<int> late_rounds{0};

void LateDestructor(void* value) {
  std::vector<MarkedBlock> blocks;
  for (uint64_t i = 0; i < 50; ++i) {
    blocks.push_back(AllocMarked(static_cast<unsigned>(1 + i), i << 32));
  }
  for (const MarkedBlock& block : blocks) FreeMarked(block);
  FreeBlock(value);
  if (++late_rounds % 3 != 0) pthread_setspecific(late_key, AllocBlock(3));
}

TEST_IN_CHILD(ThreadTest, DestructorsMayAllocateAndFreeToTheLast) {
  FreeBlock(AllocBlock(1));  // the allocator's own key is made first, and so is destroyed first
  ASSERT_EQ(pthread_key_create(&late_key, LateDestructor), 0);
  for (int i = 0; i < 20; ++i) {
    std::thread([] {
      FreeBlock(AllocBlock(1));
      pthread_setspecific(late_key, AllocBlock(5));
    }).join();
  }
  EXPECT_EQ(late_rounds, 60);
  ExpectNothingLeft();
}

// ---- everything at once ----

// Threads that allocate, free their own and each other's blocks, end and begin again, in a random
// order that differs each time the machine schedules it; each block carries a mark from the thread
// that made it to the one that frees it. Under tsan: the marks are plain memory.
void Schedule(unsigned n_threads, unsigned lives, unsigned rounds) {
  std::mutex mutexes[16];
  std::vector<MarkedBlock> exchange[16];
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < n_threads; ++t) {
    threads.emplace_back([&, t] {
      for (unsigned life = 0; life < lives; ++life) {
        std::thread([&, t, life] {
          hak::Random random(1000 * t + life);
          std::vector<MarkedBlock> mine;
          for (unsigned i = 0; i < rounds; ++i) {
            uint64_t action = random.Below(20);
            if (action < 9) {
              unsigned c = static_cast<unsigned>(1 + (random.Below(6) * 11 + random.Below(2)) % 72);
              mine.push_back(AllocMarked(c, random.Next()));
            } else if (action < 15 && !mine.empty()) {
              std::swap(mine[random.Below(mine.size())], mine.back());
              FreeMarked(mine.back());
              mine.pop_back();
            } else if (action < 19) {
              size_t at = random.Below(16);
              std::lock_guard<std::mutex> guard(mutexes[at]);
              mine.swap(exchange[at]);
            } else if (random.Below(40) == 0) {
              hak::DrainThread();
            }
          }
          std::lock_guard<std::mutex> guard(mutexes[t % 16]);
          exchange[t % 16].insert(exchange[t % 16].end(), mine.begin(), mine.end());
        }).join();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& blocks : exchange) {
    for (const MarkedBlock& block : blocks) FreeMarked(block);
  }
  ExpectNothingLeft();
}

constexpr unsigned kRounds = hak::kUnderSanitizer ? 4000 : 30000;

TEST_IN_CHILD(ThreadTest, RandomSchedulesOfTwoThreads) { Schedule(2, 6, kRounds); }
TEST_IN_CHILD(ThreadTest, RandomSchedulesOfEightThreads) { Schedule(8, 4, kRounds / 2); }
TEST_IN_CHILD(ThreadTest, RandomSchedulesOfShortLives) { Schedule(4, 150, 200); }
TEST_IN_CHILD(ThreadTest, RandomSchedulesWithoutAPurgeDelay) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "0"));
  Schedule(4, 20, kRounds / 20);
}
TEST_IN_CHILD(ThreadTest, RandomSchedulesWithTheDirectBackend) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_use_superslab, "0"));
  Schedule(4, 5, kRounds / 10);
}

}  // namespace
