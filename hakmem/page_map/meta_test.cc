// Metadata memory: aligned, zero, disjoint, guarded; refusals; a child of a fork.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/base/config.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/platform/fork.h"
}

namespace {

struct Piece {
  char* at;
  size_t bytes;
};

Piece Take(size_t bytes, size_t alignment) {
  Piece piece = {static_cast<char*>(hak_meta_alloc(bytes, alignment)), bytes};
  EXPECT_NE(piece.at, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(piece.at) % alignment, 0u);
  for (size_t i = 0; i < bytes; ++i) {
    if (piece.at[i] != 0) {
      ADD_FAILURE() << "not zero";
      break;
    }
  }
  memset(piece.at, 0xab, bytes);
  return piece;
}

void ExpectDisjoint(std::vector<Piece> pieces) {
  std::sort(pieces.begin(), pieces.end(), [](Piece a, Piece b) { return a.at < b.at; });
  for (size_t i = 1; i < pieces.size(); ++i) {
    ASSERT_LE(pieces[i - 1].at + pieces[i - 1].bytes, pieces[i].at);
  }
}

TEST_IN_CHILD(MetaTest, PiecesAreAlignedZeroAndDisjoint) {
  hak::Random random(2);
  std::vector<Piece> pieces;
  size_t used = 0;
  for (int i = 0; i < 2000; ++i) {
    size_t alignment = size_t{1} << random.Below(17);
    pieces.push_back(Take(random.LogUniform(256 * 1024), alignment));
    used += pieces.back().bytes;
  }
  pieces.push_back(Take(3 * HAK_META_CHUNK, 64));  // larger than a chunk
  used += pieces.back().bytes;
  pieces.push_back(Take(100, 64));
  used += pieces.back().bytes;
  ExpectDisjoint(pieces);
  EXPECT_EQ(hak_meta_used_bytes(), used);
  EXPECT_GE(hak_meta_mapped_bytes(), used);
}

TEST_IN_CHILD(MetaTest, ThreadsShareIt) {
  std::vector<std::vector<Piece>> pieces(4);
  std::vector<std::thread> threads;
  for (auto& own : pieces) {
    threads.emplace_back([&own] {
      for (size_t i = 0; i < 500; ++i) own.push_back(Take(16 + i % 700, 16));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<Piece> all;
  for (const auto& own : pieces) all.insert(all.end(), own.begin(), own.end());
  ExpectDisjoint(all);
}

TEST_IN_CHILD(MetaTest, RefusalIsNullAndNotForEver) {
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
    EXPECT_EQ(hak_meta_alloc(100, 16), nullptr);
    EXPECT_EQ(hak_meta_used_bytes(), 0u);
    EXPECT_EQ(hak_meta_mapped_bytes(), 0u);
  }
  Take(100, 16);
}

TEST_IN_CHILD(MetaTest, SmallChunksDoWhereLargeOnesAreRefused) {
  hak::ScopedFault fault([](hak_kernel_kind_t kind, size_t bytes) {
    return kind == HAK_KERNEL_MMAP && bytes > HAK_MIB ? ENOMEM : 0;
  });
  for (int i = 0; i < 20; ++i) Take(200 * 1024, 64);
  EXPECT_EQ(hak_meta_alloc(2 * HAK_MIB, 64), nullptr);
  Take(100, 64);
}

// Where there may be no more mappings, a chunk has no guards; where there is no more memory, there
// is none.
TEST_IN_CHILD(MetaTest, WhatCannotBeDividedIsMappedAsAWhole) {
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MPROTECT, ENOMEM));
    for (int i = 0; i < 100; ++i) Take(100000, 16);
  }
  hak::ScopedFault fault([](hak_kernel_kind_t kind, size_t) {
    return kind == HAK_KERNEL_MPROTECT || kind == HAK_KERNEL_MMAP ? ENOMEM : 0;
  });
  EXPECT_EQ(hak_meta_alloc(2 * HAK_META_CHUNK_MAX, 16), nullptr);
}

// Where only little of it can be made writable, little is; else pieces are large.
TEST_IN_CHILD(MetaTest, MemoryIsMadeWritableAsItIsNeeded) {
  {
    hak::ScopedFault fault([](hak_kernel_kind_t kind, size_t bytes) {
      return kind == HAK_KERNEL_MPROTECT && bytes > HAK_PAGE_BYTES ? ENOMEM : 0;
    });
    for (int i = 0; i < 100; ++i) Take(3000, 16);
  }
  uint64_t calls = hak::KernelCalls(HAK_KERNEL_MPROTECT);
  for (int i = 0; i < 100; ++i) Take(3000, 16);
  EXPECT_LE(hak::KernelCalls(HAK_KERNEL_MPROTECT), calls + 1);
}

void WriteBeside(bool below) {
  Piece piece = Take(2 * HAK_META_CHUNK, 1);  // fills a chunk of its own
  ptrdiff_t offset = below ? -1 : static_cast<ptrdiff_t>(piece.bytes);
  *static_cast<volatile char*>(piece.at + offset) = 1;
}

TEST(MetaDeathTest, GuardsLieOnBothSides) {
  EXPECT_DEATH(WriteBeside(true), "");
  EXPECT_DEATH(WriteBeside(false), "");
}

// A child whose parent's other thread held the lock must not trust the half-done position.
TEST_IN_CHILD(MetaTest, AChildGoesOnWhereverAnotherThreadWas) {
  hak_fork_look();
  std::atomic<bool> is_over{false};
  std::thread other([&] {
    while (!is_over) Take(16, 16);
  });
  for (int i = 0; i < 50; ++i) {
    Piece before = Take(1000, 16);
    EXPECT_TRUE(hak::PassesInChild([&] {
      Piece after = Take(1000, 16);
      ExpectDisjoint({before, after});
    }));
  }
  is_over = true;
  other.join();
}

}  // namespace
