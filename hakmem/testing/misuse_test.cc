// Misuse of the heap ends the process with one line on stderr that names it, and SIGABRT.
//
// The table is every kind of misuse times every kind of block: of the smallest class, of others, of
// the largest, spans and huge blocks. Each row is tried by a thread that has done nothing before
// and by one that owns slabs of the class and has blocks of it in its magazine. Some misuse is
// caught by the call itself, in all builds and states; the rest when the block goes back to its
// slab (docs/DESIGN.md, "What misuse is met by"). In a hardened process (misuse_hardened_test) all
// of it is caught by the call itself.

#include <gtest/gtest.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <regex>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/testing/command.h"

extern "C" void free_sized(void* ptr, size_t size) __attribute__((weak));
extern "C" void free_aligned_sized(void* ptr, size_t alignment, size_t size) __attribute__((weak));

namespace hakmem_testing {
namespace {

const bool kIsHardened = getenv("HAKMEM_HARDENED") != nullptr;

enum When { kAtOnce, kWhenItGoesBack };

struct Misuse {
  std::string name;
  std::function<void()> action;
  std::string message;  // a regular expression for the line, between "hakmem: " and the thread
  size_t size;
  When when;
};

char* Allocate(size_t size) { return Opaque(static_cast<char*>(malloc(size))); }
void Free(void* ptr) { free(Opaque(ptr)); }
void Resize(void* ptr, size_t size) { (void)Opaque(realloc(Opaque(ptr), size)); }
void AskSize(void* ptr) { (void)malloc_usable_size(Opaque(ptr)); }
void FreeSized(void* ptr, size_t size) { free_sized(Opaque(ptr), size); }

// ---- the table ----

const char kAddress[] = "0x[0-9a-f]+ ";

std::string Foreign(const std::string& done) {
  return done + " of a pointer that is not ours: " + kAddress + "\\(.*another malloc's.*\\)";
}

// What a block of `size` is called, where it is live.
std::string Name(size_t size) {
  size_t canary = kIsHardened ? 8 : 0;
  return size + canary <= 32768 ? "block of [0-9]+ bytes, class [0-9]+"
         : size <= 1 << 20      ? "span of [0-9]+ bytes"
                                : "huge block of [0-9]+ bytes";
}

std::string Inside(const std::string& done, size_t size, size_t offset) {
  return done + " of a pointer inside a block: " + kAddress + "\\(offset " +
         std::to_string(offset) + " in a " + Name(size) + ", at 0x[0-9a-f]+\\)";
}

// Where the memory of a freed block has gone back, nothing is left that could be named.
std::string Gone(const std::string& done) {
  return done + " of a pointer where no block is: " + kAddress +
         "\\(free memory of hakmem's, .*\\)";
}

// A block that has just been freed, and is with the thread that did it, as a huge block never is.
std::string JustFreed(const std::string& done, size_t size) {
  if (size > 1 << 20 && !kIsHardened) return Gone(done);
  return (done == "free" ? "double free: " : done + " of a freed block: ") + kAddress + "\\(a " +
         Name(size) + ", (freed by thread [0-9]+|free)\\)";
}

std::string DoubleFree(size_t size) {
  return "(double free: " + std::string(kAddress) + "\\(a " + Name(size) + ".*\\)|" + Gone("free") +
         ")";
}

void AddForeign(std::vector<Misuse>* rows) {
  alignas(16) static char static_memory[64];
  static const struct {
    const char* name;
    std::function<void*()> make;
  } pointers[] = {
      {"Static", [] { return static_memory; }},
      {"Stack",
       [] {
         alignas(16) char local[64];
         return static_cast<void*>(Opaque(local));
       }},
      {"Mapping",
       [] {
         return mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
       }},
      {"Function", [] { return reinterpret_cast<void*>(&AskSize); }},
      {"SmallNumber", [] { return reinterpret_cast<void*>(16); }},
      {"One", [] { return reinterpret_cast<void*>(1); }},
      {"NonCanonicalAddress", [] { return reinterpret_cast<void*>(~uintptr_t{15}); }},
      {"FarFromABlock", [] { return static_cast<void*>(Allocate(8) + (size_t{1} << 40)); }},
  };
  for (const auto& [name, make] : pointers) {
    auto add = [&, make = make](const std::string& prefix, const std::string& message,
                                void (*act)(void*)) {
      rows->push_back({prefix + name, [=] { act(make()); }, message, 100, kAtOnce});
    };
    add("Free", Foreign("free"), Free);
    add("Realloc", Foreign("realloc"), [](void* p) { Resize(p, 100); });
    add("UsableSize", Foreign("usable size asked"), AskSize);
    add("FreeSized", Foreign("free"), [](void* p) { FreeSized(p, 64); });
  }
}

void AddInside(size_t size, const std::string& of, std::vector<Misuse>* rows) {
  std::set<size_t> offsets = {1, 8, 15};
  if (size > 16) offsets.insert({16, size / 2 / 16 * 16});
  if (size > 1 << 17) offsets.insert(65536);
  if (size > 1 << 22) offsets.insert({size_t{1} << 21, size - 1});
  for (size_t offset : offsets) {
    std::string at = std::to_string(offset) + "Into" + of;
    // Of small blocks free itself sees only what is misaligned.
    When when = size > 32768 || offset % 16 != 0 ? kAtOnce : kWhenItGoesBack;
    auto add = [&](const char* prefix, const char* done, When caught, void (*act)(void*, size_t)) {
      rows->push_back({prefix + at, [=] { act(Allocate(size) + offset, size); },
                       Inside(done, size, offset), size, caught});
    };
    add("Free", "free", when, [](void* p, size_t) { Free(p); });
    add("FreeSized", "free", kAtOnce, [](void* p, size_t n) { FreeSized(p, n); });
    add("Realloc", "realloc", kAtOnce, [](void* p, size_t n) { Resize(p, n); });
    add("ReallocMore", "realloc", kAtOnce, [](void* p, size_t n) { Resize(p, 2 * n); });
    add("ReallocToNothing", "free", when, [](void* p, size_t) { Resize(p, 0); });
    add("UsableSize", "usable size asked", kAtOnce, [](void* p, size_t) { AskSize(p); });
  }
}

void AddFreed(size_t size, const std::string& of, std::vector<Misuse>* rows) {
  bool is_small = size <= 32768;
  auto add = [&](const char* prefix, const std::string& message, When when,
                 std::function<void(char*)> act) {
    rows->push_back({prefix + of, [=] { act(Allocate(size)); }, message, size, when});
  };
  add("DoubleFree", JustFreed("free", size), kAtOnce, [](char* p) {
    Free(p);
    Free(p);
  });
  add("DoubleFreeAfterOthers", DoubleFree(size), is_small ? kWhenItGoesBack : kAtOnce,
      [size](char* p) {
        char* q = Allocate(size);
        Free(p);
        Free(q);
        Free(p);
      });
  add("DoubleFreeAfterManyOthers", DoubleFree(size), is_small ? kWhenItGoesBack : kAtOnce,
      [size](char* p) {
        std::vector<char*> others(size > 1 << 20 ? 3 : 100);
        for (char*& other : others) other = Allocate(size);
        Free(p);
        for (char* other : others) Free(other);
        Free(p);
      });
  add("DoubleFreeByAnotherThread", DoubleFree(size), is_small ? kWhenItGoesBack : kAtOnce,
      [](char* p) {
        std::thread([=] { Free(p); }).join();
        Free(p);
      });
  add("FreeSizedTwice", JustFreed("free", size), kAtOnce, [size](char* p) {
    FreeSized(p, size);
    FreeSized(p, size);
  });
  // A block that is handed out twice, which is no different from a live one, until both come back.
  if (is_small) {
    add("DoubleFreeOfWhatIsHandedOutAgain", DoubleFree(size), kWhenItGoesBack, [size](char* p) {
      char* q = Allocate(size);
      Free(p);
      Free(q);
      Free(p);
      char* again[3];
      for (char*& block : again) block = Allocate(size);
      for (char* block : again) Free(block);
    });
  }
  add("ReallocFreed", JustFreed("realloc", size), kAtOnce, [size](char* p) {
    Free(p);
    Resize(p, 3 * size);
  });
  add("UsableSizeFreed", JustFreed("usable size asked", size), kAtOnce, [](char* p) {
    Free(p);
    AskSize(p);
  });
}

void AddSizes(size_t size, const std::string& of, std::vector<Misuse>* rows) {
  std::string message = std::string("free with a size that the block cannot have: ") + kAddress +
                        "\\(a " + Name(size) + "\\)";
  for (size_t wrong : {size_t{0}, size / 3, size * 2 + 16, SIZE_MAX}) {
    if (wrong == 5) continue;  // the smallest block is the right one
    rows->push_back({"FreeSized" + of + "As" + std::to_string(wrong),
                     [=] { FreeSized(Allocate(size), wrong); }, message, size, kAtOnce});
    rows->push_back({"FreeAlignedSized" + of + "As" + std::to_string(wrong),
                     [=] { free_aligned_sized(Allocate(size), 16, wrong); }, message, size,
                     kAtOnce});
  }
}

void AddZeroSize(std::vector<Misuse>* rows) {
  std::string message = std::string("double free: ") + kAddress + "\\(a block of 0 bytes, free\\)";
  rows->push_back({"DoubleFreeOfSizeZero",
                   [] {
                     char* p = Allocate(0);
                     Free(p);
                     Free(p);
                   },
                   message, 0, kAtOnce});
  rows->push_back({"FreeIntoSizeZero", [] { Free(Allocate(0) + 1); },
                   std::string("free of a pointer inside a block: ") + kAddress +
                       "\\(offset 1 in a block of 0 bytes, at 0x[0-9a-f]+\\)",
                   0, kAtOnce});
}

std::vector<Misuse> Rows() {
  std::vector<Misuse> rows;
  AddForeign(&rows);
  static const struct {
    const char* name;
    size_t size;
  } blocks[] = {{"Smallest", 16}, {"Small", 100},   {"Medium", 5000},
                {"Large", 32768}, {"Span", 200000}, {"Huge", size_t{9} << 20}};
  for (auto [name, size] : blocks) {
    AddInside(size, name, &rows);
    AddFreed(size, name, &rows);
    AddSizes(size, name, &rows);
  }
  AddZeroSize(&rows);
  return rows;
}

// ---- how a row is tried ----

// Frees enough blocks of `size` to carry earlier frees through both magazines to their slabs.
void Flush(size_t size) {
  std::vector<void*> blocks(20000);
  for (void*& block : blocks) block = malloc(size);
  for (void* block : blocks) free(block);
  malloc_trim(0);
}

void Warm(size_t size) {
  if (size > 1 << 20) return;
  std::vector<void*> blocks(size > 32768 ? 20 : 600);
  for (void*& block : blocks) block = malloc(size);
  for (void* block : blocks) free(block);
}

void ExpectCaught(const Misuse& row, bool is_warm) {
  Outcome outcome = RunInChild([&] {
    std::thread([&] {
      if (is_warm) Warm(row.size);
      row.action();
      if (row.when == kAtOnce || kIsHardened) _exit(99);
      Flush(row.size);
    }).join();
  });
  EXPECT_EQ(outcome.signal, SIGABRT) << outcome;
  EXPECT_TRUE(
      std::regex_match(outcome.err, std::regex("hakmem: " + row.message + ", in thread [0-9]+\n")))
      << row.message << "\n"
      << outcome;
}

class MisuseTest : public testing::TestWithParam<Misuse> {};

// What a program does before it exits comes to light then, where it has not before.
TEST_P(MisuseTest, OfAProcessThatExits) {
  const Misuse& row = GetParam();
  if (row.name.find("ByAnotherThread") != std::string::npos && row.when == kWhenItGoesBack &&
      !kIsHardened) {
    GTEST_SKIP() << "one of the two lies in the other thread's cache, which is not looked at";
  }
  Outcome outcome = RunInChild([&] {
    row.action();
    exit(0);
  });
  EXPECT_EQ(outcome.signal, SIGABRT) << outcome;
  EXPECT_TRUE(
      std::regex_match(outcome.err, std::regex("hakmem: " + row.message + ", in thread [0-9]+\n")))
      << row.message << "\n"
      << outcome;
}

TEST_P(MisuseTest, OfAThreadThatHasDoneNothing) { ExpectCaught(GetParam(), false); }
TEST_P(MisuseTest, OfAThreadThatHasSlabsOfTheClass) { ExpectCaught(GetParam(), true); }

INSTANTIATE_TEST_SUITE_P(Table, MisuseTest, testing::ValuesIn(Rows()),
                         [](const auto& row) { return row.param.name; });

// What looks like misuse and is none.
TEST(NoMisuseTest, FreeOfNullIsNothing) {
  Outcome outcome = RunInChild([] {
    Free(nullptr);
    FreeSized(nullptr, 100);
    free_aligned_sized(Opaque<void*>(nullptr), 64, 100);
    (void)malloc_usable_size(nullptr);
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.err, "");
}

TEST(NoMisuseTest, ABlockMayBeFreedWhereAnotherOfTheSameAddressWas) {
  Outcome outcome = RunInChild([] {
    for (size_t size : {size_t{0}, size_t{16}, size_t{100}, size_t{32768}, size_t{200000}}) {
      for (int i = 0; i < 1000; i++) Free(Allocate(size));
    }
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

// Memory that holds blocks, or tells of them, cannot be executed.
TEST(MemoryTest, NothingIsExecutable) {
  for (size_t size : {size_t{0}, size_t{16}, size_t{5000}, size_t{200000}, size_t{9} << 20}) {
    Outcome outcome = RunInChild([=] {
      char* p = Allocate(size);
      Free(Allocate(size));
      FILE* maps = fopen("/proc/self/maps", "r");
      char line[512];
      while (fgets(line, sizeof line, maps) != nullptr) {
        unsigned long begin, end;
        char access[5], path[256] = "";
        if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %255s", &begin, &end, access, path) < 3) abort();
        bool holds_it = reinterpret_cast<uintptr_t>(p) - begin < end - begin;
        if (holds_it && access[2] != '-') abort();
        if (path[0] == '\0' && access[2] == 'x') abort();
      }
    });
    EXPECT_TRUE(outcome.Succeeded()) << size << ": " << outcome;
  }
}

}  // namespace
}  // namespace hakmem_testing
