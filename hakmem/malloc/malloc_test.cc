// The contract of include/hakmem/hakmem.h, function by function.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/options/events.h"
#include "hakmem/superslab/spare.h"
#include "hakmem/thread/thread.h"
}

namespace {

constexpr size_t kKib = 1024, kMib = 1024 * kKib;
constexpr size_t kPtrdiffMax = PTRDIFF_MAX;

// Keeps the compiler from knowing sizes, and from judging them.
template <typename T>
T Hide(T value) {
  asm volatile("" : "+r"(value));
  return value;
}

std::vector<size_t> Sizes() {
  std::vector<size_t> sizes = {0, 1, 15, 16, 17, 100, 1023, 1024, 1025};
  for (size_t edge : {32 * kKib, 64 * kKib, kMib, 2 * kMib, 5 * kMib}) {
    sizes.insert(sizes.end(), {edge - 1, edge, edge + 1});
  }
  return sizes;
}

bool IsFilledWith(const char* p, size_t size, char value) {
  return std::all_of(p, p + size, [value](char c) { return c == value; });
}

bool IsAligned(const void* p, size_t alignment) {
  return reinterpret_cast<uintptr_t>(p) % alignment == 0;
}

hak_stats Stats() {
  hak_stats stats = {};
  EXPECT_TRUE(hak_stats_get(&stats, sizeof stats));
  return stats;
}

// ---- sizes ----

TEST(MallocTest, BlocksAreAlignedLargeEnoughAndUsableToTheLastByte) {
  for (size_t size : Sizes()) {
    auto* p = static_cast<char*>(hak_malloc(size));
    ASSERT_NE(p, nullptr);
    EXPECT_TRUE(IsAligned(p, 16));
    EXPECT_GE(hak_usable_size(p), size);
    EXPECT_EQ(hak_usable_size(p), hak_good_size(size)) << size;
    memset(p, 1, hak_usable_size(p));
    hak_free(p);
  }
}

TEST(MallocTest, GoodSizeIsAFixedPoint) {
  for (size_t size = 0; size < 3 * kMib; size += size < 40000 ? 1 : 4099) {
    size_t good = hak_good_size(size);
    ASSERT_GE(good, size);
    ASSERT_EQ(hak_good_size(good), good);
  }
  EXPECT_EQ(hak_good_size(kPtrdiffMax + 1), 0u);
  EXPECT_EQ(hak_good_size(SIZE_MAX), 0u);
}

TEST(MallocTest, ClassesAnswerForTheirSizes) {
  unsigned c = 1;
  for (; hak_class_size(c) != 0; ++c) {
    size_t size = hak_class_size(c);
    EXPECT_EQ(hak_size_class(size), c);
    EXPECT_EQ(hak_size_class(size + 1), hak_class_size(c + 1) != 0 ? c + 1 : 0);
    void* p = hak_malloc(size);
    EXPECT_EQ(hak_usable_size(p), size);
    hak_free(p);
  }
  EXPECT_GT(c, 10u);
  EXPECT_EQ(hak_class_size(0), 0u);
  EXPECT_EQ(hak_class_size(UINT_MAX), 0u);
  EXPECT_EQ(hak_size_class(SIZE_MAX), 0u);
}

TEST(MallocTest, UsableSizeOfNothingIsNothing) { EXPECT_EQ(hak_usable_size(nullptr), 0u); }

// ---- errors ----

TEST(MallocTest, WhatCannotBeIsEnomem) {
  auto* kept = static_cast<char*>(hak_malloc(100));
  memset(kept, 7, 100);
  auto expect = [&](const char* what, auto call) {
    errno = 0;
    EXPECT_EQ(call(), nullptr) << what;
    EXPECT_EQ(errno, ENOMEM) << what;
    EXPECT_TRUE(IsFilledWith(kept, 100, 7)) << what;
  };
  for (size_t size : {kPtrdiffMax, kPtrdiffMax + 1, SIZE_MAX, SIZE_MAX - 4096, kPtrdiffMax - 4096,
                      size_t{1} << 53, (size_t{1} << 53) + 2 * kMib, size_t{1} << 62}) {
    size = Hide(size);
    SCOPED_TRACE(size);
    expect("malloc", [=] { return hak_malloc(size); });
    expect("calloc", [=] { return hak_calloc(1, size); });
    expect("calloc", [=] { return hak_calloc(size, 1); });
    expect("realloc of nothing", [=] { return hak_realloc(nullptr, size); });
    expect("realloc", [=] { return hak_realloc(kept, size); });
    expect("reallocarray", [=] { return hak_reallocarray(kept, 1, size); });
    expect("aligned_alloc", [=] { return hak_aligned_alloc(16, size); });
    expect("aligned_alloc", [=] { return hak_aligned_alloc(4096, size); });
    expect("aligned_alloc", [=] { return hak_aligned_alloc(8 * kMib, size); });
    expect("memalign", [=] { return hak_memalign(64, size); });
  }
  for (size_t alignment : {size_t{1} << 48, size_t{1} << 61, size_t{1} << 62, size_t{1} << 63}) {
    alignment = Hide(alignment);
    SCOPED_TRACE(alignment);
    expect("aligned_alloc", [=] { return hak_aligned_alloc(alignment, 1); });
    expect("memalign", [=] { return hak_memalign(alignment, 1); });
  }
  size_t half = Hide(size_t{1} << 33);
  expect("calloc overflow", [=] { return hak_calloc(half, half); });
  expect("calloc overflow", [=] { return hak_calloc(Hide(SIZE_MAX), 2); });
  expect("reallocarray overflow", [=] { return hak_reallocarray(kept, half, half); });
  hak_free(kept);
}

TEST(MallocTest, SuccessAndFreeKeepErrno) {
  for (size_t size : Sizes()) {
    errno = E2BIG;
    void* p = hak_malloc(size);
    hak_free(p);
    p = hak_realloc(hak_calloc(1, size + 1), size + 100);
    hak_free(p);
    hak_free(hak_aligned_alloc(4096, size));
    EXPECT_EQ(errno, E2BIG) << size;
  }
  hak_free(nullptr);
  EXPECT_EQ(errno, E2BIG);
}

TEST_IN_CHILD(MallocTest, ARefusingKernelIsEnomemAndNotForEver) {
  void* kept = hak_malloc(100);
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, EAGAIN));
    std::vector<void*> blocks;
    errno = 0;
    while (void* p = hak_malloc(300 * kKib)) blocks.push_back(p);
    EXPECT_EQ(errno, ENOMEM);
    errno = 0;
    EXPECT_EQ(hak_calloc(1, 100 * kMib), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    errno = 0;
    EXPECT_EQ(hak_realloc(kept, 100 * kMib), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    void* out = kept;
    errno = E2BIG;
    EXPECT_EQ(hak_posix_memalign(&out, 64, 100 * kMib), ENOMEM);
    EXPECT_EQ(out, kept);
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_FALSE(blocks.empty());
    for (void* p : blocks) hak_free(p);
    void* again = hak_malloc(300 * kKib);
    EXPECT_NE(again, nullptr);
    hak_free(again);
  }
  void* p = hak_malloc(100 * kMib);
  EXPECT_NE(p, nullptr);
  hak_free(p);
  hak_free(kept);
}

