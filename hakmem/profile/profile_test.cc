// The profiler as a whole: estimates against what was allocated, frees found again, threads, forks,
// and what is written.

extern "C" {
#include "hakmem/heap/sampling.h"
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/profile/samples.h"
#include "hakmem/profile/stacks.h"
}

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "hakmem/testing/support.h"

namespace {

struct Sum {
  double samples = 0, objects = 0, bytes = 0;
};

Sum Total(hak_tally_kind_t kind) {
  Sum sum;
  for (const hak_stack_t* at = hak_stacks_all(); at != nullptr; at = at->next) {
    hak_tally_t tallies[HAK_N_TALLIES];
    hak_samples_tallies(at, tallies);
    sum.samples += static_cast<double>(tallies[kind].samples);
    sum.objects += static_cast<double>(tallies[kind].objects) / (1 << HAK_OBJECTS_SHIFT);
    sum.bytes += static_cast<double>(tallies[kind].bytes);
  }
  return sum;
}

// In all classes of lifetimes together.
double FreedBytes() {
  double bytes = 0;
  for (int kind = HAK_TALLY_FREED_1MS; kind < HAK_N_TALLIES; ++kind) {
    bytes += Total(static_cast<hak_tally_kind_t>(kind)).bytes;
  }
  return bytes;
}

// ---- estimates against what was allocated ----

constexpr size_t kInterval = 4096;

// What a program has allocated, and what of it lives.
struct Exact {
  double all = 0, live = 0;  // bytes
};

// Errors of estimates, as shares of what was allocated: each of another seed, and so of other pages
// that are watched. Their mean is within a few standard errors of 0, by what they vary themselves;
// and these are small enough that a bias would show.
class Errors {
 public:
  void Add(double error) {
    n_++;
    sum_ += error;
    squares_ += error * error;
  }
  void ExpectNoBias(const std::string& what, double least_seen = 0.2) const {
    double mean = sum_ / n_;
    double standard_error = std::sqrt((squares_ / n_ - mean * mean) / n_);
    if (std::getenv("SHOW_ERRORS") != nullptr) {
      printf("%-28s mean %+.4f, standard error %.4f\n", what.c_str(), mean, standard_error);
    }
    // A sanitizer has time for a few seeds only, which say too little.
    if (hak::kUnderSanitizer) return;
    // (And 0.5 %: where most are sampled a token finds no room now and then, see sampling.h.)
    EXPECT_LE(std::fabs(mean), 4.5 * standard_error + 0.005) << what;
    EXPECT_LE(4.5 * standard_error, least_seen) << what << ": it says too little";
  }

 private:
  double n_ = 0, sum_ = 0, squares_ = 0;
};

// Blocks that the program keeps, and the count of all it had.
class Program {
 public:
  ~Program() { FreeAll(); }
  void Alloc(size_t size) {
    blocks_.push_back(hak_malloc(size));
    double bytes = static_cast<double>(hak_good_size(size));
    exact_.all += bytes;
    exact_.live += bytes;
  }
  void FreeAt(size_t i) {
    exact_.live -= static_cast<double>(hak_usable_size(blocks_[i]));
    hak_free(blocks_[i]);
    blocks_[i] = blocks_.back();
    blocks_.pop_back();
  }
  void FreeLast() { FreeAt(blocks_.size() - 1); }
  void FreeAll() {
    while (!blocks_.empty()) FreeLast();
  }
  size_t Count() const { return blocks_.size(); }
  const Exact& Had() const { return exact_; }

