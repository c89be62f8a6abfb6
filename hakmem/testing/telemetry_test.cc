// Telemetry as its users meet it: the files, what stands in them, and that the program goes on
// whatever happens to them.

#include <dirent.h>
#include <gtest/gtest.h>
#include <jansson.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <thread>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

using Json = std::shared_ptr<json_t>;

std::string Program() { return Runfile("hakmem/testing/telemetry_program"); }

Outcome Act(std::vector<std::string> arguments, std::map<std::string, std::string> environment) {
  arguments.insert(arguments.begin(), Program());
  RunOptions options;
  options.environment = std::move(environment);
  return RunProgram(arguments, options);
}

// Every line, whole: one JSON object each.
std::vector<Json> Parse(const std::string& text) {
  std::vector<Json> lines;
  EXPECT_TRUE(text.empty() || text.back() == '\n') << "a line is cut off";
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    json_error_t error;
    Json object(json_loads(line.c_str(), JSON_REJECT_DUPLICATES, &error), json_decref);
    EXPECT_NE(object, nullptr) << error.text << ": " << line.substr(0, 300);
    if (object != nullptr) lines.push_back(object);
  }
  return lines;
}

json_t* Get(const Json& line, const std::string& key) {
  json_t* value = json_object_get(line.get(), key.c_str());
  EXPECT_NE(value, nullptr) << key;
  return value;
}
uint64_t Number(const Json& line, const std::string& key) {
  return static_cast<uint64_t>(json_integer_value(Get(line, key)));
}
std::string Text(const Json& line, const std::string& key) {
  const char* text = json_string_value(json_object_get(line.get(), key.c_str()));
  return text != nullptr ? text : "";
}

std::vector<Json> OfSchema(const std::vector<Json>& lines, const std::string& schema) {
  std::vector<Json> found;
  for (const Json& line : lines) {
    if (Text(line, "schema") == schema) found.push_back(line);
  }
  return found;
}
std::vector<Json> Figures(const std::string& path) {
  return OfSchema(Parse(ReadFile(path)), "hakmem.telemetry.1");
}

