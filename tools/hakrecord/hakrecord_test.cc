// Tests of hakrecord: what a program did is in the trace, in an order that can be replayed, however
// the program ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "tools/common/test_shell.h"

namespace {

using testing::HasSubstr;
using tools_testing::Outcome;
using tools_testing::Shell;

std::string TracePath() { return testing::TempDir() + "/trace"; }

Outcome Record(const std::string& command) {
  unlink(TracePath().c_str());
  return Shell("tools/hakrecord/hakrecord -o " + TracePath() + " " + command);
}

// What a trace holds, checked as it is read: every free and realloc names a live block, every
// allocation a new one.
struct Trace {
  std::map<std::string, int> calls;
  std::set<std::string> threads;
  std::set<std::string> live;
};

Trace ReadTrace() {
  Trace trace;
  std::istringstream file(Shell("tools/hakrecord/hakrecord --print " + TracePath()).output);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string tid, call, block, old;
    words >> tid >> call >> block;
    trace.threads.insert(tid);
    trace.calls[call]++;
    if (call == "thread_done") continue;
    if (call == "realloc") {
      words >> old;
      EXPECT_EQ(trace.live.erase(old), 1u) << line;
    }
    if (call == "free") {
      EXPECT_EQ(trace.live.erase(block), 1u) << line;
    } else {
      EXPECT_TRUE(trace.live.insert(block).second) << line;
    }
  }
  return trace;
}

void ExpectReplays(const std::string& order) {
  Outcome outcome = Shell("workloads/replay_system " + TracePath() + " --verify --order=" + order);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("status             ok"));
}

TEST(HakrecordTest, TraceHoldsEveryCallOfAProgram) {
  Outcome outcome = Record("workloads/random_mixed_system 20000 128 1 --warmup=0");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  Trace trace = ReadTrace();
  // 20000 operations and the frees of what was left; a few calls are the C library's.
  int calls = trace.calls["malloc"] + trace.calls["free"];
  EXPECT_GE(calls, 20000);
  EXPECT_LE(calls, 20000 + 128 + 100);
  EXPECT_LT(trace.live.size(), 20u);
  EXPECT_EQ(trace.threads.size(), 1u);
  ExpectReplays("blocks");
  ExpectReplays("strict");
}

TEST(HakrecordTest, ThreadsAndTheirEndsAreInTheTrace) {
  Outcome outcome = Record("workloads/thread_churn_system 50 --threads=2 --warmup=0");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  Trace trace = ReadTrace();
  EXPECT_GE(trace.calls["thread_done"], 100);
  ExpectReplays("blocks");
}

TEST(HakrecordTest, BlocksThatChangeThreadsKeepTheirOrder) {
  Outcome outcome = Record("workloads/server_system 200 --threads=3 --lifetime=50 --sessions=50");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, Not(HasSubstr("left out")));
  ReadTrace();
  ExpectReplays("blocks");
}

// A batch holds 131 072 calls: blocks, threads and their starts go over its end.
TEST(HakrecordTest, LongTracesAreReplayedBatchByBatch) {
  Outcome outcome = Record("workloads/server_system 1500 --threads=3 --lifetime=100");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  ExpectReplays("blocks");
  outcome = Shell("workloads/replay_system " + TracePath());
  EXPECT_THAT(outcome.output, testing::ContainsRegex("operations +[1-9][0-9]{6} "));
}

TEST(HakrecordTest, MovesOfConcurrentReallocsStayConsistent) {
  Outcome outcome = Record("workloads/realloc_grow_system 20000 --threads=3");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  Trace trace = ReadTrace();
  EXPECT_GE(trace.calls["realloc"], 30000);
  ExpectReplays("blocks");
}

TEST(HakrecordTest, ACrashLosesNothing) {
  Outcome outcome = Record("sh -c 'x=$(printf %0100d 7); kill -SEGV $$'");
  EXPECT_EQ(outcome.exit_code, 128 + 11) << outcome.output;
  EXPECT_GT(ReadTrace().calls["malloc"], 10);
}

TEST(HakrecordTest, ExitCodeIsTheProgramsAndChildrenAreNotMixedIn) {
  Outcome outcome = Record("sh -c 'ls / >/dev/null; sh -c true & wait; exit 7'");
  EXPECT_EQ(outcome.exit_code, 7) << outcome.output;
  EXPECT_EQ(ReadTrace().threads.size(), 1u);
}

TEST(HakrecordTest, AProgramThatBecomesAnotherFreesAllAndIsAnotherThread) {
  Outcome outcome = Record("sh -c 'exec workloads/random_mixed_system 500 16 1 --warmup=0'");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  Trace trace = ReadTrace();
  EXPECT_EQ(trace.calls["thread_done"], 1);
  EXPECT_LT(trace.live.size(), 20u);  // the shell would have left more
  EXPECT_EQ(trace.threads.size(), 1u);
  ExpectReplays("strict");
}

TEST(HakrecordTest, ThousandsOfThreadsCanBeReplayed) {
  Outcome outcome = Record("workloads/thread_churn_system 5000 --warmup=0");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_GT(ReadTrace().threads.size(), 4096u);
  ExpectReplays("blocks");
}

TEST(HakrecordTest, ExitCode127OfAProgramIsNoFailureToStartIt) {
  EXPECT_EQ(Record("sh -c 'exit 127'").exit_code, 127);
  EXPECT_GT(ReadTrace().calls["malloc"], 10);
}

