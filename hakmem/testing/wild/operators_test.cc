// Whichever operators new and delete a program or a library replaces, those that it has not
// replaced go to those that it has, as without hakmem.

#include <gtest/gtest.h>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

constexpr int kGroups = 5;

// The libraries of the groups in `mask`: replaced before hakmem, as a program's own are, or behind
// it, as those of a library that the program is linked with.
std::string Libraries(unsigned mask) {
  std::string paths;
  for (int group = 1; group <= kGroups; group++) {
    if ((mask >> (group - 1) & 1) == 0) continue;
    paths += ":" + Runfile("hakmem/testing/wild/liboperators" + std::to_string(group) + ".so");
  }
  return paths;
}

std::string Output(const std::string& preload) {
  RunOptions options;
  options.preload = preload;
  Outcome outcome = RunProgram({Runfile("hakmem/testing/wild/operators_program")}, options);
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.err, "");
  return outcome.out;
}

TEST(OperatorsTest, WhatIsReplacedServesWhatIsNot) {
  for (unsigned mask = 0; mask < 1u << kGroups; mask++) {
    std::string replaced = Libraries(mask);
    SCOPED_TRACE(replaced);
    std::string expected = Output(replaced);
    EXPECT_NE(expected.find("done\n"), std::string::npos);
    EXPECT_EQ(Output(replaced + ":" + Library()), expected);
    EXPECT_EQ(Output(Library() + replaced), expected);
  }
}

// (So the comparison above is one of something.)
TEST(OperatorsTest, SingleObjectsServeArrays) {
  EXPECT_NE(Output(Library() + Libraries(1)).find("group 1: 50 made, 50 dropped\n"),
            std::string::npos);
}

}  // namespace
}  // namespace hakmem_testing
