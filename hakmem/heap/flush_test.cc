// Freed blocks find their slab, whoever has it, in few atomic operations; misuse ends with one
// line.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "hakmem/slab/test_slabs.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/heap/flush.h"
#include "hakmem/options/options.h"
#include "hakmem/superslab/spare.h"
}

namespace {

using hak::BlockAt;
using hak::MakeHeap;
using hak::OwnSlab;
using hak::TakeAllOwned;
using hak::TakeBlocks;

void Flush(hak_heap_t* heap, const std::vector<void*>& blocks) {
  hak_flush_blocks(heap, blocks.data(), static_cast<unsigned>(blocks.size()));
}

void Shuffle(std::vector<void*>* blocks, hak::Random* random) {
  for (size_t i = blocks->size(); i > 1; --i)
    std::swap((*blocks)[i - 1], (*blocks)[random->Below(i)]);
}

int CountSlabs() {
  int slabs = 0;
  hak_lock_acquire(&hak_backend_lock);
  hak_super_visit_slabs([](hak_run_t*, void* n) { ++*static_cast<int*>(n); }, &slabs);
  hak_lock_release(&hak_backend_lock);
  return slabs;
}

uint64_t Atomics(const hak_heap_t* heap) { return hak_counter_read(&heap->atomics); }

TEST_IN_CHILD(FlushTest, BlocksOfManySlabsInAnyOrderFindTheirWay) {
  hak::Random random(70);
  hak_heap_t* self = MakeHeap();
  hak_heap_t* other = MakeHeap();
  std::vector<void*> blocks;
  std::vector<hak_slab_t*> own, others, unowned;
  for (unsigned c = 1; c < HAK_N_CLASSES; c += 5) {
    own.push_back(OwnSlab(self, c));
    others.push_back(OwnSlab(other, c));
    unowned.push_back(hak_slab_create(c, nullptr));
    for (hak_slab_t* slab : {own.back(), others.back()}) {
      std::vector<void*> all = TakeAllOwned(slab == own.back() ? self : other, slab);
      all.pop_back();  // one stays live, so that no slab is given back
      blocks.insert(blocks.end(), all.begin(), all.end());
    }
    std::vector<void*> all = TakeBlocks(unowned.back(), unowned.back()->capacity);
    all.pop_back();
    blocks.insert(blocks.end(), all.begin(), all.end());
  }
  Shuffle(&blocks, &random);
  for (size_t at = 0; at < blocks.size();) {
    size_t n = std::min<size_t>(1 + random.Below(600), blocks.size() - at);
    hak_flush_blocks(self, &blocks[at], static_cast<unsigned>(n));
    at += n;
  }
  for (hak_slab_t* slab : own) EXPECT_EQ(slab->free_count, slab->capacity - 1);
  for (hak_slab_t* slab : unowned) EXPECT_EQ(slab->free_count, slab->capacity - 1);
  for (hak_slab_t* slab : others) EXPECT_EQ(slab->free_count, 0);
  hak_flush_pending(other);
  for (hak_slab_t* slab : others) {
    EXPECT_EQ(slab->free_count, slab->capacity - 1);
    EXPECT_EQ(slab->uncounted, 0u);
  }
}

// Who frees into a slab that nobody owns, and has come to know its class, takes it over if at least
// half is live: later frees take no lock. A thread that never allocates such blocks leaves it.
TEST_IN_CHILD(FlushTest, AnUnownedSlabBecomesItsFreersWhoKnowsTheClass) {
  const unsigned capacity = hak_class_info(20)->slab_blocks;
  for (bool knows_class : {false, true}) {
    for (unsigned n_free : {0u, 3u, capacity / 2, capacity / 2 + 1}) {
      hak_heap_t* self = MakeHeap();
      hak_bin_t* bin = &self->bins[20];
      bin->shared_refills = knows_class ? HAK_SLOW_START_REFILLS : HAK_SLOW_START_REFILLS - 1;
      hak_slab_t* slab = hak_slab_create(20, nullptr);
      std::vector<void*> blocks = TakeBlocks(slab, slab->capacity - n_free);
      hak_central_abandon(slab);
      Flush(self, {blocks[0]});
      bool takes = knows_class && n_free <= capacity / 2;
      EXPECT_EQ(hak_load_acquire(&slab->owner), takes ? self : nullptr);
      EXPECT_EQ(slab->free_count, n_free + 1);
      EXPECT_EQ(bin->partial.first, takes ? slab : nullptr);
      EXPECT_EQ(bin->n_slabs, takes ? 1u : 0u);
      hak_lock_counts_t before = {}, after = {};
      hak_central_count_locks(&before);
      Flush(self, {blocks[1]});
      hak_central_count_locks(&after);
      EXPECT_EQ(after.acquisitions - before.acquisitions, takes ? 0u : 1u);
      EXPECT_EQ(slab->free_count, n_free + 2);
    }
  }
}

// A whole word of blocks, freed by another thread, costs two atomic operations: its count, and the
// news to the owner.
TEST_IN_CHILD(FlushTest, OneBatchIsFewAtomicOperations) {
  hak_heap_t* self = MakeHeap();
  hak_heap_t* other = MakeHeap();
  std::vector<void*> blocks = TakeAllOwned(other, OwnSlab(other, 1));
  uint64_t before = Atomics(self);
  Flush(self, std::vector<void*>(blocks.begin(), blocks.begin() + 64));
  EXPECT_EQ(Atomics(self) - before, 2u);
  before = Atomics(self);
  Flush(self, std::vector<void*>(blocks.begin() + 64, blocks.begin() + 74));
  EXPECT_EQ(Atomics(self) - before, 2u) << "the bits and the count; the owner knows already";
  EXPECT_EQ(hak_counter_read(&self->bins[1].remote_frees), 74u);
}

// ---- memory that waits for an owner which does not come ----

constexpr unsigned kLargeClass = 32;

// Slabs of another heap, all of whose blocks hold memory.
class Foreign {
 public:
  explicit Foreign(size_t bytes) : owner_(MakeHeap()) {
    while (owner_->owned_bytes < bytes) {
      slabs_.push_back(OwnSlab(owner_, kLargeClass));
      for (void* block : TakeAllOwned(owner_, slabs_.back())) {
        memset(block, 1, hak_class_info(kLargeClass)->block_bytes);
        blocks_.push_back(block);
      }
    }
  }
  size_t ResidentBytes() const {
    size_t n = 0, os_page = hak_platform_os_page_bytes();
    for (const hak_slab_t* slab : slabs_) {
      for (size_t at = 0; at < hak_slab_bytes(slab); at += os_page) {
        n += hak::IsResident(reinterpret_cast<void*>(slab->run.base + at)) ? os_page : 0;
      }
    }
    return n;
  }
  hak_heap_t* owner() const { return owner_; }
  const std::vector<hak_slab_t*>& slabs() const { return slabs_; }
  const std::vector<void*>& blocks() const { return blocks_; }

