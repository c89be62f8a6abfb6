// A model of what an allocator promises, to be run beside the allocator on operations that somebody
// chooses: live blocks never overlap, are aligned, and keep their contents until they are freed,
// whichever thread frees them. model_test draws them by lot, model_fuzzer from its input.
//
// Two threads each own a table of blocks; part of what they allocate they hand to each other. Each
// block is filled with words that follow from its number; small ones in full, larger ones at their
// ends and once an OS page. What is wrong is a fatal failure of GoogleTest's.

#ifndef HAKMEM_TESTING_MODEL_H_
#define HAKMEM_TESTING_MODEL_H_

#include <gtest/gtest.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "hakmem/include/hakmem/hakmem.h"

namespace hakmem_testing {

inline const bool kHasSamples = [] {
  const char* mode = getenv("HAKMEM_HARDENED");
  return mode != nullptr && strncmp(mode, "sample:", 7) == 0;
}();

constexpr size_t kLargest = size_t{16} << 20;
constexpr size_t kSlots = 2048;
constexpr size_t kLiveBytesMax = size_t{192} << 20;  // for each of the two threads
constexpr size_t kFilledInFull = 512;
constexpr size_t kFillStep = 4096;

struct Block {
  unsigned char* ptr = nullptr;
  size_t size = 0;  // as asked for
  uint64_t number = 0;
  size_t alignment = 0;  // asked for; 0: none was
};

// The ranges of all live blocks, of both threads. A block enters after it is allocated and leaves
// before it is freed, so that two that overlap are two that were live at once.
class LiveRanges {
 public:
  void Insert(const Block& block) {
    uintptr_t begin = reinterpret_cast<uintptr_t>(block.ptr);
    std::lock_guard<std::mutex> guard(mutex_);
    auto after = ranges_.lower_bound(begin);
    if (after != ranges_.end()) {
      ASSERT_LE(begin + Extent(block), after->first) << "overlap";
    }
    if (after != ranges_.begin()) {
      auto before = std::prev(after);
      ASSERT_LE(before->first + before->second, begin) << "overlap";
    }
    ranges_.emplace_hint(after, begin, Extent(block));
    bytes_ += block.size;
  }

  void Remove(const Block& block) {
    std::lock_guard<std::mutex> guard(mutex_);
    ASSERT_EQ(ranges_.erase(reinterpret_cast<uintptr_t>(block.ptr)), 1u);
    bytes_ -= block.size;
  }

  // While no other thread is at work.
  size_t Count() const { return ranges_.size(); }
  size_t Bytes() const { return bytes_; }

 private:
  static size_t Extent(const Block& block) { return block.size == 0 ? 1 : block.size; }

  std::mutex mutex_;
  std::map<uintptr_t, size_t> ranges_;  // address -> bytes
  size_t bytes_ = 0;                    // as asked for
};

// Blocks on their way from one thread to the other.
class Mailbox {
 public:
  void Put(const Block& block) {
    std::lock_guard<std::mutex> guard(mutex_);
    blocks_.push_back(block);
  }
  std::vector<Block> TakeAll() {
    std::lock_guard<std::mutex> guard(mutex_);
    return std::move(blocks_);
  }

 private:
  std::mutex mutex_;
  std::vector<Block> blocks_;
};

// ---- contents ----

inline unsigned char Pattern(uint64_t number, size_t at) {
  return static_cast<unsigned char>((number * 0x9e3779b97f4a7c15u >> 56) + at * 7);
}

// Calls `visit` with the offsets that are filled, of those below `size`.
template <typename Visit>
void ForFilled(size_t size, Visit visit) {
  size_t head = std::min(size, kFilledInFull);
  for (size_t at = 0; at < head; at++) visit(at);
  for (size_t at = kFillStep; at < size; at += kFillStep) visit(at);
  if (size > head) visit(size - 1);
}

inline void Fill(const Block& block) {
  ForFilled(block.size, [&](size_t at) { block.ptr[at] = Pattern(block.number, at); });
}

// Checks what is filled of a block of `filled_size`, as far as it lies below `size`.
inline void ExpectContents(const Block& block, size_t filled_size, size_t size) {
  size_t wrong = 0;
  ForFilled(filled_size, [&](size_t at) {
    if (at < size) wrong += block.ptr[at] != Pattern(block.number, at);
  });
  ASSERT_EQ(wrong, 0u) << "contents changed: " << static_cast<void*>(block.ptr) << ", "
                       << block.size << " bytes";
}

// ---- the actor ----

// One thread's part. What it does is chosen by `Choices`: Below(n) is a number from 0 to n - 1, and
// Ended() whether there are no more.
template <typename Choices>
class Actor {
 public:
  Actor(Choices* choices, uint64_t first_number, LiveRanges* live, Mailbox* in, Mailbox* out)
      : choices_(choices), next_number_(first_number), live_(live), in_(in), out_(out) {}

  void Act(uint64_t operations) {
    for (uint64_t i = 0; i < operations && !IsOver(); i++) {
      Block& block = slots_[Below(kSlots)];
      uint64_t dice = Below(100);
      if (block.ptr == nullptr) {
        if (live_bytes_ < kLiveBytesMax) Allocate(&block);
      } else if (dice < 15) {
        Reallocate(&block);
      } else if (dice < 30) {
        out_->Put(Forget(&block));
      } else if (dice < 32) {
        Ask(block);
      } else {
        Free(&block);
      }
      if (i % 16 == 0) FreeMail();
    }
  }

