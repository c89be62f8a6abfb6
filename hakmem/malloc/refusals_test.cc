// Every call into the kernel fails once: the first, the second, and so on until a scenario that
// makes calls of all kinds passes untouched; and once more with all later calls failing too. A
// refusal may cost the program a block, with ENOMEM, and nothing else.

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/superslab/test_supers.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/options/options.h"
#include "hakmem/stats/introspect.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/thread/idle.h"
}

namespace {

constexpr size_t kKib = 1024, kMib = 1024 * kKib;

// All that this kernel maps at once.
constexpr size_t kMostMapped = 200 * kMib;

// ---- refusals ----

struct Refusal {
  uint64_t first;  // number of the first call that fails
  bool for_good;   // and all after it
  int error;
};

// What a child tells its parent, in memory that they share.
struct Told {
  std::atomic<uint64_t> calls;
  std::atomic<uint64_t> refused[HAK_KERNEL_N_KINDS];
};

bool IsOfMemory(hak_kernel_kind_t kind) {
  return kind != HAK_KERNEL_FUTEX && kind != HAK_KERNEL_TELEMETRY;
}

hak::ScopedFault::Fault Inject(const Refusal& refusal, Told* told) {
  return [=](hak_kernel_kind_t kind, size_t bytes) {
    if (!IsOfMemory(kind)) return 0;
    if (kind == HAK_KERNEL_MMAP && bytes > kMostMapped) return ENOMEM;
    uint64_t number = ++told->calls;
    bool refused = refusal.for_good ? number >= refusal.first : number == refusal.first;
    if (refused) told->refused[kind]++;
    return refused ? refusal.error : 0;
  };
}

// ---- invariants ----

void ExpectConsistent(hak_superslab_t* super, void*) {
  uint64_t all = hak_bit_run(0, hak_super_pages());
  bool is_free = super->state == HAK_SUPER_FREE;
  EXPECT_EQ(super->free_pages & ~all, 0u);
  EXPECT_EQ(super->dirty_pages & ~all, 0u);
  EXPECT_EQ(super->checked_out, 0u);
  EXPECT_EQ(super->absent_pages & ~all, 0u);
  if (super->state == HAK_SUPER_DIRECT) return;
  uint32_t i = hak_reserve_index(super);
  EXPECT_EQ((super->reservation->free_supers[i / 64] >> (i % 64) & 1) != 0, is_free);
  if (is_free) {
    EXPECT_TRUE(super->absent_pages == 0 || super->absent_pages == all);
    EXPECT_EQ(super->dirty_pages & ~super->free_pages, 0u);
  } else if (super->state == HAK_SUPER_PAGES) {
    EXPECT_NE(super->free_pages, all);
    EXPECT_EQ(super->bin, hak_longest_run(super->free_pages));
    uint64_t in_runs = hak_super_visit_runs(
        super, [](hak_run_t*, void*) {}, nullptr);
    uint64_t not_there = super->absent_pages | super->reserved_pages;
    EXPECT_EQ(in_runs, all & ~super->free_pages & ~not_there);
  } else if (super->state == HAK_SUPER_LOST) {  // it could not be unmapped as a whole
    EXPECT_EQ(super->absent_pages, all);
    EXPECT_EQ(super->free_pages | super->dirty_pages, 0u);
  } else {
    ASSERT_EQ(super->state, HAK_SUPER_HUGE);
    EXPECT_LT(i - hak_reserve_index(super->head), super->head->huge_supers);
  }
}

void ExpectAllConsistent() {
  hak_super_visit(ExpectConsistent, nullptr);
  size_t bytes = 0;
  for (unsigned i = 0; i < hak_reserve_count(); ++i) {
    const hak_reservation_t* r = hak_reserve_get(i);
    unsigned n_free = 0;
    for (uint32_t s = 0; s < r->capacity; s += 64) n_free += hak_bit_count(r->free_supers[s / 64]);
    EXPECT_EQ(r->n_free, n_free);
    for (uint32_t s = 0; r->base != 0 && s < r->n_supers; ++s) {
      bytes += hak_super_bytes() -
               (hak_bit_count(hak_reserve_super(r, s)->absent_pages) << HAK_PAGE_SHIFT);
    }
    EXPECT_TRUE(r->base != 0 || n_free == 0);
  }
  EXPECT_EQ(bytes, hak_reserve_bytes());
}

// ---- the scenario ----

// The program's blocks, each with a pattern that it keeps.
class Program {
 public:
  void Take(size_t size, const std::function<void*(size_t)>& take) {
    errno = 0;
    char* at = static_cast<char*>(take(size));
    if (at == nullptr) {
      EXPECT_EQ(errno, ENOMEM);
      return;
    }
    blocks_.push_back({at, size, static_cast<char>(1 + blocks_.size() % 100)});
    Fill(blocks_.back());
  }
  void Take(size_t size) {
    Take(size, [](size_t bytes) { return hak_malloc(bytes); });
  }
  void Resize(size_t i, size_t size) {
    if (i >= blocks_.size()) return;
    Block& block = blocks_[i];
    errno = 0;
    char* at = static_cast<char*>(hak_realloc(block.at, size));
    if (at == nullptr) {
      EXPECT_EQ(errno, ENOMEM);
      EXPECT_GT(size, block.size) << "shrinking needs no memory";
      return;
    }
    block.at = at;
    ExpectFilled(block, std::min(block.size, size));
    block.size = size;
    Fill(block);
  }
  // Every `step`-th.
  void Free(size_t step) {
    std::vector<Block> kept;
    for (size_t i = 0; i < blocks_.size(); ++i) {
      if (i % step != 0) {
        kept.push_back(blocks_[i]);
        continue;
      }
      ExpectFilled(blocks_[i], blocks_[i].size);
      hak_free(blocks_[i].at);
    }
    blocks_ = kept;
  }
  size_t live_bytes() const {
    size_t bytes = 0;
    for (const Block& block : blocks_) bytes += hak_usable_size(block.at);
    return bytes;
  }

