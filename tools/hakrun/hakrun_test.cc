// Tests of hakrun as a whole: what it runs is proven, what fails is kept and marked, what is wrong
// in an experiment is said before anything runs.

#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jansson.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "tools/hakrun/hakrun_fixture.h"

namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Who writes records and who reads them agree on every key of every workload.
TEST_F(HakrunTest, TheRecordsOfEveryWorkloadAreReadDrawnAndCompared) {
  const std::pair<const char*, const char*> kWorkloads[] = {
      {"random_mixed", R"("2e4", 64)"},
      {"random_mixed", R"("2e4", 64, "--latency")"},
      {"random_mixed", R"("2e4", 64, "--verify")"},
      {"random_mixed", R"("2e4", 16, 42, "--sweep-to", 64)"},
      {"random_mixed", R"(20, 4, 42, "--min", "5m", "--max", "25m", "--touch", "all")"},
      {"producer_consumer", R"("2e4")"},
      {"server", R"(200, "--sessions", 100)"},
      {"empirical", R"(5000, "--heap", "1m")"},
      {"call_latency", R"("1e4")"},
      {"peak_shrink", R"("1m", "--cycles", 1, "--idle", 1)"},
      {"realloc_grow", R"("1e4")"},
      {"false_sharing", R"(10)"},
      {"thread_churn", R"(10)"},
      {"replay", R"("workloads/testdata/three_threads.txt")"},
  };
  std::string workloads;
  for (const auto& [name, args] : kWorkloads) {
    workloads += std::string(workloads.empty() ? "" : ",\n") + "{\"name\": \"" + name +
                 "\", \"label\": \"" + std::to_string(workloads.size()) + "\", \"args\": [" + args +
                 "]}";
  }
  std::string path = Write(R"({"title": "t", "runs": 2, "warmup_runs": 0, "workloads": [)" +
                           workloads + R"(], "phases": [{"allocator": "hakmem", "telemetry": true},
                                                        {"allocator": "system"}]})");
  Outcome outcome = Shell(Hakrun(path));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("random_mixed 2e4 64\n"));
  std::string records = folder_ + "/results/*/*.jsonl";
  outcome = Shell("tools/hakplot/hakplot --format term " + records);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("Throughput: replay"));
  outcome = Shell("tools/hakplot/hakplot compare hakmem system " + records);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("replay"));
  // The workload `dry` stands in for random_mixed where no allocator is wanted.
  outcome = Shell(Hakrun(WriteOne("\"2e4\", 64", "void")) +
                  " && tools/hakplot/hakplot --format term " + folder_ + "/results/*/*.jsonl");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
}

// An option that the allocator does not know, or a value, would be listed as the phase's.
TEST_F(HakrunTest, WhatTheAllocatorRefusesIsRefused) {
  const std::pair<const char*, const char*> kRefused[] = {
      {"HAKMEM_PURGE_DELY", "0"}, {"HAKMEM_PURGE_DELAY", "soon"}, {"HAKMEM_BACKGROUND", "2.5"}};
  for (const auto& [name, value] : kRefused) {
    std::string env = std::string(R"(, "env": {")") + name + R"(": ")" + value + "\"}";
    Outcome outcome = Shell(Hakrun(WriteOne("1000, 10", "hakmem", env)));
    EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr(std::string("refuses a setting: hakmem: ") + name));
  }
}

// What the allocator says otherwise is shown once, and kept.
TEST_F(HakrunTest, WhatARunWritesToStderrIsShownAndKept) {
  std::string env = R"(, "env": {"HAKMEM_SS_DEBUG": 1})";
  Outcome outcome = Shell(Hakrun(WriteOne("1000, 10", "hakmem", env)));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("hakmem: reserved"));
  ASSERT_EQ(Records().size(), 1u);
  EXPECT_THAT(Text(Records()[0], "messages"), StartsWith("hakmem: reserved"));
}

