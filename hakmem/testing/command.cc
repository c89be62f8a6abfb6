// Processes with a time limit, and what they wrote.

#include "hakmem/testing/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace hakmem_testing {
namespace {

[[noreturn]] void Die(const char* what) {
  perror(what);
  abort();
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[1 << 16];
  if (lseek(fd, 0, SEEK_SET) != 0) Die("lseek");
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  return text;
}

// Waits for the child; kills its process group when the time is over.
void Await(pid_t pid, int seconds, Outcome* outcome) {
  pollfd ended = {static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), POLLIN, 0};
  if (ended.fd < 0) Die("pidfd_open");
  int ready;
  do {
    ready = poll(&ended, 1, seconds * 1000);
  } while (ready < 0 && errno == EINTR);
  outcome->timed_out = ready == 0;
  close(ended.fd);
  if (outcome->timed_out) kill(-pid, SIGKILL);
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) Die("waitpid");
  if (WIFEXITED(status)) outcome->exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome->signal = WTERMSIG(status);
}

// Runs `child`, which does not return, with its output in files that have no name.
Outcome Spawn(const std::function<void()>& child, int seconds) {
  int out = memfd_create("stdout", MFD_CLOEXEC);
  int err = memfd_create("stderr", MFD_CLOEXEC);
  if (out < 0 || err < 0) Die("memfd_create");
  fflush(nullptr);
  pid_t pid = fork();
  if (pid < 0) Die("fork");
  if (pid == 0) {
    setpgid(0, 0);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(127);
    child();
    _exit(127);
  }
  setpgid(pid, pid);  // whichever of the two comes first
  Outcome outcome;
  Await(pid, seconds, &outcome);
  outcome.out = ReadAll(out);
  outcome.err = ReadAll(err);
  close(out);
  close(err);
  return outcome;
}

void Exec(const std::vector<std::string>& argv, const RunOptions& options) {
  if (!options.directory.empty() && chdir(options.directory.c_str()) != 0) {
    dprintf(2, "%s: %s\n", options.directory.c_str(), strerror(errno));
    _exit(127);
  }
  std::vector<char*> arguments;
  for (const std::string& argument : argv) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  for (const auto& [name, value] : options.environment) setenv(name.c_str(), value.c_str(), 1);
  unsetenv("LD_PRELOAD");
  if (!options.preload.empty()) setenv("LD_PRELOAD", options.preload.c_str(), 1);
  execvp(arguments[0], arguments.data());
  dprintf(2, "%s: %s\n", arguments[0], strerror(errno));
  _exit(127);
}

}  // namespace

std::ostream& operator<<(std::ostream& os, const Outcome& outcome) {
  if (outcome.timed_out) os << "timed out; ";
  os << "exit code " << outcome.exit_code << ", signal " << outcome.signal;
  os << "\nstdout: " << outcome.out.substr(0, 2000);
  return os << "\nstderr: " << outcome.err.substr(0, 2000);
}

Outcome RunProgram(const std::vector<std::string>& argv, const RunOptions& options) {
  return Spawn([&] { Exec(argv, options); }, options.seconds);
}

Outcome RunInChild(const std::function<void()>& action, int seconds) {
  return Spawn(
      [&] {
        action();
        fflush(nullptr);
        _exit(0);
      },
      seconds);
}

std::string Runfile(const std::string& path) {
  const char* root = getenv("TEST_SRCDIR");
  const char* workspace = getenv("TEST_WORKSPACE");
  std::string base = root != nullptr && workspace != nullptr ? std::string(root) + "/" + workspace
                                                             : std::string(".");
  return std::filesystem::absolute(base + "/" + path);
}

std::string Library() { return Runfile("hakmem/libhakmem.so"); }

std::string ScratchDirectory(const std::string& name) {
  const char* root = getenv("TEST_TMPDIR");
  std::string directory = std::string(root != nullptr ? root : "/tmp") + "/" + name + ".XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) Die(directory.c_str());
  return directory;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) Die(path.c_str());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) Die(path.c_str());
}

size_t StatusBytes(const char* file, const char* name) {
  static char buffer[8192];
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, buffer, sizeof buffer - 1);
  if (n < 0) Die(file);
  close(fd);
  buffer[n] = '\0';
  const char* line = strstr(buffer, name);
  if (line == nullptr) Die(name);
  return strtoull(line + strlen(name) + 1, nullptr, 10) * 1024;
}

size_t ResidentBytes() { return StatusBytes("/proc/self/status", "\nVmRSS"); }

size_t MappingCount() {
  char buffer[4096];
  int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) Die("/proc/self/maps");
  size_t lines = 0;
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) {
    for (ssize_t i = 0; i < n; i++) lines += buffer[i] == '\n';
  }
  close(fd);
  return lines;
}

}  // namespace hakmem_testing
