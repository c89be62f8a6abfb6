// The span cache: which span comes back, which goes home first, and what bounds it.

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "hakmem/heap/test_blocks.h"
#include "hakmem/superslab/test_supers.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/heap/span_cache.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/superslab/large.h"
#include "hakmem/superslab/reserve.h"
}

namespace {

using hak::AllocSpan;
using hak::FreeSpan;

constexpr size_t kPage = HAK_PAGE_BYTES;

void* Take(size_t size, size_t alignment = 16) {
  return hak_span_cache_take(hak_this_heap, size, alignment);
}

bool Put(void* span) { return hak_span_cache_put(hak::ThisHeap(), span); }

std::vector<void*> AllocSpans(size_t n, size_t size) {
  std::vector<void*> spans(n);
  for (void*& span : spans) span = hak_large_alloc(size, 16, false);
  return spans;
}

void PutAll(const std::vector<void*>& spans) {
  for (void* span : spans) FreeSpan(span);
}

uint64_t BackendLocks() {
  hak_lock_counts_t counts = {0, 0};
  hak_lock_count(&hak_backend_lock, &counts);
  return counts.acquisitions;
}

// Pages of the spans in the cache, counted one by one.
size_t CachedPages(hak_heap_t* heap = hak_this_heap) {
  size_t pages = 0;
  for (unsigned n = 0; n <= HAK_SPAN_CACHE_MAX_PAGES; ++n) {
    EXPECT_LE(heap->span_top[n], heap->span_bottom[n + 1]);
    for (void** slot = heap->span_bottom[n]; slot < heap->span_top[n]; ++slot) {
      EXPECT_EQ(hak_super_run_of(hak_page_map_super(*slot), *slot)->n_pages, n);
      pages += n;
    }
  }
  EXPECT_EQ(pages, heap->span_pages);
  return pages;
}

TEST_IN_CHILD(SpanCacheTest, TheNewestSpanOfAsManyPagesComesBackWithoutALock) {
  std::vector<void*> spans = AllocSpans(3, 100000);
  void* smaller = AllocSpan(kPage);
  PutAll(spans);
  FreeSpan(smaller);
  uint64_t locks = BackendLocks();
  EXPECT_EQ(Take(2 * kPage), spans[2]);
  EXPECT_EQ(Take(kPage + 1), spans[1]);
  EXPECT_EQ(hak_large_usable_size(spans[1]), kPage + hak_platform_os_page_bytes());
  EXPECT_EQ(Take(kPage), smaller);
  EXPECT_EQ(Take(2 * kPage, kPage), spans[0]);
  EXPECT_EQ(BackendLocks(), locks);
  EXPECT_EQ(CachedPages(), 0u);
}

TEST_IN_CHILD(SpanCacheTest, OthersDoNotFit) {
  EXPECT_EQ(Take(100000), nullptr) << "a thread without a heap";
  FreeSpan(AllocSpan(2 * kPage));
  EXPECT_EQ(Take(2 * kPage + 1), nullptr);
  EXPECT_EQ(Take(kPage), nullptr);
  EXPECT_EQ(Take(2 * kPage, 2 * kPage), nullptr) << "it may lie anywhere";
  EXPECT_EQ(Take(HAK_SPAN_CACHE_MAX_PAGES * kPage + 1), nullptr);
  EXPECT_EQ(Take(PTRDIFF_MAX), nullptr);
  EXPECT_EQ(CachedPages(), 2u);
}

TEST_IN_CHILD(SpanCacheTest, OnlyALiveSpanIsKept) {
  auto* span = static_cast<char*>(AllocSpan(200000));
  void* huge = hak_large_alloc(3 * HAK_MIB, 16, false);
  int on_stack = 0;
  EXPECT_FALSE(Put(huge));
  EXPECT_FALSE(Put(span + kPage));
  EXPECT_FALSE(Put(span + 16));
  EXPECT_FALSE(Put(&on_stack));
  EXPECT_TRUE(Put(span));
  EXPECT_FALSE(Put(span)) << "it is no longer live";
  EXPECT_EQ(hak_large_usable_size(span), 0u);
}

TEST_IN_CHILD(SpanCacheTest, WhatIsTooMuchGoesBackTheSizeFirstOfWhichThereIsMost) {
  void* small = AllocSpan(kPage);
  std::vector<void*> spans = AllocSpans(5, 3 * kPage);
  void* other = AllocSpan(4 * kPage);
  FreeSpan(small);
  PutAll(spans);  // 16 pages in all
  EXPECT_EQ(CachedPages(), size_t{HAK_SPAN_CACHE_FIRST_PAGES});
  FreeSpan(other);
  EXPECT_EQ(CachedPages(), 14u);
  EXPECT_EQ(Take(kPage), small);
  EXPECT_EQ(Take(4 * kPage), other);
  for (size_t i = 4; i >= 2; --i) EXPECT_EQ(Take(3 * kPage), spans[i]) << "the oldest went";
  EXPECT_EQ(Take(3 * kPage), nullptr);
}

TEST_IN_CHILD(SpanCacheTest, TheLimitGrowsOnlyForWhatIsFetchedAgain) {
  const size_t most = static_cast<size_t>(hak_option_number(HAK_OPTION_thread_cache)) / kPage;
  PutAll(AllocSpans(200, kPage));
  EXPECT_EQ(CachedPages(), size_t{HAK_SPAN_CACHE_FIRST_PAGES}) << "freed only";
  for (int round = 0; round < 10; ++round) {
    std::vector<void*> spans(200);
    for (void*& span : spans) span = AllocSpan(kPage);
    PutAll(spans);
    EXPECT_LE(CachedPages(), most);
  }
  EXPECT_EQ(CachedPages(), most);
  hak_cache_drain(hak_this_heap);
  EXPECT_EQ(CachedPages(), 0u);
  PutAll(AllocSpans(200, kPage));
  EXPECT_EQ(CachedPages(), size_t{HAK_SPAN_CACHE_FIRST_PAGES}) << "it begins anew";
}

TEST_IN_CHILD(SpanCacheTest, OfOneSizeSoManyAreKept) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thread_cache, "64M"));
  for (unsigned n : {1u, 3u}) {
    for (int round = 0; round < 8; ++round) {  // the limit grows beyond
      std::vector<void*> spans(200);
      for (void*& span : spans) span = AllocSpan(n * kPage);
      PutAll(spans);
      EXPECT_EQ(Take(n * kPage), spans.back());
      EXPECT_TRUE(Put(spans.back()));
    }
    auto kept = static_cast<size_t>(hak_this_heap->span_top[n] - hak_this_heap->span_bottom[n]);
    EXPECT_EQ(kept, HAK_SPAN_CACHE_SIZE_PAGES / n);
  }
  EXPECT_EQ(CachedPages(), HAK_SPAN_CACHE_SIZE_PAGES / 1 + HAK_SPAN_CACHE_SIZE_PAGES / 3 * 3u);
}

