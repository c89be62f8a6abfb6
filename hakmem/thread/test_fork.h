// Work for the threads of a process that forks, and for its children: for the tests of fork.

#ifndef HAKMEM_TEST_FORK_H_
#define HAKMEM_TEST_FORK_H_

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "hakmem/heap/test_blocks.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/platform/fork.h"
#include "hakmem/superslab/large.h"
}

namespace hak {

constexpr int kScale = kUnderSanitizer ? 10 : 1;  // what rounds are divided by

// Random use of all layers: small blocks of many classes, spans and huge blocks. It keeps off
// libc's malloc, whose locks fork takes too, so that a signal handler may fork in its midst.
inline void Work(uint64_t seed, int rounds) {
  Random random(seed);
  std::array<MarkedBlock, 500> blocks;
  size_t n = 0;
  for (int i = 0; i < rounds; ++i) {
    if (random.Below(100) == 0) {
      size_t size = HAK_SMALL_MAX + 1 + random.Below(random.Below(8) == 0 ? 3 * HAK_MIB : 500000);
      hak_fork_look();
      auto* large = static_cast<char*>(hak_large_alloc(size, 16, false));
      ASSERT_NE(large, nullptr);
      large[0] = large[size - 1] = 1;
      hak_large_free(large);
    } else if (n < blocks.size() && random.Below(2) == 0) {
      unsigned c = static_cast<unsigned>(1 + random.Below(60));
      blocks[n++] = AllocMarked(c, random.Next());
    } else if (n != 0) {
      std::swap(blocks[random.Below(n)], blocks[n - 1]);
      FreeMarked(blocks[--n]);
    }
  }
  while (n != 0) FreeMarked(blocks[--n]);
}

// Threads that work, end and begin again for as long as this lives, and free each other's blocks.
class Crowd {
 public:
  explicit Crowd(unsigned n) {
    for (unsigned t = 0; t < n; ++t) {
      threads_.emplace_back([this, t] {
        for (uint64_t life = 0; !is_over_; ++life) {
          std::thread([this, t, life] {
            for (uint64_t i = 0; i < 20 && !is_over_; ++i) {
              Work(1000 * t + 20 * life + i, 200);
              FreeBlock(slot_.exchange(AllocBlock(5)));
            }
          }).join();
        }
      });
    }
  }
  ~Crowd() {
    is_over_ = true;
    for (std::thread& thread : threads_) thread.join();
    FreeBlock(slot_);
  }

 private:
  std::atomic<bool> is_over_{false};
  std::atomic<void*> slot_{AllocBlock(5)};
  std::vector<std::thread> threads_;
};

}  // namespace hak

#endif  // HAKMEM_TEST_FORK_H_
