// Figures against what the test knows to be live, and against /proc and getrusage.

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/base/size_class.h"
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/stats/introspect.h"
#include "hakmem/stats/stats.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/thread/thread.h"
}

namespace {

hak_snapshot_t Gather() {
  hak_snapshot_t snapshot;
  hak_stats_gather(&snapshot);
  return snapshot;
}

uint64_t SumOfReasons(const hak_retention& r) {
  return r.rounding_bytes + r.partial_slabs_bytes + r.abandoned_bytes + r.prewarmed_bytes +
         r.thread_caches_bytes + r.outgoing_bytes + r.empty_pages_bytes + r.huge_cache_bytes +
         r.lost_bytes + r.metadata_bytes;
}

// Of all threads' spans.
size_t SpanCacheBytes() {
  size_t pages = 0;
  for (const hak_heap_entry_t* e = hak_thread_heaps(); e != nullptr; e = e->next) {
    pages += e->heap->span_pages;
  }
  return pages << HAK_PAGE_SHIFT;
}

// What holds of the figures of any quiescent program: nothing is counted twice or forgotten.
void ExpectConsistent(const hak_snapshot_t& snapshot) {
  const hak_stats& stats = snapshot.stats;
  const hak_retention& retention = snapshot.retention;
  size_t live = 0, free = 0, cached = 0, outgoing = 0;
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    const hak_class_stats& s = snapshot.classes[c];
    size_t block_bytes = hak_class_info(c)->block_bytes;
    EXPECT_EQ(s.block_bytes, block_bytes);
    EXPECT_EQ(s.live + s.free + s.cached + s.outgoing, s.capacity) << c;
    EXPECT_EQ(s.taken - s.returned, s.live + s.cached + s.outgoing) << c;
    live += s.live * block_bytes;
    free += s.free * block_bytes;
    cached += s.cached * block_bytes;
    outgoing += s.outgoing * block_bytes;
  }
  EXPECT_EQ(stats.allocated_bytes, live + stats.span_bytes + stats.huge_bytes);
  EXPECT_EQ(retention.partial_slabs_bytes + retention.abandoned_bytes + retention.prewarmed_bytes,
            free);
  EXPECT_EQ(stats.cached_bytes, cached + SpanCacheBytes());
  EXPECT_EQ(stats.outgoing_bytes, outgoing);
  EXPECT_EQ(SumOfReasons(retention), retention.committed_bytes - retention.live_bytes);
  EXPECT_EQ(retention.committed_bytes, stats.committed_bytes);
  EXPECT_EQ(retention.live_bytes, stats.allocated_bytes);
  EXPECT_GE(stats.reserved_bytes, stats.committed_bytes - stats.metadata_bytes);
}

// No huge pages, whose unused parts count as committed, and no purge by the clock.
void KeepSimple() {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thp, "never"));
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "-1"));
}

TEST_IN_CHILD(StatsTest, BlocksInTheProgramsHandsAreCountedExactly) {
  KeepSimple();
  hak::Random random(100);
  std::vector<uint64_t> live(HAK_N_CLASSES, 0);
  std::vector<void*> blocks;
  size_t spans = 0, huge = 0;
  for (int i = 0; i < 20000; ++i) {
    size_t size = random.LogUniform(4 * HAK_MIB);
    void* block = hak_malloc(size);
    ASSERT_NE(block, nullptr);
    if (blocks.size() < 300 && random.Below(3) != 0) {
      blocks.push_back(block);
      if (size <= HAK_SMALL_MAX) {
        ++live[hak_class_of(size)];
      } else {
        ++(size <= HAK_MIB ? spans : huge);
      }
    } else {
      hak_free(block);
    }
  }
  hak_snapshot_t held = Gather();
  ExpectConsistent(held);
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) EXPECT_EQ(held.classes[c].live, live[c]) << c;
  EXPECT_EQ(held.stats.spans, spans);
  EXPECT_EQ(held.stats.huge_blocks, huge);
  EXPECT_EQ(held.stats.heaps, 1u);
  for (void* block : blocks) hak_free(block);
  hak_snapshot_t freed = Gather();
  ExpectConsistent(freed);
  EXPECT_EQ(freed.stats.allocated_bytes, 0u);
  EXPECT_EQ(freed.stats.spans + freed.stats.huge_blocks, 0u);
}

