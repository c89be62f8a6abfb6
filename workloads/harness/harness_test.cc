// Tests of the workload harness: numbers and options as people type them, the random numbers, the
// histogram, records that any JSON parser reads back, and the proof of the allocator.

#include <gtest/gtest.h>
#include <jansson.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

extern "C" {
#include "workloads/harness/arguments.h"
#include "workloads/harness/histogram.h"
#include "workloads/harness/json_record.h"
#include "workloads/harness/number.h"
#include "workloads/harness/pattern.h"
#include "workloads/harness/rng.h"
}

namespace {

TEST(NumberTest, AcceptsWhatPeopleType) {
  const struct {
    const char* text;
    uint64_t value;
  } kRows[] = {
      {"0", 0},
      {"8192", 8192},
      {"1e7", 10000000},
      {"2.5e6", 2500000},
      {"1E3", 1000},
      {"64k", 65536},
      {"1.5k", 1536},
      {"2m", 2u << 20},
      {"1G", 1u << 30},
      {"100e0", 100},
      {"10.0", 10},
      {"0x2a", 42},
      {"18446744073709551615", UINT64_MAX},
      {"0xffffffffffffffff", UINT64_MAX},
      {"0e99", 0},
  };
  for (const auto& row : kRows) {
    uint64_t value = 12345;
    EXPECT_TRUE(wl_parse_number(row.text, &value)) << row.text;
    EXPECT_EQ(value, row.value) << row.text;
  }
}

TEST(NumberTest, RejectsEverythingElseAndLeavesTheValue) {
  const char* const kRows[] = {"",
                               "-1",
                               "+1",
                               " 1",
                               "1 ",
                               "abc",
                               "1e",
                               "e7",
                               "1.5",
                               ".5",
                               "1.",
                               "1e-3",
                               "1kk",
                               "1kb",
                               "0x",
                               "0xg",
                               "1,000",
                               "1e20",
                               "nan",
                               "1e99",
                               "1e100",
                               "17179869184g",
                               "1..2",
                               "1e7x",
                               "0x1ffffffffffffffff",
                               "18446744073709551616",
                               "340282366920938463463374607431768211456"};
  for (const char* text : kRows) {
    uint64_t value = 12345;
    EXPECT_FALSE(wl_parse_number(text, &value)) << text;
    EXPECT_EQ(value, 12345u) << text;
  }
}

class OptionsTest : public testing::Test {
 protected:
  wl_parse_result Parse(std::vector<std::string> arguments) {
    std::vector<char*> argv;
    arguments.insert(arguments.begin(), "program");
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    return wl_parse_options(&syntax_, static_cast<int>(argv.size()) - 1, argv.data(), message_);
  }

