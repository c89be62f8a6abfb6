// What is noticed of blocks that are samples (HAKMEM_HARDENED=sample:1), as programs meet them: a
// fault is explained in one line on stderr, and ends the process by abort; all else goes on.

#include <errno.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/testing/command.h"

extern "C" void free_sized(void* ptr, size_t size) __attribute__((weak));

namespace hakmem_testing {
namespace {

// A block that the compiler knows nothing of.
char* Hide(void* ptr) { return static_cast<char*>(Opaque(ptr)); }
void Free(void* ptr) { free(Hide(ptr)); }
char Read(const char* p) { return *static_cast<const volatile char*>(p); }

size_t OsPage() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

// The next block of a size that comes from a slow path.
char* Sample(size_t size) {
  for (int i = 0; i < 100000; i++) {
    char* block = Hide(malloc(size));
    size_t rounded = (size + 15) / 16 * 16;
    if ((reinterpret_cast<uintptr_t>(block) + rounded) % OsPage() == 0 &&
        malloc_usable_size(block) == size) {
      return block;
    }
  }
  abort();
}

struct Mistake {
  const char* name;
  std::function<void(char* block, size_t size)> make;
  const char* said;  // a regular expression, up to the address
  const char* place;
};

const char kFreed[] =
    "a sampled block of [0-9]+ bytes.*, allocated by thread [0-9]+, freed by thread [0-9]+";
const char kLive[] = "a sampled block of [0-9]+ bytes.*, allocated by thread [0-9]+";

const Mistake kMistakes[] = {
    {"ReadAfterFree",
     [](char* p, size_t) {
       Free(p);
       Read(p);
     },
     "use of a freed block", kFreed},
    {"WriteAfterFreeByAnotherThread",
     [](char* p, size_t n) {
       std::thread([=] { Free(p); }).join();
       p[n - 1] = 1;
     },
     "use of a freed block", kFreed},
    {"WriteToWhatReallocLeft",
     [](char* p, size_t n) {
       (void)Hide(realloc(Hide(p), n + 5000));
       p[0] = 1;
     },
     "use of a freed block", kFreed},
    {"ReadPastTheEnd", [](char* p, size_t n) { Read(p + n + 15); },
     "access past the end of a block", kLive},
    {"MemcpyPastTheEnd", [](char* p, size_t n) { memset(p, 1, n + 2000); },
     "access past the end of a block", kLive},
    {"FarBefore", [](char* p, size_t) { Read(p - reinterpret_cast<uintptr_t>(p) % OsPage() - 1); },
     "access before the beginning of a block", kLive},
    {"WriteLittlePastTheEnd",
     [](char* p, size_t n) {
       p[n] = 1;  // (no size here is a multiple of 16)
       Free(p);
     },
     "write past the end of a block", kLive},
    {"WriteLittleBefore",
     [](char* p, size_t) {
       p[-1] = 1;
       Free(p);
     },
     "write before the beginning of a block", kLive},
    {"DoubleFree",
     [](char* p, size_t) {
       Free(p);
       for (int i = 0; i < 50; i++) Free(malloc(100));
       Free(p);
     },
     "double free", kFreed},
    {"FreeInside", [](char* p, size_t) { Free(p + 1); }, "free of a pointer inside a block", kLive},
    {"ReallocFreed",
     [](char* p, size_t n) {
       Free(p);
       (void)Hide(realloc(Hide(p), 2 * n));
     },
     "realloc of a freed block", kFreed},
    {"UsableSizeFreed",
     [](char* p, size_t) {
       Free(p);
       (void)malloc_usable_size(Hide(p));
     },
     "usable size asked of a freed block", kFreed},
    {"FreeSized", [](char* p, size_t n) { free_sized(Hide(p), n / 3); },
     "free with a size that the block cannot have", kLive},
};

std::string Stack(const std::string& what) {
  return "hakmem: " + what + " at( [^ ]+[+]0x[0-9a-f]+){2,16}\n";
}

TEST(SampledTest, MistakesAreExplained) {
  for (size_t size : {size_t{9}, size_t{100}, size_t{1000}, OsPage() - 200}) {
    for (const Mistake& mistake : kMistakes) {
      SCOPED_TRACE(std::string(mistake.name) + " " + std::to_string(size));
      Outcome outcome = RunInChild([&] {
        std::thread([&] {
          char* block = Sample(size);
          memset(block, 1, size);
          mistake.make(block, size);
        }).join();
      });
      EXPECT_EQ(outcome.signal, SIGABRT) << outcome;
      std::string lines = std::string("hakmem: (") + mistake.said + "): 0x[0-9a-f]+ \\(.*" +
                          mistake.place + ".*\\), in thread [0-9]+\n" + Stack("noticed") +
                          Stack("allocated") + (mistake.place == kFreed ? Stack("freed") : "");
      EXPECT_TRUE(std::regex_match(outcome.err, std::regex(lines))) << outcome;
    }
  }
}

// ---- stacks ----

// Functions that keep their frames and names, two of each kind that call each other.
#define FRAME extern "C" __attribute__((noinline, noclone, used))

FRAME char* AllocateIt() {
  char* block = Sample(100);
  asm volatile("" : : : "memory");
  return block;
}
FRAME char* HaveItAllocated() {
  char* block = AllocateIt();
  asm volatile("" : : : "memory");
  return block;
}
FRAME void FreeIt(char* block) {
  free(Hide(block));
  asm volatile("" : : : "memory");
}
FRAME void HaveItFreed(char* block) {
  FreeIt(block);
  asm volatile("" : : : "memory");
}
FRAME void UseIt(char* block) {
  *static_cast<volatile char*>(block) = 1;
  asm volatile("" : : : "memory");
}
FRAME void HaveItUsed(char* block) {
  UseIt(block);
  asm volatile("" : : : "memory");
}
FRAME void ReallocateIt(char* block) {
  (void)Hide(realloc(Hide(block), 5000));
  asm volatile("" : : : "memory");
}
FRAME void CopyOverIt(char* block) {
  memset(Hide(block), 1, Opaque(3000));
  asm volatile("" : : : "memory");
}

// The functions of this program that a stack in `text` names, innermost first.
std::string Functions(const std::string& text, const std::string& what) {
  std::string lead = "hakmem: " + what + " at ";
  size_t begin = text.find(lead);
  if (begin == std::string::npos) return "no stack";
  std::istringstream words(
      text.substr(begin + lead.size(), text.find('\n', begin) - begin - lead.size()));
  char self[4096] = "";
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return "no program";
  std::vector<std::string> argv = {"addr2line", "-f", "-e", self};
  std::string prefix = std::string(program_invocation_short_name) + "+";
  for (std::string word; words >> word;) {
    if (word.compare(0, prefix.size(), prefix) == 0) argv.push_back(word.substr(prefix.size()));
  }
  std::istringstream lines(RunProgram(argv).out);
  std::string functions;
  for (std::string function, place; getline(lines, function) && getline(lines, place);) {
    functions += function + " ";
  }
  return functions;
}

testing::AssertionResult Begins(const std::string& text, const std::string& with) {
  if (text.compare(0, with.size(), with) == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << text << "\" does not begin with " << with;
}

// Each frame lies in the function that was at it, of the fault itself too.
TEST(SampledTest, StacksNameTheRightFunctions) {
  const struct {
    void (*act)(char*);
    const char *noticed, *freed;
  } rows[] = {
      {[](char* p) {
         HaveItFreed(p);
         HaveItUsed(p);
       },
       "UseIt HaveItUsed ", "FreeIt HaveItFreed "},
      {[](char* p) {
         HaveItFreed(p);
         HaveItFreed(p);
       },
       "FreeIt HaveItFreed ", "FreeIt HaveItFreed "},
      {[](char* p) {
         ReallocateIt(p);
         HaveItUsed(p);
       },
       "UseIt HaveItUsed ", "ReallocateIt "},
      {[](char* p) {
         HaveItFreed(p);
         ReallocateIt(p);
       },
       "ReallocateIt ", "FreeIt HaveItFreed "},
      {CopyOverIt, "CopyOverIt ", nullptr},
      {[](char* p) {
         p[101] = 1;
         HaveItFreed(p);
       },
       "FreeIt HaveItFreed ", nullptr},
  };
  for (const auto& row : rows) {
    Outcome outcome = RunInChild([&] { row.act(HaveItAllocated()); });
    EXPECT_EQ(outcome.signal, SIGABRT) << outcome;
    EXPECT_TRUE(Begins(Functions(outcome.err, "noticed"), row.noticed)) << outcome;
    // (Which of its mallocs Sample has inlined is the compiler's choice.)
    std::string allocated = Functions(outcome.err, "allocated");
    EXPECT_NE(allocated.find("AllocateIt HaveItAllocated "), std::string::npos) << allocated;
    if (row.freed == nullptr) continue;
    EXPECT_TRUE(Begins(Functions(outcome.err, "freed"), row.freed)) << outcome;
  }
}

// A handler on a stack of its own says the same, and nothing of it takes memory.
TEST(SampledTest, AHandlerOnAnotherStackSeesTheFault) {
  Outcome outcome = RunInChild([] {
    static char other_stack[1 << 16];
    stack_t stack = {};
    stack.ss_sp = other_stack;
    stack.ss_size = sizeof other_stack;
    if (sigaltstack(&stack, nullptr) != 0) abort();
    char* block = HaveItAllocated();
    HaveItFreed(block);
    HaveItUsed(block);
  });
  EXPECT_TRUE(Begins(Functions(outcome.err, "noticed"), "UseIt HaveItUsed ")) << outcome;
}

// Faults that have nothing to do with samples end the process as ever, and so do signals.
TEST(SampledTest, OtherFaultsAreLeftAlone) {
  const std::function<void()> actions[] = {
      [] { *Hide(reinterpret_cast<void*>(8)) = 1; },
      [] { *Hide(malloc(0)) = 1; },
      [] { raise(SIGSEGV); },
      [] { kill(getpid(), SIGSEGV); },
  };
  for (const auto& action : actions) {
    Outcome outcome = RunInChild([&] {
      (void)Sample(100);
      action();
      sleep(10);
    });
    EXPECT_EQ(outcome.signal, SIGSEGV) << outcome;
    EXPECT_EQ(outcome.err, "");
  }
}

void OwnHandler(int) { _exit(42); }

TEST(SampledTest, AHandlerOfTheProgramsOwnStays) {
  Outcome outcome = RunInChild([] {
    signal(SIGSEGV, OwnHandler);
    char* block = Sample(100);
    Free(block);
    Read(block);
  });
  EXPECT_EQ(outcome.exit_code, 42) << outcome;
}

// Blocks that are used as they may be.
TEST(SampledTest, NothingElseIsDifferent) {
  Outcome outcome = RunInChild([] {
    for (int round = 0; round < 200; round++) {
      char* block = Sample(100);
      memset(block, 3, 100);
      block = Hide(realloc(block, 50));
      for (int i = 0; i < 50; i++) {
        if (block[i] != 3) abort();
      }
      free_sized(Hide(block), 50);
      block = Sample(77);
      free_sized(block, 77);
      Free(Hide(realloc(Sample(10), 0)));
      char* zero = Hide(calloc(3, 7));
      for (int i = 0; i < 21; i++) {
        if (zero[i] != 0) abort();
      }
      Free(zero);
      Free(Hide(aligned_alloc(64, 640)));
      std::thread([] { Free(Sample(333)); }).join();
    }
    pid_t pid = fork();
    if (pid == 0) {
      Free(Sample(20));
      _exit(0);
    }
    int status = -1;
    if (waitpid(pid, &status, 0) != pid || status != 0) abort();
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.err, "");
}

TEST(SampledTest, AnOrderThatIsNotUnderstoodIsNamed) {
  for (const char* value : {"sample", "sample:", "sample:0", "sample:x", "2", "on", "sample:-1"}) {
    RunOptions options;
    options.preload = Library();
    options.environment = {{"HAKMEM_HARDENED", value}};
    Outcome outcome = RunProgram({"/bin/ls", "/"}, options);
    EXPECT_TRUE(outcome.Succeeded()) << outcome;
    EXPECT_EQ(outcome.err, std::string("hakmem: HAKMEM_HARDENED=") + value +
                               " is not understood (0, 1, or sample:N, with N from 1 to "
                               "1000000000); the default is used\n");
  }
}

}  // namespace
}  // namespace hakmem_testing
