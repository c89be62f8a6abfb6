// Options: what is accepted, what is refused and how, and where they are read from.

extern "C" {
#include "hakmem/options/options.h"
}

#include <ctype.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>

#include <string>
#include <vector>

#include "hakmem/testing/support.h"

namespace {

TEST(OptionsTest, HaveTheirDefaults) {
  EXPECT_EQ(hak_option_number(HAK_OPTION_superslab_size), 2 << 20);
  EXPECT_EQ(hak_option_number(HAK_OPTION_use_superslab), 1);
  EXPECT_EQ(hak_option_number(HAK_OPTION_purge_delay), 1000);
  EXPECT_EQ(hak_option_number(HAK_OPTION_thp), HAK_CHOICE_AUTO);
  EXPECT_EQ(hak_option_number(HAK_OPTION_thread_cache), 4 << 20);
  EXPECT_EQ(hak_option_number(HAK_OPTION_background), HAK_CHOICE_AUTO);
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
      {HAK_OPTION_thp, "never", HAK_CHOICE_NEVER},
      {HAK_OPTION_thp, "always", HAK_CHOICE_ALWAYS},
      {HAK_OPTION_thp, "auto", HAK_CHOICE_AUTO},
      {HAK_OPTION_thread_cache, "1G", 1 << 30},
      {HAK_OPTION_background, "1", HAK_CHOICE_ALWAYS},
      {HAK_OPTION_background, "0", HAK_CHOICE_NEVER},
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
      {HAK_OPTION_background, "yes", "(auto, always (1) or never (0))"},
      {HAK_OPTION_thp, "sometimes", "(auto, always (1) or never (0))"},
  };
  for (const Refused& c : cases) {
    SCOPED_TRACE(c.value);
    int64_t before = hak_option_number(c.option);
    std::string said = hak::StderrOf([&] { EXPECT_FALSE(hak_option_set(c.option, c.value)); });
    EXPECT_NE(said.find(c.message), std::string::npos) << said;
    EXPECT_EQ(hak_option_number(c.option), before);
  }
}

TEST(OptionsTest, ALongTextIsRefusedAsAWhole) {
  std::string value(256, 'x');
  std::string said =
      hak::StderrOf([&] { EXPECT_FALSE(hak_option_set(HAK_OPTION_prewarm, value.c_str())); });
  EXPECT_NE(said.find("at most 255 bytes"), std::string::npos) << said;
  EXPECT_EQ(hak_option_text(HAK_OPTION_prewarm), nullptr);
}

TEST(OptionsTest, AreReadFromTheEnvironment) {
  EXPECT_TRUE(hak::PassesInChild([] {
    setenv("HAKMEM_PURGE_DELAY", "77", 1);
    setenv("HAKMEM_PREWARM", "1024:2", 1);
    hak_options_load();
    EXPECT_EQ(hak_option_number(HAK_OPTION_purge_delay), 77);
    EXPECT_STREQ(hak_option_text(HAK_OPTION_prewarm), "1024:2");
  }));
}

struct Unknown {
  const char* name;
  const char* meant;  // NULL: none
};

TEST(OptionsTest, AVariableThatIsNoneIsNamedWithTheOptionItIsLike) {
  const Unknown cases[] = {
      {"PURGE_DELAYS", "PURGE_DELAY"},
      {"PURGE_DELAY_MS", "PURGE_DELAY"},
      {"URGE_DELAY", "PURGE_DELAY"},
      {"PREWARN", "PREWARM"},
      {"purge_delay", nullptr},
      {"TPH", "THP"},
      {"TELEMETRY_INTERVALL", "TELEMETRY_INTERVAL"},
      {"TELEMETRIE", "TELEMETRY"},
      {"SUPERSLAB", "SUPERSLAB_SIZE"},
      {"THREADCACHE", "THREAD_CACHE"},
      {"X", nullptr},
      {"", nullptr},
      {"ZZZZZZZZZZ", nullptr},
      {"TELEMETRY_TELEMETRY_TELEMETRY_TELEMETRY", nullptr},
  };
  for (const Unknown& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_TRUE(hak::PassesInChild([&c] {
      std::string name = std::string("HAKMEM_") + c.name;
      setenv(name.c_str(), "secret", 1);
      std::string suggestion =
          c.meant == nullptr ? "" : std::string(" (did you mean HAKMEM_") + c.meant + "?)";
      EXPECT_EQ(hak::StderrOf(hak_options_load),
                "hakmem: " + name + " is not an option" + suggestion + "; it is ignored\n");
      EXPECT_EQ(hak_option_number(HAK_OPTION_purge_delay), 1000);
    }));
  }
}

