// Fork at any time: while other threads are inside malloc, inside stdio, or starting threads, and
// in a signal handler that interrupts malloc itself. The child must be able to allocate, free what
// it inherited, and start threads. A child that hangs is killed and named.
//
// FORK_TEST_STORM=N makes the storm N forks long.

#include <errno.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

// A child that has not ended by then is taken to hang.
constexpr int kChildSeconds = 10;

constexpr int kHung = -1;

// Waits for a child; returns its status, or kHung after killing it. Async-signal-safe. The watch is
// kept here and not in the child, which may hang before fork returns to it.
int Await(pid_t pid) {
  pollfd ended = {static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), POLLIN, 0};
  int ready;
  do {
    ready = poll(&ended, 1, kChildSeconds * 1000);
  } while (ready < 0 && errno == EINTR);
  close(ended.fd);
  if (ready == 0) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return ready == 0 ? kHung : status;
}

// How a child ended, "" being well.
std::string Verdict(pid_t pid) {
  int status = Await(pid);
  if (status == 0) return "";
  return status == kHung ? "hung" : "ended with status " + std::to_string(status);
}

// Random allocations and frees, with each block's first and last byte checked. Exits with 3 if one
// changed.
class Mixer {
 public:
  explicit Mixer(uint64_t seed) : random_(static_cast<uint32_t>(seed) | 1) {}

  void Run(int operations, size_t largest) {
    for (int i = 0; i < operations; i++) {
      Slot& slot = slots_[Next() % kSlots];
      Drop(&slot);
      slot.size = Next() % 16 == 0 ? Next() % largest + 1 : Next() % 1000 + 1;
      slot.ptr =
          static_cast<unsigned char*>(Next() % 8 == 0 ? calloc(1, slot.size) : malloc(slot.size));
      if (slot.ptr == nullptr) _exit(4);
      slot.mark = static_cast<unsigned char>(Next());
      slot.ptr[0] = slot.ptr[slot.size - 1] = slot.mark;
    }
  }

  void DropAll() {
    for (Slot& slot : slots_) Drop(&slot);
  }

 private:
  static constexpr size_t kSlots = 64;
  struct Slot {
    unsigned char* ptr = nullptr;
    size_t size = 0;
    unsigned char mark = 0;
  };

  static void Drop(Slot* slot) {
    if (slot->ptr == nullptr) return;
    if (slot->ptr[0] != slot->mark || slot->ptr[slot->size - 1] != slot->mark) _exit(3);
    free(slot->ptr);
    slot->ptr = nullptr;
  }

  uint32_t Next() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    return random_;
  }

  uint32_t random_;
  Slot slots_[kSlots];
};

