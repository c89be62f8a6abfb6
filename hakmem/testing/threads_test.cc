// Many threads: what they leave when they end, what they cost while they live, and what they keep
// when they fall idle. Bounds are on resident memory, measured in a fresh process.

#include <gtest/gtest.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = size_t{1} << 20;

// Starts a thread with a stack of a size that makes libc keep few of the stacks of ended threads:
// it keeps 40 MiB.
pthread_t Start(void* (*work)(void*), void* argument) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 512 * kKiB);
  pthread_t thread;
  int error = pthread_create(&thread, &attributes, work, argument);
  if (error != 0) {
    dprintf(2, "pthread_create: %s\n", strerror(error));
    _exit(1);
  }
  pthread_attr_destroy(&attributes);
  return thread;
}

void Finish(pthread_t thread) {
  if (pthread_join(thread, nullptr) != 0) _exit(1);
}

// Runs `action`, which prints one number a line, in a child; returns the numbers.
std::vector<size_t> Measure(void (*action)()) {
  Outcome outcome = RunInChild(action);
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.err, "");
  printf("%s", outcome.out.c_str());
  std::vector<size_t> numbers;
  for (const char* at = outcome.out.c_str(); *at != '\0'; at = strchr(at, '\n') + 1) {
    numbers.push_back(strtoull(at, nullptr, 10));
  }
  return numbers;
}

// ---- threads that come and go ----

constexpr int kHanded = 20;
struct Handover {
  void* blocks[kHanded];
};

// Allocates 40 blocks, keeps half for the next thread, and frees what it was given.
void* Relay(void* argument) {
  auto* handover = static_cast<Handover*>(argument);
  for (int i = 0; i < 2 * kHanded; i++) {
    size_t size = static_cast<size_t>(i) * 37 % 1000 + 16;
    void* block = memset(malloc(size), 1, size);
    if (i % 2 == 0) {
      free(handover->blocks[i / 2]);
      handover->blocks[i / 2] = block;
    } else {
      free(block);
    }
  }
  return nullptr;
}

TEST(ThreadsTest, TwentyThousandThatEndLeaveNothing) {
  std::vector<size_t> resident = Measure([] {
    static Handover handovers[8];
    for (int i = 0; i < 20000; i += 8) {
      pthread_t threads[8];
      for (int k = 0; k < 8; k++) threads[k] = Start(Relay, &handovers[k]);
      for (pthread_t thread : threads) Finish(thread);
      if (i == 4000) printf("%zu after 4000\n", ResidentBytes());
    }
    printf("%zu after 20000\n", ResidentBytes());
  });
  ASSERT_EQ(resident.size(), 2u);
  EXPECT_LE(resident[1], resident[0] + 512 * kKiB);  // 33 bytes a thread would be too much
}

// Half of all blocks live on when their threads have ended.
void* Leave(void* argument) {
  auto** kept = static_cast<void**>(argument);
  for (int i = 0; i < 2 * kHanded; i++) {
    size_t size = static_cast<size_t>(i) * 37 % 1000 + 16;
    void* block = memset(malloc(size), 1, size);
    if (i % 2 == 0) {
      kept[i / 2] = block;
    } else {
      free(block);
    }
  }
  return nullptr;
}

TEST(ThreadsTest, MemoryOfTheEndedIsWhatTheirBlocksNeed) {
  std::vector<size_t> bytes = Measure([] {
    constexpr int kThreads = 10000;
    static void* kept[kThreads][kHanded];
    memset(kept, 1, sizeof kept);
    Finish(Start(Relay, calloc(1, sizeof(Handover))));
    size_t before = ResidentBytes();
    for (auto& blocks : kept) Finish(Start(Leave, blocks));
    size_t live = 0;
    for (auto& blocks : kept) {
      for (void* block : blocks) live += malloc_usable_size(block);
    }
    printf("%zu live\n%zu resident\n", live, ResidentBytes() - before);
    for (auto& blocks : kept) {
      for (void* block : blocks) free(block);
    }
    malloc_trim(0);
    printf("%zu after all is freed\n", ResidentBytes() - before);
  });
  ASSERT_EQ(bytes.size(), 3u);
  EXPECT_LE(bytes[1], bytes[0] + bytes[0] / 10 + 4 * kMiB);
  EXPECT_LE(bytes[2], 4 * kMiB);
}

// ---- threads that live ----

pthread_barrier_t barrier;