TEST_IN_CHILD(OptionsTest, VariablesThatAreOptionsOrOthersAreNotRemarkedOn) {
#define HAK_OPTION(id, name, type, def, min, max, help) setenv("HAKMEM_" name, "1M", 1);
#include "hakmem/options/options.def"
#undef HAK_OPTION
  for (const char* flag : {"TINY_USE_SUPERSLAB", "BACKGROUND", "SS_DEBUG", "TELEMETRY_SHM"}) {
    setenv((std::string("HAKMEM_") + flag).c_str(), "1", 1);
  }
  setenv("HAKMEM_THP", "auto", 1);
  setenv("HAKMEM_PURGE_DELAY", "1s", 1);
  setenv("HAKMEM_TELEMETRY_INTERVAL", "1s", 1);
  setenv("HAKMEM", "1", 1);
  setenv("MY_HAKMEM_OPTION", "1", 1);
  EXPECT_EQ(hak::StderrOf(hak_options_load), "");
}

TEST_IN_CHILD(OptionsTest, ALongNameIsCutAndItsLineIsWhole) {
  std::string name = "HAKMEM_" + std::string(5000, 'X');
  setenv(name.c_str(), "1", 1);
  std::string said = hak::StderrOf(hak_options_load);
  EXPECT_EQ(said.compare(0, 50, "hakmem: " + name.substr(0, 42)), 0) << said;
  EXPECT_EQ(said.find('\n'), said.size() - 1);
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

// What hak_parse_bytes is to do, in numbers of any length.
bool ParsesAs(const std::string& text, long double* value) {
  size_t at = text[0] == '-' ? 1 : 0, first = at;
  *value = 0;
  for (; at < text.size() && isdigit(static_cast<unsigned char>(text[at])) != 0; ++at) {
    *value = *value * 10 + (text[at] - '0');
  }
  if (at == first) return false;
  std::string unit = text.substr(at);
  if (unit == "K" || unit == "k") *value *= 1 << 10;
  if (unit == "M" || unit == "m") *value *= 1 << 20;
  if (unit == "G" || unit == "g") *value *= 1 << 30;
  if (first == 1) *value = -*value;
  return unit.empty() || (unit.size() == 1 && strchr("KkMmGg", unit[0]) != nullptr);
}

std::string RandomValue(hak::Random* random) {
  static const char kAlphabet[] = "0123456789012345678900KkMmGgs-+ .,:%=alwysnevr\x80\n";
  std::string text(random->Below(random->Below(10) == 0 ? 300 : 12), '0');
  for (char& c : text) c = kAlphabet[random->Below(sizeof kAlphabet - 1)];
  return text;
}

TEST(OptionsTest, AnyTextIsBytesOrIsNot) {
  hak::Random random(5);
  int n_valid = 0;
  for (int i = 0; i < 200000; ++i) {
    std::string text = RandomValue(&random);
    int64_t value = 0;
    long double expected;
    bool is_valid = hak_parse_bytes(text.data(), text.data() + text.size(), &value);
    bool may_be = ParsesAs(text, &expected) && expected > -0x1p63L && expected < 0x1p63L;
    ASSERT_EQ(is_valid, may_be) << text;
    if (is_valid) {
      ASSERT_EQ(static_cast<long double>(value), expected) << text;
    }
    n_valid += is_valid;
  }
  EXPECT_GT(n_valid, 1000);
}

TEST_IN_CHILD(OptionsTest, AnyValueIsInRangeOrIsRefusedInALine) {
  hak::Random random(6);
  for (int i = 0; i < 2000; ++i) {
    auto option = static_cast<hak_option_t>(random.Below(HAK_N_OPTIONS));
    std::string text = RandomValue(&random);
    int64_t before = hak_option_number(option);
    bool is_set = false;
    std::string said = hak::StderrOf([&] { is_set = hak_option_set(option, text.c_str()); });
    ASSERT_EQ(said.empty(), is_set) << text;
    ASSERT_TRUE(is_set || hak_option_number(option) == before) << text;
  }
}

}  // namespace
