// For tests of what is written of a profile: a profile as text, and a site that allocates.

#ifndef HAKMEM_TEST_DUMP_H_
#define HAKMEM_TEST_DUMP_H_

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

extern "C" {
#include "hakmem/include/hakmem/hakmem.h"
}

namespace hak {

inline std::string Dump(hak_profile_kind kind) {
  std::string path = testing::TempDir() + "/profile." + std::to_string(kind);
  EXPECT_TRUE(hak_profile_dump(path.c_str(), kind));
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  std::remove(path.c_str());
  return text.str();
}

__attribute__((noinline)) inline void* Site(size_t size) {
  void* block = hak_malloc(size);
  EXPECT_NE(block, nullptr);  // no call in tail position
  return block;
}

}  // namespace hak

#endif  // HAKMEM_TEST_DUMP_H_
