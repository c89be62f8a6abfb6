// The model (model.h) on operations that libFuzzer chooses, with every function of the public
// header between them: two threads that take turns, so that an input does the same each time,
// figures that must agree, samples of the heap profiler, soft limits.
//
// What an input leaves behind in the allocator, its caches and free slabs, is what the next begins
// with.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/testing/model.h"

namespace hakmem_testing {
namespace {

// Numbers from the input, as many bytes of it as each needs.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}

  uint64_t Below(uint64_t n) {
    uint64_t value = 0;
    for (uint64_t most = n - 1; most != 0; most >>= 8) value = value << 8 | Byte();
    return value % n;
  }
  bool Ended() const { return at_ == end_; }

 private:
  uint8_t Byte() { return at_ == end_ ? 0 : *at_++; }

  const uint8_t* at_;
  const uint8_t* end_;
};

bool Drop(const char*, size_t, void* context) {
  ++*static_cast<size_t*>(context);
  return true;
}

// What the figures say of memory adds up, and holds what the model knows to be live.
void CheckFigures(size_t live_bytes) {
  static hak_stats stats;
  ASSERT_TRUE(hak_stats_get(&stats, sizeof stats));
  ASSERT_LE(live_bytes, stats.allocated_bytes);
  ASSERT_LE(stats.allocated_bytes, stats.committed_bytes);
  ASSERT_LE(stats.committed_bytes, stats.reserved_bytes + stats.metadata_bytes);
  for (unsigned c = 1; hak_class_size(c) != 0; c++) {
    hak_class_stats of_class;
    ASSERT_TRUE(hak_stats_class_get(c, &of_class, sizeof of_class));
    ASSERT_EQ(of_class.capacity,
              of_class.live + of_class.free + of_class.cached + of_class.outgoing)
        << c;
  }
  hak_retention kept;
  ASSERT_TRUE(hak_retention_get(&kept, sizeof kept));
  ASSERT_EQ(kept.committed_bytes, kept.live_bytes + kept.rounding_bytes + kept.partial_slabs_bytes +
                                      kept.abandoned_bytes + kept.prewarmed_bytes +
                                      kept.thread_caches_bytes + kept.outgoing_bytes +
                                      kept.empty_pages_bytes + kept.huge_cache_bytes +
                                      kept.lost_bytes + kept.metadata_bytes);
}

void CheckSizes(size_t size) {
  size_t good = hak_good_size(size);
  ASSERT_GE(good, size);
  ASSERT_EQ(hak_good_size(good), good);
  unsigned size_class = hak_size_class(size);
  if (size_class != 0) ASSERT_EQ(hak_class_size(size_class), good);
  void* block = hak_malloc(size);
  ASSERT_NE(block, nullptr);
  ASSERT_GE(hak_usable_size(block), size);
  hak_free(block);
}

void Write(Input* input) {
  size_t pieces = 0;
  switch (input->Below(4)) {
    case 0:
      ASSERT_TRUE(hak_stats_json(Drop, &pieces));
      ASSERT_GT(pieces, 0u);
      break;
    case 1:
      ASSERT_TRUE(hak_stats_openmetrics(Drop, &pieces));
      ASSERT_GT(pieces, 0u);
      break;
    case 2: {
      int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
      ASSERT_TRUE(hak_profile_write(
          null, input->Below(2) == 0 ? HAK_PROFILE_PPROF : HAK_PROFILE_ALL_STACKS));
      close(null);
      break;
    }
    default:
      (void)hak_telemetry_write("fuzzed");  // it goes nowhere: nobody has said where to
      ASSERT_NE(hak_version(), nullptr);
  }
}

// Never a hard limit: what it refuses, the model would have to foresee.
void SetLimit(Input* input) {
  size_t soft = input->Below(3) == 0 ? HAK_NO_LIMIT : 1 + input->Below(size_t{64} << 20);
  ASSERT_TRUE(hak_memory_limit_set(soft, HAK_NO_LIMIT));
  size_t now_soft, now_hard;
  hak_memory_limit_get(&now_soft, &now_hard);
  ASSERT_EQ(now_soft, soft);
  ASSERT_EQ(now_hard, HAK_NO_LIMIT);
}

void Run(Input* input) {
  LiveRanges live;
  Mailbox to_first, to_second;
  Actor<Input> first(input, 1, &live, &to_first, &to_second);
  Actor<Input> second(input, uint64_t{1} << 32, &live, &to_second, &to_first);
  bool has_prewarmed = false;
  while (!input->Ended()) {
    uint64_t operations = 1 + input->Below(256);
    switch (input->Below(12)) {
      default:
        first.Act(operations);
        break;
      case 0:
      case 1:
      case 2:
        std::thread([&] { second.Act(operations); }).join();
        break;
      case 3:
        CheckFigures(live.Bytes());
        break;
      case 4:
        CheckSizes(input->Below(size_t{4} << 20));
        break;
      case 5:
        if (input->Below(2) == 0) {
          (void)hak_profile_start(1 + input->Below(1 << 16));
        } else {
          hak_profile_stop();
        }
        break;
      case 6:
        SetLimit(input);
        break;
      case 7:
        Write(input);
        break;
      case 8:
        if (!has_prewarmed) hak_ss_prewarm_class(1 + input->Below(64), 1);
        has_prewarmed = true;
    }
  }
  first.FreeMail();
  second.FreeMail();
  first.FreeAll();
  second.FreeAll();
  ASSERT_EQ(live.Count(), 0u);
  hak_profile_stop();
  ASSERT_TRUE(hak_memory_limit_set(HAK_NO_LIMIT, HAK_NO_LIMIT));
}

}  // namespace
}  // namespace hakmem_testing

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  testing::InitGoogleTest(argc, *argv);
  testing::GTEST_FLAG(throw_on_failure) = true;  // which nobody catches
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hakmem_testing::Input input(data, size);
  hakmem_testing::Run(&input);
  return 0;
}
