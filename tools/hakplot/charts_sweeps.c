// Charts over a parameter: a line for each phase.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hakplot/charts.h"
#include "tools/hakplot/stats.h"

// Cases that differ in one parameter alone are the points of a sweep. Arguments do not count, since
// they spell out the parameter.
static const hp_field kParameters[] = {HP_working_set, HP_remote_percent, HP_threads,
                                       HP_pairs,       HP_min_bytes,      HP_max_bytes};
enum { PARAMETERS = sizeof(kParameters) / sizeof(kParameters[0]), BARS_AT_MOST = 6 };

static bool is_same_family(const hp_row* a, const hp_row* b, hp_field swept) {
  if (hp_string(a, HP_workload) != hp_string(b, HP_workload) ||
      hp_string(a, HP_mode) != hp_string(b, HP_mode) ||
      hp_string(a, HP_touch) != hp_string(b, HP_touch)) {
    return false;
  }
  for (size_t i = 0; i < PARAMETERS; i++) {
    double x = hp_number(a, kParameters[i]);
    double y = hp_number(b, kParameters[i]);
    // Pairs are threads by another name.
    bool is_swept = kParameters[i] == swept || (swept == HP_threads && kParameters[i] == HP_pairs);
    if (!is_swept && x != y && !(isnan(x) && isnan(y))) return false;
  }
  return true;
}

typedef struct family {
  const hp_case** cases;  // by the swept parameter, ascending
  size_t count;
} family;

static hp_field sorting_by;

static int by_parameter(const void* a, const void* b) {
  double x = hp_number((*(const hp_case* const*)a)->sample, sorting_by);
  double y = hp_number((*(const hp_case* const*)b)->sample, sorting_by);
  return (x > y) - (x < y);
}

// The cases of one's family, if it is the first of them in the dataset; else none.
static family family_of(const hp_figures* figures, const hp_case* one, hp_field swept,
                        bool must_be_first) {
  const hp_cases* all = figures->cases;
  family found = {0};
  if (isnan(hp_number(one->sample, swept)) || hp_string(one->sample, HP_workload) == NULL)
    return found;
  found.cases = hp_alloc(&figures->data->arena, all->count * sizeof(*found.cases));
  for (size_t i = 0; i < all->count; i++) {
    const hp_case* other = &all->at[i];
    if (isnan(hp_number(other->sample, swept))) continue;
    if (!is_same_family(one->sample, other->sample, swept)) continue;
    if (must_be_first && found.count == 0 && other != one) return (family){0};
    found.cases[found.count++] = other;
  }
  sorting_by = swept;
  qsort(found.cases, found.count, sizeof(*found.cases), by_parameter);
  return found;
}

bool hp_is_sweep_point(const hp_figures* figures, const hp_case* one) {
  return family_of(figures, one, HP_working_set, false).count > BARS_AT_MOST ||
         family_of(figures, one, HP_remote_percent, false).count > BARS_AT_MOST;
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
static void add_lines(hp_figure* figure, const family* sweep, x_of x) {
  hp_map labels = {0};
  for (size_t i = 0; i < sweep->count; i++) {
    const hp_case* one = sweep->cases[i];
    for (size_t g = 0; g < one->group_count; g++) {
      const hp_group* group = &one->groups[g];
      bool is_new;
      if (hp_is_limit(group)) continue;  // add_limits draws those
      size_t at = hp_map_put(&labels, figure->arena, group->label, &is_new);
      if (is_new) hp_series_add(figure, group->label, HP_PLAIN);
      hp_summary summary = hp_summarise(figure->arena, group, &kMetrics[HP_THROUGHPUT]);
      if (!isfinite(summary.centre)) continue;
      hp_point_add(figure, &figure->series[at],
                   (hp_point){x(one->sample), summary.centre, summary.low, summary.high});
    }
  }
  hp_map_free(&labels);
}

static hp_figure* sweep_figure(hp_figures* figures, const char* chart, const char* what,
                               const family* sweep, x_of x) {
  hp_arena* arena = &figures->data->arena;
  const hp_case* first = sweep->cases[0];
  hp_figure* figure =
      hp_figure_new(arena, HP_LINES, chart,
                    hp_format(arena, "%s: %s", what, hp_string(first->sample, HP_workload)));
  add_lines(figure, sweep, x);
  figure->y.title = "throughput, million operations a second";
  figure->caption = "Medians; lines: 95 % interval of the median, where there are 6 runs or more.";
  return figure;
}

static const char* size_text(hp_arena* arena, double bytes) {
  static const char* const kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit < 4; unit++) bytes /= 1024;
  return hp_format(arena, "%g %s", bytes, kUnits[unit]);
}

static void mark_cache(hp_figure* figure, const hp_row* row, hp_field field, const char* name) {
  double bytes = hp_number(row, field);
  const char* size = size_text(figure->arena, bytes);
  hp_mark_add(figure, bytes, hp_format(figure->arena, "%s %s", name, size));
}

// Powers of 4, as people name sizes.
static void add_size_ticks(hp_figure* figure, const family* sweep) {
  double least = live_bytes(sweep->cases[0]->sample);
  double most = live_bytes(sweep->cases[sweep->count - 1]->sample);
  for (double bytes = 1; bytes <= most * 2; bytes *= 4) {
    if (bytes >= least / 2) hp_tick_add(figure, &figure->x, bytes, size_text(figure->arena, bytes));
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
      hp_point_add(figure, series, (hp_point){x(row), mops, NAN, NAN});
    }
    if (series != NULL && series->count < 2) figure->series_count--;  // no line
  }
}

static bool is_dry(const hp_case* one) {
  const char* workload = hp_string(one->sample, HP_workload);
  return workload != NULL && strcmp(workload, "dry") == 0;
}

