// What a process may use, read from trees of files as kernels and containers show them.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <string>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/platform/container.h"
}

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

uint64_t MachineBytes() {
  struct sysinfo info;
  EXPECT_EQ(sysinfo(&info), 0);
  return info.totalram * info.mem_unit;
}

// A root directory with the files that a test gives it.
class Root {
 public:
  Root() {
    const char* scratch = getenv("TEST_TMPDIR");
    path_ = std::string(scratch != nullptr ? scratch : "/tmp") + "/container.XXXXXX";
    EXPECT_NE(mkdtemp(&path_[0]), nullptr);
  }
  Root& Have(const std::string& file, const std::string& text) {
    for (size_t at = file.find('/', 1); at != std::string::npos; at = file.find('/', at + 1)) {
      mkdir((path_ + file.substr(0, at)).c_str(), 0700);
    }
    int fd = open((path_ + file).c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size())) << file;
    close(fd);
    return *this;
  }
  hak_container_t Ask() const {
    hak_container_t container = {1, 1};
    errno = 77;
    hak_container_ask(path_.c_str(), &container);
    EXPECT_EQ(errno, 77);
    return container;
  }

 private:
  std::string path_;
};

TEST(ContainerTest, WithoutGroupsThereIsTheMachine) {
  Root root;
  EXPECT_EQ(root.Ask().most, MachineBytes());
  EXPECT_EQ(root.Ask().high, UINT64_MAX);
}

TEST(ContainerTest, TheLeastOfAllGroupsAboveCounts) {
  Root root;
  root.Have("/proc/self/cgroup", "0::/pod/app/worker\n")
      .Have("/sys/fs/cgroup/pod/app/worker/memory.max", "max\n")
      .Have("/sys/fs/cgroup/pod/app/worker/memory.high", "41943040\n")
      .Have("/sys/fs/cgroup/pod/app/memory.max", "67108864\n")
      .Have("/sys/fs/cgroup/pod/app/memory.high", "max\n")
      .Have("/sys/fs/cgroup/pod/memory.max", "1073741824\n")
      .Have("/sys/fs/cgroup/pod/memory.high", "50331648\n");
  EXPECT_EQ(root.Ask().most, 64 * kMiB);
  EXPECT_EQ(root.Ask().high, 40 * kMiB);
  root.Have("/sys/fs/cgroup/pod/memory.max", "33554432\n");
  EXPECT_EQ(root.Ask().most, 32 * kMiB);
  root.Have("/sys/fs/cgroup/memory.max", "1048576\n");  // the top one, in a namespace of its own
  EXPECT_EQ(root.Ask().most, kMiB);
}

TEST(ContainerTest, VersionOneIsAskedToo) {
  Root root;
  root.Have("/proc/self/cgroup",
            "12:cpu,cpuacct:/a\n11:memory:/docker/1234\n10:pids:/b\n1:name=systemd:/c\n0::/d\n")
      .Have("/sys/fs/cgroup/memory/docker/1234/memory.limit_in_bytes", "9223372036854771712\n")
      .Have("/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "134217728\n")
      .Have("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(root.Ask().most, 128 * kMiB);
  EXPECT_EQ(root.Ask().high, UINT64_MAX);
  root.Have("/proc/self/cgroup", "4:hugetlb,memory,pids:/docker/1234\n");
  EXPECT_EQ(root.Ask().most, 128 * kMiB);
  root.Have("/proc/self/cgroup", "4:memory2,xmemory:/docker/1234\n");
  EXPECT_EQ(root.Ask().most, MachineBytes());
}

// A container that sees its own group as the top one, while the kernel says where it lies outside.
TEST(ContainerTest, APathThatLeadsNowhereLeavesTheTopGroup) {
  Root root;
  root.Have("/proc/self/cgroup", "0::/kubepods/burstable/pod77/abc\n")
      .Have("/sys/fs/cgroup/memory.max", "67108864\n");
  EXPECT_EQ(root.Ask().most, 64 * kMiB);
  root.Have("/proc/self/cgroup", "0::/\n");
  EXPECT_EQ(root.Ask().most, 64 * kMiB);
  root.Have("/proc/self/cgroup", "0::/" + std::string(3000, 'x') + "\n");
  EXPECT_EQ(root.Ask().most, 64 * kMiB) << "too deep to look";
}

TEST(ContainerTest, WhatIsNoNumberIsNoBound) {
  for (const char* text : {"", "\n", "max", "-5\n", "x7\n", "99999999999999999999999\n"}) {
    Root root;
    root.Have("/proc/self/cgroup", "0::/a\n").Have("/sys/fs/cgroup/a/memory.max", text);
    EXPECT_EQ(root.Ask().most, MachineBytes()) << text;
  }
  for (const char* text : {"", "\n", "0:", "0\n::\n:", "0::", "7:memory"}) {
    Root root;
    root.Have("/proc/self/cgroup", text);
    EXPECT_EQ(root.Ask().most, MachineBytes()) << text;
  }
}

TEST(ContainerTest, OfARefusingKernelNothingIsKnown) {
  hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_TELEMETRY, EPERM));
  hak_container_t container = {1, 1};
  hak_container_ask("", &container);
  EXPECT_EQ(container.most, UINT64_MAX);
  EXPECT_EQ(container.high, UINT64_MAX);
}

// A text of pieces that the kernel's files are made of, cut and repeated by chance.
std::string RandomText(hak::Random* random) {
  static const char* const kPieces[] = {
      "0::", "5:memory:", "1:cpu,memory,pids:",   "/",  "/pod", "/..", "\n",    ":", "max",
      "0",   "1048576\n", "99999999999999999999", "-1", " ",    ",",   "memory"};
  std::string text;
  for (uint64_t n = random->Below(12); n != 0; --n) {
    std::string piece = kPieces[random->Below(std::size(kPieces))];
    if (random->Below(20) == 0) piece.assign(random->Below(6000), 'x');
    if (random->Below(20) == 0) piece.assign(1, static_cast<char>(random->Below(256)));
    text += piece;
  }
  return text;
}

// Whatever the files hold, what comes of them is no more than the machine has.
TEST(ContainerTest, AnyFilesAreRead) {
  hak::Random random(11);
  Root root;
  for (int i = 0; i < 300; ++i) {
    root.Have("/proc/self/cgroup", RandomText(&random))
        .Have("/sys/fs/cgroup/memory.max", RandomText(&random))
        .Have("/sys/fs/cgroup/pod/memory.max", RandomText(&random))
        .Have("/sys/fs/cgroup/pod/memory.high", RandomText(&random))
        .Have("/sys/fs/cgroup/memory/memory.limit_in_bytes", RandomText(&random));
    ASSERT_LE(root.Ask().most, MachineBytes());
  }
}

}  // namespace
