// Tests of what is compared: cases, groups, metrics, judgements, and the tables made of them.

extern "C" {
#include "tools/hakplot/group.h"

#include "tools/hakplot/verdict.h"
}

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tools/hakplot/testing/read_text.h"

using hakplot_testing::ReadText;
using hakplot_testing::Written;

namespace {

class GroupTest : public ::testing::Test {
 protected:
  GroupTest() { hp_dataset_init(&data_); }
  ~GroupTest() override { hp_free_all(); }

  // One record of random_mixed: its keys beside those that all have.
  void record(const std::string& phase, const std::string& keys) {
    text_ += R"({"schema":"hakmem.record.1","workload":"random_mixed","args":"1e7","phase":")" +
             phase + "\"" + (keys.empty() ? "" : ",") + keys + "}\n";
  }
  void runs(const std::string& phase, int count, double mops) {
    for (int i = 0; i < count; i++) record(phase, "\"mops\":" + std::to_string(mops + 0.01 * i));
  }

  const hp_cases& group() {
    EXPECT_TRUE(ReadText(&data_, "x", nullptr, text_.data(), text_.size())) << data_.error;
    cases_ = hp_group_runs(&data_);
    return cases_;
  }
  hp_summary summary(const hp_group& group, hp_metric_id id = HP_THROUGHPUT) {
    return hp_summarise(&group, &kMetrics[id]);
  }
  bool has_note(const std::string& part) {
    for (size_t i = 0; i < data_.notes->count; i++) {
      if (std::string(data_.notes->at[i]->key).find(part) != std::string::npos) return true;
    }
    return false;
  }

  hp_dataset data_;
  hp_cases cases_ = {};
  std::string text_;
};

TEST_F(GroupTest, PhasesOfOneWorkloadMakeOneCase) {
  runs("a", 3, 10);
  runs("b", 2, 20);
  const hp_cases& cases = group();
  ASSERT_EQ(cases.count, 1u);
  ASSERT_EQ(cases.at[0].group_count, 2u);
  EXPECT_EQ(cases.at[0].groups[0].run_count, 3u);
  EXPECT_TRUE(cases.at[0].groups[0].is_baseline);
  EXPECT_DOUBLE_EQ(summary(cases.at[0].groups[0]).centre, 10.01);
}

TEST_F(GroupTest, MachinesNeverShareABar) {
  record("a", "\"mops\":1,\"host_id\":\"aaaaaaaaaaaa\"");
  record("a", "\"mops\":2,\"host_id\":\"bbbbbbbbbbbb\"");
  const hp_cases& cases = group();
  ASSERT_EQ(cases.at[0].group_count, 2u);
  EXPECT_STREQ(cases.at[0].groups[0].label, "a @ aaaaaaaa");
  EXPECT_STREQ(cases.at[0].groups[1].label, "a @ bbbbbbbb");
}

TEST_F(GroupTest, FailedRunsAreCountedAndLeftOut) {
  runs("a", 2, 10);
  record("a", "\"status\":\"crashed: signal 11\",\"mops\":null");
  const hp_cases& cases = group();
  ASSERT_EQ(cases.count, 1u);
  EXPECT_EQ(cases.at[0].groups[0].failed, 1u);
  EXPECT_EQ(cases.at[0].groups[0].run_count, 2u);
  EXPECT_TRUE(has_note("1 of 3 runs failed"));
}

