// A program on hakmem and valgrind's memcheck: what memcheck sees of blocks is as of its own
// malloc's, and nothing else is reported.

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

constexpr int kHasErrors = 99;

Outcome RunOnMemcheck(const std::string& mistake, int size) {
  RunOptions options;
  options.preload = Library();
  options.seconds = 120;
  return RunProgram({"valgrind", "--soname-synonyms=somalloc=nouserintercepts", "--leak-check=full",
                     "--error-exitcode=" + std::to_string(kHasErrors),
                     Runfile("hakmem/testing/memcheck_program"), mistake, std::to_string(size)},
                    options);
}

class MemcheckTest : public testing::Test {
 protected:
  void SetUp() override {
    if (RunProgram({"valgrind", "--version"}).exit_code != 0) GTEST_SKIP() << "no valgrind";
  }
};

TEST_F(MemcheckTest, MistakesAreReported) {
  const struct {
    const char* mistake;
    const char* report;
    const char* place;
  } rows[] = {
      {"after_free", "Invalid read of size 1", "bytes inside a block of size SIZE free'd"},
      {"overflow", "Invalid write of size 1", "0 bytes after a block of size SIZE alloc'd"},
      {"read_past", "Invalid read of size 1", "0 bytes after a block of size SIZE alloc'd"},
      {"shrunk", "Invalid write of size 1", "alloc'd"},
      {"uninitialised", "depends on uninitialised value", ""},
      {"leak", "are definitely lost in loss record", ""},
  };
  for (const auto& row : rows) {
    for (const auto& [size, in_words] : {std::pair(5, "5"), {200000, "200,000"}}) {
      // (The allocator itself knows where each large block begins: none is lost.)
      if (row.mistake == std::string("leak") && size > 32768) continue;
      SCOPED_TRACE(std::string(row.mistake) + " " + in_words);
      Outcome outcome = RunOnMemcheck(row.mistake, size);
      // (Where the kernel has guards, what lies behind a large block faults, after it is reported.)
      EXPECT_TRUE(outcome.exit_code == kHasErrors || outcome.signal != 0) << outcome;
      for (std::string expected : {row.report, row.place}) {
        size_t at = expected.find("SIZE");
        if (at != std::string::npos) expected.replace(at, 4, in_words);
        EXPECT_NE(outcome.err.find(expected), std::string::npos) << expected << "\n" << outcome;
      }
    }
  }
}

TEST_F(MemcheckTest, NothingElseIsReported) {
  Outcome outcome = RunOnMemcheck("none", 100);
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_NE(outcome.err.find("ERROR SUMMARY: 0 errors"), std::string::npos) << outcome;
  EXPECT_NE(outcome.err.find("All heap blocks were freed"), std::string::npos) << outcome;
}

}  // namespace
}  // namespace hakmem_testing