  uint64_t ops_ = 10;
  uint64_t threads_ = 1;
  unsigned touch_ = 1;
  bool verify_ = false;
  const char* text_ = nullptr;
  wl_option positionals_[1] = {{"OPS", WL_NUMBER, &ops_, nullptr, 1, 1000, "operations"}};
  wl_option options_[2] = {{"touch", WL_CHOICE, &touch_, "none|first|all", 0, 0, "touch"},
                           {"verify", WL_FLAG, &verify_, nullptr, 0, 0, "verify"}};
  wl_option common_[2] = {{"threads", WL_NUMBER, &threads_, "N", 1, 8, "threads"},
                          {"json", WL_TEXT, &text_, "FILE", 0, 0, "record"}};
  wl_syntax syntax_ = {"program", "About.", positionals_, 1, options_, 2, common_, 2};
  char message_[WL_MESSAGE_BYTES];
};

TEST_F(OptionsTest, StoresValuesInEitherSpellingAndAnyOrder) {
  std::vector<std::string> arguments = {"--touch=all", "1e2", "--threads", "4", "--verify"};
  EXPECT_EQ(Parse(arguments), WL_PARSED) << message_;
  EXPECT_EQ(ops_, 100u);
  EXPECT_EQ(threads_, 4u);
  EXPECT_EQ(touch_, 2u);
  EXPECT_TRUE(verify_);
}

TEST_F(OptionsTest, KeepsDefaultsOfWhatIsNotGiven) {
  EXPECT_EQ(Parse({}), WL_PARSED);
  EXPECT_EQ(ops_, 10u);
  EXPECT_EQ(touch_, 1u);
}

TEST_F(OptionsTest, NamesTheArgumentThatIsWrong) {
  const struct {
    std::vector<std::string> arguments;
    const char* message;
  } kRows[] = {
      {{"abc"}, "OPS: 'abc' is not a whole number (8192, 1e7 and 64k are)"},
      {{"0"}, "OPS: 0 is outside 1..1000"},
      {{"5", "6"}, "unexpected argument '6'"},
      {{"--threads"}, "--threads needs a value: N"},
      {{"--threads", "9"}, "--threads: 9 is outside 1..8"},
      {{"--threads=-1"}, "--threads: '-1' is not a whole number (8192, 1e7 and 64k are)"},
      {{"--touch", "fir"}, "--touch: 'fir' is not one of none|first|all"},
      {{"--verify=1"}, "--verify takes no value"},
      {{"--speed"}, "unknown option --speed"},
      {{"-t"}, "unknown option -t"},
      {{"--json="}, "--json: must not be empty"},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(Parse(row.arguments), WL_BAD_ARGUMENT) << row.message;
    EXPECT_STREQ(message_, row.message);
  }
}

TEST_F(OptionsTest, HelpIsFoundBesideOtherArguments) {
  EXPECT_EQ(Parse({"5", "--help"}), WL_HELP_WANTED);
  EXPECT_EQ(Parse({"-h"}), WL_HELP_WANTED);
}

TEST(RngTest, SameSeedSameStreamAndNoTwoAlike) {
  std::set<uint64_t> firsts;
  for (uint64_t seed : {0ull, 1ull, 42ull, 43ull, ~0ull}) {
    for (uint64_t stream = 0; stream < 64; stream++) {
      wl_rng one = wl_rng_make(seed, stream);
      wl_rng two = wl_rng_make(seed, stream);
      EXPECT_EQ(wl_next(&one), wl_next(&two));
      firsts.insert(wl_next(&one));
    }
  }
  EXPECT_EQ(firsts.size(), 5u * 64u);
}

// Chi-squared of `cells` equally likely cells; its mean is cells - 1, its standard deviation about
// sqrt(2 * cells).
double ChiSquared(const std::vector<uint64_t>& counts, double draws) {
  double expected = draws / static_cast<double>(counts.size());
  double sum = 0;
  for (uint64_t count : counts) {
    double difference = static_cast<double>(count) - expected;
    sum += difference * difference / expected;
  }
  return sum;
}

TEST(RngTest, BothHalvesAreUniformAndIndependent) {
  constexpr int kDraws = 1 << 20;
  constexpr unsigned kSide = 32;
  wl_rng rng = wl_rng_make(42, 0);
  std::vector<uint64_t> high(1025), low(1025), pairs(kSide * kSide);
  for (int i = 0; i < kDraws; i++) {
    uint64_t draw = wl_next(&rng);
    ASSERT_LT(wl_high(draw, 1025), 1025u);
    ASSERT_LT(wl_low(draw, 1025), 1025u);
    high[wl_high(draw, 1025)]++;
    low[wl_low(draw, 1025)]++;
    pairs[wl_high(draw, kSide) * kSide + wl_low(draw, kSide)]++;
  }
  // The stream is fixed by its seed: these are properties of it, with a margin of five standard
  // deviations.
  EXPECT_NEAR(ChiSquared(high, kDraws), 1024, 5 * 46);
  EXPECT_NEAR(ChiSquared(low, kDraws), 1024, 5 * 46);
  EXPECT_NEAR(ChiSquared(pairs, kDraws), 1023, 5 * 46);
}

TEST(RngTest, RangesReachTheirEnds) {
  EXPECT_EQ(wl_high(~0ull, 8192), 8191u);
  EXPECT_EQ(wl_low(~0ull, 8192), 8191u);
  EXPECT_EQ(wl_high(0, 8192), 0u);
  EXPECT_EQ(wl_high(~0ull, 1), 0u);
}

TEST(HistogramTest, BucketsHoldTheirValuesWithinOnePercent) {
  for (unsigned shift = 0; shift < 64; shift++) {
    for (uint64_t offset : {0ull, 1ull, 3ull}) {
      uint64_t value = (1ull << shift) + offset;
      unsigned bucket = wl_bucket_of(value);
      ASSERT_LT(bucket, static_cast<unsigned>(WL_BUCKETS));
      uint64_t top = wl_bucket_top(bucket);
      EXPECT_GE(top, value);
      EXPECT_LE(static_cast<double>(top - value), static_cast<double>(value) / 128) << value;
      if (bucket > 0) {
        EXPECT_LT(wl_bucket_top(bucket - 1), value);
      }
    }
  }
  EXPECT_EQ(wl_bucket_top(wl_bucket_of(~0ull)), ~0ull);
}

TEST(HistogramTest, QuantilesOfAKnownSet) {
  static wl_histogram one, two;
  for (uint64_t value = 1; value <= 50; value++) wl_histogram_add(&one, value);
  for (uint64_t value = 51; value <= 60; value++) wl_histogram_add(&two, value);
  wl_histogram_merge(&one, &two);
  EXPECT_EQ(one.total, 60u);
  EXPECT_EQ(wl_histogram_quantile(&one, 0.5), 30u);
  EXPECT_EQ(wl_histogram_quantile(&one, 0.9), 54u);
  EXPECT_EQ(wl_histogram_quantile(&one, 1.0), 60u);
  wl_histogram_add(&one, 1000003);
  EXPECT_EQ(wl_histogram_quantile(&one, 1.0), 1000003u);
}

// Of latencies the rarest matter: the quantiles of values spread over all magnitudes lie on the
// value of that rank, or above it by less than a bucket.
TEST(HistogramTest, QuantilesAreThoseOfTheSortedValues) {
  static wl_histogram histogram;
  constexpr int kValues = 200001;
  std::vector<uint64_t> values;
  wl_rng rng = wl_rng_make(42, 0);
  for (int i = 0; i < kValues; i++) {
    uint64_t draw = wl_next(&rng);
    values.push_back(draw >> wl_low(draw, 60));
    wl_histogram_add(&histogram, values.back());
  }
  std::sort(values.begin(), values.end());
  EXPECT_EQ(histogram.total, static_cast<uint64_t>(kValues));
  EXPECT_EQ(histogram.max, values.back());
  for (double quantile : {0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1.0}) {
    double rank = std::max(std::ceil(quantile * kValues), 1.0);
    uint64_t exact = values[static_cast<size_t>(rank) - 1];
    uint64_t found = wl_histogram_quantile(&histogram, quantile);
    EXPECT_GE(found, exact) << quantile;
    EXPECT_LE(found - exact, exact / 128) << quantile;
  }
}

TEST(HistogramTest, EmptyIsZero) {
  static wl_histogram empty;
  EXPECT_EQ(wl_histogram_quantile(&empty, 0.5), 0u);
}

TEST(PatternTest, NoticesEveryByteAtEverySize) {
  unsigned char block[64];
  for (size_t size = 1; size <= 40; size++) {
    for (size_t at = 0; at < size; at++) {
      wl_pattern_write(block, size, 7);
      EXPECT_TRUE(wl_pattern_holds(block, size, 7));
      EXPECT_FALSE(wl_pattern_holds(block, size, 8)) << size;
      block[at] ^= 0x10;
      EXPECT_FALSE(wl_pattern_holds(block, size, 7)) << size << " " << at;
    }
  }
}

// Writes a record through a pipe and parses the line that comes out.
json_t* WriteAndParse(const wl_record& record) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  EXPECT_TRUE(wl_record_write(&record, ends[1]));
  close(ends[1]);
  std::string line(WL_RECORD_BYTES, '\0');
  ssize_t length = read(ends[0], line.data(), line.size());
  close(ends[0]);
  line.resize(length < 0 ? 0 : static_cast<size_t>(length));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  json_error_t error;
  json_t* parsed = json_loads(line.c_str(), JSON_REJECT_DUPLICATES, &error);
  EXPECT_NE(parsed, nullptr) << error.text << ": " << line;
  return parsed;
}

