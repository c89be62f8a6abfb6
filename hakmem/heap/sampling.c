// Exponential numbers and what is taken off them; the hazards of each class; weights.

#include "hakmem/heap/sampling.h"

#include <string.h>

#include "hakmem/base/bits.h"
#include "hakmem/base/size_class.h"
#include "hakmem/slab/watch.h"

hak_sampling_class_t hak_sampling_classes[HAK_N_CLASSES];
_Atomic(int64_t) hak_free_hazards[HAK_N_CLASSES];
_Atomic(uint64_t) hak_sampling_interval;

#define HAZARD_ONE ((double)(INT64_C(1) << HAK_HAZARD_SHIFT))

// SplitMix64. One stream for all: a number is drawn for a sample, no more.
static _Atomic(uint64_t) stream;

static uint64_t next_random(void) {
  return hak_mix(hak_fetch_add_relaxed(&stream, UINT64_C(0x9e3779b97f4a7c15)));
}

// -ln(u), 0 < u <= 1: by the exponent, and for the rest, which is within a factor of sqrt(2) of 1,
// by the series of atanh((m - 1) / (m + 1)), z + z^3/3 + z^5/5 .., to some 1e-14. (libm is no
// library of ours.)
static double minus_log(double u) {
  uint64_t bits;
  memcpy(&bits, &u, sizeof bits);
  int exponent = (int)(bits >> 52) - 1023;
  bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
  double m;
  memcpy(&m, &bits, sizeof m);
  if (m > 1.4142135623730951) {
    m /= 2;
    exponent++;
  }
  static const double coefficients[] = {1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9,
                                        1.0 / 7,  1.0 / 5,  1.0 / 3,  1};
  double z = (m - 1) / (m + 1), zz = z * z, sum = 0;
  for (unsigned i = 0; i < sizeof coefficients / sizeof coefficients[0]; i++) {
    sum = sum * zz + coefficients[i];
  }
  return -(exponent * 0.6931471805599453 + 2 * z * sum);
}

static int64_t to_hazard(double hazard) {
  double units = hazard * HAZARD_ONE;
  return units < (double)HAK_HAZARD_MAX ? (int64_t)units + 1 : HAK_HAZARD_MAX;
}

// Exponential, of mean 1: at most 36.8, since u is 2^-53 at least.
static int64_t draw(void) {
  return to_hazard(minus_log((double)((next_random() >> 11) + 1) * 0x1p-53));
}

// 1 - exp(-x), x >= 0, without a loss of digits for a small x: the series for x / 2^k, doubled k
// times by 1 - q^2 = (1 - q)(1 + q).
static double probability(double x) {
  if (x > 40) return 1;
  int k = 0;
  for (; x > 1.0 / 16; k++) x /= 2;
  double p = 0;
  for (int i = 9; i >= 1; i--) p = (1 - p) * x / i;
  for (; k > 0; k--) p *= 2 - p;
  return p;
}

double hak_sampling_weight(uint64_t bytes, uint64_t interval) {
  return 1 / probability((double)bytes / (double)interval);
}

// ---- begin and end ----

// The share of pages to watch, in units of 2^-32, for a class that is sampled with probability p.
static uint64_t share_of(double p) {
  double share = HAK_WATCHED_FREES * p, least = 1.0 / HAK_WATCHED_PAGES;
  if (share < least) share = least;
  return share < 1 ? (uint64_t)(share * 0x1p32) : HAK_WATCH_ALL;
}

void hak_sampling_begin(uint64_t interval, uint64_t seed) {
  hak_store_relaxed(&stream, hak_mix(seed));
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    double per_block = (double)hak_class_info(c)->block_bytes / (double)interval;
    double p = probability(per_block);
    uint64_t share = share_of(p);
    bool is_all = share == HAK_WATCH_ALL;
    double free_hazard = is_all ? per_block : minus_log(1 - p / ((double)share * 0x1p-32));
    hak_store_relaxed(&hak_sampling_classes[c].refill_hazard, to_hazard(per_block));
    hak_store_relaxed(&hak_free_hazards[c], to_hazard(free_hazard));
    hak_store_relaxed(&hak_sampling_classes[c].objects, hak_sampling_objects(1 / p));
    hak_watch_set_share(c, share);
  }
  hak_store_release(&hak_sampling_interval, interval);
  hak_sampling_draw_pages();
}

void hak_sampling_end(void) {
  hak_store_release(&hak_sampling_interval, 0);
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) hak_store_relaxed(&hak_free_hazards[c], 0);
  hak_watch_draw(HAK_WATCH_NONE);
}

void hak_sampling_draw_pages(void) {
  if (hak_sampling_is_on()) hak_watch_draw(next_random() | 1);
}

// ---- steps ----

bool hak_sampling_is_due(hak_sampler_t* sampler, int64_t hazard) {
  bool was_drawn = sampler->left + hazard > 0;
  sampler->left = draw();
  if (was_drawn) return true;
  sampler->left -= hazard;
  return sampler->left <= 0 && hak_sampling_is_due(sampler, hazard);
}

unsigned hak_sampling_steps(hak_sampler_t* sampler, int64_t hazard, unsigned n, bool* is_due) {
  if (hak_unlikely(sampler->left <= 0)) sampler->left = draw();
  int64_t steps = (sampler->left + hazard - 1) / hazard;  // of which the last uses it up
  *is_due = steps <= n;
  if (!*is_due) {
    sampler->left -= hazard * n;
    return n;
  }
  sampler->left = draw();
  return (unsigned)steps;
}

bool hak_sampling_draw(hak_sampler_t* sampler, uint64_t bytes) {
  uint64_t interval = hak_load_relaxed(&hak_sampling_interval);
  if (hak_likely(interval == 0)) return false;
  int64_t hazard = to_hazard((double)bytes / (double)interval);
  return sampler != NULL ? hak_sampling_step(sampler, hazard) : draw() <= hazard;
}