TEST_IN_CHILD(SpanCacheTest, WhatIsDueIsDoneByAProgramThatOnlyTakesAndKeeps) {
  static int runs;
  void* span = AllocSpan(kPage);
  hak_tick_register(HAK_JOB_TELEMETRY, [] { ++runs; });
  hak_tick_set_due(HAK_JOB_TELEMETRY, 1);  // long ago
  for (int i = 0; i < HAK_SPAN_CACHE_TICK; ++i) {
    ASSERT_TRUE(Put(span));
    ASSERT_EQ(Take(kPage), span);
  }
  EXPECT_EQ(runs, 1);
}

TEST_IN_CHILD(SpanCacheTest, OptionsBoundIt) {
  void* span = AllocSpan(2 * kPage);
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thread_cache, "64K"));
  EXPECT_FALSE(Put(span));
  ASSERT_TRUE(hak_option_set(HAK_OPTION_thread_cache, "128K"));
  EXPECT_TRUE(Put(span));
  PutAll(AllocSpans(10, 2 * kPage));
  EXPECT_EQ(CachedPages(), 2u);
}

TEST_IN_CHILD(SpanCacheTest, NothingIsKeptWhereMemoryIsToGoBackAtOnce) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "0"));
  EXPECT_FALSE(Put(AllocSpan(2 * kPage)));
}

TEST_IN_CHILD(SpanCacheTest, WithoutSuperSlabsNothingIsKept) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_use_superslab, "0"));
  EXPECT_FALSE(Put(AllocSpan(2 * kPage)));
}

TEST_IN_CHILD(SpanCacheTest, AThreadThatEndsReturnsAll) {
  void* span = AllocSpan(300000);
  std::thread([span] {
    FreeSpan(span);
    EXPECT_EQ(CachedPages(), 5u) << "it waits with whoever frees it";
  }).join();
  EXPECT_EQ(hak::CountHeld().span_bytes, 0u);
  EXPECT_EQ(hak_large_usable_size(span), 0u);
  EXPECT_EQ(AllocSpan(300000), span);
}

TEST_IN_CHILD(SpanCacheTest, AChildHasWhatThreadsCachedThatAreNotHere) {
  hak::FreeBlock(hak::AllocBlock(1));  // the thread has a heap
  void* span = AllocSpan(300000);
  hak::Sleeper sleeper;
  sleeper.Do([span] { FreeSpan(span); });
  EXPECT_NE(hak::AllocSpan(300000), span);
  int pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    EXPECT_EQ(hak::AllocSpan(300000), span);
    hak::EndChild();
  }
  EXPECT_TRUE(hak::ChildPassed(pid));
}

// Blocks of all sizes, which threads hand to each other, with their contents.
void Churn(uint64_t seed, std::atomic<uint64_t*>* shared) {
  hak::Random random(seed);
  for (int i = 0; i < 3000; ++i) {
    size_t size = (1 + random.Below(HAK_SPAN_CACHE_MAX_PAGES)) * kPage;
    auto* words = static_cast<uint64_t*>(AllocSpan(size));
    ASSERT_NE(words, nullptr);
    uint64_t* last = &words[size / sizeof *words - 1];
    words[0] = size;
    words[1] = *last = random.Next();
    words = shared[random.Below(20)].exchange(words);
    if (words == nullptr) continue;
    ASSERT_EQ(words[1], words[words[0] / sizeof *words - 1]) << "somebody else wrote into it";
    words[1] = 0;
    FreeSpan(words);
  }
}

TEST_IN_CHILD(SpanCacheTest, ThreadsHandSpansToEachOther) {
  std::atomic<uint64_t*> shared[20] = {};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) threads.emplace_back([&shared, t] { Churn(60 + t, shared); });
  for (std::thread& thread : threads) thread.join();
  for (auto& span : shared) {
    if (span != nullptr) FreeSpan(span);
  }
  hak::DrainThread();
  EXPECT_EQ(hak::CountHeld().span_bytes, 0u);
}

}  // namespace
