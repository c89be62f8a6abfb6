// Signal handlers that fork while their thread is inside the allocator: the child goes on from
// there.

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

#include "hakmem/thread/test_fork.h"

namespace {

using hak::AllocBlock;
using hak::Crowd;
using hak::FreeBlock;
using hak::kScale;
using hak::Work;

constexpr int kMaxChildren = 200;
pid_t children[kMaxChildren];
std::atomic<int> n_children{0};
std::atomic<bool> is_child{false};

// Forks, and in the child goes on with what was interrupted, malloc or free for the most part.
void ForkInHandler(int) {
  int saved_errno = errno;
  if (!is_child && n_children < kMaxChildren) {
    pid_t pid = fork();
    if (pid == 0) {
      is_child = true;
    } else if (pid > 0) {
      children[n_children] = pid;
      ++n_children;
    }
  }
  errno = saved_errno;
}

void CatchForkSignal() {
  struct sigaction action = {};
  action.sa_handler = ForkInHandler;
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
}

void ForkWhileWorking(int n_forks) {
  CatchForkSignal();
  std::atomic<bool> is_over{false};
  pthread_t self = pthread_self();
  std::thread pest([&] {
    while (!is_over) {
      pthread_kill(self, SIGUSR1);
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
  });
  for (uint64_t i = 0; n_children < n_forks && !is_child; ++i) Work(i, 500);
  signal(SIGUSR1, SIG_IGN);
  if (is_child) {
    Work(1, 5000);
    hak::EndChild();
  }
  is_over = true;
  pest.join();
  for (int i = 0; i < n_children; ++i) EXPECT_TRUE(hak::ChildPassed(children[i])) << i;
}

TEST_IN_CHILD(ForkSignalTest, ASignalHandlerMayForkInTheMiddleOfMalloc) {
  ForkWhileWorking(100 / kScale);
}

TEST_IN_CHILD(ForkSignalTest, ASignalHandlerMayForkInTheMiddleOfMallocAmongOthers) {
  Crowd crowd(3);
  ForkWhileWorking(60 / kScale);
}

void MaskForkSignal(int how) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(how, &set, nullptr);
}

pthread_key_t key_before, key_after;
std::atomic<bool> has_ended{false};

// Children that go on from the middle of a thread's end: what is left of it must still end, and
// destructors that come after the heap has gone still allocate. Signals come while the allocator's
// own destructor runs, between those of the two keys, and not while libc frees the thread's state.
TEST_IN_CHILD(ForkSignalTest, ASignalHandlerMayForkInTheMiddleOfAThreadsEnd) {
  ASSERT_EQ(pthread_key_create(&key_before, [](void*) { MaskForkSignal(SIG_UNBLOCK); }), 0);
  FreeBlock(AllocBlock(1));  // makes the allocator's key
  ASSERT_EQ(pthread_key_create(&key_after,
                               [](void*) {
                                 MaskForkSignal(SIG_BLOCK);
                                 has_ended = true;
                                 if (!is_child) return;
                                 Work(1, 2000);
                                 hak::EndChild();
                               }),
            0);
  CatchForkSignal();
  MaskForkSignal(SIG_BLOCK);
  const int n_forks = 100 / kScale;
  while (n_children < n_forks) {
    has_ended = false;
    std::thread thread([] {
      pthread_setspecific(key_before, &key_before);
      pthread_setspecific(key_after, &key_after);
      for (unsigned c = 1; c < 60; ++c) {
        for (int k = 0; k < 20; ++k) FreeBlock(AllocBlock(c));
      }
    });
    while (!has_ended) {
      pthread_kill(thread.native_handle(), SIGUSR1);
      std::this_thread::yield();
    }
    thread.join();
  }
  for (int i = 0; i < n_children; ++i) EXPECT_TRUE(hak::ChildPassed(children[i])) << i;
}

}  // namespace
