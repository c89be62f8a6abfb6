// A program in a group of processes whose memory the kernel limits (cgroups, as containers have):
// beyond the limit it is killed, and nothing tells malloc before. Freed memory stays for the purge
// delay, and a phase of a program that has other sizes than the one before may not find all of it
// of use. A program that fits with room for that must live.

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

constexpr size_t kKiB = 1024, kMiB = 1024 * kKiB;
constexpr size_t kLimit = 64 * kMiB, kLive = 20 * kMiB;

bool Write(const std::string& path, const std::string& text) {
  int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return written;
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// A group with the limit, of either version of cgroups; none where this user may not make one.
class Group {
 public:
  Group() {
    std::string name = "/hakmem_memory_group_test." + std::to_string(getpid());
    bool is_second = Exists("/sys/fs/cgroup/cgroup.controllers");
    path_ = (is_second ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory") + name;
    if (mkdir(path_.c_str(), 0755) != 0) {
      problem_ = path_ + ": " + strerror(errno);
      return;
    }
    made_ = true;
    peak_ = path_ + (is_second ? "/memory.peak" : "/memory.max_usage_in_bytes");
    std::string limit = path_ + (is_second ? "/memory.max" : "/memory.limit_in_bytes");
    // Where there is swap, it would hide what does not fit.
    std::string swap = path_ + (is_second ? "/memory.swap.max" : "/memory.memsw.limit_in_bytes");
    if (!Write(limit, std::to_string(kLimit))) problem_ = limit + ": " + strerror(errno);
    if (Exists(swap)) Write(swap, is_second ? "0" : std::to_string(kLimit));
  }
  ~Group() {
    if (made_) rmdir(path_.c_str());
  }
  const std::string& problem() const { return problem_; }
  std::string Processes() const { return path_ + "/cgroup.procs"; }
  bool Join() const { return Write(Processes(), "0"); }
  size_t PeakBytes() const {
    return Exists(peak_) ? strtoull(ReadFile(peak_).c_str(), nullptr, 10) : 0;
  }

 private:
  std::string path_, peak_, problem_;
  bool made_ = false;
};

// Touched blocks of `smallest` to `largest` bytes, `bytes` in all, which go at the end.
void Hold(size_t bytes, size_t smallest, size_t largest, unsigned seed) {
  struct Block {
    Block* next;
  };
  Block* list = nullptr;
  uint64_t random = seed;
  for (size_t held = 0;;) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    size_t size = smallest + (random >> 33) % (largest - smallest + 1);
    if (held + size > bytes) break;
    held += size;
    auto* block = static_cast<Block*>(memset(malloc(size), 1, size));
    block->next = list;
    list = block;
  }
  while (list != nullptr) {
    Block* next = list->next;
    free(list);
    list = next;
  }
}

// A block that grows as a vector does.
void Grow(size_t bytes) {
  char* block = nullptr;
  size_t had = 0;
  for (size_t size = kMiB; size <= bytes; size += size / 2) {
    block = static_cast<char*>(realloc(block, size));
    memset(block + had, 1, size - had);
    had = size;
  }
  free(block);
}

TEST(MemoryGroupTest, AProgramThatFitsLives) {
  Group group;
  if (group.problem() != "") GTEST_SKIP() << "cannot make a memory group: " << group.problem();
  Outcome outcome = RunInChild([&group] {
    if (!group.Join()) {
      perror("cgroup.procs");
      _exit(1);
    }
    for (unsigned round = 0; round < 3; round++) {
      Hold(kLive, 16, 1024, round);
      Hold(kLive, 5 * kMiB, 5 * kMiB, round);
      Hold(kLive, 100 * kKiB, 700 * kKiB, round);
      Hold(kLive, 1024, 32 * kKiB, round);
      Hold(kLive, kLive, kLive, round);
      std::vector<std::thread> threads;
      for (unsigned t = 0; t < 4; t++) threads.emplace_back(Hold, kLive / 4, 16, 2048, round + t);
      for (std::thread& thread : threads) thread.join();
      Grow(kLive);
    }
  });
  printf("%zu of %zu MiB at the peak\n", group.PeakBytes() / kMiB, kLimit / kMiB);
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
}

// One that does not fit is not killed: with a limit it is told so.
TEST(MemoryGroupTest, AProgramThatDoesNotFitIsToldSo) {
  Group group;
  if (group.problem() != "") GTEST_SKIP() << "cannot make a memory group: " << group.problem();
  RunOptions options;
  options.preload = Library();
  // What becomes tail joins the group before, and tail keeps what it has read.
  std::string script = "head -c 300M /dev/zero | { echo 0 > \"$0\"; exec tail -c 200M; }";
  for (const char* limit : {"80%", "40%,75%", "48M"}) {
    options.environment["HAKMEM_LIMIT"] = limit;
    Outcome outcome = RunProgram({"sh", "-c", script, group.Processes()}, options);
    EXPECT_EQ(outcome.exit_code, 1) << limit << ": " << outcome.err;
    EXPECT_NE(outcome.err.find("memory exhausted"), std::string::npos) << outcome.err;
  }
  options.environment.erase("HAKMEM_LIMIT");
  Outcome outcome = RunProgram({"sh", "-c", script, group.Processes()}, options);
  EXPECT_EQ(outcome.exit_code, 128 + SIGKILL) << "without a limit";
}

}  // namespace
}  // namespace hakmem_testing
