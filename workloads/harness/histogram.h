// A histogram with logarithmic buckets: exact below 256, then 128 buckets for each doubling (a
// bucket's top is above its values by less than 1/128, 0.8 %), any 64-bit value. Fixed size, no
// allocation; a thread counts into its own and they are merged at the end.

#ifndef HAKMEM_WORKLOADS_HARNESS_HISTOGRAM_H_
#define HAKMEM_WORKLOADS_HARNESS_HISTOGRAM_H_

#include <stdint.h>

enum {
  WL_SUB_BITS = 7,  // 128 buckets a doubling
  WL_BUCKETS = (64 - WL_SUB_BITS + 1) << WL_SUB_BITS,
};

typedef struct wl_histogram {
  uint64_t total;  // sum of counts
  uint64_t max;    // exact
  uint64_t counts[WL_BUCKETS];
} wl_histogram;

static inline unsigned wl_bucket_of(uint64_t value) {
  if (value < (1u << (WL_SUB_BITS + 1))) return (unsigned)value;
  unsigned shift = 63u - (unsigned)__builtin_clzll(value) - WL_SUB_BITS;
  return (shift << WL_SUB_BITS) + (unsigned)(value >> shift);
}

// The highest value that falls into a bucket.
static inline uint64_t wl_bucket_top(unsigned bucket) {
  if (bucket < (1u << (WL_SUB_BITS + 1))) return bucket;
  unsigned shift = (bucket >> WL_SUB_BITS) - 1;
  uint64_t mantissa = (bucket & ((1u << WL_SUB_BITS) - 1)) + (1u << WL_SUB_BITS);
  return ((mantissa + 1) << shift) - 1;
}

static inline void wl_histogram_add(wl_histogram* histogram, uint64_t value) {
  histogram->counts[wl_bucket_of(value)]++;
  histogram->total++;
  if (value > histogram->max) histogram->max = value;
}

void wl_histogram_merge(wl_histogram* into, const wl_histogram* from);

// The smallest bucket top that at least `quantile` (0..1) of the values do not exceed; never above
// the maximum. 0 when the histogram is empty.
uint64_t wl_histogram_quantile(const wl_histogram* histogram, double quantile);

#endif  // HAKMEM_WORKLOADS_HARNESS_HISTOGRAM_H_
