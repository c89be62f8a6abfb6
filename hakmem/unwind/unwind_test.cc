// Stacks by rows of .eh_frame, against libgcc's: of whatever compilers make, as deep as may be.

extern "C" {
#include "hakmem/unwind/unwind.h"
}

#include <alloca.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

constexpr unsigned kMost = 80;  // the program's 64, and what is before them

struct Stack {
  uintptr_t frames[kMost];
  unsigned n;
};

volatile int sink;

// What rows are expected to be.
enum Rows { kSimple, kComplex, kEither };

// Both ways from one place.
__attribute__((noinline)) void Compare(Rows expected = kSimple) {
  static thread_local Stack rows, libgcc;
  rows.n = hak_unwind_by_rows(rows.frames, kMost);
  libgcc.n = hak_unwind_by_libgcc(libgcc.frames, kMost);
  EXPECT_TRUE(expected != kComplex || rows.n == 0);
  if (expected != kSimple && rows.n == 0) {
    EXPECT_GT(libgcc.n, 1u);
    return;
  }
  // (Both add some frames of their own to what they can walk.)
  unsigned n = std::min(rows.n, libgcc.n);
  ASSERT_GT(n, 2u);
  EXPECT_TRUE(rows.n == libgcc.n || n > 60) << rows.n << " and " << libgcc.n;
  for (unsigned i = 1; i < n; ++i) {  // the first is this function: two calls of it
    EXPECT_EQ(rows.frames[i], libgcc.frames[i]) << i;
  }
  EXPECT_LT(libgcc.frames[0] - rows.frames[0], 200u);
}

class Unwind : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(hak_unwind_start()); }
};

TEST_F(Unwind, HereAndAgain) {
  for (int i = 0; i < 3; ++i) Compare();
}

__attribute__((noinline)) int Recurse(int depth) {
  if (depth == 0) {
    Compare();
    return 1;
  }
  return Recurse(depth - 1) + sink;
}

TEST_F(Unwind, Recursion) {
  for (int depth : {1, 5, 30, 63, 64, 65, 100, 1000}) Recurse(depth);
}

__attribute__((noinline)) void WithAlloca(size_t bytes) {
  char* memory = static_cast<char*>(alloca(bytes));
  memory[bytes / 2] = 1;
  sink = memory[bytes / 2];
  Compare();
  if (bytes > 32) WithAlloca(bytes / 2);
  sink = memory[bytes / 2];
}

TEST_F(Unwind, Alloca) { WithAlloca(100000); }

template <size_t kBytes>
__attribute__((noinline)) void WithFrame(Rows expected) {
  volatile char variables[kBytes];
  variables[sink] = 1;
  Compare(expected);
  sink = variables[sink] - 1;
}

// (Without a frame pointer, behind more than 32 KiB, lies what a row cannot say.)
TEST_F(Unwind, LargeFrames) {
  WithFrame<30000>(kSimple);
  WithFrame<100000>(kEither);
}

TEST_F(Unwind, ThroughLibc) {
  int values[] = {3, 1, 2};
  qsort(values, 3, sizeof values[0], [](const void* a, const void* b) {
    Compare();
    return *static_cast<const int*>(a) - *static_cast<const int*>(b);
  });
}

TEST_F(Unwind, ThroughTemplatesAndClosures) {
  std::vector<int> values = {5, 4, 3, 2, 1};
  std::function<bool(int, int)> less = [](int a, int b) {
    Compare();
    return a < b;
  };
  std::sort(values.begin(), values.end(), less);
}

struct Guard {
  ~Guard() { Compare(); }
};

__attribute__((noinline)) void Throw(int depth) {
  Guard guard;
  if (depth == 0) throw std::runtime_error("so far");
  Throw(depth - 1);
}

// In the midst of an exception: destructors that it runs, and its handler.
TEST_F(Unwind, Exceptions) {
  try {
    Throw(5);
    FAIL();
  } catch (const std::runtime_error&) {
    Compare();
  }
}

// The frame of a signal is left to libgcc.
TEST_F(Unwind, HandlersOfSignals) {
  struct sigaction action = {}, before;
  action.sa_handler = [](int) { Compare(kComplex); };
  sigaction(SIGUSR1, &action, &before);
  raise(SIGUSR1);
  sigaction(SIGUSR1, &before, nullptr);
  stack_t stack = {};
  std::vector<char> memory(1 << 17);
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  sigaltstack(&stack, nullptr);
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR1, &action, &before);
  raise(SIGUSR1);
  sigaction(SIGUSR1, &before, nullptr);
  stack = {};
  stack.ss_flags = SS_DISABLE;
  sigaltstack(&stack, nullptr);
}

TEST_F(Unwind, Threads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int k = 0; k < 200; ++k) Recurse(k % 90);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// What hak_unwind makes of it: from the caller on, the program's frames.
__attribute__((noinline)) unsigned FromHere(uintptr_t* frames) {
  unsigned n = hak_unwind(frames, __builtin_return_address(0));
  sink = 1;
  return n;
}

__attribute__((noinline)) unsigned Deep(uintptr_t* frames, int depth) {
  unsigned n = depth == 0 ? FromHere(frames) : Deep(frames, depth - 1);
  sink = depth;
  return n;
}

TEST_F(Unwind, FromTheCallerOnAndAtMost64) {
  uintptr_t frames[HAK_UNWIND_DEPTH], libgcc[kMost];
  unsigned n = Deep(frames, 2), m = hak_unwind_by_libgcc(libgcc, kMost);
  ASSERT_EQ(n, m + 3);
  for (unsigned i = 1; i < m; ++i) EXPECT_EQ(frames[i + 3], libgcc[i]);
  EXPECT_EQ(Deep(frames, 200), unsigned{HAK_UNWIND_DEPTH});
}

}  // namespace
