// Faults injected into system calls; children with a watchdog.

#include "hakmem/testing/support.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace hak {
namespace {

// Never destroyed, and replaced only while no hook is set.
ScopedFault::Fault& CurrentFault() {
  static auto* fault = new ScopedFault::Fault;
  return *fault;
}

// A death test is a process, or a child, whose descriptor 2 is a file of the test's.
[[maybe_unused]] const int know_stderr = [] {
  hak_stderr_begin();
  return pthread_atfork(nullptr, nullptr, hak_stderr_begin);
}();

int AskFaultFirst(hak_kernel_kind_t kind, size_t bytes, long* answer, long number,
                  const long arguments[6]) {
  int error = CurrentFault()(kind, bytes);
  return error != 0 ? error : hak_platform_ask(number, arguments, answer);
}

}  // namespace

uint64_t Random::Next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

size_t Random::LogUniform(size_t max) {
  unsigned bits = 0;
  while (bits < 63 && (size_t{1} << bits) < max) ++bits;
  size_t x = 1 + Below(size_t{1} << Below(bits + 1));
  return x <= max ? x : max;
}

ScopedFault::ScopedFault(Fault fault) {
  CurrentFault() = std::move(fault);
  hak_platform_set_kernel(AskFaultFirst);
}

ScopedFault::~ScopedFault() { hak_platform_set_kernel(nullptr); }

ScopedFault::Fault Refuse(hak_kernel_kind_t kind, int error) {
  return [kind, error](hak_kernel_kind_t asked, size_t) { return asked == kind ? error : 0; };
}

ScopedFault::Fault CommitLimit(size_t bytes) {
  auto mapped = [] {
    return hak_load_relaxed(&hak_platform_counters(HAK_KERNEL_MMAP)->bytes) -
           hak_load_relaxed(&hak_platform_counters(HAK_KERNEL_MUNMAP)->bytes);
  };
  return [mapped, most = mapped() + bytes](hak_kernel_kind_t kind, size_t more) {
    return kind == HAK_KERNEL_MMAP && mapped() + more > most ? ENOMEM : 0;
  };
}

uint64_t KernelCalls(hak_kernel_kind_t kind) {
  return hak_load_relaxed(&hak_platform_counters(kind)->calls);
}

bool IsResident(const void* address) {
  uintptr_t os_page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  auto* page = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(address) & ~(os_page - 1));
  unsigned char state = 0;
  if (mincore(page, 1, &state) != 0) return false;
  return (state & 1) != 0;
}

bool CanBeRead(uintptr_t address) {
  int ends[2];
  if (pipe(ends) != 0) abort();
  bool can = write(ends[1], reinterpret_cast<void*>(address), 1) == 1;
  if (!can && errno != EFAULT) abort();
  close(ends[0]);
  close(ends[1]);
  return can;
}

size_t CountMappings() {
  int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  size_t lines = 0;
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) {
    for (ssize_t i = 0; i < n; ++i) lines += buffer[i] == '\n';
  }
  close(fd);
  return lines;
}

std::string StderrOf(const std::function<void()>& body) {
  int capture = memfd_create("stderr", MFD_CLOEXEC);
  int saved = dup(STDERR_FILENO);
  dup2(capture, STDERR_FILENO);
  hak_stderr_begin();
  body();
  dup2(saved, STDERR_FILENO);
  hak_stderr_begin();
  close(saved);
  std::string text(static_cast<size_t>(lseek(capture, 0, SEEK_END)), '\0');
  if (pread(capture, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    text.clear();
  close(capture);
  return text;
}

// _exit, since the parent's exit handlers and buffers are not the child's to run.
void EndChild() {
  fflush(stdout);
  _exit(testing::Test::HasFailure() ? 1 : 0);
}

// The watchdog is the parent's: a child can hang before it comes to set an alarm.
bool ChildPassed(int pid, unsigned seconds) {
  int status = 0;
  for (unsigned waited_ms = 0; waitpid(pid, &status, WNOHANG) != pid; ++waited_ms) {
    if (waited_ms == 1000 * seconds) {
      fprintf(stderr, "child hangs\n");
      kill(pid, SIGKILL);
    }
    usleep(1000);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (WIFSIGNALED(status)) {
    fprintf(stderr, "child ended by signal %d\n", WTERMSIG(status));
  } else {
    fprintf(stderr, "child ended with status %d\n", WEXITSTATUS(status));
  }
  return false;
}

pid_t BareFork() { return _Fork(); }
pid_t Clone() { return static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }

bool PassesAfter(pid_t (*make)(), const std::function<void()>& body, unsigned seconds) {
  fflush(nullptr);
  pid_t pid = make();
  if (pid < 0) return false;
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed leaves nothing running
    body();
    EndChild();
  }
  return ChildPassed(pid, seconds);
}

bool PassesInChild(const std::function<void()>& body, unsigned seconds) {
  return PassesAfter(fork, body, seconds);
}

}  // namespace hak
