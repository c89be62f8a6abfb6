// What malloc and free execute when they hit: the instructions of the optimised library, counted by
// stepping a child through one call of each, and held to a budget (fast_path.golden).
//
//   bazel run //hakmem/testing:fast_path_test -- --update
//
// rewrites the budget. Counts depend on the compiler: the budget names the one it was made with,
// and with another only the properties hold that no compiler may change: no call, no lock prefix.

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <sstream>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

const char kGolden[] = "hakmem/testing/fast_path.golden";

using Malloc = void* (*)(size_t);
using Free = void (*)(void*);

// Functions of the library, which the test loads beside its own malloc.
struct LibraryCalls {
  Malloc malloc;
  Free free;
  uintptr_t base;
};

LibraryCalls Load() {
  void* handle = dlopen(Library().c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    fprintf(stderr, "%s\n", dlerror());
    abort();
  }
  LibraryCalls library;
  library.malloc = reinterpret_cast<Malloc>(dlsym(handle, "malloc"));
  library.free = reinterpret_cast<Free>(dlsym(handle, "free"));
  Dl_info info;
  dladdr(reinterpret_cast<void*>(library.malloc), &info);
  library.base = reinterpret_cast<uintptr_t>(info.dli_fbase);
  return library;
}

void CallBoth(const LibraryCalls& library, size_t size) {
  void* volatile block = library.malloc(size);
  library.free(block);
}

// ---- stepping ----

uintptr_t Step(pid_t pid) {
  int status;
  if (ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr) != 0 || waitpid(pid, &status, 0) != pid ||
      !WIFSTOPPED(status)) {
    return 0;
  }
  user_regs_struct registers;
  ptrace(PTRACE_GETREGS, pid, nullptr, &registers);
  return registers.rip;
}

// Steps until `entry` is reached, and through it to its return. Returns the addresses executed.
std::vector<uintptr_t> StepThrough(pid_t pid, uintptr_t entry) {
  std::vector<uintptr_t> trace;
  uintptr_t at = 0;
  for (int i = 0; i < 100000 && at != entry; i++) at = Step(pid);
  if (at != entry) return trace;
  user_regs_struct registers;
  ptrace(PTRACE_GETREGS, pid, nullptr, &registers);
  auto back = static_cast<uintptr_t>(
      ptrace(PTRACE_PEEKDATA, pid, reinterpret_cast<void*>(registers.rsp), nullptr));
  while (at != back && at != 0 && trace.size() < 100000) {
    trace.push_back(at);
    at = Step(pid);
  }
  return trace;
}

// The addresses that one malloc and one free of `size` bytes execute, after calls that have made
// sure of a hit.
std::pair<std::vector<uintptr_t>, std::vector<uintptr_t>> Trace(const LibraryCalls& library,
                                                                size_t size) {
  pid_t pid = fork();
  if (pid == 0) {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    for (int i = 0; i < 100; i++) CallBoth(library, size);
    raise(SIGSTOP);
    CallBoth(library, size);
    _exit(0);
  }
  int status;
  waitpid(pid, &status, 0);
  auto in_malloc = StepThrough(pid, reinterpret_cast<uintptr_t>(library.malloc));
  auto in_free = StepThrough(pid, reinterpret_cast<uintptr_t>(library.free));
  kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  return {in_malloc, in_free};
}

// ---- what the instructions are ----

// The text of every instruction of the library, by its offset.
std::map<uintptr_t, std::string> Disassemble() {
  Outcome outcome = RunProgram({"objdump", "-d", "--no-show-raw-insn", "-w", Library()});
  EXPECT_TRUE(outcome.Succeeded()) << outcome.err;
  std::map<uintptr_t, std::string> instructions;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    size_t colon = line.find(":\t");
    if (line.empty() || line[0] != ' ' || colon == std::string::npos) continue;
    instructions[strtoull(line.c_str(), nullptr, 16)] = line.substr(colon + 2);
  }
  return instructions;
}

using Counts = std::map<std::string, int>;

