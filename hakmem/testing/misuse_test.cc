// Misuse of the heap ends the process with one line on stderr that names it, and SIGABRT.

#include <gtest/gtest.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <regex>
#include <thread>
#include <vector>

#include "hakmem/testing/command.h"

extern "C" void free_sized(void* ptr, size_t size) __attribute__((weak));

namespace hakmem_testing {
namespace {

struct Misuse {
  const char* name;
  void (*action)();
  const char* message;  // a regular expression for the line, without "hakmem: "
};

// Keeps the compiler from seeing what is about to happen.
template <typename T>
T* Hide(T* ptr) {
  asm volatile("" : "+r"(ptr) : : "memory");
  return ptr;
}
char* Allocate(size_t size) { return Hide(static_cast<char*>(malloc(size))); }
void Free(void* ptr) { free(Hide(ptr)); }

// Frees enough blocks of `size` to carry earlier frees through both magazines to their slabs.
void Flush(size_t size) {
  std::vector<void*> blocks(20000);
  for (void*& block : blocks) block = malloc(size);
  for (void* block : blocks) free(block);
  malloc_trim(0);
}

void FreeAndFlush(void* ptr, size_t size) {
  Free(ptr);
  Flush(size);
}

alignas(16) char static_memory[64];

void* Mapping() {
  return mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

#define BLOCK "0x[0-9a-f]+"
#define CLASS " \\(class [0-9]+, [0-9]+ bytes\\)"
#define ORIGIN " \\(.*another malloc's.*\\)"
#define FOREIGN "free of a pointer that is not ours: " BLOCK ORIGIN
#define NOT_LIVE \
  "free of a pointer that is not a live block \\(freed already, or inside one\\): " BLOCK
#define INTERIOR "free of a pointer inside a block, not at its beginning: " BLOCK CLASS
#define DOUBLE "double free: " BLOCK CLASS
#define BAD_REALLOC "realloc of a pointer that is not a live block: " BLOCK
#define BAD_SIZE_OF "size asked of a pointer that is not a block: " BLOCK

const Misuse kMisuses[] = {
    {"FreeStack",
     [] {
       alignas(16) char local[64];
       Free(local);
     },
     FOREIGN},
    {"FreeStatic", [] { Free(static_memory); }, FOREIGN},
    {"FreeMapping", [] { Free(Mapping()); }, FOREIGN},
    {"FreeFunction", [] { Free(reinterpret_cast<void*>(&Mapping)); }, FOREIGN},
    {"FreeSmallNumber", [] { Free(reinterpret_cast<void*>(16)); }, FOREIGN},
    {"FreeNonCanonicalAddress", [] { Free(reinterpret_cast<void*>(~uintptr_t{15})); }, FOREIGN},
    {"FreeInsideSmallBlock", [] { FreeAndFlush(Allocate(100) + 16, 100); }, INTERIOR},
    {"FreeMisalignedSmallBlock", [] { FreeAndFlush(Allocate(100) + 1, 100); }, INTERIOR},
    {"FreeInsideSpan", [] { Free(Allocate(200000) + 65536); }, NOT_LIVE},
    {"FreeMisalignedSpan", [] { Free(Allocate(200000) + 8); }, NOT_LIVE},
    {"FreeInsideHugeBlock", [] { Free(Allocate(32 << 20) + (4 << 20)); }, NOT_LIVE},
    {"FreeMisalignedHugeBlock", [] { Free(Allocate(32 << 20) + 16); }, NOT_LIVE},
    {"DoubleFreeSmall",
     [] {
       char* block = Allocate(100);
       Free(block);
       FreeAndFlush(block, 100);
     },
     DOUBLE},
    {"DoubleFreeSmallFarApart",
     [] {
       char* block = Allocate(100);
       FreeAndFlush(block, 100);
       FreeAndFlush(block, 100);
     },
     DOUBLE},
    {"DoubleFreeByAnotherThread",
     [] {
       // The other thread's free comes first: what it caches is returned when it ends.
       std::vector<char*> blocks(1000);
       for (char*& block : blocks) block = Allocate(100);
       std::thread([&] { FreeAndFlush(blocks[500], 100); }).join();
       FreeAndFlush(blocks[500], 100);
     },
     DOUBLE},
    {"DoubleFreeSpan",
     [] {
       char* block = Allocate(200000);
       Free(block);
       Free(block);
     },
     NOT_LIVE},
    {"DoubleFreeHugeBlock",
     [] {
       char* block = Allocate(32 << 20);
       Free(block);
       Free(block);
     },
     NOT_LIVE},
    {"ReallocForeign", [] { Free(realloc(Hide(static_memory), 100)); }, BAD_REALLOC ORIGIN},
    {"ReallocInterior", [] { Free(realloc(Allocate(100) + 16, 200)); }, BAD_REALLOC CLASS},
    {"ReallocFreedSpan",
     [] {
       char* block = Allocate(200000);
       Free(block);
       Free(realloc(Hide(block), 300000));
     },
     BAD_REALLOC},
    {"ReallocInsideHugeBlock", [] { Free(realloc(Allocate(32 << 20) + 4096, 100)); }, BAD_REALLOC},
    {"UsableSizeForeign", [] { (void)malloc_usable_size(Hide(static_memory)); },
     BAD_SIZE_OF ORIGIN},
    {"UsableSizeInterior", [] { (void)malloc_usable_size(Allocate(100) + 16); }, BAD_SIZE_OF CLASS},
    {"UsableSizeInsideSpan", [] { (void)malloc_usable_size(Allocate(200000) + 64); }, BAD_SIZE_OF},
#ifdef HAK_DEBUG  // the look-up that this takes is made with assertions only
    {"FreeSizedTooLarge", [] { free_sized(Allocate(100), 5000); },
     "free_sized with a size the block cannot have: " BLOCK CLASS},
    {"FreeSizedForeign", [] { free_sized(Hide(static_memory), 64); },
     "free_sized of a pointer that is not a block: " BLOCK ORIGIN},
#endif
};

class MisuseTest : public testing::TestWithParam<Misuse> {};

TEST_P(MisuseTest, EndsWithOneLineAndAbort) {
  Outcome outcome = RunInChild([] { GetParam().action(); });
  EXPECT_EQ(outcome.signal, SIGABRT) << outcome;
  EXPECT_TRUE(std::regex_match(outcome.err,
                               std::regex(std::string("hakmem: ") + GetParam().message + "\n")))
      << outcome;
}

INSTANTIATE_TEST_SUITE_P(Table, MisuseTest, testing::ValuesIn(kMisuses),
                         [](const auto& row) { return std::string(row.param.name); });

// What looks like misuse and is none.
TEST(NoMisuseTest, FreeOfNullIsNothing) {
  Outcome outcome = RunInChild([] {
    Free(nullptr);
    (void)malloc_usable_size(nullptr);
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.err, "");
}

}  // namespace
}  // namespace hakmem_testing
