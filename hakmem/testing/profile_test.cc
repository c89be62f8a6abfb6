// HAKMEM_PROFILE on programs whose memory is known, and on real ones: the site that holds most
// comes first.

#include <gtest/gtest.h>
#include <jansson.h>
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

Outcome RunAnyProfiled(const std::string& profile, const std::vector<std::string>& argv) {
  RunOptions options;
  options.preload = Library();
  options.environment["HAKMEM_PROFILE"] = profile;
  options.environment["PYTHONMALLOC"] = "malloc";
  options.seconds = 120;
  return RunProgram(argv, options);
}

Outcome RunProfiled(const std::string& profile, const std::vector<std::string>& arguments = {}) {
  std::vector<std::string> argv = {Program()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunAnyProfiled(profile, argv);
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

// The functions that a frame of a program's is in: the innermost first, which has been inlined into
// the next, as far as that is known.
std::vector<std::string> Functions(const std::string& program, const std::string& frame) {
  size_t plus = frame.rfind("+0x");
  if (plus == std::string::npos) return {frame};
  Outcome outcome =
      RunProgram({"addr2line", "-f", "-i", "-C", "-e", program, frame.substr(plus + 1)});
  std::vector<std::string> functions;
  std::istringstream lines(outcome.out);
  for (std::string function, place; std::getline(lines, function) && std::getline(lines, place);) {
    functions.push_back(function);
  }
  return functions;
}

// The function that the innermost frame lies in, one of the program's.
std::string Function(const std::string& frames) {
  std::vector<std::string> functions = Functions(Program(), frames);
  return functions.empty() ? "" : functions[0];
}

// Of a profile in JSON, the stack that had most at the peak.
struct Peak {
  double bytes = 0, objects = 0, all_bytes = 0;
  std::vector<std::string> frames;  // innermost first
};

Peak ReadPeak(const std::string& path) {
  Peak peak;
  std::istringstream lines(ReadFile(path));
  for (std::string text; std::getline(lines, text);) {
    json_t* line = json_loads(text.c_str(), 0, nullptr);
    EXPECT_NE(line, nullptr) << text;
    auto number = [&](const char* key) {
      return static_cast<double>(json_integer_value(json_object_get(line, key)));
    };
    const json_t* frames = json_object_get(line, "frames");
    for (size_t i = 0; i < json_array_size(frames); ++i) {
      std::string frame = json_string_value(json_array_get(frames, i));
      EXPECT_EQ(frame.find("libhakmem.so"), std::string::npos) << text;
    }
    double bytes = number("peak_space");
    peak.all_bytes += bytes;
    if (bytes > peak.bytes) {
      peak.bytes = bytes;
      peak.objects = number("peak_objects");
      peak.frames.clear();
      for (size_t i = 0; i < json_array_size(frames); ++i) {
        peak.frames.push_back(json_string_value(json_array_get(frames, i)));
      }
    }
    json_decref(line);
  }
  return peak;
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
  // (At 1K the threads wait for each other at each ninth block: for minutes, on a busy machine.)
  Outcome outcome = RunProfiled("64K," + folder + "/%p.folded", {"fork"});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.err, "");
  size_t n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::vector<Stack> stacks = Read(entry.path());
    ASSERT_GE(stacks.size(), 3u) << entry.path();
    EXPECT_EQ(Function(stacks[0].frames), "keep_most") << entry.path();
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

TEST(ProfileTest, ManyThreadsKeepMost) {
  std::string path = ScratchDirectory("threads") + "/profile.folded";
  Outcome outcome = RunProfiled("16K," + path, {"threads"});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  std::vector<Stack> stacks = Read(path);
  ASSERT_GE(stacks.size(), 3u);
  EXPECT_EQ(Function(stacks[0].frames), "keep_of_thread");
  // 256000 blocks of 112 bytes: 1750 samples, 42 of which are a standard deviation.
  EXPECT_NEAR(static_cast<double>(stacks[0].bytes), 28.7e6, 5 * 28.7e6 / 42);
}

// Where its library was has no name any more. Who called it has.
TEST(ProfileTest, ALibraryThatIsClosedKeepsMost) {
  std::string path = ScratchDirectory("plugin") + "/profile.folded";
  Outcome outcome =
      RunProfiled("16K," + path, {"plugin", Runfile("hakmem/testing/libprofile_plugin.so")});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  std::vector<Stack> stacks = Read(path);
  ASSERT_GE(stacks.size(), 3u);
  size_t last = stacks[0].frames.rfind(';');
  ASSERT_NE(last, std::string::npos) << stacks[0].frames;
  EXPECT_EQ(stacks[0].frames.compare(last, 3, ";0x"), 0) << stacks[0].frames;
  EXPECT_EQ(Function(stacks[0].frames.substr(0, last)), "use_plugin");
}

TEST(ProfileTest, ALibraryWithTwoSegmentsOfCode) {
  std::string library = Runfile("hakmem/testing/libprofile_plugin.so");
  std::string path = ScratchDirectory("library") + "/profile.folded";
  Outcome outcome = RunProfiled("16K," + path, {"library", library});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  std::vector<Stack> stacks = Read(path);
  ASSERT_GE(stacks.size(), 4u);
  std::vector<std::string> expected = {"plugin_leak", "plugin_leak_less"};
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::string& frames = stacks[i].frames;
    std::string frame = frames.substr(frames.rfind(';') + 1);
    EXPECT_EQ(frame.find("libprofile_plugin.so+0x"), 0u) << frames;
    EXPECT_EQ(Functions(library, frame), std::vector<std::string>{expected[i]}) << frames;
  }
}

// At exit: what a destructor frees is no leak. And a frame is of several functions.
TEST(ProfileTest, LeaksOfACppProgram) {
  std::string program = Runfile("hakmem/testing/profile_cpp_program");
  std::string path = ScratchDirectory("cpp") + "/profile.folded";
  Outcome outcome = RunAnyProfiled("16K," + path, {program});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  std::vector<Stack> stacks = Read(path);
  ASSERT_GE(stacks.size(), 2u);
  // (The innermost frame is the C++ library's, of operator new.)
  size_t own = stacks[0].frames.rfind("profile_cpp_program+");
  ASSERT_NE(own, std::string::npos) << stacks[0].frames;
  std::string frame = stacks[0].frames.substr(own);
  std::vector<std::string> functions = Functions(program, frame.substr(0, frame.find(';')));
  ASSERT_EQ(functions.size(), 2u) << stacks[0].frames;
  // (addr2line may call what was inlined by the symbol that it lies in.)
  EXPECT_NE(functions[1].find("Leak"), std::string::npos) << functions[1];
  EXPECT_EQ(functions[1].find("LeakLess"), std::string::npos) << functions[1];
  EXPECT_LT(stacks[0].bytes, 20000000u) << "40 MB of it were freed";
}

TEST(ProfileTest, Python) {
  Outcome which = RunProgram({"python3", "-c", "import sys; print(sys.executable)"});
  if (!which.Succeeded()) GTEST_SKIP() << "no python3";
  std::string python = which.out.substr(0, which.out.find('\n'));
  std::string path = ScratchDirectory("python") + "/profile.jsonl";
  Outcome outcome = RunAnyProfiled(
      "64K," + path, {python, "-c", "kept = [bytes(1000) + b'x' for i in range(20000)]"});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.err, "");
  // (It frees them before it ends.)
  Peak peak = ReadPeak(path);
  EXPECT_GT(peak.bytes, peak.all_bytes / 2);
  EXPECT_NEAR(peak.bytes, 21e6, 5e6);
  EXPECT_GE(peak.bytes / peak.objects, 1001 + 24);
  EXPECT_LE(peak.bytes / peak.objects, 1300);
  ASSERT_GT(peak.frames.size(), 3u);
  EXPECT_NE(peak.frames[0].find("python"), std::string::npos) << peak.frames[0];
}

// Pages of a table in memory, of 4 KiB and what sqlite puts beside them.
TEST(ProfileTest, Sqlite) {
  if (RunProgram({"sqlite3", "--version"}).exit_code != 0) GTEST_SKIP() << "no sqlite3";
  std::string path = ScratchDirectory("sqlite") + "/profile.jsonl";
  Outcome outcome = RunAnyProfiled(
      "64K," + path,
      {"sqlite3", ":memory:",
       "create table t(a,b); with recursive n(i) as (select 1 union all select i+1 from n where "
       "i<60000) insert into t select i, hex(randomblob(100)) from n; select count(*) from t;"});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.out, "60000\n");
  Peak peak = ReadPeak(path);
  EXPECT_GT(peak.bytes, peak.all_bytes / 2);
  EXPECT_GE(peak.bytes / peak.objects, 4096);
  EXPECT_LE(peak.bytes / peak.objects, 5120);
  ASSERT_GT(peak.frames.size(), 5u);
  EXPECT_NE(peak.frames[0].find("sqlite"), std::string::npos) << peak.frames[0];
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
