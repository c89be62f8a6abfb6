// Proves that every library of third_party/ is present and can be compiled, linked and called.
// One case a library; a package that is missing fails here by name and not in the middle of
// something else.

#include <benchmark/benchmark.h>
#include <curses.h>
#include <elfutils/libdwfl.h>
#include <gmock/gmock.h>
#include <gsl/gsl_cdf.h>
#include <gtest/gtest.h>
#include <jansson.h>
#include <sha2.h>
#include <unistd.h>
#include <uniwidth.h>
#include <zlib.h>
#include <zstd.h>

#include <sstream>
#include <string>

#define HAVE_DECL_BASENAME 1  // in C++ the C library's is another
#include <libiberty/demangle.h>

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

TEST(DepsTest, ElfutilsNamesAFunctionOfThisProcess) {
  Dwfl_Callbacks callbacks = {};
  callbacks.find_elf = dwfl_linux_proc_find_elf;
  callbacks.find_debuginfo = dwfl_standard_find_debuginfo;
  Dwfl* self = dwfl_begin(&callbacks);
  ASSERT_NE(self, nullptr);
  EXPECT_EQ(dwfl_linux_proc_report(self, getpid()), 0);
  EXPECT_EQ(dwfl_report_end(self, nullptr, nullptr), 0);
  Dwarf_Addr address = reinterpret_cast<Dwarf_Addr>(&CountTo100);
  const char* name = dwfl_module_addrname(dwfl_addrmodule(self, address), address);
  ASSERT_NE(name, nullptr);
  EXPECT_THAT(name, testing::HasSubstr("CountTo100"));
  dwfl_end(self);
}

TEST(DepsTest, IbertyReadsNamesOfCpp) {
  char* name = cplus_demangle("_ZN1a1bILi3EE1cEv", DMGL_AUTO);
  ASSERT_NE(name, nullptr);
  EXPECT_STREQ(name, "a::b<3>::c");
  free(name);
}

TEST(DepsTest, GslKnowsTheBinomialDistribution) {
  EXPECT_NEAR(gsl_cdf_binomial_P(1, 0.5, 10), 11.0 / 1024, 1e-12);
}

TEST(DepsTest, LibmdHashesAsTheStandardDoes) {
  char hex[SHA256_DIGEST_STRING_LENGTH];
  EXPECT_STREQ(SHA256Data(reinterpret_cast<const uint8_t*>("abc"), 3, hex),
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(DepsTest, UnistringKnowsWideCharacters) { EXPECT_EQ(uc_width(0x65e5, "UTF-8"), 2); }

TEST(DepsTest, ZlibUnpacksWhatItPacked) {
  const std::string text(1000, 'x');
  uLongf size = compressBound(text.size());
  std::string packed(size, '\0'), again(text.size(), '\0');
  ASSERT_EQ(compress(reinterpret_cast<Bytef*>(&packed[0]), &size,
                     reinterpret_cast<const Bytef*>(text.data()), text.size()),
            Z_OK);
  uLongf length = again.size();
  EXPECT_EQ(uncompress(reinterpret_cast<Bytef*>(&again[0]), &length,
                       reinterpret_cast<const Bytef*>(packed.data()), size),
            Z_OK);
  EXPECT_EQ(again, text);
}

TEST(DepsTest, ZstdUnpacksWhatItPacked) {
  const std::string text(1000, 'x');
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(&packed[0], packed.size(), text.data(), text.size(), 1));
  std::string again(text.size(), '\0');
  EXPECT_EQ(ZSTD_decompress(&again[0], again.size(), packed.data(), packed.size()), text.size());
  EXPECT_EQ(again, text);
}

TEST(DepsTest, CursesNamesItsVersion) {
  EXPECT_THAT(curses_version(), testing::StartsWith("ncurses 6."));
}

}  // namespace
