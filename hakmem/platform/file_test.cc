// Reading files by pieces.

extern "C" {
#include "hakmem/platform/file.h"
}

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>

namespace {

TEST(File, ReadsFromAnyOffset) {
  std::string path = testing::TempDir() + "/file_test";
  std::ofstream(path) << "0123456789";
  int file = hak_file_open(path.c_str());
  ASSERT_GE(file, 0);
  char text[20] = {};
  EXPECT_EQ(hak_file_read(file, 0, text, 4), 4u);
  EXPECT_EQ(std::string(text, 4), "0123");
  EXPECT_EQ(hak_file_read(file, 7, text, sizeof text), 3u);
  EXPECT_EQ(std::string(text, 3), "789");
  EXPECT_EQ(hak_file_read(file, 100, text, sizeof text), 0u);
  hak_file_close(file);
  std::remove(path.c_str());
}

TEST(File, WhatIsNotThereIsEmpty) {
  EXPECT_EQ(hak_file_open("/no/such/file"), -1);
  char byte;
  EXPECT_EQ(hak_file_read(-1, 0, &byte, 1), 0u);
}

}  // namespace