 private:
  struct Block {
    char* at;
    size_t size;
    char mark;
  };
  static constexpr size_t kStep = HAK_PAGE_BYTES / 2;
  static void Fill(const Block& block) {
    for (size_t i = 0; i < block.size; i += kStep) block.at[i] = block.mark;
    block.at[block.size - 1] = block.mark;
  }
  static void ExpectFilled(const Block& block, size_t size) {
    for (size_t i = 0; i < size; i += kStep) ASSERT_EQ(block.at[i], block.mark);
    if (size == block.size) {
      ASSERT_EQ(block.at[size - 1], block.mark);
    }
  }

  std::vector<Block> blocks_;
};

void* Zeroed(size_t size) {
  auto* block = static_cast<char*>(hak_calloc(1, size));
  for (size_t i = 0; block != nullptr && i < size; i += 4096) EXPECT_EQ(block[i], 0);
  return block;
}

// What is freed and given back is zero, and what could not be given back is cleared.
void ReuseZeroed(size_t size) {
  auto* block = static_cast<char*>(hak_malloc(size));
  for (size_t i = 0; block != nullptr && i < size; i += 4096) block[i] = 1;
  hak_free(block);
  (void)hak_introspect_trim();
  hak_free(Zeroed(size));
}

void UseAll(Program* program) {
  program->Take(3 * kMib);  // the first three, each in the way of the one before
  program->Take(3 * kMib);
  program->Take(3 * kMib);
  program->Resize(0, 9 * kMib);   // moves
  program->Resize(0, 11 * kMib);  // grows in place
  program->Resize(1, 30 * kMib);
  program->Resize(0, 5 * kMib);  // cuts a moved block
  for (size_t size : {size_t{24}, size_t{1000}, size_t{30000}, size_t{100000}, kMib}) {
    for (int i = 0; i < 8; ++i) program->Take(size);
  }
  program->Free(3);
  ReuseZeroed(300 * kKib);
  ReuseZeroed(5 * kMib);
  program->Take(8 * kMib, [](size_t size) { return hak_aligned_alloc(8 * kMib, size); });
  // A second thread, whose cache is taken back while it lives.
  std::atomic<int> step{0};
  std::thread other([&] {
    Program own;
    for (int i = 0; i < 200; ++i) own.Take(200);
    program->Free(4);
    own.Free(1);
    step = 1;
    while (step != 2) std::this_thread::yield();
  });
  while (step != 1) std::this_thread::yield();
  hak_idle_reclaim_all(true);
  step = 2;
  other.join();
  (void)hak_ss_prewarm_class(hak_size_class(500), 1);
  program->Free(2);
  hak_free(hak_malloc(150 * kMib));  // in a reservation that is unused again...
  program->Take(kMostMapped + 1);    // ...and has to go before this is refused
}

void ExpectRecovered(Program* program) {
  ExpectAllConsistent();
  hak_retention r;
  ASSERT_TRUE(hak_retention_get(&r, sizeof r));
  EXPECT_EQ(r.live_bytes, program->live_bytes());
  EXPECT_EQ(r.rounding_bytes + r.partial_slabs_bytes + r.abandoned_bytes + r.prewarmed_bytes +
                r.thread_caches_bytes + r.outgoing_bytes + r.empty_pages_bytes +
                r.huge_cache_bytes + r.lost_bytes + r.metadata_bytes,
            r.committed_bytes - r.live_bytes);
  EXPECT_EQ(r.lost_bytes, 0u);
  program->Free(1);
  ExpectAllConsistent();
  Program again;
  again.Take(100 * kMib);
  for (int i = 0; i < 300; ++i) again.Take(3000);
  EXPECT_GE(again.live_bytes(), 100 * kMib + 300 * 3000);
  again.Free(1);
}

// One run of the scenario, in the child of a fork.
void RunRefused(const Refusal& refusal, bool direct, Told* told) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "-1"));  // nothing depends on the time
  ASSERT_TRUE(hak_option_set(HAK_OPTION_use_superslab, direct ? "0" : "1"));
  Program program;
  {
    hak::ScopedFault fault(Inject(refusal, told));
    UseAll(&program);
  }
  for (int kind = 0; kind < HAK_KERNEL_N_KINDS; ++kind) {
    if (kind == HAK_KERNEL_MREMAP) continue;  // ENOMEM may be the answer to a question
    auto* counters = hak_platform_counters(static_cast<hak_kernel_kind_t>(kind));
    EXPECT_GE(hak_load_relaxed(&counters->failures), told->refused[kind])
        << hak_platform_kind_name(static_cast<hak_kernel_kind_t>(kind));
  }
  ExpectRecovered(&program);
}

