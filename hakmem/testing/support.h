// What several unit tests need: faults injected into system calls, counts of them, children with a
// watchdog, random numbers that are the same in every run.

#ifndef HAKMEM_TEST_SUPPORT_H_
#define HAKMEM_TEST_SUPPORT_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

extern "C" {
#include "hakmem/platform/platform.h"
#include "hakmem/platform/standard_error.h"
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAK_UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAK_UNDER_SANITIZER 1
#endif
#endif
#ifndef HAK_UNDER_SANITIZER
#define HAK_UNDER_SANITIZER 0
#endif

namespace hak {

// A sanitizer that keeps terabytes of address space for itself: no limits on it can be set.
constexpr bool kUnderSanitizer = HAK_UNDER_SANITIZER != 0;

// Steele, Lea and Flood's SplitMix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  uint64_t Below(uint64_t n) { return Next() % n; }
  // 1..max, every order of magnitude as likely as any other.
  size_t LogUniform(size_t max);

 private:
  uint64_t state_;
};

// While it lives, `fault` is asked before each system call of the allocator and returns 0 or the
// errno value it shall fail with. It is called by any thread and must not allocate. One at a time.
class ScopedFault {
 public:
  using Fault = std::function<int(hak_kernel_kind_t kind, size_t bytes)>;
  explicit ScopedFault(Fault fault);
  ~ScopedFault();
  ScopedFault(const ScopedFault&) = delete;
  ScopedFault& operator=(const ScopedFault&) = delete;
};

// Refuses every call of one kind with `error`.
ScopedFault::Fault Refuse(hak_kernel_kind_t kind, int error);

// Calls of a kind that have been made since the process began, refused ones included.
// Refuses to map what would be more than `bytes` beyond what is mapped now, as a kernel does that
// never overcommits. (A mapping in the place of another counts twice.)
ScopedFault::Fault CommitLimit(size_t bytes);

uint64_t KernelCalls(hak_kernel_kind_t kind);

// Whether the OS page at `address` is in memory.
bool IsResident(const void* address);

// Whether the byte at `address` can be read: the kernel is asked to.
bool CanBeRead(uintptr_t address);

// Mappings of the process: the lines of /proc/self/maps. Allocates nothing.
size_t CountMappings();

// What `body` writes to file descriptor 2, which is the stderr that the allocator began with.
std::string StderrOf(const std::function<void()>& body);

// Runs `body` in a forked child and waits for it. True when it ended by itself with every
// expectation met; a child that takes longer than `seconds` is killed and has failed.
bool PassesInChild(const std::function<void()>& body, unsigned seconds = 30);

// The same in a child that `make` makes: fork, or one of the two below, of which neither runs the
// handlers of fork; the second is the system call, as a program may make it itself.
bool PassesAfter(pid_t (*make)(), const std::function<void()>& body, unsigned seconds = 60);
pid_t BareFork();
pid_t Clone();

// The two halves of it, for tests that fork by themselves. The child ends with EndChild, which does
// not return; ChildPassed waits for child `pid` and tells how it ended.
[[noreturn]] void EndChild();
bool ChildPassed(int pid, unsigned seconds = 30);

}  // namespace hak

// A TEST whose body runs in a process of its own, which starts with an allocator that has done
// nothing yet: its state is the process's. (Not for death tests: they run the binary anew.)
#define TEST_IN_CHILD(suite, name)                                              \
  static void suite##_##name##_Body();                                          \
  TEST(suite, name) { EXPECT_TRUE(hak::PassesInChild(suite##_##name##_Body)); } \
  static void suite##_##name##_Body()

#endif  // HAKMEM_TEST_SUPPORT_H_
