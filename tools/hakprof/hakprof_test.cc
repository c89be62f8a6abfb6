// The command on profiles that are written here, by hand.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tools/common/test_shell.h"

namespace {

using testing::HasSubstr;
using testing::Not;
using tools_testing::Outcome;
using tools_testing::Shell;

// ---- profiles ----

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(0x80 | (value & 0x7f));
  return bytes + static_cast<char>(value);
}

std::string Number(uint64_t field, uint64_t value) { return Varint(field << 3) + Varint(value); }

std::string Bytes(uint64_t field, const std::string& bytes) {
  return Varint(field << 3 | 2) + Varint(bytes.size()) + bytes;
}

std::string Packed(const std::vector<uint64_t>& values) {
  std::string bytes;
  for (uint64_t value : values) bytes += Varint(value);
  return bytes;
}

// A profile whose frames have names: location N is the function of that name, in a file of the name
// and ".cc", line N.
class Profile {
 public:
  explicit Profile(uint64_t interval, const std::vector<std::string>& types) {
    String("");
    for (const std::string& type : types) {
      bool is_space = type.find("_space") != std::string::npos;
      content_ +=
          Bytes(1, Number(1, String(type)) + Number(2, String(is_space ? "bytes" : "count")));
    }
    content_ += Bytes(3, Number(1, 1) + Number(2, 0x1000) + Number(3, 0x9000) +
                             Number(5, String("/opt/program")));
    content_ += Number(12, interval);
  }

  // Innermost first. "a/b": a is inlined into b.
  Profile& Stack(const std::vector<std::string>& frames, const std::vector<uint64_t>& values) {
    std::vector<uint64_t> locations;
    for (const std::string& frame : frames) locations.push_back(Location(frame));
    content_ += Bytes(2, Bytes(1, Packed(locations)) + Bytes(2, Packed(values)));
    return *this;
  }

  Profile& Append(const std::string& bytes) {
    content_ += bytes;
    return *this;
  }

  std::string Write(const std::string& name) const {
    std::string path = testing::TempDir() + name;
    std::ofstream(path, std::ios::binary) << content_ << strings_;
    return path;
  }

 private:
  uint64_t String(const std::string& text) {
    strings_ += Bytes(6, text);
    return n_strings_++;
  }

  uint64_t Location(const std::string& frame) {
    uint64_t id = ++n_locations_;
    std::string lines;
    for (size_t at = 0; at <= frame.size();) {
      size_t end = std::min(frame.find('/', at), frame.size());
      std::string name = frame.substr(at, end - at);
      uint64_t function = ++n_functions_;
      content_ += Bytes(5, Number(1, function) + Number(2, String(name)) +
                               Number(4, String("src/" + name + ".cc")));
      lines += Bytes(4, Number(1, function) + Number(2, id));
      at = end + 1;
    }
    content_ += Bytes(4, Number(1, id) + Number(2, 1) + Number(3, 0x1000 + id) + lines);
    return id;
  }

  std::string content_, strings_;
  uint64_t n_strings_ = 0, n_locations_ = 0, n_functions_ = 0;
};

const std::vector<std::string> kLive = {"inuse_objects", "inuse_space"};

constexpr uint64_t kMiB = 1 << 20;

std::string Before() {
  return Profile(65536, kLive)
      .Stack({"malloc", "std::vector::grow", "parse", "run", "main"}, {16, 8 * kMiB})
      .Stack({"read/load", "main"}, {4096, 2 * kMiB})
      .Write("before.pb");
}

std::string After() {
  return Profile(65536, kLive)
      .Stack({"malloc", "std::vector::grow", "parse", "run", "main"}, {32, 24 * kMiB})
      .Stack({"read/load", "main"}, {3000, 2 * kMiB - 100000})
      .Stack({"log", "run", "main"}, {1, 1000000})
      .Write("after.pb");
}

Outcome Hakprof(const std::string& arguments) {
  return Shell("tools/hakprof/hakprof " + arguments);
}

// ---- reports ----

TEST(HakprofTest, TopHasWhatFunctionsAllocateThemselvesAndWithTheirCalls) {
  Outcome outcome = Hakprof("top " + After());
  EXPECT_EQ(outcome.exit_code, 0);
  // What the C++ library allocates is its caller's.
  EXPECT_THAT(outcome.output, HasSubstr("parse     24.0 MiB   0.0%  89.4%    24.0 MiB   89.4%\n"));
  EXPECT_THAT(outcome.output, HasSubstr("read      1.90 MiB  18.1%   7.1%    1.90 MiB    7.1%\n"));
  EXPECT_THAT(outcome.output, HasSubstr("main           0 B          0.0%    26.9 MiB  100.0%\n"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("vector")));
  EXPECT_THAT(Hakprof("top --skip '' " + After()).output, HasSubstr("malloc"));
}

