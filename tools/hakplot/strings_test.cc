// Tests of texts: what comes from files is made harmless, and lines break where they may.

extern "C" {
#include "tools/hakplot/strings.h"
}

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace {

class TextTest : public ::testing::Test {
 protected:
  ~TextTest() override { hp_free_all(); }

  std::string clean(const std::string& text) { return hp_clean(text.data(), text.size()); }
  std::string number(double value, int digits) { return hp_number_text(value, digits); }
};

TEST_F(TextTest, CleanKeepsWhatCanBeShown) {
  EXPECT_EQ(clean("a_b^c `id` 'q' \"d\" $x <b>&"), "a_b^c `id` 'q' \"d\" $x <b>&");
  EXPECT_EQ(clean("日本 µ ± é"), "日本 µ ± é");
}

TEST_F(TextTest, CleanShowsControlCharacters) {
  EXPECT_EQ(clean("a\nb\tc\x1b[31m\x7f"), "a\\nb\\tc\\x1b[31m\\x7f");
  EXPECT_EQ(clean(std::string("\0", 1)), "\\x00");
}

TEST_F(TextTest, CleanReplacesWhatIsNotUtf8OrHidden) {
  EXPECT_EQ(clean("\xff"), "\uFFFD");
  EXPECT_EQ(clean("\xc0\xaf"), "\uFFFD\uFFFD");            // an overlong slash
  EXPECT_EQ(clean("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(clean("\xe2\x82"), "\uFFFD\uFFFD");            // cut off
  EXPECT_EQ(clean("a\u202Eb"), "a\uFFFDb");                // text that runs backwards
}

TEST_F(TextTest, ColumnsAndPrefixCountWideCharactersTwice) {
  EXPECT_EQ(hp_columns("abc"), 3u);
  EXPECT_EQ(hp_columns("日本"), 4u);
  EXPECT_EQ(hp_prefix("日本", 3), 3u);
  EXPECT_EQ(hp_prefix("abc", 2), 2u);
}

TEST_F(TextTest, NumbersAreDecimalAndWhole) {
  double value;
  EXPECT_TRUE(hp_parse_number("-1.5e3", &value));
  EXPECT_EQ(value, -1500);
  for (const char* text :
       {"", "1,5", "0x10", "inf", "nan", "1 ", " 1", "1e", "1e999", "1.2.3", "e"}) {
    EXPECT_FALSE(hp_parse_number(text, &value)) << text;
  }
}

TEST_F(TextTest, NumberTextHasThatManyDigits) {
  EXPECT_EQ(number(16.4567, 3), "16.5");
  EXPECT_EQ(number(0.012345, 3), "0.0123");
  EXPECT_EQ(number(1234567, 3), "1234567");
  EXPECT_EQ(number(0, 3), "0.00");
  EXPECT_EQ(number(NAN, 3), "unknown");
}

TEST_F(TextTest, MapsKeepThingsInTheOrderOfTheirKeys) {
  hp_map* map = hp_map_new();
  for (size_t i = 0; i < 1000; i++) {
    hp_entry* entry = hp_put(map, std::to_string(i).c_str(), sizeof(int));
    EXPECT_EQ(entry->number, i);
    EXPECT_EQ(entry->puts, 1u);
    EXPECT_EQ(*static_cast<int*>(entry->thing), 0);
    *static_cast<int*>(entry->thing) = static_cast<int>(i);
  }
  EXPECT_EQ(hp_put(map, "500", sizeof(int))->puts, 2u);
  EXPECT_EQ(*static_cast<int*>(hp_get(map, "500")->thing), 500);
  EXPECT_EQ(map->count, 1000u);
  EXPECT_STREQ(map->at[999]->key, "999");
  EXPECT_EQ(hp_get(map, "none"), nullptr);
}

TEST_F(TextTest, WrapBreaksAtBlanksAndBehindSigns) {
  auto wrap = [&](const char* text, size_t columns, size_t max_lines) {
    const char* lines[8];
    size_t count = hp_wrap(text, columns, max_lines, lines);
    return std::vector<std::string>(lines, lines + count);
  };
  using Lines = std::vector<std::string>;
  EXPECT_EQ(wrap("", 5, 8), Lines{""});
  EXPECT_EQ(wrap("abcde", 5, 8), Lines{"abcde"});
  EXPECT_EQ(wrap("one two three", 7, 8), (Lines{"one two", "three"}));
  EXPECT_EQ(wrap("one two three", 8, 8), (Lines{"one two", "three"}));
  EXPECT_EQ(wrap("one/two_three", 9, 8), (Lines{"one/two_", "three"}));
  EXPECT_EQ(wrap("one two-three", 9, 8), (Lines{"one two-", "three"}));
  EXPECT_EQ(wrap("longer two-three", 12, 8), (Lines{"longer", "two-three"}));
  EXPECT_EQ(wrap("abcdefghij", 4, 8), (Lines{"abcd", "efgh", "ij"}));
  EXPECT_EQ(wrap("abcdefghij", 4, 2), (Lines{"abcd", "efg…"}));
  EXPECT_EQ(wrap("abcd ", 4, 8), Lines{"abcd"});
}

TEST_F(TextTest, NamesAreGivenOnce) {
  hp_map* names = hp_map_new();
  EXPECT_STREQ(hp_unique_name(names, "a"), "a");
  EXPECT_STREQ(hp_unique_name(names, "a-2"), "a-2");
  EXPECT_STREQ(hp_unique_name(names, "a"), "a-3");
  EXPECT_STREQ(hp_unique_name(names, "a"), "a-4");
  EXPECT_STREQ(hp_unique_name(names, "a-2"), "a-2-2");
}

TEST_F(TextTest, SizesAsPeopleWriteThem) {
  EXPECT_STREQ(hp_size_text(512), "512 B");
  EXPECT_STREQ(hp_size_text(48 * 1024), "48 KiB");
  EXPECT_STREQ(hp_size_text(1.5 * (1 << 30)), "1.5 GiB");
  EXPECT_STREQ(hp_size_text(NAN), "unknown");
}

TEST_F(TextTest, GrowKeepsWhatIsThere) {
  int* array = nullptr;
  for (int i = 0; i < 1000; i++) {
    array = static_cast<int*>(hp_grow(array, static_cast<size_t>(i), sizeof(int)));
    array[i] = i;
  }
  for (int i = 0; i < 1000; i++) ASSERT_EQ(array[i], i);
}

}  // namespace
