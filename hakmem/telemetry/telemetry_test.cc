// Last words: what is written when the heap is found to be corrupt, whatever locks are held.

extern "C" {
#include "hakmem/telemetry/telemetry.h"

#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/options/options.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/superslab.h"
#include "hakmem/thread/thread.h"
}

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using testing::KilledBySignal;

std::string PathOf(const std::string& name) {
  const char* folder = getenv("TEST_TMPDIR");
  return std::string(folder != nullptr ? folder : "/tmp") + "/" + name;
}

// The schemas of the lines of a file.
std::vector<std::string> Schemas(const std::string& path) {
  std::vector<std::string> schemas;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    EXPECT_EQ(line.back(), '}');
    size_t begin = line.find("hakmem."), end = line.find('"', begin);
    schemas.push_back(line.substr(begin, end - begin));
  }
  return schemas;
}

// In the child of a death test, which is killed by another signal than it should be if it hangs.
void StartTelemetry(const std::string& path) {
  alarm(30);
  ASSERT_TRUE(hak_option_set(HAK_OPTION_telemetry, path.c_str()));
  EXPECT_FALSE(hak_telemetry_start());
  hak_free(hak_malloc(100));  // the first events
}

[[noreturn]] void FindCorruption() {
  hak_fatal_pointer("double free", reinterpret_cast<void*>(0x1000));
}

TEST(TelemetryDeathTest, AnAbortWithNoLockHeldLeavesEventsAndALine) {
  std::string path = PathOf("no_lock");
  auto die = [&] {
    StartTelemetry(path);
    FindCorruption();
  };
  EXPECT_EXIT(die(), KilledBySignal(SIGABRT), "double free");
  auto schemas = Schemas(path);
  ASSERT_GE(schemas.size(), 2u);
  EXPECT_EQ(schemas.front(), "hakmem.event.1");
  EXPECT_EQ(schemas.back(), "hakmem.telemetry.1");
}

TEST(TelemetryDeathTest, AnAbortWithLocksHeldLeavesEvents) {
  const std::vector<hak_lock_t*> sets[] = {
      {&hak_counts_lock},
      {&hak_backend_lock},
      {&hak_counts_lock, &hak_backend_lock},
  };
  for (size_t i = 0; i < std::size(sets); ++i) {
    std::string path = PathOf("locks_" + std::to_string(i));
    auto die = [&] {
      StartTelemetry(path);
      for (hak_lock_t* lock : sets[i]) hak_lock_acquire(lock);
      FindCorruption();
    };
    EXPECT_EXIT(die(), KilledBySignal(SIGABRT), "double free");
    auto schemas = Schemas(path);
    EXPECT_GE(schemas.size(), 1u);
    for (const std::string& schema : schemas) EXPECT_EQ(schema, "hakmem.event.1");
  }
}

// A thread with the lock of the backend waits for the one that ends, or is dead: what matters is
// that it never lets go.
TEST(TelemetryDeathTest, AnAbortWithALockHeldDoesNotWaitForWhatOthersHold) {
  std::string path = PathOf("others_locks");
  auto die = [&] {
    StartTelemetry(path);
    std::atomic<bool> has_lock{false};
    std::thread([&] {
      hak_lock_acquire(&hak_backend_lock);
      has_lock = true;
      for (;;) pause();
    }).detach();
    while (!has_lock) std::this_thread::yield();
    hak_lock_acquire(&hak_counts_lock);
    FindCorruption();
  };
  EXPECT_EXIT(die(), KilledBySignal(SIGABRT), "double free");
  EXPECT_GE(Schemas(path).size(), 1u);
}

char StateOf(int thread) {
  std::ifstream in("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string all;
  std::getline(in, all);
  size_t name_end = all.rfind(") ");
  return name_end == std::string::npos ? '?' : all[name_end + 2];
}

// A pipe that nobody reads and that is full.
int FullPipe(const std::string& path) {
  unlink(path.c_str());
  if (mkfifo(path.c_str(), 0600) != 0) return -1;
  int fd = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  std::vector<char> zeros(4096);
  while (write(fd, zeros.data(), zeros.size()) > 0) continue;
  return fd;
}

TEST(TelemetryDeathTest, AnAbortDoesNotWaitForEverForAThreadThatIsStuckInAWrite) {
  std::string path = PathOf("pipe");
  auto die = [&] {
    ASSERT_GE(FullPipe(path), 0);
    StartTelemetry(path);
    std::atomic<int> writer{0};
    std::thread([&] {
      writer = gettid();
      (void)hak_telemetry_write("stuck");
    }).detach();
    // Nothing else on its way lets it sleep.
    while (writer == 0 || StateOf(writer) != 'S') usleep(1000);
    FindCorruption();
  };
  EXPECT_EXIT(die(), KilledBySignal(SIGABRT), "double free");
}

}  // namespace
