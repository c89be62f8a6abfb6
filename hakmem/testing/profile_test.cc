// HAKMEM_PROFILE on a program whose memory is known: the site that holds most comes first.

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

std::string Program() { return Runfile("hakmem/testing/profile_program"); }

Outcome RunProfiled(const std::string& profile, const std::vector<std::string>& arguments = {}) {
  RunOptions options;
  options.preload = Library();
  options.environment["HAKMEM_PROFILE"] = profile;
  options.seconds = 120;
  std::vector<std::string> argv = {Program()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunProgram(argv, options);
}

struct Stack {
  uint64_t bytes;
  std::string frames;
};

std::vector<Stack> Read(const std::string& path) {
  std::vector<Stack> stacks;
  std::istringstream lines(ReadFile(path));
  for (std::string line; std::getline(lines, line);) {
    size_t space = line.rfind(' ');
    if (space == std::string::npos) continue;
    stacks.push_back({std::stoull(line.substr(space + 1)), line.substr(0, space)});
  }
  std::sort(stacks.begin(), stacks.end(),
            [](const Stack& a, const Stack& b) { return a.bytes > b.bytes; });
  return stacks;
}

// The function that the innermost frame lies in, one of the program's.
std::string Function(const std::string& frames) {
  size_t plus = frames.rfind("+0x");
  if (plus == std::string::npos) return frames;
  Outcome outcome = RunProgram({"addr2line", "-f", "-e", Program(), frames.substr(plus + 1)});
  return outcome.out.substr(0, outcome.out.find('\n'));
}

TEST(ProfileTest, TheSiteThatHoldsMostIsFirst) {
  std::string path = ScratchDirectory("first") + "/profile.folded";
  Outcome outcome = RunProfiled("16K," + path);
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.out, "done\n");
  EXPECT_EQ(outcome.err, "");
  std::vector<Stack> stacks = Read(path);
  ASSERT_GE(stacks.size(), 3u);
  EXPECT_EQ(Function(stacks[0].frames), "keep_most");
  // 100000 blocks of 112 bytes in 16 KiB each: 26 of 683 samples are a standard deviation.
  EXPECT_NEAR(static_cast<double>(stacks[0].bytes), 11.2e6, 5 * 11.2e6 / 26);
  for (const Stack& stack : stacks) EXPECT_NE(Function(stack.frames), "churn");
}

TEST(ProfileTest, EachProcessHasAFileOfItsOwn) {
  std::string folder = ScratchDirectory("fork");
  Outcome outcome = RunProfiled("1K," + folder + "/%p.pb", {"fork"});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.err, "");
  size_t n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    EXPECT_GT(entry.file_size(), 100u);
    n++;
  }
  EXPECT_EQ(n, 11u);
}

// By the background thread: the program sleeps.
TEST(ProfileTest, AnIdleProgramIsHeardOf) {
  std::string folder = ScratchDirectory("idle"), first = folder + "/0001.folded";
  for (bool is_signal : {true, false}) {
    std::vector<std::string> arguments = {"wait", first};
    if (is_signal) arguments.push_back(std::to_string(SIGUSR2));
    Outcome outcome = RunProfiled(
        "16K," + folder + "/%n.folded," + (is_signal ? "signal=USR2" : "every=100ms"), arguments);
    ASSERT_TRUE(outcome.Succeeded()) << outcome;
    EXPECT_EQ(outcome.err, "");
    // (At an interval the first may be written before there is much, or while it grows.)
    std::string last;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      last = std::max(last, entry.path().string());
    }
    EXPECT_NE(last, first);
    for (const std::string& path : {is_signal ? first : last, last}) {
      std::vector<Stack> stacks = Read(path);
      ASSERT_GE(stacks.size(), 3u) << path;
      EXPECT_EQ(Function(stacks[0].frames), "keep_most") << path;
    }
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::filesystem::remove(entry.path());
    }
  }
}

TEST(ProfileTest, WhatIsNotUnderstoodIsNamed) {
  for (const char* value : {"", "x", "0", "2G", "512K,", "512K,signal=KILL"}) {
    Outcome outcome = RunProfiled(value);
    EXPECT_TRUE(outcome.Succeeded()) << outcome;
    if (*value == '\0') continue;  // not set
    EXPECT_NE(outcome.err.find("hakmem: HAKMEM_PROFILE=" + std::string(value)), std::string::npos)
        << outcome;
  }
  Outcome outcome = RunProfiled("512K,/no/such/folder/file");
  EXPECT_NE(outcome.err.find("/no/such/folder/file: errno 2"), std::string::npos) << outcome;
}

}  // namespace
}  // namespace hakmem_testing
