// Calls into the kernel: mappings and what they leave, refusals, counts, clocks, waiting.

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/platform/platform.h"
}

namespace {

constexpr size_t kKib = 1024, kMib = 1024 * kKib, kGib = 1024 * kMib;

struct Counters {
  uint64_t calls, bytes, failures;
};

Counters Read(hak_kernel_kind_t kind) {
  const hak_kernel_counters_t* counters = hak_platform_counters(kind);
  return {hak_load_relaxed(&counters->calls), hak_load_relaxed(&counters->bytes),
          hak_load_relaxed(&counters->failures)};
}

bool IsZero(const void* memory, size_t bytes) {
  auto* p = static_cast<const char*>(memory);
  return std::all_of(p, p + bytes, [](char c) { return c == 0; });
}

TEST(PlatformTest, MapsAlignedZeroMemoryAndLeavesNothingElse) {
  for (size_t alignment : {4 * kKib, 64 * kKib, 2 * kMib, 64 * kMib, kGib}) {
    if (alignment < hak_platform_os_page_bytes()) continue;
    for (size_t bytes : {64 * kKib, 3 * 64 * kKib, 4 * kMib}) {
      Counters mapped = Read(HAK_KERNEL_MMAP), unmapped = Read(HAK_KERNEL_MUNMAP);
      void* memory = nullptr;
      ASSERT_EQ(hak_platform_map(bytes, alignment, &memory), 0);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % alignment, 0u);
      EXPECT_TRUE(IsZero(memory, bytes));
      memset(memory, 0xab, bytes);
      // What was mapped and not unmapped on the way is what was asked for.
      EXPECT_EQ(Read(HAK_KERNEL_MMAP).bytes - mapped.bytes -
                    (Read(HAK_KERNEL_MUNMAP).bytes - unmapped.bytes),
                bytes);
      ASSERT_EQ(hak_platform_unmap(memory, bytes), 0);
    }
  }
}

TEST(PlatformTest, ARefusedMapLeavesNothing) {
  // A GiB is an alignment the kernel does not give by itself, so that a second call is made.
  for (unsigned refused = 0; refused < 2; ++refused) {
    Counters mapped = Read(HAK_KERNEL_MMAP), unmapped = Read(HAK_KERNEL_MUNMAP);
    unsigned seen = 0;
    void* memory = nullptr;
    hak::ScopedFault fault([&](hak_kernel_kind_t kind, size_t) {
      return kind == HAK_KERNEL_MMAP && seen++ == refused ? ENOMEM : 0;
    });
    EXPECT_EQ(hak_platform_map(kMib, kGib, &memory), ENOMEM);
    EXPECT_EQ(memory, nullptr);
    EXPECT_EQ(Read(HAK_KERNEL_MMAP).bytes - mapped.bytes,
              Read(HAK_KERNEL_MUNMAP).bytes - unmapped.bytes);
  }
}

TEST(PlatformTest, ImpossibleSizesAreRefused) {
  void* memory = nullptr;
  EXPECT_EQ(hak_platform_map(size_t{1} << 62, 2 * kMib, &memory), ENOMEM);
  EXPECT_NE(hak_platform_map(SIZE_MAX & ~(kMib - 1), 2 * kMib, &memory), 0);
  EXPECT_EQ(memory, nullptr);
}

TEST(PlatformTest, PurgedAndRemappedMemoryReadsAsZero) {
  void* memory = nullptr;
  ASSERT_EQ(hak_platform_map(kMib, 64 * kKib, &memory), 0);
  char* bytes = static_cast<char*>(memory);
  memset(bytes, 1, kMib);
  ASSERT_EQ(hak_platform_purge(bytes + 64 * kKib, 128 * kKib), 0);
  EXPECT_FALSE(hak::IsResident(bytes + 64 * kKib));
  EXPECT_TRUE(IsZero(bytes + 64 * kKib, 128 * kKib));
  EXPECT_EQ(bytes[64 * kKib - 1], 1);
  EXPECT_EQ(bytes[192 * kKib], 1);
  ASSERT_EQ(hak_platform_map_again(bytes, 256 * kKib), 0);
  EXPECT_TRUE(IsZero(bytes, 256 * kKib));
  EXPECT_EQ(bytes[256 * kKib], 1);
  ASSERT_EQ(hak_platform_unmap(memory, kMib), 0);
}

