// Tests of running programs: that several run at the same time, and that the end of one is no
// other's.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

extern "C" {
#include "tools/hakrun/process.h"
}

namespace {

class ProcessTest : public testing::Test {
 protected:
  ProcessTest() {
    std::string name = testing::TempDir() + "/process_test-XXXXXX";
    folder_ = mkdtemp(name.data());
    process_start();
  }

  // Shell commands that run at the same time, in the test's folder.
  std::vector<process_result> Run(const std::vector<std::string>& commands, int timeout_s = 60) {
    std::vector<std::string> lines, outputs;
    for (const std::string& command : commands) {
      lines.push_back("cd " + folder_ + "; " + command);
      outputs.push_back(folder_ + "/output" + std::to_string(outputs.size()));
    }
    std::vector<std::vector<const char*>> argvs;
    std::vector<process_spec> specs;
    for (const std::string& line : lines) argvs.push_back({"sh", "-c", line.c_str(), nullptr});
    for (size_t i = 0; i < argvs.size(); i++) {
      specs.push_back({argvs[i].data(), outputs[i].c_str(), nullptr, timeout_s, nullptr});
    }
    std::vector<process_result> results(specs.size());
    process_run(specs.data(), specs.size(), results.data());
    return results;
  }

  std::string Output(int i) {
    std::ifstream file(folder_ + "/output" + std::to_string(i));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder_;
};

// Each end of a pipe waits until the other is opened: one after the other they would wait for ever.
TEST_F(ProcessTest, SeveralRunAtTheSameTime) {
  ASSERT_EQ(mkfifo((folder_ + "/to").c_str(), 0600), 0);
  ASSERT_EQ(mkfifo((folder_ + "/fro").c_str(), 0600), 0);
  std::vector<process_result> results =
      Run({"echo ping >to; cat fro", "cat to; echo pong >fro", "exit 3"});
  for (size_t i = 0; i < 3; i++) {
    EXPECT_EQ(results[i].end, PROCESS_EXITED);
    EXPECT_EQ(results[i].pid, 0);
    EXPECT_EQ(WEXITSTATUS(results[i].status), i == 2 ? 3 : 0);
  }
  EXPECT_EQ(Output(0), "pong\n");
  EXPECT_EQ(Output(1), "ping\n");
}

TEST_F(ProcessTest, TheEndOfOneIsNotTheOthers) {
  std::vector<process_result> results = Run({"kill -SEGV $$", "exit 0", "sleep 1000"}, 1);
  EXPECT_EQ(results[0].end, PROCESS_EXITED);
  EXPECT_TRUE(WIFSIGNALED(results[0].status));
  EXPECT_EQ(WTERMSIG(results[0].status), SIGSEGV);
  EXPECT_EQ(results[1].end, PROCESS_EXITED);
  EXPECT_TRUE(WIFEXITED(results[1].status));
  EXPECT_EQ(results[2].end, PROCESS_TIMED_OUT);
  EXPECT_GE(results[2].duration_s, 1);
}

TEST_F(ProcessTest, AnInterruptionEndsThoseThatStillRun) {
  const std::string interrupt = "kill -INT " + std::to_string(getpid());
  std::vector<process_result> results =
      Run({"sleep 1000", "sleep 1000", interrupt + "; sleep 1000"});
  for (const process_result& result : results) EXPECT_EQ(result.end, PROCESS_INTERRUPTED);
}

}  // namespace
