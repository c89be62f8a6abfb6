// Charts that compare phases: a row for each.

#include <math.h>
#include <string.h>

#include "tools/common/statistics.h"
#include "tools/hakplot/charts.h"

// A figure for each case that is no sweep's point and no limit.
static void for_cases(hp_figures* figures, void (*make)(hp_figures*, const hp_case*)) {
  for (size_t i = 0; i < figures->cases->count; i++) {
    const hp_case* one = &figures->cases->at[i];
    if (!hp_is_dry(one) && !one->is_sweep_point) make(figures, one);
  }
}

static hp_row_look look_of(const hp_group* group, const hp_summary* summary) {
  if (summary->is_range) return HP_ROW_RANGE;
  return group->is_baseline ? HP_ROW_BASELINE : HP_ROW_PLAIN;
}

static const char* bars_caption(bool has_interval, bool is_stated, bool is_mean) {
  const char* rest =
      has_interval ? "; lines: its 95 % interval; circles: single runs."
      : is_stated  ? " (too few runs for an interval); circles: single runs; hatched: a stated "
                     "range, no run."
                   : "; circles: single runs. Below 6 runs no 95 % interval exists.";
  return hp_format("Bars: %s%s", is_mean ? "median, or the mean of perf -r" : "median", rest);
}

static void draw_bars(hp_figures* figures, const hp_case* one, const char* chart, const char* what,
                      hp_metric_id id) {
  hp_figure* figure = hp_case_figure(HP_BARS, chart, what, one);
  hp_series_add(figure, "median", HP_PLAIN);
  hp_series_add(figure, "single runs", HP_PLAIN);
  const hp_unit unit = hp_unit_of(one, &kMetrics[id]);
  bool has_interval = false;
  bool is_stated = false;
  bool is_mean = false;
  for (size_t g = 0; g < one->group_count; g++) {
    const hp_group* group = &one->groups[g];
    hp_summary summary = hp_summarise(group, &kMetrics[id]);
    const char* note =
        hp_format("%s, %s", hp_summary_text(&summary, unit.factor), hp_count_note(group, &summary));
    size_t row = hp_figure_row_add(figure, group->label, note, look_of(group, &summary));
    hp_interval_add(&figure->series[0],
                    (hp_point){summary.centre * unit.factor, (double)row, summary.low * unit.factor,
                               summary.high * unit.factor});
    has_interval |= isfinite(summary.low) && !summary.is_range;
    is_stated |= summary.is_range && isfinite(summary.low);
    is_mean |= summary.is_mean;
    for (size_t k = 0; k < group->run_count; k++) {
      double value = kMetrics[id].of(group->runs[k]);
      if (!isfinite(value)) continue;
      hp_point_add(&figure->series[1], value * unit.factor, (double)row);
    }
  }
  if (figure->series[1].count == 0) figure->series_count = 1;
  figure->x.title = unit.title;
  figure->caption = bars_caption(has_interval, is_stated, is_mean);
  hp_figures_add(figures, figure);
}

static void draw_throughput(hp_figures* figures, const hp_case* one) {
  draw_bars(figures, one, "throughput", "Throughput", HP_THROUGHPUT);
}

void hp_chart_throughput(hp_figures* figures) { for_cases(figures, draw_throughput); }

// Only where operations are not known: otherwise throughput says it better.
void hp_chart_elapsed(hp_figures* figures) {
  for (size_t i = 0; i < figures->cases->count; i++) {
    const hp_case* one = &figures->cases->at[i];
    bool has_throughput = hp_main_metric(one) == &kMetrics[HP_THROUGHPUT];
    if (!has_throughput) draw_bars(figures, one, "elapsed", "Elapsed time", HP_ELAPSED);
  }
}

// ---- kernel share ----

