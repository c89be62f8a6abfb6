// Huge blocks that move on kernels that refuse: before they change anything, after they have
// unmapped the destination, or when a part has moved; while other threads map memory of their own
// and the program has split the block's mapping. Whatever happens, the block is whole, at its new
// place or at its old one, and nobody else's memory is touched.

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "hakmem/superslab/test_large.h"
#include "hakmem/superslab/test_supers.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/page_map/page_map.h"
#include "hakmem/superslab/purge.h"
}

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

namespace {

using hak::Alloc;
using hak::BlockGrowth;

// SuperSlabs are as small as they can be: there are many cases.
void KeepMemory() {
  hak::KeepMemory();
  ASSERT_TRUE(hak_option_set(HAK_OPTION_superslab_size, "512k"));
  hak_reserve_ready();
}

// ---- mappings, as the kernel tells them ----

struct Mapping {
  uintptr_t begin, end;
  bool is_writable;
};

std::vector<Mapping> MappingsIn(uintptr_t begin, uintptr_t end) {
  std::vector<Mapping> mappings;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long from = 0, to = 0;
    char rights[5] = "";
    if (sscanf(line.c_str(), "%lx-%lx %4s", &from, &to, rights) != 3) continue;
    if (from < end && begin < to) mappings.push_back({from, to, rights[1] == 'w'});
  }
  return mappings;
}

bool IsMapped(const std::vector<Mapping>& mappings, uintptr_t begin, uintptr_t end) {
  for (const Mapping& mapping : mappings) {
    if (mapping.end <= begin) continue;
    if (mapping.begin > begin || !mapping.is_writable) return false;
    begin = mapping.end;
    if (begin >= end) return true;
  }
  return false;
}

// ---- kernels that refuse ----

// What has happened to the destination when a kernel refuses to map something else there.
enum class Refusal {
  kKept,    // nothing
  kGone,    // it is unmapped; so too, up to 6.16, of a source in several mappings
  kPartly,  // from 6.17 on: the first of several mappings has moved, the second's place is unmapped
};

enum class Landing { kNone, kFirst, kMiddle, kLast };

struct Model {
  Refusal refusal = Refusal::kKept;
  unsigned first_refused = 1;  // the number of the call that is refused, of those of this kind
  bool for_good = false;       // and all after it
  Landing landing = Landing::kNone;
  bool has_no_memory = false;                  // to fill a hole, either
  hak_kernel_kind_t kind = HAK_KERNEL_MREMAP;  // or MMAP: in the place of something else
};

Model model;
unsigned n_calls, n_holes, n_of_several;
char* landed;  // a page of another thread

size_t OsPage() { return hak_platform_os_page_bytes(); }

