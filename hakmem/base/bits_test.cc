// Every function of bits.h against one that looks at each bit in turn.

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/base/bits.h"
}

namespace {

bool Bit(uint64_t x, unsigned i) { return i < 64 && ((x >> i) & 1) != 0; }

// Words of every density, and the ones where shifts go wrong.
std::vector<uint64_t> Words() {
  std::vector<uint64_t> words = {0, 1, 2, 3, ~uint64_t{0}, uint64_t{1} << 63, ~uint64_t{0} >> 1};
  for (unsigned i = 0; i < 64; ++i) words.push_back(~(uint64_t{1} << i));
  hak::Random random(1);
  for (int i = 0; i < 2000; ++i) {
    uint64_t x = random.Next();
    words.insert(words.end(),
                 {x, x & random.Next(), x | random.Next(), x & random.Next() & random.Next(),
                  x | random.Next() | random.Next()});
  }
  return words;
}

TEST(BitsTest, LowestHighestAndCountAgreeWithALoop) {
  for (uint64_t x : Words()) {
    unsigned count = 0, lowest = 64, highest = 64;
    for (unsigned i = 0; i < 64; ++i) {
      if (!Bit(x, i)) continue;
      if (count++ == 0) lowest = i;
      highest = i;
    }
    EXPECT_EQ(hak_bit_count(x), count);
    if (x == 0) continue;
    EXPECT_EQ(hak_lowest_bit(x), lowest);
    EXPECT_EQ(hak_highest_bit(x), highest);
  }
}

TEST(BitsTest, PowersOfTwoAreTheLowestThatSuffice) {
  EXPECT_EQ(hak_power_of_two_from(0), 1u);
  EXPECT_EQ(hak_power_of_two_from(1), 1u);
  for (unsigned power = 2; power <= 1u << 20; power *= 2) {
    EXPECT_EQ(hak_power_of_two_from(power / 2 + 1), power);
    EXPECT_EQ(hak_power_of_two_from(power), power);
  }
  EXPECT_EQ(hak_power_of_two_from((uint64_t{1} << 40) + 1), uint64_t{1} << 41);
}

TEST(BitsTest, RunHasExactlyItsBits) {
  for (unsigned first = 0; first < 64; ++first) {
    for (unsigned count = 0; first + count <= 64; ++count) {
      uint64_t run = hak_bit_run(first, count);
      for (unsigned i = 0; i < 64; ++i) {
        ASSERT_EQ(Bit(run, i), i >= first && i < first + count) << first << " " << count;
      }
    }
  }
}

TEST(BitsTest, LowestBitsTakesThatManyFromBelow) {
  for (uint64_t x : Words()) {
    for (unsigned count : {0u, 1u, 2u, 7u, 31u, 32u, 63u, 64u}) {
      uint64_t expected = 0;
      unsigned left = count;
      for (unsigned i = 0; i < 64 && left != 0; ++i) {
        if (!Bit(x, i)) continue;
        expected |= uint64_t{1} << i;
        --left;
      }
      ASSERT_EQ(hak_lowest_bits(x, count), expected) << std::hex << x << " " << count;
    }
  }
}

TEST(BitsTest, RunStartsMarksEveryPlaceWhereARunFits) {
  for (uint64_t x : Words()) {
    for (unsigned count : {1u, 2u, 3u, 4u, 5u, 8u, 13u, 16u, 31u, 32u, 33u, 63u, 64u}) {
      uint64_t starts = hak_run_starts(x, count);
      unsigned run = 0;  // ones from bit i upwards
      for (unsigned i = 64; i-- > 0;) {
        run = Bit(x, i) ? run + 1 : 0;
        ASSERT_EQ(Bit(starts, i), run >= count) << std::hex << x << " " << count << " " << i;
      }
    }
  }
}

TEST(BitsTest, LongestRunAgreesWithALoop) {
  for (uint64_t x : Words()) {
    unsigned longest = 0, run = 0;
    for (unsigned i = 0; i < 64; ++i) {
      run = Bit(x, i) ? run + 1 : 0;
      if (run > longest) longest = run;
    }
    ASSERT_EQ(hak_longest_run(x), longest) << std::hex << x;
  }
}

}  // namespace
