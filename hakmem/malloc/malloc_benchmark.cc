// Micro-benchmarks of the allocator alone, by thread count. To run:
//   bazel run //hakmem:hakmem_scaling -- --benchmark_filter=Pairs
// They report; no test measures.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "hakmem/include/hakmem/hakmem.h"

namespace {

// One block at a time: the two fast paths.
void BM_Pairs(benchmark::State& state) {
  size_t size = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    void* block = hak_malloc(size);
    benchmark::DoNotOptimize(block);
    hak_free(block);
  }
  state.SetItemsProcessed(2 * state.iterations());
}

// A burst of blocks of one size, freed in the order they were taken: whole-word exchanges with the
// slabs.
void BM_Bursts(benchmark::State& state) {
  size_t size = static_cast<size_t>(state.range(0));
  std::vector<void*> blocks(static_cast<size_t>(state.range(1)));
  for (auto _ : state) {
    for (void*& block : blocks) block = hak_malloc(size);
    for (void* block : blocks) hak_free(block);
  }
  state.SetItemsProcessed(2 * state.iterations() * state.range(1));
}

// Local work: each thread toggles slots of its own at random.
void BM_Mixed(benchmark::State& state) {
  std::vector<void*> slots(8192, nullptr);
  uint64_t x = 88172645463325252u + static_cast<uint64_t>(state.thread_index());
  for (auto _ : state) {
    x ^= x << 13;  // Marsaglia, "Xorshift RNGs", 2003
    x ^= x >> 7;
    x ^= x << 17;
    void*& slot = slots[(x >> 20) % slots.size()];
    if (slot != nullptr) {
      hak_free(slot);
      slot = nullptr;
    } else {
      slot = hak_malloc(16 + (x >> 40) % 1025);
    }
  }
  for (void* block : slots) hak_free(block);
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(BM_Pairs)->Arg(16)->Arg(64)->Arg(1024)->Arg(32768)->Arg(65536);
BENCHMARK(BM_Bursts)->Args({64, 100})->Args({64, 10000})->Args({1024, 10000});
BENCHMARK(BM_Mixed)->Threads(1)->Threads(2)->Threads(4)->Threads(8)->Threads(64)->UseRealTime();

}  // namespace