TEST_IN_CHILD(StatsTest, BlocksBetweenThreadsAreCountedOnce) {
  KeepSimple();
  constexpr size_t kBlocks = 2000;
  std::vector<void*> blocks(kBlocks);
  std::atomic<int> stage{0};
  std::thread owner([&] {
    for (void*& block : blocks) block = hak_malloc(64);
    stage = 1;
    while (stage != 2) std::this_thread::yield();
  });
  while (stage != 1) std::this_thread::yield();
  hak_free(hak_malloc(5000));
  for (size_t i = 0; i < 700; ++i) hak_free(blocks[i]);  // some cached, some in remote bitmaps
  hak_snapshot_t before = Gather();
  ExpectConsistent(before);
  unsigned c = hak_class_of(64);
  EXPECT_EQ(before.classes[c].live, kBlocks - 700);
  EXPECT_GT(before.classes[c].remote_frees, 0u);
  EXPECT_GT(before.stats.remote_atomics, 0u);
  EXPECT_EQ(before.stats.heaps, 2u);
  stage = 2;
  owner.join();
  hak_snapshot_t after = Gather();
  ExpectConsistent(after);
  EXPECT_EQ(after.stats.heaps, 1u);
  EXPECT_EQ(after.classes[c].live, kBlocks - 700);
  EXPECT_GE(after.classes[c].taken, kBlocks) << "an ended thread's counts are kept";
}

TEST_IN_CHILD(StatsTest, PurgedMemoryIsNoLongerCommitted) {
  KeepSimple();
  hak_free(hak_malloc(10 * HAK_MIB));
  hak_snapshot_t before = Gather();
  EXPECT_GE(before.retention.huge_cache_bytes, 10 * HAK_MIB);
  size_t given = hak_purge_all();
  hak_snapshot_t after = Gather();
  EXPECT_EQ(after.retention.huge_cache_bytes + after.retention.empty_pages_bytes, 0u);
  EXPECT_EQ(after.stats.purged_bytes - before.stats.purged_bytes, given);
  EXPECT_EQ(before.stats.committed_bytes - after.stats.committed_bytes, given);
  EXPECT_EQ(after.stats.reserved_bytes, before.stats.reserved_bytes);
}

TEST_IN_CHILD(StatsTest, AnIdleAllocatorHasNothing) {
  hak_snapshot_t idle = Gather();
  ExpectConsistent(idle);
  EXPECT_EQ(idle.stats.committed_bytes + idle.stats.spans + idle.stats.heaps, 0u);
}

// ---- the public functions ----

TEST_IN_CHILD(StatsTest, AnOlderCallerGetsTheFieldsItKnows) {
  void* block = hak_malloc(5000);
  hak_stats stats;
  memset(&stats, 0x5a, sizeof stats);
  EXPECT_TRUE(hak_stats_get(&stats, offsetof(hak_stats, allocated_bytes)));
  EXPECT_GT(stats.committed_bytes, 0u);
  uint64_t untouched = 0x5a5a5a5a5a5a5a5a;
  EXPECT_EQ(stats.allocated_bytes, untouched);
  EXPECT_EQ(stats.telemetry_failures, untouched);
  struct {
    hak_retention known;
    uint64_t newer;
  } retention = {{}, 77};
  EXPECT_TRUE(hak_retention_get(&retention.known, sizeof retention));
  EXPECT_EQ(retention.known.live_bytes, hak_usable_size(block));
  EXPECT_EQ(retention.newer, 77u) << "a field that the library does not know";
}

TEST_IN_CHILD(StatsTest, AClassIsAskedForByItsNumber) {
  for (int i = 0; i < 10; ++i) ASSERT_NE(hak_malloc(5000), nullptr);
  unsigned c = hak_size_class(5000);
  hak_class_stats figures = {};
  EXPECT_TRUE(hak_stats_class_get(c, &figures, sizeof figures));
  EXPECT_EQ(figures.live, 10u);
  EXPECT_EQ(figures.block_bytes, hak_class_size(c));
  hak_snapshot_t all = Gather();
  EXPECT_EQ(memcmp(&figures, &all.classes[c], sizeof figures), 0);
  figures.live = 1234;
  for (unsigned none : {0u, unsigned{HAK_N_CLASSES}, UINT_MAX}) {
    EXPECT_FALSE(hak_stats_class_get(none, &figures, sizeof figures));
  }
  EXPECT_EQ(figures.live, 1234u);
}

