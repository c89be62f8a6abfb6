// A magazine against its model, and the marks at its two ends.

extern "C" {
#include "hakmem/heap/magazine.h"
}

#include <gtest/gtest.h>

#include <deque>
#include <utility>
#include <vector>

#include "hakmem/testing/support.h"

namespace {

void* Block(uintptr_t number) { return reinterpret_cast<void*>(number * 16); }

// A magazine beside a model of it, in memory that has been used before.
class Magazine {
 public:
  explicit Magazine(uint32_t capacity) { Place(capacity); }

  void Place(uint32_t capacity) {
    std::vector<void*> memory(HAK_MAGAZINE_SLOTS(capacity), HAK_MAGAZINE_FULL);
    hak_magazine_place(&magazine_, top_, memory.data(), capacity);
    memory_.swap(memory);  // what `memory` holds now, the old one, goes
    capacity_ = capacity;
  }
  void Push(void* block) {
    bool had_room = model_.size() < capacity_;
    EXPECT_EQ(hak_magazine_is_full(&magazine_, top_), !had_room);
    if (!hak_magazine_push(top_, 0, block)) {
      if (!had_room) return;
      hak_magazine_put(&magazine_, top_, block);  // an old mark
    }
    ASSERT_TRUE(had_room);
    model_.push_back(block);
  }
  void Pop() {
    void* block = hak_magazine_pop(top_, 0);
    ASSERT_EQ(block, model_.empty() ? nullptr : model_.back());
    if (!model_.empty()) model_.pop_back();
  }
  void Drop(unsigned n) {
    hak_magazine_drop(&magazine_, top_, n, 0);
    model_.erase(model_.begin(), model_.begin() + n);
  }
  void Refill(unsigned n) {
    ASSERT_TRUE(model_.empty());
    for (unsigned i = 0; i < n; ++i) {
      magazine_.slots[i] = Block(1000 + i);
      model_.push_back(Block(1000 + i));
    }
    hak_magazine_set(&magazine_, top_, magazine_.slots, n);
  }
  void RaiseFence() { hak_magazine_raise_fence(&magazine_, top_); }
  void LowerFence() { hak_magazine_lower_fence(&magazine_); }
  bool HasFence() const { return magazine_.fence != nullptr; }
  // Takes what is fenced off; how many.
  unsigned TakeFenced() {
    void** first = nullptr;
    unsigned n = hak_magazine_take_fenced(&magazine_, top_, &first);
    for (unsigned i = 0; i < n; ++i) {
      EXPECT_EQ(i + 1 < n ? first[i] : magazine_.fenced, model_.front());
      model_.pop_front();
    }
    return n;
  }
  // Pops until the magazine seems empty; what that gave.
  unsigned PopAll() {
    unsigned n = 0;
    for (void* block; (block = hak_magazine_pop(top_, 0)) != nullptr; ++n) {
      EXPECT_EQ(block, model_.back());
      model_.pop_back();
    }
    return n;
  }
  void Check() {
    ASSERT_EQ(hak_magazine_count(&magazine_, top_), model_.size());
    void** bottom = hak_load_relaxed(&magazine_.bottom);
    ASSERT_EQ(bottom[-1], nullptr);
    ASSERT_EQ(*magazine_.limit, HAK_MAGAZINE_FULL);
    ASSERT_GE(bottom, magazine_.slots);
    ASSERT_LT(magazine_.limit, memory_.data() + memory_.size());
    for (size_t i = 0; i < model_.size(); ++i) ASSERT_EQ(bottom[i], model_[i]);
  }
  size_t size() const { return model_.size(); }
  uint32_t capacity() const { return hak_magazine_capacity(&magazine_); }