std::vector<std::string> Files(const std::string& folder) {
  std::vector<std::string> names;
  DIR* directory = opendir(folder.c_str());
  while (dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.') names.push_back(entry->d_name);
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

// From 1, without a gap, for each process.
void ExpectGapless(const std::vector<Json>& lines) {
  std::map<uint64_t, uint64_t> last;
  for (const Json& line : lines) {
    EXPECT_EQ(Number(line, "sequence"), ++last[Number(line, "pid")]);
  }
}

class TelemetryTest : public testing::Test {
 protected:
  std::string folder_ = ScratchDirectory("telemetry");
  std::string file_ = folder_ + "/lines.jsonl";
};

TEST_F(TelemetryTest, NothingIsWrittenUnlessAskedFor) {
  Outcome outcome = Act({"phases", "x"}, {{"HAKMEM_TELEMETRY_INTERVAL", "1"}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "0\n");
  EXPECT_EQ(outcome.err, "");
}

TEST_F(TelemetryTest, TheLineAtExitHasTheProgramsOwnFigures) {
  Outcome outcome = Act({"live"}, {{"HAKMEM_TELEMETRY", file_}, {"HAKMEM_PHASE", "a \"b\"\n"}});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.err, "");
  auto lines = Figures(file_);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(Text(lines[0], "phase"), "a \"b\"\n");
  unsigned long long bytes = 0, small = 0;
  ASSERT_EQ(sscanf(outcome.out.c_str(), "%llu %llu", &bytes, &small), 2);
  EXPECT_EQ(Number(lines[0], "allocated_bytes"), bytes);
  uint64_t live = 0, retained = 0;
  const char* key;
  json_t* value;
  json_object_foreach(lines[0].get(), key, value) {
    std::string name = key;
    if (name.rfind("class_", 0) == 0 && name.compare(name.size() - 5, 5, "_live") == 0) {
      live += static_cast<uint64_t>(json_integer_value(value));
    }
    if (name.rfind("retained_", 0) == 0)
      retained += static_cast<uint64_t>(json_integer_value(value));
  }
  EXPECT_EQ(live, small);
  EXPECT_EQ(Number(lines[0], "spans"), 2u);
  EXPECT_EQ(Number(lines[0], "huge_blocks"), 2u);
  EXPECT_EQ(retained, Number(lines[0], "committed_bytes") - bytes) << "each byte has one reason";
  EXPECT_GT(Number(lines[0], "kernel_mmap_calls"), 0u);
  EXPECT_GT(Number(lines[0], "page_faults_minor"), 0u);
  std::istringstream limit(ReadFile("/proc/sys/vm/max_map_count"));
  uint64_t vmas_max = 0;
  limit >> vmas_max;
  EXPECT_EQ(Number(lines[0], "vmas_max"), vmas_max);
}

TEST_F(TelemetryTest, EventsStandBeforeTheLastLine) {
  ASSERT_TRUE(Act({"live"}, {{"HAKMEM_TELEMETRY", file_}}).Succeeded());
  auto lines = Parse(ReadFile(file_));
  auto events = OfSchema(lines, "hakmem.event.1");
  ASSERT_EQ(events.size() + 1, lines.size());
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(Text(events[0], "event"), "reserved");
  EXPECT_EQ(Text(events[0], "address").substr(0, 2), "0x");
  uint64_t sequence = 0;
  for (const Json& event : events) EXPECT_EQ(Number(event, "sequence"), ++sequence);
  EXPECT_EQ(Number(lines.back(), "events"), sequence);
  EXPECT_EQ(Text(lines.back(), "schema"), "hakmem.telemetry.1");
}

TEST_F(TelemetryTest, PhasesChangeAndMayHoldAnything) {
  std::string odd = "\xff\"\\\t", cut(63, 'x');
  Outcome outcome = Act({"phases", "one", odd, cut + "yz", cut.substr(1) + "\xc3\xa9"},
                        {{"HAKMEM_TELEMETRY", file_}, {"HAKMEM_PHASE", "zero"}});
  EXPECT_EQ(outcome.out, "4\n");
  auto lines = Figures(file_);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(Text(lines[0], "phase"), "one");
  EXPECT_EQ(Text(lines[1], "phase"), "\xef\xbf\xbd\"\\\t");
  EXPECT_EQ(Text(lines[2], "phase"), cut);
  EXPECT_EQ(Text(lines[3], "phase"), cut.substr(1)) << "a character is not cut in two";
  EXPECT_EQ(Text(lines[4], "phase"), cut.substr(1));
  ExpectGapless(lines);
}

// With 25 lines asked for in that time, a machine that is busy with other things may miss many; but
// one line means that the interval did nothing.
TEST_F(TelemetryTest, AnIntervalIsKeptByAnIdleProgramAndByABusyOne) {
  for (const char* action : {"sleep", "busy"}) {
    std::string file = file_ + action;
    Outcome outcome =
        Act({action, "500"}, {{"HAKMEM_TELEMETRY", file}, {"HAKMEM_TELEMETRY_INTERVAL", "20"}});
    ASSERT_TRUE(outcome.Succeeded()) << outcome;
    auto lines = Figures(file);
    EXPECT_GE(lines.size(), 4u);
    uint64_t begin = Number(lines.front(), "time_ns"), end = Number(lines.back(), "time_ns");
    EXPECT_LE(lines.size(), 3 + (end - begin) / 16000000) << "not more often than asked for";
    ExpectGapless(lines);
    for (size_t i = 1; i < lines.size(); i++) {
      for (const char* counter : {"time_ns", "refills", "kernel_mmap_calls", "page_faults_minor"}) {
        EXPECT_LE(Number(lines[i - 1], counter), Number(lines[i], counter)) << counter;
      }
    }
  }
}

TEST_F(TelemetryTest, ThreadsThatWriteAllAtOnceLeaveWholeLines) {
  Outcome outcome = Act({"storm", "40"}, {{"HAKMEM_TELEMETRY", file_},
                                          {"HAKMEM_TELEMETRY_INTERVAL", "1"},
                                          {"HAKMEM_TELEMETRY_SHM", "1"},
                                          {"HAKMEM_PURGE_DELAY", "1"}});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.err, "");
  auto lines = Figures(file_);
  EXPECT_GE(lines.size(), 81u) << "80 asked for, and one at exit";
  ExpectGapless(lines);
}

TEST_F(TelemetryTest, ProcessesThatShareAFileLeaveWholeLines) {
  std::vector<std::thread> runs;
  for (int i = 0; i < 2; i++) {
    runs.emplace_back([this] {
      RunOptions options;
      options.environment = {{"HAKMEM_TELEMETRY", file_}, {"HAKMEM_TELEMETRY_INTERVAL", "1"}};
      EXPECT_TRUE(RunProgram({Program(), "storm", "10"}, options).Succeeded());
    });
  }
  for (std::thread& run : runs) run.join();
  auto lines = Figures(file_);
  ExpectGapless(lines);
  std::set<uint64_t> processes;
  for (const Json& line : lines) processes.insert(Number(line, "pid"));
  EXPECT_EQ(processes.size(), 2u);
}

// Each child counts its own lines from 1, and leaves the parent's events to the parent.
TEST_F(TelemetryTest, ForkedChildrenWriteTheirOwnLines) {
  Outcome outcome = Act({"fork", "8"}, {{"HAKMEM_TELEMETRY", file_},
                                        {"HAKMEM_TELEMETRY_INTERVAL", "1"},
                                        {"HAKMEM_TELEMETRY_SHM", "1"}});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  auto all = Parse(ReadFile(file_));
  ExpectGapless(OfSchema(all, "hakmem.telemetry.1"));
  std::map<uint64_t, int> lines;
  for (const Json& line : OfSchema(all, "hakmem.telemetry.1")) lines[Number(line, "pid")]++;
  EXPECT_EQ(lines.size(), 9u);
  for (const auto& [pid, n] : lines) EXPECT_GE(n, 2) << pid;
  // An address is reserved once, and only the process that did it says so.
  std::set<std::string> reserved;
  for (const Json& event : OfSchema(all, "hakmem.event.1")) {
    std::string name = std::to_string(Number(event, "pid")) + Text(event, "address");
    if (Number(event, "sequence") != 1) continue;
    EXPECT_TRUE(reserved.insert(name).second) << name;
  }
  EXPECT_EQ(reserved.size(), 1u);
}

TEST_F(TelemetryTest, AFileForEachProcess) {
  Outcome outcome = Act({"fork", "3"}, {{"HAKMEM_TELEMETRY", folder_ + "/%p.jsonl"}});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  auto files = Files(folder_);
  EXPECT_EQ(files.size(), 4u);
  for (const std::string& name : files) {
    auto lines = Figures(folder_ + "/" + name);
    ASSERT_GE(lines.size(), 2u) << name;
    ExpectGapless(lines);
    for (const Json& line : lines) EXPECT_EQ(std::to_string(Number(line, "pid")) + ".jsonl", name);
  }
}

TEST_F(TelemetryTest, GoesOnAfterExec) {
  Outcome outcome = Act({"exec", "after"}, {{"HAKMEM_TELEMETRY", file_}});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  auto lines = Figures(file_);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(Text(lines[0], "phase"), "before exec");
  EXPECT_EQ(Text(lines[1], "phase"), "after");
  EXPECT_EQ(Number(lines[1], "sequence"), 1u) << "another program, which counts from 1";
}

TEST_F(TelemetryTest, SurvivesThatTheProgramClosesEverything) {
  Outcome outcome = Act({"close", folder_ + "/decoy"},
                        {{"HAKMEM_TELEMETRY", file_}, {"HAKMEM_TELEMETRY_SHM", "1"}});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  auto lines = Figures(file_);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(Text(lines[1], "phase"), "after");
  EXPECT_EQ(ReadFile(folder_ + "/decoy"), "");
}

TEST_F(TelemetryTest, MakesAFileAnewThatWasRemoved) {
  ASSERT_TRUE(Act({"remove", file_}, {{"HAKMEM_TELEMETRY", file_}}).Succeeded());
  auto lines = Figures(file_);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(Text(lines[0], "phase"), "kept");
}

TEST_F(TelemetryTest, ARelativePathIsOfTheDirectoryItStartedIn) {
  RunOptions options;
  options.directory = folder_;
  options.environment = {{"HAKMEM_TELEMETRY", "lines.jsonl,prom"}};
  Outcome outcome = RunProgram({Program(), "cd"}, options);
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(Figures(file_).size(), 2u);
  EXPECT_EQ(Files(folder_), (std::vector<std::string>{"lines.jsonl", "lines.jsonl.prom"}));
}

TEST_F(TelemetryTest, PrometheusFileIsWholeAndNothingElseIsLeft) {
  Outcome outcome = Act({"storm", "5"}, {{"HAKMEM_TELEMETRY", file_ + ",prom"}});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(Files(folder_), (std::vector<std::string>{"lines.jsonl", "lines.jsonl.prom"}));
  std::string text = ReadFile(file_ + ".prom");
  EXPECT_EQ(text.find("# HELP hakmem_"), 0u);
  EXPECT_EQ(text.substr(text.size() - 6), "# EOF\n");
}

TEST_F(TelemetryTest, AFullDiskIsCountedAndLeavesWholeLines) {
  Outcome outcome = Act({"limited", "30000"}, {{"HAKMEM_TELEMETRY", file_}});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  int failed = 0, counted = 0;
  ASSERT_EQ(sscanf(outcome.out.c_str(), "%d %d", &failed, &counted), 2);
  EXPECT_GT(failed, 0);
  EXPECT_LT(failed, 20);
  EXPECT_EQ(counted, failed);
  auto lines = Figures(file_);
  EXPECT_EQ(static_cast<int>(lines.size()), 20 - failed);
  EXPECT_NE(outcome.err.find("errno 27 "), std::string::npos) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << "said once";
}

// A file system of 64 KiB, in a mount namespace of its own, half of which another file takes. What
// it holds in the end is printed, since it goes with the namespace.
TEST_F(TelemetryTest, AFileSystemThatIsFullIsCountedAndUsedAgainWhenThereIsRoom) {
  const std::string mount = "mount -t tmpfs -o size=64k none " + folder_;
  if (!RunProgram({"unshare", "-rm", "sh", "-c", mount}).Succeeded()) {
    GTEST_SKIP() << "no mount namespaces here";
  }
  std::string script = mount + " && head -c 32768 /dev/zero >" + folder_ + "/other && " +
                       Program() + " fill " + folder_ + "/other && cat " + file_ + " && cat " +
                       file_ + ".prom >&2 && ls " + folder_ + " >&2";
  RunOptions options;
  options.environment = {{"HAKMEM_TELEMETRY", file_ + ",prom"}};
  Outcome outcome = RunProgram({"unshare", "-rm", "sh", "-c", script}, options);
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  int failed = 0, counted = 0, length = 0;
  ASSERT_EQ(sscanf(outcome.out.c_str(), "%d %d\n%n", &failed, &counted, &length), 2) << outcome;
  EXPECT_GT(failed, 0);
  EXPECT_LT(failed, 20);
  EXPECT_GE(counted, failed) << "and those of FILE.prom";
  auto lines =
      OfSchema(Parse(outcome.out.substr(static_cast<size_t>(length))), "hakmem.telemetry.1");
  ASSERT_EQ(static_cast<int>(lines.size()), 20 - failed + 2) << "one with room again, one at exit";
  EXPECT_EQ(Text(lines[lines.size() - 2], "phase"), "room again");
  EXPECT_EQ(Number(lines.back(), "sequence"), 22u);
  size_t said = outcome.err.find('\n') + 1;
  EXPECT_EQ(outcome.err.find("hakmem: telemetry cannot be written to " + file_), 0u) << outcome;
  EXPECT_NE(outcome.err.substr(0, said).find(": errno 28 (the program goes on; said once)"),
            std::string::npos)
      << outcome;
  EXPECT_EQ(outcome.err.find("# HELP hakmem_"), said) << outcome;
  const std::string end = "# EOF\nlines.jsonl\nlines.jsonl.prom\n";
  EXPECT_EQ(outcome.err.substr(outcome.err.size() - end.size()), end) << "nothing else is left";
}

TEST_F(TelemetryTest, ADeviceThatIsFullIsCounted) {
  Outcome outcome = Act({"limited", "1000000"}, {{"HAKMEM_TELEMETRY", "/dev/full"}});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.out, "20 20\n");
  EXPECT_EQ(outcome.err,
            "hakmem: telemetry cannot be written to /dev/full: errno 28 "
            "(the program goes on; said once)\n");
}