 private:
  hak_heap_t* owner_;
  std::vector<hak_slab_t*> slabs_;
  std::vector<void*> blocks_;
};

// No time passes, and the owner does nothing.
TEST_IN_CHILD(FlushTest, WhatOthersFreeGoesBackThoughTheOwnerSleeps) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "3600s"));
  Foreign foreign(16 * HAK_MIB);
  hak_heap_t* self = MakeHeap();
  EXPECT_GE(foreign.ResidentBytes(), 15 * HAK_MIB);
  std::vector<void*> blocks = foreign.blocks();
  void* live = blocks.back();  // in a slab that stays as it is
  blocks.pop_back();
  Flush(self, blocks);
  EXPECT_LE(foreign.ResidentBytes(), HAK_SPARE_LEAST_BYTES + 2 * HAK_MIB);
  // The owner finds all of it, and may use it.
  size_t committed = hak_spare_committed_bytes();
  hak_flush_pending(foreign.owner());
  EXPECT_EQ(CountSlabs(), static_cast<int>(foreign.owner()->bins[kLargeClass].n_slabs));
  EXPECT_LE(foreign.owner()->owned_bytes, 16 * HAK_MIB / 4);
  EXPECT_LE(hak_spare_committed_bytes(), committed - 8 * HAK_MIB) << "nobody gives it back twice";
  Flush(self, {live});
  hak_flush_pending(foreign.owner());
}

TEST_IN_CHILD(FlushTest, WhatOthersFreeStaysWhereABlockIsLive) {
  ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "3600s"));
  Foreign foreign(8 * HAK_MIB);
  hak_heap_t* self = MakeHeap();
  unsigned capacity = foreign.slabs()[0]->capacity;
  for (bool is_live_freed : {false, true}) {
    for (size_t i = 0; i < foreign.blocks().size(); ++i) {
      if ((i % capacity == 0) == is_live_freed) Flush(self, {foreign.blocks()[i]});
    }
    if (is_live_freed) break;
    EXPECT_GE(foreign.ResidentBytes(), 7 * HAK_MIB);
    for (size_t i = 0; i < foreign.blocks().size(); i += capacity) {
      EXPECT_EQ(*static_cast<char*>(foreign.blocks()[i]), 1);
    }
  }
  EXPECT_LE(foreign.ResidentBytes(), HAK_SPARE_LEAST_BYTES + 2 * HAK_MIB);
}

