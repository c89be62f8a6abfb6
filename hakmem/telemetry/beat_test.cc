// Beats: they keep their interval, a signal is not overlooked, and two may share one.

extern "C" {
#include "hakmem/telemetry/beat.h"

#include "hakmem/platform/platform.h"
}

#include <gtest/gtest.h>
#include <signal.h>

#include "hakmem/testing/support.h"

namespace {

hak_beat_t* NewBeat() {
  hak_beat_t* beat = new hak_beat_t{};  // handlers know it from then on
  beat->job = HAK_JOB_PROFILE;
  beat->due_ms = HAK_TICK_NEVER;
  return beat;
}

TEST(Beat, ComesWhenItsIntervalIsOver) {
  hak_beat_t* beat = NewBeat();
  EXPECT_FALSE(hak_beat_take(beat)) << "it never comes";
  hak_beat_set_interval(beat, 3600000);
  EXPECT_FALSE(hak_beat_take(beat));
  uint64_t now_ms = hak_platform_now_ms();
  EXPECT_GE(beat->due_ms + 3600000, now_ms);
  // It is late by little: the beat is kept. By more: one is missed, and no other made up for.
  beat->due_ms = now_ms - 10;
  EXPECT_TRUE(hak_beat_take(beat));
  EXPECT_EQ(beat->due_ms, now_ms - 10 + 3600000);
  EXPECT_FALSE(hak_beat_take(beat));
  beat->interval_ms = 1;
  beat->due_ms = 1;
  EXPECT_TRUE(hak_beat_take(beat));
  EXPECT_GT(beat->due_ms, now_ms);
  hak_beat_set_interval(beat, 0);
  EXPECT_FALSE(hak_beat_take(beat));
  delete beat;
}

TEST(Beat, TheJobIsDueWithTheFirstOfTwo) {
  hak_beat_t *one = NewBeat(), *other = NewBeat();
  hak_beat_set_due(one, nullptr);
  EXPECT_EQ(hak_tick_due(HAK_JOB_PROFILE), HAK_TICK_NEVER);
  one->due_ms = 2000;
  hak_beat_set_due(one, other);
  EXPECT_EQ(hak_tick_due(HAK_JOB_PROFILE), 2000u);
  other->due_ms = 1000;
  hak_beat_set_due(one, other);
  EXPECT_EQ(hak_tick_due(HAK_JOB_PROFILE), 1000u);
  other->is_signalled = true;
  hak_beat_set_due(one, other);
  EXPECT_EQ(hak_tick_due(HAK_JOB_PROFILE), HAK_TICK_NOW);
  delete one;
  delete other;
}

TEST_IN_CHILD(Beat, OneSignalIsForAllThatHaveIt) {
  hak_beat_t *one = NewBeat(), *other = NewBeat(), *third = NewBeat();
  ASSERT_EQ(hak_beat_on_signal(one, SIGUSR1), 0);
  ASSERT_EQ(hak_beat_on_signal(other, SIGUSR1), 0);
  ASSERT_EQ(hak_beat_on_signal(third, SIGUSR2), 0);
  hak_tick_set_due(HAK_JOB_PROFILE, HAK_TICK_NEVER);
  raise(SIGUSR1);
  EXPECT_EQ(hak_tick_due(HAK_JOB_PROFILE), HAK_TICK_NOW);
  EXPECT_TRUE(hak_beat_take(one));
  EXPECT_FALSE(hak_beat_take(one)) << "once";
  EXPECT_FALSE(hak_beat_take(third));
  EXPECT_TRUE(hak_beat_take(other));
  raise(SIGUSR2);
  hak_beat_restart(third);
  EXPECT_FALSE(hak_beat_take(third)) << "it was the parent's";
  EXPECT_EQ(hak_beat_on_signal(third, SIGKILL), EINVAL);
}

}  // namespace
