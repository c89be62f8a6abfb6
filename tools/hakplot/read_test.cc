// Reads the recordings of testdata/perf and lines of every schema. The figures expected stand in
// the recordings; those of testdata/perf/synthetic are hand-made.

extern "C" {
#include "tools/hakplot/read.h"
}

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tools/hakplot/testing/read_text.h"

using hakplot_testing::ReadText;

namespace {

std::string content_of(const std::string& name) {
  std::ifstream file("testdata/perf/" + name, std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class ReadTest : public ::testing::Test {
 protected:
  ReadTest() { hp_dataset_init(&data_); }
  ~ReadTest() override { hp_free_all(); }

  bool read(const std::string& content, const char* name = "x.json", const char* label = nullptr) {
    // A copy of exactly that size, so that reading beyond it is seen.
    std::vector<char> exact(content.begin(), content.end());
    return ReadText(&data_, name, label, exact.data(), exact.size());
  }
  bool read_file(const std::string& name) { return read(content_of(name), name.c_str()); }

  std::vector<const hp_row*> rows(hp_kind kind) const {
    std::vector<const hp_row*> found;
    for (size_t i = 0; i < data_.row_count; i++) {
      if (data_.rows[i].kind == kind) found.push_back(&data_.rows[i]);
    }
    return found;
  }

  // The only run of what was read.
  double run(hp_field field) const {
    auto found = rows(HP_RUN);
    EXPECT_EQ(found.size(), 1u);
    return found.empty() ? NAN : hp_number(found[0], field);
  }

  std::string error() const { return data_.error != nullptr ? data_.error : ""; }

  hp_dataset data_;
};

// ---- perf stat ----

TEST_F(ReadTest, TextForPeopleIsRefusedWithTheCure) {
  EXPECT_FALSE(read_file("text.txt"));
  EXPECT_NE(error().find("text.txt:4: expected JSON or a line of perf stat -x';'"),
            std::string::npos)
      << error();
}

TEST_F(ReadTest, EverySeparatorGivesTheSameFields) {
  struct {
    const char* name;
    double duration;
    double faults;
  } files[] = {{"comma.csv", 0.304833147, 21591},
               {"semicolon.csv", 0.249296105, 21592},
               {"bar.csv", 0.338646593, 21594},
               {"tab.csv", 0.425338535, 21593}};
  for (const auto& file : files) {
    size_t before = rows(HP_RUN).size();
    ASSERT_TRUE(read_file(file.name)) << error();
    auto all = rows(HP_RUN);
    ASSERT_EQ(all.size(), before + 1) << file.name;
    EXPECT_DOUBLE_EQ(hp_number(all.back(), HP_perf_duration_s), file.duration) << file.name;
    EXPECT_EQ(hp_number(all.back(), HP_perf_page_faults), file.faults) << file.name;
    EXPECT_EQ(hp_number(all.back(), HP_perf_minor_faults), file.faults) << file.name;
    EXPECT_TRUE(std::isnan(hp_number(all.back(), HP_perf_cycles_user))) << file.name;
  }
}

TEST_F(ReadTest, NotSupportedAndNotCountedAreUnknown) {
  ASSERT_TRUE(
      read("<not counted>,ns,system_time,0,100.00,,\n31006000,ns,user_time,31006000,100.00,,\n"
           "<not supported>,,cycles:u,0,100.00,,\n"));
  EXPECT_TRUE(std::isnan(run(HP_perf_system_s)));
  EXPECT_TRUE(std::isnan(run(HP_perf_cycles_user)));
  EXPECT_DOUBLE_EQ(run(HP_perf_user_s), 0.031006);
}

TEST_F(ReadTest, RepeatedRunsAreOneMeanWithItsError) {
  ASSERT_TRUE(read_file("repeat.csv")) << error();
  ASSERT_TRUE(read_file("repeat.json")) << error();
  auto means = rows(HP_MEAN);
  ASSERT_EQ(means.size(), 2u);
  EXPECT_TRUE(rows(HP_RUN).empty());
  EXPECT_NEAR(hp_find(means[0], HP_perf_duration_s)->error, 0.334, 1e-3);
  EXPECT_NEAR(hp_find(means[1], HP_perf_duration_s)->error, 0.108, 1e-3);
  EXPECT_EQ(hp_number(means[1], HP_perf_page_faults), 21594);
}

TEST_F(ReadTest, IntervalsAndTheirSum) {
  for (const char* name : {"interval.csv", "interval.json"}) {
    SCOPED_TRACE(name);
    hp_free_all();
    hp_dataset_init(&data_);
    ASSERT_TRUE(read_file(name)) << error();
    double faults = 0;
    double before = 0;
    for (const hp_row* row : rows(HP_INTERVAL)) {
      faults += hp_number(row, HP_perf_page_faults);
      EXPECT_GT(hp_number(row, HP_t_ns), before);
      before = hp_number(row, HP_t_ns);
    }
    EXPECT_GE(rows(HP_INTERVAL).size(), 3u);
    EXPECT_EQ(run(HP_perf_page_faults), faults);
    EXPECT_TRUE(std::isnan(run(HP_perf_user_s)));
  }
}

TEST_F(ReadTest, ASummaryOfIntervalsIsTakenInPlaceOfTheirSum) {
  ASSERT_TRUE(read_file("interval_summary.csv")) << error();
  double faults = 0;
  for (const hp_row* row : rows(HP_INTERVAL)) faults += hp_number(row, HP_perf_page_faults);
  EXPECT_EQ(run(HP_perf_page_faults), faults);
  // perf prints 0 for both here, which is no measurement.
  EXPECT_TRUE(std::isnan(run(HP_perf_user_s)));
  EXPECT_TRUE(std::isnan(run(HP_perf_system_s)));
}

TEST_F(ReadTest, PartsOfAMachineAreSummed) {
  for (const char* name :
       {"per_cpu.csv", "per_core.csv", "per_core.json", "per_node.csv", "per_thread.csv"}) {
    size_t before = rows(HP_RUN).size();
    ASSERT_TRUE(read_file(name)) << error();
    ASSERT_EQ(rows(HP_RUN).size(), before + 1) << name;
    EXPECT_GT(hp_number(rows(HP_RUN).back(), HP_perf_page_faults), 10000) << name;
  }
}

TEST_F(ReadTest, AppendedAndConcatenatedRunsStayApart) {
  ASSERT_TRUE(read_file("appended.csv")) << error();
  EXPECT_EQ(rows(HP_RUN).size(), 3u);
  std::string once = "1.00,msec,task-clock,1,100.00,,\n2,,page-faults,1,100.00,,\n";
  ASSERT_TRUE(read(once + once)) << error();
  EXPECT_EQ(rows(HP_RUN).size(), 5u);
}

TEST_F(ReadTest, TracepointsAndFaultsByMode) {
  ASSERT_TRUE(read_file("calls.csv")) << error();
  EXPECT_EQ(run(HP_perf_mmap_calls), 13);
  EXPECT_EQ(run(HP_perf_brk_calls), 639);
  EXPECT_EQ(run(HP_perf_syscalls), 684);
  EXPECT_EQ(run(HP_perf_page_faults), 21592);
}

TEST_F(ReadTest, UnprivilegedCountsAreNotTakenForTotals) {
  ASSERT_TRUE(read_file("user_only.csv")) << error();
  EXPECT_TRUE(std::isnan(run(HP_perf_page_faults)));
  EXPECT_EQ(run(HP_perf_page_faults_user), 21590);
  EXPECT_DOUBLE_EQ(run(HP_perf_system_s), 0.051016);  // a tool event: it splits whatever its name
  // "0,,context-switches:u" says only that none was counted in user mode.
  ASSERT_TRUE(read("0,,context-switches:u,1,100.00,,\n1,,page-faults:u,1,100.00,,\n"));
  EXPECT_TRUE(std::isnan(hp_number(rows(HP_RUN).back(), HP_perf_context_switches)));
}

TEST_F(ReadTest, HardwareCountersSynthetic) {
  for (const char* name : {"synthetic/hardware.csv", "synthetic/hardware.json"}) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(read_file(name)) << error();
    EXPECT_EQ(hp_number(rows(HP_RUN).back(), HP_perf_cycles_user), 1530212001);
    EXPECT_EQ(hp_number(rows(HP_RUN).back(), HP_perf_cycles_kernel), 310004512);
  }
  ASSERT_GE(data_.notes->count, 3u);
  EXPECT_STREQ(data_.notes->at[0]->key,
               "synthetic/hardware.csv: cycles:u was counted 67 % of the time and scaled by perf");
}

TEST_F(ReadTest, HybridProcessorsAreSummedSynthetic) {
  ASSERT_TRUE(read_file("synthetic/hybrid.csv")) << error();
  EXPECT_EQ(run(HP_perf_cycles_user), 1560000000);
  EXPECT_TRUE(std::isnan(run(HP_perf_cycles_kernel)));  // one part was not counted
}

TEST_F(ReadTest, DecimalCommasAreRefusedWithTheCure) {
  for (const char* name : {"german_comma.csv", "german_semicolon.csv", "german.json"}) {
    EXPECT_FALSE(read_file(std::string("synthetic/") + name)) << name;
    EXPECT_NE(error().find("record again with LC_ALL=C"), std::string::npos) << error();
  }
  EXPECT_EQ(data_.row_count, 0u);
}

TEST_F(ReadTest, FilesThatAreNotUnderstoodNameLineAndExpectation) {
  EXPECT_FALSE(read("hello\nworld\n", "notes.txt"));
  EXPECT_EQ(error().substr(0, 12), "notes.txt:1:");
  EXPECT_FALSE(read("1,,page-faults,1,100.00,,\nrubbish\n", "a.csv"));
  EXPECT_EQ(error().substr(0, 8), "a.csv:2:");
  EXPECT_NE(error().find("found \"rubbish\""), std::string::npos);
  EXPECT_FALSE(read("zz\n1,,page-faults,1,100.00,,\n", "first.csv"));
  EXPECT_EQ(error().substr(0, 12), "first.csv:1:");
  EXPECT_FALSE(read("1,,some-event,1,100.00,,\n", "b.csv"));
  EXPECT_NE(error().find("no event"), std::string::npos);
  EXPECT_FALSE(read(std::string(HP_MAX_LINE_BYTES + 1, 'a'), "c.csv"));
  EXPECT_NE(error().find("at most 1048576 bytes"), std::string::npos);
  EXPECT_FALSE(read(std::string("1,,cs\0\n2,,cs,1,1.00,,\n", 22), "nul.csv"));
  EXPECT_NE(error().find("nul.csv:1: expected lines of text"), std::string::npos);
  EXPECT_EQ(data_.row_count, 0u);
}

// ---- records ----

TEST_F(ReadTest, RecordsKeepTextsNumbersAndUnknowns) {
  ASSERT_TRUE(read(R"({"schema":"hakmem.record.1","phase":"a","mops":16.5,"kernel_share":null,)"
                   R"("dirty":true,"seed":18446744073709551615,"new_key":[1],"status":"ok"})"));
  EXPECT_EQ(run(HP_mops), 16.5);
  EXPECT_TRUE(std::isnan(run(HP_kernel_share)));
  EXPECT_EQ(run(HP_dirty), 1);
  EXPECT_EQ(run(HP_seed), 18446744073709551615.0);
  EXPECT_STREQ(hp_string(rows(HP_RUN)[0], HP_phase), "a");
  EXPECT_EQ(hp_string(rows(HP_RUN)[0], HP_commit), nullptr);
}

TEST_F(ReadTest, KeysOfTheWrongKindAreNamed) {
  EXPECT_FALSE(
      read("{\"schema\":\"hakmem.record.1\"}\n{\"schema\":\"hakmem.record.1\",\"mops\":\"fast\"}",
           "r.jsonl"));
  EXPECT_EQ(error(), "r.jsonl:2: key \"mops\": expected a number or null");
  EXPECT_FALSE(read(R"({"schema":"hakmem.record.1","phase":7})"));
  EXPECT_NE(error().find("\"phase\": expected a text"), std::string::npos);
  EXPECT_FALSE(read(R"({"schema":"hakmem.record.9"})"));
  EXPECT_NE(error().find("hakmem.record.9"), std::string::npos);
  EXPECT_FALSE(read(R"({"mops":1})"));
  EXPECT_FALSE(read(R"({"schema":"hakmem.record.1","mops":1)"));
  EXPECT_EQ(data_.row_count, 0u);
}

TEST_F(ReadTest, TelemetryGivesMomentsTotalsAndClasses) {
  ASSERT_TRUE(read(
      "{\"schema\":\"hakmem.telemetry.1\",\"pid\":1,\"time_ns\":10,\"user_s\":1,\"system_s\":1}\n"
      "{\"schema\":\"hakmem.telemetry.1\",\"pid\":1,\"time_ns\":20,\"user_s\":3,\"system_s\":2,"
      "\"class_3_live\":5,\"class_3_capacity\":10,\"class_12_block_bytes\":192}\n"));
  EXPECT_EQ(rows(HP_TELEMETRY).size(), 2u);
  EXPECT_EQ(run(HP_user_s), 3);
  const hp_row* last = rows(HP_TELEMETRY)[1];
  ASSERT_EQ(last->class_count, 2u);
  EXPECT_EQ(last->classes[0].index, 3u);
  EXPECT_EQ(last->classes[0].live, 5);
  EXPECT_TRUE(std::isnan(last->classes[0].block_bytes));
  EXPECT_EQ(last->classes[1].block_bytes, 192);
  ASSERT_TRUE(read(R"({"schema":"hakmem.telemetry.1","time_ns":1,"class_1024_live":5})"));
  EXPECT_EQ(rows(HP_TELEMETRY).back()->class_count, 0u) << "no allocator has so many";
}

TEST_F(ReadTest, EventsAmongTelemetryAreLeftOut) {
  ASSERT_TRUE(
      read("{\"schema\":\"hakmem.event.1\",\"sequence\":1,\"event\":\"purged\",\"class\":5}\n"
           "{\"schema\":\"hakmem.telemetry.1\",\"pid\":1,\"time_ns\":10,\"sequence\":1}\n"));
  EXPECT_EQ(rows(HP_TELEMETRY).size(), 1u);
  EXPECT_EQ(data_.row_count, 2u) << "the line, and its process's totals";
}

TEST_F(ReadTest, PhasesAreNamedByRecordLabelAllocatorOrFile) {
  auto phase = [&] { return std::string(hp_string(&data_.rows[data_.row_count - 1], HP_phase)); };
  ASSERT_TRUE(read(R"({"schema":"hakmem.record.1","phase":"own"})"));
  EXPECT_EQ(phase(), "own");
  ASSERT_TRUE(read(R"({"schema":"hakmem.record.1","phase":"own"})", "x.json", "label"));
  EXPECT_EQ(phase(), "label");
  ASSERT_TRUE(
      read("{\"schema\":\"hakmem.record.1\",\"phase\":\"a\"}\n"
           "{\"schema\":\"hakmem.record.1\",\"phase\":\"b\"}",
           "x.json", "label"));
  EXPECT_EQ(phase(), "label: b");
  ASSERT_TRUE(read(R"({"schema":"hakmem.workload.1","allocator":"jemalloc"})"));
  EXPECT_EQ(phase(), "jemalloc");
  ASSERT_TRUE(read("1,,page-faults,1,100.00,,\n", "folder/run.7.csv"));
  EXPECT_EQ(phase(), "run.7");
}

TEST_F(ReadTest, MomentsGetTheMachineOfTheirFile) {
  std::string sample = R"({"schema":"hakmem.sample.1","phase":"a","t_ns":1,"rss_bytes":1})";
  auto record = [](const char* host) {
    return std::string(R"({"schema":"hakmem.record.1","phase":"a","host_id":")") + host + "\"}\n";
  };
  ASSERT_TRUE(read(record("m1") + sample)) << error();
  EXPECT_STREQ(hp_string(rows(HP_SAMPLE)[0], HP_host_id), "m1");
  ASSERT_TRUE(read(record("m1") + record("m2") + sample)) << error();
  EXPECT_EQ(hp_string(rows(HP_SAMPLE)[1], HP_host_id), nullptr);
}

TEST_F(ReadTest, HostileTextsAreCleanedOnTheWayIn) {
  ASSERT_TRUE(read("{\"schema\":\"hakmem.record.1\",\"phase\":\"a\\nb\\u001b[31m`id`\"}"));
  EXPECT_STREQ(hp_string(rows(HP_RUN)[0], HP_phase), "a\\nb\\x1b[31m`id`");
}

TEST_F(ReadTest, AssumedOperationsAreForPerfRunsAlone) {
  ASSERT_TRUE(read("1,,page-faults,1,100.00,,\n"));
  ASSERT_TRUE(read(R"({"schema":"hakmem.workload.1","workload":"w"})"));
  hp_assume_ops(&data_, 1e7);
  EXPECT_EQ(hp_number(&data_.rows[0], HP_ops), 1e7);
  EXPECT_TRUE(std::isnan(hp_number(&data_.rows[1], HP_ops)));
}

// Large and nasty content must be answered, not hung upon: the shapes that once were slow.
TEST_F(ReadTest, MegabytesOfNastyContentAreAnswered) {
  const size_t bytes = 1 << 20;
  std::string distinct;
  for (int i = 0; distinct.size() < bytes; i++) {
    distinct += "{\"schema\":\"hakmem.record.1\",\"phase\":\"" + std::to_string(i) + "\"}\n";
  }
  EXPECT_TRUE(read(distinct)) << error();
  std::string repeated;
  while (repeated.size() < bytes) repeated += "1,,cs,1,1.00,,\n";
  EXPECT_TRUE(read(repeated)) << error();
  std::string events;
  for (int i = 0; events.size() < bytes; i++) events += "1,,e" + std::to_string(i) + ",1,1.00,,\n";
  EXPECT_FALSE(read(events));
  EXPECT_FALSE(read(std::string(1 << 20, '[')));
  size_t rows_before = data_.row_count;
  EXPECT_TRUE(read(std::string(bytes, '\n')));
  EXPECT_TRUE(read(std::string(bytes, '\0')));
  EXPECT_EQ(data_.row_count, rows_before);
}

}  // namespace
