// What the preloaded library adds to the smallest of programs.

#include <gtest/gtest.h>
#include <stdio.h>

#include <algorithm>
#include <sstream>
#include <vector>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = 1024 * kKiB;

TEST(FootprintTest, HelloWorldIsSmall) {
  std::string program = Runfile("hakmem/testing/hello_program");
  RunOptions preloaded;
  preloaded.preload = Library();
  size_t address_space[2];
  std::vector<size_t> residents[2];
  // In turn, and the median of them: what of the libraries' pages the kernel maps along depends on
  // where it has put them.
  for (int i = 0; i < 61; i++) {
    for (bool preload : {false, true}) {
      Outcome outcome = RunProgram({program}, preload ? preloaded : RunOptions());
      ASSERT_TRUE(outcome.Succeeded()) << outcome;
      size_t bytes;
      std::istringstream(outcome.out) >> address_space[preload] >> bytes;
      residents[preload].push_back(bytes);
    }
  }
  size_t resident[2];
  for (bool preload : {false, true}) {
    std::vector<size_t>& all = residents[preload];
    std::sort(all.begin(), all.end());
    resident[preload] = all[all.size() / 2];
  }
  EXPECT_LT(address_space[1], address_space[0] + 16 * kMiB);
  EXPECT_LT(resident[1], resident[0] + 320 * kKiB);
  RecordProperty("ResidentOverLibc", static_cast<int>(resident[1] - resident[0]));
  printf("over libc: %zu KiB resident, %zu MiB of address space\n",
         (resident[1] - resident[0]) / kKiB, (address_space[1] - address_space[0]) / kMiB);
}

}  // namespace
}  // namespace hakmem_testing
