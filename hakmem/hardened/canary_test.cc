// Canaries: the size that they keep, and every byte past it that is written.

#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>
#include <vector>

extern "C" {
#include "hakmem/base/config.h"
#include "hakmem/hardened/canary.h"
}

namespace {

struct Block {
  explicit Block(size_t n, size_t size) : memory(n), bytes(n) {
    hak_canary_set(memory.data(), bytes, size);
  }
  bool Get(size_t* size) const { return hak_canary_get(memory.data(), bytes, size); }

  std::vector<unsigned char> memory;
  size_t bytes;
};

TEST(CanaryTest, TheSizeIsKept) {
  for (size_t bytes : {size_t{16}, size_t{32}, size_t{112}, size_t{32768}, size_t{1} << 20}) {
    size_t most = bytes - HAK_CANARY_BYTES;
    for (size_t slack : {size_t{0}, size_t{1}, size_t{7}, most / 2, most, size_t{65535}}) {
      if (slack > most || slack > HAK_CANARY_MAX_SLACK) continue;
      Block block(bytes, most - slack);
      size_t size = 12345;
      ASSERT_TRUE(block.Get(&size));
      EXPECT_EQ(size, most - slack);
    }
  }
}

TEST(CanaryTest, AnyByteThatIsWrittenBehindTheSizeIsNoticed) {
  for (size_t size : std::initializer_list<size_t>{0, 1, 23, 24, 50, 99, 103, 104}) {
    Block block(112, size);
    for (size_t at = size; at < block.bytes; ++at) {
      for (int change : {1, 0x80, 0xff}) {
        block.memory[at] ^= static_cast<unsigned char>(change);
        size_t found;
        EXPECT_FALSE(block.Get(&found)) << "size " << size << ", byte " << at;
        block.memory[at] ^= static_cast<unsigned char>(change);
      }
    }
  }
}

TEST(CanaryTest, TheEndOfAStringThatIsOneByteTooFarIsNoticed) {
  for (size_t size = 0; size <= 104; ++size) {
    Block block(112, size);
    if (size == 104 && block.memory[size] == 0) continue;  // a byte of the canary that is 0
    block.memory[size] = 0;
    size_t found;
    EXPECT_FALSE(block.Get(&found)) << size;
  }
}

TEST(CanaryTest, WhatIsInTheBlockDoesNotMatter) {
  Block block(112, 100);
  memset(block.memory.data(), 0xff, 100);
  size_t size;
  ASSERT_TRUE(block.Get(&size));
  EXPECT_EQ(size, 100u);
}

TEST(CanaryTest, OneBlocksCanaryIsNotAnothers) {
  Block a(112, 104), b(112, 104);
  memcpy(b.memory.data(), a.memory.data(), 112);
  size_t size;
  EXPECT_FALSE(b.Get(&size));
}

}  // namespace