// Of those that came after the process's first `seen` events.
int64_t EventsOfOutOfMemory(uint64_t seen) {
  hak_event_t events[HAK_EVENT_RING];
  size_t n = hak_events_read(events, HAK_EVENT_RING);
  return std::count_if(events, events + n, [seen](const hak_event_t& e) {
    return e.sequence > seen && e.kind == HAK_EVENT_OUT_OF_MEMORY;
  });
}

// What the threads' caches hold is memory too, their empty slabs above all.
TEST_IN_CHILD(MallocTest, CachesServeBeforeAProgramIsRefused) {
  constexpr size_t kPage = 64 * kKib;
  std::atomic<int> step{0};
  auto fill_caches = [] {
    std::vector<void*> blocks;
    for (unsigned c = 1; hak_class_size(c) != 0; ++c) {
      for (size_t bytes = 0; bytes < kMib; bytes += hak_class_size(c)) {
        blocks.push_back(hak_malloc(hak_class_size(c)));
      }
    }
    for (void* p : blocks) hak_free(p);
  };
  std::thread other([&] {
    fill_caches();
    step = 1;
    while (step != 2) std::this_thread::yield();
  });
  while (step != 1) std::this_thread::yield();
  fill_caches();
  size_t reserved_bytes = Stats().reserved_bytes;
  hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
  uint64_t seen = hak_events_count();
  size_t pages = 0;
  while (hak_malloc(kPage) != nullptr) pages++;
  EXPECT_EQ(EventsOfOutOfMemory(seen), 1)
      << "of what is had in the end, no event says that it was not";
  // The other thread keeps a block of each class.
  EXPECT_GE(pages * kPage, reserved_bytes - 80 * 2 * kPage);
  step = 2;
  other.join();
}