// By the clock a run in a duet waits for the others.
TEST_F(GroupTest, ADuetIsToldByProcessorTimeAndStandsAlone) {
  const std::string figures =
      R"("ops":10000000,"ns_total":1000000000,"mops":10,"ns_per_op":100,"perf_duration_s":1.1)";
  record("a", figures + R"(,"user_s":0.3,"system_s":0.2)");
  record("a", figures + R"(,"user_s":0.3,"system_s":0.2,"duet":2)");
  record("a", figures + R"(,"duet":3)");
  record("b", R"("status":"timed out","duet":2)");
  const hp_cases& cases = group();
  ASSERT_EQ(cases.count, 3u);
  const struct {
    const char* title;
    size_t groups;
    double mops, ns, elapsed_s;
    const char* axis;
    const char* unit;
  } kRows[] = {
      {"random_mixed 1e7", 1, 10, 100, 1, "throughput, million operations a second", "M ops/s"},
      {"random_mixed 1e7, duet of 2", 2, 20, 50, NAN,
       "throughput, million operations a second of processor time", "M ops/CPU s"},
      {"random_mixed 1e7, duet of 3", 1, NAN, NAN, NAN,
       "throughput, million operations a second of processor time", "M ops/CPU s"},
  };
  auto expect_same = [](double found, double expected) {
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(found)) << found;
    } else {
      EXPECT_DOUBLE_EQ(found, expected);
    }
  };
  for (size_t i = 0; i < 3; i++) {
    const hp_case& one = cases.at[i];
    EXPECT_STREQ(one.title, kRows[i].title);
    EXPECT_EQ(one.group_count, kRows[i].groups);
    expect_same(summary(one.groups[0], HP_THROUGHPUT).centre, kRows[i].mops);
    expect_same(summary(one.groups[0], HP_TIME_PER_OP).centre, kRows[i].ns);
    expect_same(summary(one.groups[0], HP_ELAPSED).centre, kRows[i].elapsed_s);
    EXPECT_STREQ(hp_metric_title(&kMetrics[HP_THROUGHPUT], one.sample), kRows[i].axis);
    EXPECT_STREQ(hp_metric_unit(&kMetrics[HP_THROUGHPUT], one.sample), kRows[i].unit);
  }
}

TEST_F(GroupTest, AFailedRunWithoutParametersCountsInItsWorkloadsCases) {
  record("a", "\"mops\":1,\"working_set\":16");
  record("a", "\"mops\":1,\"working_set\":32");
  record("a", "\"status\":\"timed out\"");
  const hp_cases& cases = group();
  ASSERT_EQ(cases.count, 2u);
  EXPECT_EQ(cases.at[0].groups[0].failed, 1u);
  EXPECT_EQ(cases.at[1].groups[0].failed, 1u);
}

TEST_F(GroupTest, AFailedRunCountsInNoMoreCasesThanASweepHas) {
  for (int i = 0; i < 1000; i++) record("a", "\"mops\":1,\"working_set\":" + std::to_string(i));
  record("b", "\"status\":\"timed out\"");
  const hp_cases& cases = group();
  ASSERT_EQ(cases.count, 1001u);
  EXPECT_EQ(cases.at[1000].groups[0].failed, 1u);
  EXPECT_EQ(cases.at[0].group_count, 1u);
}

// As many phases, workloads and failures as 64 MiB can hold must not take their square of work.
TEST_F(GroupTest, ManyOfEverythingAreGrouped) {
  const int many = 100000;
  for (int i = 0; i < many; i++) {
    std::string n = std::to_string(i);
    text_ +=
        R"({"schema":"hakmem.record.1","workload":"!","args":")" + n + R"(","phase":"a"})" + "\n";
    text_ +=
        R"({"schema":"hakmem.record.1","workload":"w","phase":")" + n + R"(","mops":1})" + "\n";
    text_ +=
        R"({"schema":"hakmem.record.1","workload":"f","args":")" + n + R"(","status":"no"})" + "\n";
  }
  const hp_cases& cases = group();
  EXPECT_EQ(cases.count, 2u * many + 1);
  EXPECT_EQ(cases.at[1].group_count, static_cast<size_t>(many));
}

TEST_F(GroupTest, EachMachineHasItsOwnBaseline) {
  record("a", R"("mops":1,"host_id":"m1")");
  record("b", R"("mops":1,"host_id":"m1")");
  record("b", R"("mops":1,"host_id":"m2")");
  record("a", R"("mops":1,"host_id":"m2")");
  record("b", R"("mops":1,"host_id":"m3")");
  const hp_group* groups = group().at[0].groups;
  EXPECT_EQ(groups[1].baseline, &groups[0]);
  EXPECT_EQ(groups[2].baseline, &groups[3]);
  EXPECT_EQ(groups[3].baseline, &groups[3]);
  EXPECT_EQ(groups[4].baseline, nullptr);
}

