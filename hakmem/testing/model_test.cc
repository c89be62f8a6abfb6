// The model (model.h) on operations that are drawn by lot, by two threads at a time. The seed is
// printed; `--seed=N --operations=N` repeat a run by hand.

#include "hakmem/testing/model.h"

#include <gtest/gtest.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <random>
#include <string>
#include <thread>

namespace hakmem_testing {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
constexpr bool kIsSlowBuild = true;
#elif defined(__has_feature)
constexpr bool kIsSlowBuild = __has_feature(thread_sanitizer) || __has_feature(address_sanitizer);
#elif defined(HAK_DEBUG)
constexpr bool kIsSlowBuild = true;
#else
constexpr bool kIsSlowBuild = false;
#endif

uint64_t seed_option = 0;  // 0: a new one each run
uint64_t operations_option = kIsSlowBuild ? 200000 : 2000000;

// Numbers by lot, without an end.
class Lots {
 public:
  explicit Lots(uint64_t seed) : random_(seed) {}
  uint64_t Below(uint64_t n) { return random_() % n; }
  bool Ended() const { return false; }

 private:
  std::mt19937_64 random_;
};

TEST(ModelTest, LiveBlocksKeepTheirContentsAndNeverOverlap) {
  uint64_t seed = seed_option != 0 ? seed_option : std::random_device()() | 1u;
  SCOPED_TRACE("--seed=" + std::to_string(seed));
  printf("--seed=%llu --operations=%llu\n", static_cast<unsigned long long>(seed),
         static_cast<unsigned long long>(operations_option));
  LiveRanges live;
  Mailbox to_first, to_second;
  Lots first_lots(seed), second_lots(seed + 1);
  Actor<Lots> first(&first_lots, seed << 32, &live, &to_first, &to_second);
  Actor<Lots> second(&second_lots, (seed + 1) << 32, &live, &to_second, &to_first);
  // Threads come and go, so that slabs are abandoned with live blocks and adopted again.
  for (int generation = 0; generation < 4 && !HasFatalFailure(); generation++) {
    std::thread thread([&] { second.Act(operations_option / 8); });
    first.Act(operations_option / 8);
    thread.join();
  }
  if (HasFatalFailure()) return;
  first.FreeMail();
  second.FreeMail();
  first.FreeAll();
  second.FreeAll();
  EXPECT_EQ(live.Count(), 0u);
}

// "--name=N"
bool ParseOption(const char* argument, const char* name, uint64_t* value) {
  size_t length = strlen(name);
  if (strncmp(argument, name, length) != 0) return false;
  char* end;
  *value = strtoull(argument + length, &end, 10);
  return end != argument + length && *end == '\0';
}

}  // namespace
}  // namespace hakmem_testing

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; i++) {
    using namespace hakmem_testing;
    if (ParseOption(argv[i], "--seed=", &seed_option)) continue;
    if (ParseOption(argv[i], "--operations=", &operations_option)) continue;
    fprintf(stderr, "%s: not an option; there are --seed=N and --operations=N\n", argv[i]);
    return 2;
  }
  return RUN_ALL_TESTS();
}