TEST_F(HakrunTest, SmokeProvesEveryAllocatorAndFillsEveryRecord) {
  Outcome outcome = Shell(Hakrun("smoke.json"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  std::vector<Json> records = Records();
  ASSERT_EQ(records.size(), 2u * (4 + 3 + 3));
  for (const Json& record : records) {
    EXPECT_EQ(Text(record, "status"), "ok");
    EXPECT_EQ(Text(record, "experiment"), "smoke");
    EXPECT_EQ(json_is_true(json_object_get(record.get(), "baseline")),
              Text(record, "phase") == "system");
    if (Text(record, "phase") == "system") {
      EXPECT_EQ(Text(record, "allocator"), "glibc");
    } else if (Text(record, "phase") == "hakmem") {
      EXPECT_EQ(Text(record, "allocator"), "hakmem");
      EXPECT_THAT(Text(record, "allocator_path"), EndsWith("hakmem/libhakmem.so"));
    } else if (Text(record, "phase") == "hakmem, linked") {
      EXPECT_EQ(Text(record, "allocator"), "hakmem");
      EXPECT_THAT(Text(record, "allocator_path"), EndsWith("/" + Text(record, "workload")));
    } else {
      EXPECT_EQ(Text(record, "workload"), "dry");
      EXPECT_EQ(Text(record, "allocator"), "none");
    }
    for (const char* key : {"title",
                            "time_utc",
                            "source",
                            "host_cpu",
                            "host_cores",
                            "host_l1d_bytes",
                            "host_l2_bytes",
                            "host_l3_bytes",
                            "host_kernel",
                            "host_thp",
                            "host_governor",
                            "host_id",
                            "commit",
                            "dirty",
                            "workload_sha256",
                            "allocator_sha256",
                            "env",
                            "build_mode",
                            "perf_duration_s",
                            "perf_user_s",
                            "perf_system_s",
                            "perf_page_faults",
                            "steal_s",
                            "mops",
                            "peak_rss_bytes",
                            "run",
                            "order",
                            "args"}) {
      EXPECT_NE(json_object_get(record.get(), key), nullptr) << key;
    }
    EXPECT_EQ(Text(record, "workload_sha256").size(), 64u);
    EXPECT_THAT(Text(record, "allocator_path"), Not(HasSubstr("/root")));
  }
}

TEST_F(HakrunTest, PhasesTakeTurnsAtBeingFirst) {
  std::string path = Write(R"({"title": "t", "runs": 3, "warmup_runs": 0,
    "workloads": [{"name": "random_mixed", "args": [1000, 16]}],
    "phases": [{"label": "a", "allocator": "system"}, {"label": "b", "allocator": "hakmem"},
               {"label": "c", "allocator": "system", "env": {"X": 1}}]})");
  ASSERT_EQ(Shell(Hakrun(path)).exit_code, 0);
  std::string order;
  for (const Json& record : Records()) {
    order += Text(record, "phase");
    EXPECT_EQ(Integer(record, "order"), static_cast<json_int_t>((order.size() - 1) % 3));
    EXPECT_EQ(Text(record, "env"), Text(record, "phase") == "c" ? "X=1" : "");
  }
  EXPECT_EQ(order, "abcbcacab");
}

TEST_F(HakrunTest, SamplesAndTelemetryStandBesideTheRecord) {
  std::string path = Write(
      "{\"title\": \"t\", \"runs\": 1, \"warmup_runs\": 0, "
      "\"workloads\": [{\"name\": \"peak_shrink\", \"args\": [\"1m\", "
      "\"--cycles\", 1, \"--idle\", 0]}], \"phases\": [{\"label\": \"p\", "
      "\"telemetry\": true, \"allocator\": \"" +
      Probe() + "\"}]}");
  Outcome outcome = Shell(Hakrun(path));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  int samples = 0, telemetry = 0;
  for (const Json& line : Lines()) {
    EXPECT_EQ(Text(line, "phase"), "p");
    EXPECT_EQ(Text(line, "experiment"), "experiment");
    samples += Text(line, "schema") == "hakmem.sample.1";
    telemetry += Text(line, "schema") == "hakmem.telemetry.1";
    if (Text(line, "schema") == "hakmem.record.1") {
      EXPECT_EQ(Integer(line, "telemetry_vmas"), 32);  // of the last line
    }
  }
  EXPECT_GT(samples, 20);
  EXPECT_EQ(telemetry, 2);
}

TEST_F(HakrunTest, ARunThatCrashesIsKeptAndMarked) {
  std::string path = WriteOne("\"1e5\", 64", Probe(), ", \"env\": {\"PROBE_CRASH\": 20000}");
  Outcome outcome = Shell(Hakrun(path));
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("1 of 1 runs failed"));
  std::vector<Json> records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(Text(records[0], "status"), "crashed: signal 11");
  EXPECT_EQ(json_object_get(records[0].get(), "mops"), nullptr);
  EXPECT_EQ(Text(records[0], "args"), "1e5 64");
}

