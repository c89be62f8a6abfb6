// The C library's allocation functions, called by the names that programs use: what C, POSIX and
// glibc promise about them. The same tests run on the preloaded library and on the one linked in.

#include <errno.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <new>
#include <set>
#include <vector>

#include "hakmem/testing/command.h"

extern "C" {
void* __libc_malloc(size_t size) __attribute__((weak));
void* __libc_calloc(size_t count, size_t size) __attribute__((weak));
void* __libc_realloc(void* ptr, size_t size) __attribute__((weak));
void* __libc_memalign(size_t alignment, size_t size) __attribute__((weak));
void* __libc_valloc(size_t size) __attribute__((weak));
void* __libc_pvalloc(size_t size) __attribute__((weak));
void __libc_free(void* ptr) __attribute__((weak));
int __libc_mallopt(int parameter, int value) __attribute__((weak));
void cfree(void* ptr) __attribute__((weak));
void free_sized(void* ptr, size_t size) __attribute__((weak));
void free_aligned_sized(void* ptr, size_t alignment, size_t size) __attribute__((weak));
}

namespace hakmem_testing {
namespace {

bool IsAligned(const void* ptr, size_t alignment) {
  return reinterpret_cast<uintptr_t>(ptr) % alignment == 0;
}

size_t OsPage() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

const size_t kTooLarge[] = {static_cast<size_t>(PTRDIFF_MAX) + 1,
                            SIZE_MAX / 2 + 4096,
                            SIZE_MAX - 65536,
                            SIZE_MAX - 4095,
                            SIZE_MAX - 15,
                            SIZE_MAX - 1,
                            SIZE_MAX};
// Allowed by the standards, but more than any machine's address space.
const size_t kUnobtainable[] = {PTRDIFF_MAX,     static_cast<size_t>(PTRDIFF_MAX) - 4095,
                                SIZE_MAX / 4,    size_t{1} << 62,
                                size_t{1} << 53, size_t{1} << 48};

std::vector<size_t> ImpossibleSizes() {
  std::vector<size_t> sizes(std::begin(kTooLarge), std::end(kTooLarge));
  sizes.insert(sizes.end(), std::begin(kUnobtainable), std::end(kUnobtainable));
  return sizes;
}

// `call` has to return NULL and set errno to `error`.
template <typename Call>
void ExpectFails(const char* what, size_t size, int error, Call call) {
  errno = 0;
  void* block = call();
  EXPECT_EQ(block, nullptr) << what << " " << size;
  EXPECT_EQ(errno, error) << what << " " << size;
}

TEST(ConformanceTest, EveryPointerIsAlignedTo16AndHoldsItsSize) {
  for (size_t size = 0; size <= 4096; size++) {
    void* blocks[] = {malloc(size), calloc(1, size), realloc(nullptr, size), ::operator new(size)};
    for (void* block : blocks) {
      ASSERT_NE(block, nullptr);
      EXPECT_TRUE(IsAligned(block, 16)) << size;
      EXPECT_GE(malloc_usable_size(block), size);
      memset(block, 0xa5, malloc_usable_size(block));
    }
    free(blocks[0]);
    cfree(blocks[1]);
    free(blocks[2]);
    ::operator delete(blocks[3]);
  }
}

TEST(ConformanceTest, BlocksOfSizeZeroAreUnique) {
  std::set<void*> blocks;
  for (int i = 0; i < 1000; i++) {
    blocks.insert(malloc(Opaque<size_t>(0)));
    blocks.insert(calloc(Opaque<size_t>(0), 8));
    blocks.insert(aligned_alloc(64, Opaque<size_t>(0)));
  }
  EXPECT_EQ(blocks.size(), 3000u);
  EXPECT_EQ(blocks.count(nullptr), 0u);
  for (void* block : blocks) free(block);
}

TEST(ConformanceTest, ImpossibleSizesAreEnomem) {
  for (size_t size : ImpossibleSizes()) {
    size_t n = Opaque(size);
    ExpectFails("malloc", n, ENOMEM, [&] { return malloc(n); });
    ExpectFails("calloc", n, ENOMEM, [&] { return calloc(1, n); });
    ExpectFails("calloc", n, ENOMEM, [&] { return calloc(n, 1); });
    ExpectFails("realloc NULL", n, ENOMEM, [&] { return realloc(nullptr, n); });
    ExpectFails("reallocarray", n, ENOMEM, [&] { return reallocarray(nullptr, n, 1); });
    ExpectFails("valloc", n, ENOMEM, [&] { return valloc(n); });
    ExpectFails("pvalloc", n, ENOMEM, [&] { return pvalloc(n); });
    for (size_t alignment : {size_t{8}, size_t{16}, size_t{64}, size_t{4096}, size_t{1} << 22}) {
      ExpectFails("memalign", n, ENOMEM, [&] { return memalign(alignment, n); });
      ExpectFails("aligned_alloc", n, ENOMEM, [&] { return aligned_alloc(alignment, n); });
      void* untouched = &n;
      errno = 0;
      EXPECT_EQ(posix_memalign(&untouched, alignment, n), ENOMEM) << alignment << " " << n;
      EXPECT_EQ(errno, ENOMEM) << "as glibc's sets it";
      EXPECT_EQ(untouched, &n);
    }
    EXPECT_EQ(Opaque(::operator new(n, std::nothrow)), nullptr);
    EXPECT_THROW((void)Opaque(::operator new(n)), std::bad_alloc);
    // (The C++ library's own rounds the size up without looking, in GCC 12.)
    if (n > SIZE_MAX - 4095) continue;
    EXPECT_THROW((void)Opaque(::operator new (n, std::align_val_t{4096})), std::bad_alloc);
  }
}

TEST(ConformanceTest, ReallocThatFailsLeavesTheBlock) {
  for (size_t size : {size_t{10}, size_t{50000}, size_t{5} << 20}) {
    for (size_t impossible : ImpossibleSizes()) {
      char* block = static_cast<char*>(malloc(size));
      memset(block, 'x', size);
      size_t n = Opaque(impossible);
      ExpectFails("realloc", n, ENOMEM, [&] { return realloc(Opaque(block), n); });
      ExpectFails("reallocarray", n, ENOMEM, [&] { return reallocarray(Opaque(block), n, 2); });
      EXPECT_GE(malloc_usable_size(block), size);
      EXPECT_EQ(std::string(block, size), std::string(size, 'x'));
      free(block);
    }
  }
}

TEST(ConformanceTest, ProductsThatOverflowAreEnomem) {
  size_t half = Opaque(size_t{1} << 32);
  ExpectFails("calloc", half, ENOMEM, [&] { return calloc(half, half); });
  ExpectFails("calloc", half, ENOMEM, [&] { return calloc(Opaque(SIZE_MAX / 2 + 2), 2); });
  ExpectFails("reallocarray", half, ENOMEM, [&] { return reallocarray(nullptr, half, half + 1); });
  void* block = malloc(100);
  ExpectFails("reallocarray", half, ENOMEM,
              [&] { return reallocarray(Opaque(block), half, half); });
  free(block);
}

TEST(ConformanceTest, CallocIsZeroAfterReuse) {
  for (size_t size : {size_t{1}, size_t{24}, size_t{1000}, size_t{32768}, size_t{32769},
                      size_t{200000}, size_t{1} << 20, size_t{9} << 20}) {
    for (int i = 0; i < 20; i++) {
      size_t n = malloc_usable_size(memset(malloc(size), 0, 1)) > 0 ? size : 0;
      char* dirty = static_cast<char*>(malloc(n));
      memset(dirty, 0xff, n);
      free(dirty);
      char* block = static_cast<char*>(calloc(1, n));
      ASSERT_NE(block, nullptr);
      EXPECT_EQ(block[0], 0) << size;
      EXPECT_EQ(memcmp(block, block + 1, n - 1), 0) << size;
      memset(block, 0xff, n);
      free(block);
    }
  }
}

TEST(ConformanceTest, ReallocToZeroFrees) {
  void* block = malloc(100);
  EXPECT_EQ(realloc(block, Opaque<size_t>(0)), nullptr);
  void* fresh = realloc(nullptr, Opaque<size_t>(0));
  EXPECT_NE(fresh, nullptr);
  free(fresh);
}

TEST(ConformanceTest, ReallocKeepsContentsThroughAllSizes) {
  std::vector<size_t> sizes = {1, 16, 17, 100, 4000, 32768, 32769, 65537, 300000, 1 << 20, 3 << 20};
  for (size_t from : sizes) {
    for (size_t to : sizes) {
      unsigned char* block = static_cast<unsigned char*>(malloc(from));
      for (size_t i = 0; i < from; i++) block[i] = static_cast<unsigned char>(i * 31 + from);
      block = static_cast<unsigned char*>(realloc(block, to));
      ASSERT_NE(block, nullptr);
      EXPECT_TRUE(IsAligned(block, 16));
      size_t wrong = 0;
      for (size_t i = 0; i < std::min(from, to); i++) {
        wrong += block[i] != static_cast<unsigned char>(i * 31 + from);
      }
      EXPECT_EQ(wrong, 0u) << from << " -> " << to;
      free(block);
    }
  }
}

TEST(ConformanceTest, AlignedFunctionsAlign) {
  for (size_t alignment = 1; alignment <= size_t{64} << 20; alignment *= 2) {
    for (size_t size : {size_t{0}, size_t{1}, size_t{100}, size_t{4097}, size_t{40000}}) {
      std::vector<void*> blocks = {memalign(alignment, size), aligned_alloc(alignment, size)};
      void* block = nullptr;
      if (alignment >= sizeof(void*)) {
        EXPECT_EQ(posix_memalign(&block, alignment, size), 0);
        blocks.push_back(block);
      }
      for (void* aligned : blocks) {
        ASSERT_NE(aligned, nullptr) << alignment << " " << size;
        EXPECT_TRUE(IsAligned(aligned, alignment)) << alignment << " " << size;
        EXPECT_TRUE(IsAligned(aligned, 16)) << alignment << " " << size;
        EXPECT_GE(malloc_usable_size(aligned), size);
        memset(aligned, 1, size);
      }
      for (void* aligned : blocks) free(aligned);
    }
  }
}

TEST(ConformanceTest, AlignmentsThatAreNoPowersOfTwo) {
  for (size_t alignment : {size_t{0}, size_t{3}, size_t{24}, size_t{48}, size_t{1000}}) {
    size_t a = Opaque(alignment);
    ExpectFails("aligned_alloc", a, EINVAL, [&] { return aligned_alloc(a, 100); });
    void* block = memalign(a, 100);  // glibc rounds up
    ASSERT_NE(block, nullptr);
    EXPECT_TRUE(IsAligned(block, a <= 16 ? 16 : a <= 32 ? 32 : a <= 64 ? 64 : 1024)) << a;
    free(block);
  }
  size_t beyond = Opaque(SIZE_MAX / 2 + 2);
  ExpectFails("memalign", beyond, EINVAL, [&] { return memalign(beyond, 1); });
  size_t largest = Opaque(SIZE_MAX / 2 + 1);
  ExpectFails("memalign", largest, ENOMEM, [&] { return memalign(largest, 1); });
  ExpectFails("aligned_alloc", largest, ENOMEM, [&] { return aligned_alloc(largest, 1); });
}

TEST(ConformanceTest, PosixMemalignRefusesBadAlignments) {
  for (size_t alignment : {0, 1, 2, 4, 3, 12, 24, 40, 100}) {
    void* untouched = &alignment;
    errno = 77;
    EXPECT_EQ(posix_memalign(&untouched, Opaque(alignment), 100), EINVAL) << alignment;
    EXPECT_EQ(untouched, &alignment);
    EXPECT_EQ(errno, 77);
  }
  void* block = nullptr;
  EXPECT_EQ(posix_memalign(&block, 64, 0), 0);
  EXPECT_NE(block, nullptr);
  EXPECT_TRUE(IsAligned(block, 64));
  free(block);
}

TEST(ConformanceTest, PageAlignedFunctions) {
  size_t page = OsPage();
  for (size_t size : {size_t{0}, size_t{1}, page - 1, page, page + 1, 20 * page + 1}) {
    void* block = valloc(Opaque(size));
    EXPECT_TRUE(block != nullptr && IsAligned(block, page)) << size;
    free(block);
    block = pvalloc(Opaque(size));
    EXPECT_TRUE(block != nullptr && IsAligned(block, page)) << size;
    EXPECT_GE(malloc_usable_size(block), std::max(page, (size + page - 1) / page * page)) << size;
    free(block);
  }
}

TEST(ConformanceTest, FreeKeepsErrno) {
  std::vector<void*> blocks = {nullptr, malloc(1), malloc(40000), malloc(3 << 20),
                               memalign(1 << 22, 100)};
  for (int i = 0; i < 5000; i++) blocks.push_back(malloc(1000));
  for (void* block : blocks) {
    errno = 1789;
    free(block);
    EXPECT_EQ(errno, 1789);
  }
}

TEST(ConformanceTest, SuccessKeepsErrno) {
  errno = 1789;
  for (size_t size = 1; size < size_t{64} << 20; size *= 2) free(calloc(1, Opaque(size)));
  EXPECT_EQ(errno, 1789);
}

TEST(ConformanceTest, UsableSizeMayBeUsed) {
  EXPECT_EQ(malloc_usable_size(nullptr), 0u);
  for (size_t size = 1; size < size_t{16} << 20; size = size * 5 / 4 + 1) {
    void* block = malloc(size);
    size_t usable = malloc_usable_size(block);
    EXPECT_GE(usable, size);
    memset(block, 0x5a, usable);
    EXPECT_EQ(realloc(block, Opaque(usable)), block) << size;
    free(block);
  }
}

TEST(ConformanceTest, SizedFreesTakeBlocksOfAllMakers) {
  ASSERT_NE(free_sized, nullptr);
  ASSERT_NE(free_aligned_sized, nullptr);
  for (size_t size : {size_t{1}, size_t{100}, size_t{5000}, size_t{40000}, size_t{5} << 20}) {
    free_sized(malloc(size), size);
    free_sized(calloc(1, size), size);
    free_sized(realloc(malloc(1), size), size);
    free_sized(realloc(malloc(2 * size), size), size);
    free_sized(realloc(aligned_alloc(64, 10), size), size);
    free_aligned_sized(aligned_alloc(256, size), 256, size);
    free_aligned_sized(aligned_alloc(4096, size), 4096, size);
    ::operator delete(::operator new(size), size);
    ::operator delete (::operator new (size, std::align_val_t{64}), size, std::align_val_t{64});
  }
  free_sized(nullptr, 10);
  free_aligned_sized(nullptr, 64, 64);
}

// Each maker's block goes to each taker of the other names.
TEST(ConformanceTest, LibcsOtherNamesAreTheSameHeap) {
  for (size_t size : {size_t{1}, size_t{100}, size_t{40000}, size_t{5} << 20}) {
    for (int taker = 0; taker < 4; taker++) {
      void* blocks[] = {__libc_malloc(size),
                        __libc_calloc(1, size),
                        __libc_realloc(nullptr, size),
                        __libc_memalign(64, size),
                        __libc_valloc(size),
                        __libc_pvalloc(size),
                        malloc(size),
                        aligned_alloc(256, size)};
      EXPECT_TRUE(IsAligned(blocks[3], 64));
      EXPECT_TRUE(IsAligned(blocks[4], OsPage()));
      EXPECT_EQ(malloc_usable_size(blocks[5]) % OsPage(), 0u);
      for (void* block : blocks) {
        ASSERT_NE(block, nullptr);
        EXPECT_GE(malloc_usable_size(block), size);
        if (taker == 0) free(block);
        if (taker == 1) __libc_free(block);
        if (taker == 2) free(__libc_realloc(block, size * 3));
        if (taker == 3) __libc_free(realloc(block, size * 3));
      }
    }
  }
  EXPECT_EQ(__libc_mallopt(M_MXFAST, 1), 1);
  EXPECT_EQ(__libc_mallopt(12345, 1), 0);
}

int handler_calls;
void GiveUpAtThird() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

TEST(ConformanceTest, NewCallsItsHandlerUntilItGivesUp) {
  for (int kind = 0; kind < 4; kind++) {
    handler_calls = 0;
    std::set_new_handler(GiveUpAtThird);
    size_t n = Opaque(size_t{1} << 60);
    switch (kind) {
      case 0:
        EXPECT_THROW((void)Opaque(::operator new(n)), std::bad_alloc);
        break;
      case 1:
        EXPECT_THROW((void)Opaque(::operator new[](n, std::align_val_t{512})), std::bad_alloc);
        break;
      case 2:
        EXPECT_EQ(Opaque(::operator new[](n, std::nothrow)), nullptr);
        break;
      default:
        EXPECT_EQ(Opaque(::operator new (n, std::align_val_t{64}, std::nothrow)), nullptr);
    }
    EXPECT_EQ(handler_calls, 3);
  }
}

struct OfHandler {};
void Throw() { throw OfHandler(); }

TEST(ConformanceTest, AHandlerMayThrow) {
  std::set_new_handler(Throw);
  size_t n = Opaque(size_t{1} << 60);
  EXPECT_THROW((void)Opaque(::operator new(n)), OfHandler);
  EXPECT_THROW((void)Opaque(::operator new[](n, std::align_val_t{64})), OfHandler);
  EXPECT_EQ(Opaque(::operator new(n, std::nothrow)), nullptr);
  EXPECT_EQ(Opaque(::operator new[](n, std::nothrow)), nullptr);
  EXPECT_EQ(Opaque(::operator new (n, std::align_val_t{64}, std::nothrow)), nullptr);
  EXPECT_EQ(Opaque(::operator new[](n, std::align_val_t{4096}, std::nothrow)), nullptr);
  std::set_new_handler(nullptr);
}

void* spare;
void FreeSpare() {
  free(spare);
  spare = nullptr;
  std::set_new_handler(nullptr);
}

TEST(ConformanceTest, AHandlerMayFreeMemory) {
  Outcome outcome = RunInChild([] {
    // There is room for one such block and not for two, whatever part of what is mapped is free.
    const size_t gib = size_t{1} << 30;
    const size_t mapped = StatusBytes("/proc/self/status", "\nVmSize");
    const size_t n = mapped + 2 * gib;
    const size_t most = mapped + n + gib;
    const rlimit limit = {most, most};
    setrlimit(RLIMIT_AS, &limit);
    for (bool may_throw : {true, false}) {
      spare = malloc(Opaque(n));
      std::set_new_handler(FreeSpare);
      void* block = may_throw ? ::operator new(n) : ::operator new(n, std::nothrow);
      if (block == nullptr || spare != nullptr) _exit(1);
      ::operator delete(block);
    }
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

TEST(ConformanceTest, NewRefusesAlignmentsThatAreNoPowersOfTwo) {
  handler_calls = 0;
  std::set_new_handler(GiveUpAtThird);
  std::align_val_t alignment{Opaque(size_t{24})};
  EXPECT_THROW((void)Opaque(::operator new (size_t{100}, alignment)), std::bad_alloc);
  EXPECT_EQ(Opaque(::operator new (size_t{100}, alignment, std::nothrow)), nullptr);
  EXPECT_EQ(handler_calls, 0) << "a handler can do nothing about it";
  std::set_new_handler(nullptr);
}

// ---- introspection: real figures, not libc's of a heap that nobody uses ----

TEST(ConformanceTest, MalloptKnowsGlibcsParameters) {
  for (int parameter : {M_MXFAST, M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX,
                        M_CHECK_ACTION, M_PERTURB, M_ARENA_TEST, M_ARENA_MAX}) {
    EXPECT_EQ(mallopt(parameter, 1), 1) << parameter;
  }
  EXPECT_EQ(mallopt(12345, 1), 0);
}

TEST(ConformanceTest, MallinfoCountsWhatIsLive) {
  struct mallinfo2 before = mallinfo2();
  std::vector<void*> blocks(5000);
  for (void*& block : blocks) block = malloc(1000);
  void* span = Opaque(malloc(300000));
  void* huge = Opaque(malloc(64 << 20));
  struct mallinfo2 during = mallinfo2();
  size_t bytes = 5000 * 1000 + 300000 + (size_t{64} << 20);
  EXPECT_GE(during.uordblks - before.uordblks, bytes);
  EXPECT_LE(during.uordblks - before.uordblks, bytes + bytes / 8);
  EXPECT_GE(during.hblkhd - before.hblkhd, size_t{64} << 20);
  EXPECT_EQ(during.hblks - before.hblks, 1u);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  EXPECT_GE(static_cast<size_t>(mallinfo().uordblks), bytes);
#pragma GCC diagnostic pop
  for (void* block : blocks) free(block);
  free(span);
  free(huge);
  struct mallinfo2 after = mallinfo2();
  EXPECT_LE(after.uordblks, before.uordblks + 65536);
  EXPECT_EQ(after.hblks, before.hblks);
}

TEST(ConformanceTest, MallocTrimGivesMemoryBack) {
  malloc_trim(0);
  size_t before = ResidentBytes();
  std::vector<void*> blocks(40000);
  for (void*& block : blocks) block = memset(malloc(1000), 1, 1000);
  EXPECT_GE(ResidentBytes() - before, size_t{38} << 20);
  for (void* block : blocks) free(block);
  EXPECT_EQ(malloc_trim(0), 1);
  EXPECT_LE(ResidentBytes(), before + (size_t{2} << 20));
  malloc_trim(0);
  EXPECT_EQ(malloc_trim(0), 0) << "nothing is left to give back";
}

TEST(ConformanceTest, MallocInfoWritesXmlWithOurFigures) {
  std::vector<void*> blocks(120);  // of which some may be samples, which are in no class
  for (void*& block : blocks) block = malloc(777);
  std::string path = ScratchDirectory("info") + "/info.xml";
  FILE* file = fopen(path.c_str(), "w");
  EXPECT_EQ(malloc_info(0, file), 0);
  fclose(file);
  for (void* block : blocks) free(block);
  Outcome outcome = RunProgram({"/usr/bin/python3", "-c", R"(
import sys, xml.etree.ElementTree
root = xml.etree.ElementTree.parse(sys.argv[1]).getroot()
assert root.tag == "malloc" and root.attrib["version"].startswith("hakmem"), root.attrib
sizes = root.findall("./heap/sizes/size")
live = sum(int(s.attrib["live"]) for s in sizes
           if int(s.attrib["from"]) <= 777 <= int(s.attrib["to"]))
assert live >= 100, live
assert int(root.find("./heap/system[@type='current']").attrib["size"]) > 0
)",
                                path});
  EXPECT_TRUE(outcome.Succeeded()) << outcome << ReadFile(path);
  EXPECT_EQ(malloc_info(1, stdout), EINVAL);
}

TEST(ConformanceTest, MallocStatsPrintsOurFigures) {
  Outcome outcome = RunInChild([] {
    free(malloc(100));
    malloc_stats();
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_NE(outcome.err.find("hakmem: version "), std::string::npos) << outcome;
  EXPECT_EQ(outcome.err.find("Arena"), std::string::npos) << "this is glibc's";
}

// A thread with a cancellation pending does not end in what prints figures, in the middle of a line
// or with the snapshot in its hands; and what it was told is kept for later.
TEST(ConformanceTest, PrintingFiguresIsNoCancellationPoint) {
  for (auto print : {+[] { malloc_stats(); }, +[] { (void)malloc_info(0, stderr); }}) {
    static void (*action)();
    static bool came_back;
    action = print;
    Outcome outcome = RunInChild([] {
      came_back = false;
      pthread_t thread;
      auto body = [](void*) -> void* {
        pthread_cancel(pthread_self());
        action();
        came_back = true;
        pthread_testcancel();
        return nullptr;
      };
      void* result = nullptr;
      if (pthread_create(&thread, nullptr, body, nullptr) != 0) _exit(1);
      pthread_join(thread, &result);
      if (!came_back || result != PTHREAD_CANCELED) _exit(2);
      action();
    });
    EXPECT_TRUE(outcome.Succeeded()) << outcome;
  }
}

}  // namespace
}  // namespace hakmem_testing
