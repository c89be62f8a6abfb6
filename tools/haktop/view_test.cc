// Frames as they look: golden files in testing/golden, and what holds for any size and any figures.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tools/haktop/test_page.h"

extern "C" {
#include "tools/haktop/view.h"
}

namespace {

using haktop_testing::FillPage;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr char kUpdate[] = "HAKTOP_UPDATE_GOLDEN=1 bazel run //tools/haktop:view_test";

std::string Print(const ht_canvas& canvas) {
  char* data = nullptr;
  size_t size = 0;
  FILE* file = open_memstream(&data, &size);
  ht_canvas_print(&canvas, file);
  fclose(file);
  std::string text(data, size);
  free(data);
  return text;
}

class ViewTest : public testing::Test {
 protected:
  ViewTest() : view_(ht_view_new(1)) {
    setlocale(LC_CTYPE, "C.UTF-8");
    model_.pid = 4242;
    strcpy(model_.command, "random_mixed");
    model_.watched_s = 83;
  }

  void Add(const hak_shared_page_t& page) { ht_model_add(&model_, &page); }

  void AddTwo() {
    FillPage(&page_, 10);
    Add(page_);
    FillPage(&page_, 11);
    Add(page_);
  }

  // All classes in use, sizes and figures rising.
  void AddManyClasses() {
    FillPage(&page_, 10);
    for (unsigned i = 1; i < HAK_N_CLASSES; i++) {
      page_.classes[i] = page_.classes[4];
      page_.classes[i].block_bytes = 16 * i;
      page_.classes[i].taken = 1000;
    }
    Add(page_);
    for (unsigned i = 1; i < HAK_N_CLASSES; i++) page_.classes[i].taken += 100 * i;
    page_.stats.time_ns += 1000000000;
    Add(page_);
  }

  // Every figure of the page is `value`, but for what it begins with.
  void AddEverywhere(uint64_t value) {
    FillPage(&page_, 10);
    for (void* part : {static_cast<void*>(&page_.stats), static_cast<void*>(&page_.retention),
                       static_cast<void*>(&page_.classes)}) {
      size_t bytes = part == &page_.stats       ? sizeof(page_.stats)
                     : part == &page_.retention ? sizeof(page_.retention)
                                                : sizeof(page_.classes);
      for (size_t i = 0; i < bytes / sizeof(value); i++) {
        memcpy(static_cast<char*>(part) + i * sizeof(value), &value, sizeof(value));
      }
    }
    Add(page_);
  }

  std::string Frame(int columns, int rows, bool has_utf8 = true) {
    ht_canvas canvas = ht_canvas_new(rows, columns, has_utf8);
    ht_view_draw(&view_, &model_, &canvas);
    std::string text = Print(canvas);
    ht_canvas_free(&canvas);
    return text;
  }

  std::string Once(int columns = 80) {
    ht_canvas canvas = ht_view_frame(&view_, &model_, columns, true);
    std::string text = Print(canvas);
    ht_canvas_free(&canvas);
    return text;
  }

