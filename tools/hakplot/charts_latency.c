// The chart of single calls: percentiles of their times, a line for each phase. A workload that
// tells malloc and free apart (call_latency) makes a figure of each; those that run with --latency
// make one of all calls together.

#include <math.h>

#include "tools/hakplot/charts.h"

static const char* const kPercentiles[] = {"p50",    "p90",     "p99", "p99.9",
                                           "p99.99", "p99.999", "max"};
enum { PERCENTILES = sizeof(kPercentiles) / sizeof(kPercentiles[0]) };

typedef struct call_kind {
  const char* chart;  // the stem of the figures' names
  const char* title;
  hp_field fields[PERCENTILES];
} call_kind;

#define HP_PERCENTILE_FIELDS(prefix)                                                         \
  {                                                                                          \
    HP_##prefix##_p50_ns, HP_##prefix##_p90_ns, HP_##prefix##_p99_ns, HP_##prefix##_p999_ns, \
        HP_##prefix##_p9999_ns, HP_##prefix##_p99999_ns, HP_##prefix##_max_ns                \
  }

static const call_kind kKinds[] = {
    {"latency", "Latency of single calls", HP_PERCENTILE_FIELDS(latency)},
    {"latency-malloc", "Latency of malloc", HP_PERCENTILE_FIELDS(malloc)},
    {"latency-free", "Latency of free", HP_PERCENTILE_FIELDS(free)},
};

// What the clock cannot tell from nothing has no place on a logarithmic axis but its end.
static const double kLeastNs = 1;

static double percentile(const hp_row* row, size_t field) {
  double value = hp_number(row, (hp_field)field);
  return value >= 0 ? fmax(value, kLeastNs) : NAN;
}

// Powers of 10 from 1 ns to 10 s, as far as the data goes.
static void add_time_ticks(hp_figure* figure) {
  static const char* const kUnits[] = {"ns", "µs", "ms", "s"};
  double most = hp_figure_max(figure, false);
  double ns = kLeastNs;
  for (size_t power = 0; power <= 10 && ns < most * 10; power++, ns *= 10) {
    double value = power % 3 == 0 ? 1 : power % 3 == 1 ? 10 : 100;
    hp_tick_add(&figure->y, ns, hp_format("%g %s", value, kUnits[power / 3]));
  }
}

// A thread that lost its processor in a call makes that call long, whatever the allocator did.
static const char* preemptions_text(const hp_case* one) {
  double least = NAN;
  double most = NAN;
  for (size_t g = 0; g < one->group_count; g++) {
    for (size_t i = 0; i < one->groups[g].run_count; i++) {
      double count = hp_number(one->groups[g].runs[i], HP_preemptions);
      least = fmin(least, count);
      most = fmax(most, count);
    }
  }
  if (isnan(most)) return "";
  if (least == most) return hp_format(" A run was preempted %.0f times.", most);
  return hp_format(" A run was preempted %.0f to %.0f times.", least, most);
}

static hp_figure* draw_kind(const hp_case* one, const call_kind* kind) {
  hp_figure* figure = hp_case_figure(HP_LINES, kind->chart, kind->title, one);
  hp_run_range runs = {0};
  for (size_t g = 0; g < one->group_count; g++) {
    hp_series* series = hp_series_add(figure, one->groups[g].label, HP_PLAIN);
    for (size_t p = 0; p < PERCENTILES; p++) {
      hp_summary time = hp_summarise_by(&one->groups[g], percentile, kind->fields[p]);
      hp_summary_add(series, (double)p, &time, 1, &runs);
    }
  }
  for (size_t p = 0; p < PERCENTILES; p++) {
    hp_tick_add(&figure->x, (double)p, kPercentiles[p]);
  }
  add_time_ticks(figure);
  figure->x.title = "share of the calls that take at most this long";
  figure->y.title = "time of one call";
  figure->y.scale = HP_LOG10;
  figure->caption = hp_format(
      "Points: medians of the runs, %s; upright lines: their 95 %% intervals, from 6 runs "
      "on. The clock's own cost is taken off.%s",
      hp_run_range_text(&runs), preemptions_text(one));
  return figure;
}

void hp_chart_latency(hp_figures* figures) {
  for (size_t i = 0; i < figures->cases->count; i++) {
    for (size_t k = 0; k < sizeof(kKinds) / sizeof(kKinds[0]); k++) {
      hp_figures_add(figures, draw_kind(&figures->cases->at[i], &kKinds[k]));
    }
  }
}