TEST_F(GroupTest, MeansWithoutRunsHaveAnErrorAndNoInterval) {
  text_ = "2000000000,ns,duration_time,5.00%,2000000000,100.00,,\n";
  hp_summary mean = summary(group().at[0].groups[0], HP_ELAPSED);
  EXPECT_TRUE(mean.is_mean);
  EXPECT_TRUE(std::isnan(mean.low));
  EXPECT_NEAR(mean.error, 0.05, 1e-9);
}

TEST_F(GroupTest, MixedCommitsAndBuildsAreNoted) {
  record("a", "\"mops\":1,\"commit\":\"x\",\"build_mode\":\"dbg\"");
  record("a", "\"mops\":1,\"commit\":\"y\",\"build_mode\":\"opt\"");
  group();
  EXPECT_TRUE(has_note("mix commits"));
  EXPECT_TRUE(has_note("mix build modes"));
  EXPECT_TRUE(has_note("built as dbg"));
}

TEST_F(GroupTest, KernelShareOfTooLittleTimeIsUnknown) {
  record("short", "\"user_s\":0.1,\"system_s\":0.05");
  record("long", "\"user_s\":3,\"system_s\":1");
  const hp_cases& cases = group();
  hp_share too_short = hp_kernel_share(&cases.at[0].groups[0]);
  EXPECT_TRUE(std::isnan(too_short.share));
  EXPECT_NEAR(too_short.cpu_s, 0.15, 1e-12) << "so that the chart can say why";
  hp_share share = hp_kernel_share(&cases.at[0].groups[1]);
  EXPECT_DOUBLE_EQ(share.share, 0.25);
  EXPECT_EQ(share.source, HP_CPU_REGION);
  // 1000 ticks: 0.25 +- 0.027.
  EXPECT_NEAR(share.high - share.low, 0.0536, 0.001);
}

TEST_F(GroupTest, ShortRunsTogetherKnowTheirShare) {
  for (int i = 0; i < 10; i++) record("a", "\"user_s\":0.09,\"system_s\":0.01");
  EXPECT_NEAR(hp_kernel_share(&group().at[0].groups[0]).share, 0.1, 1e-12);
}

TEST_F(GroupTest, KernelShareSources) {
  record("cycles", "\"perf_cycles_user\":300,\"perf_cycles_kernel\":100");
  record("process", "\"perf_user_s\":1,\"perf_system_s\":1");
  record("stated", "\"kernel_share\":0.55");
  record("unknown", "\"perf_user_s\":1");
  const hp_cases& cases = group();
  const hp_group* groups = cases.at[0].groups;
  EXPECT_DOUBLE_EQ(hp_kernel_share(&groups[0]).share, 0.25);
  EXPECT_EQ(hp_kernel_share(&groups[1]).source, HP_CPU_PROCESS);
  EXPECT_DOUBLE_EQ(hp_kernel_share(&groups[2]).share, 0.55);
  EXPECT_TRUE(std::isnan(hp_kernel_share(&groups[3]).share));
}

TEST_F(GroupTest, UnknownIsNeverZero) {
  record("a", "");
  const hp_cases& cases = group();
  for (int id = 0; id < HP_METRIC_COUNT; id++) {
    hp_summary unknown = summary(cases.at[0].groups[0], static_cast<hp_metric_id>(id));
    EXPECT_TRUE(std::isnan(unknown.centre)) << kMetrics[id].name;
    EXPECT_STREQ(hp_summary_text(&unknown, 1), "unknown");
  }
}

TEST_F(GroupTest, MetricsAreDerivedWhereTheyCan) {
  record("a",
         "\"ops\":2000000,\"ns_total\":1e9,\"minor_faults\":10,\"major_faults\":0,"
         "\"kernel_mmap_calls\":3,\"kernel_munmap_calls\":1,\"peak_rss_bytes\":2097152");
  const hp_group& only = group().at[0].groups[0];
  EXPECT_DOUBLE_EQ(summary(only, HP_THROUGHPUT).centre, 2);
  EXPECT_DOUBLE_EQ(summary(only, HP_TIME_PER_OP).centre, 500);
  EXPECT_DOUBLE_EQ(summary(only, HP_ELAPSED).centre, 1);
  EXPECT_DOUBLE_EQ(summary(only, HP_FAULTS).centre, 5);
  EXPECT_DOUBLE_EQ(summary(only, HP_SYSCALLS).centre, 2);
  EXPECT_DOUBLE_EQ(summary(only, HP_PEAK_RSS).centre, 2);
}

