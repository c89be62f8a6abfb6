// Prewarm: memory that is there before it is needed; and what a list of it may look like.

extern "C" {
#include "hakmem/malloc/start.h"

#include "hakmem/base/size_class.h"
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/reserve.h"
}

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "hakmem/testing/support.h"

namespace {

long MinorFaults() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

TEST_IN_CHILD(StartTest, PrewarmedBlocksCostNeitherFaultsNorCalls) {
  unsigned size_class = hak_size_class(1024);
  ASSERT_EQ(hak_ss_prewarm_class(size_class, 2), 2u);
  constexpr int kBlocks = 2 * 2048 - 256;  // two SuperSlabs hold 2 * 2048 of 1024 bytes
  std::vector<char*> blocks(kBlocks);
  uint64_t maps = hak::KernelCalls(HAK_KERNEL_MMAP);
  long faults = MinorFaults();
  for (char*& block : blocks) {
    block = static_cast<char*>(hak_malloc(1024));
    block[0] = block[1023] = 1;
  }
  // Without prewarming 4000 blocks of 1 KiB fault 1000 pages in. What is left is metadata.
  // (A sanitizer faults its shadow memory in.)
  if (!hak::kUnderSanitizer) {
    EXPECT_LT(MinorFaults() - faults, 60);
  }
  EXPECT_LE(hak::KernelCalls(HAK_KERNEL_MMAP), maps + 1) << "at most the heap's own memory";
  for (char* block : blocks) hak_free(block);
}

TEST_IN_CHILD(StartTest, SaysHowManyItGotAndWhyNotMore) {
  ASSERT_EQ(hak_ss_prewarm_class(hak_size_class(64), 1), 1u);
  hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
  // The first reservation has room for 31 more.
  unsigned got = 0;
  std::string said = hak::StderrOf([&] { got = hak_ss_prewarm_class(hak_size_class(64), 100); });
  EXPECT_LT(got, 100u);
  EXPECT_NE(said.find("stopped: out of memory after " + std::to_string(got) + " of 100"),
            std::string::npos)
      << said;
}

TEST_IN_CHILD(StartTest, RefusesClassesThatDoNotExist) {
  EXPECT_EQ(hak_ss_prewarm_class(0, 1), 0u);
  EXPECT_EQ(hak_ss_prewarm_class(HAK_N_CLASSES, 1), 0u);
}

TEST_IN_CHILD(StartTest, ReadsLists) {
  EXPECT_TRUE(hak_prewarm_list("1024:1,64:2"));
  EXPECT_TRUE(hak_prewarm_list(""));
  for (const char* bad : {"1024", "1024:", ":1", "1024:1;64:2", "0:1", "40000:1", "x:1", "64:-1"}) {
    std::string said = hak::StderrOf([&] { EXPECT_FALSE(hak_prewarm_list(bad)) << bad; });
    EXPECT_NE(said.find(std::string("HAKMEM_PREWARM=") + bad), std::string::npos) << said;
  }
}

}  // namespace
