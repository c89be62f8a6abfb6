// haktop on a terminal: keys, sizes, and that the terminal is given back however it ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <vector>

#include "tools/haktop/terminal.h"
#include "tools/haktop/test_page.h"

namespace {

using haktop_testing::FillPage;
using haktop_testing::Publisher;
using haktop_testing::PublishingProcess;
using haktop_testing::Terminal;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> Command(pid_t pid) {
  return {"tools/haktop/haktop", std::to_string(pid), "--interval", "100"};
}

// The terminal is as it was: main screen, line settings, and no colour left on.
void ExpectGivenBack(const Terminal& terminal) {
  termios now = terminal.settings();
  const termios& first = terminal.first_settings();
  EXPECT_FALSE(terminal.is_full_screen());
  EXPECT_EQ(now.c_lflag, first.c_lflag);
  EXPECT_EQ(now.c_iflag, first.c_iflag);
  EXPECT_EQ(now.c_oflag, first.c_oflag);
}

TEST(ScreenTest, ShowsTheOverviewAndQGivesTheTerminalBack) {
  PublishingProcess process;
  Terminal terminal(Command(process.pid()), 80, 24);
  ASSERT_TRUE(terminal.WaitFor("taken/s       166k")) << terminal.Screen();
  EXPECT_TRUE(terminal.is_full_screen());
  EXPECT_EQ(terminal.settings().c_lflag & (ECHO | ICANON), 0u);
  EXPECT_THAT(terminal.Screen(), HasSubstr("publisher  phase steady"));
  EXPECT_THAT(terminal.Screen(), HasSubstr("[1 overview]"));
  EXPECT_THAT(terminal.Screen(), HasSubstr("partial_slabs   20.0 MiB  50.0% ███▌"));
  EXPECT_THAT(terminal.Screen(), HasSubstr("\nq quit"));
  terminal.Type("q");
  EXPECT_EQ(terminal.WaitForEnd(), 0) << terminal.written();
  ExpectGivenBack(terminal);
}

TEST(ScreenTest, KeysChangeThePane) {
  PublishingProcess process;
  Terminal terminal(Command(process.pid()), 80, 24);
  ASSERT_TRUE(terminal.WaitFor("[1 overview]"));
  const std::pair<const char*, const char*> steps[] = {
      {"2", "[2 classes]"},         {"3", "[3 events]"},    {"4", "[4 kernel]"},
      {"1", "[1 overview]"},        {"\t\t", "[3 events]"}, {"\t\t", "[5 past]"},
      {"h", "reverse their order"}, {"h", "retained"},      {"?", "reverse their order"},
      {"2", "[2 classes]"},
  };
  for (const auto& [keys, text] : steps) {
    terminal.Type(keys);
    EXPECT_TRUE(terminal.WaitFor(text)) << keys << "\n" << terminal.Screen();
  }
}

TEST(ScreenTest, AProcessIsChosenFromTheList) {
  PublishingProcess one;
  PublishingProcess other;
  const std::string low = std::to_string(std::min(one.pid(), other.pid()));
  const std::string high = std::to_string(std::max(one.pid(), other.pid()));
  Terminal terminal({"tools/haktop/haktop"}, 80, 24);
  ASSERT_TRUE(terminal.WaitFor(high)) << terminal.Screen();
  std::string screen = terminal.Screen();
  EXPECT_LT(screen.find(low), screen.find(high)) << screen;
  terminal.Type("r");
  // What is selected stays so, and is the second now.
  ASSERT_TRUE(terminal.WaitFor(high + "  publisher          120 MiB   150 MiB  steady\n>"))
      << terminal.Screen();
  EXPECT_THAT(terminal.Screen(), HasSubstr("▲PID"));
  terminal.Type("s");
  ASSERT_TRUE(terminal.WaitFor("▲COMMAND")) << terminal.Screen();
  terminal.Type("S");
  ASSERT_TRUE(terminal.WaitFor("▲PID")) << terminal.Screen();
  terminal.Type("k\r");
  ASSERT_TRUE(terminal.WaitFor("[1 overview]")) << terminal.Screen();
  EXPECT_THAT(terminal.Screen(), testing::StartsWith("haktop  " + high + " publisher"));
  terminal.Type("q");
  EXPECT_EQ(terminal.WaitForEnd(), 0) << terminal.written();
  ExpectGivenBack(terminal);
}

TEST(ScreenTest, TheListCanBeLeft) {
  Terminal terminal({"tools/haktop/haktop"}, 60, 12);
  ASSERT_TRUE(terminal.WaitFor("q quit")) << terminal.Screen();
  terminal.Type("q");
  EXPECT_EQ(terminal.WaitForEnd(), 0) << terminal.written();
  ExpectGivenBack(terminal);
}

TEST(ScreenTest, KeysSortTheClasses) {
  PublishingProcess process;
  Terminal terminal(Command(process.pid()), 80, 24);
  terminal.Type("2");
  ASSERT_TRUE(terminal.WaitFor("▼taken/s"));
  for (const char* heading : {"▼remote/s", "▼block", "▼live"}) {
    terminal.Type("s");
    EXPECT_TRUE(terminal.WaitFor(heading)) << heading << "\n" << terminal.Screen();
  }
  terminal.Type("<");
  ASSERT_TRUE(terminal.WaitFor("▼block"));
  EXPECT_TRUE(terminal.WaitFor("remote/s\n 32768 ")) << terminal.Screen();
  terminal.Type("r");
  ASSERT_TRUE(terminal.WaitFor("▲block"));
  EXPECT_TRUE(terminal.WaitFor("remote/s\n    64 ")) << terminal.Screen();
  terminal.Type("S");
  EXPECT_TRUE(terminal.WaitFor("▲remote/s"));
  terminal.Type(">>");
  EXPECT_TRUE(terminal.WaitFor("▲live"));
}

TEST(ScreenTest, KeysScroll) {
  PublishingProcess process([](Publisher& publisher) {
    hak_shared_page_t* page = publisher.page();
    for (unsigned i = 1; i < HAK_N_CLASSES; i++) {
      page->classes[i] = page->classes[4];
      page->classes[i].block_bytes = 20000 + i;
    }
  });
  Terminal terminal(Command(process.pid()), 80, 24);
  terminal.Type("2");
  ASSERT_TRUE(terminal.WaitFor("0 more above, 57 below")) << terminal.Screen();
  terminal.Type("\x1b[B");
  EXPECT_TRUE(terminal.WaitFor("1 more above, 56 below")) << terminal.Screen();
  terminal.Type("\x1b[6~");
  EXPECT_TRUE(terminal.WaitFor("16 more above, 41 below")) << terminal.Screen();
  terminal.Type("k\x1b[A");
  EXPECT_TRUE(terminal.WaitFor("14 more above, 43 below")) << terminal.Screen();
  terminal.Type("\x1b[5~\x1b[5~");
  EXPECT_TRUE(terminal.WaitFor("0 more above, 57 below")) << terminal.Screen();
}

TEST(ScreenTest, KeysPauseAndChangeTheInterval) {
  PublishingProcess process;
  Terminal terminal(Command(process.pid()), 80, 24);
  ASSERT_TRUE(terminal.WaitFor("every 0.1 s"));
  terminal.Type("+");
  EXPECT_TRUE(terminal.WaitFor("every 0.25 s"));
  terminal.Type("-");
  EXPECT_TRUE(terminal.WaitFor("every 0.1 s"));
  terminal.Type("-");  // the shortest
  terminal.Type("p");
  EXPECT_TRUE(terminal.WaitFor("PAUSED"));
  EXPECT_THAT(terminal.Screen(), HasSubstr("every 0.1 s"));
  terminal.Type("p");
  EXPECT_TRUE(terminal.WaitWithout("PAUSED"));
}

TEST(ScreenTest, FollowsTheSizeOfTheTerminal) {
  PublishingProcess process;
  Terminal terminal(Command(process.pid()), 80, 24);
  ASSERT_TRUE(terminal.WaitFor("taken/s  remote/s\n"));
  terminal.Resize(120, 40);
  EXPECT_TRUE(terminal.WaitFor("remote/s  returned/s")) << terminal.Screen();
  EXPECT_TRUE(terminal.WaitFor("\n\nq quit")) << terminal.Screen();
  terminal.Resize(60, 20);
  EXPECT_TRUE(terminal.WaitFor("\nq quit h help")) << terminal.Screen();
  terminal.Resize(30, 9);
  EXPECT_TRUE(terminal.WaitFor("needs 40x10, this is 30x9")) << terminal.Screen();
  terminal.Resize(3, 2);
  EXPECT_TRUE(terminal.WaitFor("ha…\nne…")) << terminal.Screen();
  terminal.Resize(80, 24);
  EXPECT_TRUE(terminal.WaitFor("taken/s  remote/s\n")) << terminal.Screen();
  terminal.Type("q");
  EXPECT_EQ(terminal.WaitForEnd(), 0) << terminal.written();
  ExpectGivenBack(terminal);
}

TEST(ScreenTest, SignalsGiveTheTerminalBack) {
  const std::pair<int, int> ends[] = {
      {SIGINT, 0}, {SIGTERM, 128 + SIGTERM}, {SIGHUP, 128 + SIGHUP}, {SIGQUIT, 128 + SIGQUIT}};
  PublishingProcess process;
  for (const auto& [signal, exit_code] : ends) {
    Terminal terminal(Command(process.pid()), 80, 24);
    ASSERT_TRUE(terminal.WaitFor("taken/s"));
    kill(terminal.pid(), signal);
    EXPECT_EQ(terminal.WaitForEnd(), exit_code) << terminal.written();
    ExpectGivenBack(terminal);
  }
  Terminal terminal(Command(process.pid()), 80, 24);
  ASSERT_TRUE(terminal.WaitFor("taken/s"));
  terminal.Type("\x03");  // Ctrl-C
  EXPECT_EQ(terminal.WaitForEnd(), 0) << terminal.written();
  ExpectGivenBack(terminal);
}

TEST(ScreenTest, TheLastFrameOfAProcessThatEndsStays) {
  PublishingProcess process;
  Terminal terminal(Command(process.pid()), 80, 24);
  ASSERT_TRUE(terminal.WaitFor("taken/s       166k"));
  process.End();
  ASSERT_TRUE(terminal.WaitFor("THE PROCESS HAS ENDED")) << terminal.Screen();
  EXPECT_THAT(terminal.Screen(), HasSubstr("taken/s       166k"));
  terminal.Type("2");
  EXPECT_TRUE(terminal.WaitFor("[2 classes]"));
  terminal.Type("q");
  EXPECT_EQ(terminal.WaitForEnd(), 0) << terminal.written();
  EXPECT_THAT(terminal.written(), HasSubstr("has ended; these were its last figures"));
  ExpectGivenBack(terminal);
}

TEST(ScreenTest, AProcessThatIsStoppedIsSilent) {
  PublishingProcess process([](Publisher&) {});  // not updated
  Terminal terminal(Command(process.pid()), 80, 24);
  EXPECT_TRUE(terminal.WaitFor("NO UPDATE FOR")) << terminal.Screen();
}

// The allocator does so when the program has closed the page's descriptor.
TEST(ScreenTest, APageThatIsMadeAnewIsFollowed) {
  PublishingProcess process([](Publisher& publisher) {
    static Publisher* old;
    old = &publisher;
    signal(SIGUSR1, [](int) {
      old->~Publisher();
      new (old) Publisher;
      for (unsigned seconds = 1;; seconds++) {
        usleep(20 * 1000);
        old->Update(seconds);
      }
    });
  });
  Terminal terminal(Command(process.pid()), 80, 24);
  ASSERT_TRUE(terminal.WaitFor("taken/s          -"));
  kill(process.pid(), SIGUSR1);
  EXPECT_TRUE(terminal.WaitFor("taken/s       166k")) << terminal.Screen();
  EXPECT_TRUE(terminal.WaitWithout("NO UPDATE"));
}

TEST(ScreenTest, AWriterThatDiesInTheMiddleLeavesTheLastState) {
  PublishingProcess process([](Publisher& publisher) {
    // Once the viewer has had a look.
    static hak_shared_page_t* page;
    page = publisher.page();
    signal(SIGUSR1, [](int) { hak_store_relaxed(&page->sequence, uint64_t{7}); });
  });
  Terminal terminal(Command(process.pid()), 80, 24);
  ASSERT_TRUE(terminal.WaitFor("live       120 MiB"));
  kill(process.pid(), SIGUSR1);
  EXPECT_TRUE(terminal.WaitFor("WRITER STOPPED MID-UPDATE")) << terminal.Screen();
  EXPECT_THAT(terminal.Screen(), HasSubstr("live       120 MiB"));
}

TEST(ScreenTest, ColourIsUsedUnlessRefused) {
  PublishingProcess process;
  Terminal colourful(Command(process.pid()), 80, 24);
  ASSERT_TRUE(colourful.WaitFor("taken/s       166k"));
  EXPECT_THAT(colourful.written(), HasSubstr("\x1b[32m"));
  Terminal plain(Command(process.pid()), 80, 24, {{"NO_COLOR", "1"}});
  ASSERT_TRUE(plain.WaitFor("taken/s       166k"));
  for (const char* colour : {"\x1b[31m", "\x1b[32m", "\x1b[36m"}) {
    EXPECT_THAT(plain.written(), Not(HasSubstr(colour)));
  }
  EXPECT_THAT(plain.written(), HasSubstr("\x1b[1m"));
}

TEST(ScreenTest, WithoutUtf8BarsAreAscii) {
  PublishingProcess process;
  Terminal terminal(Command(process.pid()), 80, 24, {{"LC_ALL", "C"}});
  ASSERT_TRUE(terminal.WaitFor("partial_slabs   20.0 MiB  50.0% ####")) << terminal.Screen();
  for (char byte : terminal.written()) EXPECT_GE(byte, 0);
}

TEST(ScreenTest, ATerminalThatCannotBeDrawnOnIsSaid) {
  PublishingProcess process;
  for (const char* type : {"dumb", "no-such-terminal"}) {
    Terminal terminal(Command(process.pid()), 80, 24, {{"TERM", type}});
    EXPECT_EQ(terminal.WaitForEnd(), 1) << type;
    EXPECT_THAT(terminal.written(),
                HasSubstr("cannot draw on this terminal (TERM=" + std::string(type) + ")"));
  }
}

}  // namespace