TEST_F(GroupTest, LatencyRunsSayNothingOfThroughput) {
  record("a", "\"mops\":5,\"mode\":\"latency\"");
  EXPECT_TRUE(std::isnan(summary(group().at[0].groups[0]).centre));
}

TEST_F(GroupTest, StatedRangesAreNoRuns) {
  record("a", "\"mops_low\":45,\"mops_high\":50");
  hp_summary range = summary(group().at[0].groups[0]);
  EXPECT_TRUE(range.is_range);
  EXPECT_EQ(range.count, 0u);
  EXPECT_STREQ(hp_summary_text(&range, 1), "45.0 to 50.0");
}

// ---- judgement ----

TEST_F(GroupTest, JudgementNeedsRunsAndADifference) {
  runs("base", 10, 10);
  runs("faster", 10, 20);
  runs("alike", 10, 10.001);
  runs("few", 3, 20);
  const hp_group* groups = group().at[0].groups;
  auto judge = [&](size_t a, size_t b) {
    return hp_compare_groups(&groups[a], &groups[b], &kMetrics[HP_THROUGHPUT]);
  };
  EXPECT_EQ(judge(0, 1).judgement, HP_DIFFERENT);
  EXPECT_NEAR(judge(0, 1).ratio, 20.045 / 10.045, 1e-9);
  hp_comparison alike = judge(0, 2);
  EXPECT_EQ(alike.judgement, HP_ALIKE);
  EXPECT_STREQ(hp_change_text(&alike), "~");
  EXPECT_STREQ(hp_evidence_text(&alike), "p=0.739");
  // 3 + 10 could tell; 3 + 3 never can.
  EXPECT_EQ(judge(0, 3).judgement, HP_DIFFERENT);
  hp_comparison too_few = judge(3, 3);
  EXPECT_EQ(too_few.judgement, HP_TOO_FEW);
  EXPECT_STREQ(hp_change_text(&too_few), "+0.0 %");
  EXPECT_STREQ(hp_evidence_text(&too_few), "too few");
}

TEST_F(GroupTest, ThroughputHasAUnitOfItsSize) {
  runs("a", 1, 0.0009107);
  const hp_cases& cases = group();
  hp_unit unit = hp_unit_of(&cases.at[0], &kMetrics[HP_THROUGHPUT]);
  EXPECT_STREQ(unit.name, "k ops/s");
  EXPECT_STREQ(unit.title, "throughput, thousand operations a second");
  hp_summary slow = summary(cases.at[0].groups[0]);
  EXPECT_STREQ(hp_summary_text(&slow, unit.factor), "0.911");
}

// The machine slows down by half from the first round to the last: the medians of the phases say
// little, round by round all is clear.
TEST_F(GroupTest, RunsOfOneExperimentAreComparedRoundByRound) {
  for (int run = 0; run < 8; run++) {
    double speed = 100.0 / (8 + run);
    auto keys = [&](double mops) {
      return "\"experiment\":\"e\",\"run\":" + std::to_string(run) +
             ",\"mops\":" + std::to_string(mops);
    };
    record("base", keys(speed));
    record("faster", keys(speed * (1.02 + 0.001 * run)));
    record("equal", keys(speed * (run % 2 == 0 ? 1.01 : 0.99)));
    if (run < 5) record("short", keys(speed * 2));
  }
  const hp_group* groups = group().at[0].groups;
  auto judge = [&](size_t i) {
    return hp_compare_groups(&groups[0], &groups[i], &kMetrics[HP_THROUGHPUT]);
  };
  hp_comparison faster = judge(1);
  EXPECT_EQ(faster.pairs, 8u);
  EXPECT_EQ(faster.judgement, HP_DIFFERENT);
  EXPECT_NEAR(faster.ratio, 1.0235, 1e-4);
  EXPECT_STREQ(hp_change_text(&faster), "+2.3 %");
  EXPECT_STREQ(hp_evidence_text(&faster), "+2.0..+2.7 %");
  hp_comparison equal = judge(2);
  EXPECT_EQ(equal.judgement, HP_ALIKE);
  EXPECT_STREQ(hp_change_text(&equal), "~");
  EXPECT_STREQ(hp_evidence_text(&equal), "-1.0..+1.0 %");
  EXPECT_EQ(judge(3).judgement, HP_TOO_FEW);
}