  hak_shared_page_t page_{};
  ht_model model_{};
  ht_view view_;
};

void ExpectGolden(const std::string& name, const std::string& text) {
  std::string path = "tools/haktop/testing/golden/" + name + ".txt";
  const char* checkout = getenv("BUILD_WORKSPACE_DIRECTORY");
  if (getenv("HAKTOP_UPDATE_GOLDEN") != nullptr && checkout != nullptr) {
    std::ofstream(std::string(checkout) + "/" + path) << text;
    return;
  }
  std::stringstream golden;
  golden << std::ifstream(path).rdbuf();
  EXPECT_EQ(text, golden.str()) << "is not " << path << "; to accept it: " << kUpdate;
}

TEST_F(ViewTest, OverviewAt80x24) {
  AddTwo();
  ExpectGolden("overview-80x24", Frame(80, 24));
}

TEST_F(ViewTest, OverviewAt80x24WithoutUtf8) {
  AddTwo();
  std::string text = Frame(80, 24, false);
  for (char c : text) EXPECT_TRUE(c == '\n' || (c >= ' ' && c <= '~'));
  ExpectGolden("overview-80x24-ascii", text);
}

TEST_F(ViewTest, OverviewAt120x40) {
  AddTwo();
  ExpectGolden("overview-120x40", Frame(120, 40));
}

TEST_F(ViewTest, ASmallTerminalShowsEveryPane) {
  AddTwo();
  ExpectGolden("overview-60x20", Frame(60, 20));
  ExpectGolden("overview-79x20", Frame(79, 20));
  ExpectGolden("overview-80x18", Frame(80, 18));
  for (int pane = 0; pane < HT_N_PANES; pane++) {
    view_.pane = static_cast<ht_pane>(pane);
    std::string text = Frame(79, 20);
    EXPECT_THAT(text, HasSubstr("RSS")) << pane;
    EXPECT_GE(std::count(text.begin(), text.end(), '\n'), 12) << pane;
  }
  view_.pane = HT_OVERVIEW;
  EXPECT_THAT(Frame(39, 20), HasSubstr("needs 40x10"));
}

TEST_F(ViewTest, ThePastIsAColumnForEachState) {
  FillPage(&page_, 10);
  for (uint64_t i = 0; i < 70; i++) {
    page_.stats.time_ns += 1000000000;
    page_.stats.rss_bytes = (i % 10 + 1) * 1048576ull;
    page_.stats.minor_faults += i * i;
    page_.classes[4].taken += 1000 * (i % 7);
    Add(page_);
  }
  view_.pane = HT_PAST;
  ExpectGolden("past-80x24", Frame(80, 24));
  ExpectGolden("past-120x40", Frame(120, 40));
  ExpectGolden("past-80x24-ascii", Frame(80, 24, false));
}

TEST_F(ViewTest, ClassesThatDoNotFitScroll) {
  AddManyClasses();
  view_.pane = HT_CLASSES;
  ExpectGolden("classes-80x24", Frame(80, 24));
  view_.scroll = 1000;
  ExpectGolden("classes-80x24-end", Frame(80, 24));
  EXPECT_EQ(view_.scroll, 72 - 15);
  view_.scroll = -5;
  Frame(80, 24);
  EXPECT_EQ(view_.scroll, 0);
}

TEST_F(ViewTest, AWideTerminalShowsMoreColumns) {
  AddManyClasses();
  view_.pane = HT_CLASSES;
  ExpectGolden("classes-160x24", Frame(160, 24));
  EXPECT_EQ(ht_view_class_columns(80), HT_CLASS_REMOTE + 1);
  EXPECT_EQ(ht_view_class_columns(160), HT_CLASS_N_COLUMNS);
}

TEST_F(ViewTest, EventsWhateverTheyAre) {
  FillPage(&page_, 10);
  page_.stats.time_ns = 5000000000000;
  page_.events[0].kind = 999;
  page_.events[1].kind = HAK_EVENT_KERNEL_FAILED;
  page_.events[1].size_class = 2;
  page_.events[1].detail = 12;
  page_.events[2].kind = HAK_EVENT_KERNEL_FAILED;
  page_.events[2].size_class = 999;
  page_.events[2].detail = -3;
  page_.events[3].kind = HAK_EVENT_EXHAUSTED;
  page_.events[3].size_class = 65535;
  page_.events[4].kind = HAK_EVENT_OUT_OF_MEMORY;
  page_.events[4].bytes = UINT64_MAX;
  page_.events[4].address = UINT64_MAX;
  page_.events[4].thread = UINT32_MAX;
  page_.events[5].time_ns = UINT64_MAX;  // later than now
  Add(page_);
  view_.pane = HT_EVENTS;
  ExpectGolden("events-80x24", Frame(80, 24));
}

TEST_F(ViewTest, AnEventThatIsNewerThanTheFiguresIsNew) {
  FillPage(&page_, 10);
  page_.events[5].time_ns = page_.stats.time_ns + 5000000;
  Add(page_);
  view_.pane = HT_EVENTS;
  EXPECT_THAT(Frame(80, 24), ContainsRegex("newest first\n +0 thread"));
}

TEST_F(ViewTest, KernelPane) {
  AddTwo();
  view_.pane = HT_KERNEL;
  ExpectGolden("kernel-80x24", Frame(80, 24));
}

TEST_F(ViewTest, Help) {
  AddTwo();
  view_.has_help = true;
  ExpectGolden("help-80x24", Frame(80, 24));
}

TEST_F(ViewTest, OnceHoldsEverything) {
  AddManyClasses();
  ExpectGolden("once", Once());
}

TEST_F(ViewTest, UnknownIsNeverZero) {
  AddEverywhere(HAK_UNKNOWN);
  AddEverywhere(HAK_UNKNOWN);
  for (int pane = 0; pane < HT_N_PANES; pane++) {
    view_.pane = static_cast<ht_pane>(pane);
    std::string text = Frame(80, 24);
    EXPECT_THAT(text, Not(ContainsRegex(" 0[^x]"))) << text;
  }
  view_.pane = HT_OVERVIEW;
  ExpectGolden("unknown-80x24", Frame(80, 24));
}

TEST_F(ViewTest, OneStateHasNoRatesButAllElse) {
  FillPage(&page_, 10);
  Add(page_);
  ExpectGolden("first-80x24", Frame(80, 24));
}

TEST_F(ViewTest, HugeNumbersStayInTheirPlaces) {
  AddEverywhere(0);
  AddEverywhere(HAK_UNKNOWN - 1);
  ExpectGolden("huge-80x24", Frame(80, 24));
  view_.pane = HT_KERNEL;
  ExpectGolden("huge-kernel-80x24", Frame(80, 24));
}

TEST_F(ViewTest, ManyMappingsAreAWarningWithASign) {
  FillPage(&page_, 10);
  page_.stats.vmas = 60000;
  Add(page_);
  EXPECT_THAT(Frame(80, 24), HasSubstr(" !60000/65530 "));
}

TEST_F(ViewTest, WhatIsUnusualIsSaid) {
  AddTwo();
  view_.is_paused = true;
  EXPECT_THAT(Frame(80, 24), HasSubstr("PAUSED"));
  model_.status = HT_SILENT;
  model_.silent_s = 12.3;
  EXPECT_THAT(Frame(80, 24), HasSubstr("NO UPDATE FOR 12 s"));
  model_.status = HT_STUCK;
  EXPECT_THAT(Frame(80, 24), HasSubstr("WRITER STOPPED MID-UPDATE"));
  model_.status = HT_ENDED;
  EXPECT_THAT(Frame(80, 24), HasSubstr("THE PROCESS HAS ENDED"));
  EXPECT_THAT(Once(), HasSubstr("THE PROCESS HAS ENDED"));
  EXPECT_THAT(Frame(50, 20), HasSubstr("THE PROCESS HAS ENDED"));
}

TEST_F(ViewTest, StrangersTextMovesNoTerminal) {
  FillPage(&page_, 10);
  // Not terminated, with an escape, a right-to-left override and bytes that are no UTF-8.
  memset(page_.phase, 'x', sizeof(page_.phase));
  memcpy(page_.phase, "a\x1b[31m\xe2\x80\xae\xff\n", 11);
  strcpy(model_.command, "\x1b]0;\x07 \xe6\xbc\xa2");
  Add(page_);
  std::string text = Frame(120, 24);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, HasSubstr("4242 ?]0;? \xe6\xbc\xa2  phase a?[31m???xxx"));
  text = Frame(120, 24, false);
  EXPECT_THAT(text, HasSubstr("4242 ?]0;? ?  phase a?[31m???xxx"));
}

