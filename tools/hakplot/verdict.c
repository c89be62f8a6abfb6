// Judgements: pairs of rounds or samples, and the verdict table that shows them.

#include "tools/hakplot/verdict.h"

#include <math.h>
#include <stdio.h>

#include "tools/common/statistics.h"
#include "tools/hakplot/charts.h"

static const double kAlpha = 0.05;

// ---- comparing ----

static double ratio_of(double now, double base) {
  if (base == 0 && now == 0) return 1;  // from 0 to something there is no per cent: infinite
  return now / base;
}

// The run of the same round, or NULL.
static const hp_row* partner(const hp_group* group, const hp_row* run, const hp_metric* metric) {
  double round = hp_number(run, HP_run);
  for (size_t i = 0; i < group->run_count; i++) {
    const hp_row* other = group->runs[i];
    bool is_same = hp_number(other, HP_run) == round && other->file == run->file &&
                   hp_string(other, HP_experiment) == hp_string(run, HP_experiment);
    if (is_same && isfinite(metric->of(other))) return other;
  }
  return NULL;
}

// The ratios of those runs that are pairs; returns how many.
static size_t pair_ratios(const hp_group* base, const hp_group* now, const hp_metric* metric,
                          double* ratios) {
  size_t count = 0;
  for (size_t i = 0; i < now->run_count; i++) {
    const hp_row* run = now->runs[i];
    double value = metric->of(run);
    const hp_row* other = isfinite(value) ? partner(base, run, metric) : NULL;
    if (other != NULL) ratios[count++] = ratio_of(value, metric->of(other));
  }
  return count;
}

static void compare_pairs(hp_comparison* result, double* ratios) {
  size_t above = 0;
  size_t below = 0;
  for (size_t i = 0; i < result->pairs; i++) {
    above += ratios[i] > 1;
    below += ratios[i] < 1;
  }
  result->of = hp_median_interval(ratios, result->pairs);
  // Between two in the middle lies their geometric mean: twice and half are nothing.
  for (size_t i = 0; i < result->pairs; i++) ratios[i] = log(ratios[i]);
  result->ratio = exp(hp_median(ratios, result->pairs));
  result->p = hp_sign_test(above, below);
  result->judgement = isnan(result->of.low)                       ? HP_TOO_FEW
                      : result->of.low > 1 || result->of.high < 1 ? HP_DIFFERENT
                                                                  : HP_ALIKE;
}

static void compare_samples(hp_comparison* result) {
  const hp_summary* base = &result->base;
  const hp_summary* now = &result->now;
  bool is_few = hp_mann_whitney_floor(base->count, now->count) >= kAlpha;
  result->p = is_few ? NAN : hp_mann_whitney(base->values, base->count, now->values, now->count);
  // Of shares that few runs saw it is known how many samples they rest on.
  if (is_few)
    result->p = hp_share_p(base->centre / 100, base->samples, now->centre / 100, now->samples);
  result->judgement = isnan(result->p) ? HP_TOO_FEW : result->p < kAlpha ? HP_DIFFERENT : HP_ALIKE;
}

hp_comparison hp_compare_groups(hp_arena* arena, const hp_group* base, const hp_group* now,
                                const hp_metric* metric) {
  double* ratios = hp_alloc(arena, (now->run_count + 1) * sizeof(*ratios));
  hp_comparison result = {.judgement = HP_UNKNOWN,
                          .of = {NAN, NAN},
                          .p = NAN,
                          .base = hp_summarise(arena, base, metric),
                          .now = hp_summarise(arena, now, metric)};
  result.ratio = ratio_of(result.now.centre, result.base.centre);
  if (isnan(result.base.centre) || isnan(result.now.centre)) return result;
  size_t pairs = pair_ratios(base, now, metric, ratios);
  size_t fewer = result.base.count < result.now.count ? result.base.count : result.now.count;
  // A share is of all runs together, however short each is.
  if (pairs > 0 && 2 * pairs >= fewer && isnan(result.base.samples)) result.pairs = pairs;
  if (result.pairs > 0) compare_pairs(&result, ratios);
  if (result.pairs == 0) compare_samples(&result);
  return result;
}

static char* percent_text(hp_arena* arena, double ratio) {
  double percent = (ratio - 1) * 100;
  return hp_format(arena, "%+.*f", fabs(percent) < 100 ? 1 : 0, percent);
}