// A block that grows a little gets more than it asked for, but nobody has to give anything up for
// it.
TEST_IN_CHILD(MallocTest, NoCacheIsEmptiedForMoreThanWasAskedFor) {
  const size_t size = hak_good_size(10000), larger = hak_good_size(size + 1);
  void* p = hak_malloc(size);
  void* fits = hak_malloc(larger);
  std::vector<void*> small(100);
  for (void*& block : small) block = hak_malloc(64);
  hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
  while (hak_malloc(64 * kKib) != nullptr) {
  }
  for (void* block : small) hak_free(block);
  hak_free(fits);
  EXPECT_GE(Stats().cached_bytes, small.size() * 64);
  uint64_t seen = hak_events_count();
  EXPECT_EQ(hak_realloc(p, size + 1), fits);
  EXPECT_EQ(EventsOfOutOfMemory(seen), 0) << "it was not out of memory";
  EXPECT_GE(Stats().cached_bytes, small.size() * 64);
}

// ---- calloc ----

TEST(MallocTest, CallocIsZeroAfterAnyUse) {
  for (size_t size : Sizes()) {
    for (int round = 0; round < 3; ++round) {
      void* dirty = hak_malloc(size);
      memset(dirty, 0xab, hak_usable_size(dirty));
      hak_free(dirty);
      auto* p = static_cast<char*>(hak_calloc(size, 1));
      ASSERT_TRUE(IsFilledWith(p, size, 0)) << size;
      memset(p, 0xcd, size);
      hak_free(p);
    }
  }
}

// ---- realloc ----

TEST(MallocTest, ReallocKeepsContentsBetweenAnyTwoSizes) {
  std::vector<size_t> sizes = Sizes();
  for (size_t from : sizes) {
    for (size_t to : sizes) {
      if (to == 0) continue;
      auto* p = static_cast<char*>(hak_malloc(from));
      memset(p, 5, from);
      p = static_cast<char*>(hak_realloc(p, to));
      ASSERT_NE(p, nullptr);
      ASSERT_GE(hak_usable_size(p), to);
      ASSERT_TRUE(IsFilledWith(p, std::min(from, to), 5)) << from << " to " << to;
      memset(p, 6, to);
      hak_free(p);
    }
  }
}

TEST(MallocTest, WhatIsAppendedToIsMovedSeldom) {
  void* p = hak_malloc(16);
  unsigned moves = 0;
  for (size_t size = 24; size <= 32 * kKib; size += 8) {
    auto before = reinterpret_cast<uintptr_t>(p);
    p = hak_realloc(p, size);
    moves += reinterpret_cast<uintptr_t>(p) != before;
    EXPECT_LE(hak_usable_size(p), std::max<size_t>(size + 32, size * 3 / 2)) << size;
  }
  EXPECT_LE(moves, 40u);  // each to at least a quarter more: 35 or so; class by class: 64
  // A size that a program asks for at once, it gets.
  p = hak_realloc(p, 60000);
  EXPECT_LE(hak_usable_size(p), 64 * kKib);
  hak_free(p);
}

