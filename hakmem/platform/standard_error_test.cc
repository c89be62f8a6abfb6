// What is said on stderr: where it goes, and that it never ends, stops or holds up who says it.

extern "C" {
#include "hakmem/platform/standard_error.h"
}

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/testing/support.h"

namespace {

using Say = void (*)(const char* text, size_t length);

void SayLine(Say say, const char* line = "line\n") { say(line, strlen(line)); }

// The test's files; see RemoveData.
std::vector<std::string> names;

void RemoveData() {
  for (const std::string& name : names) unlink(name.c_str());
  names.clear();
}

// A file, opened as the program opens its own.
int OpenData(int flags) {
  const char* folder = getenv("TEST_TMPDIR");
  std::string path = std::string(folder != nullptr ? folder : "/tmp") + "/dataXXXXXX";
  int fd = mkostemp(path.data(), flags);
  names.push_back(path);
  return fd;
}

// Puts a descriptor in the place of 2, as dup2 does.
void Put(int fd) {
  dup2(fd, STDERR_FILENO);
  close(fd);
}

std::string Content(int fd) {
  char text[100] = "";
  return std::string(text, static_cast<size_t>(std::max<ssize_t>(0, pread(fd, text, 99, 0))));
}

// What can be read of a pipe or socket now.
std::string Pending(int fd) {
  char text[8192];
  fcntl(fd, F_SETFL, O_NONBLOCK);
  ssize_t n = read(fd, text, sizeof text);
  return std::string(text, static_cast<size_t>(std::max<ssize_t>(0, n)));
}

TEST_IN_CHILD(StandardErrorTest, KeepsErrno) {
  close(STDERR_FILENO);
  errno = E2BIG;
  for (Say say : {hak_stderr_write, hak_stderr_write_last, hak_stderr_print}) {
    SayLine(say);
    EXPECT_EQ(errno, E2BIG);
  }
}

// ---- where it goes ----

TEST_IN_CHILD(StandardErrorTest, ALineGoesToWhatStderrWasAtTheBeginning) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Put(ends[1]);
  hak_stderr_begin();
  EXPECT_TRUE(hak_stderr_is_ours());
  SayLine(hak_stderr_write);
  EXPECT_EQ(Pending(ends[0]), "line\n");
}

TEST_IN_CHILD(StandardErrorTest, NothingIsWrittenToAFileThatWasOpenedAs2) {
  for (int flags : {O_RDWR, O_RDWR | O_CLOEXEC}) {
    close(STDERR_FILENO);
    ASSERT_EQ(OpenData(flags), STDERR_FILENO);
    EXPECT_FALSE(hak_stderr_is_ours());
    SayLine(hak_stderr_write);
    SayLine(hak_stderr_write_last);
    EXPECT_EQ(Content(STDERR_FILENO), "");
    SayLine(hak_stderr_print);  // the program has asked for it
    EXPECT_EQ(Content(STDERR_FILENO), "line\n");
  }
  RemoveData();
}

TEST_IN_CHILD(StandardErrorTest, NothingIsWrittenToAConnection) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  Put(ends[1]);
  SayLine(hak_stderr_write);
  SayLine(hak_stderr_write_last);
  EXPECT_EQ(Pending(ends[0]), "");
}

TEST_IN_CHILD(StandardErrorTest, ADescriptorThatIsClosedOnExecIsNoStderr) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Put(ends[1]);
  fcntl(STDERR_FILENO, F_SETFD, FD_CLOEXEC);
  SayLine(hak_stderr_write_last);
  EXPECT_EQ(Pending(ends[0]), "");
}

TEST_IN_CHILD(StandardErrorTest, TheLastLineAlsoGoesToALogThatADaemonHasPutThere) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Put(ends[1]);
  SayLine(hak_stderr_write);
  EXPECT_EQ(Pending(ends[0]), "");
  SayLine(hak_stderr_write_last);
  EXPECT_EQ(Pending(ends[0]), "line\n");
  Put(OpenData(O_APPEND));
  SayLine(hak_stderr_write_last);
  EXPECT_EQ(Content(STDERR_FILENO), "line\n");
  Put(OpenData(0));
  SayLine(hak_stderr_write_last);
  EXPECT_EQ(Content(STDERR_FILENO), "");
  RemoveData();  // without a name it is no longer anybody's data
  SayLine(hak_stderr_write_last);
  EXPECT_EQ(Content(STDERR_FILENO), "line\n");
}