 private:
  Exact exact_;
  std::vector<void*> blocks_;
};

// How many seeds to go through.
int Seeds(int n) { return hak::kUnderSanitizer ? n / 50 : n; }

using Pattern = void (*)(Program& program, size_t size, hak::Random& random);

// One block, again and again: as a magazine holds it, the last that was freed.
void Churn(Program& program, size_t size, hak::Random&) {
  for (int i = 0; i < 200; ++i) {
    program.Alloc(size);
    program.FreeLast();
  }
  program.Alloc(size);
}

// Many, and all of them freed: refills, overflows, and pops of what was freed long before.
void Waves(Program& program, size_t size, hak::Random&) {
  for (int i = 0; i < 3; ++i) {
    program.FreeAll();
    for (int k = 0; k < 300; ++k) program.Alloc(size);
  }
}

// Any of a working set.
void Mixed(Program& program, size_t size, hak::Random& random) {
  for (int i = 0; i < 1000; ++i) {
    if (program.Count() != 0 && random.Below(100) < program.Count()) {
      program.FreeAt(random.Below(program.Count()));
    } else {
      program.Alloc(size);
    }
  }
}

void MixedSizes(Program& program, size_t size, hak::Random& random) {
  for (int i = 0; i < 1000; ++i) {
    if (program.Count() != 0 && random.Below(200) < program.Count()) {
      program.FreeAt(random.Below(program.Count()));
    } else {
      program.Alloc(random.LogUniform(size));
    }
  }
}

// A stack of blocks that goes up and down.
void UpAndDown(Program& program, size_t size, hak::Random& random) {
  for (int i = 0; i < 1000; ++i) {
    bool is_up = random.Below(40) + 20 * static_cast<unsigned>(i / 100 % 2) > program.Count();
    if (is_up || program.Count() == 0) {
      program.Alloc(size);
    } else {
      program.FreeLast();
    }
  }
}

void ExpectNoBias(const char* name, Pattern pattern, size_t size, size_t interval, int seeds,
                  double least_seen = 0.2) {
  Errors all_errors, live_errors;
  hak::Random random(1);
  Sum before_all = Total(HAK_TALLY_ALLOC), before_live = Total(HAK_TALLY_INUSE);
  for (int seed = 0; seed < Seeds(seeds); ++seed) {
    hak_sampling_begin(interval, static_cast<uint64_t>(seed));
    Program program;
    pattern(program, size, random);
    Sum all = Total(HAK_TALLY_ALLOC), live = Total(HAK_TALLY_INUSE);
    Exact exact = program.Had();
    all_errors.Add((all.bytes - before_all.bytes - exact.all) / exact.all);
    live_errors.Add((live.bytes - before_live.bytes - exact.live) / exact.all);
    program.FreeAll();
    before_all = Total(HAK_TALLY_ALLOC);
    before_live = Total(HAK_TALLY_INUSE);
  }
  std::string what = std::string(name) + " of " + std::to_string(size);
  all_errors.ExpectNoBias(what + ", all", least_seen);
  live_errors.ExpectNoBias(what + ", live", least_seen);
  EXPECT_EQ(before_live.samples, 0) << what;
  EXPECT_EQ(before_live.bytes, 0) << what;
  EXPECT_EQ(before_live.objects, 0) << what;
  EXPECT_EQ(FreedBytes(), before_all.bytes) << what;
}

TEST_IN_CHILD(Profile, EstimatesOfOneClassAreUnbiased) {
  ASSERT_TRUE(hak_profile_start(kInterval));
  for (size_t size : {16u, 100u, 1000u, 5000u, 30000u}) {
    // One allocation in 20 is sampled, of one page in five.
    size_t interval = 20 * size;
    ExpectNoBias("one block", Churn, size, interval, 4000);
    ExpectNoBias("waves", Waves, size, interval, 2500);
    ExpectNoBias("a working set", Mixed, size, interval, 3000);
    ExpectNoBias("up and down", UpAndDown, size, interval, 3000);
  }
}

// Of one page in 64 one allocation in four, and nearly all.
TEST_IN_CHILD(Profile, EstimatesOfRareAndOfFrequentSamplesAreUnbiased) {
  ASSERT_TRUE(hak_profile_start(kInterval));
  ExpectNoBias("rare: one block", Churn, 16, 4096, 30000, 0.3);
  ExpectNoBias("rare: waves", Waves, 16, 4096, 5000, 0.5);
  ExpectNoBias("frequent: one block", Churn, 5000, 4096, 1000);
  ExpectNoBias("frequent: up and down", UpAndDown, 5000, 4096, 500);
}

TEST_IN_CHILD(Profile, EstimatesOfManyClassesAreUnbiased) {
  ASSERT_TRUE(hak_profile_start(kInterval));
  ExpectNoBias("small sizes", MixedSizes, 30000, kInterval, 500);
  ExpectNoBias("all sizes", MixedSizes, 300000, 100000, 400);
}

// With a long interval, so that what is drawn is not certain.
TEST_IN_CHILD(Profile, EstimatesOfLargeBlocksAreUnbiased) {
  ASSERT_TRUE(hak_profile_start(kInterval));
  for (size_t size : {40000u, 300000u, 3u << 20}) {
    Errors all_errors, live_errors;
    for (int seed = 0; seed < Seeds(500); ++seed) {
      hak_sampling_begin(2 * size, static_cast<uint64_t>(seed));
      Sum all = Total(HAK_TALLY_ALLOC), live = Total(HAK_TALLY_INUSE);
      Program program;
      for (int i = 0; i < 10; ++i) {
        program.Alloc(size);
        program.FreeLast();
        program.Alloc(size);
      }
      all_errors.Add((Total(HAK_TALLY_ALLOC).bytes - all.bytes) / program.Had().all - 1);
      live_errors.Add((Total(HAK_TALLY_INUSE).bytes - live.bytes) / program.Had().live - 1);
      program.FreeAll();
      EXPECT_EQ(Total(HAK_TALLY_INUSE).bytes, 0);
    }
    all_errors.ExpectNoBias("all of " + std::to_string(size));
    live_errors.ExpectNoBias("live of " + std::to_string(size));
  }
}

// What is in magazines when it starts is what the program goes on with.
TEST_IN_CHILD(Profile, EstimatesAreUnbiasedFromTheStartOn) {
  Program before;
  for (int i = 0; i < 5000; ++i) before.Alloc(1000);
  Errors errors;
  for (int seed = 0; seed < Seeds(300); ++seed) {
    for (int i = 0; i < 400; ++i) before.FreeLast();
    ASSERT_TRUE(hak_profile_start(kInterval));
    Sum all = Total(HAK_TALLY_ALLOC);
    Exact had = before.Had();
    for (int i = 0; i < 400; ++i) before.Alloc(1000);
    double bytes = before.Had().all - had.all;
    errors.Add((Total(HAK_TALLY_ALLOC).bytes - all.bytes) / bytes - 1);
    hak_profile_stop();
  }
  errors.ExpectNoBias("from the start on");
}

// Two threads that allocate, and free what the other has allocated.
TEST_IN_CHILD(Profile, EstimatesOfTwoThreadsAreUnbiased) {
  ASSERT_TRUE(hak_profile_start(kInterval));
  for (size_t size : {32u, 200u, 3000u}) {
    hak_sampling_begin(20 * size, size);
    constexpr int kBlocks = 400;
    const int rounds = 2 * Seeds(500);
    std::vector<void*> mine(kBlocks), theirs(kBlocks);
    auto turn = [&](std::vector<void*>& take, std::vector<void*>& give) {
      for (void*& block : take) hak_free(std::exchange(block, nullptr));
      for (void*& block : give) block = hak_malloc(size);
    };
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, nullptr, 2);
    std::thread other([&] {
      for (int round = 0; round < rounds; ++round) {
        pthread_barrier_wait(&barrier);
        if (round % 2 == 0) turn(theirs, theirs);
        if (round % 2 == 1) turn(mine, mine);
        pthread_barrier_wait(&barrier);
      }
    });
    Errors errors;
    double bytes = 2.0 * kBlocks * static_cast<double>(hak_good_size(size));
    for (int round = 0; round < rounds; ++round) {
      hak_sampling_draw_pages();
      Sum all = Total(HAK_TALLY_ALLOC);
      pthread_barrier_wait(&barrier);
      if (round % 2 == 0) turn(mine, mine);
      if (round % 2 == 1) turn(theirs, theirs);
      pthread_barrier_wait(&barrier);
      errors.Add((Total(HAK_TALLY_ALLOC).bytes - all.bytes) / bytes - 1);
    }
    other.join();
    errors.ExpectNoBias("two threads, " + std::to_string(size), 0.25);
    for (void* block : mine) hak_free(block);
    for (void* block : theirs) hak_free(block);
    pthread_barrier_destroy(&barrier);
  }
  EXPECT_EQ(Total(HAK_TALLY_INUSE).bytes, 0);
}