// Above a SuperSlab a block that grows is never copied: that would touch all of it again.
// Programs like to stop at a power of two: what would then never be used is not given.
TEST(MallocTest, WhatGrowsALittleGetsNoMoreThanThePowerOfTwo) {
  for (size_t power = 1024; power <= 32768; power *= 2) {
    void* p = hak_malloc(power - power / 6);
    p = hak_realloc(p, power - power / 16);
    EXPECT_EQ(hak_usable_size(p), power);
    hak_free(p);
  }
}

TEST(MallocTest, GrowthToAGibibyteCopiesNothing) {
  if (hak::kUnderSanitizer) GTEST_SKIP() << "its own memory is touched too";
  for (size_t percent : {size_t{150}, size_t{200}}) {
    EXPECT_TRUE(hak::PassesInChild([percent] {
      constexpr size_t kStep = 64 * kKib;
      std::vector<void*> walls;
      size_t touched = 0;
      auto* p = static_cast<unsigned char*>(hak_malloc(2 * kMib));
      uint64_t faults = Stats().minor_faults;
      for (size_t size = 2 * kMib; touched < 1024 * kMib; size = size * percent / 100) {
        p = static_cast<unsigned char*>(hak_realloc(p, size));
        ASSERT_NE(p, nullptr);
        for (; touched < size; touched += kStep) {
          p[touched] = static_cast<unsigned char>(touched / kStep);
        }
        walls.push_back(hak_malloc(3 * kMib / 2));  // in its way, now and then
      }
      // Besides, each SuperSlab has a descriptor of several pages.
      size_t descriptors = 2 * Stats().reserved_bytes / (2 * kMib);
      EXPECT_LE(Stats().minor_faults - faults, touched / kStep + descriptors + 100);
      EXPECT_GE(hak::KernelCalls(HAK_KERNEL_MREMAP), 4u) << "it was never in the way";
      for (size_t i = 0; i < touched; i += kStep) {
        ASSERT_EQ(p[i], static_cast<unsigned char>(i / kStep));
      }
      hak_free(p);
      for (void* wall : walls) hak_free(wall);
    })) << percent;
  }
}

TEST(MallocTest, ReallocToNothingFrees) {
  for (size_t size : Sizes()) {
    EXPECT_EQ(hak_realloc(hak_malloc(size), 0), nullptr);
    EXPECT_EQ(hak_reallocarray(hak_malloc(size), 0, 8), nullptr);
  }
  void* p = hak_realloc(nullptr, 0);
  EXPECT_NE(p, nullptr);
  hak_free(p);
}

TEST(MallocTest, ShrinkingWorksWithoutMemory) {
  void* p = hak_malloc(30000);
  std::vector<void*> blocks;
  hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
  // The large ones first, so that few small ones are left to take.
  for (size_t size : {size_t{30000}, size_t{2000}, size_t{8}}) {
    while (void* block = hak_malloc(size)) blocks.push_back(block);
  }
  p = hak_realloc(p, 8);
  EXPECT_NE(p, nullptr);
  hak_free_sized(p, 8);  // though it has not become any smaller
  for (void* block : blocks) hak_free(block);
}

// ---- aligned ----

