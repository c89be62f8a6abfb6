// Tests of hakrun's parts that need no process: places in JSON texts, perf's files, checks
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
}

namespace {

std::string WriteFile(const std::string& name, const std::string& text) {
  std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path) << text;
  return path;
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
    EXPECT_FALSE(json_is_number(json_object_get(record, key))) << key;
  }
  EXPECT_DOUBLE_EQ(json_real_value(json_object_get(record, "perf_user_s")), 153e-9);
  json_decref(record);
}

}  // namespace
