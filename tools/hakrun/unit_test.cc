// Tests of hakrun's parts that need no process: hashes, places in JSON texts, perf's files, checks
// of experiments.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jansson.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <string>

extern "C" {
#include "tools/hakrun/json_line.h"
#include "tools/hakrun/perf.h"
#include "tools/hakrun/sha256.h"
#include "tools/hakrun/summary.h"
}

namespace {

std::string WriteFile(const std::string& name, const std::string& text) {
  std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path) << text;
  return path;
}

// The examples of FIPS 180-4, and lengths around the padding's edges hashed with sha256sum.
TEST(Sha256Test, AgreesWithTheStandard) {
  const struct {
    std::string text;
    const char* hex;
  } kRows[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1000000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const auto& row : kRows) {
    char hex[SHA256_HEX_BYTES];
    sha256_of_bytes(row.text.data(), row.text.size(), hex);
    EXPECT_STREQ(hex, row.hex);
    ASSERT_TRUE(sha256_of_file(WriteFile("hashed", row.text).c_str(), hex));
    EXPECT_STREQ(hex, row.hex);
  }
  char hex[SHA256_HEX_BYTES];
  EXPECT_FALSE(sha256_of_file("/nonexistent", hex));
}

TEST(JsonLineTest, FindsKeysAndElements) {
  const char* text =
      "{\n"                                                // 1
      "  \"title\": \"a \\\"phases\\\": [ {\",\n"          // 2
      "  \"workloads\": [{\"name\": \"x\"}, 5, [1, 2],\n"  // 3
      "    {\"name\": \"y\",\n"                            // 4
      "     \"args\": [\"1\",\n"                           // 5
      "       2]}],\n"                                     // 6
      "  \"phases\": [\n"                                  // 7
      "    {\"env\": {\"A\": 1,\n"                         // 8
      "      \"B\": 2}}]\n"                                // 9
      "}\n";
  const struct {
    const char* path;
    int line;
  } kRows[] = {
      {"", 1},
      {"/title", 2},
      {"/workloads", 3},
      {"/workloads/3", 4},
      {"/workloads/3/args", 5},
      {"/workloads/3/args/1", 6},
      {"/phases/0/env/B", 9},
      {"/phases/0/env/C", 8},  // not there: the place of what is
      {"/phases/7", 7},
      {"/nothing", 1},
  };
  for (const auto& row : kRows) EXPECT_EQ(json_line_of(text, row.path), row.line) << row.path;
}

// A phase is compared within each round; a run without a figure takes its partner out. In a duet
// processor time is compared.
TEST(SummaryTest, ComparesRunByRun) {
  static experiment plan;
  static summary all;
  plan.title = "Title";
  plan.runs = 3;
  plan.workload_count = 1;
  plan.workloads[0].name = plan.workloads[0].label = "large";
  plan.phase_count = 2;
  plan.phases[0] = {};
  plan.phases[1] = {};
  plan.phases[0].label = "one";
  plan.phases[1].label = "other";
  plan.phases[1].index = 1;
  ASSERT_EQ(summary_prepare(&all, &plan), 2);
  summary_pair* one = &all.pairs[0][0];
  summary_pair* other = &all.pairs[0][1];
  one->ok = 3;
  one->runs[0] = {100, 101, 40};
  one->runs[1] = {200, 102, 10};
  one->runs[2] = {0.000123456, 103, 20};
  other->ok = 2;
  other->failed = 1;
  other->runs[0] = {110, NAN, 41};
  other->runs[1] = {230, NAN, 11};
  testing::internal::CaptureStdout();
  summary_print(&all, &plan);
  std::string table = testing::internal::GetCapturedStdout();
  EXPECT_EQ(table,
            "Title (Mops/s)\n\n"
            "large     median      min      max   steady   change\n"
            "  one        100 0.0001235      200      102            3 runs\n"
            "  other      170      110      230        -   +12.5%   2 runs, 1 failed\n");
  plan.is_duet = true;
  testing::internal::CaptureStdout();
  summary_print(&all, &plan);
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "Title (CPU ns per operation)\n\n"
            "large     median      min      max   change\n"
            "  one         20       10       40            3 runs\n"
            "  other       26       11       41   +6.25%   2 runs, 1 failed\n");
  EXPECT_EQ(summary_failed(&all, &plan), 1u);
}

json_t* ReadPerf(const std::string& text) {
  json_t* record = json_object();
  EXPECT_TRUE(perf_read(WriteFile("perf.csv", text).c_str(), record));
  return record;
}

TEST(PerfTest, ReadsValuesInTheirUnits) {
  json_t* record = ReadPerf(
      "# started on Sun Nov 22 17:46:39 2026\n\n"
      "173429212;ns;duration_time;173429212;100.00;;\n"
      "156056000;ns;user_time;156056000;100.00;;\n"
      "16056000;ns;system_time;16056000;100.00;;\n"
      "171.52;msec;task-clock;171521234;100.00;0.989;CPUs utilized\n"
      "21250;;page-faults;171521234;100.00;123.891;K/sec\n"
      "21249;;minor-faults;171521234;100.00;123.885;K/sec\n"
      "1;;major-faults;171521234;100.00;5.830;/sec\n"
      "480000123;;cycles:u;171521234;100.00;2.798;GHz\n"
      "20000001;;cycles:k;171521234;100.00;0.117;GHz\n"
      "1000000007;;instructions:u;171521234;100.00;2.08;insn per cycle\n");
  EXPECT_DOUBLE_EQ(json_real_value(json_object_get(record, "perf_duration_s")), 0.173429212);
  EXPECT_DOUBLE_EQ(json_real_value(json_object_get(record, "perf_user_s")), 0.156056);
  EXPECT_DOUBLE_EQ(json_real_value(json_object_get(record, "perf_system_s")), 0.016056);
  EXPECT_DOUBLE_EQ(json_real_value(json_object_get(record, "perf_task_clock_s")), 0.17152);
  EXPECT_EQ(json_integer_value(json_object_get(record, "perf_page_faults")), 21250);
  EXPECT_EQ(json_integer_value(json_object_get(record, "perf_major_faults")), 1);
  EXPECT_EQ(json_integer_value(json_object_get(record, "perf_cycles_user")), 480000123);
  EXPECT_EQ(json_integer_value(json_object_get(record, "perf_cycles_kernel")), 20000001);
  EXPECT_EQ(json_integer_value(json_object_get(record, "perf_instructions_user")), 1000000007);
  // Asked for, but not in the file.
  EXPECT_TRUE(json_is_null(json_object_get(record, "perf_cpu_migrations")));
  json_decref(record);
}

TEST(PerfTest, WhatWasNotCountedIsUnknown) {
  json_t* record = ReadPerf(
      "<not counted>;ns;system_time;0;100.00;;\n"
      "<not supported>;;cycles:u;0;100.00;;\n"
      "48;;page-faults:u;781306;100.00;61.436;K/sec\n"  // an unprivileged perf: no kernel faults
      "153;ns;user_time:u;153;100.00;;\n");
  for (const char* key : {"perf_system_s", "perf_cycles_user", "perf_page_faults"}) {
    EXPECT_TRUE(json_is_null(json_object_get(record, key))) << key;
  }
  EXPECT_DOUBLE_EQ(json_real_value(json_object_get(record, "perf_user_s")), 153e-9);
  json_decref(record);
}

}  // namespace