void hp_chart_working_set(hp_figures* figures) {
  for (size_t i = 0; i < figures->cases->count; i++) {
    const hp_case* one = &figures->cases->at[i];
    family sweep = family_of(figures, one, HP_working_set, true);
    if (sweep.count < 3 || is_dry(one)) continue;
    bool has_bytes = isfinite(live_bytes(one->sample));
    x_of x = has_bytes ? live_bytes : slots;
    hp_figure* figure =
        sweep_figure(figures, "working-set", "Throughput by working set", &sweep, x);
    add_limits(figures, figure, &sweep, x);
    figure->x.title = has_bytes ? "live bytes (half the slots times the mean block)" : "slots";
    figure->x.scale = HP_LOG2;
    if (has_bytes) add_size_ticks(figure, &sweep);
    if (has_bytes && !figures->data->has_several_hosts) {
      mark_cache(figure, one->sample, HP_host_l1d_bytes, "L1");
      mark_cache(figure, one->sample, HP_host_l2_bytes, "L2");
      mark_cache(figure, one->sample, HP_host_l3_bytes, "L3");
    }
    hp_figures_add(figures, figure);
  }
}

void hp_chart_remote_free(hp_figures* figures) {
  for (size_t i = 0; i < figures->cases->count; i++) {
    family sweep = family_of(figures, &figures->cases->at[i], HP_remote_percent, true);
    if (sweep.count < 3) continue;
    hp_figure* figure =
        sweep_figure(figures, "remote-free", "Throughput by remote frees", &sweep, remote_percent);
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
  for (size_t i = 0; i < figures->cases->count; i++) {
    const hp_case* one = &figures->cases->at[i];
    family sweep = family_of(figures, one, HP_threads, true);
    if (sweep.count < 2 || is_dry(one)) continue;
    hp_figure* figure = sweep_figure(figures, "scaling", "Throughput by threads", &sweep, threads);
    double best = best_single_thread(figure);
    double most = threads(sweep.cases[sweep.count - 1]->sample);
    double high = hp_figure_max(figure, false);
    if (isfinite(best)) {
      hp_series* ideal = hp_series_add(figure, "ideal", HP_REFERENCE);
      hp_point_add(figure, ideal, (hp_point){1, best, NAN, NAN});
      hp_point_add(figure, ideal, (hp_point){most, best * most, NAN, NAN});
      // Far above the ideal's end there is nothing to see, but its slope must show.
      figure->y.high = fmin(best * most, high * 2) * 1.05;
    }
    double cores = hp_number(one->sample, HP_host_cores);
    if (cores > 1 && cores < most) {
      hp_mark_add(figure, cores, hp_format(figure->arena, "%.0f cores", cores));
    }
    figure->x.title = "threads";
    figure->x.high = most * 1.03;
    hp_figures_add(figures, figure);
  }
}

// ---- latency ----

static const struct {
  hp_field field;
  const char* text;
} kPercentiles[] = {{HP_latency_p50_ns, "p50"},      {HP_latency_p90_ns, "p90"},
                    {HP_latency_p99_ns, "p99"},      {HP_latency_p999_ns, "p99.9"},
                    {HP_latency_p9999_ns, "p99.99"}, {HP_latency_max_ns, "max"}};
enum { PERCENTILES = sizeof(kPercentiles) / sizeof(kPercentiles[0]) };

static hp_point percentile_point(hp_arena* arena, const hp_group* group, size_t p) {
  double* values = hp_alloc(arena, (group->run_count + 1) * sizeof(*values));
  size_t count = 0;
  for (size_t i = 0; i < group->run_count; i++) {
    double value = hp_number(group->runs[i], kPercentiles[p].field);
    if (value > 0) values[count++] = value;
  }
  hp_interval interval = hp_median_interval(values, count);
  return (hp_point){(double)p, hp_median(values, count), interval.low, interval.high};
}

// Powers of 10 from 1 ns to 10 s, as far as the data goes.
static void add_time_ticks(hp_figure* figure) {
  static const char* const kUnits[] = {"ns", "µs", "ms", "s"};
  double most = hp_figure_max(figure, false);
  double ns = 1;
  for (size_t power = 0; power <= 10 && ns < most * 10; power++, ns *= 10) {
    double value = power % 3 == 0 ? 1 : power % 3 == 1 ? 10 : 100;
    hp_tick_add(figure, &figure->y, ns,
                hp_format(figure->arena, "%g %s", value, kUnits[power / 3]));
  }
}

void hp_chart_latency(hp_figures* figures) {
  hp_arena* arena = &figures->data->arena;
  for (size_t i = 0; i < figures->cases->count; i++) {
    const hp_case* one = &figures->cases->at[i];
    hp_figure* figure =
        hp_figure_new(arena, HP_LINES, hp_figure_name(figures, "latency", one->name),
                      hp_format(arena, "Latency of single calls: %s", one->title));
    for (size_t g = 0; g < one->group_count; g++) {
      hp_series* series = hp_series_add(figure, one->groups[g].label, HP_PLAIN);
      for (size_t p = 0; p < PERCENTILES; p++) {
        hp_point point = percentile_point(arena, &one->groups[g], p);
        if (isfinite(point.y)) hp_point_add(figure, series, point);
      }
    }
    for (size_t p = 0; p < PERCENTILES; p++) {
      hp_tick_add(figure, &figure->x, (double)p, kPercentiles[p].text);
    }
    add_time_ticks(figure);
    figure->x.title = "share of the calls that take at most this long";
    figure->y.title = "time of one call";
    figure->y.scale = HP_LOG10;
    figure->caption =
        "Medians over the runs that time single calls, the clock's own cost taken off.";
    hp_figures_add(figures, figure);
  }
}