TEST_IN_CHILD(StatsTest, ExhaustionsAreThoseOfTheEvents) {
  KeepSimple();
  for (int i = 0; i < 300; ++i) ASSERT_NE(hak_malloc(32000), nullptr);
  for (int i = 0; i < 10; ++i) ASSERT_NE(hak_malloc(900000), nullptr);
  hak_snapshot_t snapshot = Gather();
  unsigned c = hak_size_class(32000);
  EXPECT_GE(snapshot.classes[c].exhaustions, 4u);
  EXPECT_EQ(snapshot.classes[c].exhaustions, hak_events_exhausted(c));
  EXPECT_GE(snapshot.classes[0].exhaustions, 4u) << "spans";
  EXPECT_EQ(snapshot.classes[0].exhaustions, hak_events_exhausted(0));
  EXPECT_EQ(snapshot.stats.exhaustions,
            snapshot.classes[c].exhaustions + snapshot.classes[0].exhaustions);
  EXPECT_EQ(snapshot.stats.events, hak_events_count());
}

// The smallest stack a thread may have.
TEST_IN_CHILD(StatsTest, AThreadWithASmallStackMayAsk) {
  if (hak::kUnderSanitizer || HAK_DEBUG != 0) GTEST_SKIP() << "their frames are larger";
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 16384), 0);
  pthread_t thread;
  auto ask = [](void*) -> void* {
    static hak_stats stats;
    static hak_class_stats class_stats;
    static hak_retention retention;
    bool ok = hak_stats_get(&stats, sizeof stats) &&
              hak_stats_class_get(1, &class_stats, sizeof class_stats) &&
              hak_retention_get(&retention, sizeof retention);
    hak_introspect_print();
    return reinterpret_cast<void*>(static_cast<intptr_t>(ok && stats.vmas > 0));
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, ask, nullptr), 0);
  void* ok = nullptr;
  pthread_join(thread, &ok);
  EXPECT_NE(ok, nullptr);
}

// ---- against independent sources ----

// The number after `name` in a file of /proc, in bytes if it is in kB.
uint64_t Kilobytes(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    uint64_t kib;
    if (word == name && file >> kib) return kib * 1024;
  }
  return 0;
}

TEST_IN_CHILD(StatsTest, ResidentMemoryIsThatOfSmapsRollup) {
  constexpr size_t kBytes = 64 * HAK_MIB;
  hak_stats before = Gather().stats;
  memset(hak_malloc(kBytes), 1, kBytes);
  hak_stats after = Gather().stats;
  double rollup = static_cast<double>(Kilobytes("/proc/self/smaps_rollup", "Rss:"));
  // The kernel gathers the counter behind statm from its processors now and then; and a sanitizer
  // takes memory while this very test reads a file.
  double tolerance = static_cast<double>(hak::kUnderSanitizer ? 8 * HAK_MIB : 2 * HAK_MIB);
  EXPECT_NEAR(static_cast<double>(after.rss_bytes), rollup, tolerance);
  if (!hak::kUnderSanitizer) {
    EXPECT_NEAR(static_cast<double>(after.rss_bytes - before.rss_bytes), kBytes, 2 * HAK_MIB);
  }
}

bool IsReserved(uintptr_t begin, uintptr_t end) {
  for (unsigned i = 0; i < hak_reserve_count(); ++i) {
    const hak_reservation_t* r = hak_reserve_get(i);
    if (begin < r->base + r->n_supers * hak_super_bytes() && end > r->base) return true;
  }
  return false;
}

// What of the reservations is in memory, as /proc/self/smaps says of each mapping.
size_t ResidentOfReservations() {
  std::ifstream smaps("/proc/self/smaps");
  size_t bytes = 0;
  bool is_inside = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long begin, end, kib;
    if (sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) is_inside = IsReserved(begin, end);
    if (is_inside && sscanf(line.c_str(), "Rss: %lu kB", &kib) == 1) bytes += kib * 1024;
  }
  return bytes;
}

