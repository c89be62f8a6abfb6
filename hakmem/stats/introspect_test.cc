// glibc's introspection functions: what they return, write, and say of a stream that fails.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/options/options.h"
#include "hakmem/stats/introspect.h"
}

namespace {

constexpr size_t kMib = 1024 * 1024;

// No purge by the clock, and no huge pages, whose unused parts count as committed.
void KeepSimple() {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thp, "never"));
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "-1"));
}

TEST_IN_CHILD(IntrospectTest, TrimGivesBackWhatIsFreeAndSaysSo) {
  KeepSimple();
  EXPECT_FALSE(hak_introspect_trim());
  auto* block = static_cast<char*>(hak_malloc(3 * kMib));
  block[0] = 1;
  hak_free(block);
  EXPECT_TRUE(hak::IsResident(block));
  EXPECT_TRUE(hak_introspect_trim());
  EXPECT_FALSE(hak::IsResident(block));
  EXPECT_FALSE(hak_introspect_trim());
}

TEST_IN_CHILD(IntrospectTest, TrimEmptiesTheCallersCache) {
  KeepSimple();
  std::vector<void*> blocks;
  for (int i = 0; i < 5000; ++i) blocks.push_back(hak_malloc(100));
  for (void* block : blocks) hak_free(block);
  EXPECT_GT(hak_introspect_mallinfo2().smblks, 0u);
  EXPECT_TRUE(hak_introspect_trim());
  EXPECT_EQ(hak_introspect_mallinfo2().smblks, 0u);
}

TEST_IN_CHILD(IntrospectTest, Mallinfo2AddsUp) {
  KeepSimple();
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; ++i) blocks.push_back(hak_malloc(256));
  blocks.push_back(hak_malloc(100000));
  blocks.push_back(hak_malloc(5 * kMib));
  struct mallinfo2 info = hak_introspect_mallinfo2();
  EXPECT_EQ(info.hblks, 1u);
  EXPECT_EQ(info.hblkhd, 5 * kMib);
  EXPECT_EQ(info.uordblks, 1000 * 256 + hak_good_size(100000) + 5 * kMib);
  EXPECT_EQ(info.uordblks + info.fordblks, info.arena + info.hblkhd);
  EXPECT_EQ(info.keepcost, 0u);
  EXPECT_EQ(info.usmblks, 0u);
  for (void* block : blocks) hak_free(block);
  info = hak_introspect_mallinfo2();
  EXPECT_EQ(info.uordblks, 0u);
  EXPECT_EQ(info.hblks, 0u);
  EXPECT_GE(info.keepcost, 5 * kMib);
}

TEST_IN_CHILD(IntrospectTest, StatsAreATableOnStderr) {
  std::vector<void*> blocks;
  for (int i = 0; i < 77; ++i) blocks.push_back(hak_malloc(640));
  std::string text = hak::StderrOf([] { hak_introspect_print(); });
  std::istringstream lines(text);
  bool has_class = false, has_mmap = false;
  unsigned long long committed = 0, live_bytes = 0, reasons = 0;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(line.substr(0, 8), "hakmem: ") << line;
    EXPECT_LT(line.size(), 120u) << line;
    char name[16];
    unsigned long long calls = 0, call_bytes = 0, failures = 1, us = 0;
    has_mmap |= sscanf(line.c_str(), "hakmem: %15s %llu %llu %llu %llu", name, &calls, &call_bytes,
                       &failures, &us) == 5 &&
                name == std::string("mmap") && calls > 0 && call_bytes > 0 && failures == 0;
    unsigned size_class = 0, bytes = 0, slabs = 0, capacity = 0, live = 0;
    int n = sscanf(line.c_str(), "hakmem: %u %u %u %u %u", &size_class, &bytes, &slabs, &capacity,
                   &live);
    unsigned long long bytes_of = 0;
    if (sscanf(line.c_str(), "hakmem: committed %llu bytes", &bytes_of) == 1) committed = bytes_of;
    if (sscanf(line.c_str(), "hakmem: live %llu bytes", &bytes_of) == 1) live_bytes = bytes_of;
    bool is_reason = line.compare(8, 2, "  ") == 0 && isalpha(line[10]);
    if (is_reason && sscanf(line.c_str(), "hakmem: %*[a-z ] %llu bytes", &bytes_of) == 1) {
      reasons += bytes_of;
    }
    has_class |= n == 5 && bytes == 640 && slabs == 1 && live == 77;
  }
  EXPECT_TRUE(has_class) << text;
  EXPECT_TRUE(has_mmap) << text;
  EXPECT_EQ(live_bytes, 77u * 640);
  EXPECT_EQ(reasons, committed - live_bytes) << text;
  EXPECT_THAT(text, testing::HasSubstr(std::string("version ") + hak_version()));
}

// Each line is one tag, with attributes in quotes; tags close in the order they open.
TEST_IN_CHILD(IntrospectTest, XmlIsWellFormed) {
  std::set<unsigned> classes;
  for (size_t size = 1; size <= 32768; size += 499) {
    ASSERT_NE(hak_malloc(size), nullptr);
    classes.insert(hak_size_class(size));
  }
  char* buffer = nullptr;
  size_t length = 0;
  FILE* stream = open_memstream(&buffer, &length);
  EXPECT_EQ(hak_introspect_xml(stream), 0);
  fclose(stream);
  std::istringstream lines(std::string(buffer, length));
  free(buffer);
  std::vector<std::string> open;
  size_t sizes = 0;
  for (std::string line; std::getline(lines, line);) {
    ASSERT_GE(line.size(), 3u);
    ASSERT_EQ(line.front(), '<');
    ASSERT_EQ(line.find('>'), line.size() - 1) << line;
    ASSERT_EQ(std::count(line.begin(), line.end(), '"') % 2, 0) << line;
    std::string name = line.substr(1, line.find_first_of(" />", 2) - 1);
    if (name[0] == '/') {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ(name.substr(1), open.back());
      open.pop_back();
    } else if (line[line.size() - 2] != '/') {
      ASSERT_EQ(open.empty(), name == "malloc") << "one root";
      open.push_back(name);
    }
    sizes += name == "size";
  }
  EXPECT_TRUE(open.empty());
  EXPECT_EQ(sizes, classes.size());
}

TEST_IN_CHILD(IntrospectTest, AFailingStreamIsReported) {
  FILE* full = fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  setvbuf(full, nullptr, _IONBF, 0);
  EXPECT_EQ(hak_introspect_xml(full), EIO);
  fclose(full);
}

TEST_IN_CHILD(IntrospectTest, AStreamThatFailsOnlyWhenFlushedIsReported) {
  FILE* full = fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  EXPECT_EQ(hak_introspect_xml(full), ENOSPC);
  fclose(full);
}

// One snapshot is there for the first; the others, and a child that a fork left with it taken, get
// their own, and give it back.
TEST_IN_CHILD(IntrospectTest, ManyThreadsMayAskAtOnce) {
  if (hak::kUnderSanitizer) GTEST_SKIP() << "it takes memory mapped anew for what was there before";
  KeepSimple();
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; ++i) blocks.push_back(hak_malloc(256));
  size_t mappings = hak::CountMappings();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&stop] {
      while (!stop) {
        EXPECT_EQ(hak_introspect_mallinfo2().uordblks, 1000u * 256);
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(hak::PassesInChild([] {
      for (int k = 0; k < 3; ++k) EXPECT_EQ(hak_introspect_mallinfo2().uordblks, 1000u * 256);
    }));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(hak::CountMappings(), mappings + 20) << "the threads' stacks at most";
}

}  // namespace
