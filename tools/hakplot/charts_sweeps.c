// Charts over a parameter: a line for each phase.

#define _GNU_SOURCE  // qsort_r

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/statistics.h"
#include "tools/hakplot/charts.h"

// Cases that differ in one parameter alone are the points of a sweep-> Arguments do not count,
// since they spell out the parameter.
static const hp_field kParameters[] = {HP_working_set, HP_remote_percent, HP_threads, HP_pairs,
                                       HP_min_bytes,   HP_max_bytes,      HP_duet};
enum { PARAMETERS = sizeof(kParameters) / sizeof(kParameters[0]), BARS_AT_MOST = 6 };

typedef struct family {
  hp_case** cases;  // by the swept parameter, ascending, one for each value
  size_t count;
} family;

static char* family_key(const hp_row* row, hp_field swept) {
  static const hp_field kTexts[] = {HP_workload, HP_mode, HP_touch, HP_profile};
  char* key = "";
  for (size_t i = 0; i < sizeof(kTexts) / sizeof(kTexts[0]); i++) {
    const char* text = hp_string(row, kTexts[i]);
    key = hp_format("%s%s\t", key, text != NULL ? text : "");
  }
  for (size_t i = 0; i < PARAMETERS; i++) {
    // Pairs are threads by another name.
    bool is_swept = kParameters[i] == swept || (swept == HP_threads && kParameters[i] == HP_pairs);
    if (!is_swept) key = hp_format("%s%.17g\t", key, hp_number(row, kParameters[i]));
  }
  return key;
}

static size_t runs_of(const hp_case* one) {
  size_t runs = 0;
  for (size_t g = 0; g < one->group_count; g++) runs += one->groups[g].run_count;
  return runs;
}

// Of two cases with the same value, the one with more runs first, else the one that was read first.
static int by_parameter(const void* a, const void* b, void* swept) {
  const hp_case* one = *(const hp_case* const*)a;
  const hp_case* other = *(const hp_case* const*)b;
  double x = hp_number(one->sample, *(hp_field*)swept);
  double y = hp_number(other->sample, *(hp_field*)swept);
  if (x != y) return x > y ? 1 : -1;
  if (runs_of(one) != runs_of(other)) return runs_of(one) < runs_of(other) ? 1 : -1;
  return (one > other) - (one < other);
}

// Sorts the cases and leaves one for each value: a second, of the same parameters otherwise spelt,
// would stand above the first, and the line would go up and down between them.
static void put_in_order(family* sweep, hp_field swept) {
  size_t kept = 0;
  qsort_r(sweep->cases, sweep->count, sizeof(*sweep->cases), by_parameter, &swept);
  for (size_t i = 0; i < sweep->count; i++) {
    double value = hp_number(sweep->cases[i]->sample, swept);
    bool is_new = kept == 0 || value != hp_number(sweep->cases[kept - 1]->sample, swept);
    if (is_new) sweep->cases[kept++] = sweep->cases[i];
  }
  sweep->count = kept;
}

// By key, in the order of their first cases.
static hp_map* find_families(const hp_figures* figures, hp_field swept) {
  hp_map* families = hp_map_new();
  for (size_t i = 0; i < figures->cases->count; i++) {
    hp_case* one = &figures->cases->at[i];
    if (isnan(hp_number(one->sample, swept)) || hp_string(one->sample, HP_workload) == NULL)
      continue;
    family* mine = hp_put(families, family_key(one->sample, swept), sizeof(*mine))->thing;
    *hp_push(mine->cases, mine->count) = one;
  }
  for (size_t i = 0; i < families->count; i++) put_in_order(families->at[i]->thing, swept);
  return families;
}

