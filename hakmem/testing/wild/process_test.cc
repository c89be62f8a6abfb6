// What a program may expect of its process, whatever malloc it has: system calls as libc's malloc
// makes them, memory that goes back where it can be seen, threads that it has made itself, and a
// stderr that nothing harms.

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <sstream>
#include <tuple>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

using Environment = std::map<std::string, std::string>;

Outcome RunProcess(const std::string& program, std::vector<std::string> arguments,
                   const Environment& environment) {
  RunOptions options;
  options.preload = Library();
  options.environment = environment;
  arguments.insert(arguments.begin(), Runfile("hakmem/testing/wild/" + program));
  return RunProgram(arguments, options);
}

void ExpectDone(const Outcome& outcome) {
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.out, "done\n");
}

// ---- system calls ----

class SandboxTest : public testing::TestWithParam<const char*> {};

TEST_P(SandboxTest, ServesAProgramThatMayMakeTheCallsOfLibcsMalloc) {
  for (const char* n_threads : {"0", "1", "4"}) {
    SCOPED_TRACE(n_threads);
    for (const char* delay : {"0", "20"}) {
      Outcome outcome =
          RunProcess("sandbox_program", {GetParam(), n_threads}, {{"HAKMEM_PURGE_DELAY", delay}});
      if (outcome.exit_code == 77) GTEST_SKIP() << "no seccomp here";
      ExpectDone(outcome);
      EXPECT_EQ(outcome.err, "");
    }
  }
}

// EPERM and ENOSYS; EINVAL is what an older kernel answers.
INSTANTIATE_TEST_SUITE_P(Actions, SandboxTest, testing::Values("kill", "1", "38", "22"));

// ---- hooks ----

TEST(HooksTest, SeeAllThatIsMappedMovedAndGivenBack) {
  Outcome outcome = RunProcess("hooks_program", {}, {{"HAKMEM_PURGE_DELAY", "0"}});
  if (outcome.exit_code == 77) GTEST_SKIP() << "code cannot be patched here";
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  std::istringstream lines(outcome.out);
  std::map<std::string, unsigned long> seen;
  std::string name;
  for (unsigned long made, hooked; lines >> name >> made >> hooked;) {
    EXPECT_EQ(made, hooked) << name;
    seen[name] = hooked;
  }
  EXPECT_GT(seen["madvise"], 0u);
  EXPECT_GT(seen["mremap"], 0u);
  EXPECT_EQ(seen.size(), 4u) << outcome;
}

// ---- threads ----

const Environment kBackground = {{"HAKMEM_BACKGROUND", "1"}, {"HAKMEM_PURGE_DELAY", "50"}};

TEST(ThreadsTest, AProgramThatHasJustBegunIsAlone) {
  ExpectDone(RunProcess("threads_program", {"alone"}, kBackground));
}

TEST(ThreadsTest, ADaemonHasABackgroundThreadToo) {
  ExpectDone(RunProcess("threads_program", {"daemon"}, kBackground));
}

TEST(ThreadsTest, ItEndsWhenThereIsNothingToDoAndComesAgain) {
  ExpectDone(RunProcess("threads_program", {"ends"}, kBackground));
}

// ---- memory between survivors ----

class SurvivorsTest : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(SurvivorsTest, MemoryBetweenThemGoesBack) {
  auto [when, who] = GetParam();
  ExpectDone(RunProcess("survivors_program", {when, who}, {{"HAKMEM_PURGE_DELAY", "200"}}));
}

INSTANTIATE_TEST_SUITE_P(Ways, SurvivorsTest,
                         testing::Combine(testing::Values("trim", "light"),
                                          testing::Values("main", "worker", "ended")));

// ---- memory after a burst ----

class BurstTest : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(BurstTest, MemoryComesDownToWhatIsLiveAndALittle) {
  auto [how, thp] = GetParam();
  Outcome outcome = RunProcess("burst_program", {how}, {{"HAKMEM_THP", thp}});
  if (outcome.exit_code == 77) GTEST_SKIP() << "memory may not be locked here";
  ExpectDone(outcome);
}

INSTANTIATE_TEST_SUITE_P(Ways, BurstTest,
                         testing::Combine(testing::Values("asleep", "light"),
                                          testing::Values("auto", "always", "never")));
// (Who asks for huge pages always has them filled again between survivors, by the kernel.)
INSTANTIATE_TEST_SUITE_P(Survivors, BurstTest,
                         testing::Combine(testing::Values("survivors"),
                                          testing::Values("auto", "never")));
INSTANTIATE_TEST_SUITE_P(Processes, BurstTest,
                         testing::Combine(testing::Values("threads", "elsewhere", "unseen", "child",
                                                          "locked"),
                                          testing::Values("auto")));

// ---- clocks ----

class ClockTest : public testing::TestWithParam<const char*> {};

TEST_P(ClockTest, ThatOfTheProgramIsNotThatOfTheAllocator) {
  ExpectDone(RunProcess("clock_program", {GetParam()}, {{"HAKMEM_PURGE_DELAY", "100"}}));
}

INSTANTIATE_TEST_SUITE_P(Kinds, ClockTest, testing::Values("still", "back", "jumping"));

// ---- turns ----

TEST(TurnsTest, MemoryGoesRoundAmongThreadsThatTakeTurns) {
  ExpectDone(RunProcess("turns_program", {}, {}));
}

// ---- stderr ----

const Environment kTalkative[] = {
    {},
    {{"HAKMEM_SS_DEBUG", "1"}, {"HAKMEM_PURGE_DELAY", "0"}},
    {{"HAKMEM_PURGE_DELAY", "soon"}, {"HAKMEM_PURGE_DELAYS", "1"}},
    {{"HAKMEM_TELEMETRY", "-"}, {"HAKMEM_TELEMETRY_INTERVAL", "20"}},
    {{"HAKMEM_PREWARM", "nothing"}},
};

class StderrTest : public testing::TestWithParam<Environment> {};

TEST_P(StderrTest, AReaderThatIsGoneEndsNobody) {
  ExpectDone(RunProcess("stderr_program", {"gone"}, GetParam()));
}

TEST_P(StderrTest, AReaderThatDoesNotReadHoldsNobodyUp) {
  ExpectDone(RunProcess("stderr_program", {"full"}, GetParam()));
}

TEST_P(StderrTest, AFileThatHasItsNumberIsLeftAlone) {
  std::string path = ScratchDirectory("data") + "/data";
  ExpectDone(RunProcess("stderr_program", {"data", path}, GetParam()));
  EXPECT_EQ(ReadFile(path), "data\n");
}

TEST_P(StderrTest, AllocatingIsNoPointOfCancellation) {
  ExpectDone(RunProcess("stderr_program", {"cancelled"}, GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Options, StderrTest, testing::ValuesIn(kTalkative));

}  // namespace
}  // namespace hakmem_testing
