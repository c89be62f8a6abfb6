// What a hardened process notices and others do not: writes past a block, writes to freed blocks,
// and what attacks are made of. Each mistake with each kind of block, by a thread that has done
// nothing before and by one that has allocated and freed as much. (misuse_test.cc has the mistakes
// that all processes notice; it is run in a hardened one, too.)

#include <gtest/gtest.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <regex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "hakmem/testing/command.h"

extern "C" void free_sized(void* ptr, size_t size) __attribute__((weak));

namespace hakmem_testing {
namespace {

// A block that the compiler knows nothing of.
char* Hide(void* ptr) { return static_cast<char*>(Opaque(ptr)); }
char* Allocate(size_t size) { return Hide(malloc(size)); }
void Free(void* ptr) { free(Hide(ptr)); }

constexpr size_t kMaxSmall = 32760;

// Allocates and frees, until whatever was freed before has left its quarantine.
void Churn(size_t size) {
  for (int round = 0; round < (size > kMaxSmall ? 50 : 500); round++) {
    char* blocks[20];
    for (char*& block : blocks) block = Allocate(size);
    for (char* block : blocks) Free(block);
  }
}

struct Mistake {
  const char* name;
  std::function<void(char* block, size_t size)> make;  // with a block of `size` bytes
  const char* message;                                 // NULL: it faults
  bool is_for_large = true;
};

const char kOverflow[] = "write past the end of a block";
const char kAfterFree[] = "write to a freed block";

const Mistake kMistakes[] = {
    {"OverflowByOneThenFree",
     [](char* p, size_t n) {
       p[n] ^= 1;
       Free(p);
     },
     kOverflow},
    {"OverflowByTheEndOfAString",
     [](char* p, size_t n) {
       // As one in 256 canaries begins with it, where no byte is left before that.
       for (int i = 0; i < 10; i++) {
         memset(p, 'x', n);
         p[n] = '\0';
         free(Hide(p));
         p = Allocate(n);
       }
     },
     kOverflow},
    {"OverflowThenRealloc",
     [](char* p, size_t n) {
       p[n] ^= 1;
       p = Hide(realloc(p, 2 * n));
     },
     kOverflow},
    {"OverflowThenUsableSize",
     [](char* p, size_t n) {
       p[n] ^= 1;
       (void)malloc_usable_size(Hide(p));
     },
     kOverflow},
    {"OverflowByAnotherThread",
     [](char* p, size_t n) {
       std::thread([=] {
         for (size_t i = 0; i < 5; i++) p[n + i] ^= 0x7f;
       }).join();
       Free(p);
     },
     kOverflow},
    // What lies before a block is the canary of its neighbour.
    {"Underflow",
     [](char*, size_t n) {
       std::set<char*> blocks;
       while (blocks.size() < 300) blocks.insert(Allocate(n));
       ptrdiff_t distance = PTRDIFF_MAX;
       for (auto at = std::next(blocks.begin()); at != blocks.end(); ++at) {
         distance = std::min(distance, *at - *std::prev(at));
       }
       for (char* block : blocks) {
         if (blocks.count(block - distance) != 0) block[-1] ^= 1;
       }
       for (char* block : blocks) Free(block);
     },
     kOverflow, false},
    {"WriteAfterFree",
     [](char* p, size_t n) {
       Free(p);
       p[n / 2] ^= 1;
       Churn(n);
     },
     kAfterFree, false},
    {"WriteAfterFreeByAnotherThread",
     [](char* p, size_t n) {
       std::thread([=] { Free(p); }).join();
       std::thread([=] { p[0] ^= 1; }).join();
       Churn(n);
     },
     kAfterFree, false},
    {"WriteToWhatReallocLeft",
     [](char* p, size_t n) {
       char* old = Hide(p);
       char* q = Hide(realloc(p, n + 40000));
       old[n - 1] ^= 1;
       Free(q);
       Churn(n);
     },
     kAfterFree, false},
    {"FreeSizedByOneMore", [](char* p, size_t n) { free_sized(Hide(p), n + 1); },
     "free with a size that the block cannot have"},
    {"FreeSizedByOneLess", [](char* p, size_t n) { free_sized(Hide(p), n - 1); },
     "free with a size that the block cannot have"},
    {"DoubleFreeAfterMuchElse",
     [](char* p, size_t n) {
       Free(p);
       Churn(n);
       Free(p);
     },
     "(double free|free of a pointer where no block is)"},
};

const Mistake kLargeMistakes[] = {
    {"ReadAfterFree",
     [](char* p, size_t) {
       Free(p);
       (void)*static_cast<volatile char*>(p);
     },
     nullptr},
    {"WriteAfterFree",
     [](char* p, size_t n) {
       Free(p);
       p[n - 1] = 1;
     },
     nullptr},
};

void ExpectCaught(const Mistake& mistake, size_t size, bool is_warm) {
  SCOPED_TRACE(std::string(mistake.name) + " " + std::to_string(size) + (is_warm ? " warm" : ""));
  Outcome outcome = RunInChild([&] {
    std::thread([&] {
      if (is_warm) Churn(size);
      char* block = Allocate(size);
      memset(block, 0x41, size);
      mistake.make(block, size);
    }).join();
  });
  if (mistake.message == nullptr) {
    EXPECT_EQ(outcome.signal, SIGSEGV) << outcome;
    return;
  }
  EXPECT_EQ(outcome.signal, SIGABRT) << outcome;
  std::string line =
      std::string("hakmem: ") + mistake.message +
      ": 0x[0-9a-f]+ \\((a (block|span|huge block) of [0-9]+ bytes|free memory).*\\), "
      "in thread [0-9]+\n";
  EXPECT_TRUE(std::regex_match(outcome.err, std::regex(line))) << outcome;
}

TEST(HardenedTest, MistakesAreNoticed) {
  for (size_t size : {size_t{1}, size_t{16}, size_t{24}, size_t{100}, size_t{5000}, kMaxSmall,
                      size_t{200000}, size_t{9} << 20}) {
    for (bool is_warm : {false, true}) {
      for (const Mistake& mistake : kMistakes) {
        if (size <= kMaxSmall || mistake.is_for_large) ExpectCaught(mistake, size, is_warm);
      }
      for (const Mistake& mistake : kLargeMistakes) {
        if (size > kMaxSmall) ExpectCaught(mistake, size, is_warm);
      }
    }
  }
}

// What is freed does not come back at once, nor its contents.
TEST(HardenedTest, AFreedBlockIsWipedAndNotReusedAtOnce) {
  for (size_t size : {16, 100, 5000, 32760}) {
    for (int i = 0; i < 1000; i++) {
      char* block = Allocate(size);
      memset(block, 0x41, size);
      Free(block);
      for (size_t at = 0; at < size; at++) ASSERT_NE(block[at], 0x41);
      char* other = Allocate(size);
      ASSERT_NE(other, block);
      Free(other);
    }
  }
}

// Two blocks that are allocated one after the other are no neighbours, as a rule.
TEST(HardenedTest, BlocksAreHandedOutAtRandom) {
  for (size_t size : {16, 100, 1000}) {
    size_t distance = (size + 8 + 15) / 16 * 16;
    int neighbours = 0;
    char* last = Allocate(size);
    for (int i = 0; i < 1000; i++) {
      char* block = Allocate(size);
      neighbours += block == last + distance || block == last - distance;
      last = block;
    }
    EXPECT_LT(neighbours, 300) << size;
  }
}

// Blocks that a program's own use of malloc_usable_size fills are whole.
TEST(HardenedTest, AllThatIsUsableMayBeUsed) {
  for (size_t size = 1; size < 70000; size += size / 16 + 1) {
    char* block = Allocate(size);
    size_t usable = malloc_usable_size(block);
    ASSERT_EQ(usable, size);
    memset(block, 0xff, usable);
    block = Hide(realloc(block, size / 2 + 1));
    memset(block, 0xff, malloc_usable_size(block));
    Free(block);
  }
}

// Memory that quarantines hold serves a program that would have none otherwise.
TEST(HardenedTest, TheQuarantineGivesWayWhereMemoryIsShort) {
  Outcome outcome = RunInChild([] {
    for (size_t size = 16; size <= 32000; size += size / 4) Churn(size);
    rlimit limit = {};
    limit.rlim_cur = limit.rlim_max = 64 << 20;
    setrlimit(RLIMIT_AS, &limit);
    void** list = nullptr;
    size_t n = 0;
    for (void* block; (block = Allocate(1000)) != nullptr; n++) {
      *static_cast<void**>(block) = list;
      list = static_cast<void**>(block);
    }
    if (n < 1000) abort();
    while (list != nullptr) Free(std::exchange(list, static_cast<void**>(*list)));
    for (int i = 0; i < 1000; i++) {
      char* block = Allocate(1000);
      if (block == nullptr) abort();
      Free(block);
    }
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

TEST(HardenedTest, TrimmingKeepsTheProcessHardened) {
  Outcome outcome = RunInChild([] {
    char* block = Allocate(100);
    malloc_trim(0);
    Free(block);
    Churn(100);
    Free(block);
  });
  EXPECT_EQ(outcome.signal, SIGABRT) << outcome;
}

}  // namespace
}  // namespace hakmem_testing
