// The statistics of the tools: all of them, and nothing else. Pure functions of plain arrays; NaN
// in a result says that the numbers given cannot answer.

#ifndef HAKMEM_TOOLS_COMMON_STATISTICS_H_
#define HAKMEM_TOOLS_COMMON_STATISTICS_H_

#include <stddef.h>

typedef struct hp_interval {
  double low;
  double high;
} hp_interval;

// Half the way between the middle two for an even count. Sorts `values`.
double hp_median(double* values, size_t count);

// The distribution-free interval of the median, at least 95 % sure: from the k-th smallest value to
// the k-th largest, k as large as the binomial distribution allows. NaN below 6 values, where even
// smallest to largest is less sure. Sorts `values`.
hp_interval hp_median_interval(double* values, size_t count);

// The rank k (from 1) of that interval; 0 where there is none.
size_t hp_interval_rank(size_t count);

// Two-sided sign test: the chance that of so many coins at least so uneven a part shows one side.
// With equals left out, below 0.05 just where the interval of the median leaves out 0.
double hp_sign_test(size_t above, size_t below);

// Two-sided Mann-Whitney U test: the chance of ranks at least this far apart if both came from one
// distribution. Exact, ties included, up to 50 values in all; beyond that the normal approximation
// with tie and continuity corrections. NaN where a side is empty.
double hp_mann_whitney(const double* a, size_t a_count, const double* b, size_t b_count);

// The least p that the test can give for these counts: above 0.05, it can tell nothing.
double hp_mann_whitney_floor(size_t a_count, size_t b_count);

// NaN where there are none or one is not above 0.
double hp_geometric_mean(const double* values, size_t count);

// The 95 % interval (Wilson) of a share seen in `samples` independent samples; stays in 0..1 and
// does not shrink to nothing at the ends.
hp_interval hp_share_interval(double share, double samples);

// Two-sided test that two shares, each seen in so many independent samples, are one; normal
// approximation. NaN where one is.
double hp_share_p(double a, double a_samples, double b, double b_samples);

#endif  // HAKMEM_TOOLS_COMMON_STATISTICS_H_
