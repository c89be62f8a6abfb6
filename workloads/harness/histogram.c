// Histograms: merging them, and their quantiles.

#include "workloads/harness/histogram.h"

void wl_histogram_merge(wl_histogram* into, const wl_histogram* from) {
  for (unsigned i = 0; i < WL_BUCKETS; i++) into->counts[i] += from->counts[i];
  into->total += from->total;
  if (from->max > into->max) into->max = from->max;
}

uint64_t wl_histogram_quantile(const wl_histogram* histogram, double quantile) {
  double wanted = quantile * (double)histogram->total;
  uint64_t seen = 0;
  for (unsigned i = 0; i < WL_BUCKETS; i++) {
    seen += histogram->counts[i];
    if (histogram->counts[i] != 0 && (double)seen >= wanted) {
      uint64_t top = wl_bucket_top(i);
      return top < histogram->max ? top : histogram->max;
    }
  }
  return histogram->max;
}
