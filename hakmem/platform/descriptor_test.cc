// Descriptors: high, ours or nobody's; what is appended is there as a whole or not at all.

extern "C" {
#include "hakmem/platform/descriptor.h"
}

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "hakmem/testing/support.h"

namespace {

std::string Path(const std::string& name) {
  const char* folder = getenv("TEST_TMPDIR");
  return std::string(folder != nullptr ? folder : "/tmp") + "/" + name + std::to_string(getpid());
}

std::string Content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

int Append(const hak_descriptor_t& descriptor, const std::string& text) {
  return hak_descriptor_append(descriptor.number, text.data(), text.size(), 0);
}

TEST_IN_CHILD(DescriptorTest, IsHighAndClosedByExec) {
  hak_descriptor_t d;
  ASSERT_EQ(hak_descriptor_open(&d, Path("high").c_str()), 0);
  EXPECT_GE(d.number, 56);
  EXPECT_EQ(fcntl(d.number, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(fcntl(d.number, F_GETFL) & (O_APPEND | O_NONBLOCK), O_APPEND);
  int lowest = open("/dev/null", O_RDONLY);
  EXPECT_LT(lowest, d.number) << "the program's numbers are as without ours";
}

TEST_IN_CHILD(DescriptorTest, AppendsToWhatIsThere) {
  std::string path = Path("append");
  std::ofstream(path) << "one\n";
  hak_descriptor_t d;
  ASSERT_EQ(hak_descriptor_open(&d, path.c_str()), 0);
  std::ofstream(path, std::ios::app) << "two\n";
  errno = 77;
  EXPECT_EQ(Append(d, "three\n"), 0);
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(Content(path), "one\ntwo\nthree\n");
}

TEST_IN_CHILD(DescriptorTest, IsNotTakenForTheFileThatGotItsNumber) {
  hak_descriptor_t d;
  ASSERT_EQ(hak_descriptor_open(&d, Path("ours").c_str()), 0);
  EXPECT_TRUE(hak_descriptor_is_ours(&d));
  close(d.number);
  EXPECT_FALSE(hak_descriptor_is_ours(&d));
  int other = open("/dev/null", O_WRONLY);
  ASSERT_EQ(dup2(other, d.number), d.number);
  EXPECT_FALSE(hak_descriptor_is_ours(&d));
  int number = d.number;
  hak_descriptor_close(&d);
  EXPECT_EQ(d.number, -1);
  EXPECT_EQ(fcntl(number, F_GETFD), 0) << "the program's file was closed";
}

TEST_IN_CHILD(DescriptorTest, ADuplicateOutlivesTheProgramsOwn) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  hak_descriptor_t d;
  ASSERT_EQ(hak_descriptor_duplicate(&d, ends[1]), 0);
  EXPECT_GE(d.number, 56);
  close(ends[1]);
  EXPECT_EQ(Append(d, "x"), 0);
  EXPECT_EQ(hak_descriptor_duplicate(&d, ends[1]), EBADF);
}

TEST_IN_CHILD(DescriptorTest, KnowsThatItsFileLostItsName) {
  std::string path = Path("unlinked");
  hak_descriptor_t d;
  ASSERT_EQ(hak_descriptor_open(&d, path.c_str()), 0);
  EXPECT_TRUE(hak_descriptor_has_name(&d));
  unlink(path.c_str());
  EXPECT_FALSE(hak_descriptor_has_name(&d));
}

TEST_IN_CHILD(DescriptorTest, ErrorsAreValuesAndErrnoStays) {
  hak_descriptor_t d = HAK_DESCRIPTOR_NONE;
  errno = 77;
  EXPECT_EQ(hak_descriptor_open(&d, "/nowhere/at/all"), ENOENT);
  EXPECT_EQ(hak_descriptor_open(&d, "/proc"), EISDIR);
  EXPECT_EQ(hak_descriptor_append(-1, "x", 1, 0), EBADF);
  std::string fifo = Path("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  errno = 77;
  EXPECT_EQ(hak_descriptor_open(&d, fifo.c_str()), ENXIO) << "and does not wait for a reader";
  ASSERT_EQ(hak_descriptor_open(&d, "/dev/full"), 0);
  EXPECT_EQ(Append(d, "x"), ENOSPC);
  EXPECT_EQ(errno, 77);
}

// SIGXFSZ would end the process, and a handler of the program's must not see it either.
TEST_IN_CHILD(DescriptorTest, AWriteThatDoesNotFitLeavesWholeLinesAndNoSignal) {
  std::string path = Path("limit");
  hak_descriptor_t d;
  ASSERT_EQ(hak_descriptor_open(&d, path.c_str()), 0);
  rlimit limit = {50, 50};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::string line(39, 'x');
  line += '\n';
  EXPECT_EQ(Append(d, line), 0);
  EXPECT_EQ(Append(d, line), EFBIG) << "10 bytes of it fit";
  EXPECT_EQ(Append(d, "12345\n"), 0) << "what does fit still comes through";
  EXPECT_EQ(Content(path), line + "12345\n");
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGXFSZ), 0);
}

TEST_IN_CHILD(DescriptorTest, AReaderThatIsGoneIsAnErrorAndNoSignal) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  EXPECT_EQ(hak_descriptor_append(ends[1], "x", 1, 0), EPIPE);
  sigset_t set, pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
  // One that the program keeps pending stays so.
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  raise(SIGPIPE);
  EXPECT_EQ(hak_descriptor_append(ends[1], "x", 1, 0), EPIPE);
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 1);
  sigprocmask(SIG_BLOCK, nullptr, &pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 1) << "and blocked";
}

TEST_IN_CHILD(DescriptorTest, SharedMemoryIsItsOwnersAndKeepsItsSize) {
  hak_descriptor_t d;
  void* memory = nullptr;
  ASSERT_EQ(hak_descriptor_share(&d, "shared-by-a-test", 10000, &memory), 0);
  struct stat status;
  ASSERT_EQ(fstat(d.number, &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(status.st_size, 10000);
  EXPECT_NE(ftruncate(d.number, 100), 0);
  static_cast<char*>(memory)[9999] = 7;
  std::string path = "/proc/self/fd/" + std::to_string(d.number);
  int reader = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  void* seen = mmap(nullptr, 10000, PROT_READ, MAP_SHARED, reader, 0);
  ASSERT_NE(seen, MAP_FAILED);
  EXPECT_EQ(static_cast<char*>(seen)[9999], 7);
  EXPECT_TRUE(hak::PassesInChild([memory] {
    unsigned char resident;
    EXPECT_EQ(mincore(memory, 1, &resident), -1) << "a child has it mapped";
    EXPECT_EQ(errno, ENOMEM);
  }));
}

}  // namespace