TEST_F(HakrunTest, RecordsWrittenBeforeACrashStand) {
  std::string path = Write(
      "{\"title\": \"t\", \"runs\": 1, \"warmup_runs\": 0, \"workloads\": "
      "[{\"name\": \"random_mixed\", \"args\": [1000, 8, 42, \"--sweep-to\", 512]}], \"phases\": "
      "[{\"env\": {\"PROBE_CRASH\": 2000}, \"allocator\": \"" +
      Probe() + "\"}]}");
  EXPECT_EQ(Shell(Hakrun(path)).exit_code, 1);
  std::vector<Json> records = Records();
  ASSERT_GT(records.size(), 2u);
  ASSERT_LT(records.size(), 7u);
  for (const Json& record : records) {
    bool is_last = &record == &records.back();
    EXPECT_EQ(Text(record, "status"), is_last ? "crashed: signal 11" : "ok");
    EXPECT_EQ(json_object_get(record.get(), "perf_user_s"), nullptr);
  }
}

// perf stat does not always pass an exit code on: seen is what the workload itself did.
TEST_F(HakrunTest, ExitCodesAreTheWorkloads) {
  std::string path = WriteOne("\"--nonsense\"", "system");
  EXPECT_EQ(Shell(Hakrun(path + " --runs 20")).exit_code, 1);
  std::vector<Json> records = Records();
  ASSERT_EQ(records.size(), 20u);
  for (const Json& record : records) EXPECT_EQ(Text(record, "status"), "exit 2");
}

TEST_F(HakrunTest, ARunThatFailsSaysWhy) {
  std::string path = WriteOne("\"1e5\", 64", Probe(), ", \"env\": {\"PROBE_FAIL\": 20000}");
  EXPECT_EQ(Shell(Hakrun(path)).exit_code, 1);
  std::vector<Json> records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_THAT(Text(records[0], "status"), StartsWith("failed: malloc("));
  EXPECT_TRUE(json_is_null(json_object_get(records[0].get(), "mops")));
}

TEST_F(HakrunTest, ARunThatTakesTooLongIsEnded) {
  std::string path = WriteOne("\"1e14\"", "system", "", ", \"timeout_s\": 1");
  EXPECT_EQ(Shell(Hakrun(path)).exit_code, 1);
  std::vector<Json> records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(Text(records[0], "status"), "timed out");
}

TEST_F(HakrunTest, ALibraryThatDoesNotServeMallocStopsBeforeAnythingRuns) {
  std::string library = folder_ + "/library.so";
  std::ofstream(library) << "not a library\n";
  Outcome outcome = Shell(Hakrun(WriteOne("1000", library)));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("experiment.json:3: phases/0/allocator: " + library +
                                        " cannot be used: wrong allocator: expected " + library +
                                        ", served by glibc"));
  EXPECT_THAT(outcome.output, HasSubstr("cannot be preloaded"));
  EXPECT_NE(access((folder_ + "/results").c_str(), F_OK), 0);
}

TEST_F(HakrunTest, WithoutPerfRunsAreTimedByWait4) {
  std::string path = WriteOne("1000", "system");
  Outcome outcome = Shell("export PATH=/nonexistent; " + Hakrun(path));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  for (const Json& record : Records()) {
    EXPECT_EQ(Text(record, "source"), "wait4");
    EXPECT_GT(json_real_value(json_object_get(record.get(), "perf_duration_s")), 0);
    EXPECT_TRUE(json_is_null(json_object_get(record.get(), "commit")));  // no git either
  }
}

