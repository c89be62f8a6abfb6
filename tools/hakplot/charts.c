// The registry of the charts, and what several of them share: notes of counts, limits, names.

#include "tools/hakplot/charts.h"

#include <math.h>
#include <string.h>

const hp_chart kCharts[] = {
#define HP_CHART(function, name, about, needs) {name, about, needs, hp_chart_##function},
#include "tools/hakplot/charts.def"
#undef HP_CHART
};
const size_t kChartCount = sizeof(kCharts) / sizeof(kCharts[0]);

const hp_chart* hp_chart_named(const char* name) {
  for (size_t i = 0; i < kChartCount; i++) {
    if (strcmp(kCharts[i].name, name) == 0) return &kCharts[i];
  }
  return NULL;
}

hp_figure* hp_case_figure(hp_shape shape, const char* chart, const char* what, const hp_case* one) {
  const char* name = one->name[0] == '\0' ? chart : hp_format("%s-%s", chart, one->name);
  return hp_figure_new(shape, name, hp_format("%s: %s", what, one->title));
}

void hp_figures_add(hp_figures* figures, hp_figure* figure) {
  if (!hp_figure_has_data(figure) || !hp_figure_has_extent(figure)) return;
  figure->name = hp_unique_name(figures->names, figure->name);
  *hp_push(figures->at, figures->count) = figure;
}

const char* hp_count_note(const hp_group* group, const hp_summary* summary) {
  const char* failed = group->failed > 0 ? hp_format(", %zu failed", group->failed) : "";
  if (summary->is_range) return hp_format("stated%s", failed);
  if (summary->is_mean) {
    if (isnan(summary->error)) return hp_format("mean (perf -r)%s", failed);
    return hp_format("mean, std. error %.2g %%%s", summary->error * 100, failed);
  }
  // Runs that do not say this are runs nevertheless.
  if (summary->count == 0 || summary->count == group->run_count)
    return hp_format("n=%zu%s", group->run_count, failed);
  return hp_format("n=%zu of %zu%s", summary->count, group->run_count, failed);
}

void hp_run_range_add(hp_run_range* range, size_t runs) {
  if (range->least == 0 || runs < range->least) range->least = runs;
  if (runs > range->most) range->most = runs;
}

const char* hp_run_range_text(const hp_run_range* range) {
  if (range->least == range->most) return hp_format("n=%zu", range->most);
  return hp_format("n=%zu to %zu", range->least, range->most);
}

void hp_summary_add(hp_series* series, double x, const hp_summary* summary, double factor,
                    hp_run_range* runs) {
  if (!isfinite(summary->centre)) return;
  if (summary->count > 0) hp_run_range_add(runs, summary->count);
  hp_interval_add(series, (hp_point){x, summary->centre * factor, summary->low * factor,
                                     summary->high * factor});
}

const char* hp_points_caption(const hp_run_range* runs) {
  return hp_format("Points: medians, %s; upright lines: their 95 %% intervals, from 6 runs on.",
                   hp_run_range_text(runs));
}

bool hp_is_dry(const hp_case* one) {
  const char* workload = hp_string(one->sample, HP_workload);
  return workload != NULL && strcmp(workload, "dry") == 0;
}

bool hp_is_limit(const hp_group* group) {
  return group->run_count > 0 && hp_string(group->runs[0], HP_limit) != NULL;
}

// ---- limits ----

// Runs that share it do the same on the same machine.
static char* dry_key(const char* limit, const hp_row* row) {
  static const hp_field kSame[] = {HP_working_set, HP_min_bytes, HP_max_bytes, HP_threads, HP_duet};
  const char* host = hp_string(row, HP_host_id);
  const char* touch = hp_string(row, HP_touch);
  char* key = hp_format("%s\t%s\t%s", limit, host != NULL ? host : "", touch != NULL ? touch : "");
  for (size_t k = 0; k < sizeof(kSame) / sizeof(kSame[0]); k++) {
    key = hp_format("%s\t%.17g", key, hp_number(row, kSame[k]));
  }
  return key;
}

static void find_limits(hp_figures* figures) {
  for (size_t i = 0; i < figures->data->row_count; i++) {
    const hp_row* row = &figures->data->rows[i];
    const char* limit = hp_string(row, HP_limit);
    if (row->kind != HP_RUN || limit == NULL || hp_has_failed(row)) continue;
    const hp_entry* entry = hp_put(figures->dry, dry_key(limit, row), sizeof(hp_dry));
    hp_dry* dry = entry->thing;
    if (entry->puts == 1) *dry = (hp_dry){NAN, NAN};
    double mops = kMetrics[HP_THROUGHPUT].of(row);
    double cpu_s = hp_number(row, HP_user_s) + hp_number(row, HP_system_s);
    double user_ns = cpu_s / hp_number(row, HP_ops) * 1e9;
    // NaN gives way to what is known.
    if (isfinite(mops)) dry->best_mops = fmax(dry->best_mops, mops);
    if (isfinite(user_ns)) dry->user_ns = fmin(dry->user_ns, user_ns);
  }
}

hp_dry hp_dry_limit(const hp_figures* figures, const hp_row* like, const char* limit) {
  const hp_entry* entry = hp_get(figures->dry, dry_key(limit, like));
  bool is_known = entry != NULL && !isnan(hp_number(like, HP_working_set));
  return is_known ? *(const hp_dry*)entry->thing : (hp_dry){NAN, NAN};
}

void hp_figures_begin(hp_figures* figures, hp_dataset* data, hp_cases* cases) {
  *figures = (hp_figures){.data = data, .cases = cases, .names = hp_map_new(), .dry = hp_map_new()};
  hp_find_sweep_points(figures);
  find_limits(figures);
}
