// Stacks are stored once, up to a bound.

extern "C" {
#include "hakmem/profile/stacks.h"

#include "hakmem/base/config.h"
}

#include <gtest/gtest.h>

#include <vector>

#include "hakmem/testing/support.h"

namespace {

TEST_IN_CHILD(Stacks, EachIsStoredOnce) {
  ASSERT_TRUE(hak_stacks_start());
  const uintptr_t frames[] = {0x1000, 0x2000, 0x3000};
  hak_stack_t* three = hak_stacks_find(frames, 3);
  hak_stack_t* two = hak_stacks_find(frames, 2);
  EXPECT_NE(three, two);
  EXPECT_EQ(hak_stacks_find(frames, 3), three);
  EXPECT_EQ(hak_stacks_find(frames, 2), two);
  EXPECT_EQ(three->n_frames, 3u);
  EXPECT_EQ(three->frames[2], 0x3000u);
  EXPECT_EQ(hak_stacks_all(), two);
  EXPECT_EQ(two->next, three);
  EXPECT_NE(hak_stacks_number(0x1000), hak_stacks_number(0x2000));
}

TEST_IN_CHILD(Stacks, WhatFindsNoRoomIsCountedTogether) {
  ASSERT_TRUE(hak_stacks_start());
  hak_stack_t* none = nullptr;
  for (uintptr_t i = 1; none == nullptr && i <= HAK_PROFILE_ADDRESSES; ++i) {
    uintptr_t frame = i << 12;
    hak_stack_t* stack = hak_stacks_find(&frame, 1);
    if (stack->n_frames == 0) none = stack;
  }
  ASSERT_NE(none, nullptr);
  uintptr_t other = 0x123;
  EXPECT_EQ(hak_stacks_find(&other, 1), none);
  uintptr_t known = 1 << 12;
  EXPECT_EQ(hak_stacks_find(&known, 1)->frames[0], known);
  EXPECT_EQ(hak_stacks_all(), none);
}

TEST(Stacks, LifetimesByTheirBounds) {
  constexpr uint64_t kMs = 1000000;
  EXPECT_EQ(hak_tally_freed_after(0), HAK_TALLY_FREED_1MS);
  EXPECT_EQ(hak_tally_freed_after(kMs - 1), HAK_TALLY_FREED_1MS);
  EXPECT_EQ(hak_tally_freed_after(kMs), HAK_TALLY_FREED_1S);
  EXPECT_EQ(hak_tally_freed_after(1000 * kMs - 1), HAK_TALLY_FREED_1S);
  EXPECT_EQ(hak_tally_freed_after(1000 * kMs), HAK_TALLY_FREED_1MIN);
  EXPECT_EQ(hak_tally_freed_after(60000 * kMs - 1), HAK_TALLY_FREED_1MIN);
  EXPECT_EQ(hak_tally_freed_after(60000 * kMs), HAK_TALLY_FREED_LATER);
}

}  // namespace