// What the program has locked goes back, too, and what is not locked as before.
TEST_IN_CHILD(PlatformTest, LockedMemoryCanBePurged) {
  void* memory = nullptr;
  ASSERT_EQ(hak_platform_map(256 * kKib, 64 * kKib, &memory), 0);
  char* bytes = static_cast<char*>(memory);
  memset(bytes, 1, 256 * kKib);
  ASSERT_EQ(mlock(bytes, 128 * kKib), 0);
  int error = hak_platform_purge(bytes, 64 * kKib);
  if (error == EINVAL) GTEST_SKIP() << "a kernel before 5.18";
  ASSERT_EQ(error, 0);
  ASSERT_EQ(munlock(bytes, 128 * kKib), 0);  // (locked memory is resident by definition)
  EXPECT_TRUE(IsZero(bytes, 64 * kKib));
  EXPECT_EQ(bytes[64 * kKib], 1);
  ASSERT_EQ(hak_platform_purge(bytes + 128 * kKib, 64 * kKib), 0);
  EXPECT_FALSE(hak::IsResident(bytes + 128 * kKib));
}

TEST(PlatformTest, ReservedMemoryIsThereOnceItIsWritable) {
  void* memory = nullptr;
  ASSERT_EQ(hak_platform_reserve(kMib, 2 * kMib, &memory), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % (2 * kMib), 0u);
  char* bytes = static_cast<char*>(memory);
  ASSERT_EQ(hak_platform_make_writable(bytes, 64 * kKib), 0);
  EXPECT_TRUE(IsZero(bytes, 64 * kKib));
  bytes[0] = 1;
  EXPECT_DEATH(*static_cast<volatile char*>(bytes + 64 * kKib) = 1, "");
  ASSERT_EQ(hak_platform_unmap(memory, kMib), 0);
}

TEST(PlatformTest, AGuardFaultsAndIsNoMapping) {
  void* memory = nullptr;
  ASSERT_EQ(hak_platform_map(192 * kKib, 64 * kKib, &memory), 0);
  auto* guard = static_cast<volatile char*>(memory) + 64 * kKib;
  *guard = 1;
  size_t mappings = hak::CountMappings();
  int error = hak_platform_set_guard(const_cast<char*>(guard), 64 * kKib, true);
  if (error == EINVAL) GTEST_SKIP() << "a kernel before 6.13";
  ASSERT_EQ(error, 0);
  EXPECT_LE(hak::CountMappings(), mappings);
  EXPECT_FALSE(hak::CanBeRead(reinterpret_cast<uintptr_t>(guard)));
  EXPECT_TRUE(hak::CanBeRead(reinterpret_cast<uintptr_t>(guard) - 1));
  EXPECT_TRUE(hak::CanBeRead(reinterpret_cast<uintptr_t>(guard) + 64 * kKib));
  ASSERT_EQ(hak_platform_set_guard(const_cast<char*>(guard), 64 * kKib, false), 0);
  EXPECT_EQ(*guard, 0);
  ASSERT_EQ(hak_platform_unmap(memory, 192 * kKib), 0);
}

