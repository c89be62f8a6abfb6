// When a child repairs: once, at its first look or in fork's handler, however it was made; and how
// much of it, by who looks first.

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <string>
#include <thread>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/platform/fork.h"
#include "hakmem/platform/platform.h"
#include "hakmem/platform/thread_id.h"
}

namespace {

std::atomic<bool> is_inside{false};
char trace[100];  // of the rows that were run: their ranks' letter, small where it was not all
std::atomic<unsigned> n_traced{0};

void Trace(char rank, bool is_whole) {
  trace[n_traced++] = static_cast<char>(is_whole ? rank : rank - 'A' + 'a');
}
std::string Traced() { return std::string(trace, n_traced); }

}  // namespace

HAK_REPAIR(
    BACKEND, [](bool is_whole) { Trace('B', is_whole); }, []() -> bool { return is_inside; });
HAK_REPAIR(
    NONE, [](bool is_whole) { Trace('N', is_whole); }, nullptr);
HAK_REPAIR(
    META, [](bool is_whole) { Trace('M', is_whole); }, nullptr);
HAK_REPAIR(
    COUNTS, [](bool is_whole) { Trace('C', is_whole); }, nullptr);

#if !HAK_UNDER_SANITIZER  // which calls it before it can bear to see it

bool shall_raise = false, has_caught = false, has_caught_in_time = false;

// libc's is below it. A signal comes while the allocator is there.
extern "C" int __register_atfork(void (*)(), void (*)(), void (*)(), void*);
extern "C" void* __dso_handle;
extern "C" int pthread_atfork(void (*before)(), void (*in_parent)(), void (*in_child)()) noexcept {
  if (shall_raise) {
    raise(SIGUSR1);
    has_caught_in_time = !has_caught;
  }
  return __register_atfork(before, in_parent, in_child, __dso_handle);
}

// A handler that forks in there would wait for the lock of its own thread.
TEST_IN_CHILD(ForkWordTest, SignalsWaitUntilTheHandlerIsRegistered) {
  signal(SIGUSR1, [](int) { has_caught = true; });
  shall_raise = true;
  hak_fork_look();
  EXPECT_TRUE(has_caught_in_time);
  EXPECT_TRUE(has_caught);
}

#endif

