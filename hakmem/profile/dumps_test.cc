// Profiles that are written while the program runs: at signals, at an interval, and by children.

extern "C" {
#include "hakmem/profile/dumps.h"

#include "hakmem/heap/sampling.h"
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
}

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "hakmem/testing/support.h"

namespace {

// An empty folder, and the option's value for collapsed stacks in it.
std::string Folder(const std::string& name) {
  std::string folder = testing::TempDir() + "/dumps_" + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  return folder;
}

std::set<std::string> FilesOf(const std::string& folder) {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files.insert(entry.path().filename());
  }
  return files;
}

// The sum of what a file of collapsed stacks says.
uint64_t BytesIn(const std::string& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in) << path;
  uint64_t bytes = 0;
  for (std::string line; std::getline(in, line);) {
    bytes += std::stoull(line.substr(line.rfind(' ') + 1));
  }
  return bytes;
}

bool StartOption(const std::string& value) {
  EXPECT_TRUE(hak_option_set(HAK_OPTION_profile, value.c_str()));
  return hak_dumps_start();
}

// What nobody's slow path does in a test that waits.
void Tick() { hak_tick_run(); }

using Names = std::set<std::string>;

TEST_IN_CHILD(Dumps, AtASignalByTheTick) {
  std::string folder = Folder("signal");
  EXPECT_TRUE(StartOption("1," + folder + "/%n.folded,signal=USR2")) << "it needs a thread";
  void* block = hak_malloc(1000);
  Tick();
  EXPECT_EQ(FilesOf(folder), Names{});
  raise(SIGUSR2);
  EXPECT_EQ(FilesOf(folder), Names{}) << "nothing is written in the handler";
  Tick();
  EXPECT_EQ(FilesOf(folder), Names{"0001.folded"});
  EXPECT_GE(BytesIn(folder + "/0001.folded"), hak_good_size(1000));
  Tick();
  EXPECT_EQ(FilesOf(folder), Names{"0001.folded"});
  hak_free(block);
  raise(SIGUSR2);
  Tick();
  EXPECT_EQ(BytesIn(folder + "/0001.folded") - BytesIn(folder + "/0002.folded"),
            hak_good_size(1000));
  hak_dumps_finish();
  EXPECT_EQ(FilesOf(folder), (Names{"0001.folded", "0002.folded", "0003.folded"}));
}

TEST_IN_CHILD(Dumps, AtAnInterval) {
  std::string folder = Folder("every");
  EXPECT_TRUE(StartOption("512K," + folder + "/%n.pb,every=1ms"));
  for (int n = 0; n < 3;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    Tick();
    int found = static_cast<int>(FilesOf(folder).size());
    ASSERT_LE(found, n + 1) << "a tick writes one";
    n = found;
  }
  EXPECT_EQ(FilesOf(folder), (Names{"0001.pb", "0002.pb", "0003.pb"}));
}

TEST_IN_CHILD(Dumps, WithoutANumberTheLastStays) {
  std::string folder = Folder("last");
  EXPECT_TRUE(StartOption("1," + folder + "/x.folded,signal=USR2"));
  void* block = hak_malloc(100000);
  raise(SIGUSR2);
  Tick();
  uint64_t before = BytesIn(folder + "/x.folded");
  hak_free(block);
  raise(SIGUSR2);
  Tick();
  EXPECT_EQ(before - BytesIn(folder + "/x.folded"), hak_good_size(100000));
  EXPECT_EQ(FilesOf(folder), Names{"x.folded"});
}

TEST_IN_CHILD(Dumps, ToggledBySignals) {
  std::string folder = Folder("toggle");
  void* before = hak_malloc(100000);
  EXPECT_TRUE(StartOption("1," + folder + "/%n.folded,toggle=USR1,signal=USR2"));
  EXPECT_FALSE(hak_sampling_is_on());
  raise(SIGUSR2);
  Tick();
  EXPECT_EQ(FilesOf(folder), Names{}) << "there is nothing to write yet";
  raise(SIGUSR1);
  Tick();
  EXPECT_TRUE(hak_sampling_is_on());
  void* block = hak_malloc(200000);
  raise(SIGUSR1);
  Tick();
  EXPECT_FALSE(hak_sampling_is_on());
  EXPECT_EQ(FilesOf(folder), Names{"0001.folded"});
  uint64_t bytes = BytesIn(folder + "/0001.folded");
  EXPECT_GE(bytes, hak_good_size(200000));
  void* after = hak_malloc(400000);
  raise(SIGUSR2);
  Tick();
  EXPECT_EQ(BytesIn(folder + "/0002.folded"), bytes);
  for (void* each : {before, block, after}) hak_free(each);
  raise(SIGUSR1);
  Tick();
  EXPECT_TRUE(hak_sampling_is_on()) << "again";
}

TEST_IN_CHILD(Dumps, AChildHasNumbersOfItsOwn) {
  std::string folder = Folder("child");
  EXPECT_TRUE(StartOption("1," + folder + "/%p.%n.pb,signal=USR2"));
  std::string mine = std::to_string(getpid());
  raise(SIGUSR2);
  Tick();
  raise(SIGUSR2);  // is still to be seen to: by this process
  pid_t child = fork();
  if (child == 0) {
    Tick();
    raise(SIGUSR2);
    Tick();
    hak_dumps_finish();
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  Tick();
  std::string its = std::to_string(child);
  EXPECT_EQ(FilesOf(folder),
            (Names{mine + ".0001.pb", mine + ".0002.pb", its + ".0001.pb", its + ".0002.pb"}));
}

// As after vfork: it has its parent's memory, and is not who was asked.
TEST_IN_CHILD(Dumps, AnotherProcessInThisMemoryWritesNothing) {
  std::string folder = Folder("vfork");
  EXPECT_TRUE(StartOption("1," + folder + "/%n.pb,signal=USR2"));
  EXPECT_TRUE(hak::PassesAfter(hak::BareFork, [] {
    raise(SIGUSR2);
    Tick();
    hak_dumps_finish();
  }));
  EXPECT_EQ(FilesOf(folder), Names{});
}

TEST_IN_CHILD(Dumps, WhatCannotBeWrittenIsSaidOnce) {
  EXPECT_TRUE(StartOption("1,/no/such/folder/%n.pb,signal=USR2"));
  auto signalled = [] {
    raise(SIGUSR2);
    Tick();
  };
  EXPECT_EQ(hak::StderrOf(signalled),
            "hakmem: the heap profile cannot be written to /no/such/folder/0001.pb: errno 2 (the "
            "program goes on; said once)\n");
  EXPECT_EQ(hak::StderrOf(signalled), "");
}

}  // namespace