 private:
  hak_magazine_t magazine_ = {};
  hak_magazine_top_t top_[1] = {};
  std::vector<void*> memory_;
  std::deque<void*> model_;
  size_t capacity_ = 0;
};

TEST(MagazineTest, TheBlockOnTopIsNotPushedAgain) {
  void* slots[] = {nullptr, Block(1), Block(2), Block(2), Block(3), HAK_MAGAZINE_FULL};
  hak_magazine_top_t top[1] = {};
  hak_store_relaxed(top, &slots[3]);
  EXPECT_FALSE(hak_magazine_push(top, 0, Block(2)));
  EXPECT_EQ(hak_load_relaxed(top), &slots[3]);
  EXPECT_TRUE(hak_magazine_push(top, 0, Block(1)));
  EXPECT_FALSE(hak_magazine_push(top, 0, Block(1)));
  EXPECT_TRUE(hak_magazine_push(top, 0, Block(2)));
  EXPECT_FALSE(hak_magazine_push(top, 0, Block(3))) << "no room";
}

TEST(MagazineTest, TheBlocksPushedLastAreFound) {
  std::vector<void*> slots = {nullptr};
  for (uintptr_t i = 1; i <= 2 * HAK_DOUBLE_FREE_LOOK; ++i) slots.push_back(Block(i));
  hak_magazine_top_t top[1] = {};
  for (uintptr_t n = 0; n < slots.size(); ++n) {
    hak_store_relaxed(top, &slots[n] + 1);
    for (uintptr_t i = 1; i < slots.size(); ++i) {
      bool is_near = i <= n && n - i < HAK_DOUBLE_FREE_LOOK;
      EXPECT_EQ(hak_magazine_has_on_top(top, 0, Block(i)), is_near) << i << " of " << n;
    }
  }
}

TEST(MagazineTest, BothEndsShowAtTheTop) {
  Magazine magazine(4);
  magazine.Pop();
  for (uintptr_t i = 1; i <= 6; ++i) magazine.Push(Block(i));
  EXPECT_EQ(magazine.size(), 4u);
  for (int i = 0; i < 5; ++i) magazine.Pop();
  EXPECT_EQ(magazine.size(), 0u);
}

TEST(MagazineTest, BehavesAsItsModelUnderRandomUse) {
  hak::Random random(7);
  for (uint32_t capacity : {2u, 3u, 8u, 64u, 300u}) {
    Magazine magazine(capacity);
    for (int i = 0; i < 30000; ++i) {
      uint64_t what = random.Below(100);
      if (what < 45) {
        magazine.Push(Block(1 + random.Below(1000000)));
      } else if (what < 85) {
        magazine.Pop();
      } else if (what < 92) {
        magazine.Drop(static_cast<unsigned>(random.Below(magazine.size() + 1)));
      } else if (what < 99) {
        if (magazine.size() == 0) {
          magazine.Refill(static_cast<unsigned>(random.Below(magazine.capacity() + 1)));
        }
      } else if (magazine.capacity() < 8 * capacity) {
        magazine.Place(2 * magazine.capacity());
      }
      ASSERT_NO_FATAL_FAILURE(magazine.Check());
    }
  }
}

TEST(MagazineTest, AFenceStopsTheOwnerAndGivesWayToIt) {
  for (unsigned n = 0; n < 6; ++n) {
    Magazine magazine(8);
    for (uintptr_t i = 1; i <= n; ++i) magazine.Push(Block(i));
    magazine.RaiseFence();
    EXPECT_EQ(magazine.HasFence(), n >= 2);
    EXPECT_EQ(magazine.PopAll(), n >= 2 ? 1u : n);
    magazine.LowerFence();
    EXPECT_FALSE(magazine.HasFence());
    ASSERT_NO_FATAL_FAILURE(magazine.Check());
    EXPECT_EQ(magazine.PopAll(), n >= 2 ? n - 1 : 0u);
  }
}

TEST(MagazineTest, WhatIsFencedOffIsTakenWhereTheOwnerIsAbove) {
  for (unsigned n = 2; n < 6; ++n) {
    for (unsigned more = 0; more < 3; ++more) {
      Magazine magazine(8);
      for (uintptr_t i = 1; i <= n; ++i) magazine.Push(Block(i));
      magazine.RaiseFence();
      for (uintptr_t i = 1; i <= more; ++i) magazine.Push(Block(100 + i));
      EXPECT_EQ(magazine.TakeFenced(), n - 1);
      ASSERT_NO_FATAL_FAILURE(magazine.Check());
      EXPECT_EQ(magazine.PopAll(), more + 1);
    }
  }
}

// It has popped the one block that lies above the fence, and is where it would read the NULL.
TEST(MagazineTest, NothingIsTakenWhereTheOwnerIsAtTheFence) {
  Magazine magazine(8);
  for (uintptr_t i = 1; i <= 5; ++i) magazine.Push(Block(i));
  magazine.RaiseFence();
  magazine.Pop();
  EXPECT_EQ(magazine.TakeFenced(), 0u);
  EXPECT_FALSE(magazine.HasFence());
  ASSERT_NO_FATAL_FAILURE(magazine.Check());
  EXPECT_EQ(magazine.PopAll(), 4u);
}

// A magazine in which some blocks have tokens, beside a model: its blocks, and whether each has
// one.
class WithTokens {
 public:
  explicit WithTokens(uint32_t capacity) { Place(capacity); }
  void Place(uint32_t capacity) {
    std::vector<void*> memory(HAK_MAGAZINE_SLOTS(capacity), HAK_MAGAZINE_FULL);
    hak_magazine_place(&magazine_, top_, memory.data(), capacity);
    memory_.swap(memory);
    capacity_ = capacity;
  }
  void Push(void* block, bool has_token) {
    ASSERT_EQ(hak_magazine_is_full(&magazine_, top_), model_.size() == capacity_);
    if (model_.size() == capacity_) return;
    hak_magazine_put(&magazine_, top_, block);
    bool is_given = has_token && hak_magazine_put_token(&magazine_, top_);
    EXPECT_TRUE(is_given == has_token || hak_magazine_tokens(&magazine_) == capacity_ / 4 + 2);
    model_.emplace_back(block, is_given);
  }
  void Pop() {
    bool has_token = hak_magazine_take_token(&magazine_, top_);
    void* block = hak_magazine_pop(top_, 0);
    ASSERT_EQ(block, model_.empty() ? nullptr : model_.back().first);
    ASSERT_EQ(has_token, !model_.empty() && model_.back().second);
    if (!model_.empty()) model_.pop_back();
  }
  void Drop(unsigned n) {
    unsigned slots = hak_magazine_lowest_slots(&magazine_, n);
    unsigned tokens = hak_magazine_lowest_tokens(&magazine_, slots);
    ASSERT_EQ(slots, n + tokens);
    for (unsigned i = 0; i < n; ++i) tokens -= model_[i].second;
    ASSERT_EQ(tokens, 0u);
    hak_magazine_drop(&magazine_, top_, slots, slots - n);
    model_.erase(model_.begin(), model_.begin() + n);
  }
  // As idle.c does, of which the owner sees nothing meanwhile. How many blocks it took.
  unsigned TakeFenced() {
    hak_magazine_raise_fence(&magazine_, top_);
    unsigned tokens = hak_magazine_tokens(&magazine_);
    void** first = nullptr;
    unsigned n = hak_magazine_take_fenced(&magazine_, top_, &first);
    n -= tokens - hak_magazine_tokens(&magazine_);
    model_.erase(model_.begin(), model_.begin() + n);
    return n;
  }
  void Check() const {
    unsigned tokens = 0;
    for (const auto& [block, has_token] : model_) tokens += has_token;
    ASSERT_EQ(hak_magazine_tokens(&magazine_), tokens);
    ASSERT_EQ(hak_magazine_count(&magazine_, top_), model_.size() + tokens);
  }
  size_t Count() const { return model_.size(); }