// Nothing is drawn outside, whatever the size: the sanitizers watch this one.
TEST_F(ViewTest, AnySizeCanBeDrawn) {
  AddManyClasses();
  for (int pane = 0; pane < HT_N_PANES; pane++) {
    view_.pane = static_cast<ht_pane>(pane);
    for (int rows = 1; rows < 60; rows += rows < 30 ? 1 : 13) {
      for (int columns = 1; columns < 250; columns += columns < 100 ? 3 : 37) {
        std::istringstream lines(Frame(columns, rows, false));
        int n_lines = 0;
        for (std::string line; std::getline(lines, line); n_lines++) {
          EXPECT_LE(line.size(), static_cast<size_t>(columns));
        }
        EXPECT_LE(n_lines, rows);
      }
    }
  }
}

TEST(CanvasTest, TextThatIsCutSaysSoAndNumbersAreNotCut) {
  setlocale(LC_CTYPE, "C.UTF-8");
  ht_canvas canvas = ht_canvas_new(4, 10, false);
  EXPECT_EQ(ht_put(&canvas, 0, 0, 5, HT_PLAIN, "abcdef"), 5);
  EXPECT_EQ(ht_put(&canvas, 0, 6, 9, HT_PLAIN, "abcdef"), 4);
  ht_put_right(&canvas, 1, 0, 5, HT_PLAIN, "12345");
  ht_put_right(&canvas, 2, 0, 5, HT_PLAIN, "123456");
  ht_put(&canvas, 3, 12, 5, HT_PLAIN, "outside");
  ht_put(&canvas, 9, 0, 5, HT_PLAIN, "outside");
  ht_put(&canvas, 3, 0, 0, HT_PLAIN, "no room");
  ht_put(&canvas, 3, 0, -2, HT_PLAIN, "no room");
  EXPECT_EQ(Print(canvas), "abcd~ abc~\n12345\n#####\n");
  ht_canvas_free(&canvas);
}

