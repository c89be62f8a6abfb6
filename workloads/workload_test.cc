// Tests of all workloads through their command lines: the same seed does the same work, --verify
// finds nothing wrong with a sound allocator and something with an unsound one, records are
// complete, arguments are checked. Times are not looked at.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jansson.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using testing::HasSubstr;
using testing::StartsWith;

using Json = std::unique_ptr<json_t, decltype(&json_decref)>;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Outcome {
  int exit_code = -1;  // -signal when a signal ended it
  std::string out;
  std::string err;
  std::vector<std::string> lines;  // of out: the JSON records
};

using Environment = std::map<std::string, std::string>;

// Runs workloads/NAME_system with a record on standard output.
Outcome RunWorkload(const std::string& name, std::vector<std::string> arguments,
                    const Environment& environment = {}) {
  const std::string program = "workloads/" + name + "_system";
  const std::string base = testing::TempDir() + "/" + name + std::to_string(getpid());
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t child = fork();
  if (child == 0) {
    for (const auto& [key, value] : environment) setenv(key.c_str(), value.c_str(), 1);
    dup2(open((base + ".out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666), STDOUT_FILENO);
    dup2(open((base + ".err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666), STDERR_FILENO);
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  Outcome outcome;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  outcome.out = ReadFile(base + ".out");
  outcome.err = ReadFile(base + ".err");
  std::istringstream stream(outcome.out);
  for (std::string line; std::getline(stream, line);) outcome.lines.push_back(line);
  return outcome;
}

Json Parse(const std::string& line) {
  json_error_t error;
  Json record(json_loads(line.c_str(), JSON_REJECT_DUPLICATES, &error), &json_decref);
  EXPECT_NE(record, nullptr) << error.text << " in: " << line;
  return record;
}

std::string Text(const Json& record, const char* key) {
  const char* text = json_string_value(json_object_get(record.get(), key));
  return text != nullptr ? text : "(none)";
}

json_int_t Integer(const Json& record, const char* key) {
  return json_integer_value(json_object_get(record.get(), key));
}

// A workload with arguments that make it small.
struct Row {
  std::string name;
  std::vector<std::string> arguments;
  std::vector<std::string> other_seed;  // what to add for another stream; empty: it has none
  json_int_t ops;                       // 0: not fixed by the arguments
  bool can_verify;
  bool has_latency;
};

void PrintTo(const Row& row, std::ostream* stream) { *stream << row.name; }

std::vector<Row> Rows() {
  const std::vector<std::string> seed = {"--seed", "43"};
  return {
      {"random_mixed", {"20000", "300", "7"}, seed, 20000, true, true},
      {"random_mixed", {"20000", "300", "--threads=3"}, seed, 60000, true, true},
      {"random_mixed", {"20000", "300", "7", "--legacy-rng"}, seed, 20000, true, true},
      {"random_mixed", {"5000", "16", "--sweep-to=64"}, seed, 5000, true, false},
      {"dry", {"5000", "16", "--sweep-to=64"}, seed, 5000, false, false},
      {"dry", {"20000", "300", "7"}, seed, 20000, false, false},
      {"dry", {"20000", "300", "7", "--limit", "list"}, seed, 20000, false, false},
      {"producer_consumer", {"5000"}, seed, 10000, true, true},
      {"producer_consumer",
       {"5000", "--remote=30", "--pairs=2", "--queue=4", "--batch=2"},
       seed,
       20000,
       true,
       true},
      {"server", {"300", "--lifetime=100", "--sessions=500"}, seed, 0, true, true},
      {"empirical", {"5000", "--heap=1m", "--threads=2"}, seed, 0, true, true},
      {"empirical", {"5000", "--heap=1m", "--threads=3", "--remote=30"}, seed, 0, true, true},
      {"call_latency", {"20000", "300"}, seed, 20000, false, false},
      {"call_latency", {"20000", "300", "--threads=2"}, seed, 40000, false, false},
      {"peak_shrink", {"1m", "--idle=50", "--cycles=2"}, seed, 0, true, false},
      {"peak_shrink", {"1m", "--idle=50", "--hands=other", "--rest=light"}, seed, 0, true, false},
      {"peak_shrink",
       {"1m", "--idle=0", "--hands=many", "--survivors=10", "--stay", "--shuffled", "--ramp=20"},
       seed,
       0,
       true,
       false},
      {"random_mixed", {"20", "4", "--min=5m", "--max=25m"}, seed, 20, true, true},
      {"realloc_grow", {"20000", "--threads=2"}, seed, 40000, true, true},
      {"realloc_grow", {"5000", "--growth=append"}, seed, 5000, true, true},
      {"false_sharing", {"20", "--writes=10"}, {}, 6400, false, false},
      {"false_sharing", {"20", "--writes=10", "--sharing=passive"}, {}, 6400, false, false},
      {"thread_churn", {"100", "--warmup=3"}, seed, 4000, true, true},
      {"replay", {"workloads/testdata/three_threads.txt"}, {}, 18, true, true},
      {"replay", {"workloads/testdata/three_threads.txt", "--order=strict"}, {}, 18, true, true},
  };
}

std::vector<std::string> With(std::vector<std::string> arguments,
                              const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

const std::vector<std::string> kRecord = {"--json", "-"};

// The last line of a successful run, which is its record; samples may come before it.
Json RunForRecord(const Row& row, const std::vector<std::string>& more,
                  const Environment& environment = {}) {
  Outcome outcome = RunWorkload(row.name, With(With(row.arguments, kRecord), more), environment);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  if (outcome.lines.empty()) {
    ADD_FAILURE() << row.name << " wrote no record: " << outcome.err;
    return Json(json_object(), &json_decref);
  }
  return Parse(outcome.lines.back());
}

// Each at least the one before.
void ExpectPercentiles(const Json& record, const std::string& prefix) {
  double last = 0;
  for (const char* name : {"p50", "p90", "p99", "p999", "p9999", "p99999", "max"}) {
    const std::string key = prefix + "_" + name + "_ns";
    json_t* value = json_object_get(record.get(), key.c_str());
    ASSERT_TRUE(json_is_number(value)) << key;
    EXPECT_GE(json_number_value(value), last) << key;
    last = json_number_value(value);
  }
  EXPECT_GT(last, 0) << prefix;
  for (const char* key : {"timer_ns", "timer_step_ns"}) {
    EXPECT_GT(json_number_value(json_object_get(record.get(), key)), 0) << key;
  }
}

class WorkloadTest : public testing::TestWithParam<Row> {};

TEST_P(WorkloadTest, RecordIsComplete) {
  Json record = RunForRecord(GetParam(), {});
  EXPECT_EQ(Text(record, "schema"), "hakmem.workload.1");
  EXPECT_EQ(Text(record, "workload"), GetParam().name);
  EXPECT_EQ(Text(record, "status"), "ok");
  EXPECT_THAT(Text(record, "checksum"), StartsWith("0x"));
  EXPECT_THAT(Text(record, "args"), StartsWith(GetParam().arguments[0]));
  EXPECT_THAT(Text(record, "args"), Not(HasSubstr("json")));
  for (const char* key : {"seed", "threads", "ops", "ns_total", "minor_faults", "major_faults",
                          "preemptions", "peak_rss_bytes", "rss_bytes", "harness_bytes"}) {
    EXPECT_TRUE(json_is_integer(json_object_get(record.get(), key))) << key;
  }
  for (const char* key : {"user_s", "system_s"}) {
    EXPECT_TRUE(json_is_number(json_object_get(record.get(), key))) << key;
  }
  const bool times_calls = GetParam().name == "call_latency";
  for (const char* key : {"mops", "ns_per_op"}) {
    EXPECT_EQ(json_is_number(json_object_get(record.get(), key)), !times_calls) << key;
  }
  EXPECT_GT(Integer(record, "ops"), 0);
  EXPECT_EQ(json_object_get(record.get(), "steady_mops"), nullptr);  // too short for slices
  if (GetParam().ops != 0) {
    EXPECT_EQ(Integer(record, "ops"), GetParam().ops);
  }
  double cpu_s = json_number_value(json_object_get(record.get(), "user_s")) +
                 json_number_value(json_object_get(record.get(), "system_s"));
  EXPECT_EQ(json_is_null(json_object_get(record.get(), "kernel_share")), cpu_s < 0.2) << cpu_s;
}

TEST_P(WorkloadTest, SameSeedDoesTheSameWork) {
  const Row& row = GetParam();
  Json first = RunForRecord(row, {});
  Json second = RunForRecord(row, {});
  EXPECT_EQ(Text(first, "checksum"), Text(second, "checksum"));
  EXPECT_EQ(Integer(first, "ops"), Integer(second, "ops"));
  Json other_allocator = RunForRecord(row, {}, {{"LD_PRELOAD", "workloads/libprobe_malloc.so"}});
  EXPECT_EQ(Text(first, "checksum"), Text(other_allocator, "checksum"));
  EXPECT_EQ(Integer(first, "ops"), Integer(other_allocator, "ops"));
  if (row.other_seed.empty()) return;
  Json other = RunForRecord(row, row.other_seed);
  EXPECT_NE(Text(first, "checksum"), Text(other, "checksum"));
}

TEST_P(WorkloadTest, VerifyFindsNothingAndDoesTheSameWork) {
  const Row& row = GetParam();
  if (!row.can_verify) return;
  Json plain = RunForRecord(row, {});
  Json verified = RunForRecord(row, {"--verify"});
  EXPECT_EQ(Text(verified, "status"), "ok");
  EXPECT_EQ(Text(verified, "mode"), "verify");
  EXPECT_EQ(Text(plain, "checksum"), Text(verified, "checksum"));
}

TEST_P(WorkloadTest, VerifyNoticesBlocksThatOverlap) {
  const Row& row = GetParam();
  if (!row.can_verify) return;
  Outcome outcome =
      RunWorkload(row.name, With(With(row.arguments, kRecord), {"--verify"}),
                  {{"LD_PRELOAD", "workloads/libprobe_malloc.so"}, {"PROBE_OVERLAP", "2"}});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  ASSERT_FALSE(outcome.lines.empty());
  Json record = Parse(outcome.lines.back());
  EXPECT_THAT(Text(record, "status"), StartsWith("failed: "));
  EXPECT_THAT(Text(record, "status"), HasSubstr("lost"));
}

TEST_P(WorkloadTest, RunningOutOfMemoryIsAResultAndNotACrash) {
  const Row& row = GetParam();
  if (row.name == "dry") return;
  Outcome outcome =
      RunWorkload(row.name, With(row.arguments, kRecord),
                  {{"LD_PRELOAD", "workloads/libprobe_malloc.so"}, {"PROBE_FAIL", "9"}});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  ASSERT_FALSE(outcome.lines.empty());
  EXPECT_THAT(Text(Parse(outcome.lines.back()), "status"), StartsWith("failed: "));
}

TEST_P(WorkloadTest, LatencyRunHasPercentilesAndNoThroughput) {
  const Row& row = GetParam();
  if (!row.has_latency) return;
  Json record = RunForRecord(row, {"--latency"});
  EXPECT_EQ(Text(record, "mode"), "latency");
  EXPECT_TRUE(json_is_null(json_object_get(record.get(), "mops")));
  ExpectPercentiles(record, "latency");
  // One operation is one call, and those of the warm-up are not among them.
  EXPECT_EQ(Integer(record, "latency_calls"), Integer(record, "ops"));
}

TEST_P(WorkloadTest, BadArgumentsAreNamedAndExitWith2) {
  Outcome outcome = RunWorkload(GetParam().name, {"--nonsense"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr(GetParam().name + ": unknown option --nonsense"));
  EXPECT_THAT(outcome.err, HasSubstr("usage: " + GetParam().name));
  EXPECT_EQ(outcome.out, "");
  outcome = RunWorkload(GetParam().name, {"--json", "/nonexistent/file"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--json: /nonexistent/file: No such file or directory"));
}

TEST_P(WorkloadTest, HelpExplainsAndExitsWith0) {
  Outcome outcome = RunWorkload(GetParam().name, {"--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("--expect-allocator"));
  EXPECT_EQ(outcome.err, "");
}

TEST_P(WorkloadTest, AnotherAllocatorThanExpectedIsAFailure) {
  const Row& row = GetParam();
  if (row.name == "dry") return;
  std::vector<std::string> arguments = With(row.arguments, kRecord);
  for (int latency = 0; latency <= static_cast<int>(row.has_latency); latency++) {
    if (latency == 1) arguments.push_back("--latency");
    Outcome outcome = RunWorkload(row.name, With(arguments, {"--expect-allocator", "hakmem"}));
    EXPECT_EQ(outcome.exit_code, 1);
    ASSERT_EQ(outcome.lines.size(), 1u);
    Json record = Parse(outcome.lines[0]);
    EXPECT_THAT(Text(record, "status"), StartsWith("failed: wrong allocator: expected hakmem"));
    EXPECT_EQ(json_object_get(record.get(), "ops"), nullptr);
  }
}

std::string NameOf(const testing::TestParamInfo<Row>& row) {
  return row.param.name + "_" + std::to_string(row.index);
}

INSTANTIATE_TEST_SUITE_P(All, WorkloadTest, testing::ValuesIn(Rows()), NameOf);

TEST(ReportTest, OutputThatIsLostFailsTheRun) {
  for (const char* sweep : {"", " --sweep-to 8"}) {
    std::string command =
        "workloads/random_mixed_system 1000 4 5" + std::string(sweep) + " 2>&1 >/dev/full";
    FILE* pipe = popen(command.c_str(), "r");
    char said[512] = "";
    said[fread(said, 1, sizeof(said) - 1, pipe)] = '\0';
    EXPECT_EQ(WEXITSTATUS(pclose(pipe)), 1) << sweep;
    EXPECT_THAT(said, HasSubstr("random_mixed: cannot write to standard output"));
  }
}

// Blocks that take milliseconds are told in operations a second.
TEST(ReportTest, UnitsFollowTheSize) {
  EXPECT_THAT(RunWorkload("random_mixed", {"20", "4", "--min=5m", "--max=25m", "--touch=all"}).out,
              HasSubstr(" ops/s, "));
  EXPECT_THAT(RunWorkload("random_mixed", {"10000", "64"}).out, HasSubstr(" Mops/s, "));
}

TEST(ReportTest, ASweepIsOneTable) {
  std::string out = RunWorkload("random_mixed", {"20000", "8", "--sweep-to=64"}).out;
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 2 + 4) << out;
  EXPECT_THAT(out, HasSubstr("         slots     Mops/s"));
}

TEST(RandomMixedTest, LimitsRunTheVeryStreamOfTheAllocators) {
  std::string mixed =
      Text(RunForRecord({"random_mixed", {"9999", "512", "3"}, {}, 0, 0, 0}, {}), "checksum");
  for (const char* limit : {"void", "list"}) {
    Json dry = RunForRecord({"dry", {"9999", "512", "3"}, {}, 0, 0, 0}, {"--limit", limit});
    EXPECT_EQ(Text(dry, "checksum"), mixed) << limit;
    EXPECT_EQ(Text(dry, "allocator"), "none");
  }
}

// Calls of malloc and its kin, and of free, that a program makes.
std::pair<uint64_t, uint64_t> CountCalls(const std::string& name,
                                         const std::vector<std::string>& arguments) {
  const std::string report = testing::TempDir() + "/calls";
  unlink(report.c_str());
  Outcome outcome = RunWorkload(
      name, arguments, {{"LD_PRELOAD", "workloads/libprobe_malloc.so"}, {"PROBE_REPORT", report}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  std::pair<uint64_t, uint64_t> calls = {0, 0};
  std::istringstream(ReadFile(report)) >> calls.first >> calls.second;
  return calls;
}

// What libraries call before main is in both counts. (For a second thread the C library would call
// more.)
TEST(HarnessTest, CallsNoMallocItself) {
  const auto [allocations, frees] = CountCalls("random_mixed", {"--help"});
  for (const char* more : {"--touch=first", "--verify", "--latency"}) {
    const auto one = CountCalls("random_mixed", {"1", "1", "1", "--warmup=0", "--json=-", more});
    EXPECT_EQ(one.first, allocations + 1) << more;
    EXPECT_EQ(one.second, frees + 1) << more;
  }
}

TEST(RandomMixedTest, EveryOperationIsACall) {
  std::map<int, uint64_t> calls;
  for (int ops : {1000, 3000}) {
    const auto [allocations, frees] =
        CountCalls("random_mixed", {std::to_string(ops), "64", "1", "--warmup=0"});
    calls[ops] = allocations + frees;
  }
  // The frees at the end make the difference inexact, by at most one for each slot.
  EXPECT_NEAR(static_cast<double>(calls[3000] - calls[1000]), 2000, 64);
}

TEST(RandomMixedTest, LegacyStreamKeepsItsDefect) {
  // At a power of two, slot and size come from the same bits; the stream exists to compare with
  // figures made by it.
  Outcome outcome = RunWorkload("random_mixed", {"--legacy-rng", "--min", "32"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--legacy-rng fixes the block sizes"));
  outcome = RunWorkload("random_mixed", {"1e4", "64", "0", "--legacy-rng"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("SEED"));
}

TEST(RandomMixedTest, LongRunsOfOneThreadAreSliced) {
  auto steady = [](const std::vector<std::string>& arguments) {
    Json record = RunForRecord({"random_mixed", arguments, {}, 0, false, false}, {});
    EXPECT_EQ(Integer(record, "ops") % 1300007, 0);
    return json_number_value(json_object_get(record.get(), "steady_mops"));
  };
  EXPECT_GT(steady({"1300007", "256"}), 0);
  EXPECT_EQ(steady({"1300007", "256", "--threads=2"}), 0);
  EXPECT_EQ(steady({"1300007", "256", "--latency"}), 0);
  // The slices are the whole stream.
  auto checksum = [](const char* more) {
    return Text(RunForRecord({"random_mixed", {"1300007", "64"}, {}, 0, false, false}, {more}),
                "checksum");
  };
  EXPECT_EQ(checksum("--touch=first"), checksum("--latency"));
}

TEST(RandomMixedTest, RecordsAreAppendedToAFile) {
  const std::string path = testing::TempDir() + "/records.jsonl";
  unlink(path.c_str());
  for (const char* seed : {"1", "2"}) {
    Outcome outcome = RunWorkload("random_mixed", {"1e3", "64", seed, "--json", path});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.out, HasSubstr("malloc lives in"));
  }
  std::istringstream lines(ReadFile(path));
  int count = 0;
  for (std::string line; std::getline(lines, line); count++) {
    EXPECT_EQ(Integer(Parse(line), "seed"), count + 1);
  }
  EXPECT_EQ(count, 2);
}

TEST(RandomMixedTest, NamesTheObjectThatServesMalloc) {
  Row row = {"random_mixed", {"1000", "64"}, {}, 0, false, false};
  Json plain = RunForRecord(row, {"--expect-allocator=glibc"});
  EXPECT_EQ(Text(plain, "allocator"), "glibc");
  EXPECT_THAT(Text(plain, "allocator_path"), HasSubstr("libc.so"));
  Json probed = RunForRecord(row, {}, {{"LD_PRELOAD", "workloads/libprobe_malloc.so"}});
  EXPECT_EQ(Text(probed, "allocator"), "unknown");
  EXPECT_THAT(Text(probed, "allocator_path"), HasSubstr("libprobe_malloc.so"));
}

TEST(ListMallocTest, ServesProgramsOfOneThread) {
  const Row rows[] = {
      {"random_mixed", {"20000", "300", "7"}, {}, 20000, true, false},
      {"realloc_grow", {"20000"}, {}, 20000, true, false},
      {"random_mixed", {"20", "4", "--min=5m", "--max=25m"}, {}, 20, true, false},
  };
  for (const Row& row : rows) {
    Json record = RunForRecord(row, {"--verify"}, {{"LD_PRELOAD", "workloads/liblist_malloc.so"}});
    EXPECT_EQ(Text(record, "status"), "ok") << row.name;
    EXPECT_THAT(Text(record, "allocator_path"), HasSubstr("liblist_malloc.so"));
  }
}

// Meanwhile the workload does what it does when it rests, every 50 ms if the machine is quiet.
TEST(ReportTest, MemoryLeftIsLookedAtAfterTheWork) {
  const std::string report = testing::TempDir() + "/left_calls";
  Json record = RunForRecord(
      {"peak_shrink", {"1m", "--rest=light", "--cycles=1"}, {}, 0, false, false}, {"--left"},
      {{"LD_PRELOAD", "workloads/libprobe_malloc.so"}, {"PROBE_REPORT", report}});
  for (const char* key : {"left_1s_bytes", "left_5s_bytes", "left_15s_bytes"}) {
    EXPECT_GT(Integer(record, key), 0) << key;
  }
  json_int_t allocations = 0;
  std::istringstream(ReadFile(report)) >> allocations;
  EXPECT_GE(allocations, Integer(record, "ops") / 2 + 3 * 2000);
  EXPECT_EQ(json_object_get(record.get(), "rss_after_idle_bytes"), nullptr);  // there was no rest
}

TEST(SweepTest, WritesARecordForEachWorkingSet) {
  Outcome outcome = RunWorkload("random_mixed", {"1000", "8", "--sweep-to=64", "--json", "-"});
  ASSERT_EQ(outcome.lines.size(), 4u);
  for (size_t i = 0; i < 4; i++) {
    EXPECT_EQ(Integer(Parse(outcome.lines[i]), "working_set"), 8 << i);
  }
  EXPECT_EQ(RunWorkload("random_mixed", {"1000", "64", "--sweep-to=8"}).exit_code, 2);
  EXPECT_EQ(RunWorkload("random_mixed", {"1000", "8", "--sweep-to=64", "--latency"}).exit_code, 2);
}

TEST(PeakShrinkTest, WritesSamplesBesideItsRecord) {
  Outcome outcome = RunWorkload("peak_shrink", {"1m", "--idle=50", "--cycles=1", "--json", "-"});
  ASSERT_GT(outcome.lines.size(), 20u);
  json_int_t last = -1;
  for (size_t i = 0; i + 1 < outcome.lines.size(); i++) {
    Json sample = Parse(outcome.lines[i]);
    EXPECT_EQ(Text(sample, "schema"), "hakmem.sample.1");
    EXPECT_GE(Integer(sample, "t_ns"), last);
    EXPECT_GT(Integer(sample, "rss_bytes"), 0);
    EXPECT_LE(Integer(sample, "live_bytes"), (1 << 20) + 1040);
    last = Integer(sample, "t_ns");
  }
}

TEST(PeakShrinkTest, MeansAreThoseOfItsSamples) {
  Outcome outcome =
      RunWorkload("peak_shrink",
                  {"8m", "--idle=200", "--survivors=0", "--cycles=2", "--ramp=100", "--json", "-"},
                  {{"LD_PRELOAD", "workloads/libprobe_malloc.so"}});
  double time_ns = 0, rss = 0, live = 0, first_rss = 0;
  Json last(nullptr, &json_decref);
  for (size_t i = 0; i + 1 < outcome.lines.size(); i++) {
    Json sample = Parse(outcome.lines[i]);
    if (last == nullptr) {
      first_rss = static_cast<double>(Integer(sample, "rss_bytes"));
    } else {
      double ns = static_cast<double>(Integer(sample, "t_ns") - Integer(last, "t_ns"));
      auto mean = [&](const char* key) {
        return static_cast<double>(Integer(sample, key) + Integer(last, key)) / 2;
      };
      time_ns += ns;
      rss += ns * mean("rss_bytes");
      live += ns * mean("live_bytes");
    }
    last = std::move(sample);
  }
  ASSERT_GT(time_ns, 0);
  Json record = Parse(outcome.lines.back());
  auto number = [&](const char* key) {
    return json_number_value(json_object_get(record.get(), key));
  };
  constexpr double nearly = 100;  // bytes: a figure is written with six digits
  EXPECT_NEAR(number("mean_rss_bytes"), rss / time_ns, nearly);
  EXPECT_NEAR(number("mean_over_bytes"), (rss - live) / time_ns - first_rss, nearly);
  EXPECT_GT(number("mean_over_bytes"), 4 << 20);  // that allocator gives nothing back
}

TEST(PeakShrinkTest, TheSameWorkIsDoneWhoeverDoesIt) {
  std::map<std::string, Json> records;
  for (const char* hands : {"one", "other", "many"}) {
    Json record = RunForRecord({"peak_shrink", {"1m", "--idle=0", "--survivors=20"}, {}, 0, 0, 0},
                               {"--hands", hands});
    EXPECT_EQ(Text(record, "hands"), hands);
    records.emplace(hands, std::move(record));
  }
  for (const char* hands : {"other", "many"}) {
    for (const char* key : {"ops", "live_bytes"}) {
      EXPECT_EQ(Integer(records.at("one"), key), Integer(records.at(hands), key)) << hands;
    }
    EXPECT_EQ(Text(records.at("one"), "checksum"), Text(records.at(hands), "checksum")) << hands;
  }
}

TEST(PeakShrinkTest, WhatStaysIsLookedAtOnce) {
  // A tenth of each peak: of 1 MiB, then of what is not there yet.
  Json stays = RunForRecord({"peak_shrink", {"1m", "--idle=0", "--survivors=10"}, {}, 0, 0, 0},
                            {"--stay", "--cycles=5"});
  const double mean = (0.1 + 0.19 + 0.271 + 0.3439 + 0.40951) / 5;
  EXPECT_NEAR(static_cast<double>(Integer(stays, "live_bytes")), mean * (1 << 20),
              0.04 * (1 << 20));
}

TEST(EmpiricalTest, ProfileErrorsNameFileAndLine) {
  const std::string path = testing::TempDir() + "/profile.csv";
  const struct {
    const char* text;
    const char* message;
  } kRows[] = {
      {"16, 1, 1\n32; 1, 1\n", "profile.csv:2: expected three numbers: size, rate, live"},
      {"16, 1\n", "profile.csv:1: expected three numbers: size, rate, live"},
      {"# sizes\n\n0, 1, 1\n",
       "profile.csv:3: the size must be a whole number from 1 to 4294967295"},
      {"16, nan, 1\n", "profile.csv:1: expected three numbers: size, rate, live"},
      {"16, 0, 1\n", "profile.csv: no row has a rate and live blocks"},
  };
  for (const auto& row : kRows) {
    std::ofstream(path) << row.text;
    Outcome outcome = RunWorkload("empirical", {"--profile", path});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, HasSubstr(row.message));
  }
}

TEST(EmpiricalTest, LiveBytesHoldNearTheHeapAskedFor) {
  Row row = {"empirical", {"50000", "--heap=16m"}, {}, 0, false, false};
  Json record = RunForRecord(row, {});
  EXPECT_NEAR(static_cast<double>(Integer(record, "live_bytes")), 16 << 20, 0.2 * (16 << 20));
  EXPECT_NEAR(static_cast<double>(Integer(record, "ops")), 100000, 2000);
}

// The share is kept to within one block of each thread, whatever the threads wait for.
TEST(EmpiricalTest, RemoteIsTheShareOfFreesInFact) {
  for (const int percent : {1, 20, 50, 100}) {
    for (const int threads : {2, 5}) {
      const std::vector<std::string> arguments = {"30000", "--heap=4m",
                                                  "--threads=" + std::to_string(threads)};
      Row row = {"empirical", arguments, {}, 0, false, false};
      Json alone = RunForRecord(row, {});
      Json record = RunForRecord(row, {"--remote=" + std::to_string(percent)});
      const json_int_t frees = Integer(record, "frees");
      EXPECT_EQ(frees, Integer(record, "ops") - 30000 * threads);
      EXPECT_NEAR(static_cast<double>(Integer(record, "remote_frees")),
                  static_cast<double>(frees) * percent / 100, threads)
          << percent << " % of " << threads;
      // Who frees a block changes nothing of what lives and when.
      for (const char* key : {"ops", "live_bytes"}) {
        EXPECT_EQ(Integer(alone, key), Integer(record, key)) << key;
      }
      EXPECT_EQ(Text(alone, "checksum"), Text(record, "checksum"));
      EXPECT_EQ(json_object_get(alone.get(), "remote_frees"), nullptr);
    }
  }
}

TEST(EmpiricalTest, EveryBlockThatIsHandedOverIsFreed) {
  std::map<int, uint64_t> left;  // blocks at the end: those of the C library, for threads
  for (const int percent : {0, 1, 60}) {
    const auto [allocations, frees] = CountCalls(
        "empirical", {"20000", "--heap=1m", "--threads=3", "--remote=" + std::to_string(percent)});
    EXPECT_GT(frees, 60000u);
    left[percent] = allocations - frees;
  }
  EXPECT_EQ(left[1], left[0]);
  EXPECT_EQ(left[60], left[0]);
}

TEST(EmpiricalTest, AThreadAloneHasNoOtherToFreeItsBlocks) {
  Outcome outcome = RunWorkload("empirical", {"1000", "--remote=20"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--remote: a thread alone has no other to free its blocks"));
  outcome = RunWorkload("empirical", {"1000", "--threads=2", "--remote=101"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--remote: 101 is outside 0..100"));
}

TEST(CallLatencyTest, EveryCallIsInOneOfTheTwoHistograms) {
  const std::vector<std::string> arguments = {"50000", "1000", "--warmup=0"};
  for (const char* threads : {"--threads=1", "--threads=3"}) {
    Json record = RunForRecord({"call_latency", arguments, {}, 0, false, false}, {threads});
    EXPECT_EQ(Text(record, "mode"), "latency");
    ExpectPercentiles(record, "malloc");
    ExpectPercentiles(record, "free");
    EXPECT_EQ(Integer(record, "malloc_calls") + Integer(record, "free_calls"),
              Integer(record, "ops"));
    EXPECT_GT(Integer(record, "malloc_calls"), Integer(record, "free_calls"));
    // Half of a wave's 7000 calls, on average, bring it a block nearer to where it turns.
    EXPECT_GT(Integer(record, "waves"), 5);
    EXPECT_LT(Integer(record, "waves"), 20);
  }
  // What the record says was called was called. All that lives is freed at the end, untimed.
  Json record = RunForRecord({"call_latency", arguments, {}, 0, false, false}, {});
  const auto [before, freed_before] = CountCalls("call_latency", {"--help"});
  const auto [allocations, frees] = CountCalls("call_latency", arguments);
  EXPECT_EQ(allocations - before, static_cast<uint64_t>(Integer(record, "malloc_calls")));
  EXPECT_EQ(frees - freed_before, allocations - before);
}

TEST(CallLatencyTest, WavesOfTheSmallestPeakTurn) {
  Json record = RunForRecord({"call_latency", {"1000", "8"}, {}, 1000, false, false}, {});
  EXPECT_GT(Integer(record, "waves"), 10);
}

TEST(CallLatencyTest, BadArgumentsAreNamed) {
  const struct {
    std::vector<std::string> arguments;
    const char* message;
  } kRows[] = {
      {{"0"}, "OPS: 0 is outside"},
      {{"1000", "7"}, "PEAK: 7 is outside 8.."},
      {{"--large=101"}, "--large: 101 is outside 0..100"},
      {{"--threads=0"}, "--threads: 0 is outside"},
      {{"--min=64", "--max=32"}, "--min: 64 is above --max 32"},
      {{"--latency"}, "unknown option --latency"},
      {{"--verify"}, "unknown option --verify"},
  };
  for (const auto& row : kRows) {
    Outcome outcome = RunWorkload("call_latency", row.arguments);
    EXPECT_EQ(outcome.exit_code, 2) << row.message;
    EXPECT_THAT(outcome.err, HasSubstr(row.message));
  }
}

TEST(ReplayTest, TraceErrorsNameFileAndLine) {
  const std::string path = testing::TempDir() + "/trace.txt";
  const struct {
    const char* text;
    const char* message;
  } kRows[] = {
      {"1: malloc 0x10 16\nmalloc 0x20 16\n", "trace.txt:2: expected \"<tid>: <call> <values>\""},
      {"1: malloc 0x10\n", "trace.txt:1: not a call that can be replayed"},
      {"1: munmap 0x10 16\n", "trace.txt:1: not a call that can be replayed"},
      {"1: memalign 0x10 24 16\n", "trace.txt:1: the alignment is not a power of two"},
      {"1: calloc 0x10 8589934592 8589934592\n", "trace.txt:1: count * size overflows"},
      {"1: malloc 0x10 16 5\n", "trace.txt:1: not a call that can be replayed"},
      {"1: malloc 0x10 16 5 6 7\n", "trace.txt:1: not a call that can be replayed"},
      {"1: free 0x10\n", "trace.txt: holds no call that can be replayed"},
      {"", "trace.txt: holds no call that can be replayed"},
  };
  for (const auto& row : kRows) {
    std::ofstream(path) << row.text;
    Outcome outcome = RunWorkload("replay", {path});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, HasSubstr(row.message));
  }
  EXPECT_THAT(RunWorkload("replay", {}).err, HasSubstr("TRACE is missing"));
}

// As Android writes traces since it notes when each call began and ended.
TEST(ReplayTest, TimesInATraceAreReadOver) {
  const std::string path = testing::TempDir() + "/timed.txt";
  std::ofstream(path) << "187: malloc 0xb400007b6638c20 20 1000 1020\n"
                         "187: calloc 0xb400007b609f080 32 4 1030 1040\n"
                         "188: memalign 0xb400007b85d0000 16 104 1050 1060\n"
                         "188: realloc 0xb400007b609f100 0xb400007b609f080 12 1070 1080\n"
                         "188: free 0xb400007b6638c20 1090 1100\n"
                         "188: thread_done 0x0 1110\n"
                         "187: free 0xb400007b609f100 1120 1130\n";
  Json record = RunForRecord({"replay", {path}, {}, 0, false, false}, {"--verify"});
  EXPECT_EQ(Integer(record, "ops"), 6);
  EXPECT_EQ(Integer(record, "trace_threads"), 2);
  EXPECT_EQ(Integer(record, "trace_peak_bytes"), 20 + 128 + 104);
}

// With so many threads at the same time there would be no room for their stacks.
TEST(ReplayTest, ThreadsThatFollowOneAnotherDoNotLiveAtTheSameTime) {
  constexpr int kThreads = 6000;
  const std::string path = testing::TempDir() + "/threads.txt";
  std::ofstream trace(path);
  for (int tid = 2; tid < 2 + kThreads; tid++) {
    trace << "1: malloc 0x10 16\n1: free 0x10\n";
    trace << tid << ": malloc 0x20 32\n" << tid << ": thread_done 0x0\n1: free 0x20\n";
  }
  trace.close();
  rlimit before;
  getrlimit(RLIMIT_AS, &before);
  rlimit limit = {4ull << 30, before.rlim_max};
  setrlimit(RLIMIT_AS, &limit);
  Json record = RunForRecord({"replay", {path}, {}, 0, false, false}, {"--verify"});
  setrlimit(RLIMIT_AS, &before);
  EXPECT_EQ(Text(record, "status"), "ok");
  EXPECT_EQ(Integer(record, "trace_threads"), 1 + kThreads);
  EXPECT_EQ(Integer(record, "ops"), 4 * kThreads);
}

TEST(ReplayTest, TellsWhatTheTraceHolds) {
  Row row = {"replay", {"workloads/testdata/three_threads.txt"}, {}, 0, false, false};
  Json record = RunForRecord(row, {"--verify"});
  EXPECT_EQ(Integer(record, "trace_threads"), 4);  // tid 12 ends and comes back
  EXPECT_EQ(Integer(record, "trace_peak_bytes"), 100 + 64 + 64 + 300 + 5000);
  EXPECT_EQ(Integer(record, "trace_unknown_frees"), 1);
  EXPECT_EQ(Integer(record, "trace_failed_calls"), 1);
}

}  // namespace