TEST_IN_CHILD(StatsTest, CommittedIsAtLeastWhatIsResident) {
  hak::Random random(7);
  std::vector<void*> blocks;
  for (int i = 0; i < 5000; ++i) {
    size_t size = random.LogUniform(3 * HAK_MIB);
    blocks.push_back(hak_malloc(size));
    memset(blocks.back(), 1, size);
    if (random.Below(2) == 0) {
      std::swap(blocks[random.Below(blocks.size())], blocks.back());
      hak_free(blocks.back());
      blocks.pop_back();
    }
    if (i % 1000 == 999) hak_purge_all();
  }
  hak_stats stats = Gather().stats;
  size_t resident = ResidentOfReservations();
  EXPECT_GT(resident, stats.allocated_bytes / 2);
  EXPECT_LE(resident, stats.committed_bytes - stats.metadata_bytes);
  EXPECT_LE(stats.committed_bytes - stats.metadata_bytes, stats.reserved_bytes);
}

TEST_IN_CHILD(StatsTest, MappingsAreThoseOfMaps) {
  hak_free(hak_malloc(1));
  // Every other page protected: each is a mapping.
  constexpr size_t kPage = 65536, kPages = 600;
  auto* range = static_cast<char*>(
      mmap(nullptr, kPages * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  for (size_t i = 0; i < kPages; i += 2) mprotect(range + i * kPage, kPage, PROT_READ);
  uint64_t limit = 0;
  std::ifstream("/proc/sys/vm/max_map_count") >> limit;
  hak_stats stats = {};
  ASSERT_TRUE(hak_stats_get(&stats, sizeof stats));
  EXPECT_EQ(stats.vmas, hak::CountMappings());
  EXPECT_GE(stats.vmas, kPages);
  EXPECT_EQ(stats.vmas_max, limit);
}

TEST_IN_CHILD(StatsTest, FaultsAndTimesAreThoseOfGetrusage) {
  auto* block = static_cast<volatile char*>(hak_malloc(8 * HAK_MIB));
  auto ns = [](const timeval& t) {
    return uint64_t(t.tv_sec) * 1000000000 + uint64_t(t.tv_usec) * 1000;
  };
  rusage before, after;
  hak_stats first = {}, second = {};
  ASSERT_TRUE(hak_stats_get(&first, sizeof first));
  getrusage(RUSAGE_SELF, &before);
  for (size_t i = 0; i < 8 * HAK_MIB; i += 4096) block[i] = 1;
  ASSERT_TRUE(hak_stats_get(&second, sizeof second));
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LE(first.minor_faults, static_cast<uint64_t>(before.ru_minflt));
  EXPECT_GE(second.minor_faults, static_cast<uint64_t>(before.ru_minflt) + 2);
  EXPECT_LE(second.minor_faults, static_cast<uint64_t>(after.ru_minflt));
  EXPECT_LE(second.major_faults, static_cast<uint64_t>(after.ru_majflt));
  EXPECT_LE(first.user_ns, ns(before.ru_utime));
  EXPECT_GE(second.user_ns, ns(before.ru_utime));
  EXPECT_LE(second.user_ns, ns(after.ru_utime));
  EXPECT_GE(second.system_ns, ns(before.ru_stime));
  EXPECT_LE(second.system_ns, ns(after.ru_stime));
  EXPECT_GT(second.time_ns, first.time_ns);
}

TEST_IN_CHILD(StatsTest, WhatCannotBeReadIsUnknown) {
  hak_free(hak_malloc(1));
  hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_TELEMETRY, EACCES));
  errno = E2BIG;
  hak_stats stats = {};
  ASSERT_TRUE(hak_stats_get(&stats, sizeof stats));
  EXPECT_EQ(errno, E2BIG);
  for (uint64_t figure : {stats.minor_faults, stats.major_faults, stats.user_ns, stats.system_ns,
                          stats.rss_bytes, stats.vmas, stats.vmas_max}) {
    EXPECT_EQ(figure, HAK_UNKNOWN);
  }
  EXPECT_GT(stats.telemetry.failures, 0u);
  EXPECT_GT(stats.committed_bytes, 0u);
}