void hp_find_sweep_points(hp_figures* figures) {
  static const hp_field kSwept[] = {HP_working_set, HP_remote_percent};
  for (size_t k = 0; k < sizeof(kSwept) / sizeof(kSwept[0]); k++) {
    const hp_map* families = find_families(figures, kSwept[k]);
    for (size_t i = 0; i < families->count; i++) {
      const family* one = families->at[i]->thing;
      for (size_t c = 0; c < one->count && one->count > BARS_AT_MOST; c++) {
        one->cases[c]->is_sweep_point = true;
      }
    }
  }
}

typedef double (*x_of)(const hp_row* row);

// Half of random_mixed's slots hold a block in the steady state.
static double live_bytes(const hp_row* row) {
  double stated = hp_number(row, HP_live_bytes);
  double mean = (hp_number(row, HP_min_bytes) + hp_number(row, HP_max_bytes)) / 2;
  return isfinite(stated) ? stated : hp_number(row, HP_working_set) / 2 * mean;
}

static double slots(const hp_row* row) { return hp_number(row, HP_working_set); }
static double remote_percent(const hp_row* row) { return hp_number(row, HP_remote_percent); }
static double threads(const hp_row* row) { return hp_number(row, HP_threads); }

// One line for each phase of the family, in the order of their first case.
static hp_run_range add_lines(hp_figure* figure, const family* sweep, x_of x) {
  hp_map* labels = hp_map_new();
  hp_run_range runs = {0};
  for (size_t i = 0; i < sweep->count; i++) {
    const hp_case* one = sweep->cases[i];
    for (size_t g = 0; g < one->group_count; g++) {
      const hp_group* group = &one->groups[g];
      if (hp_is_limit(group)) continue;  // add_limits draws those
      const hp_entry* label = hp_put(labels, group->label, 0);
      if (label->puts == 1) hp_series_add(figure, group->label, HP_PLAIN);
      hp_summary summary = hp_summarise(group, &kMetrics[HP_THROUGHPUT]);
      hp_summary_add(&figure->series[label->number], x(one->sample), &summary, 1, &runs);
    }
  }
  return runs;
}

static hp_figure* sweep_figure(const char* chart, const char* what, const family* sweep, x_of x) {
  const hp_case* first = sweep->cases[0];
  hp_figure* figure = hp_figure_new(
      HP_LINES, chart, hp_format("%s: %s", what, hp_string(first->sample, HP_workload)));
  hp_run_range runs = add_lines(figure, sweep, x);
  figure->y.title = hp_metric_title(&kMetrics[HP_THROUGHPUT], first->sample);
  figure->caption = hp_points_caption(&runs);
  return figure;
}

// Where the data goes so far.
static void mark_cache(hp_figure* figure, const family* sweep, hp_field field, const char* name) {
  double bytes = hp_number(sweep->cases[0]->sample, field);
  double least = live_bytes(sweep->cases[0]->sample);
  double most = live_bytes(sweep->cases[sweep->count - 1]->sample);
  if (!(bytes >= least && bytes <= most)) return;
  const char* size = hp_size_text(bytes);
  hp_mark_add(figure, bytes, hp_format("%s %s", name, size));
}

// Powers of 4, as people name sizes.
static void add_size_ticks(hp_figure* figure, const family* sweep) {
  double least = live_bytes(sweep->cases[0]->sample);
  double most = live_bytes(sweep->cases[sweep->count - 1]->sample);
  for (double bytes = 1; bytes <= most * 2; bytes *= 4) {
    if (bytes >= least / 2) hp_tick_add(&figure->x, bytes, hp_size_text(bytes));
  }
}

// The dry loop and the ideal list at the same working sets, as limits.
static void add_limits(hp_figures* figures, hp_figure* figure, const family* sweep, x_of x) {
  static const char* const kLimits[] = {"void", "list"};
  static const char* const kNames[] = {"no allocator", "ideal list"};
  for (size_t l = 0; l < 2; l++) {
    hp_series* series = NULL;
    for (size_t i = 0; i < sweep->count; i++) {
      const hp_row* row = sweep->cases[i]->sample;
      double mops = hp_dry_limit(figures, row, kLimits[l]).best_mops;
      if (!isfinite(mops)) continue;
      if (series == NULL) series = hp_series_add(figure, kNames[l], HP_REFERENCE);
      hp_point_add(series, x(row), mops);
    }
    if (series != NULL && series->count < 2) figure->series_count--;  // no line
  }
}