// ---- what is known of each block ----

// With an interval of one byte every allocation is a sample, which is exact.
TEST_IN_CHILD(Profile, AtOneByteEverythingIsExact) {
  ASSERT_TRUE(hak_profile_start(1));
  Sum before = Total(HAK_TALLY_INUSE);
  std::vector<void*> blocks;
  double bytes = 0;
  for (size_t size = 1; size < 300000; size += 1 + size / 3) {
    blocks.push_back(hak_malloc(size));
    bytes += static_cast<double>(hak_usable_size(blocks.back()));
    EXPECT_EQ(hak_usable_size(blocks.back()), hak_good_size(size));
  }
  EXPECT_EQ(Total(HAK_TALLY_INUSE).samples - before.samples, static_cast<double>(blocks.size()));
  EXPECT_NEAR(Total(HAK_TALLY_INUSE).bytes - before.bytes, bytes, bytes * 1e-6);
  for (void*& block : blocks) block = hak_realloc(block, 3 * hak_usable_size(block));
  EXPECT_EQ(Total(HAK_TALLY_INUSE).samples - before.samples, static_cast<double>(blocks.size()));
  EXPECT_NEAR(Total(HAK_TALLY_INUSE).bytes - before.bytes, 3 * bytes, bytes * 0.4);
  size_t i = 0;
  for (void* block : blocks) {
    hak_super_info info;
    EXPECT_TRUE(hak_super_lookup(block, &info));
    EXPECT_EQ(info.block_base, reinterpret_cast<uintptr_t>(block));
    if (i++ % 2 == 0) {
      hak_free_sized(block, hak_usable_size(block));
    } else {
      hak_free(block);
    }
  }
  EXPECT_EQ(Total(HAK_TALLY_INUSE).samples, before.samples);
  hak_profile_stop();
}