// Twenty blocks of 16 to 800 bytes, about 8 KB in all.
void* HoldTwenty(void*) {
  void* blocks[20];
  for (int i = 0; i < 20; i++) {
    size_t size = static_cast<size_t>(i + 1) * 40;
    blocks[i] = memset(malloc(size), 1, size);
  }
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  for (void* block : blocks) free(block);
  return nullptr;
}

TEST(ThreadsTest, FourThousandLiveOnesTakeLittleEach) {
  std::vector<size_t> bytes = Measure([] {
    constexpr unsigned kThreads = 4000;
    static pthread_t threads[kThreads];
    memset(threads, 1, sizeof threads);
    pthread_barrier_init(&barrier, nullptr, kThreads + 1);
    free(malloc(100));
    size_t before = ResidentBytes();
    for (pthread_t& thread : threads) thread = Start(HoldTwenty, nullptr);
    pthread_barrier_wait(&barrier);
    printf("%zu a thread\n", (ResidentBytes() - before) / kThreads);
    pthread_barrier_wait(&barrier);
    for (pthread_t thread : threads) Finish(thread);
    malloc_trim(0);
    printf("%zu in all after their end\n", ResidentBytes() - before);
  });
  ASSERT_EQ(bytes.size(), 2u);
  EXPECT_LE(bytes[0], 40 * kKiB);
  EXPECT_LE(bytes[1], 8 * kMiB);
}

// ---- threads that fall idle ----

// A megabyte, of blocks of `*argument` bytes, or of sixteen to a thousand bytes when that is 0.
void* UseAndSleep(void* argument) {
  size_t size = *static_cast<size_t*>(argument);
  // At its size from the beginning: what it grew out of would be of ten more classes.
  std::vector<void*> blocks;
  blocks.reserve(size != 0 ? kMiB / size + 1 : 2200);
  for (size_t bytes = 0; bytes < kMiB;) {
    size_t n = size != 0 ? size : 16 + blocks.size() * 37 % 1008;
    blocks.push_back(memset(malloc(n), 1, n));
    bytes += n;
  }
  for (void* block : blocks) free(block);
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  return nullptr;
}

// A thousand of them: what they keep once they have slept for some purge delays (of a second) while
// somebody else went on, on slow paths.
template <size_t kSize>
void MeasureIdle() {
  constexpr unsigned kThreads = 1000;
  static pthread_t threads[kThreads];
  static size_t size = kSize;
  pthread_barrier_init(&barrier, nullptr, kThreads + 1);
  size_t before = ResidentBytes();
  for (pthread_t& thread : threads) thread = Start(UseAndSleep, &size);
  pthread_barrier_wait(&barrier);
  printf("%zu a thread, fallen idle\n", (ResidentBytes() - before) / kThreads);
  for (int i = 0; i < 50; i++) {
    usleep(100000);
    for (int k = 0; k < 200; k++) free(memset(malloc(100000), 1, 1));
  }
  printf("%zu a thread, after five purge delays\n", (ResidentBytes() - before) / kThreads);
  pthread_barrier_wait(&barrier);
  for (pthread_t thread : threads) Finish(thread);
  malloc_trim(0);
  printf("%zu in all after their end\n", ResidentBytes() - before);
}

// What may be left when all is over: the descriptors of the SuperSlabs that the peak took, and as
// much as those leave that held little.
size_t LeftOver(size_t peak_bytes) { return std::max(peak_bytes / 20, 10 * kMiB); }

// One block, in one or two OS pages, for each class a thread used (32 here); its heap and
// magazines; its stack.
TEST(ThreadsTest, AnIdleThreadKeepsABlockOfEachClass) {
  std::vector<size_t> bytes = Measure(MeasureIdle<0>);
  ASSERT_EQ(bytes.size(), 3u);
  EXPECT_LE(bytes[1], 336 * kKiB);
  EXPECT_LE(bytes[2], LeftOver(1000 * bytes[0]));
}

TEST(ThreadsTest, AnIdleThreadThatUsedOneClassKeepsLittle) {
  std::vector<size_t> bytes = Measure(MeasureIdle<1000>);
  ASSERT_EQ(bytes.size(), 3u);
  EXPECT_LE(bytes[1], 44 * kKiB);
  EXPECT_LE(bytes[2], LeftOver(1000 * bytes[0]));
}

}  // namespace
}  // namespace hakmem_testing
