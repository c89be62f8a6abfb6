// Reports: what a parser makes of them. JSON by jansson; the metrics by a strict parser of our own,
// and by promtool where it is installed.

extern "C" {
#include "hakmem/telemetry/report.h"
}

#include <gtest/gtest.h>
#include <jansson.h>
#include <stdlib.h>

#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "hakmem/base/size_class.h"
#include "hakmem/testing/support.h"

namespace {

using Json = std::unique_ptr<json_t, decltype(&json_decref)>;

bool Collect(const char* bytes, size_t length, void* context) {
  static_cast<std::string*>(context)->append(bytes, length);
  return true;
}

template <typename Body>
std::string Written(Body body) {
  std::string all;
  char buffer[100];
  hak_text_t text = {};
  text.buffer = buffer;
  text.capacity = sizeof buffer;
  text.sink = Collect;
  text.context = &all;
  body(&text);
  EXPECT_TRUE(hak_text_end(&text));
  return all;
}

std::string JsonLine(const hak_snapshot_t& snapshot, const hak_report_head_t& head) {
  return Written([&](hak_text_t* text) { hak_report_json(text, &snapshot, &head); });
}

Json Parse(const std::string& line) {
  json_error_t error;
  Json object(json_loads(line.c_str(), JSON_REJECT_DUPLICATES, &error), json_decref);
  EXPECT_NE(object, nullptr) << error.text << "\n" << line.substr(0, 500);
  return object;
}

// Every figure another number, so that no two can be taken for each other.
hak_snapshot_t Distinct() {
  hak_snapshot_t snapshot;
  static_assert(sizeof snapshot % sizeof(uint64_t) == 0, "it holds nothing else");
  std::vector<uint64_t> words(sizeof snapshot / sizeof(uint64_t));
  for (size_t i = 0; i < words.size(); i++) words[i] = 1000000000000 + i * 1000;
  memcpy(&snapshot, words.data(), sizeof snapshot);
  return snapshot;
}

hak_snapshot_t Filled(int byte) {
  hak_snapshot_t snapshot;
  memset(&snapshot, byte, sizeof snapshot);
  return snapshot;
}

uint64_t Number(const Json& object, const std::string& key) {
  json_t* value = json_object_get(object.get(), key.c_str());
  EXPECT_TRUE(json_is_integer(value)) << key;
  return static_cast<uint64_t>(json_integer_value(value));
}

TEST(ReportTest, JsonHoldsEveryFigureUnderItsName) {
  hak_snapshot_t snapshot = Distinct();
  std::string line = JsonLine(snapshot, {7, 4321, "warm up"});
  ASSERT_EQ(line.find('\n'), line.size() - 1);
  Json object = Parse(line);
  EXPECT_STREQ(json_string_value(json_object_get(object.get(), "schema")), "hakmem.telemetry.1");
  EXPECT_STREQ(json_string_value(json_object_get(object.get(), "phase")), "warm up");
  EXPECT_EQ(Number(object, "sequence"), 7u);
  EXPECT_EQ(Number(object, "pid"), 4321u);
  EXPECT_EQ(Number(object, "time_ns"), snapshot.stats.time_ns);
  EXPECT_EQ(Number(object, "page_faults_minor"), snapshot.stats.minor_faults);
  EXPECT_EQ(Number(object, "rss_bytes"), snapshot.stats.rss_bytes);
  EXPECT_EQ(Number(object, "kernel_mmap_calls"), snapshot.stats.mmap.calls);
  EXPECT_EQ(Number(object, "kernel_mprotect_ns"), snapshot.stats.mprotect.ns);
  EXPECT_EQ(Number(object, "kernel_telemetry_failures"), snapshot.stats.telemetry.failures);
  EXPECT_EQ(Number(object, "retained_huge_cache_bytes"), snapshot.retention.huge_cache_bytes);
  EXPECT_EQ(Number(object, "class_72_live"), snapshot.classes[72].live);
  EXPECT_EQ(Number(object, "class_1_exhaustions"), snapshot.classes[1].exhaustions);
  EXPECT_EQ(Number(object, "span_exhaustions"), snapshot.classes[0].exhaustions);
  EXPECT_DOUBLE_EQ(json_number_value(json_object_get(object.get(), "user_s")),
                   static_cast<double>(snapshot.stats.user_ns) / 1e9);
  // All of them: the structure's words, but live_bytes and committed_bytes of the retention, which
  // stand in hak_stats already, and class 0 but its exhaustions; and five of the head's, and the
  // kernel's share.
  size_t figures = sizeof snapshot / 8 - 2 - (sizeof(hak_class_stats) / 8 - 1) + 5 + 1 - 1;
  EXPECT_EQ(json_object_size(object.get()), figures);
  const char* key;
  json_t* value;
  json_object_foreach(object.get(), key, value) {
    EXPECT_FALSE(json_is_object(value) || json_is_array(value)) << key;
  }
}

TEST(ReportTest, JsonLeavesOutClassesThatAreNotInUse) {
  hak_snapshot_t snapshot = Filled(0);
  snapshot.classes[5].slabs = 1;
  snapshot.classes[6].taken = 1;
  Json object = Parse(JsonLine(snapshot, {1, 2, nullptr}));
  EXPECT_EQ(json_object_get(object.get(), "phase"), nullptr);
  EXPECT_EQ(json_object_get(object.get(), "class_4_live"), nullptr);
  EXPECT_EQ(Number(object, "class_5_slabs"), 1u);
  EXPECT_EQ(Number(object, "class_6_taken"), 1u);
}

TEST(ReportTest, WhatIsUnknownIsNullAndNoSample) {
  hak_snapshot_t snapshot = Filled(0);
  snapshot.stats.vmas = snapshot.stats.user_ns = HAK_UNKNOWN;
  Json object = Parse(JsonLine(snapshot, {HAK_UNKNOWN, 2, ""}));
  for (const char* key : {"vmas", "user_s", "kernel_share", "sequence"}) {
    EXPECT_TRUE(json_is_null(json_object_get(object.get(), key))) << key;
  }
  std::string metrics =
      Written([&](hak_text_t* text) { hak_report_metrics(text, &snapshot, HAK_OPEN_METRICS); });
  EXPECT_EQ(metrics.find("hakmem_vmas "), std::string::npos);
  EXPECT_NE(metrics.find("hakmem_vmas_max 0\n"), std::string::npos);
}

TEST(ReportTest, TheKernelsShareNeedsTimeToBeKnown) {
  hak_snapshot_t snapshot = Filled(0);
  snapshot.stats.user_ns = 150000000;
  snapshot.stats.system_ns = 49999999;
  Json object = Parse(JsonLine(snapshot, {1, 2, ""}));
  EXPECT_TRUE(json_is_null(json_object_get(object.get(), "kernel_share")));
  snapshot.stats.system_ns = 50000000;
  object = Parse(JsonLine(snapshot, {1, 2, ""}));
  EXPECT_DOUBLE_EQ(json_real_value(json_object_get(object.get(), "kernel_share")), 0.25);
}

TEST(ReportTest, TheLongestLineFits) {
  hak_snapshot_t snapshot = Filled(0xfe);
  std::string phase(63, '\x01');
  std::string line = JsonLine(snapshot, {UINT64_MAX - 1, UINT64_MAX - 1, phase.c_str()});
  EXPECT_LE(line.size(), HAK_REPORT_LINE_BYTES);
  EXPECT_GT(line.size(), 30000u) << "all classes are in it";
  hak_event_t event = {UINT64_MAX,        UINT64_MAX, UINT64_MAX,
                       UINT64_MAX,        UINT32_MAX, HAK_EVENT_OUT_OF_MEMORY,
                       HAK_N_CLASSES - 1, INT32_MAX};
  std::string said = Written([&](hak_text_t* text) { hak_report_event(text, &event, 1u << 31); });
  EXPECT_LE(said.size(), static_cast<size_t>(HAK_REPORT_EVENT_BYTES));
}

TEST(ReportTest, EventsSayWhatIsKnown) {
  hak_event_t event = {3, 4, 0xabc000, 65536, 2, HAK_EVENT_ADOPTED, 32, 0};
  EXPECT_EQ(Written([&](hak_text_t* text) { hak_report_event(text, &event, 9); }),
            "{\"schema\":\"hakmem.event.1\",\"sequence\":3,\"time_ns\":4,\"pid\":9,"
            "\"event\":\"adopted\",\"thread\":2,\"class\":32,\"block_bytes\":1024,"
            "\"bytes\":65536,\"address\":\"0xabc000\"}\n");
  event = {4, 5, 0, 4096, 2, HAK_EVENT_KERNEL_FAILED, HAK_KERNEL_MMAP, 12};
  EXPECT_EQ(Written([&](hak_text_t* text) { hak_report_event(text, &event, 9); }),
            "{\"schema\":\"hakmem.event.1\",\"sequence\":4,\"time_ns\":5,\"pid\":9,"
            "\"event\":\"kernel failed\",\"thread\":2,\"call\":\"mmap\",\"errno\":12,"
            "\"bytes\":4096}\n");
}

// ---- metrics ----

bool EndsIn(const std::string& text, const std::string& ending) {
  return text.size() >= ending.size() &&
         text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

// The rules of OpenMetrics 1.0 as far as they concern what is written here: counters and gauges.
// Returns the samples by their name with labels.
std::map<std::string, double> ParseMetrics(const std::string& text, bool is_open_metrics) {
  std::map<std::string, double> samples;
  std::set<std::string> families;
  std::string family, type, unit;
  bool has_help = false, has_ended = false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_FALSE(has_ended) << "after # EOF: " << line;
    if (line == "# EOF") {
      has_ended = true;
      continue;
    }
    std::istringstream words(line);
    std::string first, keyword, name, rest;
    words >> first;
    if (first == "#") {
      words >> keyword >> name;
      std::getline(words >> std::ws, rest);
      EXPECT_FALSE(rest.empty()) << line;
      if (keyword == "HELP") {
        EXPECT_TRUE(families.insert(name).second) << "a family twice: " << name;
        family = name, type = unit = "", has_help = true;
      }
      EXPECT_EQ(name, family) << line;
      if (keyword == "TYPE") type = rest;
      if (keyword == "UNIT") unit = rest;
      if (keyword == "UNIT") {
        EXPECT_TRUE(is_open_metrics && EndsIn(name, "_" + unit)) << line;
      }
      if (keyword == "TYPE") {
        EXPECT_EQ(EndsIn(name, "_total"), type == "counter" && !is_open_metrics) << line;
      }
      continue;
    }
    EXPECT_TRUE(has_help && (type == "counter" || type == "gauge")) << line;
    size_t end = line.find(' ');
    EXPECT_NE(end, std::string::npos) << line;
    std::string sample = line.substr(0, end), base = sample.substr(0, sample.find('{'));
    EXPECT_EQ(base, is_open_metrics && type == "counter" ? family + "_total" : family) << line;
    size_t brace = sample.find('{');
    if (brace != std::string::npos) {
      EXPECT_EQ(sample.back(), '}') << line;
      std::string labels = sample.substr(brace + 1, sample.size() - brace - 2) + ",";
      for (size_t at = 0; at < labels.size();) {
        size_t equals = labels.find("=\"", at), close = labels.find("\",", equals + 2);
        EXPECT_TRUE(equals != std::string::npos && close != std::string::npos) << line;
        if (close == std::string::npos) break;
        at = close + 2;
      }
    }
    for (char c : base) EXPECT_TRUE(islower(c) || isdigit(c) || c == '_') << line;
    char* parsed = nullptr;
    double value = strtod(line.c_str() + end + 1, &parsed);
    EXPECT_EQ(*parsed, '\0') << line;
    EXPECT_TRUE(samples.emplace(sample, value).second) << "a sample twice: " << line;
  }
  EXPECT_TRUE(has_ended);
  EXPECT_EQ(text.back(), '\n');
  return samples;
}

std::string Metrics(const hak_snapshot_t& snapshot, hak_exposition_t format) {
  return Written([&](hak_text_t* text) { hak_report_metrics(text, &snapshot, format); });
}

TEST(ReportTest, MetricsFollowTheFormatAndHoldTheFigures) {
  hak_snapshot_t snapshot = Distinct();
  for (hak_exposition_t format : {HAK_OPEN_METRICS, HAK_PROMETHEUS_TEXT}) {
    auto samples = ParseMetrics(Metrics(snapshot, format), format == HAK_OPEN_METRICS);
    EXPECT_EQ(samples["hakmem_rss_bytes"], static_cast<double>(snapshot.stats.rss_bytes));
    EXPECT_EQ(samples["hakmem_purged_bytes_total"],
              static_cast<double>(snapshot.stats.purged_bytes));
    EXPECT_EQ(samples["hakmem_user_seconds_total"],
              static_cast<double>(snapshot.stats.user_ns) / 1e9);
    EXPECT_EQ(samples["hakmem_kernel_calls_total{call=\"madvise\"}"],
              static_cast<double>(snapshot.stats.madvise.calls));
    EXPECT_EQ(samples["hakmem_kernel_seconds_total{call=\"mmap\"}"],
              static_cast<double>(snapshot.stats.mmap.ns) / 1e9);
    EXPECT_EQ(samples["hakmem_retained_bytes{reason=\"outgoing\"}"],
              static_cast<double>(snapshot.retention.outgoing_bytes));
    EXPECT_EQ(samples["hakmem_class_live{class=\"32\",size=\"1024\"}"],
              static_cast<double>(snapshot.classes[32].live));
    EXPECT_EQ(samples["hakmem_class_refills_total{class=\"1\",size=\"16\"}"],
              static_cast<double>(snapshot.classes[1].refills));
    EXPECT_EQ(samples.count("hakmem_kernel_share_ratio"), 1u);
  }
}

TEST(ReportTest, MetricsWithoutAnyClassAreValidToo) {
  hak_snapshot_t snapshot = Filled(0);
  ParseMetrics(Metrics(snapshot, HAK_OPEN_METRICS), true);
}

TEST(ReportTest, PromtoolTakesThem) {
  if (system("command -v promtool >/dev/null 2>&1") != 0) GTEST_SKIP() << "promtool is not here";
  const char* folder = getenv("TEST_TMPDIR");
  std::string path = std::string(folder != nullptr ? folder : "/tmp") + "/figures.prom";
  std::ofstream(path) << Metrics(Distinct(), HAK_PROMETHEUS_TEXT);
  EXPECT_EQ(system(("promtool check metrics < " + path).c_str()), 0);
}

TEST(ReportTest, TheTablesNameEveryField) {
  std::string all;
  hak_report_document(
      [](const char* line, void* context) {
        static_cast<std::string*>(context)->append(line).append("\n");
      },
      &all);
  for (const char* name : {"`rss_bytes`", "`kernel_<kind>_failures`", "`retained_lost_bytes`",
                           "`class_<N>_adoptions`", "- `mremap`"}) {
    EXPECT_NE(all.find(name), std::string::npos) << name;
  }
}

}  // namespace