TEST(HakrecordTest, ATerminatedProgramIsWrittenDown) {
  Outcome outcome = Shell("tools/hakrecord/hakrecord -o " + TracePath() +
                          " sh -c 'echo up; while :; do sleep 0.1; done' > " + TracePath() +
                          ".log 2>&1 & while ! grep -q up " + TracePath() +
                          ".log; do sleep 0.1; done; kill -TERM $!; wait $!");
  EXPECT_EQ(outcome.exit_code, 128 + 15) << outcome.output;
  EXPECT_GT(ReadTrace().calls["malloc"], 10);
}

TEST(HakrecordTest, LeavesNoFileButTheTrace) {
  const std::string folder = testing::TempDir() + "/folder";
  Shell("mkdir -p " + folder);
  Outcome outcome = Shell("tools/hakrecord/hakrecord -o " + folder + "/t sh -c true; ls " + folder);
  EXPECT_THAT(outcome.output, testing::EndsWith("\nt\n"));
}

// A good trace is not replaced by nothing.
TEST(HakrecordTest, ATraceStaysWhereNothingWasRecorded) {
  Record("workloads/random_mixed_system 500 16 1 --warmup=0");
  int calls = ReadTrace().calls["malloc"];
  Outcome outcome =
      Shell("tools/hakrecord/hakrecord -o " + TracePath() + " tools/hakrecord/static_true");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output, HasSubstr("no call was seen"));
  EXPECT_EQ(ReadTrace().calls["malloc"], calls);
}

TEST(HakrecordTest, ChildrenAreRecordedWhereAsked) {
  Shell("rm -f " + TracePath() + "*");
  Outcome outcome = Shell("tools/hakrecord/hakrecord --children -o " + TracePath() +
                          " sh -c 'workloads/random_mixed_system 500 16 1 --warmup=0; "
                          "(x=$(printf %0100d 7)); true'");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_GT(ReadTrace().calls["malloc"], 10);
  std::istringstream names(Shell("ls " + TracePath() + ".*").output);
  int n_busy = 0;
  int n_traces = 0;
  for (std::string name; std::getline(names, name); n_traces++) {
    Outcome text = Shell("tools/hakrecord/hakrecord --print " + name + " | grep -c malloc");
    n_busy += atoi(text.output.c_str()) >= 200;
  }
  EXPECT_EQ(n_busy, 1);
  EXPECT_GE(n_traces, 2);  // and a forked shell
}

// hakrecord is killed, its program goes on: what it wrote is there.
TEST(HakrecordTest, AKilledRecordingCanBeConverted) {
  Shell("rm -rf " + TracePath() + "*");
  Shell("tools/hakrecord/hakrecord -o " + TracePath() + " sh -c 'echo up; exec sleep 100' > " +
        TracePath() + ".log 2>&1 & while ! grep -q up " + TracePath() +
        ".log; do sleep 0.1; done; kill -KILL $!; wait $!; true");
  ASSERT_EQ(Shell("tools/hakrecord/hakrecord --convert " + TracePath() + ".raw-* -o " + TracePath())
                .exit_code,
            0);
  EXPECT_GT(ReadTrace().calls["malloc"], 10);
  EXPECT_EQ(Shell("ls -d " + TracePath() + ".raw-*").exit_code, 2);
}

TEST(HakrecordTest, ProgramsWithAnAllocatorOfTheirOwnAreNamed) {
  if (Shell("python3 -c ''").exit_code != 0) GTEST_SKIP() << "no python3";
  EXPECT_THAT(Record("python3 -c ''").output, HasSubstr("run it with PYTHONMALLOC=malloc"));
  EXPECT_THAT(Record("env PYTHONMALLOC=malloc python3 -c ''").output,
              Not(HasSubstr("PYTHONMALLOC")));
}

// What a trace costs: bytes a call.
TEST(HakrecordTest, ACallTakesFewBytes) {
  Outcome outcome = Record("workloads/random_mixed_system 2e6 8192 1 --warmup=0");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  std::ifstream file(TracePath(), std::ios::ate | std::ios::binary);
  EXPECT_LT(static_cast<double>(file.tellg()) / 2e6, 4);
}

TEST(HakrecordTest, BadArgumentsAreNamed) {
  const struct {
    const char* arguments;
    const char* message;
    int exit_code;
  } kRows[] = {
      {"", "hakrecord: -o TRACE is missing", 2},
      {"-o", "hakrecord: option requires an argument -- 'o'", 2},
      {"-o /tmp/t", "hakrecord: PROGRAM is missing", 2},
      {"-x true", "hakrecord: invalid option -- 'x'", 2},
      {"--print /dev/null", "/dev/null: not a trace of hakrecord", 2},
      {"-o /nonexistent/t true", "hakrecord: /nonexistent/t: No such file or directory", 2},
      {"--help", "Usage: hakrecord [OPTION...] -o TRACE", 0},
  };
  for (const auto& row : kRows) {
    Outcome outcome = Shell(std::string("tools/hakrecord/hakrecord ") + row.arguments);
    EXPECT_EQ(outcome.exit_code, row.exit_code) << row.arguments;
    EXPECT_THAT(outcome.output, HasSubstr(row.message));
  }
  Outcome outcome = Record("/nonexistent/program");
  EXPECT_EQ(outcome.exit_code, 127);
  EXPECT_THAT(outcome.output, HasSubstr("/nonexistent/program: No such file or directory"));
}

}  // namespace
