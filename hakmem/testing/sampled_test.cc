// What is noticed of blocks that are samples (HAKMEM_HARDENED=sample:1), as programs meet them: a
// fault is explained in one line on stderr, and ends the process by abort; all else goes on.

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
#include <string>
#include <thread>

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
      std::string line = std::string("hakmem: (") + mistake.said + "): 0x[0-9a-f]+ \\(.*" +
                         mistake.place + ".*\\), in thread [0-9]+\n";
      EXPECT_TRUE(std::regex_match(outcome.err, std::regex(line))) << outcome;
    }
  }
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
