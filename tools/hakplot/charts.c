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

const char* hp_figure_name(hp_figures* figures, const char* chart, const char* part) {
  return part[0] == '\0' ? chart : hp_format(&figures->data->arena, "%s-%s", chart, part);
}

void hp_figures_add(hp_figures* figures, hp_figure* figure) {
  hp_arena* arena = &figures->data->arena;
  if (!hp_figure_has_data(figure) || !hp_figure_has_extent(figure)) return;
  figure->name = hp_unique_name(&figures->names, arena, figure->name);
  figures->at = hp_grow(arena, figures->at, figures->count, sizeof(*figures->at));
  figures->at[figures->count++] = figure;
}

const char* hp_count_note(hp_arena* arena, const hp_group* group, const hp_summary* summary) {
  const char* failed = group->failed > 0 ? hp_format(arena, ", %zu failed", group->failed) : "";
  if (summary->is_range) return hp_format(arena, "stated%s", failed);
  if (summary->is_mean) {
    double runs = hp_number(group->mean, HP_perf_runs);
    if (!isnan(runs)) return hp_format(arena, "mean of %.0f%s", runs, failed);
    if (isnan(summary->error)) return hp_format(arena, "mean (perf -r)%s", failed);
    return hp_format(arena, "mean, std. error %.2g %%%s", summary->error * 100, failed);
  }
  // Runs that do not say this are runs nevertheless.
  if (summary->count == 0 || summary->count == group->run_count)
    return hp_format(arena, "n=%zu%s", group->run_count, failed);
  return hp_format(arena, "n=%zu of %zu%s", summary->count, group->run_count, failed);
}

void hp_run_range_add(hp_run_range* range, size_t runs) {
  if (range->least == 0 || runs < range->least) range->least = runs;
  if (runs > range->most) range->most = runs;
}

const char* hp_run_range_text(hp_arena* arena, const hp_run_range* range) {
  if (range->least == range->most) return hp_format(arena, "n=%zu", range->most);
  return hp_format(arena, "n=%zu to %zu", range->least, range->most);
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
static void dry_key(hp_text* key, const char* limit, const hp_row* row) {
  static const hp_field kSame[] = {HP_working_set, HP_min_bytes, HP_max_bytes, HP_threads, HP_duet};
  const char* host = hp_string(row, HP_host_id);
  const char* touch = hp_string(row, HP_touch);
  key->size = 0;
  hp_printf(key, "%s\t%s\t%s", limit, host != NULL ? host : "", touch != NULL ? touch : "");
  for (size_t k = 0; k < sizeof(kSame) / sizeof(kSame[0]); k++) {
    hp_printf(key, "\t%.17g", hp_number(row, kSame[k]));
  }
}

static double smaller(double a, double b) { return isnan(a) || b < a ? b : a; }
static double larger(double a, double b) { return isnan(a) || b > a ? b : a; }

static void find_limits(hp_figures* figures) {
  hp_arena* arena = &figures->data->arena;
  hp_text key = {0};
  for (size_t i = 0; i < figures->data->row_count; i++) {
    const hp_row* row = &figures->data->rows[i];
    const char* limit = hp_string(row, HP_limit);
    bool is_new;
    if (row->kind != HP_RUN || limit == NULL || hp_has_failed(row)) continue;
    dry_key(&key, limit, row);
    size_t at = hp_map_put(&figures->dry_keys, arena, key.data, &is_new);
    if (is_new) {
      figures->dry = hp_grow(arena, figures->dry, at, sizeof(*figures->dry));
      figures->dry[at] = (hp_dry){NAN, NAN};
    }
    double mops = kMetrics[HP_THROUGHPUT].of(row);
    double cpu_s = hp_number(row, HP_user_s) + hp_number(row, HP_system_s);
    double user_ns = cpu_s / hp_number(row, HP_ops) * 1e9;
    hp_dry* dry = &figures->dry[at];
    if (isfinite(mops)) dry->best_mops = larger(dry->best_mops, mops);
    if (isfinite(user_ns)) dry->user_ns = smaller(dry->user_ns, user_ns);
  }
  hp_text_free(&key);
}

hp_dry hp_dry_limit(const hp_figures* figures, const hp_row* like, const char* limit) {
  hp_text key = {0};
  if (isnan(hp_number(like, HP_working_set))) return (hp_dry){NAN, NAN};
  dry_key(&key, limit, like);
  size_t at = hp_map_get(&figures->dry_keys, key.data, SIZE_MAX);
  hp_text_free(&key);
  return at != SIZE_MAX ? figures->dry[at] : (hp_dry){NAN, NAN};
}

void hp_figures_begin(hp_figures* figures, hp_dataset* data, const hp_cases* cases) {
  *figures = (hp_figures){.data = data, .cases = cases};
  hp_find_sweep_points(figures);
  find_limits(figures);
}

void hp_figures_end(hp_figures* figures) {
  hp_names_free(&figures->names);
  hp_map_free(&figures->dry_keys);
}
