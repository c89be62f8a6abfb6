// Little memory, and the little of it that the allocator may waste: address space limits, requests
// that cannot be met, the number of mappings.

#include <errno.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Checks made in a child: the first that fails is told on stderr, and ends it.
#define REQUIRE(condition)                                       \
  do {                                                           \
    if (!(condition)) {                                          \
      dprintf(2, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      _exit(1);                                                  \
    }                                                            \
  } while (0)

template <typename T>
T Opaque(T value) {
  asm volatile("" : "+r"(value) : : "memory");
  return value;
}

void LimitAddressSpace(size_t more) {
  size_t now = StatusBytes("/proc/self/status", "\nVmSize");
  rlimit limit = {now + more, RLIM_INFINITY};
  REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
}

// Allocates blocks of `size` until there are no more, in a list through the blocks themselves.
// Returns how many.
size_t Exhaust(size_t size, void*** list) {
  size_t n = 0;
  for (;;) {
    errno = 0;
    auto** block = static_cast<void**>(malloc(Opaque(size)));
    if (block == nullptr) {
      REQUIRE(errno == ENOMEM);
      return n;
    }
    *block = *list;
    *list = block;
    n++;
  }
}

void FreeAll(void*** list) {
  while (*list != nullptr) {
    void** block = *list;
    *list = static_cast<void**>(*block);
    free(block);
  }
}

// The address space that a block of `size` bytes takes: large ones come in pages of 64 KiB, huge
// ones in SuperSlabs of 2 MiB.
size_t Footprint(size_t size) {
  size_t unit = size <= 32 * 1024 ? 16 : size <= kMiB ? 64 * 1024 : 2 * kMiB;
  return (size + unit - 1) / unit * unit;
}

class AddressSpaceTest : public testing::TestWithParam<size_t> {};

// NULL comes when the address space has gone, not before, and goes when memory is freed.
TEST_P(AddressSpaceTest, IsUsedUpAndUsableAgain) {
  size_t room = GetParam() * kMiB;
  for (size_t size : {size_t{64}, size_t{1000}, size_t{30000}, size_t{200000}, size_t{3} << 20}) {
    Outcome outcome = RunInChild([&] {
      LimitAddressSpace(room);
      void** list = nullptr;
      size_t n = Exhaust(size, &list);
      dprintf(1, "%zu", n * Footprint(size) * 100 / room);
      for (int round = 0; round < 3; round++) {
        FreeAll(&list);
        size_t again = Exhaust(size, &list);
        REQUIRE(again >= n - n / 20);
      }
      // Other sizes are served from what was freed.
      FreeAll(&list);
      for (size_t other : {size_t{16}, size_t{5000}, size_t{100000}, kMiB}) {
        free(memset(malloc(Opaque(other)), 1, other));
      }
    });
    EXPECT_TRUE(outcome.Succeeded()) << size << ": " << outcome;
    EXPECT_EQ(outcome.err, "");
    EXPECT_GE(atoi(outcome.out.c_str()), 80) << "percent of the room, with blocks of " << size;
  }
}

INSTANTIATE_TEST_SUITE_P(MiB, AddressSpaceTest, testing::Values(64, 256),
                         testing::PrintToStringParamName());

TEST(LimitsTest, ThreadsRunDryTogetherAndRecover) {
  Outcome outcome = RunInChild([] {
    std::vector<std::thread> threads;
    std::atomic<int> ready{0};
    std::atomic<bool> limited{false};
    for (int i = 0; i < 8; i++) {
      threads.emplace_back([&, i] {
        ready++;
        while (!limited) usleep(100);
        for (int round = 0; round < 3; round++) {
          void** list = nullptr;
          size_t size = size_t{500} << (i % 4 * 3);
          for (int k = 0; k < 100000; k++) {
            auto** block = static_cast<void**>(malloc(Opaque(size)));
            if (block == nullptr) break;
            *block = list;
            list = block;
          }
          REQUIRE(list != nullptr || errno == ENOMEM);
          FreeAll(&list);
        }
      });
    }
    while (ready != 8) usleep(100);
    LimitAddressSpace(100 * kMiB);
    limited = true;
    for (std::thread& thread : threads) thread.join();
    REQUIRE(malloc(Opaque(20 * kMiB)) != nullptr);
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

TEST(LimitsTest, ThreadsCanStartWhereMemoryIsShort) {
  Outcome outcome = RunInChild([] {
    LimitAddressSpace(128 * kMiB);
    void* kept[64];
    for (void*& block : kept) block = malloc(1000);
    // Eight stacks of 8 MiB fit beside what the allocator has taken.
    pthread_t threads[8];
    for (pthread_t& thread : threads) {
      REQUIRE(pthread_create(
                  &thread, nullptr, [](void*) { return malloc(Opaque(100)); }, nullptr) == 0);
    }
    for (pthread_t thread : threads) {
      void* block = nullptr;
      REQUIRE(pthread_join(thread, &block) == 0);
      REQUIRE(block != nullptr);
      free(block);
    }
    for (void* block : kept) free(block);
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

TEST(LimitsTest, TerabyteFailsAtOnceAndHarmsNothing) {
  if (ReadFile("/proc/sys/vm/overcommit_memory")[0] == '1') {
    GTEST_SKIP() << "the kernel grants any address space here";
  }
  size_t before = ResidentBytes();
  for (int i = 0; i < 1000; i++) {
    errno = 0;
    ASSERT_EQ(malloc(Opaque(size_t{1} << 40)), nullptr);
    ASSERT_EQ(errno, ENOMEM);
    ASSERT_EQ(calloc(Opaque(size_t{1} << 20), size_t{1} << 20), nullptr);
  }
  EXPECT_LE(ResidentBytes(), before + kMiB);
  free(memset(malloc(Opaque(100)), 1, 100));
}

// vm.max_map_count is 65530: an allocator that leaves a mapping for every hole comes to it.
TEST(LimitsTest, MappingsStayFewUnderChurn) {
  Outcome outcome = RunInChild([] {
    size_t before = MappingCount();
    constexpr size_t kSlots = 600;
    static void* slots[kSlots];
    uint64_t random = 1;
    size_t most = 0;
    for (int i = 0; i < 60000; i++) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      void*& slot = slots[random >> 33 & 511];
      size_t bits = random >> 50 & 15;
      size_t size = (size_t{256} << bits) + (random >> 20 & 255);
      if (random >> 60 < 6) {
        slot = realloc(slot, size);
        REQUIRE(slot != nullptr);
      } else {
        free(slot);
        slot = malloc(size);
        REQUIRE(slot != nullptr);
      }
      if (i % 5000 == 0) {
        malloc_trim(0);
        most = std::max(most, MappingCount());
      }
    }
    for (void* slot : slots) free(slot);
    malloc_trim(0);
    dprintf(1, "%zu at most, %zu in the end, %zu at first", most, MappingCount(), before);
    REQUIRE(most <= before + 200);
    REQUIRE(MappingCount() <= before + 100);
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

}  // namespace
}  // namespace hakmem_testing