char* hp_change_text(hp_arena* arena, const hp_comparison* comparison) {
  if (comparison->judgement == HP_UNKNOWN) return hp_format(arena, "unknown");
  if (comparison->judgement == HP_ALIKE) return hp_format(arena, "~");
  if (!isfinite(comparison->ratio)) return hp_format(arena, "from 0");
  return hp_format(arena, "%s %%", percent_text(arena, comparison->ratio));
}

char* hp_evidence_text(hp_arena* arena, const hp_comparison* comparison) {
  if (comparison->judgement == HP_UNKNOWN) return hp_copy(arena, "", 0);
  if (comparison->judgement == HP_TOO_FEW) return hp_format(arena, "too few");
  if (isfinite(comparison->of.low + comparison->of.high)) {
    return hp_format(arena, "%s..%s %%", percent_text(arena, comparison->of.low),
                     percent_text(arena, comparison->of.high));
  }
  if (comparison->p < 0.001) return hp_format(arena, "p<0.001");
  return hp_format(arena, "p=%.3f", comparison->p);
}

const char* hp_comparison_remark(const hp_comparison* comparison) {
  switch (comparison->judgement) {
    case HP_TOO_FEW:
      return "too few: a change may be noise (6 rounds of one experiment, or 4 runs on each "
             "side, are the least; 10 are good)";
    case HP_ALIKE:
      return "~  no difference can be told, at 5 %";
    case HP_UNKNOWN:
    case HP_DIFFERENT:
      break;
  }
  return NULL;
}

const char* hp_duet_remark(const hp_row* row) {
  if (!hp_is_duet(row)) return NULL;
  return "duet: the phases shared one processor at the same time; throughput and time per "
         "operation "
         "are of processor time, all threads together";
}

// ---- the verdict table ----

const hp_metric* hp_main_metric(hp_arena* arena, const hp_case* one) {
  for (size_t i = 0; i < one->group_count; i++) {
    hp_summary summary = hp_summarise(arena, &one->groups[i], &kMetrics[HP_THROUGHPUT]);
    if (!isnan(summary.centre)) return &kMetrics[HP_THROUGHPUT];
  }
  return &kMetrics[hp_is_duet(one->sample) ? HP_CPU_TIME : HP_ELAPSED];
}

static const char* share_text(hp_arena* arena, const hp_group* group) {
  hp_share share = hp_kernel_share(group);
  if (isnan(share.share)) return "unknown";
  double half = fmax(share.high - share.share, share.share - share.low) * 100;
  if (isnan(half)) return hp_format(arena, "%.0f %%", share.share * 100);
  return hp_format(arena, "%.1f ± %.1f %%", share.share * 100, half);
}

static const char* metric_text(hp_arena* arena, const hp_group* group, hp_metric_id id) {
  hp_summary summary = hp_summarise(arena, group, &kMetrics[id]);
  return hp_number_text(arena, summary.centre, 3);
}

// The metrics of the last columns.
static const hp_metric_id kFurther[] = {HP_STEADY,       HP_FAULTS,         HP_SYSCALLS,
                                        HP_PEAK_RSS,     HP_MEAN_RSS,       HP_CPU_TIME,
                                        HP_FAULTS_TOTAL, HP_SYSCALLS_TOTAL, HP_LEFT_RSS};

static void fill_row(hp_table* table, const hp_group* group, bool is_alone, const hp_metric* metric,
                     double factor) {
  hp_arena* arena = table->arena;
  hp_table_row* row = hp_table_row_add(table);
  hp_summary summary = hp_summarise(arena, group, metric);
  const char* count = hp_count_note(arena, group, &summary);
  row->cells[0] = group->label;
  row->cells[1] = hp_summary_text(arena, &summary, factor);
  if (group->baseline == group) {
    row->cells[2] = is_alone ? "" : "baseline";
  } else if (group->baseline != NULL) {
    hp_comparison comparison = hp_compare_groups(arena, group->baseline, group, metric);
    const char* remark = hp_comparison_remark(&comparison);
    row->cells[2] = hp_change_text(arena, &comparison);
    row->cells[3] = hp_evidence_text(arena, &comparison);
    if (remark != NULL) hp_table_footer(table, remark);
  }
  row->cells[4] = count;
  row->cells[5] = share_text(arena, group);
  for (size_t i = 0; i < sizeof(kFurther) / sizeof(kFurther[0]); i++) {
    if (&kMetrics[kFurther[i]] == metric) continue;  // stands in the second column
    row->cells[6 + i] = metric_text(arena, group, kFurther[i]);
  }
}