// What the verdict shows of the kernel, compare knows too: runs that are too short by themselves.
TEST_F(GroupTest, KernelShareIsOneFigureEverywhere) {
  for (int run = 0; run < 3; run++) {
    record("a", R"("user_s":0.09,"system_s":0.01)");
    record("b", R"("user_s":0.05,"system_s":0.05)");
  }
  const hp_group* groups = group().at[0].groups;
  const hp_metric* share = hp_metric_named("kernel-share");
  hp_comparison result = hp_compare_groups(&groups[0], &groups[1], share);
  EXPECT_NEAR(result.base.centre, hp_kernel_share(&groups[0]).share * 100, 1e-9);
  EXPECT_NEAR(result.now.centre, 50, 1e-9);
  EXPECT_EQ(result.judgement, HP_DIFFERENT);
  EXPECT_STREQ(hp_evidence_text(&result), "p<0.001");
}

// Each phase's telemetry belongs to its workload: it is no run beside the record that holds it.
TEST_F(GroupTest, TelemetryOfAnExperimentIsPartOfItsRecords) {
  record("a", R"("experiment":"e","run":0,"user_s":1,"telemetry_user_s":2,"telemetry_vmas":7)");
  text_ += R"({"schema":"hakmem.telemetry.1","experiment":"e","phase":"a","run":0,"time_ns":1})"
           "\n"
           R"({"schema":"hakmem.telemetry.1","pid":3,"time_ns":1,"rss_bytes":1})"
           "\n";
  const hp_cases& cases = group();
  ASSERT_EQ(cases.count, 2u);
  EXPECT_STREQ(cases.at[0].title, "random_mixed 1e7");
  EXPECT_EQ(hp_number(cases.at[0].groups[0].runs[0], HP_user_s), 1);
  EXPECT_EQ(hp_number(cases.at[0].groups[0].runs[0], HP_vmas), 7);
  EXPECT_STREQ(cases.at[1].title, "telemetry");
}

TEST_F(GroupTest, FilesOfOneNameAreToldApart) {
  const std::string content = "1;;page-faults;1;100.00;;\n";
  for (const char* file : {"a/one/p.csv", "b/one/p.csv", "b/one/p.txt", "q.csv", "q.csv"}) {
    ASSERT_TRUE(ReadText(&data_, file, nullptr, content.data(), content.size()));
  }
  ASSERT_TRUE(ReadText(&data_, "c/p.csv", "named", content.data(), content.size()));
  hp_tell_files_apart(&data_);
  cases_ = hp_group_runs(&data_);
  ASSERT_EQ(cases_.count, 1u);
  std::string labels;
  for (size_t i = 0; i < cases_.at[0].group_count; i++) {
    labels += std::string(cases_.at[0].groups[i].label) + "\n";
  }
  EXPECT_EQ(labels, "a/one/p.csv\nb/one/p.csv\nb/one/p.txt\nq.csv\nnamed\n");
}

TEST_F(GroupTest, VerdictTableOfTheReport) {
  text_ = R"({"schema":"hakmem.record.1","workload":"w","phase":"a","mops":16.5,"kernel_share":0.55}
{"schema":"hakmem.record.1","workload":"w","phase":"b","mops":96.5}
)";
  const hp_cases& cases = group();
  std::string text =
      Written([&](FILE* out) { hp_table_text(hp_verdict_table(&cases.at[0]), 80, out); });
  EXPECT_EQ(text,
            "w\n"
            "phase  M ops/s   vs base  95 % or p  runs  in kernel\n"
            "────────────────────────────────────────────────────\n"
            "a         16.5  baseline              n=1       55 %\n"
            "b         96.5    +485 %    too few   n=1    unknown\n"
            "too few: a change may be noise (6 rounds of one experiment, or 4 runs on each\n"
            "side, are the least; 10 are good)\n");
}

}  // namespace
