// haktop and the allocator together: what a program that hakmem serves publishes is what is shown.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <regex>
#include <string>

namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

// A program under libhakmem.so, killed with the object.
class Served {
 public:
  Served(const char* deed, bool is_published) {
    int output[2];
    if (pipe2(output, O_CLOEXEC) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(output[1], STDOUT_FILENO);
      setenv("LD_PRELOAD", (std::string(getenv("PWD")) + "/hakmem/libhakmem.so").c_str(), 1);
      setenv("HAKMEM_TELEMETRY_SHM", is_published ? "1" : "0", 1);
      setenv("HAKMEM_PHASE", "served", 1);
      execl("tools/haktop/served_program", "served_program", deed, nullptr);
      _exit(127);
    }
    close(output[1]);
    FILE* pipe = fdopen(output[0], "r");
    if (fscanf(pipe, "%d", &watched_) != 1) abort();
    fclose(pipe);
  }
  ~Served() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  std::string Haktop() const {
    std::string text;
    FILE* pipe = popen(("env LC_ALL=C tools/haktop/haktop --once --interval 300 " +
                        std::to_string(watched_) + " 2>&1")
                           .c_str(),
                       "r");
    char buffer[4096];
    for (size_t got; (got = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) text.append(buffer, got);
    pclose(pipe);
    return text;
  }

 private:
  pid_t pid_;
  int watched_;
};

TEST(ServedTest, AProgramsOwnBlocksAreShown) {
  Served program("", true);
  std::string text = program.Haktop();
  EXPECT_THAT(text, HasSubstr(" served_program  phase served "));
  // 100 bytes are of the class of 112, in which the program has its thousand; libc may have more.
  std::smatch row;
  ASSERT_TRUE(std::regex_search(text, row, std::regex("\n +112 +(\\d+) "))) << text;
  EXPECT_GE(std::stoi(row[1]), 1000);
  EXPECT_LE(std::stoi(row[1]), 1100);
  EXPECT_THAT(text, ContainsRegex("refills/s +[0-9]")) << text;
  EXPECT_THAT(text, ContainsRegex("VMAs +[0-9]+/[0-9]+ "));
}

TEST(ServedTest, WithoutBeingAskedNothingIsPublished) {
  Served program("", false);
  EXPECT_THAT(program.Haktop(), HasSubstr("publishes no page"));
}

TEST(ServedTest, AForkedChildHasNoPage) {
  Served program("fork", true);
  EXPECT_THAT(program.Haktop(), HasSubstr("publishes no page"));
}

TEST(ServedTest, AProgramThatClosesItsDescriptorsIsSeenAgain) {
  Served program("close", true);
  std::string text;
  for (int i = 0; i < 100; i++) {
    text = program.Haktop();
    if (text.find("phase served") != std::string::npos) break;
    usleep(50 * 1000);
  }
  EXPECT_THAT(text, HasSubstr("phase served"));
}

}  // namespace