  void FreeMail() {
    for (Block& block : in_->TakeAll()) {
      live_bytes_ += block.size;
      Free(&block);
    }
  }

  void FreeAll() {
    for (Block& block : slots_) {
      if (block.ptr != nullptr) Free(&block);
    }
  }

 private:
  uint64_t Below(uint64_t n) { return choices_->Below(n); }
  bool IsOver() const { return choices_->Ended() || testing::Test::HasFatalFailure(); }

  // Log-uniform from 1 byte to kLargest, now and then 0; mostly up to 64 KiB, for the sake of the
  // number of operations.
  size_t RandomSize() {
    uint64_t bits = Below(Below(24) == 0 ? 25 : 16);
    if (bits == 24) return Below(8) == 0 ? 0 : kLargest;
    return (size_t{1} << bits) + Below(size_t{1} << bits);
  }

  void Allocate(Block* block) {
    size_t size = RandomSize();
    size_t alignment = 0;
    bool is_zero = false;
    void* ptr = nullptr;
    switch (Below(12)) {
      case 0:
      case 1:
        ptr = hak_calloc(1, size);
        is_zero = true;
        break;
      case 2:
        ptr = hak_realloc(nullptr, size);
        break;
      case 3:
        ptr = hak_reallocarray(nullptr, size, 1);
        break;
      case 4:
        alignment = size_t{16} << Below(10);
        ptr = hak_aligned_alloc(alignment, size);
        break;
      case 5:
        alignment = size_t{8} << Below(20);
        if (hak_posix_memalign(&ptr, alignment, size) != 0) ptr = nullptr;
        break;
      case 6:
        alignment = size_t{1} << Below(16);
        ptr = hak_memalign(alignment, size);
        break;
      default:
        ptr = hak_malloc(size);
    }
    ASSERT_NE(ptr, nullptr) << size << " bytes at " << alignment;
    ASSERT_EQ(reinterpret_cast<uintptr_t>(ptr) % std::max<size_t>(alignment, 16), 0u);
    *block = {static_cast<unsigned char*>(ptr), size, next_number_++, alignment};
    if (is_zero) ExpectZero(*block);
    Enter(*block);
  }

  void Reallocate(Block* block) {
    size_t size = RandomSize();
    if (size == 0 || (size > block->size && live_bytes_ > kLiveBytesMax)) return;
    Block old = Forget(block);
    live_->Remove(old);
    Block moved = old;
    moved.ptr = static_cast<unsigned char*>(Below(4) == 0 ? hak_reallocarray(old.ptr, 1, size)
                                                          : hak_realloc(old.ptr, size));
    ASSERT_NE(moved.ptr, nullptr) << size;
    ASSERT_EQ(reinterpret_cast<uintptr_t>(moved.ptr) % 16, 0u);
    ExpectContents(moved, old.size, size);
    moved.size = size;
    moved.alignment = 0;
    moved.number = next_number_++;
    *block = moved;
    Enter(moved);
  }

  void Enter(const Block& block) {
    ASSERT_GE(hak_usable_size(block.ptr), block.size);
    live_bytes_ += block.size;
    live_->Insert(block);
    Fill(block);
  }

  void Free(Block* block) {
    Block old = Forget(block);
    ExpectContents(old, old.size, old.size);
    live_->Remove(old);
    // Whatever lies there may be overwritten up to the moment of the free.
    memset(old.ptr, 0xdd, std::min(old.size, kFilledInFull));
    if (Below(4) != 0) {
      hak_free(old.ptr);
    } else if (old.alignment != 0) {
      hak_free_aligned_sized(old.ptr, old.alignment, old.size);
    } else {
      hak_free_sized(old.ptr, old.size);
    }
  }

  void Ask(const Block& block) {
    ASSERT_TRUE(hak_owns(block.ptr + Below(block.size + (block.size == 0))));
    if (block.size == 0) return;  // it may lie in no SuperSlab
    unsigned char* inside = block.ptr + Below(block.size);
    hak_super_info info;
    if (!hak_super_lookup(inside, &info)) {
      ASSERT_TRUE(kHasSamples);  // which lie in none either
      return;
    }
    ASSERT_EQ(info.block_base, reinterpret_cast<uintptr_t>(block.ptr));
    ASSERT_EQ(info.block_bytes, hak_usable_size(block.ptr));
    ASSERT_TRUE(hak_owns(inside));
    ASSERT_FALSE(hak_owns(&info));
  }

  Block Forget(Block* block) {
    live_bytes_ -= block->size;
    Block old = *block;
    *block = Block();
    return old;
  }

  static void ExpectZero(const Block& block) {
    size_t wrong = 0;
    if (block.size <= kFilledInFull) {
      for (size_t at = 0; at < block.size; at++) wrong += block.ptr[at] != 0;
    } else {
      wrong = memcmp(block.ptr, block.ptr + 1, block.size - 1) != 0 || block.ptr[0] != 0;
    }
    ASSERT_EQ(wrong, 0u) << "calloc of " << block.size << " bytes is not zero";
  }

  Choices* choices_;
  uint64_t next_number_;
  size_t live_bytes_ = 0;
  LiveRanges* live_;
  Mailbox* in_;
  Mailbox* out_;
  std::vector<Block> slots_{kSlots};
};

}  // namespace hakmem_testing

#endif  // HAKMEM_TESTING_MODEL_H_
