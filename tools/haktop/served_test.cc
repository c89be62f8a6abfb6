// haktop and the allocator together: what a program that hakmem serves publishes is what is shown.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

namespace {

using testing::AnyOf;
using testing::ContainsRegex;
using testing::HasSubstr;

std::string ReadAll(FILE* pipe) {
  std::string text;
  char buffer[4096];
  for (size_t got; (got = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) text.append(buffer, got);
  return text;
}

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
    FILE* pipe = popen(("env LC_ALL=C tools/haktop/haktop --once --interval 300 " +
                        std::to_string(watched_) + " 2>&1")
                           .c_str(),
                       "r");
    std::string text = ReadAll(pipe);
    pclose(pipe);
    return text;
  }

  int watched() const { return watched_; }

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
  EXPECT_THAT(text, ContainsRegex("taken/s +[0-9]")) << text;
  EXPECT_THAT(text, ContainsRegex("VMAs +[0-9]+/[0-9]+ "));
}

TEST(ServedTest, WithoutBeingAskedNothingIsPublished) {
  Served program("", false);
  EXPECT_THAT(program.Haktop(), HasSubstr("publishes no page"));
}

// The page's descriptor in /proc; empty when it is not found.
std::filesystem::path PageOf(int pid) {
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    std::error_code error;
    if (read_symlink(entry.path(), error) == "/memfd:hakmem-telemetry (deleted)") return entry;
  }
  return "";
}

TEST(ServedTest, ThePageIsItsOwnersAlone) {
  Served program("", true);
  std::filesystem::path page = PageOf(program.watched());
  struct stat status;
  ASSERT_EQ(stat(page.c_str(), &status), 0) << page;
  EXPECT_EQ(status.st_mode, static_cast<mode_t>(S_IFREG | 0600));
  EXPECT_EQ(status.st_uid, geteuid());
  // Not even its owner may take away what a reader has mapped.
  EXPECT_EQ(truncate(page.c_str(), 0), -1);
}

constexpr int kCannotBecome = 99;

// Becomes the user and runs haktop, which lies where that user need not get to: hence a descriptor.
[[noreturn]] void RunHaktopAs(uid_t user, int pid) {
  int haktop = open("tools/haktop/haktop", O_RDONLY | O_CLOEXEC);
  std::string number = std::to_string(pid);
  std::vector<char*> arguments;
  for (const char* argument : {"haktop", "--once", number.c_str()}) {
    arguments.push_back(const_cast<char*>(argument));
  }
  arguments.push_back(nullptr);
  if (setgroups(0, nullptr) != 0 || setresgid(user, user, user) != 0 ||
      setresuid(user, user, user) != 0) {
    _exit(kCannotBecome);
  }
  fexecve(haktop, arguments.data(), environ);
  perror("fexecve");
  _exit(1);
}

TEST(ServedTest, AnotherUserIsNotPermittedToWatch) {
  Served program("", true);
  int output[2];
  ASSERT_EQ(pipe2(output, O_CLOEXEC), 0);
  pid_t haktop = fork();
  if (haktop == 0) {
    dup2(output[1], STDOUT_FILENO);
    dup2(output[1], STDERR_FILENO);
    RunHaktopAs(65534, program.watched());
  }
  close(output[1]);
  FILE* pipe = fdopen(output[0], "r");
  std::string text = ReadAll(pipe);
  fclose(pipe);
  int status = 0;
  ASSERT_EQ(waitpid(haktop, &status, 0), haktop);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kCannotBecome) {
    GTEST_SKIP() << "only root can become another user, and where there is one";
  }
  EXPECT_EQ(WEXITSTATUS(status), 2);
  EXPECT_EQ(text, "haktop: not permitted to look into process " +
                      std::to_string(program.watched()) +
                      " (served_program): it belongs to another user, or protects itself; its "
                      "owner and root may\n");
}

TEST(ServedTest, AForkedChildHasNoPage) {
  Served program("fork", true);
  // The child lets go of its parent's page with its first slow path.
  EXPECT_THAT(program.Haktop(),
              AnyOf(HasSubstr("publishes no page"), HasSubstr("has no page of its own")));
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
