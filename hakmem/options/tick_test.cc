// The tick: a job runs when its time has come and not before, whoever asks, and no due time is
// lost.

extern "C" {
#include "hakmem/options/tick.h"

#include "hakmem/platform/fork.h"
#include "hakmem/platform/platform.h"
}

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "hakmem/testing/support.h"

namespace {

std::atomic<int> purges, lines;
uint64_t next_line;

void Purge() {
  purges++;
  hak_tick_set_due(HAK_JOB_PURGE, HAK_TICK_NEVER);
}
void Line() {
  lines++;
  hak_tick_set_due(HAK_JOB_TELEMETRY, next_line);
}

void Register() {
  hak_tick_register(HAK_JOB_PURGE, Purge);
  hak_tick_register(HAK_JOB_TELEMETRY, Line);
  next_line = HAK_TICK_NEVER;
}

TEST_IN_CHILD(TickTest, NothingIsDueAtFirst) {
  Register();
  for (int i = 0; i < 10; i++) hak_tick();
  EXPECT_EQ(purges + lines, 0);
  EXPECT_EQ(hak_load_relaxed(&hak_tick_next_ms), HAK_TICK_NEVER);
}

TEST_IN_CHILD(TickTest, AJobRunsOnceWhenItIsDue) {
  Register();
  uint64_t now = hak_platform_now_ms();
  hak_tick_set_due(HAK_JOB_TELEMETRY, now + 3600000);
  hak_tick_set_due(HAK_JOB_PURGE, now);
  for (int i = 0; i < 10; i++) hak_tick();
  EXPECT_EQ(purges, 1);
  EXPECT_EQ(lines, 0);
  EXPECT_EQ(hak_load_relaxed(&hak_tick_next_ms), now + 3600000) << "the other job waits on";
  hak_tick_set_due(HAK_JOB_TELEMETRY, 0);
  for (int i = 0; i < 10; i++) hak_tick();
  EXPECT_EQ(lines, 1);
  EXPECT_EQ(hak_load_relaxed(&hak_tick_next_ms), HAK_TICK_NEVER);
}

TEST_IN_CHILD(TickTest, AJobMayBeDueAgainAtOnce) {
  Register();
  next_line = 0;
  hak_tick_set_due(HAK_JOB_TELEMETRY, 0);
  for (int i = 0; i < 10; i++) hak_tick();
  EXPECT_EQ(lines, 10);
}

TEST_IN_CHILD(TickTest, AJobWithoutAFunctionStandsInNobodysWay) {
  hak_tick_register(HAK_JOB_TELEMETRY, Line);
  next_line = HAK_TICK_NEVER;
  hak_tick_set_due(HAK_JOB_PURGE, 0);
  hak_tick_set_due(HAK_JOB_TELEMETRY, 0);
  hak_tick();
  EXPECT_EQ(lines, 1);
}

// Threads set due times and tick at once; whatever was set last is done in the end.
TEST_IN_CHILD(TickTest, NoDueTimeIsLost) {
  Register();
  for (int round = 0; round < 200; round++) {
    purges = lines = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
      threads.emplace_back([t] {
        for (int i = 0; i < 50; i++) {
          hak_tick_set_due(t % 2 == 0 ? HAK_JOB_PURGE : HAK_JOB_TELEMETRY, 0);
          hak_tick();
        }
        // Set last, and no tick of this thread's own.
        hak_tick_set_due(t % 2 == 0 ? HAK_JOB_PURGE : HAK_JOB_TELEMETRY, 0);
      });
    }
    for (std::thread& thread : threads) thread.join();
    hak_tick();
    ASSERT_GT(purges, 0);
    ASSERT_GT(lines, 0);
    // A job that ran while it was set anew may have forgotten that (it sets its own next time),
    // but nothing is left due that no tick would find.
    hak_tick();
    ASSERT_EQ(hak_load_relaxed(&hak_tick_next_ms), HAK_TICK_NEVER);
  }
}

// As in a child of a fork while another thread is at a job.
TEST_IN_CHILD(TickTest, ARepairFindsWhatIsDueInTheMidstOfAJob) {
  hak_fork_look();
  Register();
  hak_tick_register(HAK_JOB_IDLE, [] {
    hak_tick_set_due(HAK_JOB_IDLE, HAK_TICK_NEVER);
    EXPECT_EQ(hak_load_relaxed(&hak_tick_next_ms), HAK_TICK_NEVER);
    EXPECT_TRUE(hak::PassesInChild([] { EXPECT_EQ(hak_load_relaxed(&hak_tick_next_ms), 7u); }));
  });
  hak_tick_set_due(HAK_JOB_IDLE, 0);
  hak_tick_set_due(HAK_JOB_TELEMETRY, 7);
  hak_tick();
  EXPECT_EQ(lines, 1);
}

TEST_IN_CHILD(TickTest, ASleeperIsWokenByAWakeAndByADueTime) {
  std::atomic<bool> is_awake{false};
  std::thread sleeper([&] {
    hak_tick_sleep(3600000);
    is_awake = true;
  });
  while (!is_awake) {
    hak_tick_wake();
    std::this_thread::yield();
  }
  sleeper.join();
  hak_tick_set_due(HAK_JOB_PURGE, hak_platform_now_ms() + 20);
  hak_tick_sleep(3600000);  // the test's time limit is the verdict
}

}  // namespace