TEST(MallocTest, AlignedBlocksAreAligned) {
  for (size_t alignment = 1; alignment <= 8 * kMib; alignment *= 2) {
    for (size_t size : {size_t{1}, size_t{24}, size_t{100}, size_t{5000}, 40 * kKib, 3 * kMib}) {
      void* blocks[3] = {hak_aligned_alloc(alignment, size), hak_memalign(alignment, size),
                         nullptr};
      if (alignment >= sizeof(void*)) {
        ASSERT_EQ(hak_posix_memalign(&blocks[2], alignment, size), 0);
      }
      for (void* p : blocks) {
        if (p == nullptr && alignment < sizeof(void*)) continue;
        ASSERT_NE(p, nullptr);
        EXPECT_TRUE(IsAligned(p, std::max<size_t>(alignment, 16)));
        EXPECT_GE(hak_usable_size(p), size);
        memset(p, 1, size);
      }
      hak_free_aligned_sized(blocks[0], alignment, size);
      hak_free(blocks[1]);
      hak_free(blocks[2]);
    }
  }
}

TEST(MallocTest, BadAlignmentsAreRefusedAsEachStandardSays) {
  for (size_t alignment : {size_t{0}, size_t{3}, size_t{24}, size_t{4097}, SIZE_MAX}) {
    alignment = Hide(alignment);
    errno = 0;
    EXPECT_EQ(hak_aligned_alloc(alignment, 8), nullptr);
    EXPECT_EQ(errno, EINVAL);
    void* out = &errno;
    errno = E2BIG;
    EXPECT_EQ(hak_posix_memalign(&out, alignment, 8), EINVAL);
    EXPECT_EQ(out, &errno);
    EXPECT_EQ(errno, E2BIG);
  }
  void* out = nullptr;
  EXPECT_EQ(hak_posix_memalign(&out, 4, 8), EINVAL) << "less than a pointer";
  void* p = hak_memalign(24, 8);
  EXPECT_TRUE(p != nullptr && IsAligned(p, 32)) << "rounded up";
  hak_free(p);
  p = hak_memalign(0, 8);
  EXPECT_NE(p, nullptr);
  hak_free(p);
  errno = 0;
  EXPECT_EQ(hak_memalign(Hide((size_t{1} << 63) + 1), 8), nullptr);
  EXPECT_EQ(errno, EINVAL);
}

TEST(MallocTest, AlignedBlocksCanBeResized) {
  void* p = hak_aligned_alloc(4096, 100);
  memset(p, 9, 100);
  p = hak_realloc(p, 50000);
  EXPECT_TRUE(IsFilledWith(static_cast<char*>(p), 100, 9));
  hak_free_sized(p, 50000);
}

// ---- addresses ----

TEST(MallocTest, LookupFindsTheBlockOfEveryInnerAddress) {
  for (size_t size :
       {size_t{1}, size_t{48}, size_t{1000}, size_t{20000}, 100 * kKib, kMib, 7 * kMib}) {
    auto* p = static_cast<char*>(hak_malloc(size));
    size_t usable = hak_usable_size(p);
    for (size_t offset : {size_t{0}, usable / 3, usable - 1}) {
      hak_super_info info = {};
      ASSERT_TRUE(hak_super_lookup(p + offset, &info));
      EXPECT_TRUE(hak_owns(p + offset));
      auto address = reinterpret_cast<uintptr_t>(p + offset);
      EXPECT_EQ(info.block_base, reinterpret_cast<uintptr_t>(p));
      EXPECT_EQ(info.block_bytes, usable);
      EXPECT_EQ(info.size_class, hak_size_class(size));
      EXPECT_TRUE(info.super_base <= address && address < info.super_base + info.super_bytes);
      EXPECT_EQ(info.page_base, address & ~(64 * kKib - 1));
      EXPECT_LE(info.page_index, info.super_bytes / (64 * kKib));
    }
    hak_free(p);
  }
}

