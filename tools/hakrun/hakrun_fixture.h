// What hakrun's tests share: a folder for each test, experiments written into it, the records that
// come of them.

#ifndef HAKMEM_TOOLS_HAKRUN_HAKRUN_FIXTURE_H_
#define HAKMEM_TOOLS_HAKRUN_HAKRUN_FIXTURE_H_

#include <gtest/gtest.h>
#include <jansson.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "tools/common/test_shell.h"

using tools_testing::Outcome;
using tools_testing::Shell;

using Json = std::unique_ptr<json_t, decltype(&json_decref)>;

inline std::string Probe() {
  char* path = realpath("workloads/libprobe_malloc.so", nullptr);
  std::string probe = path;
  free(path);
  return probe;
}

inline std::string Text(const Json& record, const char* key) {
  const char* text = json_string_value(json_object_get(record.get(), key));
  return text != nullptr ? text : "(none)";
}

inline json_int_t Integer(const Json& record, const char* key) {
  return json_integer_value(json_object_get(record.get(), key));
}

// The processors that this process may use.
inline std::vector<int> Processors() {
  cpu_set_t allowed;
  std::vector<int> processors;
  sched_getaffinity(0, sizeof(allowed), &allowed);
  for (int i = 0; i < CPU_SETSIZE; i++) {
    if (CPU_ISSET(i, &allowed)) processors.push_back(i);
  }
  return processors;
}

class HakrunTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
    Shell("rm -rf " + folder_ + " && mkdir -p " + folder_);
  }

  std::string Hakrun(const std::string& arguments) {
    return "tools/hakrun/hakrun " + arguments + " --out " + folder_ + "/results";
  }

  std::string Write(const std::string& text) {
    std::string path = folder_ + "/experiment.json";
    std::ofstream(path) << text;
    return path;
  }

  // An experiment with one workload and one phase.
  std::string WriteOne(const std::string& args, const std::string& allocator,
                       const std::string& more_of_phase = "", const std::string& more = "") {
    return Write("{\"title\": \"t\", \"runs\": 1, \"warmup_runs\": 0" + more +
                 ",\n\"workloads\": [{\"name\": \"random_mixed\", \"args\": [" + args +
                 "]}],\n\"phases\": [{\"allocator\": \"" + allocator + "\"" + more_of_phase +
                 "}]}\n");
  }

  // An experiment with several phases, one round, all at the same time.
  std::string WriteDuet(const std::string& args, const std::string& phases,
                        const std::string& more = "") {
    return Write("{\"title\": \"t\", \"runs\": 1, \"warmup_runs\": 0, \"duet\": true" + more +
                 ",\n\"workloads\": [{\"name\": \"random_mixed\", \"args\": [" + args +
                 "]}],\n\"phases\": [" + phases + "]}\n");
  }

  // All lines that were written, in order.
  std::vector<Json> Lines() {
    std::vector<Json> lines;
    std::istringstream text(Shell("cat " + folder_ + "/results/*/*.jsonl").output);
    for (std::string line; std::getline(text, line);) {
      lines.emplace_back(json_loads(line.c_str(), JSON_REJECT_DUPLICATES, nullptr), &json_decref);
      EXPECT_NE(lines.back(), nullptr) << line;
    }
    return lines;
  }

  std::vector<Json> Records() {
    std::vector<Json> lines = Lines();
    lines.erase(
        std::remove_if(lines.begin(), lines.end(),
                       [](const Json& line) { return Text(line, "schema") != "hakmem.record.1"; }),
        lines.end());
    return lines;
  }

  std::string folder_;
};

#endif  // HAKMEM_TOOLS_HAKRUN_HAKRUN_FIXTURE_H_