TEST(PlatformTest, MoveTakesContentsAndLeavesZeroes) {
  void *from = nullptr, *to = nullptr;
  ASSERT_EQ(hak_platform_map(kMib, 64 * kKib, &from), 0);
  ASSERT_EQ(hak_platform_map(kMib, 64 * kKib, &to), 0);
  memset(from, 1, kMib);
  memset(to, 2, kMib);
  int error = hak_platform_move(from, to, 512 * kKib);
  if (error == EINVAL || error == ENOSYS) GTEST_SKIP() << "a kernel before 5.7";
  ASSERT_EQ(error, 0);
  EXPECT_TRUE(IsZero(from, 512 * kKib));
  EXPECT_EQ(static_cast<char*>(from)[512 * kKib], 1);
  EXPECT_EQ(static_cast<char*>(to)[0], 1);
  EXPECT_EQ(static_cast<char*>(to)[512 * kKib - 1], 1);
  EXPECT_EQ(static_cast<char*>(to)[512 * kKib], 2);
  memset(from, 3, kMib);  // still mapped
  ASSERT_EQ(hak_platform_unmap(from, kMib), 0);
  ASSERT_EQ(hak_platform_unmap(to, kMib), 0);
}

TEST(PlatformTest, MapsWhereNothingIsAndNowhereElse) {
  void* memory = nullptr;
  ASSERT_EQ(hak_platform_map(kMib, 64 * kKib, &memory), 0);
  char* bytes = static_cast<char*>(memory);
  memset(bytes, 1, kMib);
  ASSERT_EQ(hak_platform_unmap(bytes + 256 * kKib, 256 * kKib), 0);
  EXPECT_EQ(hak_platform_map_free(bytes, kMib), EEXIST);
  EXPECT_EQ(hak_platform_map_free(bytes + 256 * kKib, 512 * kKib), EEXIST);
  ASSERT_EQ(hak_platform_map_free(bytes + 256 * kKib, 256 * kKib), 0);
  EXPECT_TRUE(IsZero(bytes + 256 * kKib, 256 * kKib));
  EXPECT_EQ(bytes[256 * kKib - 1], 1);
  EXPECT_EQ(bytes[512 * kKib], 1);
  ASSERT_EQ(hak_platform_unmap(memory, kMib), 0);
}

// A kernel before 4.17: it takes the address for a wish.
TEST(PlatformTest, LeavesNothingWhereItDidNotWantToMap) {
  void* memory = nullptr;
  ASSERT_EQ(hak_platform_map(256 * kKib, 64 * kKib, &memory), 0);
  hak_platform_set_kernel(
      [](hak_kernel_kind_t kind, size_t, long* answer, long number, const long a[6]) {
        long without_flag[6] = {a[0], a[1], a[2], a[3] & ~0x100000L, a[4], a[5]};
        return hak_platform_ask(number, kind == HAK_KERNEL_MMAP ? without_flag : a, answer);
      });
  size_t before = hak::CountMappings();
  EXPECT_EQ(hak_platform_map_free(memory, 256 * kKib), EEXIST);
  EXPECT_EQ(hak::CountMappings(), before);
  ASSERT_EQ(hak_platform_unmap(memory, 256 * kKib), 0);
  EXPECT_EQ(hak_platform_map_free(memory, 256 * kKib), 0);
  hak_platform_set_kernel(nullptr);
  ASSERT_EQ(hak_platform_unmap(memory, 256 * kKib), 0);
}