TEST(HakprofTest, TreeGoesFromTheOutermostCallsOn) {
  EXPECT_THAT(Hakprof("tree " + After()).output,
              HasSubstr("\nmain                      26.9 MiB   1.3%  100.0%\n"
                        " run                      25.0 MiB   0.0%   92.9%\n"
                        "  parse                   24.0 MiB   0.0%   89.4%\n"
                        "  log                      977 KiB   0.0%    3.6%\n"
                        // Deeper only where paths part.
                        " load                     1.90 MiB  18.1%    7.1%\n"
                        " read                     1.90 MiB  18.1%    7.1%\n"
                        "One sample for each 64.0 KiB.\n"));
}

TEST(HakprofTest, LeaksAreSitesWithTheirStacks) {
  Outcome outcome = Hakprof("leaks --frames 2 " + After());
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("\nparse  parse.cc:3  24.0 MiB   0.0%  89.4%      32\n"
                                        "  run  run.cc:4                                  \n"
                                        "read  read.cc:6    1.90 MiB  18.1%   7.1%    3000\n"
                                        "  load  load.cc:6                                \n"));
}

TEST(HakprofTest, DiffMarksWhatMayBeChance) {
  Outcome outcome = Hakprof("diff --least 0 " + Before() + " " + After());
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("parse  parse.cc:3   +16.0 MiB    8.00 MiB  24.0 MiB\n"));
  EXPECT_THAT(outcome.output, HasSubstr("read  read.cc:6     -97.7 KiB ~  2.00 MiB  1.90 MiB\n"));
  // Of a block of 15 intervals the estimate is sure.
  EXPECT_THAT(outcome.output, HasSubstr("log  log.cc:8        +977 KiB         0 B   977 KiB\n"));
}

TEST(HakprofTest, LifetimesArePartsOfWhatWasAllocated) {
  std::string file = Profile(65536, {"alloc_space", "freed_1ms_space", "freed_1s_space",
                                     "freed_1min_space", "freed_later_space", "inuse_space"})
                         .Stack({"parse"}, {8 * kMiB, 4 * kMiB, 2 * kMiB, kMiB, 0, kMiB})
                         .Write("lifetimes.pb");
  Outcome outcome = Hakprof("lifetimes " + file);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output,
              HasSubstr("parse  parse.cc:1   8.00 MiB  50.0%  25.0%   12.5%   0.0%  12.5%\n"));
}

TEST(HakprofTest, FoldedHasTheOutermostFirst) {
  EXPECT_THAT(Hakprof("folded " + After()).output, HasSubstr("main;run;log 1000000\n"));
  EXPECT_THAT(Hakprof("folded " + After()).output, HasSubstr("main;load;read 1997152\n"));
}

TEST(HakprofTest, TextFits80Columns) {
  std::string name(300, 'n');
  std::string file = Profile(65536, kLive).Stack({name, name, name}, {9, kMiB}).Write("wide.pb");
  for (const char* command : {"top", "tree", "leaks"}) {
    std::string wide = "tools/hakprof/hakprof " + std::string(command) + " " + file +
                       " | sed 's/[…±]/./g' | grep -c '.\\{81\\}'";
    EXPECT_EQ(Shell("export LC_ALL=C.UTF-8; " + wide).output, "0\n") << command;
  }
}

TEST(HakprofTest, JsonHasAllRowsAndTheirErrors) {
  std::string file = After();
  std::string script =
      "import json,sys; d = json.load(sys.stdin); r = d[\"rows\"]; "
      "print(d[\"schema\"], d[\"total\"], len(r), r[0][\"bytes\"], "
      "r[0][\"blocks\"], round(r[0][\"error\"]), r[1][\"frames\"][0])";
  Outcome outcome = Shell("tools/hakprof/hakprof leaks --least 50 --json " + file +
                          " | python3 -c '" + script + "'");
  // S = 24 MiB / 32, R = 64 KiB: the error is S * sqrt(32 / (exp(12) - 1)).
  EXPECT_EQ(outcome.output,
            "hakmem.profile.1 28162976.0 3 25165824.0 32.0 11027 {'function': 'read', 'module': "
            "'program', 'place': 'read.cc:6', 'inlined': True}\n");
}

// ---- pictures ----

TEST(HakprofTest, FlameGraphsAreXmlAndHaveEveryFrame) {
  std::string svg = testing::TempDir() + "flame.svg";
  ASSERT_EQ(Hakprof("flame " + After() + " -o " + svg).exit_code, 0);
  Outcome outcome = Shell(
      "python3 -c 'import sys, xml.etree.ElementTree as tree; "
      "print([t.text for t in tree.parse(sys.argv[1]).iter() if \"data-name\" in t.attrib])' " +
      svg);
  EXPECT_EQ(outcome.output, "['all', 'main', 'run', 'parse', 'log', 'load', 'read']\n");
}

