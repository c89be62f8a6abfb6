// Tests of numbers as people read them.

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "hakmem/include/hakmem/hakmem.h"

extern "C" {
#include "tools/haktop/format.h"
}

namespace {

std::string Text(ht_format* format, double value) { return format(value).text; }

TEST(FormatTest, UnknownIsADashAndNeverZero) {
  for (ht_format* format :
       {ht_format_count, ht_format_bytes, ht_format_duration, ht_format_percent, ht_format_clock}) {
    EXPECT_EQ(Text(format, NAN), "-");
    EXPECT_NE(Text(format, 0), "-");
  }
  EXPECT_TRUE(std::isnan(ht_known(HAK_UNKNOWN)));
  EXPECT_EQ(ht_known(HAK_UNKNOWN - 1), 0x1p64);
  EXPECT_EQ(ht_known(0), 0);
}

TEST(FormatTest, CountsAreExactUpToFiveDigitsAndThenHaveThree) {
  EXPECT_EQ(Text(ht_format_count, 0), "0");
  EXPECT_EQ(Text(ht_format_count, 0.004), "0.00");
  EXPECT_EQ(Text(ht_format_count, 0.25), "0.25");
  EXPECT_EQ(Text(ht_format_count, 1.001), "1");
  EXPECT_EQ(Text(ht_format_count, 9.996), "10");
  EXPECT_EQ(Text(ht_format_count, 9.97), "9.97");
  EXPECT_EQ(Text(ht_format_count, 99.96), "100");
  EXPECT_EQ(Text(ht_format_count, 1234.5), "1234");
  EXPECT_EQ(Text(ht_format_count, 99999), "99999");
  EXPECT_EQ(Text(ht_format_count, 100000), "100k");
  EXPECT_EQ(Text(ht_format_count, 999499), "999k");
  EXPECT_EQ(Text(ht_format_count, 999600), "1.00M");
  EXPECT_EQ(Text(ht_format_count, 1234567), "1.23M");
  EXPECT_EQ(Text(ht_format_count, 0x1p64), "18.4E");
}

TEST(FormatTest, BytesHaveBinaryUnits) {
  EXPECT_EQ(Text(ht_format_bytes, 0), "0 B");
  EXPECT_EQ(Text(ht_format_bytes, 1023), "1023 B");
  EXPECT_EQ(Text(ht_format_bytes, 1024), "1.00 KiB");
  EXPECT_EQ(Text(ht_format_bytes, 1023.4 * 1024), "1023 KiB");
  EXPECT_EQ(Text(ht_format_bytes, 1023.6 * 1024), "1.00 MiB");
  EXPECT_EQ(Text(ht_format_bytes, 0x1p64), "16.0 EiB");
}

TEST(FormatTest, DurationsReachFromNanosecondsToAges) {
  EXPECT_EQ(Text(ht_format_duration, 0), "0");
  EXPECT_EQ(Text(ht_format_duration, 12), "12.0 ns");
  EXPECT_EQ(Text(ht_format_duration, 1500), "1.50 us");
  EXPECT_EQ(Text(ht_format_duration, 2.1e6), "2.10 ms");
  EXPECT_EQ(Text(ht_format_duration, 7.25e9), "7.25 s");
  EXPECT_EQ(Text(ht_format_duration, 7.25e12), "7.25k s");
}

TEST(FormatTest, ASmallShareIsNotShownAsNone) {
  EXPECT_EQ(Text(ht_format_percent, 0), "0.0%");
  EXPECT_EQ(Text(ht_format_percent, 0.0001), "<0.1%");
  EXPECT_EQ(Text(ht_format_percent, 0.123), "12.3%");
  EXPECT_EQ(Text(ht_format_percent, 0.9996), "100%");
  EXPECT_EQ(Text(ht_format_percent, 64), "6400%");
}

TEST(FormatTest, ClocksGrowHoursWhenNeeded) {
  EXPECT_EQ(Text(ht_format_clock, 7.9), "0:07");
  EXPECT_EQ(Text(ht_format_clock, 3599), "59:59");
  EXPECT_EQ(Text(ht_format_clock, 3723), "1:02:03");
}

// The places in a frame are made for numbers of this length.
TEST(FormatTest, WhateverTheValueTheTextIsShort) {
  for (double value = 1e-3; value < 2e19; value *= 1.0137) {
    EXPECT_LE(Text(ht_format_count, value).size(), 5u) << value;
    EXPECT_LE(Text(ht_format_bytes, value).size(), 8u) << value;
    EXPECT_LE(Text(ht_format_duration, value).size(), 7u) << value;
  }
}

}  // namespace
