// Fatal messages: one line each; last words once; assertions at their level.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

extern "C" {
#include "hakmem/platform/check.h"
#include "hakmem/platform/line.h"
}

namespace {

using testing::ExitedWithCode;
using testing::KilledBySignal;
using testing::MatchesRegex;

void* const kAddress = reinterpret_cast<void*>(0x7f12345678f0);

bool Find(hak_line_t* line, const void* address) {
  if (address != kAddress) return false;
  hak_line_text(line, "a block of 80 bytes");
  return true;
}

TEST(CheckDeathTest, FatalPointerIsOneLineThatNamesWhatWasFound) {
  hak_fatal_set_finder(Find);
  EXPECT_EXIT(
      hak_fatal_pointer("double free", kAddress), KilledBySignal(SIGABRT),
      MatchesRegex("hakmem: double free: 0x7f12345678f0 \\(a block of 80 bytes\\), in thread "
                   "[0-9]+\n"));
  hak_fatal_set_finder(nullptr);
}

TEST(CheckDeathTest, WhatIsNotFoundHasAnOrigin) {
  static int here;
  for (hak_fatal_finder_t finder : {hak_fatal_finder_t{nullptr}, hak_fatal_finder_t{Find}}) {
    hak_fatal_set_finder(finder);
    EXPECT_EXIT(hak_fatal_pointer("free of a pointer that is not ours", &here),
                KilledBySignal(SIGABRT),
                MatchesRegex("hakmem: free of a pointer that is not ours: 0x[0-9a-f]+ "
                             "\\(static memory, or another malloc's, in the program itself\\), in "
                             "thread [0-9]+\n"));
  }
  hak_fatal_set_finder(nullptr);
}

TEST(CheckDeathTest, FatalAssertNamesExpressionAndPlace) {
  EXPECT_EXIT(hak_fatal_assert("a == b", "some/file.c", 42), KilledBySignal(SIGABRT),
              testing::Eq("hakmem: assertion failed: a == b at some/file.c:42\n"));
}

// Each level dies where it is switched on; where it is off, the condition is not even evaluated.
TEST(CheckDeathTest, AssertionsHoldAtTheirLevel) {
  if (HAK_DEBUG >= 1) {
    EXPECT_EXIT(hak_assert(1 + 1 == 3), KilledBySignal(SIGABRT),
                MatchesRegex("hakmem: assertion failed: 1 \\+ 1 == 3 at .*check_test.cc:[0-9]+\n"));
  } else {
    bool was_evaluated = false;
    hak_assert((was_evaluated = true) && false);
    EXPECT_FALSE(was_evaluated);
  }
  if (HAK_DEBUG >= 2) {
    EXPECT_EXIT(hak_assert_slow(false), KilledBySignal(SIGABRT),
                MatchesRegex("hakmem: assertion failed: false at .*\n"));
  } else {
    bool was_evaluated = false;
    hak_assert_slow((was_evaluated = true) && false);
    EXPECT_FALSE(was_evaluated);
  }
}

void Say(const char* text) { EXPECT_GT(write(STDERR_FILENO, text, strlen(text)), 0); }

TEST(CheckDeathTest, LastWordsComeAfterTheMessage) {
  auto die = [] {
    hak_fatal_set_last_words([] { Say("last words\n"); });
    hak_fatal_pointer("double free", kAddress);
  };
  EXPECT_EXIT(die(), KilledBySignal(SIGABRT),
              MatchesRegex("hakmem: double free: 0x7f12345678f0 .*\nlast words\n"));
}

TEST(CheckDeathTest, WhatGoesWrongInTheLastWordsEndsThem) {
  auto die = [] {
    hak_fatal_set_last_words([] { hak_fatal_pointer("again", kAddress); });
    hak_fatal_pointer("double free", kAddress);
  };
  EXPECT_EXIT(
      die(), KilledBySignal(SIGABRT),
      MatchesRegex("hakmem: double free: 0x7f12345678f0 .*\nhakmem: again: 0x7f12345678f0 .*\n"));
}

// The other thread has begun to end when the words go on for a while.
TEST(CheckDeathTest, AnotherThreadsEndDoesNotCutTheLastWordsShort) {
  auto die = [] {
    hak_fatal_set_last_words([] {
      static std::atomic<bool> is_ending{false};
      std::thread([] {
        is_ending = true;
        hak_fatal_pointer("also", kAddress);
      }).detach();
      while (!is_ending) std::this_thread::yield();
      usleep(100 * 1000);
      Say("last words\n");
    });
    hak_fatal_pointer("double free", kAddress);
  };
  EXPECT_EXIT(
      die(), KilledBySignal(SIGABRT),
      MatchesRegex("hakmem: double free: 0x7f12345678f0 .*\nhakmem: also: 0x7f12345678f0 .*\n"
                   "last words\n"));
}

TEST(CheckTest, AssertionsThatHoldDoNothing) {
  hak_assert(true);
  hak_assert_slow(true);
}

}  // namespace
