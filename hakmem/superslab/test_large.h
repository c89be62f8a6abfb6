// Large blocks as tests take them, and ways to keep huge ones from growing where they are.

#ifndef HAKMEM_TEST_LARGE_H_
#define HAKMEM_TEST_LARGE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/options/options.h"
#include "hakmem/superslab/large.h"
#include "hakmem/superslab/reserve.h"
}

namespace hak {

// No memory goes back by itself, and huge pages do not touch more than the test does.
inline void KeepMemory() {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "-1"));
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thp, "never"));
}

inline char* Alloc(size_t size, size_t alignment = 16, bool zero = false) {
  return static_cast<char*>(hak_large_alloc(size, alignment, zero));
}

inline bool IsFilledWith(const char* p, size_t size, char value) {
  return std::all_of(p, p + size, [value](char c) { return c == value; });
}

inline uint64_t MemoryCalls() {
  return hak::KernelCalls(HAK_KERNEL_MMAP) + hak::KernelCalls(HAK_KERNEL_MUNMAP) +
         hak::KernelCalls(HAK_KERNEL_MADVISE) + hak::KernelCalls(HAK_KERNEL_MREMAP);
}

// A huge block with no room behind it.
struct Confined {
  char* block;
  char* wall;
};
inline Confined AllocConfined(size_t size) {
  char* block = Alloc(size);
  size_t supers = (size + hak_super_bytes() - 1) / hak_super_bytes();
  char* wall = Alloc(hak_super_bytes());
  EXPECT_EQ(wall, block + supers * hak_super_bytes());
  return {block, wall};
}

// Takes the SuperSlab behind a huge block, so that it cannot grow where it is; somebody else may
// have it already. (Whoever takes one says what it is before the lock is released: a purge that
// waits for a free one would take it again.)
inline void BlockGrowth(const char* block) {
  hak_lock_acquire(&hak_backend_lock);
  hak_superslab_t* head = hak_page_map_super(block);
  uint32_t last = hak_reserve_index(head) + head->huge_supers - 1;
  if (hak_reserve_take_after(hak_reserve_super(head->reservation, last), 1)) {
    hak_superslab_t* wall = hak_reserve_super(head->reservation, last + 1);
    wall->free_pages = wall->aged_pages = 0;
    hak_store_relaxed(&wall->state, HAK_SUPER_HUGE);
  }
  hak_lock_release(&hak_backend_lock);
}

}  // namespace hak

#endif  // HAKMEM_TEST_LARGE_H_
