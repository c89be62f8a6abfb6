// Threads' numbers: each its own, given when it is first asked for, and kept.

#include <gtest/gtest.h>

#include <set>
#include <thread>

extern "C" {
#include "hakmem/platform/thread_id.h"
}

namespace {

TEST(ThreadIdTest, IsUniqueAndStable) {
  std::set<uint32_t> ids = {hak_thread_id()};
  for (int i = 0; i < 100; ++i) {
    std::thread([&] {
      uint32_t id = hak_thread_id();
      EXPECT_NE(id, 0u);
      EXPECT_LE(id, HAK_THREAD_ID_MAX);
      EXPECT_EQ(id, hak_thread_id());
      EXPECT_TRUE(ids.insert(id).second);
    }).join();
  }
  EXPECT_EQ(ids.count(hak_thread_id()), 1u);
}

TEST(ThreadIdTest, IsGivenWhenItIsAskedFor) {
  std::thread([] {
    EXPECT_FALSE(hak_thread_has_id());
    EXPECT_NE(hak_thread_id(), 0u);
    EXPECT_TRUE(hak_thread_has_id());
  }).join();
}

}  // namespace