TEST(PlatformTest, TellsWhetherARangeIsOneMapping) {
  void* memory = nullptr;
  ASSERT_EQ(hak_platform_map(kMib, 64 * kKib, &memory), 0);
  char* bytes = static_cast<char*>(memory);
  size_t os_page = hak_platform_os_page_bytes();
  ASSERT_EQ(mprotect(bytes + 512 * kKib, os_page, PROT_NONE), 0);
  size_t before = hak::CountMappings();
  uint64_t failures = Read(HAK_KERNEL_MREMAP).failures;
  EXPECT_EQ(hak_platform_is_one_mapping(bytes, 512 * kKib), 0);
  EXPECT_EQ(hak_platform_is_one_mapping(bytes, 256 * kKib), 0);
  EXPECT_EQ(hak_platform_is_one_mapping(bytes + 512 * kKib, os_page), 0);
  EXPECT_EQ(Read(HAK_KERNEL_MREMAP).failures, failures) << "an answer is no failure";
  EXPECT_EQ(hak_platform_is_one_mapping(bytes, 512 * kKib + os_page), EFAULT);
  EXPECT_EQ(hak_platform_is_one_mapping(bytes + 512 * kKib, 2 * os_page), EFAULT);
  // Nor does it grow what has free address space behind it.
  ASSERT_EQ(hak_platform_unmap(bytes + 256 * kKib, 64 * kKib), 0);
  EXPECT_EQ(hak_platform_is_one_mapping(bytes, 256 * kKib), 0);
  EXPECT_EQ(hak_platform_is_one_mapping(bytes + 256 * kKib, os_page), EFAULT);
  EXPECT_EQ(hak_platform_map_free(bytes + 256 * kKib, 64 * kKib), 0);
  ASSERT_EQ(hak_platform_make_writable(bytes, kMib), 0);
  memset(bytes, 1, kMib);
  EXPECT_LE(hak::CountMappings(), before);
  ASSERT_EQ(hak_platform_unmap(memory, kMib), 0);
}

TEST(PlatformTest, LooksAtMemoryWithoutTouchingIt) {
  void* memory = nullptr;
  ASSERT_EQ(hak_platform_map(128 * kKib, 64 * kKib, &memory), 0);
  auto* words = static_cast<uint64_t*>(memory);
  words[1] = UINT64_C(0x123456789abcdef1);
  EXPECT_TRUE(hak_platform_holds(&words[1], UINT64_C(0x123456789abcdef1)));
  EXPECT_FALSE(hak_platform_holds(&words[1], UINT64_C(0x123456789abcdef0)));
  EXPECT_FALSE(hak_platform_holds(&words[1], UINT64_C(0x023456789abcdef1)));
  ASSERT_EQ(mprotect(memory, 64 * kKib, PROT_NONE), 0);
  EXPECT_FALSE(hak_platform_holds(&words[1], UINT64_C(0x123456789abcdef1)));
  ASSERT_EQ(hak_platform_unmap(memory, 128 * kKib), 0);
  EXPECT_FALSE(hak_platform_holds(&words[1], 0));
}

TEST(PlatformDeathTest, AGuardCannotBeTouched) {
  void* memory = nullptr;
  ASSERT_EQ(hak_platform_map(128 * kKib, 64 * kKib, &memory), 0);
  ASSERT_EQ(mprotect(memory, 64 * kKib, PROT_NONE), 0);
  static_cast<volatile char*>(memory)[64 * kKib] = 1;
  EXPECT_DEATH(static_cast<volatile char*>(memory)[64 * kKib - 1] = 1, "");
  ASSERT_EQ(hak_platform_unmap(memory, 128 * kKib), 0);
}

// One call of each kind, all of which can be refused.
struct Call {
  hak_kernel_kind_t kind;
  int (*make)(void* a, void* b);
};
constexpr size_t kCallBytes = 64 * kKib;
const Call kCalls[] = {
    {HAK_KERNEL_MMAP, [](void* a, void*) { return hak_platform_map_again(a, kCallBytes); }},
    {HAK_KERNEL_MADVISE, [](void* a, void*) { return hak_platform_purge(a, kCallBytes); }},
    {HAK_KERNEL_MREMAP, [](void* a, void* b) { return hak_platform_move(a, b, kCallBytes); }},
    {HAK_KERNEL_MPROTECT, [](void* a, void*) { return hak_platform_make_writable(a, kCallBytes); }},
    {HAK_KERNEL_MUNMAP, [](void* a, void*) { return hak_platform_unmap(a, kCallBytes); }},
};

