// Every place that an address can lie in has its words.

#include <errno.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

extern "C" {
#include "hakmem/platform/origin.h"
}

namespace {

std::string Describe(const void* address) {
  hak_line_t line;
  line.length = 0;
  hak_origin_describe(&line, address);
  return std::string(line.text, line.length);
}

int initialised = 1;
int zeroed[1 << 16];  // beyond what the file holds

TEST(OriginTest, StaticMemoryIsItsObjects) {
  const char program[] = "static memory, or another malloc's, in the program itself";
  EXPECT_EQ(Describe(&initialised), program);
  EXPECT_EQ(Describe(&zeroed[sizeof zeroed / sizeof zeroed[0] - 1]), program);
  std::string in_library = Describe(stdout);  // libc's, or the program's copy of it
  EXPECT_EQ(in_library.rfind("static memory, or another malloc's, in ", 0), 0u) << in_library;
}

TEST(OriginTest, TheHeapIsLibcs) {
  char* begin = static_cast<char*>(sbrk(1 << 16));
  ASSERT_NE(begin, reinterpret_cast<char*>(-1));
  for (char* address : {begin, begin + (1 << 16) - 1}) {
    EXPECT_EQ(Describe(address),
              "another malloc's, in [heap]: libc's, which RTLD_DEEPBIND and handles of libc lead "
              "to");
  }
}

TEST(OriginTest, OfOtherMemoryNothingIsClaimed) {
  const char unknown[] = "another malloc's, or no block at all";
  void* mapped = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int local = 0;
  EXPECT_EQ(Describe(mapped), unknown);
  EXPECT_EQ(Describe(&local), unknown);
  EXPECT_EQ(Describe(nullptr), unknown);
  EXPECT_EQ(Describe(reinterpret_cast<void*>(16)), unknown);
  EXPECT_EQ(Describe(reinterpret_cast<void*>(UINTPTR_MAX)), unknown);
  munmap(mapped, 4096);
}

TEST(OriginTest, PreservesErrno) {
  errno = E2BIG;
  Describe(&initialised);
  Describe(nullptr);
  EXPECT_EQ(errno, E2BIG);
}

}  // namespace
