// What misuse is met by: the line it ends with.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstring>
#include <string>
#include <thread>

#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/base/base.h"  // HAK_DEBUG
#include "hakmem/heap/cache.h"
}

namespace {

constexpr size_t kKib = 1024, kMib = 1024 * kKib;

// Keeps the compiler from knowing sizes, and from judging them.
template <typename T>
T Hide(T value) {
  asm volatile("" : "+r"(value));
  return value;
}

// Small blocks go back to their slabs, where misuse shows, at the latest when their thread ends.
// In a thread that returns what it has freed.
void InThread(void (*act)()) {
  std::thread([act] {
    act();
    hak_cache_drain(hak_this_heap);
  }).join();
}

TEST(MallocDeathTest, MisuseEndsWithOneLineThatNamesIt) {
  struct Case {
    const char* name;
    void (*act)();
    const char* message;
  };
#define HAK_ADDRESS "0x[0-9a-f]+"
  static char foreign[64];
  const Case cases[] = {
      {"small twice",
       [] {
         InThread([] {
           void* p = hak_malloc(100);
           hak_free(p);
           hak_free(Hide(p));
         });
       },
       "double free: " HAK_ADDRESS " \\(a block of 112 bytes, class 7, freed by thread [0-9]+\\)"},
      {"small twice, by two threads",
       [] {
         static void* p;
         p = hak_malloc(100);
         InThread([] { hak_free(p); });
         InThread([] { hak_free(p); });
       },
       "double free: " HAK_ADDRESS " \\(a block of 112 bytes, class 7, .*\\)"},
      {"inside small", [] { InThread([] { hak_free(static_cast<char*>(hak_malloc(100)) + 16); }); },
       "free of a pointer inside a block: " HAK_ADDRESS
       " \\(offset 16 in a block of 112 bytes, class 7, at " HAK_ADDRESS "\\)"},
      {"span twice",
       [] {
         void* p = hak_malloc(100 * kKib);
         hak_free(p);
         hak_free(Hide(p));
       },
       "double free: " HAK_ADDRESS " \\(a span of 131072 bytes, freed by thread [0-9]+\\)"},
      {"inside huge", [] { hak_free(static_cast<char*>(hak_malloc(9 * kMib)) + 4096); },
       "free of a pointer inside a block: " HAK_ADDRESS
       " \\(offset 4096 in a huge block of 9437184 bytes, at " HAK_ADDRESS "\\)"},
      {"foreign", [] { hak_free(Hide(foreign)); },
       "free of a pointer that is not ours: " HAK_ADDRESS
       " \\(static memory, or another malloc's, in the program itself\\)"},
      {"realloc of foreign", [] { (void)!hak_realloc(Hide(foreign), 10); },
       "realloc of a pointer that is not ours: " HAK_ADDRESS
       " \\(static memory, or another malloc's, in the program itself\\)"},
      {"realloc inside small",
       [] { (void)!hak_realloc(static_cast<char*>(hak_malloc(100)) + 16, 10); },
       "realloc of a pointer inside a block: " HAK_ADDRESS
       " \\(offset 16 in a block of 112 bytes, class 7, at .*\\)"},
      {"realloc between the blocks of a slab of several pages",  // 5 pages, 10 blocks
       [] { (void)!hak_realloc(static_cast<char*>(hak_malloc(32 * kKib)) + 8 * kKib, 32 * kKib); },
       "realloc of a pointer inside a block: " HAK_ADDRESS
       " \\(offset 8192 in a block of 32768 bytes, class 72, at .*\\)"},
      {"realloc inside the first page of a span",
       [] { (void)!hak_realloc(static_cast<char*>(hak_malloc(200 * kKib)) + 16, 100 * kKib); },
       "realloc of a pointer inside a block: " HAK_ADDRESS
       " \\(offset 16 in a span of 204800 bytes, at .*\\)"},
      {"realloc of a later page of a span",
       [] { (void)!hak_realloc(static_cast<char*>(hak_malloc(200 * kKib)) + 64 * kKib, 1); },
       "realloc of a pointer inside a block: " HAK_ADDRESS
       " \\(offset 65536 in a span of 204800 bytes, at .*\\)"},
      {"realloc of a freed span",
       [] {
         void* p = hak_malloc(100 * kKib);
         hak_free(p);
         (void)!hak_realloc(Hide(p), 10);
       },
       "realloc of a freed block: " HAK_ADDRESS
       " \\(a span of 131072 bytes, freed by thread [0-9]+\\)"},
      {"size of a freed span",
       [] {
         void* p = hak_malloc(100 * kKib);
         hak_free(p);
         (void)hak_usable_size(Hide(p));
       },
       "usable size asked of a freed block: " HAK_ADDRESS
       " \\(a span of 131072 bytes, freed by thread [0-9]+\\)"},
      {"size of a span in no cache any more",
       [] {
         void* p = hak_malloc(600 * kKib);
         hak_free(p);
         (void)hak_usable_size(Hide(p));
       },
       "usable size asked of a freed block: " HAK_ADDRESS " \\(a span of .*\\)"},
      {"size of foreign", [] { (void)hak_usable_size(foreign); },
       "usable size asked of a pointer that is not ours: " HAK_ADDRESS
       " \\(static memory, or another malloc's, in the program itself\\)"},
      {"size inside small", [] { (void)hak_usable_size(static_cast<char*>(hak_malloc(100)) + 1); },
       "usable size asked of a pointer inside a block: " HAK_ADDRESS
       " \\(offset 1 in a block of 112 bytes, class 7, at .*\\)"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EXIT(
        c.act(), testing::KilledBySignal(SIGABRT),
        testing::MatchesRegex(std::string("hakmem: ") + c.message + ", in thread [0-9]+\n"));
  }
}

TEST(MallocDeathTest, ASizeThatTheBlockCannotHaveIsRefused) {
  const struct {
    size_t allocated, freed;
  } cases[] = {{1, 17},
               {1, 72},
               {100, 0},
               {100, 56},
               {100, 113},
               {5000, 500},
               {5000, 5121},
               {100 * kKib, 50 * kKib},
               {100 * kKib, 101 * kKib},
               {9 * kMib, 4 * kMib},
               {100, SIZE_MAX}};
  for (auto [allocated, freed] : cases) {
    SCOPED_TRACE(std::to_string(allocated) + " " + std::to_string(freed));
    const char message[] =
        "hakmem: free with a size that the block cannot have: 0x[0-9a-f]+ \\(.*\\), in thread "
        "[0-9]+\n";
    size_t n = freed;
    void* p = hak_malloc(allocated);
    EXPECT_EXIT(hak_free_sized(p, n), testing::KilledBySignal(SIGABRT),
                testing::MatchesRegex(message));
    EXPECT_EXIT(hak_free_aligned_sized(p, 16, n), testing::KilledBySignal(SIGABRT),
                testing::MatchesRegex(message));
    hak_free(p);
  }
  void* aligned = hak_aligned_alloc(256, 100);
  EXPECT_EXIT(hak_free_aligned_sized(aligned, 1024, 100), testing::KilledBySignal(SIGABRT),
              "cannot have");
  // Of two blocks of 112 bytes one at least is at no multiple of 64.
  auto die = [] {
    void* blocks[] = {hak_malloc(100), hak_malloc(100)};
    for (void* block : blocks) hak_free_aligned_sized(block, 64, 100);
  };
  EXPECT_EXIT(die(), testing::KilledBySignal(SIGABRT), "hakmem: free with ");
  hak_free(aligned);
}

}  // namespace