TEST(RecordTest, AParserReadsBackWhatWasWritten) {
  static wl_record record;
  wl_record_open(&record, "hakmem.workload.1");
  wl_record_text(&record, "text", "a \"quoted\"\\path\n\x01 \xc3\xa9 \xff");
  wl_record_text(&record, "unknown", nullptr);
  wl_record_u64(&record, "number", 1234567890123456789u);
  wl_record_double(&record, "real", 0.25);
  wl_record_double(&record, "infinite", 1.0 / 0.0);
  wl_record_hex(&record, "hex", 0xabc);
  json_t* parsed = WriteAndParse(record);
  ASSERT_NE(parsed, nullptr);
  EXPECT_STREQ(json_string_value(json_object_get(parsed, "schema")), "hakmem.workload.1");
  EXPECT_STREQ(json_string_value(json_object_get(parsed, "text")),
               "a \"quoted\"\\path\n\x01 \xc3\xa9 \xef\xbf\xbd");
  EXPECT_TRUE(json_is_null(json_object_get(parsed, "unknown")));
  EXPECT_EQ(json_integer_value(json_object_get(parsed, "number")), 1234567890123456789);
  EXPECT_EQ(json_real_value(json_object_get(parsed, "real")), 0.25);
  EXPECT_TRUE(json_is_null(json_object_get(parsed, "infinite")));
  EXPECT_STREQ(json_string_value(json_object_get(parsed, "hex")), "0x0000000000000abc");
  json_decref(parsed);
}

TEST(RecordTest, ARecordThatDoesNotFitIsNotWritten) {
  static wl_record record;
  std::string big(WL_RECORD_BYTES, 'x');
  wl_record_open(&record, "hakmem.workload.1");
  wl_record_text(&record, "big", big.c_str());
  EXPECT_FALSE(wl_record_write(&record, STDERR_FILENO));
}

}  // namespace
