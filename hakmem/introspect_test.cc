#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>

#include <cerrno>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "hakmem/test_support.h"

extern "C" {
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/introspect.h"
#include "hakmem/options.h"
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
  EXPECT_EQ(info.uordblks, 1000 * 256 + 2 * 65536 + 5 * kMib);
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
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(line.substr(0, 8), "hakmem: ") << line;
    EXPECT_LT(line.size(), 120u) << line;
    has_mmap |= line.find("mmap: ") != std::string::npos;
    // class, bytes, slabs, capacity, live
    has_class |= std::regex_match(line, std::regex("hakmem: +[0-9]+ +640 +[0-9]+ +[0-9]+ +77 .*"));
  }
  EXPECT_TRUE(has_class) << text;
  EXPECT_TRUE(has_mmap) << text;
  EXPECT_THAT(text, testing::HasSubstr(std::string("version ") + hak_version()));
}

// Tags open and close in order, and no size is named twice.
TEST_IN_CHILD(IntrospectTest, XmlIsWellFormed) {
  for (size_t size = 1; size < 40000; size += 500) ASSERT_NE(hak_malloc(size), nullptr);
  char* buffer = nullptr;
  size_t length = 0;
  FILE* stream = open_memstream(&buffer, &length);
  EXPECT_EQ(hak_introspect_xml(stream), 0);
  fclose(stream);
  std::string xml(buffer, length);
  free(buffer);
  const std::regex tag("<(/?)([a-z]+)((?: [a-z]+=\"[^\"<]*\")*)(/?)>\n");
  std::vector<std::string> open;
  size_t matched = 0;
  for (std::sregex_iterator it(xml.begin(), xml.end(), tag), end; it != end; ++it) {
    matched += static_cast<size_t>(it->length());
    if ((*it)[1].length() != 0) {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ((*it)[2], open.back());
      open.pop_back();
    } else if ((*it)[4].length() == 0) {
      open.push_back((*it)[2]);
    }
  }
  EXPECT_TRUE(open.empty());
  EXPECT_EQ(matched, xml.size()) << "text outside of tags";
  EXPECT_EQ(xml.rfind("<malloc version=", 0), 0u);
  EXPECT_THAT(xml, testing::HasSubstr("<system type=\"current\" size="));
}

TEST_IN_CHILD(IntrospectTest, AFailingStreamIsReported) {
  FILE* full = fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  setvbuf(full, nullptr, _IONBF, 0);
  EXPECT_EQ(hak_introspect_xml(full), EIO);
  fclose(full);
}

}  // namespace