// ---- what it does to the program ----

TEST_IN_CHILD(StandardErrorTest, AReaderThatIsGoneEndsNobody) {
  signal(SIGPIPE, SIG_DFL);
  for (bool is_socket : {false, true}) {
    int ends[2];
    ASSERT_EQ(is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends), 0);
    Put(ends[1]);
    close(ends[0]);
    hak_stderr_begin();
    for (Say say : {hak_stderr_write, hak_stderr_write_last, hak_stderr_print}) SayLine(say);
  }
}

TEST_IN_CHILD(StandardErrorTest, NorDoesALimitOnTheSizeOfFiles) {
  signal(SIGXFSZ, SIG_DFL);
  Put(OpenData(0));
  hak_stderr_begin();
  rlimit none = {0, 0};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  for (Say say : {hak_stderr_write, hak_stderr_write_last, hak_stderr_print}) SayLine(say);
  EXPECT_EQ(Content(STDERR_FILENO), "");
  RemoveData();
}

TEST_IN_CHILD(StandardErrorTest, AFullPipeHoldsNobodyUpAndWhatWasLostIsSaid) {
  for (bool is_socket : {false, true}) {
    int ends[2];
    ASSERT_EQ(is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends), 0);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], "full\n", 5) > 0) {
    }
    fcntl(ends[1], F_SETFL, 0);
    Put(ends[1]);
    hak_stderr_begin();
    SayLine(hak_stderr_write);  // the test's time limit is the verdict
    SayLine(hak_stderr_write);
    SayLine(hak_stderr_write_last);
    while (!Pending(ends[0]).empty()) {
    }
    SayLine(hak_stderr_write);
    EXPECT_EQ(Pending(ends[0]), "hakmem: lines that found no room here: 2\nline\n");
    SayLine(hak_stderr_write);
    EXPECT_EQ(Pending(ends[0]), "line\n");
  }
}

// What the program asks for is waited for, as its own writes are.
TEST_IN_CHILD(StandardErrorTest, WhatTheProgramAsksForIsWrittenAsAWhole) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Put(ends[1]);
  std::string text(300000, 'y'), got;
  std::thread reader([&] {
    char piece[5000];
    while (got.size() < text.size()) {
      ssize_t n = read(ends[0], piece, sizeof piece);
      if (n <= 0) break;
      got.append(piece, static_cast<size_t>(n));
    }
  });
  hak_stderr_print(text.data(), text.size());
  reader.join();
  EXPECT_EQ(got, text);
}

TEST_IN_CHILD(StandardErrorTest, IsNoPointOfCancellation) {
  bool came_back = false;
  pthread_t thread;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Put(ends[1]);
  hak_stderr_begin();
  auto say = [](void* flag) -> void* {
    pthread_cancel(pthread_self());
    for (Say s : {hak_stderr_write, hak_stderr_write_last, hak_stderr_print}) SayLine(s);
    *static_cast<bool*>(flag) = true;
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, nullptr, say, &came_back), 0);
  pthread_join(thread, nullptr);
  EXPECT_TRUE(came_back);
}

// A filter that knows no ppoll: the line is written all the same.
TEST_IN_CHILD(StandardErrorTest, WhereRoomCannotBeAskedForItIsWritten) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Put(ends[1]);
  hak_stderr_begin();
  std::atomic<int> n_calls{0};
  {
    // fstat twice, mask, fstat, then ppoll: the one that is refused.
    hak::ScopedFault fault([&](hak_kernel_kind_t, size_t) { return ++n_calls == 4 ? ENOSYS : 0; });
    SayLine(hak_stderr_write);
  }
  EXPECT_GT(n_calls, 4);
  EXPECT_EQ(Pending(ends[0]), "line\n");
}

}  // namespace
