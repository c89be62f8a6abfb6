// Features of the kernel that are younger than Linux 4.18, or that a kernel may be built without:
// with each of them missing, or answered as by a kernel that has half of it, all that the allocator
// does is done, and memory goes back. A case counts only if the feature was asked for. (fork_test
// of the platform has the page that is wiped in children; it is asked for before a test can refuse
// it.)

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/malloc/start.h"
#include "hakmem/options/options.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/spare.h"
}

namespace {

constexpr size_t kMiB = HAK_MIB;
// Advice and flags by their numbers: the headers may be older than the kernel.
constexpr long kPopulateWrite = 23, kDontNeedLocked = 24;
constexpr long kDontUnmap = 4, kFixedNoReplace = 0x100000;

bool IsAdvice(long number, const long a[6], long advice) {
  return number == SYS_madvise && a[2] == advice;
}

// ---- kernels ----

// What is asked of a kernel, and its answer: 0 or an errno value.
using Ask = int (*)(long number, const long a[6], long* answer);

struct Kernel {
  const char* name;
  bool (*is_asked)(long number, const long a[6]);
  Ask answer;
};

void PrintTo(const Kernel& kernel, std::ostream* out) { *out << kernel.name; }

template <int error>
int Refuse(long, const long[6], long*) {
  return error;
}

bool IsMoveThatKeeps(long number, const long a[6]) {
  return number == SYS_mremap && (a[3] & kDontUnmap) != 0;
}
bool IsPopulate(long number, const long a[6]) { return IsAdvice(number, a, kPopulateWrite); }
bool IsHugeAdvice(long number, const long a[6]) {
  return IsAdvice(number, a, MADV_HUGEPAGE) || IsAdvice(number, a, MADV_NOHUGEPAGE);
}
bool IsPurge(long number, const long a[6]) {
  return IsAdvice(number, a, MADV_DONTNEED) || IsAdvice(number, a, kDontNeedLocked);
}
bool IsMapWhereNothingIs(long number, const long a[6]) {
  return number == SYS_mmap && (a[3] & kFixedNoReplace) != 0;
}

// Some of the range, and then there is no memory, or a page with a hardware fault.
template <int error>
int PopulateHalf(long number, const long a[6], long* answer) {
  const long half[6] = {a[0], a[1] / 2 & -4096, a[2], a[3], a[4], a[5]};
  (void)hak_platform_ask(number, half, answer);
  return error;
}

// Linux before 4.17: the flag is not known, the address a wish.
int MapAnywhere(long number, const long a[6], long* answer) {
  const long wish[6] = {a[0], a[1], a[2], a[3] & ~kFixedNoReplace, a[4], a[5]};
  return hak_platform_ask(number, wish, answer);
}

// All memory is locked, and the kernel is older than 5.18.
int PurgeOfLocked(long, const long[6], long*) { return EINVAL; }

// All memory is locked, and the kernel knows the advice for it.
int PurgeWhenTold(long number, const long a[6], long* answer) {
  return a[2] == MADV_DONTNEED ? EINVAL : hak_platform_ask(number, a, answer);
}

// No mapping may be split: so it is at the limit on mappings.
int HugeAdviceAtTheLimit(long number, const long a[6], long* answer) {
  return a[1] == static_cast<long>(2 * kMiB) ? EAGAIN : hak_platform_ask(number, a, answer);
}

// Up to 6.16: the destination is unmapped before it is found that the source cannot move.
int MoveThatUnmaps(long, const long a[6], long* answer) {
  const long range[6] = {a[4], a[1], 0, 0, 0, 0};
  (void)hak_platform_ask(SYS_munmap, range, answer);
  return EFAULT;
}

const Kernel kKernels[] = {
    {"5.6: no move that keeps the source mapped", IsMoveThatKeeps, Refuse<EINVAL>},
    {"no mremap", IsMoveThatKeeps, Refuse<ENOSYS>},
    {"mremap is not permitted", IsMoveThatKeeps, Refuse<EPERM>},
    {"moves at the limit on mappings", IsMoveThatKeeps, Refuse<ENOMEM>},
    {"moves that unmap and fail", IsMoveThatKeeps, MoveThatUnmaps},
    {"5.13: no populating", IsPopulate, Refuse<EINVAL>},
    {"populating is not permitted", IsPopulate, Refuse<EPERM>},
    {"no populating at all", IsPopulate, Refuse<ENOSYS>},
    {"half is populated", IsPopulate, PopulateHalf<EFAULT>},
    {"memory is out when half is populated", IsPopulate, PopulateHalf<ENOMEM>},
    {"a page is broken when half is populated", IsPopulate, PopulateHalf<EHWPOISON>},
    {"a kernel without huge pages", IsHugeAdvice, Refuse<EINVAL>},
    {"huge pages are not permitted", IsHugeAdvice, Refuse<EPERM>},
    {"huge pages at the limit on mappings", IsHugeAdvice, HugeAdviceAtTheLimit},
    {"5.17: locked memory", IsPurge, PurgeOfLocked},
    {"5.18: locked memory", IsPurge, PurgeWhenTold},
    {"giving back is not permitted", IsPurge, Refuse<EPERM>},
    {"no giving back", IsPurge, Refuse<ENOSYS>},
};

const Kernel* the_kernel;  // that is asked; set once, before all threads
std::atomic<unsigned> n_asked;

int AskTheKernel(hak_kernel_kind_t, size_t, long* answer, long number, const long a[6]) {
  if (!the_kernel->is_asked(number, a)) return hak_platform_ask(number, a, answer);
  ++n_asked;
  return the_kernel->answer(number, a, answer);
}

// ---- all that the allocator does ----

bool Holds(const char* block, char value, size_t bytes) {
  return bytes == 0 || (*block == value && memcmp(block, block + 1, bytes - 1) == 0);
}

void Check(bool is_right, const char* what) {
  if (!is_right) ADD_FAILURE() << what;
}

// Blocks of all sizes, written and compared; those of this thread, and those of another.
void UseBlocks(char value) {
  std::vector<std::pair<char*, size_t>> blocks;
  for (size_t size = 1; size < 6 * kMiB; size += size / 7 + 1) {
    auto* block = static_cast<char*>(hak_malloc(size));
    auto* zeroed = static_cast<char*>(hak_calloc(1, size));
    Check(block != nullptr && zeroed != nullptr, "a block");
    if (block == nullptr || zeroed == nullptr) return;
    Check(Holds(zeroed, 0, size), "zeroed memory");
    memset(block, value, size);
    memset(zeroed, value, size);
    blocks.emplace_back(block, size);
    blocks.emplace_back(zeroed, size);
  }
  for (auto [block, size] : blocks) Check(Holds(block, value, size), "what was written");
  std::thread([&blocks] {
    for (auto [block, size] : blocks) hak_free(block);
  }).join();
}

// Huge blocks that cannot grow where they are: they move.
void GrowHugeBlocks() {
  char* blocks[3] = {};
  for (size_t size = 3 * kMiB; size < 48 * kMiB; size += size / 2) {
    for (char*& block : blocks) {
      auto value = static_cast<char>(1 + (&block - blocks));
      auto* grown = static_cast<char*>(hak_realloc(block, size));
      Check(grown != nullptr, "a grown block");
      if (grown == nullptr) return;
      block = grown;
      if (size > 3 * kMiB) Check(Holds(block, value, 3 * kMiB), "what was in the block");
      memset(block, value, size);
    }
  }
  for (char* block : blocks) hak_free(block);
}

// Many small blocks: huge pages are asked for.
void UseManyBlocks() {
  std::vector<char*> blocks(160 * kMiB / 1000);
  for (char*& block : blocks) {
    block = static_cast<char*>(hak_malloc(1000));
    memset(block, 7, 1000);
  }
  for (char* block : blocks) Check(Holds(block, 7, 1000), "what was written");
  for (char* block : blocks) hak_free(block);
}

void Fork() {
  void* before = hak_malloc(100);
  EXPECT_TRUE(hak::PassesInChild([before] {
    hak_free(before);
    UseBlocks(4);
  }));
  EXPECT_TRUE(hak::PassesAfter(
      hak::BareFork,
      [before] {
        hak_free(before);
        UseBlocks(5);
      },
      60));
  hak_free(before);
}

void DoAll() {
  (void)hak_prewarm_class(5, 1);
  UseBlocks(1);
  GrowHugeBlocks();
  UseManyBlocks();
  (void)hak_purge_all();
  UseBlocks(2);  // (memory that was given back, or was not, is zero where it must be)
  Fork();
}

class KernelFeaturesTest : public testing::TestWithParam<Kernel> {};

TEST_P(KernelFeaturesTest, AllIsDoneWithoutIt) {
  EXPECT_TRUE(hak::PassesInChild(
      [] {
        the_kernel = &GetParam();
        hak_platform_set_kernel(AskTheKernel);
        DoAll();
        EXPECT_GT(n_asked, 0u) << "it was never asked for";
        hak_platform_set_kernel(nullptr);
        // What the kernel refused to take is not forgotten.
        (void)hak_purge_all();
        EXPECT_LE(hak_spare_committed_bytes(), 16 * kMiB);
      },
      120));
}

INSTANTIATE_TEST_SUITE_P(Kernels, KernelFeaturesTest, testing::ValuesIn(kKernels),
                         [](const testing::TestParamInfo<Kernel>& kernel) {
                           std::string text;
                           for (const char* c = kernel.param.name; *c != '\0'; ++c) {
                             text += isalnum(static_cast<unsigned char>(*c)) ? *c : '_';
                           }
                           return text;
                         });

// ---- by itself ----

// Where the flag is not known and the address only a wish: nothing is replaced, nothing stays.
TEST_IN_CHILD(KernelFeaturesTest, AMappingWhereNothingMayBeReplaced) {
  static const Kernel kKernel = {"4.16", IsMapWhereNothingIs, MapAnywhere};
  void* memory = nullptr;
  ASSERT_EQ(hak_platform_map(kMiB, 64 * HAK_KIB, &memory), 0);
  memset(memory, 1, kMiB);
  the_kernel = &kKernel;
  hak_platform_set_kernel(AskTheKernel);
  size_t mappings = hak::CountMappings();
  EXPECT_EQ(hak_platform_map_free(memory, kMiB), EEXIST);
  EXPECT_EQ(hak::CountMappings(), mappings);
  EXPECT_TRUE(Holds(static_cast<char*>(memory), 1, kMiB));
  ASSERT_EQ(hak_platform_unmap(memory, kMiB), 0);
  EXPECT_EQ(hak_platform_map_free(memory, kMiB), 0) << "a wish that can be granted is";
  EXPECT_TRUE(Holds(static_cast<char*>(memory), 0, kMiB));
  EXPECT_EQ(n_asked, 2u);
  hak_platform_set_kernel(nullptr);
}

}  // namespace