// References may lie far above everything else: they are shown up to twice as high, so that what is
// compared keeps half of the picture.
static void make_room_for_references(hp_figure* figure) {
  double high = hp_figure_max(figure, false);
  double reference = 0;
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    for (size_t k = 0; k < series->count && series->look == HP_REFERENCE; k++) {
      reference = fmax(reference, series->points[k].y);
    }
  }
  if (reference > high) figure->y.high = fmin(reference, high * 2) * 1.05;
}

void hp_chart_working_set(hp_figures* figures) {
  const hp_map* families = find_families(figures, HP_working_set);
  for (size_t i = 0; i < families->count; i++) {
    const family* sweep = families->at[i]->thing;
    const hp_case* one = sweep->cases[0];
    if (sweep->count < 3 || hp_is_dry(one)) continue;
    bool has_bytes = isfinite(live_bytes(one->sample));
    x_of x = has_bytes ? live_bytes : slots;
    hp_figure* figure = sweep_figure("working-set", "Throughput by working set", sweep, x);
    add_limits(figures, figure, sweep, x);
    make_room_for_references(figure);
    figure->x.title = has_bytes ? "live bytes (half the slots times the mean block)" : "slots";
    figure->x.scale = HP_LOG2;
    if (has_bytes) add_size_ticks(figure, sweep);
    if (has_bytes && !figures->data->has_several_hosts) {
      mark_cache(figure, sweep, HP_host_l1d_bytes, "L1");
      mark_cache(figure, sweep, HP_host_l2_bytes, "L2");
      mark_cache(figure, sweep, HP_host_l3_bytes, "L3");
    }
    hp_figures_add(figures, figure);
  }
}

void hp_chart_remote_free(hp_figures* figures) {
  const hp_map* families = find_families(figures, HP_remote_percent);
  for (size_t i = 0; i < families->count; i++) {
    const family* sweep = families->at[i]->thing;
    if (sweep->count < 3) continue;
    hp_figure* figure =
        sweep_figure("remote-free", "Throughput by remote frees", sweep, remote_percent);
    figure->x.title = "frees by another thread, %";
    figure->x.high = 100;
    hp_figures_add(figures, figure);
  }
}

static double best_single_thread(const hp_figure* figure) {
  double best = NAN;
  for (size_t i = 0; i < figure->series_count; i++) {
    for (size_t k = 0; k < figure->series[i].count; k++) {
      const hp_point* point = &figure->series[i].points[k];
      if (point->x == 1 && !(point->y <= best)) best = point->y;
    }
  }
  return best;
}

void hp_chart_scaling(hp_figures* figures) {
  const hp_map* families = find_families(figures, HP_threads);
  for (size_t i = 0; i < families->count; i++) {
    const family* sweep = families->at[i]->thing;
    const hp_case* one = sweep->cases[0];
    if (sweep->count < 2 || hp_is_dry(one)) continue;
    hp_figure* figure = sweep_figure("scaling", "Throughput by threads", sweep, threads);
    double best = best_single_thread(figure);
    double most = threads(sweep->cases[sweep->count - 1]->sample);
    if (isfinite(best)) {
      hp_series* ideal = hp_series_add(figure, "ideal", HP_REFERENCE);
      hp_point_add(ideal, 1, best);
      hp_point_add(ideal, most, best * most);
      make_room_for_references(figure);
    }
    double cores = hp_number(one->sample, HP_host_cores);
    if (cores > 1 && cores < most) {
      hp_mark_add(figure, cores, hp_format("%.0f cores", cores));
    }
    figure->x.title = "threads";
    figure->x.high = most * 1.03;
    hp_figures_add(figures, figure);
  }
}
