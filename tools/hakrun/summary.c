// See summary.h.

#include "tools/hakrun/summary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hakplot/stats.h"

int summary_prepare(summary* self, const experiment* plan) {
  int pairs = 0;
  for (size_t w = 0; w < plan->workload_count; w++) {
    for (size_t p = 0; p < plan->phase_count; p++) {
      if (!experiment_has_pair(&plan->workloads[w], &plan->phases[p])) continue;
      pairs++;
      summary_figures* runs = calloc((size_t)plan->runs, sizeof(*runs));
      for (int i = 0; runs != NULL && i < plan->runs; i++)
        runs[i] = (summary_figures){NAN, NAN, NAN};
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
static void print_figure(double value) {
  if (isnan(value)) {
    printf(" %8s", "-");
  } else {
    printf(" %8.4g", value);
  }
}

static double main_figure(const experiment* plan, const summary_figures* run) {
  return plan->is_duet ? run->cpu_ns : run->mops;
}

// `values` has room for one of each run.
static void print_pair(const experiment* plan, const summary_pair* pair,
                       const summary_pair* baseline, sample* values) {
  values->count = 0;
  for (int i = 0; i < plan->runs; i++) add(values, main_figure(plan, &pair->runs[i]));
  print_figure(median(values));
  print_figure(values->count > 0 ? values->values[0] : NAN);
  print_figure(values->count > 0 ? values->values[values->count - 1] : NAN);
  values->count = 0;
  for (int i = 0; i < plan->runs; i++) add(values, pair->runs[i].steady_mops);
  if (!plan->is_duet) print_figure(median(values));
  values->count = 0;
  for (int i = 0; baseline != NULL && i < plan->runs; i++) {
    double of_baseline = main_figure(plan, &baseline->runs[i]);
    add(values, 100 * (main_figure(plan, &pair->runs[i]) / of_baseline - 1));
  }
  if (values->count > 0) {
    printf(plan->is_duet ? " %+7.2f%%" : " %+7.1f%%", median(values));
  } else {
    printf(" %8s", "");
  }
  printf("   %zu run%s", pair->ok, pair->ok == 1 ? "" : "s");
  if (pair->failed > 0) printf(", %zu failed", pair->failed);
  printf("\n");
}

// Of the first column: the longest label and its indentation.
static int label_width(const experiment* plan) {
  size_t width = 0;
  for (size_t w = 0; w < plan->workload_count; w++) {
    size_t length = strlen(plan->workloads[w].label);
    if (length > width) width = length;
  }
  for (size_t p = 0; p < plan->phase_count; p++) {
    size_t length = 2 + strlen(plan->phases[p].label);
    if (length > width) width = length;
  }
  return (int)width;
}

static void print_workload(const summary* self, const experiment* plan, size_t w, sample* values) {
  const summary_pair* baseline = NULL;
  const int width = label_width(plan);
  printf("\n%-*s %8s %8s %8s", width, plan->workloads[w].label, "median", "min", "max");
  if (!plan->is_duet) printf(" %8s", "steady");
  printf(" %8s\n", "change");
  for (size_t p = 0; p < plan->phase_count; p++) {
    const summary_pair* pair = &self->pairs[w][p];
    if (pair->ok + pair->failed == 0) continue;
    printf("  %-*s", width - 2, plan->phases[p].label);
    print_pair(plan, pair, baseline, values);
    if (plan->phases[p].index == 0) baseline = pair;
  }
}

void summary_print(const summary* self, const experiment* plan) {
  sample values = {.values = calloc((size_t)plan->runs, sizeof(double))};
  if (values.values == NULL) return;
  printf("%s (%s)\n", plan->title, plan->is_duet ? "CPU ns per operation" : "Mops/s");
  for (size_t w = 0; w < plan->workload_count; w++) print_workload(self, plan, w, &values);
  free(values.values);
}
