// A command line, run by the shell, for tests of the tools.

#ifndef HAKMEM_TOOLS_COMMON_TEST_SHELL_H_
#define HAKMEM_TOOLS_COMMON_TEST_SHELL_H_

#include <sys/wait.h>

#include <cstdio>
#include <string>

namespace tools_testing {

struct Outcome {
  int exit_code;       // -1: a signal has ended it
  std::string output;  // both streams
};

inline Outcome Shell(const std::string& command) {
  Outcome outcome = {-1, ""};
  FILE* pipe = popen(("{ " + command + "; } 2>&1").c_str(), "r");
  char buffer[4096];
  for (size_t got; (got = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    outcome.output.append(buffer, got);
  }
  int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

}  // namespace tools_testing

#endif  // HAKMEM_TOOLS_COMMON_TEST_SHELL_H_
