// A program or a library that has a malloc of its own, all of it or some: every function leads
// where it leads without hakmem.

#include <gtest/gtest.h>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

std::string Path(const std::string& name) { return Runfile("hakmem/testing/wild/" + name); }

std::string Output(const std::string& program, const std::string& preload) {
  RunOptions options;
  options.preload = preload;
  Outcome outcome = RunProgram({Path(program)}, options);
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.err, "");
  EXPECT_NE(outcome.out.find("done\n"), std::string::npos);
  return outcome.out;
}

class OwnMallocTest : public testing::TestWithParam<const char*> {};

TEST_P(OwnMallocTest, InTheProgram) {
  for (const char* exported : {"", "_some"}) {
    std::string program = "own_malloc_" + std::string(GetParam()) + exported;
    SCOPED_TRACE(program);
    std::string expected = Output(program, "");
    EXPECT_EQ(Output(program, Library()), expected);
  }
}

TEST_P(OwnMallocTest, InALibraryBefore) {
  std::string library = Path("libown_malloc_" + std::string(GetParam()) + ".so");
  std::string expected = Output("own_malloc_program", library);
  EXPECT_EQ(Output("own_malloc_program", library + ":" + Library()), expected);
}

// Behind hakmem nobody finds it.
TEST_P(OwnMallocTest, InALibraryBehind) {
  std::string library = Path("libown_malloc_" + std::string(GetParam()) + ".so");
  std::string expected = Output("own_malloc_program", "");
  EXPECT_EQ(Output("own_malloc_program", Library() + ":" + library), expected);
}

INSTANTIATE_TEST_SUITE_P(Kinds, OwnMallocTest,
                         testing::Values("POOL", "ALIGNED", "ALL", "LIBC", "NEXT"));

}  // namespace
}  // namespace hakmem_testing