TEST_F(HakrunTest, WhatIsWrongIsNamedByFileLineAndKey) {
  const std::string phases = "\"phases\": [{\"allocator\": \"system\"}]";
  const std::string workloads = "\"workloads\": [{\"name\": \"random_mixed\"}]";
  const struct {
    std::string text;
    std::string message;
  } kRows[] = {
      {"{\"title\": \"t\",\n oops}", "experiment.json:2: not valid JSON: "},
      {"[]", "experiment.json:1: must be an object"},
      {"{" + workloads + ", " + phases + "}", "experiment.json:1: \"title\" is missing"},
      {"{\"title\": \"t\",\n\"rums\": 3}",
       "experiment.json:2: rums: unknown key; known are: title"},
      {"{\"title\": \"t\",\n\"title\": 3}", "experiment.json:2: not valid JSON: duplicate"},
      {"{\"title\": 5}", "experiment.json:1: title: must be a text"},
      {"{\"title\": \"t\",\n\"runs\": 0}", ":2: runs: must be a whole number from 1 to 10000"},
      {"{\"title\": \"t\",\n\"runs\": \"ten\"}", ":2: runs: must be a whole number"},
      {"{\"title\": \"t\",\n\"pin\": \"0-\"}", ":2: pin: '0-' is not a list of processors"},
      {"{\"title\": \"t\",\n\"pin\": \"1023\"}", ":2: pin: processor 1023 is not there"},
      {"{\"title\": \"t\",\n\"duet\": 1}", ":2: duet: must be true or false"},
      {"{\"title\": \"t\",\n\"duet\": true, " + workloads + ", " + phases + "}",
       ":2: duet: there is one phase only"},
      {"{\"title\": \"t\", \"workloads\": []}", ":1: workloads: must be a list of 1 to 64"},
      {"{\"title\": \"t\", \"workloads\": [{\n\"name\": \"fast\"}]}",
       ":2: workloads/0/name: there is no workload 'fast'"},
      {"{\"title\": \"t\", \"workloads\": [{\n\"name\": \"dry\", \"args\": [1,\n{}]}]}",
       ":3: workloads/0/args/1: must be a text or a number"},
      {"{\"title\": \"t\", \"workloads\": [{\"name\": \"dry\"},\n{\"name\": \"dry\"}]}",
       ":2: workloads/1: a second workload labelled 'dry'"},
      {"{\"title\": \"t\", " + workloads + "}", ":1: \"phases\" is missing"},
      {"{\"title\": \"t\", " + workloads + ",\n\"phases\": [{\"allocater\": 1}]}",
       ":2: phases/0/allocater: unknown key; known are: label allocator env telemetry"},
      {"{\"title\": \"t\", " + workloads + ",\n\"phases\": [{\"allocator\": \"fast\"}]}",
       ":2: phases/0/allocator: 'fast' is none of hakmem, hakmem-static, system"},
      {"{\"title\": \"t\", " + workloads + ",\n\"phases\": [{\"allocator\": \"/no/x.so\"}]}",
       ":2: phases/0/allocator: /no/x.so: No such file or directory"},
      {"{\"title\": \"t\", " + workloads +
           ",\n\"phases\": [{\"allocator\": \"system\",\n\"env\": {\"LD_PRELOAD\": \"x\"}}]}",
       ":3: phases/0/env/LD_PRELOAD: name the library as allocator instead"},
  };
  for (const auto& row : kRows) {
    Outcome outcome = Shell(Hakrun(Write(row.text)));
    EXPECT_EQ(outcome.exit_code, 2) << row.text;
    EXPECT_THAT(outcome.output, HasSubstr(row.message)) << row.text;
    EXPECT_THAT(outcome.output, StartsWith("hakrun: " + folder_ + "/experiment.json:"));
  }
  EXPECT_NE(access((folder_ + "/results").c_str(), F_OK), 0);
}

TEST_F(HakrunTest, ArgumentsThatAWorkloadRejectsStopInTheWarmUp) {
  std::string path = Write(R"({"title": "t", "workloads": [{"name": "random_mixed",
    "args": ["1e3", "--sizes", "5"]}], "phases": [{"allocator": "system"}]})");
  Outcome outcome = Shell(Hakrun(path));
  EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("random_mixed: unknown option --sizes"));
  EXPECT_THAT(outcome.output, HasSubstr("experiment.json:2: workloads/0/args: random_mixed does"));
  EXPECT_EQ(Shell("ls " + folder_ + "/results/experiment").output, "");
}

