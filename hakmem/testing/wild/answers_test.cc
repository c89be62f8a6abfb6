// Programs that hold an allocator to its answers, or give it little room: they run as with libc's.

#include <gtest/gtest.h>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

class AnswersTest : public testing::TestWithParam<const char*> {};

TEST_P(AnswersTest, AsWithLibc) {
  for (const std::string& preload : {std::string(), Library()}) {
    RunOptions options;
    options.preload = preload;
    Outcome outcome = RunProgram({Runfile("hakmem/testing/wild/") + GetParam()}, options);
    EXPECT_TRUE(outcome.Succeeded()) << preload << outcome;
    EXPECT_EQ(outcome.out, "done\n");
    EXPECT_EQ(outcome.err, "");
  }
}

INSTANTIATE_TEST_SUITE_P(Programs, AnswersTest,
                         testing::Values("small_stack_program", "usable_size_program"));

}  // namespace
}  // namespace hakmem_testing
