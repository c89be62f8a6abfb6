#include "tools/hakplot/stats.h"

#include <math.h>
#include <stdlib.h>

#include "tools/hakplot/text.h"

enum { HP_EXACT_MAX = 50 };  // C(50, 25) is still exact in a double

static const double kNormal95 = 1.959964;  // standard deviations on each side

static int by_value(const void* a, const void* b) {
  double x = *(const double*)a;
  double y = *(const double*)b;
  return (x > y) - (x < y);
}

static void sort(double* values, size_t count) {
  if (count > 1) qsort(values, count, sizeof(*values), by_value);
}

double hp_median(double* values, size_t count) {
  if (count == 0) return NAN;
  sort(values, count);
  return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

// The median lies between the k-th smallest and the k-th largest unless fewer than k values are on
// one side of it: 1 - 2 P(Binomial(n, 1/2) < k). Logarithms keep large n from underflowing.
size_t hp_interval_rank(size_t count) {
  double n = (double)count;
  double tail = 0;
  for (size_t k = 0; k < count; k++) {
    double i = (double)k;
    tail += exp(lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) - n * log(2));
    if (2 * tail > 0.05) return k;
  }
  return 0;
}

hp_interval hp_median_interval(double* values, size_t count) {
  size_t rank = hp_interval_rank(count);
  if (rank == 0) return (hp_interval){NAN, NAN};
  sort(values, count);
  return (hp_interval){values[rank - 1], values[count - rank]};
}

typedef struct ranked {
  double value;
  double rank2;  // twice the mid-rank, a whole number
  int is_first;  // belongs to the first sample
} ranked;

static int by_ranked_value(const void* a, const void* b) {
  return by_value(&((const ranked*)a)->value, &((const ranked*)b)->value);
}

// Gives each value twice its mid-rank. Returns the tie correction, the sum of t^3 - t.
static double rank_all(ranked* all, size_t count) {
  double ties = 0;
  qsort(all, count, sizeof(*all), by_ranked_value);
  for (size_t from = 0; from < count;) {
    size_t to = from;
    while (to < count && all[to].value == all[from].value) to++;
    double t = (double)(to - from);
    ties += t * t * t - t;
    for (size_t i = from; i < to; i++) all[i].rank2 = (double)(from + 1 + to);
    from = to;
  }
  return ties;
}

// How many of the ways to choose `chosen` of the ranks have a sum at least as far from the mean as
// `distance`, over how many ways there are. ways[c][s]: choices of c ranks with doubled sum s.
static double exact_p(const ranked* all, size_t count, size_t chosen, double distance) {
  size_t sums = count * (count + 1) + 1;
  double* ways = hp_must(calloc((chosen + 1) * sums, sizeof(*ways)));
  ways[0] = 1;
  for (size_t i = 0; i < count; i++) {
    size_t rank = (size_t)all[i].rank2;
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
  double z = (distance / 2 - 0.5) / sqrt(variance);
  return z <= 0 ? 1 : erfc(z / sqrt(2));
}

double hp_mann_whitney(const double* a, size_t a_count, const double* b, size_t b_count) {
  if (a_count == 0 || b_count == 0) return NAN;
  size_t count = a_count + b_count;
  ranked* all = hp_must(calloc(count, sizeof(*all)));
  for (size_t i = 0; i < a_count; i++) all[i] = (ranked){a[i], 0, 1};
  for (size_t i = 0; i < b_count; i++) all[a_count + i] = (ranked){b[i], 0, 0};
  double ties = rank_all(all, count);
  double sum = 0;
  for (size_t i = 0; i < count; i++) {
    if (all[i].is_first) sum += all[i].rank2;
  }
  double distance = fabs(sum - (double)a_count * (double)(count + 1));
  double p = count <= HP_EXACT_MAX ? exact_p(all, count, a_count, distance)
                                   : normal_p((double)a_count, (double)b_count, ties, distance);
  free(all);
  return p;
}

double hp_mann_whitney_floor(size_t a_count, size_t b_count) {
  if (a_count == 0 || b_count == 0) return 1;
  double n = (double)(a_count + b_count);
  double a = (double)a_count;
  double ways = exp(lgamma(n + 1) - lgamma(a + 1) - lgamma(n - a + 1));
  return fmin(1, 2 / ways);
}

double hp_student_factor(size_t runs) {
  static const double kFew[] = {12.7062, 4.3027, 3.1824, 2.7764, 2.5706,
                                2.4469,  2.3646, 2.3060, 2.2622};
  if (runs < 2) return NAN;
  size_t degrees = runs - 1;
  if (degrees <= sizeof(kFew) / sizeof(kFew[0])) return kFew[degrees - 1];
  // Cornish and Fisher's expansion around the normal distribution: right to 4 digits from here on.
  double v = (double)degrees;
  double z = kNormal95;
  double z3 = z * z * z;
  double z5 = z3 * z * z;
  double z7 = z5 * z * z;
  return z + (z3 + z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * z) / (96 * v * v) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * v * v * v);
}

double hp_geometric_mean(const double* values, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) {
    if (!(values[i] > 0)) return NAN;
    sum += log(values[i]);
  }
  return count == 0 ? NAN : exp(sum / (double)count);
}

hp_interval hp_share_interval(double share, double samples) {
  const double z = kNormal95;
  if (!(samples > 0) || !(share >= 0 && share <= 1)) return (hp_interval){NAN, NAN};
  double scale = 1 + z * z / samples;
  double centre = (share + z * z / (2 * samples)) / scale;
  double half = z / scale * sqrt(share * (1 - share) / samples + z * z / (4 * samples * samples));
  return (hp_interval){fmax(0, centre - half), fmin(1, centre + half)};
}