TEST_F(HakrunTest, OnlySelectsByLabelAndRunsOverrides) {
  ASSERT_EQ(Shell(Hakrun("smoke --only hakmem --runs 1")).exit_code, 0);
  std::vector<Json> records = Records();
  ASSERT_EQ(records.size(), 3u);
  for (const Json& record : records) EXPECT_EQ(Text(record, "phase"), "hakmem");
  Outcome outcome = Shell(Hakrun("smoke --only nobody"));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("no phase and no workload labelled 'nobody'"));
}

TEST_F(HakrunTest, PathsAreMeantFromWhereTheUserStands) {
  WriteOne("1000", "system");
  Outcome outcome = Shell("BUILD_WORKING_DIRECTORY=" + folder_ +
                          " tools/hakrun/hakrun experiment.json --out here");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_EQ(Shell("ls " + folder_ + "/here/experiment | wc -l").output, "1\n");
}

TEST_F(HakrunTest, CtrlCKeepsTheFinishedRuns) {
  std::string path = WriteOne("\"1e6\"", "system");
  std::string log = folder_ + "/log";
  pid_t child = fork();
  if (child == 0) {
    std::string command = "exec " + Hakrun(path + " --runs 1000") + " >" + log + " 2>&1";
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  for (int i = 0; i < 400 && Shell("grep -c 'run 3' " + log).output != "1\n"; i++) usleep(20000);
  kill(child, SIGINT);
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_THAT(Shell("cat " + log).output, HasSubstr("finished runs are kept in"));
  std::vector<Json> records = Records();
  EXPECT_GE(records.size(), 3u);
  EXPECT_LT(records.size(), 1000u);
  for (const Json& record : records) EXPECT_EQ(Text(record, "status"), "ok");
}

// A limit on the size of files does as a full disk does.
TEST_F(HakrunTest, ADiskThatIsFullEndsTheExperimentAndKeepsWholeRecords) {
  std::string path = WriteOne("1000", "system");
  Outcome outcome =
      Shell("trap '' XFSZ; ulimit -f 30; exec " + Hakrun(path + " --runs 1000") + " 2>&1");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output, HasSubstr(".jsonl: File too large; the "));
  EXPECT_THAT(outcome.output, HasSubstr(" finished runs are kept in "));
  std::vector<Json> records = Records();  // each is valid
  EXPECT_GT(records.size(), 2u);
  EXPECT_LT(records.size(), 30u);
  for (const Json& record : records) EXPECT_EQ(Text(record, "status"), "ok");
}

TEST_F(HakrunTest, ASignalThatIsIgnoredStaysIgnored) {
  std::string path = WriteOne("\"1e6\"", "system");
  Outcome outcome =
      Shell("trap '' HUP; " + Hakrun(path + " --runs 20") + " & sleep 0.2; kill -HUP $!; wait $!");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_EQ(Records().size(), 20u);
}

