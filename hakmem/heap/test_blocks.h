// malloc and free as the layers below the API make them, without the fast path's table look-ups:
// for tests of the cache, of threads and of fork.

#ifndef HAKMEM_TEST_BLOCKS_H_
#define HAKMEM_TEST_BLOCKS_H_

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/heap/cache.h"
#include "hakmem/heap/flush.h"
#include "hakmem/heap/span_cache.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/fork.h"
#include "hakmem/slab/central.h"
#include "hakmem/superslab/large.h"
#include "hakmem/thread/idle.h"
#include "hakmem/thread/thread.h"
}

namespace hak {

// The thread's heap, which it gets here if it has none; NULL when it can have none.
inline hak_heap_t* ThisHeap() {
  hak_fork_look();
  if (hak_this_heap != HAK_NO_HEAP) return hak_this_heap;
  hak_heap_t* heap = hak_thread_begin();
  if (heap != nullptr && heap->entry->index == 1) hak_idle_start();
  return heap;
}

inline void* AllocBlock(unsigned size_class) {
  void* block = hak_magazine_pop(hak_this_heap->top, size_class);
  if (block != nullptr) return block;
  hak_heap_t* heap = ThisHeap();
  bool has_token;
  if (heap != nullptr) return hak_cache_refill(heap, size_class, &has_token);
  return hak_central_take(size_class, &block + 1, 1, true) == 1 ? block : nullptr;
}

inline void FreeBlock(void* block) {
  unsigned stack = hak_page_map_class(block);
  if (hak_class_is_watched(stack)) stack = hak_class_proper(stack);
  if (hak_magazine_push(hak_this_heap->top, stack, block)) return;
  hak_heap_t* heap = ThisHeap();
  if (heap != nullptr) {
    hak_cache_overflow(block, heap, stack);
  } else {
    hak_flush_block(nullptr, block);
  }
}
// The same of spans.
inline void* AllocSpan(size_t size) {
  hak_fork_look();
  void* span = hak_span_cache_take(hak_this_heap, size, HAK_MIN_ALIGNMENT);
  return span != nullptr ? span : hak_large_alloc(size, HAK_MIN_ALIGNMENT, false);
}

inline void FreeSpan(void* span) {
  hak_heap_t* heap = ThisHeap();
  if (heap == nullptr || !hak_span_cache_put(heap, span)) hak_large_free(span);
}

inline void DrainThread() {
  hak_fork_look();
  if (hak_this_heap != HAK_NO_HEAP) hak_cache_drain(hak_this_heap);
}

inline hak_slab_t* SlabOf(const void* block) { return hak_slab_of(block); }

// A live block with a mark in each of its words, which tells when two have the same block.
struct MarkedBlock {
  uint64_t* words;
  unsigned size_class;
  uint64_t mark;
};

inline MarkedBlock AllocMarked(unsigned size_class, uint64_t mark) {
  MarkedBlock block = {static_cast<uint64_t*>(AllocBlock(size_class)), size_class, mark};
  if (block.words == nullptr) {
    ADD_FAILURE() << "no memory";
    return block;
  }
  size_t n = hak_class_info(size_class)->block_bytes / sizeof(uint64_t);
  for (size_t i = 0; i < n; i += i < 16 ? 1 : 61) block.words[i] = mark + i;
  block.words[n - 1] = mark + n - 1;
  return block;
}

inline bool IsIntact(const MarkedBlock& block) {
  size_t n = hak_class_info(block.size_class)->block_bytes / sizeof(uint64_t);
  for (size_t i = 0; i < n; i += i < 16 ? 1 : 61) {
    if (block.words[i] != block.mark + i) return false;
  }
  return block.words[n - 1] == block.mark + n - 1;
}

inline void FreeMarked(const MarkedBlock& block) {
  EXPECT_TRUE(IsIntact(block)) << "somebody else wrote into it";
  FreeBlock(block.words);
}

// Slabs in use, and those of them that have no live block (and are kept for the next).
struct SlabCount {
  int all, empty, owned;
};
inline SlabCount CountSlabs() {
  SlabCount count = {0, 0, 0};
  hak_lock_acquire(&hak_backend_lock);
  hak_super_visit_slabs(
      [](hak_run_t* run, void* context) {
        auto* slab = reinterpret_cast<hak_slab_t*>(run);
        auto* n = static_cast<SlabCount*>(context);
        n->all++;
        n->empty += slab->free_count == slab->capacity;
        n->owned += hak_load_relaxed(&slab->owner) != nullptr;
      },
      &count);
  hak_lock_release(&hak_backend_lock);
  return count;
}

// A thread that does what it is told, one thing at a time, and is idle between.
class Sleeper {
 public:
  Sleeper() : thread_([this] { Run(); }) {}
  ~Sleeper() {
    Do(nullptr);
    thread_.join();
  }
  void Do(std::function<void()> work) {
    work_ = std::move(work);
    has_work_ = true;
    while (has_work_) std::this_thread::yield();
  }

 private:
  void Run() {
    for (;;) {
      while (!has_work_) std::this_thread::yield();
      std::function<void()> work = std::move(work_);
      if (work) work();
      bool is_over = !work;
      has_work_ = false;
      if (is_over) return;
    }
  }
  std::function<void()> work_;
  std::atomic<bool> has_work_{false};
  std::thread thread_;
};

}  // namespace hak

#endif  // HAKMEM_TEST_BLOCKS_H_
