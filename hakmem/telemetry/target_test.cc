// Where telemetry and profiles go: what their options may hold, and how the rest is refused.

extern "C" {
#include "hakmem/telemetry/target.h"
}

#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "hakmem/testing/support.h"

namespace {

hak_target_t Parsed(const char* value) {
  hak_target_t target;
  EXPECT_EQ(hak::StderrOf([&] { EXPECT_TRUE(hak_target_parse(value, &target)) << value; }), "");
  return target;
}

TEST(TargetTest, TakesAFileAndWhatElseIsAskedFor) {
  hak_target_t target = Parsed("a b/%p.jsonl");
  EXPECT_STREQ(target.file, "a b/%p.jsonl");
  EXPECT_FALSE(target.is_stderr);
  EXPECT_FALSE(target.with_prom);
  EXPECT_EQ(target.signal, 0);
  EXPECT_TRUE(Parsed("-").is_stderr);
  EXPECT_TRUE(Parsed("x,prom").with_prom);
  EXPECT_EQ(Parsed("x,signal=USR2,prom").signal, SIGUSR2);
  EXPECT_EQ(Parsed("-,signal=SIGHUP").signal, SIGHUP);
  EXPECT_EQ(Parsed(("x,signal=" + std::to_string(SIGUSR1)).c_str()).signal, SIGUSR1);
  EXPECT_EQ(Parsed("x,signal=40").signal, 40) << "a real-time signal";
}

TEST(TargetTest, RefusesTheRestByTheNameOfThePart) {
  const struct {
    const char* value;
    const char* part;
  } cases[] = {
      {"", "\"\""},
      {",prom", "\",prom\""},
      {"x,promo", "\"promo\""},
      {"x,", "\"\""},
      {"x,prom,,signal=USR1", "\",signal=USR1\""},
      {"-,prom", "\"prom\""},
      {"x,signal=", "\"signal=\""},
      {"x,signal=SIG", "\"signal=SIG\""},
      {"x,signal=KILL", "\"signal=KILL\""},
      {"x,signal=SEGV", "\"signal=SEGV\""},
      {"x,signal=9", "\"signal=9\""},
      {"x,signal=0", "\"signal=0\""},
      {"x,signal=1234567890123", "\"signal=1234567890123\""},
  };
  for (const auto& c : cases) {
    hak_target_t target;
    std::string said =
        hak::StderrOf([&] { EXPECT_FALSE(hak_target_parse(c.value, &target)) << c.value; });
    EXPECT_EQ(said.find(std::string("hakmem: HAKMEM_TELEMETRY=") + c.value +
                        " is not understood at " + c.part),
              0u)
        << said;
    EXPECT_NE(said.find("; telemetry is off\n"), std::string::npos) << said;
  }
}

hak_target_t ParsedProfile(const char* value) {
  hak_target_t target;
  EXPECT_EQ(hak::StderrOf([&] { EXPECT_TRUE(hak_target_parse_profile(value, &target)) << value; }),
            "");
  return target;
}

TEST(TargetTest, ProfilesHaveAnIntervalAndMayHaveTheRest) {
  hak_target_t target = ParsedProfile("512K");
  EXPECT_EQ(target.interval, 512u << 10);
  EXPECT_STREQ(target.file, "");
  EXPECT_EQ(target.signal, 0);
  EXPECT_EQ(target.toggle, 0);
  EXPECT_EQ(target.every_ms, 0u);
  EXPECT_STREQ(ParsedProfile("1G,a=b.%n.pb").file, "a=b.%n.pb");
  target = ParsedProfile("1,every=20ms,toggle=USR1,signal=SIGUSR2");
  EXPECT_EQ(target.interval, 1u);
  EXPECT_STREQ(target.file, "");
  EXPECT_EQ(target.every_ms, 20u);
  EXPECT_EQ(target.toggle, SIGUSR1);
  EXPECT_EQ(target.signal, SIGUSR2);
  target = ParsedProfile("4M,x.folded,every=60s");
  EXPECT_STREQ(target.file, "x.folded");
  EXPECT_EQ(target.every_ms, 60000u);
}

TEST(TargetTest, RefusesTheRestOfAProfileByTheNameOfThePart) {
  const struct {
    const char* value;
    const char* part;
  } cases[] = {
      {"", "\"\""},
      {"x", "\"x\""},
      {"0", "\"0\""},
      {"-1", "\"-1\""},
      {"2G", "\"2G\""},
      {"512K,", "\"\""},
      {"512K,,every=1s", "\",every=1s\""},
      {"512K,x,y", "\"y\""},
      {"512K,x,prom", "\"prom\""},
      {"512K,signal=KILL", "\"signal=KILL\""},
      {"512K,toggle=", "\"toggle=\""},
      {"512K,every=0", "\"every=0\""},
      {"512K,every=2d", "\"every=2d\""},
      {"512K,every=86401s", "\"every=86401s\""},
  };
  for (const auto& c : cases) {
    hak_target_t target;
    std::string said =
        hak::StderrOf([&] { EXPECT_FALSE(hak_target_parse_profile(c.value, &target)) << c.value; });
    EXPECT_EQ(said.find(std::string("hakmem: HAKMEM_PROFILE=") + c.value +
                        " is not understood at " + c.part),
              0u)
        << said;
    EXPECT_NE(said.find("; nothing is profiled\n"), std::string::npos) << said;
  }
}

std::string Path(const char* value, const char* directory, const char* suffix, size_t room = 100,
                 uint64_t number = 0) {
  hak_target_t target = Parsed(value);
  std::string out(room, '#');
  if (!hak_target_path(&target, directory, 4321, number, suffix, out.data(), room))
    return "does not fit";
  return out.c_str();
}

TEST(TargetTest, PathsAreOfAProcess) {
  EXPECT_EQ(Path("/a/b.%p.%p", "/cwd", ""), "/a/b.4321.4321");
  EXPECT_EQ(Path("b%", "/cwd", ".prom"), "/cwd/b%.prom");
  EXPECT_EQ(Path("b%n", "/cwd", ""), "/cwd/b%n") << "it has no number";
  EXPECT_EQ(Path("b%n", "/cwd", "", 100, 1), "/cwd/b0001");
  EXPECT_EQ(Path("b%n", "/cwd", "", 100, 42), "/cwd/b0042");
  EXPECT_EQ(Path("%n.%n", "/cwd", "", 100, 999), "/cwd/0999.0999");
  EXPECT_EQ(Path("b%n", "/cwd", "", 100, 1000), "/cwd/b1000");
  EXPECT_EQ(Path("b%n", "/cwd", "", 100, 12345), "/cwd/b12345");
  EXPECT_EQ(Path("b", "", ""), "b") << "the directory is not known";
  EXPECT_EQ(Path("/123456789", "", "", 11), "/123456789");
  EXPECT_EQ(Path("/123456789", "", "", 10), "does not fit");
}

}  // namespace