// What hakrun prints on a terminal that is `columns` wide, after `keys` were typed when it had
// printed `cue`.
std::string OnTerminal(const std::string& command, unsigned short columns, const std::string& cue,
                       const std::string& keys, int* exit_code) {
  winsize size = {24, columns, 0, 0};
  int terminal;
  pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
    _exit(127);
  }
  std::string output;
  bool is_typed = keys.empty();
  char buffer[4096];
  for (ssize_t got; (got = read(terminal, buffer, sizeof(buffer))) > 0;) {
    output.append(buffer, static_cast<size_t>(got));
    if (is_typed || output.find(cue) == std::string::npos) continue;
    EXPECT_EQ(write(terminal, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
    is_typed = true;
  }
  int status = 0;
  waitpid(child, &status, 0);
  close(terminal);
  *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return output;
}

TEST_F(HakrunTest, ATerminalShowsOneLineThatIsWrittenAnew) {
  int exit_code;
  std::string output = OnTerminal(Hakrun("smoke --runs 1"), 30, "", "", &exit_code);
  EXPECT_EQ(exit_code, 0) << output;
  const std::string progress = output.substr(0, output.find("Smoke:"));
  EXPECT_EQ(progress.find('\n'), std::string::npos);
  // Erase, do not break, what is done, how long it takes, what it is.
  EXPECT_THAT(progress, testing::ContainsRegex("\r\x1b\\[K\x1b\\[\\?7l\\[3/10\\] [0-9]+ s left, "
                                               "random_mixed, hakmem, linked, run 1: [0-9.]+ "
                                               "Mops/s\x1b\\[\\?7h"));
  EXPECT_THAT(output, HasSubstr("records: "));
}

TEST_F(HakrunTest, CtrlCOnATerminalEndsTheRunOnly) {
  int exit_code;
  std::string path = WriteOne("\"1e6\"", "system");
  std::string output = OnTerminal(Hakrun(path + " --runs 1000"), 80, "run 3:", "\x03", &exit_code);
  EXPECT_EQ(exit_code, 130) << output;
  EXPECT_THAT(output, HasSubstr("hakrun: interrupted; the "));
  EXPECT_GE(Records().size(), 3u);
}

// A phase of the probe that does something at its call 20000, later than any in the check of
// phases.
std::string ProbePhase(const std::string& label, const std::string& what) {
  return "{\"label\": \"" + label + "\", \"allocator\": \"" + Probe() + "\", \"env\": {" + what +
         "}}";
}

// Each waits in the middle of its run for the other, so that one after the other they would time
// out.
TEST_F(HakrunTest, PhasesOfADuetRunAtTheSameTimeOnOneProcessor) {
  const std::string fifo = folder_ + "/meet";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  std::string path = WriteDuet("\"1e5\", 64",
                               ProbePhase("a", "\"PROBE_READ\": \"" + fifo + "\"") + "," +
                                   ProbePhase("b", "\"PROBE_WRITE\": \"" + fifo + "\""),
                               ", \"timeout_s\": 60");
  Outcome outcome = Shell(Hakrun(path));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("M ops/CPU s"));
  std::vector<Json> records = Records();
  ASSERT_EQ(records.size(), 2u);
  for (const Json& record : records) {
    EXPECT_EQ(Text(record, "status"), "ok");
    EXPECT_EQ(Integer(record, "duet"), 2);
    EXPECT_EQ(Text(record, "pin"), std::to_string(Processors().back()));
    EXPECT_NE(json_object_get(record.get(), "perf_user_s"), nullptr);
    EXPECT_EQ(Text(record, "phase"), &record == &records[0] ? "a" : "b");
  }
}

TEST_F(HakrunTest, ADuetIsRefusedMoreThanOneProcessor) {
  const std::vector<int> all = Processors();
  if (all.size() < 2) GTEST_SKIP() << "needs two processors";
  const std::string two = std::to_string(all[0]) + "," + std::to_string(all[1]);
  Outcome outcome =
      Shell(Hakrun(Write("{\"title\": \"t\", \"duet\": true,\n\"pin\": \"" + two + "\"}")));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("experiment.json:2: pin: a duet shares one processor; '" +
                                        two + "' are 2"));
}

TEST_F(HakrunTest, OneOfADuetFailsAndTheOthersAreKept) {
  const std::string phases = ProbePhase("crashes", "\"PROBE_CRASH\": 20000") + "," +
                             ProbePhase("fails", "\"PROBE_FAIL\": 20000") + "," +
                             ProbePhase("hangs", "\"PROBE_READ\": \"" + folder_ + "/meet\"") + "," +
                             ProbePhase("works", "") +
                             ", {\"label\": \"wait4\", \"allocator\": \"system\"}";
  ASSERT_EQ(mkfifo((folder_ + "/meet").c_str(), 0600), 0);
  std::string path = WriteDuet("\"1e5\", 64", phases, ", \"timeout_s\": 5");
  for (const char* prefix : {"", "export PATH=/nonexistent; "}) {  // with perf and without
    Shell("rm -rf " + folder_ + "/results");
    Outcome outcome = Shell(prefix + Hakrun(path));
    EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("3 of 5 runs failed"));
    std::vector<Json> records = Records();
    ASSERT_EQ(records.size(), 5u);
    EXPECT_EQ(Text(records[0], "status"), "crashed: signal 11");
    EXPECT_THAT(Text(records[1], "status"), StartsWith("failed: malloc("));
    EXPECT_EQ(Text(records[2], "status"), "timed out");
    EXPECT_EQ(Text(records[3], "status"), "ok");
    EXPECT_EQ(Text(records[4], "status"), "ok");
    for (const Json& record : records) EXPECT_EQ(Integer(record, "duet"), 5);
  }
}

