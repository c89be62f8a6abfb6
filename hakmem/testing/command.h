// Runs programs and functions in processes of their own, for the end-to-end tests.
//
// Every child has a time limit, after which it and all its descendants are killed, so that a
// deadlock is a test's failure and not its end.

#ifndef HAKMEM_TESTING_COMMAND_H_
#define HAKMEM_TESTING_COMMAND_H_

#include <functional>
#include <map>
#include <ostream>
#include <string>
#include <vector>

namespace hakmem_testing {

// How a child ended, and what it wrote.
struct Outcome {
  int exit_code = -1;  // -1: a signal ended it
  int signal = 0;      // 0: it exited
  bool timed_out = false;
  std::string out;
  std::string err;

  bool Succeeded() const { return exit_code == 0 && !timed_out; }
};
std::ostream& operator<<(std::ostream& os, const Outcome& outcome);

struct RunOptions {
  std::string preload;                             // libraries, separated by colons; empty: none
  std::map<std::string, std::string> environment;  // beside the test's own
  std::string directory;                           // empty: the test's own
  int seconds = 60;
};

// Keeps the compiler from knowing a value, and so from judging, or leaving out, a call made with
// it.
template <typename T>
T Opaque(T value) {
  asm volatile("" : "+r"(value) : : "memory");
  return value;
}

// Runs argv[0], looked up in PATH, with nothing on stdin. The test's own LD_PRELOAD is not handed
// on. Exit code 127: it could not be started, and err says why.
Outcome RunProgram(const std::vector<std::string>& argv, const RunOptions& options = {});

// Runs `action` in a forked child, which exits with 0 when it returns.
Outcome RunInChild(const std::function<void()>& action, int seconds = 60);

// Absolute path of a file named in the test's `data`, given relative to the repository.
std::string Runfile(const std::string& path);

// Absolute path of libhakmem.so.
std::string Library();

// A fresh directory of the test's own.
std::string ScratchDirectory(const std::string& name);

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& text);

// A line "Name:  N kB" of /proc/self/status or a file alike, in bytes. Reads without allocating.
size_t StatusBytes(const char* file, const char* name);

// Resident bytes of the calling process, and how many mappings it has.
size_t ResidentBytes();
size_t MappingCount();

}  // namespace hakmem_testing

#endif  // HAKMEM_TESTING_COMMAND_H_