TEST(HakprofTest, FlameGraphsOfTwoProfilesSayWhatHasGrown) {
  std::string page = testing::TempDir() + "flame.html";
  ASSERT_EQ(Hakprof("flame " + Before() + " " + After() + " -o " + page).exit_code, 0);
  std::string text = Shell("cat " + page).output;
  EXPECT_THAT(text, HasSubstr("was 8.00 MiB: +16.0 MiB<"));
  EXPECT_THAT(text, HasSubstr("was 2.00 MiB: -97.7 KiB (no difference can be told)<"));
  EXPECT_THAT(text, HasSubstr("<script>"));
}

TEST(HakprofTest, HistoryIsStackedByFunction) {
  std::string files = Before() + " " + After();
  EXPECT_THAT(Hakprof("history " + files).output, HasSubstr("parse"));
  std::string folder = testing::TempDir() + "history";
  ASSERT_EQ(Hakprof("history " + files + " -o " + folder).exit_code, 0);
  EXPECT_EQ(Shell("cat " + folder + "/profile-history.csv").output,
            "series,x,y,low,high\n\"parse\",1,8,,\n\"parse\",2,24,,\n"
            "\"read\",1,2,,\n\"read\",2,1.904632568,,\n"
            "\"log\",1,0,,\n\"log\",2,0.9536743164,,\n");
  EXPECT_THAT(Shell("cat " + folder + "/profile-history.svg").output, HasSubstr("parse"));
}

// ---- files and arguments ----

TEST(HakprofTest, ReadsPackedFiles) {
  std::string file = After();
  EXPECT_EQ(Shell("gzip -c " + file + " >" + file + ".gz").exit_code, 0);
  EXPECT_EQ(Hakprof("folded " + file).output, Hakprof("folded " + file + ".gz").output);
}

TEST(HakprofTest, NamesAValueThatIsMissing) {
  Outcome outcome =
      Hakprof("lifetimes " + Profile(1, {"alloc_space", "inuse_space"}).Write("old.pb"));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("old.pb: it has no freed_1ms_space, but alloc_space, "
                                        "inuse_space; a profile that hakmem 0.1.0 or later"));
  outcome = Hakprof("top --value weight " + After());
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output,
              HasSubstr("after.pb: it has no weight, but inuse_objects, inuse_space\n"));
}

TEST(HakprofTest, BadFilesAreNamedWithWhatIsWrong) {
  const std::pair<std::string, std::string> kFiles[] = {
      {Profile(1, kLive)
           .Append(Bytes(2, Bytes(1, Packed({7})) + Bytes(2, Packed({1, 1}))))
           .Write("a"),
       "it refers to location 7, which it does not have"},
      {Profile(1, kLive).Append(Bytes(2, Bytes(2, Packed({1})))).Write("b"),
       "sample 1 has 1 values, of 2 types"},
      {Profile(1, kLive).Append(Bytes(1, Number(1, 99))).Write("c"), "it refers to text 99, of 6"},
      {Profile(1, kLive).Append(Bytes(4, Number(1, 1) + Number(2, 9))).Write("d"),
       "it refers to mapping 9"},
      {Profile(1, kLive).Append(Bytes(4, Number(1, 3))).Append(Bytes(4, Number(1, 3))).Write("e"),
       "location 3 is there twice"},
      {Profile(1, kLive).Append("\x12").Write("f"), "it is"},
      {Profile(1, {}).Write("g"), "it has no types of values"},
      {"README.md", "No such file"},
      {testing::TempDir(), "directory"},
  };
  for (const auto& file : kFiles) {
    Outcome outcome = Hakprof("top " + file.first);
    EXPECT_EQ(outcome.exit_code, 2) << file.second;
    EXPECT_THAT(outcome.output, HasSubstr("hakprof: " + file.first + ": ")) << file.second;
    EXPECT_THAT(outcome.output, HasSubstr(file.second));
  }
}

TEST(HakprofTest, BadArgumentsAreNamed) {
  const std::pair<const char*, const char*> kCommands[] = {
      {"", "what to show?"},
      {"pins x", "no command 'pins'"},
      {"top", "a FILE is missing"},
      {"diff x", "a FILE is missing"},
      {"top x y", "unexpected argument 'y'"},
      {"flame x", "-o OUT is missing"},
      {"top x -o y", "top has no -o"},
      {"history x", "a FILE is missing"},
      {"flame x -o x.png", "'x.png' ends in neither"},
      {"top x --skip '('", "--skip: '('"},
      {"folded x --json", "folded has no --json"},
      {"leaks x --value y", "no --value"},
      {"top x --least 200", "--least"},
  };
  for (const auto& command : kCommands) {
    Outcome outcome = Hakprof(command.first);
    EXPECT_EQ(outcome.exit_code, 2) << command.first;
    EXPECT_THAT(outcome.output, HasSubstr(command.second)) << command.first;
  }
}

}  // namespace
