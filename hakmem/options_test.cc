// Options: what is accepted, what is refused and how, and where they are read from.

extern "C" {
#include "hakmem/options.h"
}

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "hakmem/test_support.h"

namespace {

TEST(OptionsTest, HaveTheirDefaults) {
  EXPECT_EQ(hak_option_number(HAK_OPTION_superslab_size), 2 << 20);
  EXPECT_EQ(hak_option_number(HAK_OPTION_use_superslab), 1);
  EXPECT_EQ(hak_option_number(HAK_OPTION_purge_delay), 1000);
  EXPECT_EQ(hak_option_number(HAK_OPTION_thp), HAK_THP_AUTO);
  EXPECT_EQ(hak_option_number(HAK_OPTION_thread_cache), 1 << 20);
  EXPECT_EQ(hak_option_number(HAK_OPTION_background), 0);
  EXPECT_EQ(hak_option_number(HAK_OPTION_ss_debug), 0);
  EXPECT_EQ(hak_option_text(HAK_OPTION_prewarm), nullptr);
}

struct Accepted {
  hak_option_t option;
  const char* value;
  int64_t number;
};

TEST(OptionsTest, TakeUnitsAndTheEndsOfTheRange) {
  const Accepted cases[] = {
      {HAK_OPTION_superslab_size, "512K", 512 << 10},
      {HAK_OPTION_superslab_size, "1048576", 1 << 20},
      {HAK_OPTION_superslab_size, "4m", 4 << 20},
      {HAK_OPTION_purge_delay, "-1", -1},
      {HAK_OPTION_purge_delay, "0", 0},
      {HAK_OPTION_purge_delay, "250ms", 250},
      {HAK_OPTION_purge_delay, "2s", 2000},
      {HAK_OPTION_thp, "never", HAK_THP_NEVER},
      {HAK_OPTION_thp, "always", HAK_THP_ALWAYS},
      {HAK_OPTION_thp, "auto", HAK_THP_AUTO},
      {HAK_OPTION_thread_cache, "1G", 1 << 30},
      {HAK_OPTION_background, "1", 1},
  };
  for (const Accepted& c : cases) {
    SCOPED_TRACE(c.value);
    EXPECT_TRUE(hak::PassesInChild([&c] {
      ASSERT_TRUE(hak_option_set(c.option, c.value));
      EXPECT_EQ(hak_option_number(c.option), c.number);
    }));
  }
}

struct Refused {
  hak_option_t option;
  const char* value;
  const char* message;
};

TEST(OptionsTest, RefuseTheRestByNameValueAndRangeAndKeepTheDefault) {
  const Refused cases[] = {
      {HAK_OPTION_superslab_size, "256K",
       "hakmem: HAKMEM_SUPERSLAB_SIZE=256K is not understood or out of range "
       "(524288 to 4194304 bytes); the default is used\n"},
      {HAK_OPTION_superslab_size, "3M", "HAKMEM_SUPERSLAB_SIZE=3M"},
      {HAK_OPTION_superslab_size, "2MB", "HAKMEM_SUPERSLAB_SIZE=2MB"},
      {HAK_OPTION_superslab_size, "", "HAKMEM_SUPERSLAB_SIZE= is"},
      {HAK_OPTION_superslab_size, "99999999999999999999", "HAKMEM_SUPERSLAB_SIZE=9999"},
      {HAK_OPTION_superslab_size, "9223372036854775807K", "HAKMEM_SUPERSLAB_SIZE=9223"},
      {HAK_OPTION_purge_delay, "-2", "(-1 to 86400000 ms)"},
      {HAK_OPTION_purge_delay, "1h", "HAKMEM_PURGE_DELAY=1h"},
      {HAK_OPTION_background, "yes", "(0 to 1)"},
      {HAK_OPTION_thp, "sometimes", "(auto, always or never)"},
  };
  for (const Refused& c : cases) {
    SCOPED_TRACE(c.value);
    int64_t before = hak_option_number(c.option);
    testing::internal::CaptureStderr();
    EXPECT_FALSE(hak_option_set(c.option, c.value));
    std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find(c.message), std::string::npos) << said;
    EXPECT_EQ(hak_option_number(c.option), before);
  }
}

TEST(OptionsTest, ALongTextIsRefusedAsAWhole) {
  std::string value(256, 'x');
  testing::internal::CaptureStderr();
  EXPECT_FALSE(hak_option_set(HAK_OPTION_prewarm, value.c_str()));
  EXPECT_NE(testing::internal::GetCapturedStderr().find("at most 255 bytes"), std::string::npos);
  EXPECT_EQ(hak_option_text(HAK_OPTION_prewarm), nullptr);
}

TEST(OptionsTest, AreReadFromTheEnvironment) {
  EXPECT_TRUE(hak::PassesInChild([] {
    setenv("HAKMEM_PURGE_DELAY", "77", 1);
    setenv("HAKMEM_PREWARM", "1024:2", 1);
    setenv("HAKMEM_PURGE_DELAY_X", "5", 1);  // another variable
    hak_options_load();
    EXPECT_EQ(hak_option_number(HAK_OPTION_purge_delay), 77);
    EXPECT_STREQ(hak_option_text(HAK_OPTION_prewarm), "1024:2");
  }));
}

TEST(OptionsTest, TheTableNamesEveryOption) {
  std::vector<std::string> lines;
  hak_options_document(
      [](const char* line, void* context) {
        static_cast<std::vector<std::string>*>(context)->push_back(line);
      },
      &lines);
  ASSERT_EQ(lines.size(), 2u + HAK_N_OPTIONS);
  for (const std::string& line : lines) EXPECT_EQ(line.back(), '|') << line;
  EXPECT_NE(lines[2].find("HAKMEM_SUPERSLAB_SIZE"), std::string::npos);
}

}  // namespace