struct Way {
  const char* name;
  bool for_good, direct;
  int error;
};

class RefusalsTest : public testing::TestWithParam<Way> {};

TEST_P(RefusalsTest, OfAnyCallCostABlockAtMost) {
  void* shared =
      mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto* told = static_cast<Told*>(shared);
  uint64_t refused[HAK_KERNEL_N_KINDS] = {};
  const uint64_t step = hak::kUnderSanitizer ? 3 : 1;  // where a run takes ten times as long
  uint64_t n = 1 - step;
  do {
    n += step;
    memset(shared, 0, sizeof(Told));
    Refusal refusal = {n, GetParam().for_good, GetParam().error};
    ASSERT_TRUE(hak::PassesInChild([=] { RunRefused(refusal, GetParam().direct, told); }))
        << "with call " << n << " refused";
    for (int kind = 0; kind < HAK_KERNEL_N_KINDS; ++kind) refused[kind] += told->refused[kind];
  } while (told->calls >= n);
  EXPECT_GT(n, 20u);
  printf("%d calls, each refused once\n", static_cast<int>(told->calls));
  for (int i = 0; i < HAK_KERNEL_N_KINDS; ++i) {
    auto kind = static_cast<hak_kernel_kind_t>(i);
    if (IsOfMemory(kind) && step == 1) {
      EXPECT_GT(refused[kind], 0u) << hak_platform_kind_name(kind) << " does not occur";
    }
  }
  munmap(shared, sizeof(Told));
}

INSTANTIATE_TEST_SUITE_P(Ways, RefusalsTest,
                         testing::Values(Way{"Once", false, false, ENOMEM},
                                         Way{"ForGood", true, false, EAGAIN},
                                         Way{"DirectOnce", false, true, ENOMEM},
                                         Way{"DirectForGood", true, true, ENOMEM}),
                         [](const testing::TestParamInfo<Way>& way) { return way.param.name; });

}  // namespace