// Threads that go on until the crew ends.
class Crew {
 public:
  ~Crew() {
    is_over_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  void Add(std::function<void()> step) {
    threads_.emplace_back([this, step] {
      while (!is_over_) step();
    });
  }
  void AddMixer(uint64_t seed, size_t largest) {
    auto mixer = std::make_shared<Mixer>(seed);
    Add([mixer, largest] {
      mixer->Run(1000, largest);
      usleep(100);  // leaves some time for those that fork
    });
  }

 private:
  std::atomic<bool> is_over_{false};
  std::vector<std::thread> threads_;
};

// Forks a child that runs `action` and returns how it ended.
template <typename Action>
std::string ForkVerdict(Action action) {
  pid_t pid = fork();
  if (pid < 0) return strerror(errno);
  if (pid == 0) {
    action();
    _exit(0);
  }
  return Verdict(pid);
}

TEST(ForkTest, StormBesideThreadsInMalloc) {
  const char* asked = getenv("FORK_TEST_STORM");
  int forks = asked != nullptr ? atoi(asked) : 2000;
  ASSERT_GT(forks, 0);
  Crew crew;
  crew.AddMixer(1, 2000);
  crew.AddMixer(2, 1500000);
  crew.Add([] { std::thread([] { free(malloc(300)); }).join(); });
  Mixer inherited(3);
  for (int i = 0; i < forks; i++) {
    inherited.Run(20, 100000);
    std::string verdict = ForkVerdict([&] {
      inherited.Run(300, 100000);
      if (i % 8 == 0) {
        std::thread([&] { inherited.DropAll(); }).join();
        Mixer(static_cast<uint64_t>(i)).Run(20, 1000);
      }
    });
    ASSERT_EQ(verdict, "") << "fork " << i;
  }
}

TEST(ForkTest, ChildAllocatesAMillionTimes) {
  Crew crew;
  for (uint64_t seed = 1; seed <= 8; seed++) crew.AddMixer(seed, 200000);
  for (int i = 0; i < 2; i++) {
    EXPECT_EQ(ForkVerdict([] { Mixer(99).Run(1000000, 20000); }), "");
  }
}

// Memory of threads that the child does not have is used again, not piled up.
TEST(ForkTest, ChildReusesWhatLostThreadsCached) {
  std::vector<void*> blocks(100000);
  std::atomic<int> stage{0};
  std::thread owner([&] {
    for (void*& block : blocks) block = malloc(500);
    stage = 1;
    while (stage == 1) usleep(1000);
  });
  while (stage == 0) usleep(1000);
  EXPECT_EQ(ForkVerdict([&] {
              size_t before = mallinfo2().arena;
              for (void* block : blocks) free(block);
              for (void*& block : blocks) block = malloc(500);
              // Fresh slabs for all would be 50 MB more.
              if (mallinfo2().arena > before + (10 << 20)) _exit(5);
            }),
            "");
  stage = 2;
  owner.join();
  for (void* block : blocks) free(block);
}

// ---- fork in a signal handler ----

volatile sig_atomic_t handler_forks;
volatile sig_atomic_t handler_failures;

void ForkInHandler(int) {
  int saved_errno = errno;
  pid_t pid = fork();
  if (pid == 0) _exit(0);
  if (pid < 0 || Await(pid) != 0) handler_failures = 1;
  handler_forks = handler_forks + 1;
  errno = saved_errno;
}

// What is allocated with `largest` is interrupted at random points, and goes on in the parent.
void InterruptByForks(size_t largest, int wanted, bool with_threads) {
  handler_forks = handler_failures = 0;
  Crew crew;
  struct sigaction action = {};
  action.sa_handler = ForkInHandler;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);  // inherited by the crew
  if (with_threads) {
    crew.AddMixer(5, largest);
    crew.AddMixer(6, largest);
  }
  pthread_t self = pthread_self();
  int answered = 0;  // how often the handler must have run before the next signal
  crew.Add([&] {
    // (It may have run once more: for a signal of the last call that was still pending.)
    int forks = handler_forks;
    if (forks >= answered) {
      answered = forks + 1;
      pthread_kill(self, SIGUSR1);
    }
    usleep(static_cast<useconds_t>(100 + answered * 7 % 100));
  });
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  Mixer mixer(7);
  while (handler_forks < wanted && handler_failures == 0) mixer.Run(100, largest);
  mixer.DropAll();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  EXPECT_EQ(handler_failures, 0);
}

