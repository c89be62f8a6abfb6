// Tests of commands as subjects: any program, servers with their clients, figures found in what is
// printed, how many rounds there are.

#include <gmock/gmock.h>

#include "tools/hakrun/hakrun_fixture.h"

namespace {

using testing::HasSubstr;

// Any program is a subject: its time, faults and memory, or the figure that it prints.
TEST_F(HakrunTest, AnyCommandCanBeCompared) {
  Outcome outcome = Shell(Hakrun("compare --with hakmem,glibc --runs 2") +
                          " -- sh -c 'x=$(printf %01000d 7); echo done'");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  std::vector<Json> records = Records();
  ASSERT_EQ(records.size(), 4u);
  for (const Json& record : records) {
    EXPECT_EQ(Text(record, "status"), "ok");
    EXPECT_EQ(Text(record, "workload"), "sh");
    EXPECT_GT(json_number_value(json_object_get(record.get(), "peak_rss_bytes")), 1e5);
  }
  EXPECT_THAT(outcome.output, HasSubstr("MiB peak"));
}

TEST_F(HakrunTest, ACommandsOwnFigureIsItsRate) {
  std::string path = Write(R"({"title": "t", "runs": 2, "warmup_runs": 0, "workloads": [
    {"label": "shop", "shell": "cat )" +
                           folder_ + R"(/made; echo '250 orders per second'",
     "prepare": "echo '99 orders per second' >)" +
                           folder_ +
                           R"(/made", "rate": "([0-9.]+) orders"}],
    "phases": [{"allocator": "glibc"}, {"allocator": "hakmem"}]})");
  Outcome outcome = Shell(Hakrun(path));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  std::vector<Json> records = Records();
  ASSERT_EQ(records.size(), 4u);
  for (const Json& record : records) {
    EXPECT_EQ(Text(record, "workload"), "shop");
    EXPECT_DOUBLE_EQ(json_number_value(json_object_get(record.get(), "mops")), 250e-6);
  }
  EXPECT_THAT(outcome.output, HasSubstr("k ops/s"));
}

TEST_F(HakrunTest, WhatIsWrongWithACommandIsSaid) {
  const std::pair<const char*, const char*> kRows[] = {
      {R"({"command": ["nonesuch"]})", "there is no program 'nonesuch'"},
      {R"({"command": []})", "must name a program"},
      {R"({"command": ["true"], "shell": "true"})", "exclude each other"},
      {R"({"command": ["true"], "rate": "x"})", "must be a regular expression with a group"},
      {R"({"command": ["true"], "args": [1]})", "unknown key"},
      {R"({"command": ["tools/hakrecord/static_true"]})", "is it linked statically?"},
      {R"({"command": ["true"], "ready": "true"})", "ready and left belong to a server"},
      {R"({"command": ["true"], "left": true})", "ready and left belong to a server"},
      {R"({"command": ["true"], "server": ["nonesuch"]})", "there is no program 'nonesuch'"},
      {R"({"command": ["true"], "server": ["tools/hakrecord/static_true"]})",
       "is it linked statically?"},
      {R"-({"command": ["true"], "rate": "(.)", "rate_path": "a"})-", "exclude each other"},
  };
  for (const auto& [workload, message] : kRows) {
    Outcome outcome = Shell(Hakrun(Write(std::string(R"({"title": "t", "workloads": [)") +
                                         workload + R"(], "phases": [{"allocator": "hakmem"}]})")));
    EXPECT_EQ(outcome.exit_code, 2) << workload;
    EXPECT_THAT(outcome.output, HasSubstr(message)) << workload;
  }
  EXPECT_EQ(Shell("tools/hakrun/hakrun compare").exit_code, 2);
  EXPECT_EQ(Shell("tools/hakrun/hakrun smoke --with hakmem").exit_code, 2);
}

// Rounds go on until the ratios are known, or the time is up.
TEST_F(HakrunTest, RoundsEndWhenTheRatiosAreKnownOrTheTimeIsUp) {
  Outcome outcome =
      Shell(Hakrun("compare --with glibc,glibc --precision 100 --max-time 60") + " -- sleep 0.05");
  EXPECT_EQ(outcome.exit_code, 2) << outcome.output;  // two phases of one name
  outcome =
      Shell(Hakrun("compare --with hakmem,glibc --precision 100 --max-time 60") + " -- sleep 0.05");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_GE(Records().size(), 2u * 6);  // the least with an interval
  EXPECT_LT(Records().size(), 2u * 1000);
  Shell("rm -r " + folder_ + "/results");
  outcome =
      Shell(Hakrun("compare --with hakmem,glibc --precision 0.01 --max-time 1") + " -- sleep 0.1");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_LT(Records().size(), 100u);
  EXPECT_THAT(outcome.output, HasSubstr("the machine is too noisy"));
}