TEST(MallocTest, LookupLeavesForeignAddressesAlone) {
  hak_free(hak_malloc(1));
  int on_stack = 0;
  static int in_data = 0;
  hak_super_info info;
  memset(&info, 0x77, sizeof info);
  hak_super_info before = info;
  for (const void* p :
       {static_cast<const void*>(nullptr), static_cast<const void*>(&on_stack),
        static_cast<const void*>(&in_data), reinterpret_cast<const void*>(UINTPTR_MAX)}) {
    EXPECT_FALSE(hak_owns(p));
    EXPECT_FALSE(hak_super_lookup(p, &info));
    EXPECT_EQ(memcmp(&info, &before, sizeof info), 0);
  }
  void* large = hak_malloc(100 * kKib);
  hak_free(large);
  EXPECT_FALSE(hak_owns(large)) << "a part of a SuperSlab that holds no block now";
}

TEST(MallocTest, VersionIsThatOfTheHeader) {
  std::string version = std::to_string(HAK_VERSION_MAJOR) + "." +
                        std::to_string(HAK_VERSION_MINOR) + "." + std::to_string(HAK_VERSION_PATCH);
  EXPECT_EQ(hak_version(), version);
}

// Whatever malloc, calloc, realloc and aligned_alloc were asked for, may be said at the end.
TEST(MallocTest, TheSizeAskedForIsAccepted) {
  for (size_t size : Sizes()) {
    hak_free_sized(hak_malloc(size), size);
    hak_free_sized(hak_calloc(1, size), size);
    hak_free_sized(nullptr, size);
    for (size_t alignment = 1; alignment <= 4 * kMib; alignment *= 2) {
      hak_free_aligned_sized(hak_aligned_alloc(alignment, size), alignment, size);
    }
  }
  hak::Random random(7);
  for (int i = 0; i < 3000; ++i) {
    void* p = nullptr;
    size_t size = 0;
    for (int k = 0; k < 6; ++k) {
      size_t factor = 20 + random.Below(200);  // per cent
      size = size == 0 || i % 3 == 0 ? random.LogUniform(8 * kMib) : size * factor / 100 + 1;
      p = hak_realloc(p, size);
    }
    hak_free_sized(p, size);
  }
}

// ---- threads ----

