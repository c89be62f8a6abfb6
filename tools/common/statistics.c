// The statistics of the tools, over GSL: medians and their intervals, rank tests, shares.

#include "tools/common/statistics.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { HP_EXACT_MAX = 50 };  // C(50, 25) is still exact in a double

static const double kTail = 0.025;  // on each side of a 95 % interval

static void* must(void* memory) {
  if (memory != NULL) return memory;
  fputs("out of memory\n", stderr);
  exit(1);
}

double hp_median(double* values, size_t count) {
  if (count == 0) return NAN;
  gsl_sort(values, 1, count);
  return gsl_stats_median_from_sorted_data(values, 1, count);
}

// The median lies between the k-th smallest and the k-th largest unless fewer than k values are on
// one side of it: 1 - 2 P(Binomial(n, 1/2) < k).
size_t hp_interval_rank(size_t count) {
  size_t rank = 0;
  while (rank < count && gsl_cdf_binomial_P((unsigned)rank, 0.5, (unsigned)count) <= kTail) rank++;
  return rank;
}

hp_interval hp_median_interval(double* values, size_t count) {
  size_t rank = hp_interval_rank(count);
  if (rank == 0) return (hp_interval){NAN, NAN};
  gsl_sort(values, 1, count);
  return (hp_interval){values[rank - 1], values[count - rank]};
}

double hp_sign_test(size_t above, size_t below) {
  size_t count = above + below;
  size_t fewer = above < below ? above : below;
  if (count == 0) return 1;
  return fmin(1, 2 * gsl_cdf_binomial_P((unsigned)fewer, 0.5, (unsigned)count));
}

// ---- Mann-Whitney ----

// Gives each value of both samples twice its mid-rank, a whole number, the first sample's first.
// Returns the tie correction, the sum of t^3 - t.
static double rank_all(const double* values, size_t count, double* rank2) {
  size_t* order = must(calloc(count, sizeof(*order)));
  double ties = 0;
  gsl_sort_index(order, values, 1, count);
  for (size_t from = 0; from < count;) {
    size_t to = from;
    while (to < count && values[order[to]] == values[order[from]]) to++;
    double t = (double)(to - from);
    ties += t * t * t - t;
    for (size_t i = from; i < to; i++) rank2[order[i]] = (double)(from + 1 + to);
    from = to;
  }
  free(order);
  return ties;
}

// How many of the ways to choose `chosen` of the ranks have a sum at least as far from the mean as
// `distance`, over how many ways there are. ways[c][s]: choices of c ranks with doubled sum s.
static double exact_p(const double* rank2, size_t count, size_t chosen, double distance) {
  size_t sums = count * (count + 1) + 1;
  double* ways = must(calloc((chosen + 1) * sums, sizeof(*ways)));
  ways[0] = 1;
  for (size_t i = 0; i < count; i++) {
    size_t rank = (size_t)rank2[i];
    for (size_t c = i < chosen ? i + 1 : chosen; c > 0; c--) {
      for (size_t s = rank; s < sums; s++) ways[c * sums + s] += ways[(c - 1) * sums + s - rank];
    }
  }
  double mean = (double)chosen * (double)(count + 1);
  double far = 0;
  double total = 0;
  for (size_t s = 0; s < sums; s++) {
    double number = ways[chosen * sums + s];
    total += number;
    if (fabs((double)s - mean) >= distance) far += number;
  }
  free(ways);
  return far / total;
}

static double normal_p(double a_count, double b_count, double ties, double distance) {
  double n = a_count + b_count;
  double variance = a_count * b_count / 12 * (n + 1 - ties / (n * (n - 1)));
  if (variance <= 0) return 1;
  return fmin(1, 2 * gsl_cdf_ugaussian_Q((distance / 2 - 0.5) / sqrt(variance)));
}

double hp_mann_whitney(const double* a, size_t a_count, const double* b, size_t b_count) {
  if (a_count == 0 || b_count == 0) return NAN;
  size_t count = a_count + b_count;
  double* values = must(calloc(2 * count, sizeof(*values)));
  double* rank2 = values + count;
  double sum = 0;
  for (size_t i = 0; i < count; i++) values[i] = i < a_count ? a[i] : b[i - a_count];
  double ties = rank_all(values, count, rank2);
  for (size_t i = 0; i < a_count; i++) sum += rank2[i];
  double distance = fabs(sum - (double)a_count * (double)(count + 1));
  double p = count <= HP_EXACT_MAX ? exact_p(rank2, count, a_count, distance)
                                   : normal_p((double)a_count, (double)b_count, ties, distance);
  free(values);
  return p;
}

double hp_mann_whitney_floor(size_t a_count, size_t b_count) {
  if (a_count == 0 || b_count == 0) return 1;
  double n = (double)(a_count + b_count);
  double a = (double)a_count;
  return fmin(1, 2 / exp(lgamma(n + 1) - lgamma(a + 1) - lgamma(n - a + 1)));
}

// ---- means and shares ----

double hp_geometric_mean(const double* values, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) {
    if (!(values[i] > 0)) return NAN;
    sum += log(values[i]);
  }
  return count == 0 ? NAN : exp(sum / (double)count);
}

hp_interval hp_share_interval(double share, double samples) {
  const double z = gsl_cdf_ugaussian_Qinv(kTail);
  if (!(samples > 0) || !(share >= 0 && share <= 1)) return (hp_interval){NAN, NAN};
  double scale = 1 + z * z / samples;
  double centre = (share + z * z / (2 * samples)) / scale;
  double half = z / scale * sqrt(share * (1 - share) / samples + z * z / (4 * samples * samples));
  // At the ends exactly: centre and half are equal there but for rounding.
  return (hp_interval){share > 0 ? fmax(0, centre - half) : 0,
                       share < 1 ? fmin(1, centre + half) : 1};
}

double hp_share_p(double a, double a_samples, double b, double b_samples) {
  double pooled = (a * a_samples + b * b_samples) / (a_samples + b_samples);
  double variance = pooled * (1 - pooled) * (1 / a_samples + 1 / b_samples);
  if (isnan(variance)) return NAN;
  return variance <= 0 ? 1 : 2 * gsl_cdf_ugaussian_Q(fabs(a - b) / sqrt(variance));
}
