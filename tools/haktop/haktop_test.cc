// haktop as a command: --once, the list, and what it refuses.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "tools/common/test_shell.h"
#include "tools/haktop/test_page.h"

namespace {

using haktop_testing::Publisher;
using haktop_testing::PublishingProcess;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using tools_testing::Outcome;
using tools_testing::Shell;

Outcome Haktop(const std::string& arguments, const std::string& environment = "") {
  return Shell("exec env -u COLUMNS LC_ALL=C.UTF-8 " + environment +
               " tools/haktop/haktop </dev/null " + arguments);
}

std::string Once(pid_t pid) { return "--once --interval 60 " + std::to_string(pid); }

TEST(HaktopTest, OncePrintsOneFrameWithRates) {
  PublishingProcess process;
  Outcome outcome = Haktop(Once(process.pid()));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output,
              StartsWith("haktop  " + std::to_string(process.pid()) + " publisher  phase steady"));
  EXPECT_THAT(outcome.output, HasSubstr("taken/s       166k"));
  EXPECT_THAT(outcome.output, HasSubstr("live       120 MiB"));
  EXPECT_THAT(outcome.output, HasSubstr("█"));
  EXPECT_THAT(outcome.output, HasSubstr("last events of 400"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("\x1b")));
}

TEST(HaktopTest, OnceIsAsWideAsItIsTold) {
  PublishingProcess process;
  EXPECT_THAT(Haktop(Once(process.pid())).output, Not(HasSubstr("exhausted\n")));
  EXPECT_THAT(Haktop(Once(process.pid()), "COLUMNS=160").output, HasSubstr("exhausted\n"));
  EXPECT_THAT(Haktop(Once(process.pid()), "COLUMNS=7").output, HasSubstr("remote/s\n"));
}

TEST(HaktopTest, OnceInAsciiWhereTheLocaleIs) {
  PublishingProcess process;
  Outcome outcome = Haktop(Once(process.pid()), "LC_ALL=C");
  EXPECT_THAT(outcome.output, HasSubstr("####"));
  for (char byte : outcome.output) EXPECT_GE(byte, 0);
}

TEST(HaktopTest, AProcessThatDoesNotUpdateHasNoRates) {
  PublishingProcess process([](Publisher&) {});
  Outcome outcome = Haktop(Once(process.pid()));
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("taken/s          -"));
  EXPECT_THAT(outcome.output, HasSubstr("live       120 MiB"));
}

TEST(HaktopTest, TheListNamesThoseThatPublish) {
  PublishingProcess process;
  Outcome outcome = Haktop("");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("PID  COMMAND"));
  EXPECT_THAT(outcome.output, HasSubstr(std::to_string(process.pid()) +
                                        "  publisher          120 MiB   150 MiB  steady\n"));
}

// In a sandbox of Bazel's no other process is seen; where there are others, they are listed.
TEST(HaktopTest, AnEmptyListIsNotAnEmptyAnswer) {
  Outcome outcome = Haktop("");
  if (outcome.exit_code == 0) {
    EXPECT_THAT(outcome.output, HasSubstr("PID  COMMAND"));
  } else {
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.output, HasSubstr("HAKMEM_TELEMETRY_SHM=1"));
  }
}

TEST(HaktopTest, AProcessThatEndsBetweenTheLooksIsSaid) {
  PublishingProcess process;
  pid_t ender = fork();
  if (ender == 0) {
    usleep(300 * 1000);
    kill(process.pid(), SIGKILL);
    _exit(0);
  }
  Outcome outcome = Haktop("--once --interval 1000 " + std::to_string(process.pid()));
  waitpid(ender, nullptr, 0);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("THE PROCESS HAS ENDED"));
  EXPECT_THAT(outcome.output, HasSubstr("has ended; these were its last figures"));
}

TEST(HaktopTest, WhatCannotBeWatchedIsSaidWithStatusTwo) {
  struct {
    void (*spoil)(Publisher&);
    const char* message;
  } cases[] = {
      {[](Publisher& publisher) { publisher.page()->version = 99; }, "version 99"},
      {[](Publisher& publisher) { publisher.page()->magic[0] = 'H'; }, "wrong magic"},
      {[](Publisher& publisher) { publisher.page()->bytes++; }, "bytes"},
      {[](Publisher& publisher) { publisher.page()->pid++; }, "forked child"},
      {[](Publisher& publisher) { hak_store_relaxed(&publisher.page()->sequence, uint64_t{3}); },
       "half written"},
      {[](Publisher& publisher) { publisher.~Publisher(); }, "publishes no page"},
  };
  for (const auto& one : cases) {
    PublishingProcess process(one.spoil);
    Outcome outcome = Haktop(Once(process.pid()));
    EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
    EXPECT_THAT(outcome.output, StartsWith("haktop: "));
    EXPECT_THAT(outcome.output, HasSubstr(one.message));
  }
  Outcome outcome = Haktop(Once(0x3ffffffe));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.output, "haktop: there is no process 1073741822\n");
}

TEST(HaktopTest, BadArgumentsAreNamedWithStatusTwo) {
  const std::pair<const char*, const char*> cases[] = {
      {"abc", "PID: 'abc'"},
      {"0", "PID: '0' is not"},
      {"1.5", "PID: '1.5' is not a whole"},
      {"-- -1", "PID: '-1'"},
      {"1 2", "unexpected argument '2'"},
      {"--once", "--once: PID is missing"},
      {"--interval 1 1", "--interval: '1' is not a number from 50 to 3600000"},
      {"--interval x 1", "--interval: 'x'"},
      {"--interval", "'--interval' requires"},
      {"--color 1", "unrecognized option '--color'"},
  };
  for (const auto& [arguments, message] : cases) {
    Outcome outcome = Haktop(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments;
    EXPECT_THAT(outcome.output, HasSubstr(message));
  }
}

TEST(HaktopTest, WithoutATerminalOnlyOnceWorks) {
  PublishingProcess process;
  Outcome outcome = Haktop(std::to_string(process.pid()));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("--once"));
}

TEST(HaktopTest, AFullDiskIsNoticed) {
  PublishingProcess process;
  Outcome outcome = Haktop(Once(process.pid()) + " >/dev/full");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output, HasSubstr("cannot write to stdout: No space left on device"));
}

TEST(HaktopTest, HelpGoesToStdout) {
  Outcome outcome = Haktop("--help");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("--interval"));
}

}  // namespace