// The sampler of this thread is exact at one byte.
TEST_IN_CHILD(Profile, ThePeakIsWhatLivedThen) {
  ASSERT_TRUE(hak_profile_start(1));
  auto peak = [] { return Total(HAK_TALLY_PEAK).bytes; };
  double bytes = static_cast<double>(hak_good_size(1000));
  void* blocks[30];
  for (int i = 0; i < 20; ++i) blocks[i] = hak_malloc(1000);
  EXPECT_EQ(peak(), 20 * bytes);
  for (int i = 0; i < 15; ++i) hak_free(blocks[i]);
  EXPECT_EQ(peak(), 20 * bytes);
  // Of other stacks, which live while there is less than there was; and then more.
  for (int i = 0; i < 14; ++i) blocks[i] = hak_malloc(1000);
  EXPECT_EQ(peak(), 20 * bytes);
  EXPECT_EQ(Total(HAK_TALLY_INUSE).bytes, 19 * bytes);
  void* large = hak_malloc(100000);
  double largest = static_cast<double>(hak_good_size(100000));
  EXPECT_EQ(peak(), 19 * bytes + largest);
  hak_free(large);
  for (int i = 0; i < 14; ++i) hak_free(blocks[i]);
  for (int i = 15; i < 20; ++i) hak_free(blocks[i]);
  EXPECT_EQ(Total(HAK_TALLY_INUSE).bytes, 0);
  EXPECT_EQ(peak(), 19 * bytes + largest);
  hak_profile_stop();
}

