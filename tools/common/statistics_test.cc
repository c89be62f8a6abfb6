// Expected values come from elsewhere: binomial sums in whole numbers, enumeration of every choice
// of ranks, and figures published with R.

extern "C" {
#include "tools/common/statistics.h"
}

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

double median(std::vector<double> values) { return hp_median(values.data(), values.size()); }

TEST(StatsTest, MedianOfOddEvenAndNone) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(median({7}), 7);
  EXPECT_TRUE(std::isnan(median({})));
}

// The largest k with 2 P(Binomial(n, 1/2) < k) <= 1/20, in whole numbers.
size_t rank_by_counting(unsigned n) {
  std::vector<unsigned __int128> choose = {1};
  for (unsigned row = 1; row <= n; row++) {
    choose.push_back(0);
    for (unsigned i = row; i > 0; i--) choose[i] += choose[i - 1];
  }
  unsigned __int128 tail = 0;
  for (unsigned k = 0; k <= n; k++) {
    tail += choose[k];
    if (40 * tail > (static_cast<unsigned __int128>(1) << n)) return k;
  }
  return 0;
}

TEST(StatsTest, IntervalRanksAreThoseOfTheBinomialDistribution) {
  for (unsigned n = 0; n <= 100; n++) {
    EXPECT_EQ(hp_interval_rank(n), n == 0 ? 0 : rank_by_counting(n)) << n;
  }
  // The usual tables.
  EXPECT_EQ(hp_interval_rank(5), 0u);
  EXPECT_EQ(hp_interval_rank(6), 1u);
  EXPECT_EQ(hp_interval_rank(10), 2u);
  EXPECT_EQ(hp_interval_rank(20), 6u);
}

TEST(StatsTest, IntervalTakesTheRankedValues) {
  std::vector<double> ten = {10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
  hp_interval interval = hp_median_interval(ten.data(), ten.size());
  EXPECT_EQ(interval.low, 2);
  EXPECT_EQ(interval.high, 9);
  std::vector<double> five = {1, 2, 3, 4, 5};
  EXPECT_TRUE(std::isnan(hp_median_interval(five.data(), five.size()).low));
}

// The share of all ways to choose which values are the first sample's whose rank sum is at least as
// far from its mean, by enumeration of bit sets.
double p_by_enumeration(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> all = a;
  all.insert(all.end(), b.begin(), b.end());
  size_t n = all.size();
  std::vector<double> rank(n);
  for (size_t i = 0; i < n; i++) {
    double below = 0;
    double equal = 0;
    for (double other : all) {
      below += other < all[i];
      equal += other == all[i];
    }
    rank[i] = below + (equal + 1) / 2;
  }
  double mean = static_cast<double>(a.size()) * static_cast<double>(n + 1) / 2;
  auto distance = [&](unsigned bits) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (bits >> i & 1) != 0 ? rank[i] : 0;
    return std::fabs(sum - mean);
  };
  double seen = distance((1u << a.size()) - 1);
  double far = 0;
  double ways = 0;
  for (unsigned bits = 0; bits < 1u << n; bits++) {
    if (static_cast<size_t>(__builtin_popcount(bits)) != a.size()) continue;
    ways++;
    far += distance(bits) >= seen - 1e-9;
  }
  return far / ways;
}

double p_of(const std::vector<double>& a, const std::vector<double>& b) {
  return hp_mann_whitney(a.data(), a.size(), b.data(), b.size());
}

TEST(StatsTest, ExactMannWhitneyEqualsEnumeration) {
  unsigned state = 12345;
  for (unsigned round = 0; round < 60; round++) {
    auto draw = [&](unsigned values) {
      state = state * 1103515245 + 12345;
      return static_cast<double>(state >> 16 & 0x7fff) / 32768 * values;
    };
    std::vector<double> a(1 + round % 6);
    std::vector<double> b(1 + round % 7);
    // Every other round few whole numbers, so that there are ties.
    for (double& value : a) value = round % 2 ? std::floor(draw(4)) : draw(1);
    for (double& value : b) value = round % 2 ? std::floor(draw(4)) + 1 : draw(1) + 0.3;
    EXPECT_NEAR(p_of(a, b), p_by_enumeration(a, b), 1e-12) << round;
  }
}

TEST(StatsTest, MannWhitneyAsPublished) {
  // R's example of wilcox.test: W = 35, one-sided p = 0.1272.
  EXPECT_NEAR(p_of({0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46},
                   {1.15, 0.88, 0.90, 0.74, 1.21}),
              0.2544, 0.0001);
  EXPECT_NEAR(p_of({1, 2, 3}, {4, 5, 6}), 2.0 / 20, 1e-12);
  EXPECT_NEAR(p_of({1, 2, 3, 4}, {5, 6, 7, 8}), 2.0 / 70, 1e-12);
  EXPECT_EQ(p_of({1, 1, 1}, {1, 1, 1}), 1);
  EXPECT_TRUE(std::isnan(p_of({}, {1})));
}

TEST(StatsTest, MannWhitneyIsSymmetric) {
  std::vector<double> a = {5, 1, 4, 4, 9, 2};
  std::vector<double> b = {3, 4, 8, 8, 7};
  EXPECT_DOUBLE_EQ(p_of(a, b), p_of(b, a));
}

TEST(StatsTest, NormalApproximationMeetsTheExactTest) {
  // 25 + 25 is exact, 26 + 26 approximate; shifted by the same share they must nearly agree.
  auto shifted = [](size_t n) {
    std::vector<double> a;
    std::vector<double> b;
    for (size_t i = 0; i < n; i++) {
      a.push_back(static_cast<double>(i) / static_cast<double>(n));
      b.push_back(static_cast<double>(i) / static_cast<double>(n) + 0.171);
    }
    return p_of(a, b);
  };
  EXPECT_NEAR(shifted(25), shifted(26), 0.01);
  EXPECT_GT(shifted(26), 0.001);
}

TEST(StatsTest, FloorIsTheLeastP) {
  EXPECT_NEAR(hp_mann_whitney_floor(3, 3), 0.1, 1e-9);
  EXPECT_NEAR(hp_mann_whitney_floor(4, 4), 2.0 / 70, 1e-9);
  EXPECT_NEAR(hp_mann_whitney_floor(1, 1), 1, 1e-9);
  EXPECT_EQ(hp_mann_whitney_floor(0, 9), 1);
}

TEST(StatsTest, GeometricMean) {
  std::vector<double> values = {2, 8, 4};
  EXPECT_DOUBLE_EQ(hp_geometric_mean(values.data(), 3), 4);
  values = {1.1, 1 / 1.1};
  EXPECT_NEAR(hp_geometric_mean(values.data(), 2), 1, 1e-15);
  values = {1, 0};
  EXPECT_TRUE(std::isnan(hp_geometric_mean(values.data(), 2)));
  EXPECT_TRUE(std::isnan(hp_geometric_mean(nullptr, 0)));
}

TEST(StatsTest, ShareIntervalIsWilsons) {
  hp_interval half = hp_share_interval(0.5, 100);
  EXPECT_NEAR(half.low, 0.4038, 0.0001);
  EXPECT_NEAR(half.high, 0.5962, 0.0001);
  hp_interval none = hp_share_interval(0, 10);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.2775, 0.0001);
  EXPECT_TRUE(std::isnan(hp_share_interval(0.5, 0).low));
  EXPECT_TRUE(std::isnan(hp_share_interval(NAN, 10).low));
}

}  // namespace
