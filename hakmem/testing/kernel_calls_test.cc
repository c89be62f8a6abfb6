// The calls into the kernel that the allocator says it has made are those that strace sees.

#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

constexpr char kMark[] = "close(-4321";
const char* const kKinds[] = {
#define HAK_KERNEL_CALL(KIND, name) #name,
#include "hakmem/platform/kernel_calls.def"
};

// The one kind that is not the name of a system call.
bool IsTraced(const std::string& kind) { return kind != "telemetry"; }

// Calls by name in a trace of `strace -f -o`, between the first two marks.
std::map<std::string, uint64_t> CallsBetweenMarks(const std::string& trace) {
  std::istringstream lines(trace);
  std::map<std::string, uint64_t> calls;
  int marks = 0;
  for (std::string line; std::getline(lines, line) && marks < 2;) {
    if (line.find(kMark) != std::string::npos) {
      ++marks;
    } else if (marks == 1) {
      // "PID name(...": a call; "PID <... name resumed>": the rest of one.
      size_t name = line.find_first_not_of(' ', line.find(' '));
      size_t end = line.find('(');
      if (line[name] != '<' && end != std::string::npos) ++calls[line.substr(name, end - name)];
    }
  }
  EXPECT_EQ(marks, 2) << trace;
  return calls;
}

void ExpectCountsOfStrace(const std::map<std::string, std::string>& environment,
                          const std::vector<std::string>& must_occur) {
  if (!RunProgram({"strace", "-o", "/dev/null", "true"}).Succeeded()) {
    GTEST_SKIP() << "no strace, or ptrace is not permitted";
  }
  std::string directory = ScratchDirectory("kernel_calls");
  std::string trace = directory + "/trace";
  std::vector<std::string> argv = {"strace", "-f", "-o", trace};
  std::string traced = "trace=close";
  for (const char* kind : kKinds) {
    if (IsTraced(kind)) traced += std::string(",") + kind;
  }
  argv.insert(argv.end(), {"-e", traced, "-E", "LD_PRELOAD=" + Library()});
  for (const auto& [name, value] : environment) argv.insert(argv.end(), {"-E", name + "=" + value});
  argv.push_back(Runfile("hakmem/testing/kernel_calls_program"));
  Outcome outcome = RunProgram(argv);
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  std::map<std::string, uint64_t> said;
  std::istringstream out(outcome.out);
  std::string name;
  for (uint64_t calls; out >> name >> calls;) said[name] = calls;
  std::map<std::string, uint64_t> seen = CallsBetweenMarks(ReadFile(trace));
  for (const char* kind : kKinds) {
    ASSERT_EQ(said.count(kind), 1u) << outcome;
    if (IsTraced(kind)) {
      EXPECT_EQ(said[kind], seen[kind]) << kind;
    }
  }
  for (const std::string& kind : must_occur) EXPECT_GT(seen[kind], 0u) << kind;
}

TEST(KernelCallsTest, AreThoseThatStraceSees) {
  ExpectCountsOfStrace({{"HAKMEM_PURGE_DELAY", "0"}, {"HAKMEM_THREAD_CACHE", "0"}},
                       {"mmap", "madvise", "mremap"});
}

TEST(KernelCallsTest, AreThoseThatStraceSeesOfTheDirectBackend) {
  ExpectCountsOfStrace({{"HAKMEM_PURGE_DELAY", "0"}, {"HAKMEM_TINY_USE_SUPERSLAB", "0"}},
                       {"mmap", "munmap", "mremap"});
}

}  // namespace
}  // namespace hakmem_testing