// However a kind is added: what the platform layer counts stands in the text for users, by its
// name.
TEST_IN_CHILD(StatsTest, EveryKindOfKernelCallIsGivenOut) {
  hak_free(hak_malloc(1));
  const long none[6] = {};
  for (int kind = 0; kind < HAK_KERNEL_N_KINDS; ++kind) {
    auto as_kind = static_cast<hak_kernel_kind_t>(kind);
    for (int i = 0; i <= kind; ++i) {
      ASSERT_EQ(hak_platform_call(as_kind, 1000, nullptr, SYS_getpid, none), 0);
      ASSERT_EQ(hak_platform_call(as_kind, 1000, nullptr, -1, none), ENOSYS);
    }
  }
  std::string json;
  auto collect = [](const char* text, size_t length, void* context) {
    static_cast<std::string*>(context)->append(text, length);
    return true;
  };
  ASSERT_TRUE(hak_stats_json(collect, &json));
  for (int kind = 0; kind < HAK_KERNEL_N_KINDS; ++kind) {
    const hak_kernel_counters_t* counters =
        hak_platform_counters(static_cast<hak_kernel_kind_t>(kind));
    std::string name = hak_platform_kind_name(static_cast<hak_kernel_kind_t>(kind));
    const std::pair<const char*, uint64_t> figures[] = {
        {"calls", hak_load_relaxed(&counters->calls)},
        {"bytes", hak_load_relaxed(&counters->bytes)},
        {"failures", hak_load_relaxed(&counters->failures)},
        {"ns", hak_load_relaxed(&counters->ns)},
    };
    for (const auto& [figure, value] : figures) {
      std::string key = "\"kernel_" + name + "_" + figure + "\":";
      size_t at = json.find(key);
      ASSERT_NE(at, std::string::npos) << key;
      // Writing the text has cost calls of this kind itself.
      if (kind == HAK_KERNEL_TELEMETRY) continue;
      EXPECT_EQ(strtoull(json.c_str() + at + key.size(), nullptr, 10), value) << key;
    }
    EXPECT_GT(figures[2].second, static_cast<uint64_t>(kind)) << name;
  }
}

TEST_IN_CHILD(StatsTest, AskingIsCountedApartAndLeavesNothingBehind) {
  hak_free(hak_malloc(1));
  hak_snapshot_t first = Gather(), second = Gather();
  EXPECT_GT(second.stats.telemetry.calls, first.stats.telemetry.calls);
#define HAK_KERNEL_CALL(KIND, name)                                      \
  if (HAK_KERNEL_##KIND != HAK_KERNEL_TELEMETRY) {                       \
    EXPECT_EQ(second.stats.name.calls, first.stats.name.calls) << #name; \
  }
#include "hakmem/platform/kernel_calls.def"
  int next_fd = dup(0);
  close(next_fd);
  (void)Gather();
  int fd = dup(0);
  EXPECT_EQ(fd, next_fd) << "no file is left open";
  close(fd);
  EXPECT_EQ(memcmp(&first.retention, &second.retention, sizeof first.retention), 0);
  EXPECT_EQ(memcmp(first.classes, second.classes, sizeof first.classes), 0);
}

// ---- while threads run ----

// What a busy program's figures keep to: no figure is what an underflow would make of it.
void ExpectBounded(const hak_snapshot_t& snapshot, uint64_t max_bytes) {
  const hak_retention& r = snapshot.retention;
  for (uint64_t bytes :
       {r.committed_bytes, r.live_bytes, r.rounding_bytes, r.partial_slabs_bytes, r.abandoned_bytes,
        r.thread_caches_bytes, r.outgoing_bytes, r.empty_pages_bytes, r.huge_cache_bytes}) {
    ASSERT_LE(bytes, max_bytes);
  }
  ASSERT_EQ(r.lost_bytes + r.prewarmed_bytes, 0u);
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    const hak_class_stats& s = snapshot.classes[c];
    ASSERT_LE(s.live, s.capacity);
    ASSERT_LE(s.free, s.capacity);
    ASSERT_LE(s.cached, uint64_t{8} * HAK_MAGAZINE_MAX_BLOCKS);
    ASSERT_LE(s.outgoing, uint64_t{8} * HAK_OUTGOING_BLOCKS);
  }
}