static const char* share_note(const hp_share* share) {
  double percent = share->share * 100;
  switch (share->source) {
    case HP_CPU_REGION:
      return hp_format("%.1f %% kernel, %.1f CPU s, n=%zu", percent, share->cpu_s,
                       share->run_count);
    case HP_CPU_PROCESS:
      return hp_format("%.1f %% kernel, %.1f CPU s of the whole process, n=%zu", percent,
                       share->cpu_s, share->run_count);
    case HP_CPU_CYCLES:
      return hp_format("%.1f %% kernel, counted cycles, n=%zu", percent, share->run_count);
    case HP_CPU_STATED:
      return hp_format("%.0f %% kernel, as stated", percent);
    case HP_CPU_UNKNOWN:
      break;
  }
  return share->cpu_s > 0 ? hp_format("only %.2f CPU s: too short", share->cpu_s)
                          : "kernel share unknown";
}

static void draw_kernel_share(hp_figures* figures, const hp_case* one) {
  hp_figure* figure = hp_case_figure(HP_STACK, "kernel-share", "Kernel and user time", one);
  bool has_short = false;
  hp_series_add(figure, "kernel", HP_PLAIN)->tone = HP_TONE_KERNEL;
  hp_series_add(figure, "user", HP_PLAIN)->tone = HP_TONE_USER;
  for (size_t g = 0; g < one->group_count; g++) {
    const hp_group* group = &one->groups[g];
    hp_share share = hp_kernel_share(group);
    has_short |= share.cpu_s > 0;
    size_t row = hp_figure_row_add(figure, group->label, share_note(&share), HP_ROW_PLAIN);
    double percent = share.share * 100;
    hp_interval_add(&figure->series[0],
                    (hp_point){percent, (double)row, share.low * 100, share.high * 100});
    hp_point_add(&figure->series[1], 100 - percent, (double)row);
  }
  if (has_short && !hp_figure_has_data(figure)) {
    hp_note(figures->data,
            "no kernel-share of %s: below 0.2 s of CPU time in all a phase's runs together; more "
            "operations or runs tell",
            one->title);
  }
  figure->x.title = "CPU time, %";
  figure->x.high = 100;
  figure->caption =
      "All runs of a phase together; lines: 95 % interval of sampling by timer ticks.";
  hp_figures_add(figures, figure);
}

void hp_chart_kernel_share(hp_figures* figures) { for_cases(figures, draw_kernel_share); }

// ---- nanoseconds of an operation ----

typedef struct op_time {
  double user_ns;  // NaN: unknown
  double kernel_ns;
  const char* note;
} op_time;

static double cpu_ns_per_op(const hp_row* row, size_t unused) {
  double user_s;
  double system_s;
  (void)unused;
  hp_cpu_times(row, &user_s, &system_s);
  if (hp_string(row, HP_mode) != NULL) return NAN;
  return (user_s + system_s) / hp_number(row, HP_ops) * 1e9;
}

// The total of a run is exact, so its median is taken; how it splits is sampled, so the split is
// that of all runs together.
static op_time op_time_of(const hp_group* group) {
  hp_summary total = hp_summarise_by(group, cpu_ns_per_op, 0);
  double share = hp_kernel_share(group).share;
  const char* runs = total.is_mean ? "mean" : hp_format("n=%zu", total.count);
  const char* note = isnan(total.centre) ? "unknown"
                                         : hp_format("%s ns%s, %s", hp_number_text(total.centre, 3),
                                                     isnan(share) ? ", split unknown" : "", runs);
  return (op_time){total.centre * (1 - share), total.centre * share, note};
}