bool StartsWith(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

// Adds one instruction, in AT&T syntax ("op source,destination"), to the counts.
void Count(const std::string& text, Counts* counts) {
  std::string code = text.substr(0, text.find('#'));
  (*counts)["instructions"]++;
  if (StartsWith(code, "lock") || StartsWith(code, "xchg")) (*counts)["locked"]++;
  if (StartsWith(code, "call")) (*counts)["calls"]++;
  if (StartsWith(code, "jmp")) (*counts)["jumps"]++;
  if (code[0] == 'j' && !StartsWith(code, "jmp")) (*counts)["branches"]++;
  if (StartsWith(code, "prefetch")) {
    (*counts)["prefetches"]++;
    return;
  }
  if (StartsWith(code, "push")) (*counts)["stores"]++;
  if (StartsWith(code, "pop")) (*counts)["loads"]++;
  bool has_memory = code.find('(') != std::string::npos || code.find("%fs:") != std::string::npos;
  if (!has_memory || StartsWith(code, "lea") || StartsWith(code, "nop")) return;
  // The destination comes last: "mov (%rax),%rdx" reads memory, "mov %rdx,(%rax,%rcx,8)" writes it.
  code.erase(code.find_last_not_of(' ') + 1);
  bool is_compare = StartsWith(code, "cmp") || StartsWith(code, "test");
  bool is_store = code.back() == ')' && !is_compare;
  if (is_store) (*counts)["stores"]++;
  if (!is_store || !StartsWith(code, "mov")) (*counts)["loads"]++;  // "add %rax,(%rdx)" does both
}

const char* const kKinds[] = {"instructions", "loads", "stores", "prefetches",
                              "branches",     "jumps", "calls",  "locked"};

// One line a kind: "malloc loads 5".
std::string Lines(const char* function, Counts counts) {
  std::string lines;
  for (const char* kind : kKinds) {
    lines += std::string(function) + " " + kind + " " + std::to_string(counts[kind]) + "\n";
  }
  return lines;
}

Counts CountAll(const std::vector<uintptr_t>& trace, uintptr_t base) {
  static const auto* const kInstructions = new auto(Disassemble());
  Counts counts;
  for (uintptr_t at : trace) {
    auto found = kInstructions->find(at - base);
    if (found == kInstructions->end()) {
      ADD_FAILURE() << "an instruction outside the library";
      return counts;
    }
    Count(found->second, &counts);
  }
  return counts;
}

// "GCC 12", by the compiler's own note in the library.
std::string Compiler() {
  Outcome outcome = RunProgram({"readelf", "-p", ".comment", Library()});
  size_t at = outcome.out.find("GCC: (");
  if (at == std::string::npos) return "another";
  at = outcome.out.find(") ", at) + 2;
  return "GCC " + outcome.out.substr(at, outcome.out.find('.', at) - at);
}

// ---- the tests ----

class FastPathTest : public testing::Test {
 protected:
  LibraryCalls library_ = Load();
};

TEST_F(FastPathTest, NeitherCallsNorLocks) {
  for (size_t size : {size_t{1}, size_t{64}, size_t{1000}, size_t{20000}}) {
    auto [in_malloc, in_free] = Trace(library_, size);
    ASSERT_FALSE(in_malloc.empty());
    ASSERT_FALSE(in_free.empty());
    for (const auto& trace : {in_malloc, in_free}) {
      Counts counts = CountAll(trace, library_.base);
      EXPECT_EQ(counts["calls"], 0) << size;
      EXPECT_EQ(counts["locked"], 0) << size;
    }
  }
}

TEST_F(FastPathTest, IsTheSameForAllSmallSizes) {
  auto [in_malloc, in_free] = Trace(library_, 64);
  for (size_t size : {size_t{1}, size_t{16}, size_t{129}, size_t{5000}, size_t{32768}}) {
    auto [other_malloc, other_free] = Trace(library_, size);
    EXPECT_EQ(in_malloc, other_malloc) << size;
    EXPECT_EQ(in_free, other_free) << size;
  }
}

bool is_update;

TEST_F(FastPathTest, StaysWithinItsBudget) {
  auto [in_malloc, in_free] = Trace(library_, 64);
  std::string compiler = "compiler " + Compiler() + "\n";
  std::string found = compiler + Lines("malloc", CountAll(in_malloc, library_.base)) +
                      Lines("free", CountAll(in_free, library_.base));
  if (is_update) {
    const char* workspace = getenv("BUILD_WORKSPACE_DIRECTORY");
    ASSERT_NE(workspace, nullptr) << "--update is for `bazel run`";
    WriteFile(std::string(workspace) + "/" + kGolden, found);
    return;
  }
  std::string golden = ReadFile(Runfile(kGolden));
  if (!StartsWith(golden, compiler.c_str())) {
    GTEST_SKIP() << "the budget is for another compiler than " << compiler;
  }
  EXPECT_EQ(found, golden) << "If the change is meant, and measured:"
                           << " bazel run //hakmem/testing:fast_path_test -- --update";
}

}  // namespace
}  // namespace hakmem_testing

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc == 2 && strcmp(argv[1], "--update") == 0) {
    hakmem_testing::is_update = true;
  } else if (argc > 1) {
    fprintf(stderr, "%s: not an option; there is --update\n", argv[1]);
    return 2;
  }
  return RUN_ALL_TESTS();
}