// What counts from the start never goes back, threads that end included.
void ExpectForwards(const hak_snapshot_t& before, const hak_snapshot_t& after) {
  const hak_stats &a = before.stats, &b = after.stats;
  ASSERT_GE(b.refills, a.refills);
  ASSERT_GE(b.flushes, a.flushes);
  ASSERT_GE(b.remote_frees, a.remote_frees);
  ASSERT_GE(b.remote_atomics, a.remote_atomics);
  ASSERT_GE(b.adoptions, a.adoptions);
  ASSERT_GE(b.lock_acquisitions, a.lock_acquisitions);
  for (unsigned c = 1; c < HAK_N_CLASSES; ++c) {
    ASSERT_GE(after.classes[c].taken, before.classes[c].taken);
    ASSERT_GE(after.classes[c].returned, before.classes[c].returned);
  }
}

// Blocks change hands through these.
std::array<std::atomic<void*>, 256> handed_over;

void UseAndEnd(uint64_t seed) {
  hak::Random random(seed);
  for (int i = 0; i < 4000; ++i) {
    size_t size = random.LogUniform(random.Below(100) == 0 ? 3 * HAK_MIB : 20000);
    hak_free(handed_over[random.Below(handed_over.size())].exchange(hak_malloc(size)));
  }
}

TEST_IN_CHILD(StatsTest, FiguresOfABusyProgramAreBoundedAndNeverGoBack) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "1"));
  std::atomic<int> running{4};
  std::vector<std::thread> users;
  for (uint64_t i = 0; i < 4; ++i) {
    users.emplace_back([i, &running] {
      for (uint64_t k = 0; k < 20; ++k) std::thread(UseAndEnd, i << 32 | k).join();
      --running;
    });
  }
  static hak_snapshot_t before, after;
  hak_stats_gather(&before);
  while (running != 0) {
    hak_stats_gather(&after);
    ASSERT_NO_FATAL_FAILURE(ExpectBounded(after, 4 * HAK_GIB));
    ASSERT_NO_FATAL_FAILURE(ExpectForwards(before, after));
    before = after;
  }
  for (std::thread& user : users) user.join();
  for (auto& block : handed_over) hak_free(block.exchange(nullptr));
  hak_introspect_trim();
  ExpectConsistent(Gather());
  EXPECT_EQ(Gather().stats.allocated_bytes, 0u);
}

// A fork may catch a thread that gathers, with a lock held. The child can ask, and goes on from
// what its parent counted.
TEST_IN_CHILD(StatsTest, AChildForkedWhileAThreadGathersCanAsk) {
  std::atomic<bool> stop{false};
  std::thread user([&stop] {
    for (uint64_t seed = 0; !stop; ++seed) std::thread(UseAndEnd, seed).join();
  });
  std::thread gatherer([&stop] {
    static hak_snapshot_t snapshot;
    while (!stop) hak_stats_gather(&snapshot);
  });
  hak_free(hak_malloc(100));
  for (int i = 0; i < 100; ++i) {
    hak_stats before = {};
    ASSERT_TRUE(hak_stats_get(&before, sizeof before));
    ASSERT_TRUE(hak::PassesInChild([&before] {
      for (int k = 0; k < 3; ++k) hak_free(hak_malloc(1000));
      hak_stats after = {};
      ASSERT_TRUE(hak_stats_get(&after, sizeof after));
      EXPECT_GE(after.refills, before.refills);
      EXPECT_EQ(after.heaps, 1u);
      EXPECT_LE(after.allocated_bytes, after.committed_bytes);
      hak_retention retention = {};
      ASSERT_TRUE(hak_retention_get(&retention, sizeof retention));
      EXPECT_EQ(SumOfReasons(retention), retention.committed_bytes - retention.live_bytes);
    }));
  }
  stop = true;
  user.join();
  gatherer.join();
}

}  // namespace