static void draw_time_split(hp_figures* figures, const hp_case* one) {
  double dry_ns = hp_dry_limit(figures, one->sample, "void").user_ns;
  bool has_dry = isfinite(dry_ns);
  hp_figure* figure = hp_case_figure(HP_STACK, "time-split", "CPU time of one operation", one);
  if (has_dry) hp_series_add(figure, "dry loop", HP_PLAIN)->tone = HP_TONE_LOOP;
  const char* user = has_dry ? "allocator in user space" : "user space, the loop included";
  hp_series_add(figure, user, HP_PLAIN)->tone = HP_TONE_USER;
  hp_series_add(figure, "kernel", HP_PLAIN)->tone = HP_TONE_KERNEL;
  for (size_t g = 0; g < one->group_count; g++) {
    op_time time = op_time_of(&one->groups[g]);
    double loop = isnan(time.user_ns) ? NAN : has_dry ? fmin(dry_ns, time.user_ns) : 0;
    size_t row = hp_figure_row_add(figure, one->groups[g].label, time.note, HP_ROW_PLAIN);
    size_t at = 0;
    if (has_dry) hp_point_add(&figure->series[at++], loop, (double)row);
    hp_point_add(&figure->series[at], time.user_ns - loop, (double)row);
    hp_point_add(&figure->series[at + 1], time.kernel_ns, (double)row);
  }
  figure->x.title = "CPU time, ns per operation (all threads)";
  figure->caption = has_dry ? "Medians. The dry loop is the same program without an allocator, its "
                              "best run on this machine."
                            : "Medians. No run of the dry loop is in the data, so that the loop is "
                              "part of user space.";
  hp_figures_add(figures, figure);
}

void hp_chart_time_split(hp_figures* figures) { for_cases(figures, draw_time_split); }

// ---- faults and calls ----

// Page faults are event 0, the calls those behind it.
enum { EVENTS = HP_CALL_COUNT + 1 };

static double event_of(const hp_row* row, size_t event) {
  if (event == 0) return kMetrics[HP_FAULTS].of(row);
  return hp_calls(row, event - 1) / hp_number(row, HP_ops) * 1e6;
}

typedef struct events {
  double medians[EVENTS];
  size_t run_count;  // 0: of a mean
} events;

static events events_of(const hp_group* group) {
  events all = {.run_count = 0};
  for (size_t e = 0; e < EVENTS; e++) {
    hp_summary one = hp_summarise_by(group, event_of, e);
    all.medians[e] = one.centre;
    if (one.count > all.run_count) all.run_count = one.count;
  }
  return all;
}

// "12.3 faults, n=10".
static const char* event_note(const events* all) {
  size_t known = 0;
  const char* of = all->run_count > 0 ? hp_format(", n=%zu", all->run_count) : "";
  for (size_t e = 0; e < EVENTS; e++) known += isnan(all->medians[e]) ? 0 : 1;
  if (known == 0) return "unknown";
  if (isnan(all->medians[0])) return hp_format("page faults unknown%s", of);
  const char* faults = hp_number_text(all->medians[0], 3);
  return hp_format("%s faults%s%s", faults, known == 1 ? "; calls unknown" : "", of);
}

// Takes out the calls that no phase counted.
static void drop_unknown_series(hp_figure* figure) {
  size_t kept = 0;
  for (size_t s = 0; s < figure->series_count; s++) {
    bool is_known = false;
    for (size_t k = 0; k < figure->series[s].count; k++) {
      is_known |= !isnan(figure->series[s].points[k].x);
    }
    if (is_known) figure->series[kept++] = figure->series[s];
  }
  figure->series_count = kept;
}

static void draw_kernel_events(hp_figures* figures, const hp_case* one) {
  hp_figure* figure = hp_case_figure(HP_DOTS, "kernel-events", "Page faults and system calls", one);
  hp_series_add(figure, "page faults", HP_PLAIN);
  for (size_t c = 0; c < HP_CALL_COUNT; c++) hp_series_add(figure, kCallNames[c], HP_PLAIN);
  for (size_t g = 0; g < one->group_count; g++) {
    events all = events_of(&one->groups[g]);
    size_t row = hp_figure_row_add(figure, one->groups[g].label, event_note(&all), HP_ROW_PLAIN);
    for (size_t e = 0; e < EVENTS; e++) {
      hp_point_add(&figure->series[e], all.medians[e], (double)row);
    }
  }
  drop_unknown_series(figure);
  figure->x.title = "per million operations (logarithmic, with a place for 0)";
  figure->x.scale = HP_LOG10;
  figure->caption = "Medians of the runs. What was not counted has no dot.";
  hp_figures_add(figures, figure);
}

