// See summary.h.

#include "tools/hakrun/summary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/hakplot/stats.h"

int summary_prepare(summary* self, const experiment* plan) {
  int pairs = 0;
  for (size_t w = 0; w < plan->workload_count; w++) {
    for (size_t p = 0; p < plan->phase_count; p++) {
      if (!experiment_has_pair(&plan->workloads[w], &plan->phases[p])) continue;
      pairs++;
      summary_figures* runs = calloc((size_t)plan->runs, sizeof(*runs));
      for (int i = 0; runs != NULL && i < plan->runs; i++) runs[i] = (summary_figures){NAN, NAN};
      self->pairs[w][p].runs = runs;
    }
  }
  return pairs;
}

size_t summary_failed(const summary* self, const experiment* plan) {
  size_t failed = 0;
  for (size_t w = 0; w < plan->workload_count; w++) {
    for (size_t p = 0; p < plan->phase_count; p++) failed += self->pairs[w][p].failed;
  }
  return failed;
}

// ---- the table ----

typedef struct sample {
  double* values;
  size_t count;
} sample;

static void add(sample* self, double value) {
  if (!isnan(value)) self->values[self->count++] = value;
}

// Sorts the sample.
static double median(sample* self) { return hp_median(self->values, self->count); }

// Four digits, however small the number: large blocks are counted in thousands a second.
static void print_mops(double value) {
  if (isnan(value)) {
    printf(" %10s", "-");
  } else {
    printf(" %10.4g", value);
  }
}

// `values` has room for one of each run.
static void print_pair(const summary_pair* pair, const summary_pair* baseline, int runs,
                       sample* values) {
  values->count = 0;
  for (int i = 0; i < runs; i++) add(values, pair->runs[i].mops);
  print_mops(median(values));
  print_mops(values->count > 0 ? values->values[0] : NAN);
  print_mops(values->count > 0 ? values->values[values->count - 1] : NAN);
  values->count = 0;
  for (int i = 0; i < runs; i++) add(values, pair->runs[i].steady_mops);
  print_mops(median(values));
  values->count = 0;
  for (int i = 0; baseline != NULL && i < runs; i++) {
    add(values, 100 * (pair->runs[i].mops / baseline->runs[i].mops - 1));
  }
  if (values->count > 0) {
    printf(" %+9.1f%%", median(values));
  } else {
    printf(" %10s", "");
  }
  printf("   %zu run%s", pair->ok, pair->ok == 1 ? "" : "s");
  if (pair->failed > 0) printf(", %zu failed", pair->failed);
  printf("\n");
}

static void print_workload(const summary* self, const experiment* plan, size_t w, sample* values) {
  const summary_pair* baseline = NULL;
  printf("\n%-28s %10s %10s %10s %10s %10s\n", plan->workloads[w].label, "median", "min", "max",
         "steady", "change");
  for (size_t p = 0; p < plan->phase_count; p++) {
    const summary_pair* pair = &self->pairs[w][p];
    if (pair->ok + pair->failed == 0) continue;
    printf("  %-26s", plan->phases[p].label);
    print_pair(pair, baseline, plan->runs, values);
    if (plan->phases[p].index == 0) baseline = pair;
  }
}

void summary_print(const summary* self, const experiment* plan) {
  sample values = {.values = calloc((size_t)plan->runs, sizeof(double))};
  if (values.values == NULL) return;
  printf("%s (Mops/s)\n", plan->title);
  for (size_t w = 0; w < plan->workload_count; w++) print_workload(self, plan, w, &values);
  free(values.values);
}