// Of each stack, what it had when all had most.
TEST_IN_CHILD(Profile, ThePeakOfEachStackIsOfOneMoment) {
  ASSERT_TRUE(hak_samples_start());
  struct Block {
    uintptr_t stack;
    uint64_t bytes;
  };
  std::map<uint64_t, Block> live;
  std::map<uintptr_t, uint64_t> now, at_peak;
  uint64_t sum = 0, most = 0;
  hak::Random random(3);
  for (uint64_t i = 1; i <= 20000; ++i) {
    bool is_growing = i / 1000 % 2 == 0;
    if (live.empty() || random.Below(100) < (is_growing ? 60 : 45)) {
      Block block = {1 + random.Below(20), 16 * (1 + random.Below(100))};
      hak_profile_sample_t sample = {};
      sample.block = reinterpret_cast<void*>(i << 16);
      sample.stand_in = &sample;
      sample.objects = 1;
      sample.bytes = block.bytes;
      ASSERT_TRUE(hak_samples_add(&sample, &block.stack, 1));
      live[i] = block;
      now[block.stack] += block.bytes;
      sum += block.bytes;
      if (sum > most) {
        most = sum;
        at_peak = now;
      }
    } else {
      auto at = live.lower_bound(random.Below(i));
      if (at == live.end()) at = live.begin();
      hak_profile_sample_t sample = {};
      sample.block = reinterpret_cast<void*>(at->first << 16);
      ASSERT_TRUE(hak_samples_remove(&sample));
      now[at->second.stack] -= at->second.bytes;
      sum -= at->second.bytes;
      live.erase(at);
    }
    if (i % 100 != 0) continue;
    for (const hak_stack_t* at = hak_stacks_all(); at != nullptr; at = at->next) {
      hak_tally_t tallies[HAK_N_TALLIES];
      hak_samples_tallies(at, tallies);
      ASSERT_EQ(tallies[HAK_TALLY_PEAK].bytes, at_peak[at->frames[0]]) << i;
      ASSERT_EQ(tallies[HAK_TALLY_INUSE].bytes, now[at->frames[0]]) << i;
    }
  }
}

// (How long a block has lived at least is certain, how long at most is not.)
TEST_IN_CHILD(Profile, LifetimesAreThoseOfTheBlocks) {
  ASSERT_TRUE(hak_profile_start(1));
  double bytes = static_cast<double>(hak_good_size(1000));
  void* stays = hak_malloc(1000);
  for (int i = 0; i < 10; ++i) hak_free(hak_malloc(1000));
  EXPECT_EQ(FreedBytes(), 10 * bytes);
  double within_1ms = Total(HAK_TALLY_FREED_1MS).bytes;
  void* block = hak_malloc(1000);
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  hak_free(block);
  EXPECT_EQ(FreedBytes(), 11 * bytes);
  EXPECT_EQ(Total(HAK_TALLY_FREED_1MS).bytes, within_1ms);
  double within_1s = Total(HAK_TALLY_FREED_1S).bytes;
  block = hak_malloc(100000);
  std::this_thread::sleep_for(std::chrono::milliseconds(1001));
  hak_free(block);
  EXPECT_EQ(FreedBytes(), 11 * bytes + static_cast<double>(hak_good_size(100000)));
  EXPECT_EQ(Total(HAK_TALLY_FREED_1MS).bytes, within_1ms);
  EXPECT_EQ(Total(HAK_TALLY_FREED_1S).bytes, within_1s);
  EXPECT_EQ(Total(HAK_TALLY_INUSE).bytes, bytes);
  hak_free(stays);
  hak_profile_stop();
}

// A sampled block and its stand-in are one; what is cached, with tokens or without, is not live.
TEST_IN_CHILD(Profile, FiguresOfTheAllocatorStayRight) {
  hak::Random random(7);
  std::vector<void*> blocks(2000);
  double bytes = 0;
  for (size_t interval : {1u, 300u, 20000u, 0u}) {
    if (interval == 0) hak_profile_stop();
    ASSERT_TRUE(interval == 0 || hak_profile_start(interval));
    for (int i = 0; i < 20000; ++i) {
      void*& block = blocks[random.Below(blocks.size())];
      bytes -= static_cast<double>(hak_usable_size(block));
      hak_free(block);
      block = i % 3 == 0 ? nullptr : hak_malloc(random.LogUniform(30000));
      bytes += static_cast<double>(hak_usable_size(block));
    }
    hak_stats stats;
    hak_stats_get(&stats, sizeof stats);
    EXPECT_EQ(static_cast<double>(stats.allocated_bytes), bytes) << interval;
    hak_retention retention;
    hak_retention_get(&retention, sizeof retention);
    EXPECT_EQ(retention.live_bytes, stats.allocated_bytes);
  }
  for (void* block : blocks) hak_free(block);
  hak_stats stats;
  hak_stats_get(&stats, sizeof stats);
  EXPECT_EQ(stats.allocated_bytes, 0u);
}

