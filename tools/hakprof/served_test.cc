// From allocations to names: a program that hakmem serves and profiles, and what hakprof says of
// it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tools/common/test_shell.h"

namespace {

using testing::HasSubstr;
using testing::Not;
using tools_testing::Outcome;
using tools_testing::Shell;

// A folder with a copy of the program, `holder`, and its profile, heap.pb.
class Served : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + testing::UnitTest::GetInstance()->current_test_info()->name();
    Outcome outcome =
        Shell("mkdir -p " + folder_ + " && cp -L tools/hakprof/holder " + folder_ +
              " && chmod u+w " + folder_ + "/holder && HAKMEM_PROFILE=64K," + folder_ +
              "/heap.pb LD_PRELOAD=$PWD/hakmem/libhakmem.so " + folder_ + "/holder");
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  }

  Outcome Hakprof(const std::string& arguments) {
    return Shell("tools/hakprof/hakprof " + arguments + " " + folder_ + "/heap.pb");
  }

  std::string folder_;
};

// What the program is known to hold: 40 MiB of text, 7.6 MiB of an array, rows.
const char kCheck[] = R"(
import json, sys
sites = {}
for row in json.load(sys.stdin)["rows"]:
    names = tuple(f["function"] for f in row["frames"])
    sites[names] = sites.get(names, 0) + row["bytes"] / 2**20
    inlined = [f["function"] for f in row["frames"] if f["inlined"]]
    if "holder::FillRows" in names:
        assert inlined == ["holder::FillRows"], inlined
        assert row["frames"][0]["place"].startswith("holder.cc:"), row
        assert row["frames"][0]["module"] == "holder", row
for names, least, most in [
        (("holder::Load", "main"), 39, 41),
        (("holder::MakeArray<double>", "main"), 7, 8),
        (("holder::FillRows", "holder::Load"), 12, 30)]:
    held = sum(sites[key] for key in sites if key[:2] == names)
    assert least < held < most, (names, held, sites)
print("good")
)";

TEST_F(Served, NamesFunctionsThatAreInlinedToo) {
  Outcome outcome = Shell("tools/hakprof/hakprof leaks --json " + folder_ +
                          "/heap.pb | python3 -c '" + kCheck + "'");
  EXPECT_EQ(outcome.output, "good\n");
}

TEST_F(Served, NamesDoNotDependOnHowTheProgramWasBuilt) {
  for (const char* compiler :
       {"clang++ -O2 -g", "g++ -O2 -g -gsplit-dwarf -no-pie", "g++ -O1 -g -gz -flto"}) {
    Outcome outcome = Shell(
        "source=$PWD/tools/hakprof/testing/holder.cc; library=$PWD/hakmem/"
        "libhakmem.so; (cd " +
        folder_ + " && " + compiler +
        " $source -o holder && HAKMEM_PROFILE=64K,heap.pb "
        "LD_PRELOAD=$library ./holder) && "
        "tools/hakprof/hakprof leaks --json " +
        folder_ + "/heap.pb | python3 -c '" + kCheck + "'");
    EXPECT_EQ(outcome.output, "good\n") << compiler;
  }
}

// What Work allocates it frees, how soon depends on the machine; all else lives to the end.
TEST_F(Served, PeaksAndLifetimesAreThere) {
  const std::string kScript =
      "import json, sys\n"
      "parts = {}\n"
      "for row in json.load(sys.stdin)[\"rows\"]:\n"
      "  if row[\"frames\"][0][\"function\"].startswith(\"holder::MakeArray\"):\n"
      "    freed = sum(row[k] for k in row if k.startswith(\"freed\"))\n"
      "    parts[row[\"frames\"][1][\"function\"]] = freed / row[\"allocated\"]\n"
      "print(sorted(parts.items()))\n";
  Outcome outcome = Shell("tools/hakprof/hakprof lifetimes --json " + folder_ +
                          "/heap.pb | python3 -c '" + kScript + "'");
  EXPECT_EQ(outcome.output, "[('holder::Work', 1.0), ('main', 0.0)]\n");
  EXPECT_THAT(Hakprof("top --value peak_space").output, HasSubstr("holder::Load"));
}

TEST_F(Served, PlacesAreThoseThatAddr2lineSays) {
  // Of each address in the program: its innermost function and line.
  Outcome outcome =
      Shell("HAKMEM_PROFILE=64K," + folder_ + "/heap.folded LD_PRELOAD=$PWD/hakmem/libhakmem.so " +
            folder_ + "/holder; tr ' ;' '\\n\\n' <" + folder_ +
            "/heap.folded | sed -n 's/^holder+//p' | sort -u | " + "addr2line -i -e " + folder_ +
            "/holder | sed 's/ (disc.*//; s|.*/||' | sort -u");
  std::string places = Hakprof("leaks --json --least 0 --frames 64 --skip ''").output;
  size_t n = 0;
  for (size_t at = 0, end; (end = outcome.output.find('\n', at)) != std::string::npos;
       at = end + 1) {
    std::string place = outcome.output.substr(at, end - at);
    if (place.compare(0, 10, "holder.cc:") != 0) continue;
    EXPECT_THAT(places, HasSubstr("\"" + place + "\"")) << outcome.output;
    n++;
  }
  EXPECT_GE(n, 5u) << outcome.output;
}

TEST_F(Served, AnotherBuildGivesNoNames) {
  ASSERT_EQ(Shell("cp -L tools/hakprof/hakprof " + folder_ + "/holder").exit_code, 0);
  Outcome outcome = Hakprof("top");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("no names for addresses in holder: " + folder_ +
                                        "/holder is another build (its id is "));
  EXPECT_THAT(outcome.output, HasSubstr("holder+0x"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("Load")));
  // The right one, elsewhere.
  EXPECT_THAT(Hakprof("top --files tools/hakprof").output, HasSubstr("holder::Load"));
}

TEST_F(Served, AFileThatIsGoneGivesNoNames) {
  ASSERT_EQ(Shell("rm " + folder_ + "/holder").exit_code, 0);
  EXPECT_THAT(Hakprof("top").output,
              HasSubstr("no names for addresses in holder: " + folder_ + "/holder is not there"));
}

TEST_F(Served, DebuggingInformationIsFoundByBuildId) {
  Outcome outcome = Shell("bash -euc \"cd " + folder_ +
                          "; id=\\$(readelf -n holder | sed -n 's/.*Build ID: //p'); "
                          "mkdir -p debug/.build-id/\\${id:0:2}; objcopy --only-keep-debug holder "
                          "debug/.build-id/\\${id:0:2}/\\${id:2}.debug; rm holder\"");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  outcome = Hakprof("leaks --files " + folder_ + "/debug");
  EXPECT_THAT(outcome.output, HasSubstr("holder::FillRows  holder.cc:"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("no names for addresses in holder")));
}

TEST_F(Served, AStrippedProgramHasFunctionsWithoutNames) {
  ASSERT_EQ(Shell("strip " + folder_ + "/holder").exit_code, 0);
  Outcome outcome = Hakprof("top");
  EXPECT_THAT(outcome.output, HasSubstr("holder+0x"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("Load")));
}

}  // namespace