TEST_IN_CHILD(FlushTest, AnEmptySlabStaysInReserveUntilTheNextOne) {
  hak_heap_t* heap = MakeHeap();
  hak_slab_t* a = OwnSlab(heap, 10);
  hak_slab_t* b = OwnSlab(heap, 10);
  std::vector<void*> of_a = TakeAllOwned(heap, a), of_b = TakeAllOwned(heap, b);
  Flush(heap, of_a);
  EXPECT_TRUE(hak::IsMapped(of_a[0])) << "it would only be fetched again";
  EXPECT_EQ(heap->bins[10].n_slabs, 2u);
  EXPECT_EQ(heap->bins[10].reserve.first, a);
  Flush(heap, of_b);
  EXPECT_FALSE(hak::IsMapped(of_a[0]));
  EXPECT_EQ(heap->bins[10].n_slabs, 1u);
  EXPECT_EQ(heap->owned_bytes, size_t{b->run.n_pages} << HAK_PAGE_SHIFT);
  EXPECT_EQ(heap->bins[10].reserve.first, b);
  EXPECT_EQ(heap->bins[10].partial.first, nullptr);
  EXPECT_EQ(heap->bins[10].full.first, nullptr);
}

// A quarter of the slabs there are may be empty; when they get fewer, so does the reserve.
TEST_IN_CHILD(FlushTest, TheReserveShrinksWithTheSlabs) {
  constexpr unsigned kSlabs = 20;
  hak_heap_t* heap = MakeHeap();
  hak_bin_t* bin = &heap->bins[10];
  std::vector<std::vector<void*>> blocks;
  for (unsigned i = 0; i < kSlabs; ++i) blocks.push_back(TakeAllOwned(heap, OwnSlab(heap, 10)));
  for (unsigned i = 0; i < kSlabs; ++i) {
    Flush(heap, blocks[i]);
    if (i < kSlabs / 4) {
      EXPECT_EQ(bin->n_slabs, kSlabs);
    }
    EXPECT_LE(bin->n_reserve, bin->n_slabs / 4 > 1 ? bin->n_slabs / 4 : 1);
  }
  EXPECT_EQ(bin->n_slabs, 1u);
  EXPECT_EQ(bin->n_reserve, 1u);
}

// Of classes that share lines; of others the page map says nothing more than before.
TEST_IN_CHILD(FlushTest, ASlabWhoseBlocksTravelIsKnownForIt) {
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    hak_heap_t* self = MakeHeap();
    hak_heap_t* other = MakeHeap();
    std::vector<void*> blocks = TakeAllOwned(other, OwnSlab(other, c));
    EXPECT_EQ(hak_page_map_class(blocks[0]), c);
    Flush(other, {blocks[0]});
    EXPECT_EQ(hak_page_map_class(blocks[0]), c) << "its owner's";
    EXPECT_FALSE(hak_flush_foreign(other, blocks[1]));
    Flush(self, {blocks[1]});
    unsigned now = hak_page_map_class(blocks[0]);
    EXPECT_EQ(now, c <= HAK_N_LINE_CLASSES ? hak_class_outgoing(c) : c);
    EXPECT_EQ(hak_class_proper(now), c);
    EXPECT_TRUE(hak_flush_foreign(self, blocks[2]));
    blocks.erase(blocks.begin(), blocks.begin() + 3);
    Flush(other, blocks);
    hak_flush_pending(other);
    hak_flush_return_reserve(other, c);
    EXPECT_EQ(hak_page_map_class(blocks[0]), 0u);
    hak_slab_t* next = OwnSlab(other, c);
    EXPECT_EQ(hak_page_map_class(BlockAt(next, 0)), c) << "another slab";
  }
}

TEST_IN_CHILD(FlushTest, AThreadWithoutAHeapFreesToo) {
  hak_heap_t* other = MakeHeap();
  hak_slab_t* owned = OwnSlab(other, 10);
  hak_slab_t* unowned = hak_slab_create(11, nullptr);
  std::vector<void*> of_owned = TakeAllOwned(other, owned);
  std::vector<void*> of_unowned = TakeBlocks(unowned, unowned->capacity);
  for (void* block : of_owned) hak_flush_block(nullptr, block);
  for (void* block : of_unowned) hak_flush_block(nullptr, block);
  EXPECT_FALSE(hak::IsMapped(of_unowned[0]));
  hak_flush_pending(other);
  EXPECT_TRUE(hak_slab_is_idle(owned));
}