TEST_IN_CHILD(MallocTest, AnyThreadMayFreeAnyBlock) {
  constexpr int kThreads = 4, kRounds = 3000;
  std::vector<std::pair<char*, size_t>> passed[kThreads];
  for (int round = 0; round < 6; ++round) {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t, round] {
        hak::Random random(static_cast<uint64_t>(100 * round + t));
        for (auto [p, size] : passed[t]) {
          ASSERT_TRUE(p[0] == 1 && p[size - 1] == 1);
          hak_free(p);
        }
        passed[t].clear();
        for (int i = 0; i < kRounds; ++i) {
          size_t size = 1 + random.LogUniform(random.Below(50) == 0 ? 3 * kMib : 3000);
          auto* p =
              static_cast<char*>(random.Below(2) == 0 ? hak_malloc(size) : hak_calloc(1, size));
          ASSERT_NE(p, nullptr);
          p[0] = p[size - 1] = 1;
          if (random.Below(2) == 0) {
            hak_free(p);
          } else {
            passed[t].emplace_back(p, size);
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::rotate(passed, passed + 1, passed + kThreads);
  }
  for (auto& blocks : passed) {
    for (auto [p, size] : blocks) hak_free_sized(p, size);
  }
}

// ---- the limit ----

struct Limits {
  size_t soft = 1, hard = 1;
  Limits() { hak_memory_limit_get(&soft, &hard); }
};

TEST_IN_CHILD(LimitTest, IsNoneUntilItIsSet) {
  EXPECT_EQ(Limits().soft, HAK_NO_LIMIT);
  EXPECT_EQ(Limits().hard, HAK_NO_LIMIT);
  EXPECT_EQ(Stats().limit_hard_bytes, HAK_UNKNOWN);
  EXPECT_TRUE(hak_memory_limit_set(0, 80 * kMib));
  EXPECT_EQ(Limits().soft, 70 * kMib);
  EXPECT_EQ(Limits().hard, 80 * kMib);
  EXPECT_EQ(Stats().limit_soft_bytes, 70 * kMib);
  EXPECT_EQ(Stats().limit_hard_bytes, 80 * kMib);
  EXPECT_TRUE(hak_memory_limit_set(60 * kMib, HAK_NO_LIMIT));
  EXPECT_EQ(Limits().soft, 60 * kMib);
  for (auto [soft, hard] : {std::pair<size_t, size_t>{0, 0}, {2, 1}, {HAK_NO_LIMIT, 1}}) {
    errno = 0;
    EXPECT_FALSE(hak_memory_limit_set(soft, hard));
    EXPECT_EQ(errno, EINVAL);
  }
  EXPECT_EQ(Limits().hard, HAK_NO_LIMIT);
  hak_memory_limit_get(nullptr, nullptr);
}

// Small blocks, spans and huge ones, by all functions.
TEST_IN_CHILD(LimitTest, RefusalsAreNullAndLeaveTheOldBlock) {
  size_t limit = hak_spare_committed_bytes() + 32 * kMib;
  EXPECT_TRUE(hak_memory_limit_set(limit - kMib, limit));
  std::vector<void*> blocks;
  for (size_t size : {5 * kMib, 700 * kKib, 20 * kKib, size_t{3000}, size_t{40}}) {
    while (void* block = hak_malloc(size)) blocks.push_back(memset(block, 1, size));
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_LE(hak_spare_committed_bytes(), limit);
  }
  EXPECT_EQ(hak_calloc(1000, 1000), nullptr);
  EXPECT_EQ(hak_aligned_alloc(4096, kMib), nullptr);
  for (void* block : {blocks.front(), blocks.back(), blocks[blocks.size() / 2]}) {
    size_t usable = hak_usable_size(block);
    errno = 0;
    EXPECT_EQ(hak_realloc(block, usable + 2 * kMib), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_EQ(hak_usable_size(block), usable);
    EXPECT_TRUE(IsFilledWith(static_cast<char*>(block), 40, 1));
  }
  EXPECT_GT(Stats().limit_refusals, 0u);
  EXPECT_GE(Stats().limit_approaches, 1u);
  for (void* block : blocks) hak_free(block);
  void* block = hak_malloc(24 * kMib);
  EXPECT_NE(block, nullptr) << "caches are emptied for it";
  hak_free(block);
}

TEST_IN_CHILD(LimitTest, ToSetOneBelowWhatIsHeldGivesBackWhatIsFree) {
  size_t others = hak_spare_committed_bytes();
  void* live = hak_malloc(30 * kMib);
  void* block = hak_malloc(30 * kMib);
  memset(block, 1, 30 * kMib);
  hak_free(block);
  EXPECT_TRUE(hak_memory_limit_set(0, 32 * kMib));
  EXPECT_LE(hak_spare_committed_bytes(), others + 30 * kMib);
  hak_free(live);
}

// Beyond the soft limit a thread keeps no spans, and its magazines do not grow.
TEST_IN_CHILD(LimitTest, NearItCachesDoNotGrow) {
  auto churn = [] {
    for (size_t size : {size_t{64}, size_t{1000}, 20 * kKib, 100 * kKib}) {
      std::vector<void*> blocks;
      for (size_t held = 0; held < 6 * kMib; held += size) blocks.push_back(hak_malloc(size));
      for (void* block : blocks) hak_free(block);
    }
  };
  uint64_t free_cached = 0, near_cached = 0;
  std::thread([&] {
    for (int i = 0; i < 20; i++) churn();
    free_cached = Stats().cached_bytes;
  }).join();
  hak_thread_end_all_parked();  // the next thread is not to have the magazines that have grown
  void* live = hak_malloc(8 * kMib);
  EXPECT_TRUE(hak_memory_limit_set(4 * kMib, 256 * kMib));
  std::thread([&] {
    for (int i = 0; i < 20; i++) churn();
    near_cached = Stats().cached_bytes;
  }).join();
  EXPECT_LT(near_cached, free_cached / 2);
  hak_free(live);
}

}  // namespace