TEST(ForkTest, InSignalHandlerThatInterruptsMalloc) {
  Outcome outcome = RunInChild([] {
    InterruptByForks(1000, 100, false);
    InterruptByForks(1500000, 100, false);
    InterruptByForks(200000, 100, true);
    if (testing::Test::HasFailure()) _exit(1);
  });
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

// The child of a fork in a handler goes back to the malloc that the signal interrupted, and on.
volatile sig_atomic_t child_level;
void ContinueInChild(int) {
  if (child_level != 0) return;
  pid_t pid = fork();
  if (pid == 0) {
    child_level = 1;
    return;
  }
  if (pid < 0 || Await(pid) != 0) handler_failures = 1;
  handler_forks = handler_forks + 1;
}

TEST(ForkTest, ChildOfSignalHandlerFinishesTheInterruptedMalloc) {
  Outcome outcome = RunInChild([] {
    handler_forks = handler_failures = child_level = 0;
    sigset_t set;
    sigemptyset(&set);
    auto* crew = new Crew;
    crew->AddMixer(8, 200000);
    crew->AddMixer(9, 2000);
    struct sigaction action = {};
    action.sa_handler = ContinueInChild;
    sigaction(SIGPROF, &action, nullptr);
    sigaddset(&set, SIGPROF);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    pthread_t self = pthread_self();
    int sent = 0;
    crew->Add([&] {
      if (sent == handler_forks) pthread_kill(self, SIGPROF), sent++;
      usleep(static_cast<useconds_t>(100 + sent * 7 % 100));
    });
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    Mixer mixer(10);
    while (handler_forks < 100 && handler_failures == 0) {
      mixer.Run(50, 200000);
      if (child_level != 0) {
        mixer.Run(200, 200000);
        mixer.DropAll();
        _exit(0);
      }
    }
    _exit(handler_failures == 0 ? 0 : 6);
  });
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
}

// ---- fork beside stdio ----

// Fork takes stdio's list lock. One thread holds it in fflush(NULL), waiting for a file's lock;
// that one's holder, in getline, waits for malloc. An allocator that locks itself before fork
// closes the circle.
TEST(ForkTest, BesideThreadsInStdio) {
  std::string path = ScratchDirectory("stdio") + "/lines";
  std::string text;
  for (int i = 0; i < 2000; i++) text += std::string(static_cast<size_t>(i * 7 % 500), 'x') + "\n";
  WriteFile(path, text);
  Crew crew;
  for (int i = 0; i < 2; i++) {
    crew.Add([&] {
      FILE* file = fopen(path.c_str(), "r+");
      if (file == nullptr) abort();
      for (int line = 0; line < 200; line++) {
        char* buffer = nullptr;
        size_t size = 0;
        if (getline(&buffer, &size, file) < 0) abort();
        free(buffer);
      }
      fclose(file);
    });
  }
  crew.Add([] { fflush(nullptr); });
  crew.AddMixer(11, 2000);
  for (int i = 0; i < 60; i++) {
    std::string verdict = ForkVerdict([] {
      Mixer(12).Run(50, 2000);
      fflush(nullptr);
    });
    ASSERT_EQ(verdict, "") << "fork " << i;
  }
}

// ---- the rest of the family ----

// On its own, since the parent's locals are the child's too.
pid_t VforkTrue(char** argv) {
  pid_t pid = vfork();
  if (pid == 0) {
    execve(argv[0], argv, environ);
    _exit(127);
  }
  return pid;
}

TEST(ForkTest, VforkAndSpawnBesideThreadsInMalloc) {
  Crew crew;
  crew.AddMixer(13, 20000);
  crew.AddMixer(14, 2000);
  for (int i = 0; i < 100; i++) {
    char name[] = "/bin/true";
    char* argv[] = {name, nullptr};
    pid_t pid = 0;
    ASSERT_EQ(posix_spawn(&pid, name, nullptr, nullptr, argv, environ), 0);
    ASSERT_EQ(Verdict(pid), "");
    pid = VforkTrue(argv);
    ASSERT_EQ(Verdict(pid), "");
  }
}

TEST(ForkTest, ChildrenOfChildren) {
  Crew crew;
  crew.AddMixer(15, 20000);
  EXPECT_EQ(ForkVerdict([] {
              for (int depth = 0; depth < 20; depth++) {
                Mixer(static_cast<uint64_t>(depth)).Run(500, 100000);
                std::thread thread([] { Mixer(17).Run(2000, 20000); });
                pid_t pid = fork();
                if (pid != 0) {
                  thread.join();
                  _exit(Verdict(pid) == "" ? 0 : 7);
                }
                new std::thread(std::move(thread));  // it does not exist here: cannot be joined
              }
            }),
            "");
}

// A fork in a destructor that runs after the thread's cache has gone.
pthread_key_t late_key;
std::atomic<int> late_failures;
void ForkLate(void* value) {
  auto rounds = reinterpret_cast<intptr_t>(value);
  if (rounds < PTHREAD_DESTRUCTOR_ITERATIONS) {
    pthread_setspecific(late_key, reinterpret_cast<void*>(rounds + 1));
    return;
  }
  free(malloc(100));
  if (ForkVerdict([] { Mixer(18).Run(300, 100000); }) != "") late_failures++;
  free(malloc(100));
}

TEST(ForkTest, InThreadSpecificDestructor) {
  ASSERT_EQ(pthread_key_create(&late_key, ForkLate), 0);
  for (int i = 0; i < 20; i++) {
    std::thread([] {
      Mixer(19).Run(100, 2000);
      pthread_setspecific(late_key, reinterpret_cast<void*>(1));
    }).join();
  }
  EXPECT_EQ(late_failures, 0);
}

}  // namespace
}  // namespace hakmem_testing