// ---- an owner that ends ----

// Takes a slab out of its owner's lists, as a thread does that ends.
void Abandon(hak_heap_t* heap, hak_slab_t* slab) {
  hak_bin_t* bin = &heap->bins[slab->run.size_class];
  hak_slab_list_remove(slab->free_count == 0 ? &bin->full : &bin->partial, slab);
  hak_central_abandon(slab);
}

TEST_IN_CHILD(FlushTest, NewsReachesASlabWhoseOwnerEnded) {
  hak_heap_t* self = MakeHeap();
  // Freed before the owner ends, between its giving the slab up and closing, and after it closed.
  for (int when = 0; when < 3; ++when) {
    hak_heap_t* other = MakeHeap();
    hak_slab_t* slab = OwnSlab(other, 10);
    std::vector<void*> blocks = TakeAllOwned(other, slab);
    if (when == 0) Flush(self, blocks);
    Abandon(other, slab);
    if (when == 1) Flush(self, blocks);
    hak_flush_close(other);
    if (when == 2) Flush(self, blocks);
    EXPECT_FALSE(hak::IsMapped(blocks[0])) << when;
    EXPECT_EQ(hak_load_relaxed(&other->pending), HAK_PENDING_CLOSED);
  }
}

// The slab waits on its old owner's stack when a third heap adopts it: the old owner passes the
// news on, whether it goes on or ends.
TEST_IN_CHILD(FlushTest, NewsFollowsASlabThatChangedHands) {
  for (bool ends : {false, true}) {
    hak_heap_t* self = MakeHeap();
    hak_heap_t* old_owner = MakeHeap();
    hak_heap_t* new_owner = MakeHeap();
    hak_slab_t* slab = OwnSlab(old_owner, 10);
    std::vector<void*> blocks = TakeBlocks(slab, 8);
    Flush(self, blocks);  // on the old owner's stack now
    Abandon(old_owner, slab);
    ASSERT_EQ(hak_central_adopt(10, new_owner), slab);
    new_owner->bins[10].n_slabs++;
    hak_slab_list_append(&new_owner->bins[10].partial, slab);
    EXPECT_FALSE(hak_slab_is_idle(slab));
    if (ends) {
      hak_flush_close(old_owner);
    } else {
      hak_flush_pending(old_owner);
    }
    EXPECT_NE(hak_load_relaxed(&new_owner->pending), HAK_PENDING_NONE);
    hak_flush_pending(new_owner);
    EXPECT_TRUE(hak_slab_is_idle(slab));
  }
}

// ---- threads ----

// Four owners, each also freeing what the others hand out, while heaps close and open again: every
// block comes back, every slab goes back.
TEST_IN_CHILD(FlushTest, BlocksFreedAcrossHeapsThatComeAndGoAllComeBack) {
  constexpr unsigned kThreads = 4;
  std::mutex mutex;
  std::vector<void*> shared;  // under mutex: blocks for anybody to free
  std::atomic<unsigned> allocating{kThreads};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      hak::Random random(80 + t);
      auto free_some = [&](hak_heap_t* heap, size_t most) {
        std::vector<void*> mine;
        {
          std::lock_guard<std::mutex> guard(mutex);
          size_t n = std::min(most, shared.size());
          mine.assign(shared.end() - static_cast<ptrdiff_t>(n), shared.end());
          shared.resize(shared.size() - n);
        }
        for (void* block : mine) {
          ASSERT_EQ(*static_cast<void**>(block), block);
          *static_cast<void**>(block) = nullptr;
        }
        Flush(heap, mine);
      };
      for (int life = 0; life < 12; ++life) {
        hak_heap_t* heap = MakeHeap();
        std::vector<hak_slab_t*> slabs;
        for (unsigned c : {1u, 20u, 40u}) {
          hak_slab_t* slab = hak_central_adopt(c, heap);
          if (slab == nullptr) {
            slab = OwnSlab(heap, c);
          } else {
            heap->bins[c].n_slabs++;
            hak_slab_list_append(&heap->bins[c].partial, slab);
          }
        }
        for (int i = 0; i < 40; ++i) {
          for (unsigned c : {1u, 20u, 40u}) {
            hak_slab_t* slab = heap->bins[c].partial.first;
            if (slab == nullptr) continue;
            std::vector<void*> blocks =
                TakeBlocks(slab, static_cast<unsigned>(1 + random.Below(60)));
            if (slab->free_count == 0) {
              hak_slab_list_remove(&heap->bins[c].partial, slab);
              hak_slab_list_append(&heap->bins[c].full, slab);
            }
            for (void* block : blocks) *static_cast<void**>(block) = block;
            std::lock_guard<std::mutex> guard(mutex);
            shared.insert(shared.end(), blocks.begin(), blocks.end());
          }
          free_some(heap, 100);
          hak_flush_pending(heap);
        }
        for (unsigned c : {1u, 20u, 40u}) {
          hak_bin_t* bin = &heap->bins[c];
          while (bin->partial.first != nullptr) Abandon(heap, bin->partial.first);
          while (bin->full.first != nullptr) Abandon(heap, bin->full.first);
          while (bin->reserve.first != nullptr) {
            hak_slab_t* slab = bin->reserve.first;
            hak_flush_disown(heap, &bin->reserve, slab);
            hak_central_abandon(slab);
          }
          bin->n_reserve = 0;
        }
        hak_flush_close(heap);
      }
      --allocating;
      while (allocating != 0) free_some(nullptr, 50);
    });
  }
  for (std::thread& thread : threads) thread.join();
  Flush(nullptr, shared);
  EXPECT_EQ(CountSlabs(), 0);
}

