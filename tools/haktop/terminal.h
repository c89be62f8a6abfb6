// A terminal for tests: a program runs in it as in a window, and its screen can be read.
//
// The terminal is of a type of its own, described to ncurses by a terminfo entry that has little
// more than moving the cursor and clearing, so that a few lines can interpret what is written.

#ifndef HAKMEM_TOOLS_HAKTOP_TERMINAL_H_
#define HAKMEM_TOOLS_HAKTOP_TERMINAL_H_

#include <sys/types.h>
#include <termios.h>

#include <map>
#include <string>
#include <vector>

namespace haktop_testing {

class Terminal {
 public:
  // Starts argv with the terminal as its stdin, stdout and stderr.
  Terminal(const std::vector<std::string>& argv, int columns, int rows,
           const std::map<std::string, std::string>& environment = {});
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  pid_t pid() const { return pid_; }
  void Type(const std::string& keys);
  void Resize(int columns, int rows);

  // Reads until `text` is on the screen, or is not. False after 20 s, or when the program ends
  // without it.
  bool WaitFor(const std::string& text);
  bool WaitWithout(const std::string& text);

  // Reads until the program ends. Its exit code; 128 and the signal when one ended it; -1 after
  // 20 s.
  int WaitForEnd();

  // The rows of the screen, as lines without blanks at their ends.
  std::string Screen() const;

  // All that was written, as bytes.
  const std::string& written() const { return written_; }

  // Whether the program is on the other screen: that of full-screen programs.
  bool is_full_screen() const { return is_full_screen_; }

  // The settings of the terminal's line now, and before the program started.
  termios settings() const;
  const termios& first_settings() const { return first_settings_; }

 private:
  bool Wait(const std::string& text, bool is_wanted);
  bool Read(int timeout_ms);  // false at the end
  void Interpret(const std::string& bytes);
  void Control(char command);
  void Put(const std::string& character);

  int fd_;
  int slave_;  // kept open, so that settings outlive the program
  pid_t pid_;
  termios first_settings_;
  int columns_, rows_;
  int row_ = 0, column_ = 0;
  bool is_full_screen_ = false;
  std::string pending_;  // an escape sequence or a character that is not whole yet
  std::string written_;
  std::vector<std::vector<std::string>> cells_;
};

}  // namespace haktop_testing

#endif  // HAKMEM_TOOLS_HAKTOP_TERMINAL_H_