TEST_IN_CHILD(Profile, WhatIsSampledIsFoundAgainAfterTheStop) {
  ASSERT_TRUE(hak_profile_start(1));
  void* block = hak_malloc(100);
  void* span = hak_malloc(100000);
  hak_profile_stop();
  EXPECT_EQ(Total(HAK_TALLY_INUSE).samples, 2);
  void* other = hak_malloc(100);
  EXPECT_EQ(Total(HAK_TALLY_INUSE).samples, 2);
  hak_free(block);
  hak_free(span);
  hak_free(other);
  EXPECT_EQ(Total(HAK_TALLY_INUSE).samples, 0);
}

// As C may call it.
extern "C" bool DumpAnyKind(const char* path, int kind) __asm__("hak_profile_dump");

TEST_IN_CHILD(Profile, Arguments) {
  EXPECT_FALSE(hak_profile_start(0));
  EXPECT_EQ(errno, EINVAL);
  EXPECT_FALSE(hak_profile_start((size_t{1} << 30) + 1));
  EXPECT_FALSE(DumpAnyKind("/dev/null", 4));
  EXPECT_EQ(errno, EINVAL);
  EXPECT_FALSE(hak_profile_dump("/no/such/folder/file", HAK_PROFILE_PPROF));
  EXPECT_EQ(errno, ENOENT);
  hak_profile_stop();  // it had not begun
}

TEST(ProfileDeathTest, MisuseOfASampledBlock) {
  EXPECT_DEATH(
      {
        (void)hak_profile_start(1);
        char* block = static_cast<char*>(hak_malloc(100));
        void* stays = hak_malloc(100);
        hak_free(block);
        hak_free(block);
        hak_free(stays);
      },
      "double free");
  EXPECT_DEATH(
      {
        (void)hak_profile_start(1);
        hak_free(static_cast<char*>(hak_malloc(100)) + 16);
      },
      "free of a pointer inside a block");
}

// Blocks that one thread allocates, samples or not, another frees, while the profiler starts and
// stops.
TEST_IN_CHILD(Profile, ThreadsAllocateWhileItStartsAndStops) {
  std::atomic<bool> is_over{false};
  std::atomic<void*> slots[64] = {};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      hak::Random random(t);
      while (!is_over) {
        void* block = hak_malloc(random.LogUniform(100000));
        hak_free(slots[random.Below(64)].exchange(block));
      }
    });
  }
  for (int i = 0; i < 30; ++i) {
    EXPECT_TRUE(hak_profile_start(i % 2 == 0 ? 1 : 2048));
    EXPECT_TRUE(hak_profile_dump("/dev/null", HAK_PROFILE_PPROF));
    std::this_thread::yield();
    hak_profile_stop();
  }
  EXPECT_TRUE(hak_profile_start(512));
  is_over = true;
  for (std::thread& thread : threads) thread.join();
  for (std::atomic<void*>& slot : slots) hak_free(slot.exchange(nullptr));
  EXPECT_EQ(Total(HAK_TALLY_INUSE).samples, 0);
  EXPECT_EQ(Total(HAK_TALLY_INUSE).bytes, 0);
}

// Children made while other threads take samples, hold the locks and unwind.
TEST_IN_CHILD(Profile, AChildGoesOn) {
  if (hak::kUnderSanitizer) return;  // tsan takes what threads that are gone did for races
  ASSERT_TRUE(hak_profile_start(64));
  std::atomic<bool> is_over{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      while (!is_over) {
        hak_free(hak_malloc(300));
        hak_free(hak_malloc(50000));
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(hak::PassesAfter(i % 2 == 0 ? fork : hak::BareFork, [] {
      for (int k = 0; k < 100; ++k) hak_free(hak_malloc(300));
      EXPECT_TRUE(hak_profile_dump("/dev/null", HAK_PROFILE_LIVE_STACKS));
    }));
  }
  is_over = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