// ---- misuse ----

TEST(FlushDeathTest, MisuseEndsWithOneLineThatNamesTheBlock) {
  struct Case {
    const char* name;
    void (*act)();
    const char* message;
  };
  static int foreign;
  const char double_free[] = "hakmem: double free: 0x[0-9a-f]+ \\(.*\\), in thread [0-9]+\n";
  const char inside[] =
      "hakmem: free of a pointer inside a block: 0x[0-9a-f]+ \\(.*\\), in thread [0-9]+\n";
  const char not_ours[] =
      "hakmem: free of a pointer that is not ours: 0x[0-9a-f]+ \\(static memory, or another "
      "malloc's, in the program itself\\), in thread [0-9]+\n";
  const Case cases[] = {
      {"twice in a batch",
       [] {
         hak_heap_t* heap = MakeHeap();
         void* block = TakeBlocks(OwnSlab(heap, 10), 2)[0];
         Flush(heap, {block, block});
       },
       double_free},
      {"twice in two batches",
       [] {
         hak_heap_t* heap = MakeHeap();
         void* block = TakeBlocks(OwnSlab(heap, 10), 2)[0];
         Flush(heap, {block});
         Flush(heap, {block});
       },
       double_free},
      {"twice remotely",
       [] {
         void* block = TakeBlocks(OwnSlab(MakeHeap(), 10), 2)[0];
         Flush(MakeHeap(), {block});
         Flush(MakeHeap(), {block});
       },
       double_free},
      {"remotely and by the owner",
       [] {
         hak_heap_t* owner = MakeHeap();
         void* block = TakeBlocks(OwnSlab(owner, 10), 2)[0];
         Flush(owner, {block});
         Flush(MakeHeap(), {block});
         hak_flush_pending(owner);
       },
       double_free},
      {"twice, unowned",
       [] {
         void* block = TakeBlocks(hak_slab_create(10, nullptr), 2)[0];
         Flush(nullptr, {block});
         Flush(nullptr, {block});
       },
       double_free},
      {"never allocated",
       [] {
         hak_heap_t* heap = MakeHeap();
         Flush(heap, {BlockAt(OwnSlab(heap, 10), 5)});
       },
       double_free},
      {"inside",
       [] {
         hak_heap_t* heap = MakeHeap();
         Flush(heap, {static_cast<char*>(TakeBlocks(OwnSlab(heap, 10), 1)[0]) + 16});
       },
       inside},
      {"misaligned",
       [] {
         hak_heap_t* heap = MakeHeap();
         Flush(heap, {static_cast<char*>(TakeBlocks(OwnSlab(heap, 10), 1)[0]) + 1});
       },
       inside},
      {"the slab's tail",
       [] {
         hak_heap_t* heap = MakeHeap();
         hak_slab_t* slab = OwnSlab(heap, 10);
         Flush(heap, {BlockAt(slab, slab->capacity)});
       },
       inside},
      {"foreign", [] { Flush(nullptr, {&foreign}); }, not_ours},
      {"a span",
       [] {
         bool dirty = false;
         Flush(nullptr, {reinterpret_cast<void*>(hak_super_take_run(2, 1, 0, &dirty)->base)});
       },
       "hakmem: free of a pointer where no block is: 0x[0-9a-f]+ .*\n"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EXIT(c.act(), testing::KilledBySignal(SIGABRT), testing::MatchesRegex(c.message));
  }
}

}  // namespace