TEST_F(HakrunTest, MemoryIsLookedAtOverTheRun) {
  std::string path =
      Write(R"({"title": "t", "runs": 1, "warmup_runs": 0, "sample_ms": 5, "workloads": [
    {"label": "idle", "command": ["sleep", "0.5"]}], "phases": [{"allocator": "glibc"}]})");
  Outcome outcome = Shell(Hakrun(path));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  std::vector<Json> records = Records();
  ASSERT_EQ(records.size(), 1u);
  const Json& record = records[0];
  double mean = json_number_value(json_object_get(record.get(), "mean_rss_bytes"));
  double peak = json_number_value(json_object_get(record.get(), "peak_rss_bytes"));
  EXPECT_GT(mean, 1e5);
  EXPECT_LE(mean, peak + 1e6);
  std::vector<Json> lines = Lines();
  EXPECT_GE(lines.size(), 4u);
  EXPECT_EQ(Text(lines[0], "schema"), "hakmem.sample.1");
  EXPECT_EQ(Text(lines[0], "workload"), "idle");
  EXPECT_GT(Integer(lines[0], "pss_bytes"), 0);
}

// The server is what the allocator serves and what is measured; the client says how fast it is.
TEST_F(HakrunTest, AServerIsStartedBeforeItsClientAndEndedAfterIt) {
  std::string mark = folder_ + "/up";
  std::string path = Write(R"({"title": "t", "runs": 2, "warmup_runs": 0, "workloads": [
    {"label": "shop", "command": ["sh", "-c", "test -e )" +
                           mark + R"( && test -z \"$LD_PRELOAD\" && echo 5000 sold"],
     "server": ["sh", "-c", "sleep 0.2; echo $$ > )" +
                           mark + R"(; echo noise; exec sleep 100"],
     "ready": "test -e )" + mark +
                           R"(", "rate": "([0-9]+) sold"}],
    "phases": [{"allocator": "hakmem"}, {"allocator": "glibc"}]})");
  Outcome outcome = Shell(Hakrun(path));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  std::vector<Json> records = Records();
  ASSERT_EQ(records.size(), 4u);
  for (const Json& record : records) {
    EXPECT_EQ(Text(record, "workload"), "shop");
    EXPECT_EQ(Text(record, "status"), "ok");
    EXPECT_DOUBLE_EQ(json_number_value(json_object_get(record.get(), "mops")), 5e-3);
    EXPECT_GT(json_number_value(json_object_get(record.get(), "ns_total")), 0);
    EXPECT_GT(json_number_value(json_object_get(record.get(), "peak_rss_bytes")), 1e5);
  }
  EXPECT_EQ(Text(records[0], "allocator"), "hakmem");
  EXPECT_NE(Shell("kill -0 $(cat " + mark + ")").exit_code, 0);  // the last of them has ended
}

TEST_F(HakrunTest, AServerThatEndsOrAClientThatFailsIsMarked) {
  const std::pair<const char*, const char*> kRows[] = {
      {R"({"command": ["false"], "server": ["sleep", "100"], "ready": "true"})",
       "failed: the client failed"},
      {R"({"command": ["sleep", "9"], "server": ["sleep", "100"], "ready": "true"})",
       "failed: the client took too long"},
      {R"-({"command": ["echo", "5"], "server": ["sleep", "100"], "ready": "true",
            "rate": "x([0-9])"})-",
       "failed: its output holds no rate"},
  };
  for (const auto& [workload, status] : kRows) {
    Shell("rm -rf " + folder_ + "/results");
    Shell(Hakrun(
        Write(std::string(
                  R"({"title": "t", "runs": 1, "warmup_runs": 0, "timeout_s": 1, "workloads": [)") +
              workload + R"(], "phases": [{"allocator": "glibc"}]})")));
    std::vector<Json> records = Records();
    ASSERT_EQ(records.size(), 1u) << workload;
    EXPECT_EQ(Text(records[0], "status"), status);
  }
}

TEST_F(HakrunTest, AFigureIsFoundInJson) {
  Outcome outcome = Shell(Hakrun("compare --runs 1 --with glibc --rate-path runs.1.rate") +
                          R"( -- echo 'log {"runs": [{}, {"rate": 3e6}]} end')");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  ASSERT_EQ(Records().size(), 1u);
  EXPECT_DOUBLE_EQ(json_number_value(json_object_get(Records()[0].get(), "mops")), 3);
}

// Of commands that keep no more than one processor busy.
TEST_F(HakrunTest, OneThreadIsComparedInADuetUnlessToldOtherwise) {
  Outcome outcome = Shell(Hakrun("compare --runs 2 --with hakmem,glibc") + " -- sleep 0.05");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("one thread: all allocators run at the same time"));
  EXPECT_THAT(outcome.output, HasSubstr("CPU s"));
  for (const Json& record : Records()) EXPECT_EQ(Integer(record, "duet"), 2);
  Shell("rm -r " + folder_ + "/results");
  Shell(Hakrun("compare --runs 2 --in-turn --with hakmem,glibc") + " -- sleep 0.05");
  ASSERT_EQ(Records().size(), 4u);
  EXPECT_EQ(json_object_get(Records()[0].get(), "duet"), nullptr);
}

TEST_F(HakrunTest, RecordsCanBeSavedUnderAName) {
  std::string path = WriteOne("1000, 64", "glibc");
  EXPECT_EQ(Shell(Hakrun(path) + " --save v1").exit_code, 0);
  EXPECT_EQ(Shell("ls " + folder_ + "/results/experiment").output, "v1.jsonl\n");
  Outcome outcome = Shell(Hakrun(path) + " --save v1");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("v1.jsonl: File exists"));
  EXPECT_EQ(Shell(Hakrun(path) + " --save a/b").exit_code, 2);
}

}  // namespace
