// Proves that every library of third_party/ is present and can be compiled, linked and called.
// One case a library; a package that is missing fails here by name and not in the middle of
// something else.

#include <benchmark/benchmark.h>
#include <curses.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jansson.h>

#include <sstream>
#include <string>

namespace {

TEST(DepsTest, JanssonReadsItsOwnOutput) {
  json_t* record =
      json_pack("{s:s, s:I, s:n}", "phase", "hakmem", "ops", json_int_t{10000000}, "kernel_share");
  ASSERT_NE(record, nullptr);
  char* text = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
  ASSERT_NE(text, nullptr);
  EXPECT_STREQ(text, R"({"kernel_share":null,"ops":10000000,"phase":"hakmem"})");
  json_error_t error;
  json_t* again = json_loads(text, 0, &error);
  EXPECT_TRUE(json_equal(record, again));
  free(text);
  json_decref(again);
  json_decref(record);
}

void CountTo100(benchmark::State& state) {
  for (auto _ : state) {
    for (int i = 0; i < 100; ++i) benchmark::DoNotOptimize(i);
  }
}

TEST(DepsTest, BenchmarkRunsAFunctionTheGivenTimes) {
  benchmark::ClearRegisteredBenchmarks();
  benchmark::RegisterBenchmark("CountTo100", CountTo100)->Iterations(3);
  std::ostringstream out;
  benchmark::ConsoleReporter reporter(benchmark::ConsoleReporter::OO_None);
  reporter.SetOutputStream(&out);
  reporter.SetErrorStream(&out);
  EXPECT_EQ(benchmark::RunSpecifiedBenchmarks(&reporter), 1u);
  EXPECT_THAT(out.str(), testing::HasSubstr("CountTo100/iterations:3"));
}

TEST(DepsTest, CursesNamesItsVersion) {
  EXPECT_THAT(curses_version(), testing::StartsWith("ncurses 6."));
}

}  // namespace
