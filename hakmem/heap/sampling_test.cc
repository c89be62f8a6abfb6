// Which allocations are sampled: as often as they should be, and independently.

extern "C" {
#include "hakmem/heap/sampling.h"

#include "hakmem/heap/cache.h"
}

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "hakmem/heap/test_blocks.h"

namespace {

constexpr uint64_t kIntervals[] = {1, 100, 4096, 512 << 10};

TEST(Sampling, AWeightIsOneOverTheProbability) {
  for (uint64_t interval : kIntervals) {
    for (double bytes = 16; bytes < 1e12; bytes *= 1.7) {
      double expected = -1 / std::expm1(-std::floor(bytes) / static_cast<double>(interval));
      double weight = hak_sampling_weight(static_cast<uint64_t>(bytes), interval);
      EXPECT_NEAR(weight / expected, 1, 1e-12) << bytes << " at " << interval;
    }
  }
}

// The number of samples of n allocations is binomial.
void ExpectRate(uint64_t samples, uint64_t n, double p, const char* what) {
  double deviation = std::sqrt(static_cast<double>(n) * p * (1 - p));
  EXPECT_NEAR(static_cast<double>(samples), static_cast<double>(n) * p, 4.5 * deviation + 1e-9)
      << what;
}

double Objects(unsigned size_class) {
  return static_cast<double>(hak_load_relaxed(&hak_sampling_classes[size_class].objects)) /
         (1 << HAK_OBJECTS_SHIFT);
}

TEST(Sampling, StepsAndDrawsHaveTheProbability) {
  constexpr uint64_t kN = 400000;
  for (uint64_t interval : kIntervals) {
    hak_sampling_begin(interval, 42);
    for (unsigned c : {1u, 7u, 40u, 72u}) {
      uint64_t bytes = hak_class_info(c)->block_bytes;
      double p = 1 / hak_sampling_weight(bytes, interval);
      int64_t hazard = hak_load_relaxed(&hak_sampling_classes[c].refill_hazard);
      hak_sampler_t sampler = {};
      uint64_t single = 0, many = 0, drawn = 0, without_heap = 0, n_many = 0;
      for (uint64_t i = 0; i < kN; ++i) {
        single += hak_sampling_step(&sampler, hazard);
        bool is_due;
        n_many += hak_sampling_steps(&sampler, hazard, static_cast<unsigned>(1 + i % 7), &is_due);
        many += is_due;
        drawn += hak_sampling_draw(&sampler, bytes);
        without_heap += hak_sampling_draw(nullptr, bytes);
      }
      ExpectRate(single, kN, p, "step");
      ExpectRate(many, n_many, p, "steps");
      ExpectRate(drawn, kN, p, "draw");
      ExpectRate(without_heap, kN, p, "draw without a heap");
      EXPECT_NEAR(Objects(c), 1 / p, 1e-4 / p);
    }
    hak_sampling_end();
  }
}

// A page is watched with the share's probability, and a free there is sampled with the rest.
TEST(Sampling, TheShareOfPagesAndTheHazardOfFreesMakeTheProbability) {
  for (uint64_t interval : kIntervals) {
    hak_sampling_begin(interval, 42);
    for (unsigned c : {1u, 7u, 40u, 72u}) {
      double p = 1 / hak_sampling_weight(hak_class_info(c)->block_bytes, interval);
      double share = std::min(1.0, std::max(4 * p, 1.0 / 256));
      double hazard = static_cast<double>(hak_load_relaxed(&hak_free_hazards[c]));
      double q = -std::expm1(-std::ldexp(hazard, -HAK_HAZARD_SHIFT));
      EXPECT_NEAR(share * q / p, 1, 1e-4) << "class " << c << " at " << interval;
      int watched = 0;
      constexpr int kSlabs = 2000;
      for (int i = 0; i < kSlabs; ++i) {
        hak_sampling_draw_pages();
        hak_slab_t* slab = hak_slab_create(c, nullptr);
        unsigned entry = hak_page_map_class(reinterpret_cast<void*>(slab->run.base));
        EXPECT_EQ(hak_class_proper(entry), c);
        watched += hak_class_is_watched(entry);
        hak_slab_destroy(slab);
      }
      ExpectRate(static_cast<uint64_t>(watched), kSlabs, share, "watched when made");
    }
    hak_sampling_end();
  }
}

TEST(Sampling, PagesAreDrawnAnewAndAllEndsWithIt) {
  std::vector<hak_slab_t*> slabs;
  for (int i = 0; i < 1000; ++i) slabs.push_back(hak_slab_create(7, nullptr));
  auto watched = [&] {
    uint64_t n = 0;
    for (hak_slab_t* slab : slabs) {
      n += hak_class_is_watched(hak_page_map_class(reinterpret_cast<void*>(slab->run.base)));
    }
    return n;
  };
  EXPECT_EQ(watched(), 0u);
  hak_sampling_begin(4096, 42);
  uint64_t total = 0, unlike = 0, before = watched();
  for (int i = 0; i < 50; ++i) {
    hak_sampling_draw_pages();
    total += watched();
    unlike += watched() != before;
    before = watched();
  }
  double p = 1 / hak_sampling_weight(112, 4096);
  ExpectRate(total, 50 * slabs.size(), 4 * p, "watched");
  EXPECT_GT(unlike, 10u);
  hak_sampling_end();
  EXPECT_EQ(watched(), 0u);
  for (hak_slab_t* slab : slabs) hak_slab_destroy(slab);
}

TEST(Sampling, NothingIsSampledWhileItIsOff) {
  hak_sampler_t sampler = {};
  EXPECT_FALSE(hak_sampling_draw(&sampler, UINT64_C(1) << 40));
  EXPECT_FALSE(hak_sampling_is_on());
}

// Tokens come with a block each, and go with it wherever it goes.
TEST(Sampling, ATokenBelongsToABlock) {
  hak_sampling_begin(1 << 20, 42);
  hak_heap_t* heap = hak::ThisHeap();
  std::vector<void*> blocks;
  for (int i = 0; i < 5000; ++i) blocks.push_back(hak::AllocBlock(7));
  for (void* block : blocks) {
    hak::FreeBlock(block);
    hak_cache_put_token(block, heap, 7);
  }
  unsigned tokens = 0;
  std::set<void*> seen;
  for (void*& block : blocks) {
    bool has_token = false;
    block = hak_magazine_pop(heap->top, 7);
    if (block == nullptr) block = hak_cache_refill(heap, 7, &has_token);
    ASSERT_NE(block, nullptr);
    tokens += has_token;
    EXPECT_TRUE(seen.insert(block).second) << "handed out twice";
  }
  EXPECT_GT(tokens, 20u) << "what the magazine held";
  EXPECT_LE(tokens, 2048u);
  for (void* block : blocks) {
    hak::FreeBlock(block);
    hak_cache_put_token(block, heap, 7);
  }
  hak::DrainThread();
  hak_sampling_end();
  EXPECT_EQ(hak::CountSlabs().all, hak::CountSlabs().empty);
}

}  // namespace