TEST_F(TelemetryTest, AnImpossiblePathIsSaidOnceAndTheProgramGoesOn) {
  Outcome outcome = Act({"phases", "x", "y"}, {{"HAKMEM_TELEMETRY", folder_ + "/no/where"},
                                               {"HAKMEM_TELEMETRY_INTERVAL", "1"}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "0\n");
  EXPECT_EQ(outcome.err, "hakmem: telemetry cannot be written to " + folder_ +
                             "/no/where: errno 2 (the program goes on; said once)\n");
}

TEST_F(TelemetryTest, AnUnknownSuffixIsNamedAndTelemetryIsOff) {
  Outcome outcome = Act({"phases", "x"}, {{"HAKMEM_TELEMETRY", file_ + ",pron"}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "0\n");
  EXPECT_NE(outcome.err.find("\"pron\""), std::string::npos) << outcome.err;
  EXPECT_TRUE(Files(folder_).empty());
}

TEST_F(TelemetryTest, StderrIsAsGoodAsAFile) {
  Outcome outcome = Act({"phases", "x"}, {{"HAKMEM_TELEMETRY", "-"}});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(OfSchema(Parse(outcome.err), "hakmem.telemetry.1").size(), 2u);
}

TEST_F(TelemetryTest, ASignalWritesALineInAnIdleProgram) {
  Outcome outcome = Act({"signal", file_, std::to_string(SIGUSR2)},
                        {{"HAKMEM_TELEMETRY", file_ + ",signal=USR2"}});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(Figures(file_).size(), 2u);
}

TEST_F(TelemetryTest, WithoutBeingAskedASignalIsTheProgramsOwn) {
  Outcome outcome = Act({"signal", file_, std::to_string(SIGUSR2)}, {{"HAKMEM_TELEMETRY", file_}});
  EXPECT_EQ(outcome.signal, SIGUSR2) << outcome;
  outcome =
      Act({"handler", std::to_string(SIGUSR2)}, {{"HAKMEM_TELEMETRY", file_ + ",signal=USR2"}});
  EXPECT_TRUE(outcome.Succeeded()) << outcome << "the program's later handler wins";
}

TEST_F(TelemetryTest, AnAbortLeavesEventsAndALine) {
  Outcome outcome = Act({"misuse"}, {{"HAKMEM_TELEMETRY", file_}});
  EXPECT_EQ(outcome.signal, SIGABRT) << outcome;
  EXPECT_NE(outcome.err.find("not ours"), std::string::npos) << outcome.err;
  auto lines = Parse(ReadFile(file_));
  ASSERT_GE(lines.size(), 2u);
  EXPECT_EQ(Text(lines[0], "schema"), "hakmem.event.1");
  EXPECT_EQ(Text(lines.back(), "schema"), "hakmem.telemetry.1");
  EXPECT_GE(Number(lines.back(), "allocated_bytes"), 5000000u);
}

// The figures cannot be gathered then; that there are none shows that a lock was held.
TEST_F(TelemetryTest, AnAbortWithALockHeldLeavesTheEvents) {
  Outcome outcome = Act({"double free"}, {{"HAKMEM_TELEMETRY", file_}});
  EXPECT_EQ(outcome.signal, SIGABRT) << outcome;
  EXPECT_EQ(outcome.err.find("hakmem: double free: 0x"), 0u) << outcome;
  auto lines = Parse(ReadFile(file_));
  ASSERT_GE(lines.size(), 1u);
  EXPECT_EQ(OfSchema(lines, "hakmem.event.1").size(), lines.size());
}

TEST_F(TelemetryTest, ThreadsWithTheSmallestStackCanWriteToo) {
  Outcome outcome =
      Act({"small"}, {{"HAKMEM_TELEMETRY", file_ + ",prom"}, {"HAKMEM_TELEMETRY_INTERVAL", "1"}});
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

TEST_F(TelemetryTest, TheProgramCanHaveTheTextItself) {
  Outcome outcome = Act({"print", "json"}, {{"HAKMEM_PHASE", "p"}});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  auto lines = Parse(outcome.out);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(json_is_null(Get(lines[0], "sequence")));
  EXPECT_EQ(Text(lines[0], "phase"), "p");
  outcome = Act({"print", "openmetrics"}, {});
  ASSERT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.out.substr(outcome.out.size() - 6), "# EOF\n");
}

}  // namespace
}  // namespace hakmem_testing