TEST(CanvasTest, AWideCharacterTakesTwoCellsOrNone) {
  setlocale(LC_CTYPE, "C.UTF-8");
  ht_canvas canvas = ht_canvas_new(2, 5, true);
  ht_put(&canvas, 0, 0, 4, HT_PLAIN, "\xe6\xbc\xa2\xe5\xad\x97");
  ht_put(&canvas, 1, 0, 3, HT_PLAIN, "\xe6\xbc\xa2\xe5\xad\x97");
  EXPECT_EQ(Print(canvas), "\xe6\xbc\xa2\xe5\xad\x97\n\xe6\xbc\xa2\xe2\x80\xa6\n");
  ht_canvas_free(&canvas);
}

TEST(CanvasTest, BarsHaveEighthsOrWholeColumns) {
  setlocale(LC_CTYPE, "C.UTF-8");
  ht_canvas canvas = ht_canvas_new(6, 8, true);
  ht_put_bar(&canvas, 0, 0, 4, 0.5 + 3.0 / 32);
  ht_put_bar(&canvas, 1, 0, 4, 1e-9);  // a little is not nothing
  ht_put_bar(&canvas, 2, 0, 4, 17);
  ht_put_bar(&canvas, 3, 0, 4, 0);
  ht_put_bar(&canvas, 4, 0, 4, -1);
  ht_put(&canvas, 5, 0, 1, HT_PLAIN, ".");
  EXPECT_EQ(Print(canvas), "██▍\n▏\n████\n\n\n.\n");
  ht_canvas_free(&canvas);
  canvas = ht_canvas_new(2, 8, false);
  ht_put_bar(&canvas, 0, 0, 4, 0.6);
  ht_put_bar(&canvas, 1, 0, 4, 1);
  EXPECT_EQ(Print(canvas), "##\n####\n");
  ht_canvas_free(&canvas);
}

}  // namespace