 private:
  std::vector<void*> memory_;
  hak_magazine_t magazine_ = {};
  hak_magazine_top_t top_[1] = {};
  uint32_t capacity_ = 0;
  std::deque<std::pair<void*, bool>> model_;
};

TEST(MagazineTest, TokensTakeNoRoomAndGoWithTheirBlocks) {
  for (unsigned capacity : {2u, 8u, 64u, 100u}) {
    for (unsigned one_in : {1u, 3u, 30u}) {
      hak::Random random(capacity + one_in);
      WithTokens magazine(capacity);
      for (uintptr_t i = 1; i < 20000; ++i) {
        uint64_t action = random.Below(100);
        if (action < 52) {
          magazine.Push(Block(i), random.Below(one_in) == 0);
        } else if (action < 98) {
          magazine.Pop();
        } else if (action == 98) {
          magazine.Drop(static_cast<unsigned>(random.Below(magazine.Count() + 1)));
        } else {
          magazine.Place(capacity);
        }
        ASSERT_NO_FATAL_FAILURE(magazine.Check()) << i;
      }
    }
  }
}

// All but what lies on top, a block or a token; and a token whose block was taken is none.
TEST(MagazineTest, WhatIsFencedOffGoesWithItsTokens) {
  for (unsigned tokens = 0; tokens < 32; ++tokens) {
    WithTokens magazine(8);
    for (uintptr_t i = 0; i < 5; ++i) magazine.Push(Block(i + 1), (tokens >> i & 1) != 0);
    bool is_token_on_top = magazine.Count() == 5 && (tokens >> 4 & 1) != 0 && tokens != 31;
    EXPECT_EQ(magazine.TakeFenced(), is_token_on_top ? 5u : 4u) << tokens;
  }
}

}  // namespace