hp_table* hp_verdict_table(hp_dataset* data, const hp_case* one) {
  hp_table* table = hp_alloc(&data->arena, sizeof(*table));
  *table = (hp_table){.arena = &data->arena, .title = one->title};
  const hp_metric* metric = hp_main_metric(&data->arena, one);
  hp_table_column(table, "phase");
  const hp_unit unit = hp_unit_of(&data->arena, one, metric);
  hp_table_column(table, unit.name);
  hp_table_column(table, "vs base");
  hp_table_column(table, "95 % or p");
  hp_table_column(table, "runs");
  hp_table_column(table, "in kernel");
  for (size_t i = 0; i < sizeof(kFurther) / sizeof(kFurther[0]); i++) {
    hp_table_column(table, kMetrics[kFurther[i]].unit);
  }
  for (size_t i = 0; i < one->group_count; i++) {
    fill_row(table, &one->groups[i], one->group_count == 1, metric, unit.factor);
  }
  const char* remark = hp_duet_remark(one->sample);
  if (remark != NULL) hp_table_footer(table, remark);
  return table;
}

// Points of sweeps, limits and latency runs: their charts say it better.
static bool is_detail(const hp_figures* figures, const hp_case* one) {
  return hp_is_sweep_point(figures, one) || hp_string(one->sample, HP_mode) != NULL ||
         hp_is_dry(one);
}

hp_table** hp_verdict_tables(const hp_figures* figures) {
  const hp_cases* cases = figures->cases;
  hp_table** tables = hp_alloc(&figures->data->arena, (cases->count + 1) * sizeof(*tables));
  for (size_t i = 0; i < cases->count; i++) {
    tables[i] = hp_verdict_table(figures->data, &cases->at[i]);
    tables[i]->is_detail = is_detail(figures, &cases->at[i]);
  }
  return tables;
}

void hp_verdict_print(const hp_figures* figures, hp_table* const* tables) {
  const hp_dataset* data = figures->data;
  hp_text text = {0};
  size_t details = 0;
  for (size_t i = 0; i < figures->cases->count; i++) {
    if (tables[i]->is_detail) details++;
    if (tables[i]->is_detail) continue;
    text.size = 0;
    hp_table_text(tables[i], hp_terminal_columns(), &text);
    printf("%s\n", text.data);
  }
  if (details > 0)
    printf("%zu more (points of sweeps, limits, latency runs): in the charts and on the page\n\n",
           details);
  for (size_t i = 0; i < data->note_count; i++) printf("note: %s\n", data->notes[i]);
  if (data->note_count > 0) putchar('\n');
  hp_text_free(&text);
}

void hp_history_print(const hp_figures* figures) {
  static const char* const kHeaders[] = {"records",   "",     "vs the one before",
                                         "95 % or p", "runs", "commit"};
  hp_arena* arena = &figures->data->arena;
  hp_text text = {0};
  for (size_t i = 0; i < figures->cases->count; i++) {
    const hp_case* one = &figures->cases->at[i];
    const hp_metric* metric = hp_main_metric(arena, one);
    const hp_unit unit = hp_unit_of(arena, one, metric);
    for (size_t g = 0; g < one->group_count; g++) {
      hp_group* eras;
      size_t count = hp_history_of(arena, &one->groups[g], &eras);
      hp_table table = {.arena = arena};
      table.title = hp_format(arena, "%s, %s", one->title, one->groups[g].label);
      for (size_t c = 0; c < sizeof(kHeaders) / sizeof(kHeaders[0]); c++) {
        hp_table_column(&table, c == 1 ? unit.name : kHeaders[c]);
      }
      for (size_t e = 0; e < count; e++) {
        hp_comparison change = hp_compare_groups(arena, &eras[e > 0 ? e - 1 : 0], &eras[e], metric);
        const char* remark = e > 0 ? hp_comparison_remark(&change) : NULL;
        const char* commit = hp_string(eras[e].runs[0], HP_commit);
        hp_table_row* row = hp_table_row_add(&table);
        row->cells[0] = eras[e].label;
        row->cells[1] = hp_summary_text(arena, &change.now, unit.factor);
        row->cells[2] = e > 0 ? hp_change_text(arena, &change) : "";
        row->cells[3] = e > 0 ? hp_evidence_text(arena, &change) : "";
        row->cells[4] = hp_count_note(arena, &eras[e], &change.now);
        row->cells[5] = commit != NULL ? hp_format(arena, "%.10s", commit) : "";
        if (remark != NULL) hp_table_footer(&table, remark);
      }
      text.size = 0;
      if (count > 0) hp_table_text(&table, hp_terminal_columns(), &text);
      if (count > 0) printf("%s\n", text.data);
    }
  }
  hp_text_free(&text);
}