void hp_chart_kernel_events(hp_figures* figures) { for_cases(figures, draw_kernel_events); }

// ---- the limit ----

static void draw_limit(hp_figures* figures, const hp_case* one) {
  double limit = hp_dry_limit(figures, one->sample, "void").best_mops;
  double list = hp_dry_limit(figures, one->sample, "list").best_mops;
  if (!isfinite(limit)) return;
  hp_figure* figure = hp_case_figure(HP_BARS, "limit", "Distance to the physical limit", one);
  hp_series_add(figure, "best run", HP_PLAIN);
  for (size_t g = 0; g < one->group_count; g++) {
    const hp_group* group = &one->groups[g];
    if (hp_is_limit(group)) continue;
    hp_summary summary = hp_summarise(group, &kMetrics[HP_THROUGHPUT]);
    double best = summary.count > 0 ? summary.values[summary.count - 1] : NAN;
    const char* note =
        isnan(best)
            ? "unknown"
            : hp_format("%s %%, best of %zu", hp_number_text(best / limit * 100, 3), summary.count);
    size_t row = hp_figure_row_add(figure, group->label, note, HP_ROW_PLAIN);
    hp_point_add(&figure->series[0], best / limit * 100, (double)row);
  }
  figure->x.title = "throughput of the best run, % of the loop without an allocator";
  figure->x.high = fmax(100, hp_figure_max(figure, true)) * 1.02;
  hp_mark_add(figure, 100, "no allocator");
  if (isfinite(list)) hp_mark_add(figure, list / limit * 100, "ideal list");
  figure->caption = hp_format("100 %% is %s M ops/s: the same stream of operations, no allocator.",
                              hp_number_text(limit, 3));
  hp_figures_add(figures, figure);
}

void hp_chart_limit(hp_figures* figures) { for_cases(figures, draw_limit); }

// ---- profile ----

// Kernel and user parts are the two series.
static hp_figure* new_profile(const char* label) {
  hp_figure* figure = hp_figure_new(HP_STACK, "profile", hp_format("CPU time by part: %s", label));
  hp_series_add(figure, "kernel", HP_PLAIN)->tone = HP_TONE_KERNEL;
  hp_series_add(figure, "user", HP_PLAIN)->tone = HP_TONE_USER;
  figure->x.title = "CPU time, %";
  figure->caption = "One profile, as recorded; parts of the kernel and of user space.";
  return figure;
}

static void add_part(hp_figure* figure, const hp_row* part) {
  const char* component = hp_string(part, HP_component);
  const char* group = hp_string(part, HP_group);
  double percent = hp_number(part, HP_percent);
  double cycles = hp_number(part, HP_cycles);
  const char* note = isnan(percent)  ? "unknown"
                     : isnan(cycles) ? hp_format("%g %%", percent)
                                     : hp_format("%g %%, ~%g cycles/op", percent, cycles);
  size_t row =
      hp_figure_row_add(figure, component != NULL ? component : "unnamed", note, HP_ROW_PLAIN);
  bool is_kernel = group != NULL && strcmp(group, "kernel") == 0;
  hp_point_add(&figure->series[is_kernel ? 0 : 1], percent, (double)row);
}

// One figure for each phase that has parts.
void hp_chart_profile(hp_figures* figures) {
  hp_dataset* data = figures->data;
  hp_map* labels = hp_map_new();
  for (size_t i = 0; i < data->row_count; i++) {
    if (data->rows[i].kind != HP_PART) continue;
    hp_entry* label = hp_put(labels, hp_row_label(data, &data->rows[i]), 0);
    if (label->puts == 1) label->thing = new_profile(label->key);
    add_part(label->thing, &data->rows[i]);
  }
  for (size_t i = 0; i < labels->count; i++) hp_figures_add(figures, labels->at[i]->thing);
}
