// Little memory, and the little of it that the allocator may waste: address space limits, requests
// that cannot be met, the number of mappings.

#include <dlfcn.h>
#include <errno.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <string>
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

// What a kernel refuses beyond: all address space (RLIMIT_AS), or writable memory, used or not, as
// it does where it does not overcommit (RLIMIT_DATA).
struct Limit {
  const char* name;
  int resource;
  const char* now;  // in /proc/self/status
  size_t mib;
};

void SetLimit(const Limit& limit) {
  rlimit bytes = {StatusBytes("/proc/self/status", limit.now) + limit.mib * kMiB, RLIM_INFINITY};
  REQUIRE(setrlimit(static_cast<__rlimit_resource_t>(limit.resource), &bytes) == 0);
}

void LimitAddressSpace(size_t mib) { SetLimit({"", RLIMIT_AS, "\nVmSize", mib}); }

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
  if (getenv("HAKMEM_HARDENED") != nullptr) size += 8;  // its canary
  size_t unit = size <= 32 * 1024 ? 16 : size <= kMiB ? 64 * 1024 : 2 * kMiB;
  return (size + unit - 1) / unit * unit;
}

class MemoryLimitTest : public testing::TestWithParam<Limit> {};

// NULL comes when the address space has gone, not before, and goes when memory is freed.
TEST_P(MemoryLimitTest, IsUsedUpAndUsableAgain) {
  size_t room = GetParam().mib * kMiB;
  // (A hardened process fills and looks at all that is freed.)
  const int rounds = getenv("HAKMEM_HARDENED") != nullptr ? 1 : 3;
  for (size_t size : {size_t{64}, size_t{1000}, size_t{30000}, size_t{200000}, size_t{3} << 20}) {
    Outcome outcome = RunInChild([&] {
      SetLimit(GetParam());
      void** list = nullptr;
      size_t n = Exhaust(size, &list);
      dprintf(1, "%zu", n * Footprint(size) * 100 / room);
      for (int round = 0; round < rounds; round++) {
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
    EXPECT_GE(atoi(outcome.out.c_str()), 85) << "percent of the room, with blocks of " << size;
  }
}

// However the memory was cut when it was first used: what is free serves the next phase of the
// program, in one piece too.
TEST_P(MemoryLimitTest, ServesAnySizeAfterAnyOther) {
  size_t room = GetParam().mib * kMiB;
  Outcome outcome = RunInChild([&] {
    SetLimit(GetParam());
    size_t sizes[] = {64, room / 2, 30000, 3 << 20, 200000, room / 3};
    constexpr size_t kSizes = sizeof sizes / sizeof sizes[0];
    size_t first[kSizes];
    for (int round = 0; round < 5; round++) {
      for (size_t i = 0; i < kSizes; i++) {
        void** list = nullptr;
        size_t n = Exhaust(sizes[i], &list);
        if (round == 0) first[i] = n;
        // Descriptors of reservations of other sizes take some room, once: up to two chunks of
        // metadata; and where two large blocks just fitted, one does.
        if (n * sizes[i] < room / 3 || n + n / 6 + 1 < first[i]) {
          dprintf(2, "round %d: %zu blocks of %zu, %zu at first\n", round, n, sizes[i], first[i]);
          _exit(1);
        }
        FreeAll(&list);
      }
    }
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

INSTANTIATE_TEST_SUITE_P(Limits, MemoryLimitTest,
                         testing::Values(Limit{"AddressSpace64", RLIMIT_AS, "\nVmSize", 64},
                                         Limit{"AddressSpace256", RLIMIT_AS, "\nVmSize", 256},
                                         Limit{"Data64", RLIMIT_DATA, "\nVmData", 64},
                                         Limit{"Data256", RLIMIT_DATA, "\nVmData", 256}),
                         [](const testing::TestParamInfo<Limit>& limit) {
                           return limit.param.name;
                         });

// From the first allocation on, in programs that know nothing of it.
TEST(LimitsTest, ProgramsRunUnderUlimit) {
  RunOptions options;
  options.preload = Library();
  Outcome outcome = RunProgram(
      {"/bin/sh", "-c", "ulimit -v 65536 && seq 200000 | sort -rn | tail -n 1"}, options);
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.out, "1\n");
  EXPECT_EQ(outcome.err, "");
}

// The part of `mib` of address space that blocks of `size` bytes get, in per cent.
int PercentInBlocks(size_t size, size_t mib) {
  Outcome outcome = RunInChild([=] {
    LimitAddressSpace(mib);
    void** list = nullptr;
    dprintf(1, "%zu", Exhaust(size, &list) * size * 100 / (mib * kMiB));
    FreeAll(&list);
    free(memset(malloc(Opaque(20 * kMiB)), 1, 20 * kMiB));
  });
  EXPECT_TRUE(outcome.Succeeded()) << size << ": " << outcome;
  return atoi(outcome.out.c_str());
}

// Whatever is left over where blocks are not as large as the unit they come in serves other blocks.
TEST(LimitsTest, AddressSpaceIsUsedWhateverTheSize) {
  // (What is the program's of a block: a hardened one ends with a canary and a page of guard.)
  size_t end = getenv("HAKMEM_HARDENED") != nullptr ? 4096 + 8 : 0;
  for (size_t size : {size_t{700} << 10, size_t{1120} << 10, size_t{4300} << 10}) {
    EXPECT_GE(PercentInBlocks(size - end, 1024), 94) << size;
  }
  EXPECT_GE(PercentInBlocks(size_t{100} << 10, 1024), 75) << "two pages of 64 KiB each";
}

TEST(LimitsTest, StacksOfThreadsFitBesideALittleMemory) {
  Outcome outcome = RunInChild([] {
    SetLimit({"", RLIMIT_DATA, "\nVmData", 90});
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 8 * kMiB);
    for (int i = 0; i < 10; i++) {
      pthread_t thread;
      auto run = [](void*) -> void* {
        for (int k = 0; k < 200; k++) REQUIRE(malloc(Opaque(1000)) != nullptr);
        pause();
        return nullptr;
      };
      REQUIRE(pthread_create(&thread, &attributes, run, nullptr) == 0);
    }
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

bool LockAll(int flags) {
  rlimit bytes = {RLIM_INFINITY, RLIM_INFINITY};
  return setrlimit(RLIMIT_MEMLOCK, &bytes) == 0 && mlockall(flags) == 0;
}

// What a program locks is what it uses, not what is reserved; and it is given back.
TEST(LimitsTest, LockedMemoryIsLittleAndGoesBack) {
  Outcome outcome = RunInChild([] {
    if (!LockAll(MCL_CURRENT | MCL_FUTURE)) {
      dprintf(1, "skip");
      return;
    }
    size_t before = ResidentBytes();
    REQUIRE(malloc(Opaque(100)) != nullptr);
    void* blocks[20];
    for (void*& block : blocks) REQUIRE((block = malloc(Opaque(kMiB))) != nullptr);
    REQUIRE(ResidentBytes() <= before + 30 * kMiB);
    REQUIRE(LockAll(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT));
    for (void* block : blocks) memset(block, 1, kMiB);
    for (void* block : blocks) free(block);
    malloc_trim(0);
    dprintf(1, "%zu", (ResidentBytes() - std::min(ResidentBytes(), before)) / kMiB);
    auto* zero = static_cast<char*>(calloc(1, Opaque(10 * kMiB)));
    for (size_t at = 0; at < 10 * kMiB; at += 4096) REQUIRE(zero[at] == 0);
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  if (outcome.out == "skip") GTEST_SKIP() << "locking memory is not permitted";
  EXPECT_LE(atoi(outcome.out.c_str()), 8) << "MiB stay (a kernel before 5.18 keeps all)";
}

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
    LimitAddressSpace(100);
    limited = true;
    for (std::thread& thread : threads) thread.join();
    REQUIRE(malloc(Opaque(20 * kMiB)) != nullptr);
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

TEST(LimitsTest, ThreadsCanStartWhereMemoryIsShort) {
  Outcome outcome = RunInChild([] {
    LimitAddressSpace(128);
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

// The protection of every other page of a large mapping is changed until the kernel grants no more
// mappings. Returns the mapping.
void* UseUpMappings(size_t bytes) {
  void* region = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(region != MAP_FAILED);
  size_t os_page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (size_t at = os_page; at < bytes; at += 2 * os_page) {
    if (mprotect(static_cast<char*>(region) + at, os_page, PROT_READ) != 0) {
      REQUIRE(errno == ENOMEM);
      return region;
    }
  }
  REQUIRE(!"the kernel limits no mappings");
  return nullptr;
}

// vm.max_map_count reached: nothing can be mapped or split, and remapping, purging and unmapping
// fail in their ways.
TEST(LimitsTest, GoesOnWhereThereAreTooManyMappings) {
  size_t most = strtoull(ReadFile("/proc/sys/vm/max_map_count").c_str(), nullptr, 10);
  if (most > 300000) GTEST_SKIP() << "vm.max_map_count is " << most << ": too many to use up";
  Outcome outcome = RunInChild([most] {
    std::vector<char*> blocks;
    for (int i = 0; i < 12; i++) blocks.push_back(static_cast<char*>(malloc(3 * kMiB)));
    for (char*& block : blocks) {  // a moved block is a mapping of its own already
      memset(block, 5, 3 * kMiB);
      block = static_cast<char*>(realloc(block, 5 * kMiB));
    }
    size_t region_bytes = 3 * most * static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void* region = UseUpMappings(region_bytes);
    for (int round = 0; round < 3; round++) {
      for (size_t i = 0; i < blocks.size(); i++) {
        size_t size = (i + static_cast<size_t>(round)) % 3 == 0 ? 2 * kMiB : 9 * kMiB;
        errno = 0;
        auto* block = static_cast<char*>(realloc(blocks[i], size));
        REQUIRE(block != nullptr || (errno == ENOMEM && size > 5 * kMiB));
        if (block == nullptr) continue;
        blocks[i] = block;
        for (size_t at = 0; at < 2 * kMiB; at += 4096) REQUIRE(block[at] == 5);
      }
      void* small[1000];
      for (size_t i = 0; i < 1000; i++) {
        small[i] = malloc(Opaque(i * 100));
        REQUIRE(small[i] != nullptr || errno == ENOMEM);
      }
      for (void* block : small) free(block);
      malloc_trim(0);
    }
    for (char* block : blocks) free(block);
    free(memset(malloc(Opaque(20 * kMiB)), 1, 20 * kMiB));  // what was freed serves
    REQUIRE(munmap(region, region_bytes) == 0);
    void* more = malloc(Opaque(500 * kMiB));
    REQUIRE(more != nullptr);
    free(more);
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

// Room for two mappings more is enough for as much memory again, and for three for descriptors of
// it.
TEST(LimitsTest, AFewMappingsServeAGrowingHeap) {
  size_t most = strtoull(ReadFile("/proc/sys/vm/max_map_count").c_str(), nullptr, 10);
  if (most > 300000) GTEST_SKIP() << "vm.max_map_count is " << most << ": too many to use up";
  Outcome outcome = RunInChild([most] {
    constexpr size_t kMostRoom = 5;
    free(malloc(Opaque(size_t{100})));
    size_t os_page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void* spare[kMostRoom + 1];
    for (size_t i = 0; i <= kMostRoom; i++) {
      spare[i] = mmap(nullptr, os_page, i % 2 != 0 ? PROT_READ : PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      REQUIRE(spare[i] != MAP_FAILED);
    }
    (void)UseUpMappings(3 * most * os_page);
    for (size_t room = 0; room <= kMostRoom; room++) {
      if (room != 0) REQUIRE(munmap(spare[room], os_page) == 0);
      for (size_t size : {size_t{100}, size_t{30000}, size_t{200000}, 3 * kMiB}) {
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
          for (size_t got = 0; got < 100 * kMiB; got += size) {
            auto* block = static_cast<char*>(malloc(Opaque(size)));
            REQUIRE(block != nullptr || (errno == ENOMEM && room < 3));
            if (block == nullptr) break;
            *block = 1;
          }
          _exit(0);
        }
        int status = 0;
        REQUIRE(waitpid(pid, &status, 0) == pid);
        if (status != 0) dprintf(2, "room for %zu, blocks of %zu\n", room, size);
        REQUIRE(status == 0);
      }
    }
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

// What a program may do with blocks of every kind, in a process that may make `room` more mappings:
// each request is served, or refused with the old block as it was.
class NearTheLimit {
 public:
  // Some blocks that have moved before, and one that the program has split.
  NearTheLimit() {
    for (size_t i = 0; i < kBlocks; i++) {
      size_[i] = (i % 2 != 0 ? 3 + i : 1) * kMiB;
      block_[i] = static_cast<char*>(malloc(size_[i]));
      Fill(i);
    }
    for (size_t i = 0; i < 4; i++) {
      size_[i] += 9 * kMiB;
      block_[i] = static_cast<char*>(realloc(block_[i], size_[i]));
      Fill(i);
    }
    REQUIRE(mlock(block_[5] + 2 * kMiB, 4096) == 0);
  }

  void UseEverything() {
    for (size_t i = 0; i < kBlocks; i++) {
      Resize(i, size_[i] + (2 + i) * kMiB);
      Resize(i, size_[i] / 3);
      Resize(i, 100000);
      Resize(i, 5 * kMiB);
    }
    for (size_t i = 0; i < 40; i++) {
      size_t size = (i % 7 * 700 + 20) * 1024;
      auto* zero = static_cast<char*>(calloc(1, Opaque(size)));
      if (zero == nullptr) continue;
      for (size_t at = 0; at < size; at += 512) REQUIRE(zero[at] == 0);
      memset(zero, 1, 1000);
      void* aligned = nullptr;
      int error = posix_memalign(&aligned, size_t{64} << (i % 16), Opaque(size));
      REQUIRE(error == 0 || error == ENOMEM);
      free(zero);
      free(aligned);
    }
    malloc_trim(0);
    for (size_t i = 0; i < kBlocks; i++) Check(i, size_[i]);
    for (char* block : block_) free(block);
    free(memset(malloc(Opaque(3 * kMiB)), 1, 3 * kMiB));  // what was freed serves
  }

 private:
  static constexpr size_t kBlocks = 8, kStep = 65536;

  void Fill(size_t i) {
    for (size_t at = 0; at + 8 <= size_[i]; at += kStep) {
      *reinterpret_cast<uint64_t*>(block_[i] + at) = i + at + 1;
    }
  }
  void Check(size_t i, size_t size) {
    for (size_t at = 0; at + 8 <= size; at += kStep) {
      REQUIRE(*reinterpret_cast<uint64_t*>(block_[i] + at) == i + at + 1);
    }
  }
  void Resize(size_t i, size_t size) {
    errno = 0;
    auto* resized = static_cast<char*>(realloc(block_[i], size));
    REQUIRE(resized != nullptr || errno == ENOMEM);
    if (resized != nullptr) block_[i] = resized;
    Check(i, std::min(size_[i], size));
    if (resized == nullptr) return;
    size_[i] = size;
    Fill(i);
  }

  char* block_[kBlocks];
  size_t size_[kBlocks];
};

TEST(LimitsTest, EveryFunctionWorksOrRefusesNearTheLimitOfMappings) {
  size_t most = strtoull(ReadFile("/proc/sys/vm/max_map_count").c_str(), nullptr, 10);
  if (most > 300000) GTEST_SKIP() << "vm.max_map_count is " << most << ": too many to use up";
  Outcome outcome = RunInChild([most] {
    constexpr size_t kMostRoom = 50;
    NearTheLimit program;
    size_t os_page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void* spare[kMostRoom];  // a mapping each, that the kernel cannot merge
    for (size_t i = 0; i < kMostRoom; i++) {
      spare[i] = mmap(nullptr, os_page, i % 2 != 0 ? PROT_READ : PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      REQUIRE(spare[i] != MAP_FAILED);
    }
    (void)UseUpMappings(3 * most * os_page);
    for (size_t room = 0; room <= kMostRoom; room++) {
      if (room != 0) REQUIRE(munmap(spare[room - 1], os_page) == 0);
      pid_t child = fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        program.UseEverything();
        _exit(0);
      }
      int status = 0;
      REQUIRE(waitpid(child, &status, 0) == child);
      if (status == 0) continue;
      dprintf(2, "with room for %zu mappings: status %#x\n", room, static_cast<unsigned>(status));
      _exit(1);
    }
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

// ---- hakmem's own limit ----

using LimitSet = bool (*)(size_t soft, size_t hard);

void SetMemoryLimit(size_t hard) {
  auto set = reinterpret_cast<LimitSet>(dlsym(RTLD_DEFAULT, "hak_memory_limit_set"));
  REQUIRE(set != nullptr && set(0, hard));
}

constexpr size_t kMemoryLimit = 96 * kMiB;

// What is resident beside blocks: the program, and hakmem's structures.
constexpr size_t kOthers = 12 * kMiB;

class OwnLimitTest : public testing::TestWithParam<size_t> {};

TEST_P(OwnLimitTest, MallocReturnsNullAndTheProgramGoesOn) {
  size_t size = GetParam();
  Outcome outcome = RunInChild([size] {
    SetMemoryLimit(kMemoryLimit);
    void** list = nullptr;
    size_t n = 0;
    for (int round = 0; round < 3; round++) {
      n = 0;
      for (;; n++) {
        errno = 0;
        auto** block = static_cast<void**>(malloc(Opaque(size)));
        if (block == nullptr) break;
        memset(block, 1, size);
        *block = list;
        list = block;
      }
      REQUIRE(errno == ENOMEM);
      REQUIRE(ResidentBytes() <= kMemoryLimit + kOthers);
      // The others are refused alike, and change nothing.
      void* none = &n;
      REQUIRE(calloc(4, Opaque(2 * kMiB)) == nullptr && errno == ENOMEM);
      REQUIRE(posix_memalign(&none, 4096, Opaque(8 * kMiB)) == ENOMEM && none == &n);
      REQUIRE(realloc(list, Opaque(size + 8 * kMiB)) == nullptr && errno == ENOMEM);
      for (size_t at = sizeof(void*); at < size; at++) {
        REQUIRE(reinterpret_cast<char*>(list)[at] == 1);
      }
      bool thrown = false;
      try {
        delete[] new char[Opaque(8 * kMiB)];
      } catch (const std::bad_alloc&) {
        thrown = true;
      }
      REQUIRE(thrown);
      FreeAll(&list);
    }
    dprintf(1, "%zu", n * Footprint(size) * 100 / kMemoryLimit);
    // All of it serves blocks of other sizes.
    char* other = static_cast<char*>(malloc(Opaque(80 * kMiB)));
    REQUIRE(other != nullptr);
    free(other);
  });
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_GE(atoi(outcome.out.c_str()), 85);
}

INSTANTIATE_TEST_SUITE_P(Sizes, OwnLimitTest, testing::Values(64, 1000, 30000, 200000, 3 << 20));

TEST(LimitsTest, ABlockGrowsAlmostToTheOwnLimit) {
  Outcome outcome = RunInChild([] {
    SetMemoryLimit(kMemoryLimit);
    size_t size = kMiB;
    auto* block = static_cast<char*>(malloc(size));
    for (;;) {
      memset(block, 5, size);
      auto* grown = static_cast<char*>(realloc(block, size + size / 8));
      if (grown == nullptr) break;
      block = grown;
      size += size / 8;
      REQUIRE(ResidentBytes() <= kMemoryLimit + kOthers);
    }
    for (size_t at = 0; at < size; at += 4096) REQUIRE(block[at] == 5);
    REQUIRE(size >= kMemoryLimit / 5 * 4);
    free(block);
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

// What threads cache, those that sleep too, is given up before anybody is refused.
TEST(LimitsTest, BeforeTheOwnLimitRefusesCachesAreEmpty) {
  Outcome outcome = RunInChild([] {
    SetMemoryLimit(kMemoryLimit);
    std::atomic<int> n_freed{0};
    std::atomic<bool> end{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++) {
      threads.emplace_back([&] {
        std::vector<void*> blocks;
        for (size_t held = 0; held < 6 * kMiB;) {
          size_t size = 40 << held % 10;
          void* block = malloc(Opaque(size));
          if (block == nullptr) break;
          held += size;
          blocks.push_back(memset(block, 1, size));
        }
        for (void* block : blocks) free(block);
        n_freed++;
        while (!end) usleep(1000);
      });
    }
    while (n_freed != 8) usleep(1000);
    void* block = malloc(Opaque(72 * kMiB));
    REQUIRE(block != nullptr);
    free(block);
    end = true;
    for (std::thread& thread : threads) thread.join();
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

// Threads that all run into it, again and again.
TEST(LimitsTest, ManyThreadsAtTheOwnLimit) {
  Outcome outcome = RunInChild([] {
    SetMemoryLimit(kMemoryLimit);
    std::atomic<size_t> n_refused{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; t++) {
      threads.emplace_back([t, &n_refused] {
        uint64_t random = t;
        for (int round = 0; round < 5; round++) {
          void** list = nullptr;
          for (size_t held = 0; held < kMemoryLimit / 2;) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            size_t size = 16 + (random >> 33) % (round % 2 != 0 ? 400000 : 4000);
            auto** block = static_cast<void**>(malloc(Opaque(size)));
            if (block == nullptr) {
              n_refused++;
              break;
            }
            held += size;
            memset(block, 1, size);
            *block = list;
            list = block;
          }
          FreeAll(&list);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    REQUIRE(n_refused > 0);
    REQUIRE(ResidentBytes() <= kMemoryLimit + kOthers);
    free(memset(malloc(Opaque(64 * kMiB)), 1, 64 * kMiB));
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

// A program that knows nothing of it.
TEST(LimitsTest, TheEnvironmentSetsTheOwnLimit) {
  RunOptions options;
  options.preload = Library();
  std::vector<std::string> dd = {"dd", "if=/dev/zero", "of=/dev/null", "count=1", "bs=40M"};
  options.environment["HAKMEM_LIMIT"] = "64M";
  Outcome outcome = RunProgram(dd, options);
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  dd.back() = "bs=80M";
  outcome = RunProgram(dd, options);
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  EXPECT_NE(outcome.err.find("memory exhausted"), std::string::npos) << outcome;
  options.environment["HAKMEM_LIMIT"] = "100%";
  outcome = RunProgram(dd, options);
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

}  // namespace
}  // namespace hakmem_testing