// Unmaps a stretch; another thread's mapping may land in it at once.
void Unmap(uintptr_t begin, size_t bytes) {
  n_holes++;
  ASSERT_EQ(munmap(reinterpret_cast<void*>(begin), bytes), 0);
  if (model.landing == Landing::kNone || landed != nullptr) return;
  uintptr_t at = model.landing == Landing::kFirst    ? begin
                 : model.landing == Landing::kMiddle ? begin + bytes / 2
                                                     : begin + bytes - OsPage();
  void* page = mmap(reinterpret_cast<void*>(at), OsPage(), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  ASSERT_EQ(page, reinterpret_cast<void*>(at));
  landed = static_cast<char*>(memset(page, 0x5a, OsPage()));
}

int AskModel(hak_kernel_kind_t kind, size_t, long* answer, long number, const long a[6]) {
  bool is_move = number == SYS_mremap && (a[3] & MREMAP_FIXED) != 0;
  bool is_fixed = number == SYS_mmap && (a[3] & MAP_FIXED) != 0;
  bool is_filling = number == SYS_mmap && (a[3] & MAP_FIXED_NOREPLACE) != 0;
  if (is_filling && model.has_no_memory) return ENOMEM;
  if (kind != model.kind || !(is_move || is_fixed)) return hak_platform_ask(number, a, answer);
  uintptr_t from = static_cast<uintptr_t>(a[0]), to = static_cast<uintptr_t>(is_move ? a[4] : a[0]);
  size_t bytes = static_cast<size_t>(a[1]);
  size_t first = is_move ? MappingsIn(from, from + 1)[0].end - from : bytes;
  bool is_of_several = first < bytes;
  n_of_several += is_of_several;
  n_calls++;
  if (is_of_several && model.refusal == Refusal::kGone) {
    Unmap(to, bytes);
    return EFAULT;
  }
  if (n_calls != model.first_refused && !(model.for_good && n_calls > model.first_refused)) {
    return hak_platform_ask(number, a, answer);
  }
  if (model.refusal == Refusal::kKept) return ENOMEM;
  if (is_of_several && model.refusal == Refusal::kPartly) {
    long begin[6] = {a[0], static_cast<long>(first), static_cast<long>(first), a[3], a[4], 0};
    EXPECT_EQ(hak_platform_ask(number, begin, answer), 0);
    Unmap(to + first, bytes - first);
  } else {
    Unmap(to, bytes);
  }
  return ENOMEM;
}

class ScopedModel {
 public:
  explicit ScopedModel(const Model& asked) {
    model = asked;
    n_calls = n_holes = n_of_several = 0;
    landed = nullptr;
    hak_platform_set_kernel(AskModel);
  }
  ~ScopedModel() { hak_platform_set_kernel(nullptr); }
};

// ---- blocks ----

// Every byte tells where in the block it is.
uint64_t WordAt(size_t i) { return (i + 1) * UINT64_C(0x9e3779b97f4a7c15); }

void Fill(char* block, size_t size) {
  auto* words = reinterpret_cast<uint64_t*>(block);
  for (size_t i = 0; i < size / 8; i++) words[i] = WordAt(i);
}

bool IsWhole(const char* block, size_t size) {
  auto* words = reinterpret_cast<const uint64_t*>(block);
  for (size_t i = 0; i < size / 8; i++) {
    if (words[i] != WordAt(i)) return false;
  }
  return true;
}

// A huge block that moves have pieced together from so many mappings, and that cannot grow where
// it is; 0: one of several SuperSlabs that has not moved yet.
char* BlockOf(unsigned pieces, size_t* size) {
  size_t super = hak_super_bytes();
  *size = pieces == 0 ? 4 * super : super;
  char* block = Alloc(*size);
  for (unsigned i = 1; i < pieces; i++) {
    Fill(block, *size);
    BlockGrowth(block);
    *size = 2 * *size;
    block = static_cast<char*>(hak_large_resize(block, *size));
  }
  *size -= 5 * OsPage();
  block = static_cast<char*>(hak_large_resize(block, *size));
  Fill(block, *size);
  BlockGrowth(block);
  auto begin = reinterpret_cast<uintptr_t>(block);
  EXPECT_EQ(MappingsIn(begin, begin + *size).size(), std::max(pieces, 1u));
  return block;
}

// All address space that is not lost is mapped, and what is free was not lost.
size_t LostBytes() {
  size_t lost = 0, all = 0;
  std::vector<Mapping> mappings = MappingsIn(0, UINTPTR_MAX);
  for (unsigned r = 0; r < hak_reserve_count(); ++r) {
    const hak_reservation_t* reservation = hak_reserve_get(r);
    if (reservation->base == 0) continue;
    all += reservation->n_supers * hak_super_bytes();
    for (uint32_t i = 0; i < reservation->n_supers; ++i) {
      uintptr_t base = reservation->base + i * hak_super_bytes();
      hak_superslab_t* super = hak_reserve_super(reservation, i);
      if (super->base != 0 && super->state == HAK_SUPER_LOST) {
        lost += hak_super_bytes();
        EXPECT_EQ(hak_page_map_super(reinterpret_cast<void*>(base)), nullptr);
        EXPECT_EQ(reservation->free_supers[i / 64] >> (i % 64) & 1, 0u);
      } else if (i < reservation->n_writable) {
        EXPECT_TRUE(IsMapped(mappings, base, base + hak_super_bytes())) << r << " " << i;
      }
    }
  }
  EXPECT_EQ(hak_reserve_bytes(), all - lost);
  return lost;
}

bool IsLandedIntact() {
  for (size_t i = 0; landed != nullptr && i < OsPage(); i++) {
    if (landed[i] != 0x5a) return false;
  }
  return true;
}

// Takes all that is free of the first reservation, twice, writes to it and gives it back: nothing
// of it is another's.
void UseEverything() {
  for (int round = 0; round < 2; round++) {
    std::vector<char*> blocks;
    for (uint32_t i = 0; i < hak_reserve_get(0)->n_supers; i++) {
      blocks.push_back(Alloc(hak_super_bytes(), 16, true));
      ASSERT_FALSE(blocks.back() <= landed && landed < blocks.back() + hak_super_bytes());
      for (size_t at = 0; at < hak_super_bytes(); at += HAK_PAGE_BYTES) {
        ASSERT_EQ(blocks.back()[at], 0);
        blocks.back()[at] = 1;
      }
    }
    for (char* block : blocks) hak_large_free(block);
    (void)hak_purge_all();
  }
  EXPECT_TRUE(IsLandedIntact());
}

// ---- moves refused ----

// What may come of it: a block at a new place; or, if a hole was lost, the old one as it was.
void ResizeAndCheck(char* block, size_t size, bool can_lose) {
  auto* resized = static_cast<char*>(hak_large_resize(block, 2 * size));
  hak_platform_set_kernel(nullptr);
  EXPECT_EQ(n_of_several, 0u) << "moves of several mappings";
  EXPECT_TRUE(IsLandedIntact());
  EXPECT_EQ(resized == nullptr, can_lose && n_holes != 0);
  EXPECT_EQ(LostBytes() != 0, resized == nullptr);
  char* whole = resized != nullptr ? resized : block;
  EXPECT_TRUE(IsWhole(whole, size));
  EXPECT_EQ(hak_large_usable_size(whole), resized != nullptr ? 2 * size : size);
  EXPECT_EQ(hak_large_usable_size(block), resized != nullptr ? 0 : size);
  Fill(whole, hak_large_usable_size(whole));
  hak_large_free(whole);
  UseEverything();
  EXPECT_EQ(hak::CountHeld().huge_bytes, 0u);
}

TEST(MoveTest, RefusedInAnyWayLeavesTheBlockWhole) {
  for (Refusal refusal : {Refusal::kKept, Refusal::kGone, Refusal::kPartly}) {
    for (unsigned pieces = 1; pieces <= 4; ++pieces) {
      for (unsigned refused = 1; refused <= pieces; ++refused) {
        for (int way = 0; way < (refusal == Refusal::kKept ? 2 : 6); ++way) {
          // Where each case takes far longer.
          if (hak::kUnderSanitizer && (refused == 2 || way > 3)) continue;
          Model asked;
          asked.refusal = refusal;
          asked.first_refused = refused;
          asked.for_good = way == 1;
          asked.has_no_memory = way == 2;
          asked.landing = way < 3 ? Landing::kNone : static_cast<Landing>(way - 2);
          SCOPED_TRACE(testing::Message() << "refusal " << static_cast<int>(refusal) << " of move "
                                          << refused << " of " << pieces << ", way " << way);
          ASSERT_TRUE(hak::PassesInChild([&] {
            KeepMemory();
            size_t size;
            char* block = BlockOf(pieces, &size);
            ScopedModel scoped(asked);
            ResizeAndCheck(block, size, way > 1);
            EXPECT_GE(n_calls, refused);
          }));
        }
      }
    }
  }
}

// ---- mappings that the program has split ----

using Split = int (*)(void* at, size_t bytes);
const Split kSplits[] = {
    [](void* at, size_t bytes) { return mlock(at, std::min(bytes, HAK_MIB)); },  // (8 are allowed)
    [](void* at, size_t bytes) { return madvise(at, bytes, MADV_DONTDUMP); },
    [](void* at, size_t bytes) { return madvise(at, bytes, MADV_HUGEPAGE); },
    [](void* at, size_t bytes) { return mprotect(at, bytes, PROT_READ); },
};

// Where in a block of `size`: a stretch that begins or ends with it, one inside, and one as large
// as a SuperSlab.
struct Stretch {
  size_t begin, bytes;
};
std::vector<Stretch> StretchesOf(size_t size) {
  size_t page = OsPage();
  size_t middle = hak_round_down(size / 2, page);
  return {{0, page},           {size - page, page},
          {middle, page},      {hak_super_bytes(), hak_super_bytes()},
          {page, size - page}, {middle - 3 * page, middle}};
}

TEST(MoveTest, ProgramsMaySplitTheirBlocks) {
  for (Refusal refusal : {Refusal::kKept, Refusal::kGone, Refusal::kPartly}) {
    for (const Split& split : kSplits) {
      for (unsigned pieces : {0u, 3u}) {
        for (unsigned refused : {0u, 1u, 3u}) {
          if (hak::kUnderSanitizer && refused != 1) continue;
          Model asked;
          asked.refusal = refusal;
          asked.first_refused = refused;
          SCOPED_TRACE(testing::Message()
                       << "refusal " << static_cast<int>(refusal) << " of move " << refused
                       << ", split " << (&split - kSplits) << ", " << pieces << " pieces");
          ASSERT_TRUE(hak::PassesInChild([&] {
            KeepMemory();
            for (size_t i = 0; i < 6; i++) {
              size_t size;
              char* block = BlockOf(pieces, &size);
              Stretch stretch = StretchesOf(size)[i];
              ASSERT_EQ(split(block + stretch.begin, stretch.bytes), 0) << strerror(errno);
              ScopedModel scoped(asked);
              auto* resized = static_cast<char*>(hak_large_resize(block, 2 * size));
              ASSERT_NE(resized, nullptr);
              EXPECT_EQ(n_of_several, 0u) << "moves of several mappings";
              ASSERT_TRUE(IsWhole(resized, size)) << "stretch " << i;
              (void)hak_platform_make_writable(resized, size);  // the program's business
              hak_large_free(resized);
            }
            EXPECT_EQ(LostBytes(), 0u);
            UseEverything();
          }));
        }
      }
    }
  }
}

// A guard of the program's own is no reason to crash.
TEST_IN_CHILD(MoveTest, PagesThatNobodyMayReadAreCopied) {
  KeepMemory();
  size_t size;
  char* block = BlockOf(1, &size);
  ASSERT_EQ(mprotect(block + size / 2 / OsPage() * OsPage(), OsPage(), PROT_NONE), 0);
  auto* resized = static_cast<char*>(hak_large_resize(block, 2 * size));
  ASSERT_NE(resized, nullptr);
  EXPECT_TRUE(IsWhole(resized, size));
  EXPECT_EQ(LostBytes(), 0u);
  UseEverything();
}

// ---- what moves leave ----

// Blocks that were moved are mapped afresh when they are freed or cut. A kernel that refuses that
// costs mappings, or at worst address space.
TEST(MoveTest, RefusalsToMapAfreshCostAddressSpaceAtMost) {
  for (bool shrinks : {false, true}) {
    for (int way = 0; way < 6; ++way) {
      Model asked;
      asked.kind = HAK_KERNEL_MMAP;
      asked.refusal = way == 0 ? Refusal::kKept : Refusal::kGone;
      asked.has_no_memory = way == 2;
      asked.landing = way < 3 ? Landing::kNone : static_cast<Landing>(way - 2);
      SCOPED_TRACE(testing::Message() << "way " << way << ", shrinks " << shrinks);
      ASSERT_TRUE(hak::PassesInChild([&] {
        KeepMemory();
        size_t size;
        char* block = BlockOf(3, &size);
        {
          ScopedModel scoped(asked);
          if (shrinks) {
            ASSERT_EQ(hak_large_resize(block, hak_super_bytes()), block);
          } else {
            hak_large_free(block);
          }
          EXPECT_EQ(n_calls, 1u);
        }
        EXPECT_EQ(LostBytes(), way < 2 ? 0 : (shrinks ? 3 : 4) * hak_super_bytes());
        EXPECT_TRUE(IsLandedIntact());
        if (shrinks) {
          EXPECT_TRUE(IsWhole(block, hak_super_bytes()));
          hak_large_free(block);
        }
        UseEverything();
        LostBytes();
      }));
    }
  }
}

// What could not be merged is tried again with the next block that lies there.
TEST_IN_CHILD(MoveTest, WhatStaysApartIsMendedLater) {
  KeepMemory();
  size_t size;
  char* block = BlockOf(4, &size);
  Model asked;
  asked.kind = HAK_KERNEL_MMAP;
  {
    ScopedModel scoped(asked);
    hak_large_free(block);
  }
  auto begin = reinterpret_cast<uintptr_t>(block);
  EXPECT_EQ(MappingsIn(begin, begin + size).size(), 4u);
  char* again = Alloc(size);
  ASSERT_EQ(again, block);
  hak_large_free(again);
  EXPECT_EQ(MappingsIn(begin, begin + size).size(), 1u);
}

}  // namespace