TEST(PlatformTest, CallsAreCountedByKindAndKeepErrno) {
  void *a = nullptr, *b = nullptr;
  ASSERT_EQ(hak_platform_map(kCallBytes, 64 * kKib, &a), 0);
  ASSERT_EQ(hak_platform_map(kCallBytes, 64 * kKib, &b), 0);
  for (const Call& call : kCalls) {
    SCOPED_TRACE(hak_platform_kind_name(call.kind));
    Counters before = Read(call.kind);
    errno = E2BIG;
    {
      hak::ScopedFault fault(hak::Refuse(call.kind, EAGAIN));
      EXPECT_EQ(call.make(a, b), EAGAIN);
    }
    EXPECT_EQ(errno, E2BIG);
    Counters refused = Read(call.kind);
    EXPECT_EQ(refused.calls, before.calls + 1);
    EXPECT_EQ(refused.failures, before.failures + 1);
    EXPECT_EQ(refused.bytes, before.bytes);
    int error = call.make(a, b);
    Counters after = Read(call.kind);
    EXPECT_EQ(after.calls, refused.calls + 1);
    EXPECT_EQ(after.failures, refused.failures + (error != 0));
    EXPECT_EQ(after.bytes, refused.bytes + (error == 0 ? kCallBytes : 0));
    EXPECT_EQ(errno, E2BIG);
  }
  ASSERT_EQ(hak_platform_unmap(b, kCallBytes), 0);
}

TEST(PlatformTest, ItsClockIsTheKernels) {
  hak_platform_ready_libc();
  EXPECT_TRUE(hak_platform_has_true_clock());
  timespec t;
  ASSERT_EQ(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t), 0);
  uint64_t before =
      static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
  uint64_t now = hak_platform_now_ns();
  ASSERT_EQ(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t), 0);
  uint64_t after = static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
  EXPECT_LE(before, now);
  EXPECT_LE(now, after);
}

TEST(PlatformTest, KindsHaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (int kind = 0; kind < HAK_KERNEL_N_KINDS; ++kind) {
    names.insert(hak_platform_kind_name(static_cast<hak_kernel_kind_t>(kind)));
  }
  EXPECT_EQ(names.size(), size_t{HAK_KERNEL_N_KINDS});
}

TEST(PlatformTest, KnowsTheOsPage) {
  EXPECT_EQ(hak_platform_os_page_bytes(), static_cast<size_t>(sysconf(_SC_PAGESIZE)));
}

TEST_IN_CHILD(PlatformTest, KnowsTheAddressLimit) {
  struct rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &limit), 0);
  if (limit.rlim_cur == RLIM_INFINITY) {
    EXPECT_EQ(hak_platform_address_limit(), SIZE_MAX);
  }
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, rlim_t{1} << 46);
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  errno = E2BIG;
  EXPECT_EQ(hak_platform_address_limit(), limit.rlim_cur);
  EXPECT_EQ(errno, E2BIG);
}

TEST(PlatformTest, WaitReturnsWhenTheWordHasChanged) {
  std::atomic<uint32_t> word{1};
  hak_platform_wait(&word, 0);  // differs already
  std::atomic<bool> has_returned{false};
  std::thread waiter([&] {
    while (word == 1) hak_platform_wait(&word, 1);
    has_returned = true;
  });
  word = 2;
  while (!has_returned) {
    hak_platform_wake(&word);
    std::this_thread::yield();
  }
  waiter.join();
}

TEST(PlatformTest, ClocksRunForwardsTogether) {
  uint64_t last_ns = 0, last_ms = 0;
  for (int i = 0; i < 1000; ++i) {
    uint64_t ms = hak_platform_now_ms();
    uint64_t ns = hak_platform_now_ns();
    EXPECT_GE(ns, last_ns);
    EXPECT_GE(ms, last_ms);
    EXPECT_LE(ms, ns / 1000000);  // the coarse clock is late, never early
    last_ns = ns;
    last_ms = ms;
  }
}

}  // namespace
