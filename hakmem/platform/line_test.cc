// A line: its parts, padded numbers, and what does not fit.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/platform/line.h"
}

namespace {

TEST(LineTest, PutsItsPartsTogether) {
  std::string text = hak::StderrOf([] {
    hak_line_t line;
    hak_line_begin(&line);
    hak_line_text(&line, "class ");
    hak_line_number(&line, 0);
    hak_line_text(&line, ",");
    hak_line_number(&line, UINT64_MAX);
    hak_line_text(&line, " at ");
    hak_line_hex(&line, 0xdeadbeef00);
    hak_line_text(&line, " ");
    hak_line_hex(&line, 0);
    hak_line_end(&line);
  });
  EXPECT_EQ(text, "hakmem: class 0,18446744073709551615 at 0xdeadbeef00 0x0\n");
}

TEST(LineTest, PadsNumbersToTheRightAndNeverCutsThem) {
  std::string text = hak::StderrOf([] {
    hak_line_t line;
    hak_line_begin(&line);
    hak_line_number_padded(&line, 42, 5);
    hak_line_number_padded(&line, 123456, 3);
    hak_line_number_padded(&line, 7, 1000);  // wider than the function's own room
    hak_line_end(&line);
  });
  EXPECT_EQ(text.substr(0, 19), "hakmem:    42123456");
  EXPECT_EQ(text.substr(text.size() - 3), " 7\n");
}

// Every length around that of the line: cut at its end, one newline, one line.
TEST(LineTest, CutsWhatDoesNotFit) {
  const size_t room = sizeof(hak_line_t::text) - 1;  // the newline is always there
  const std::string prefix = "hakmem: ";
  for (size_t length = room - prefix.size() - 2; length < room + 20; ++length) {
    std::string part(length, 'x');
    std::string text = hak::StderrOf([&] {
      hak_line_t line;
      hak_line_begin(&line);
      hak_line_text(&line, part.c_str());
      hak_line_number(&line, 987);
      hak_line_end(&line);
    });
    EXPECT_EQ(text, (prefix + part + "987").substr(0, room) + "\n");
  }
}

TEST(LineTest, SurvivesBeingFedForEver) {
  std::string text = hak::StderrOf([] {
    hak_line_t line;
    hak_line_begin(&line);
    for (uint64_t i = 0; i < 1000; ++i) hak_line_hex(&line, i);
    hak_line_end(&line);
  });
  EXPECT_EQ(text.size(), sizeof(hak_line_t::text));
  EXPECT_EQ(text.find('\n'), text.size() - 1);
}

}  // namespace
