// Finding, checking and copying pages, of this process and of children.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "tools/haktop/test_page.h"

extern "C" {
#include "tools/haktop/mapped_page.h"
#include "tools/haktop/watched.h"
}

namespace {

using haktop_testing::Publisher;
using haktop_testing::PublishingProcess;
using testing::HasSubstr;

// Opens the page of a process; "" when it could, else the message.
std::string Refusal(pid_t pid) {
  ht_page page;
  char message[HT_MESSAGE_BYTES] = "";
  if (ht_page_open(&page, pid, message)) {
    ht_page_close(&page);
    return "";
  }
  return message;
}

TEST(PageTest, IsFoundMappedAndCopied) {
  Publisher publisher;
  publisher.Update(5);
  ht_page page;
  char message[HT_MESSAGE_BYTES];
  hak_shared_page_t copy{};
  ASSERT_TRUE(ht_page_open(&page, getpid(), message)) << message;
  ASSERT_TRUE(ht_page_copy(&page, &copy));
  EXPECT_EQ(memcmp(static_cast<void*>(&copy), publisher.page(), sizeof(copy)), 0);
  publisher.Update(6);
  ASSERT_TRUE(ht_page_copy(&page, &copy));
  EXPECT_EQ(copy.stats.refills, 6u * 7000);
  ht_page_close(&page);
}

TEST(PageTest, OfAnotherProcessOutlivesIt) {
  PublishingProcess process;
  ht_page page;
  char message[HT_MESSAGE_BYTES];
  hak_shared_page_t copy{};
  ASSERT_TRUE(ht_page_open(&page, process.pid(), message)) << message;
  // Stopped outside of an update, lest it die in the middle of one.
  do {
    kill(process.pid(), SIGCONT);
    usleep(1000);
    kill(process.pid(), SIGSTOP);
    waitpid(process.pid(), nullptr, WUNTRACED);
  } while (!ht_page_copy(&page, &copy));
  process.End();
  EXPECT_TRUE(ht_page_copy(&page, &copy));
  EXPECT_EQ(copy.stats.vmas, 57u);
  ht_page_close(&page);
}

TEST(PageTest, ADescriptorIsNotKept) {
  Publisher publisher;
  int before = dup(0);
  ht_page page;
  char message[HT_MESSAGE_BYTES];
  ASSERT_TRUE(ht_page_open(&page, getpid(), message)) << message;
  int after = dup(0);
  EXPECT_EQ(after, before + 1);
  close(before);
  close(after);
  ht_page_close(&page);
}

TEST(PageTest, WrongMagicIsRefused) {
  Publisher publisher;
  publisher.page()->magic[2] = 'x';
  EXPECT_THAT(Refusal(getpid()), HasSubstr("wrong magic"));
}

TEST(PageTest, AnotherVersionIsRefusedWithBothNamed) {
  Publisher publisher;
  publisher.page()->version = 4711;
  EXPECT_THAT(Refusal(getpid()), HasSubstr("version 4711, this haktop reads version " +
                                           std::to_string(HAK_SHARED_PAGE_VERSION)));
}

TEST(PageTest, AnotherSizeIsRefused) {
  Publisher publisher;
  publisher.page()->bytes -= 8;
  EXPECT_THAT(Refusal(getpid()), HasSubstr(std::to_string(sizeof(hak_shared_page_t) - 8)));
}

TEST(PageTest, AFileThatIsShorterThanItSaysIsRefused) {
  Publisher::Flaws flaws;
  flaws.bytes = 4096;
  Publisher publisher(flaws);
  hak_shared_page_t* page = publisher.page();
  memcpy(page->magic, HAK_SHARED_PAGE_MAGIC, sizeof(page->magic));
  page->version = HAK_SHARED_PAGE_VERSION;
  page->bytes = sizeof(*page);
  page->pid = getpid();
  EXPECT_THAT(Refusal(getpid()), HasSubstr("in a file of 4096"));
}

TEST(PageTest, AnEmptyFileIsRefused) {
  Publisher::Flaws flaws;
  flaws.bytes = 0;
  Publisher publisher(flaws);
  EXPECT_THAT(Refusal(getpid()), HasSubstr("too short"));
}

TEST(PageTest, APageThatIsNotWrittenYetIsToldFromAWrongOne) {
  Publisher publisher;
  memset(static_cast<void*>(publisher.page()), 0, sizeof(*publisher.page()));
  EXPECT_THAT(Refusal(getpid()), HasSubstr("not written its page yet"));
}

TEST(PageTest, AFileThatMayShrinkIsRefused) {
  Publisher::Flaws flaws;
  flaws.is_sealed = false;
  Publisher publisher(flaws);
  EXPECT_THAT(Refusal(getpid()), HasSubstr("not sealed"));
}

TEST(PageTest, AProcessWithoutAPageIsToldHowToGetOne) {
  EXPECT_THAT(Refusal(getpid()), HasSubstr("HAKMEM_TELEMETRY_SHM=1"));
}

TEST(PageTest, NoProcessIsSaid) {
  EXPECT_EQ(Refusal(0x3ffffffe), "there is no process 1073741822");
}

TEST(PageTest, AForkedChildIsToldFromItsParent) {
  Publisher publisher;
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  EXPECT_THAT(Refusal(child), HasSubstr("only that of process " + std::to_string(getpid())));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

// As a process of another user is: one that may not be looked into. (The other user's number may
// not exist in the sandbox of a test.)
TEST(PageTest, WhatMayNotBeLookedIntoIsSaid) {
  PublishingProcess process([](Publisher&) { prctl(PR_SET_DUMPABLE, 0); });
  int result[2];
  ASSERT_EQ(pipe(result), 0);
  pid_t child = fork();
  if (child == 0) {
    // Root may look into everything by its capabilities.
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    if (syscall(SYS_capset, &header, none) != 0) _exit(1);
    std::string message = Refusal(process.pid());
    _exit(write(result[1], message.data(), message.size()) < 0);
  }
  close(result[1]);
  char message[HT_MESSAGE_BYTES] = "";
  EXPECT_GT(read(result[0], message, sizeof(message) - 1), 0);
  close(result[0]);
  waitpid(child, nullptr, 0);
  EXPECT_THAT(std::string(message), HasSubstr("not permitted to look into process " +
                                              std::to_string(process.pid()) + " (publisher)"));
}

TEST(PageTest, AWriterThatStaysInTheMiddleIsGivenUp) {
  Publisher publisher;
  ht_page page;
  char message[HT_MESSAGE_BYTES];
  hak_shared_page_t copy{};
  ASSERT_TRUE(ht_page_open(&page, getpid(), message)) << message;
  hak_store_relaxed(&publisher.page()->sequence, 7u);
  EXPECT_FALSE(ht_page_copy(&page, &copy));
  hak_store_relaxed(&publisher.page()->sequence, 8u);
  EXPECT_TRUE(ht_page_copy(&page, &copy));
  ht_page_close(&page);
}

// In another process, as in life.
TEST(PageTest, CopiesAreWholeWhileTheWriterIsAtWork) {
  PublishingProcess process(nullptr, 1);
  ht_page page;
  char message[HT_MESSAGE_BYTES];
  ASSERT_TRUE(ht_page_open(&page, process.pid(), message)) << message;
  hak_shared_page_t copy{};
  for (int i = 0; i < 20000; i++) {
    if (!ht_page_copy(&page, &copy)) continue;
    uint64_t seconds = copy.stats.time_ns / 1000000000 - 5000;
    ASSERT_EQ(copy.sequence % 2, 0u);
    ASSERT_EQ(copy.stats.refills, 7000 * seconds);
    ASSERT_EQ(copy.classes[4].taken, 1000 + 120000 * seconds);
    ASSERT_EQ(copy.classes[72].returned, 2 * seconds);
  }
  EXPECT_GT(copy.stats.refills, 0u);
  ht_page_close(&page);
}

TEST(WatchedTest, KnowsACommandWhateverItIsCalled) {
  char name[16];
  prctl(PR_GET_NAME, name);
  prctl(PR_SET_NAME, "a) (b\nc) R 1");
  ht_watched watched;
  EXPECT_TRUE(ht_watched_read(getpid(), &watched));
  EXPECT_STREQ(watched.command, "a) (b\nc) R 1");
  EXPECT_FALSE(watched.has_ended);
  EXPECT_TRUE(ht_watched_runs(&watched));
  prctl(PR_SET_NAME, name);
}

TEST(WatchedTest, AZombieHasEnded) {
  pid_t child = fork();
  if (child == 0) pause();
  ht_watched watched;
  ASSERT_TRUE(ht_watched_read(child, &watched));
  EXPECT_TRUE(ht_watched_runs(&watched));
  kill(child, SIGKILL);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_FALSE(ht_watched_runs(&watched));
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(ht_watched_runs(&watched));
}

TEST(WatchedTest, ANumberThatWasGivenAgainIsAnotherProcess) {
  ht_watched watched;
  ASSERT_TRUE(ht_watched_read(getpid(), &watched));
  watched.start_ticks++;
  EXPECT_FALSE(ht_watched_runs(&watched));
}

TEST(WatchedTest, GoesByItsOwnNumber) {
  EXPECT_TRUE(ht_watched_is_called(getpid(), getpid()));
  EXPECT_FALSE(ht_watched_is_called(getpid(), getppid()));
  EXPECT_FALSE(ht_watched_is_called(getpid(), 0));
  EXPECT_FALSE(ht_watched_is_called(getpid(), -1));
}

}  // namespace
