// A terminal for tests: a pseudo-terminal and the few sequences that its terminfo entry has.

#include "tools/haktop/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace haktop_testing {
namespace {

constexpr int kPatienceMs = 20000;

// Colours are there so that a test can see whether they are used.
constexpr char kTerminfo[] =
    "haktest|terminal of haktop's tests,\n"
    "\tam, xenl, colors#8, pairs#64,\n"
    "\tclear=\\E[H\\E[2J, cup=\\E[%i%p1%d;%p2%dH, cr=\\r, ind=\\n, cub1=\\b,\n"
    "\tsmam=\\E[?7h, rmam=\\E[?7l,\n"
    "\tsmcup=\\E[?1049h, rmcup=\\E[?1049l,\n"
    "\tbold=\\E[1m, rev=\\E[7m, sgr0=\\E[m, op=\\E[39;49m,\n"
    "\tsetaf=\\E[3%p1%dm, setab=\\E[4%p1%dm,\n"
    "\tkcuu1=\\E[A, kcud1=\\E[B, knp=\\E[6~, kpp=\\E[5~,\n";

// A folder with the compiled entry.
std::string TerminfoFolder() {
  std::string folder = testing::TempDir() + "/terminfo";
  std::string source = testing::TempDir() + "/haktest.ti";
  std::ofstream(source) << kTerminfo;
  std::string command = "/usr/bin/tic -x -o '" + folder + "' '" + source + "'";
  if (system(command.c_str()) != 0) abort();
  return folder;
}

int Elapsed(std::chrono::steady_clock::time_point since) {
  auto elapsed = std::chrono::steady_clock::now() - since;
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count());
}

winsize Size(int columns, int rows) {
  winsize size = {};
  size.ws_col = static_cast<unsigned short>(columns);
  size.ws_row = static_cast<unsigned short>(rows);
  return size;
}

}  // namespace

Terminal::Terminal(const std::vector<std::string>& argv, int columns, int rows,
                   const std::map<std::string, std::string>& environment)
    : columns_(columns),
      rows_(rows),
      cells_(static_cast<size_t>(rows),
             std::vector<std::string>(static_cast<size_t>(columns), " ")) {
  std::string terminfo = TerminfoFolder();
  winsize size = Size(columns, rows);
  fd_ = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd_ < 0 || grantpt(fd_) != 0 || unlockpt(fd_) != 0) abort();
  slave_ = open(ptsname(fd_), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave_ < 0 || ioctl(fd_, TIOCSWINSZ, &size) != 0) abort();
  first_settings_ = settings();
  pid_ = fork();
  if (pid_ != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  ioctl(slave_, TIOCSCTTY, 0);
  for (int fd = 0; fd < 3; fd++) dup2(slave_, fd);
  setenv("TERM", "haktest", 1);
  setenv("TERMINFO", terminfo.c_str(), 1);
  setenv("LC_ALL", "C.UTF-8", 1);
  unsetenv("NO_COLOR");
  unsetenv("COLUMNS");
  unsetenv("LINES");
  for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  perror(arguments[0]);
  _exit(127);
}

Terminal::~Terminal() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(slave_);
  close(fd_);
}

termios Terminal::settings() const {
  termios now = {};
  tcgetattr(slave_, &now);
  return now;
}

void Terminal::Type(const std::string& keys) {
  if (write(fd_, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size())) abort();
}

void Terminal::Resize(int columns, int rows) {
  columns_ = columns;
  rows_ = rows;
  cells_.assign(static_cast<size_t>(rows),
                std::vector<std::string>(static_cast<size_t>(columns), " "));
  winsize size = Size(columns, rows);
  ioctl(fd_, TIOCSWINSZ, &size);
}

bool Terminal::Read(int timeout_ms) {
  pollfd ready = {fd_, POLLIN, 0};
  if (poll(&ready, 1, timeout_ms) <= 0) return true;
  char bytes[4096];
  ssize_t got = read(fd_, bytes, sizeof(bytes));
  if (got <= 0) return false;
  written_.append(bytes, static_cast<size_t>(got));
  Interpret(std::string(bytes, static_cast<size_t>(got)));
  return true;
}

bool Terminal::Wait(const std::string& text, bool is_wanted) {
  auto start = std::chrono::steady_clock::now();
  while (Elapsed(start) < kPatienceMs) {
    bool is_there = Screen().find(text) != std::string::npos;
    if (is_there == is_wanted) return true;
    if (!Read(50)) return false;
    siginfo_t info = {};
    bool has_ended = pid_ <= 0 || (waitid(P_PID, static_cast<id_t>(pid_), &info,
                                          WEXITED | WNOHANG | WNOWAIT) == 0 &&
                                   info.si_pid == pid_);
    if (has_ended) {
      while (Read(50) && Elapsed(start) < 1000) continue;
      return (Screen().find(text) != std::string::npos) == is_wanted;
    }
  }
  return false;
}

bool Terminal::WaitFor(const std::string& text) { return Wait(text, true); }
bool Terminal::WaitWithout(const std::string& text) { return Wait(text, false); }

int Terminal::WaitForEnd() {
  auto start = std::chrono::steady_clock::now();
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (Elapsed(start) > kPatienceMs) return -1;
    Read(20);
  }
  pid_ = -1;
  for (size_t before = written_.size() + 1; before != written_.size();) {
    before = written_.size();
    Read(20);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Terminal::Screen() const {
  std::string text;
  for (const auto& row : cells_) {
    std::string line;
    for (const std::string& cell : row) line += cell;
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

void Terminal::Put(const std::string& character) {
  if (column_ == columns_) {
    column_ = 0;
    if (row_ < rows_ - 1) row_++;
  }
  if (row_ < rows_ && column_ < columns_) {
    cells_[static_cast<size_t>(row_)][static_cast<size_t>(column_)] = character;
  }
  column_++;
}

// A whole "ESC [ parameters command" is in pending_.
void Terminal::Control(char command) {
  int row = 1;
  int column = 1;
  switch (command) {
    case 'H':
      sscanf(pending_.c_str(), "\x1b[%d;%d", &row, &column);
      row_ = row - 1;
      column_ = column - 1;
      break;
    case 'J':
      for (auto& cells : cells_) cells.assign(cells.size(), " ");
      break;
    case 'h':
    case 'l':
      if (pending_.rfind("\x1b[?1049", 0) == 0) is_full_screen_ = command == 'h';
      break;
    case 'm':
      break;
    default:
      ADD_FAILURE() << "not in the terminfo entry: " << testing::PrintToString(pending_);
  }
}

void Terminal::Interpret(const std::string& bytes) {
  for (char byte : bytes) {
    pending_ += byte;
    auto first = static_cast<unsigned char>(pending_[0]);
    if (first == '\x1b') {
      bool is_whole = pending_.size() > 2 && byte >= '@' && byte <= '~';
      if (!is_whole) continue;
      Control(byte);
    } else if (first >= 0x80) {
      size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
      if (pending_.size() < length) continue;
      Put(pending_);
    } else if (byte == '\r') {
      column_ = 0;
    } else if (byte == '\n') {
      if (row_ < rows_ - 1) row_++;
    } else if (byte == '\b') {
      if (column_ > 0) column_--;
    } else if (byte >= ' ') {
      Put(pending_);
    }
    pending_.clear();
  }
}

}  // namespace haktop_testing