namespace {

// The thread has an id, as one that has been inside the allocator.
void Begin() {
  hak_fork_look();
  (void)hak_thread_id();
}

TEST_IN_CHILD(ForkWordTest, NothingIsRepairedWhereNothingForked) {
  Begin();
  hak_fork_look();
  std::thread([] { hak_fork_look(); }).join();
  EXPECT_EQ(Traced(), "");
}

TEST_IN_CHILD(ForkWordTest, AChildRepairsOnceFromHighRanksToLow) {
  Begin();
  EXPECT_TRUE(hak::PassesAfter(fork, [] {
    EXPECT_EQ(Traced(), "MBCN");  // in the handler
    hak_fork_look();
    EXPECT_EQ(Traced(), "MBCN");
  }));
  for (auto make : {hak::BareFork, hak::Clone}) {
    EXPECT_TRUE(hak::PassesAfter(make, [] {
      EXPECT_EQ(Traced(), "");
      hak_fork_look();
      EXPECT_EQ(Traced(), "MBCN");
      hak_fork_look();
      EXPECT_EQ(Traced(), "MBCN");
    }));
  }
  EXPECT_EQ(Traced(), "");
}

TEST_IN_CHILD(ForkWordTest, GrandchildrenRepairAgain) {
  Begin();
  EXPECT_TRUE(hak::PassesAfter(hak::BareFork, [] {
    hak_fork_look();
    EXPECT_TRUE(hak::PassesAfter(hak::BareFork, [] {
      hak_fork_look();
      EXPECT_EQ(Traced(), "MBCNMBCN");
    }));
    EXPECT_EQ(Traced(), "MBCN");
  }));
}

// Handlers run in the order of registration: one that comes before ours may allocate.
TEST_IN_CHILD(ForkWordTest, AHandlerThatRunsBeforeOursFindsAllRepaired) {
  pthread_atfork(nullptr, nullptr, [] {
    EXPECT_EQ(Traced(), "");
    hak_fork_look();
    EXPECT_EQ(Traced(), "MBCN");
  });
  Begin();
  EXPECT_TRUE(hak::PassesAfter(fork, [] { EXPECT_EQ(Traced(), "MBCN"); }));
}

// vfork and posix_spawn: the memory is the parent's.
TEST_IN_CHILD(ForkWordTest, AChildThatSharesMemoryRepairsNothing) {
  if (hak::kUnderSanitizer) return;  // tsan makes it a fork
  Begin();
  pid_t pid = vfork();
  if (pid == 0) {
    hak_fork_look();
    _exit(Traced().empty() ? 0 : 1);
  }
  EXPECT_TRUE(hak::ChildPassed(pid, 60));
  EXPECT_EQ(Traced(), "");
}

// A signal handler forks that interrupted the allocator: the rest waits until it is left.
TEST_IN_CHILD(ForkWordTest, WhoIsInsideRepairsTheRestLater) {
  Begin();
  is_inside = true;
  for (pid_t (*make)() : {hak::BareFork, hak::Clone}) {
    EXPECT_TRUE(hak::PassesAfter(make, [] {
      hak_fork_look();
      EXPECT_EQ(Traced(), "mbcn");
      hak_fork_look();
      EXPECT_EQ(Traced(), "mbcn");
      is_inside = false;
      hak_fork_look();
      EXPECT_EQ(Traced(), "mbcnMBCN");
    }));
  }
}

// A held lock is inside, too.
TEST_IN_CHILD(ForkWordTest, WhoHoldsALockIsInside) {
  static hak_lock_t lock;
  lock.rank = HAK_RANK_CLASS;
  Begin();
  hak_lock_acquire(&lock);
  EXPECT_TRUE(hak::PassesAfter(fork, [] {
    EXPECT_EQ(Traced(), "mbcn");
    hak_lock_release(&lock);
    hak_fork_look();
    EXPECT_EQ(Traced(), "mbcnMBCN");
  }));
}

// It cannot know what the thread that forked is about.
TEST_IN_CHILD(ForkWordTest, AThreadBegunInTheChildLeavesWhatIsNotUnderALock) {
  Begin();
  for (bool was_inside : {false, true}) {
    is_inside = was_inside;
    EXPECT_TRUE(hak::PassesAfter(hak::BareFork, [] {
      if (is_inside) hak_fork_look();
      std::thread([] { hak_fork_look(); }).join();
      EXPECT_EQ(Traced(), "mbcn");
      is_inside = false;
      hak_fork_look();
      EXPECT_EQ(Traced(), "mbcn");
    }));
  }
}

TEST_IN_CHILD(ForkWordTest, ThreadsOfTheChildWaitForTheOneThatRepairs) {
  Begin();
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(hak::PassesAfter(hak::BareFork, [] {
      std::atomic<int> ready{0};
      auto look = [&ready] {
        ++ready;
        while (ready < 3) std::this_thread::yield();
        hak_fork_look();
        EXPECT_EQ(Traced().size(), 4u);
      };
      std::thread a(look), b(look);
      look();
      a.join();
      b.join();
    }));
  }
}

// ---- kernels that refuse ----

void ExpectTheHandlerRepairs() {
  Begin();
  EXPECT_TRUE(hak::PassesAfter(fork, [] {
    EXPECT_EQ(Traced(), "MBCN");
    hak_fork_look();
    EXPECT_EQ(Traced(), "MBCN");
    EXPECT_TRUE(hak::PassesAfter(fork, [] { EXPECT_EQ(Traced(), "MBCNMBCN"); }));
  }));
  hak_fork_look();
  EXPECT_EQ(Traced(), "");
}

TEST_IN_CHILD(ForkWordTest, WithoutWipeOnForkTheHandlerRepairs) {  // before 4.14
  hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MADVISE, EINVAL));
  uint64_t unmapped = hak::KernelCalls(HAK_KERNEL_MUNMAP);
  ExpectTheHandlerRepairs();
  EXPECT_EQ(hak::KernelCalls(HAK_KERNEL_MUNMAP), unmapped + 1) << "the page is of no use";
}

TEST_IN_CHILD(ForkWordTest, WithoutMemoryForThePageTheHandlerRepairs) {
  hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
  ExpectTheHandlerRepairs();
}

// One mapping and one advice, and nothing more for as long as the process lives.
TEST_IN_CHILD(ForkWordTest, CostsOnePage) {
  uint64_t maps = hak::KernelCalls(HAK_KERNEL_MMAP), advices = hak::KernelCalls(HAK_KERNEL_MADVISE);
  for (int i = 0; i < 10; ++i) Begin();
  EXPECT_EQ(hak::KernelCalls(HAK_KERNEL_MMAP), maps + 1);
  EXPECT_EQ(hak::KernelCalls(HAK_KERNEL_MADVISE), advices + 1);
  EXPECT_EQ(hak_load_relaxed(&hak_platform_counters(HAK_KERNEL_MMAP)->bytes),
            hak_platform_os_page_bytes());
}

}  // namespace