TEST_F(HakrunTest, CtrlCInADuetKeepsTheRoundsBeforeIt) {
  int exit_code;
  std::string path = WriteDuet(
      "\"1e6\"", R"({"label": "a", "allocator": "system"}, {"label": "b", "allocator": "system"})");
  std::string output =
      OnTerminal(Hakrun(path + " --runs 1000"), 80, "b, run 3:", "\x03", &exit_code);
  EXPECT_EQ(exit_code, 130) << output;
  std::vector<Json> records = Records();
  EXPECT_GE(records.size(), 6u);
  EXPECT_EQ(records.size() % 2, 0u);
  for (const Json& record : records) EXPECT_EQ(Text(record, "status"), "ok");
}

TEST_F(HakrunTest, DryRunPrintsTheCommandsAndRunsNone) {
  Outcome outcome = Shell(Hakrun("smoke --dry-run"));
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("# random_mixed, hakmem, 2 runs\n"));
  EXPECT_THAT(outcome.output, HasSubstr("random_mixed_system 3e5 1024 42"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("taskset")));
  outcome = Shell(Hakrun("same --dry-run"));
  EXPECT_THAT(outcome.output,
              HasSubstr("# random_mixed 8192, one, 20 runs, at the same time as the other phases\n"
                        "taskset -c " +
                        std::to_string(Processors().back()) + " env "));
  EXPECT_NE(access((folder_ + "/results").c_str(), F_OK), 0);
}

TEST_F(HakrunTest, ListsWhatIsShippedAndAllOfItIsValid) {
  Outcome outcome = Shell("tools/hakrun/hakrun --list");
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* name : {"call_latency", "fleetbench", "fork", "kernel", "peers", "report",
                           "remote", "same", "smoke", "sweep", "telemetry", "threads"}) {
    EXPECT_THAT(outcome.output, HasSubstr(std::string(name) + " "));
    // The peers may not be installed here; hakmem is.
    Outcome checked = Shell("FLEETBENCH=/there " + Hakrun(std::string(name) + " --dry-run"));
    if (checked.exit_code != 0) {
      EXPECT_THAT(checked.output, HasSubstr("is not installed")) << name;
    }
  }
}

TEST_F(HakrunTest, ArgumentsMayBeginWithAVariableOfTheUser) {
  std::string path =
      WriteOne("\"1e5\", 64, 42, \"--json\", \"$HAKRUN_TEST_FOLDER/own.jsonl\"", "system");
  Outcome outcome = Shell("HAKRUN_TEST_FOLDER=/from/here " + Hakrun(path + " --dry-run"));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("--json /from/here/own.jsonl"));
  outcome = Shell(Hakrun(path + " --dry-run"));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output,
              HasSubstr("workloads/0/args/4: the variable $HAKRUN_TEST_FOLDER is not set"));
}

TEST_F(HakrunTest, AllocatorsOfTheUserAreFurtherPhases) {
  std::string path = WriteOne("\"1e4\", 64, 42", "system");
  Outcome outcome = Shell(Hakrun(path + " --also own=" + Probe()));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  auto records = Records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(Text(records[1], "phase"), "own");
  EXPECT_THAT(Probe(), HasSubstr(Text(records[1], "allocator_path")));
  for (const char* wrong : {"own", "=/lib", "own=", "own=/nothing/here", "system=/proc/self/exe"}) {
    outcome = Shell(Hakrun(path + " --also " + wrong));
    EXPECT_EQ(outcome.exit_code, 2) << wrong;
    EXPECT_THAT(outcome.output, HasSubstr("--also: ")) << wrong;
  }
}

TEST_F(HakrunTest, BadArgumentsAreNamed) {
  Outcome outcome = Shell("tools/hakrun/hakrun");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("EXPERIMENT is missing"));
  outcome = Shell("tools/hakrun/hakrun nothing.json");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("hakrun: nothing.json: no such file"));
  outcome = Shell("tools/hakrun/hakrun smoke --runs zero");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("--runs: 'zero' is not a number"));
}

}  // namespace
