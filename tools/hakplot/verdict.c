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

hp_comparison hp_compare_groups(const hp_group* base, const hp_group* now,
                                const hp_metric* metric) {
  double* ratios = hp_alloc((now->run_count + 1) * sizeof(*ratios));
  hp_comparison result = {.judgement = HP_UNKNOWN,
                          .of = {NAN, NAN},
                          .p = NAN,
                          .base = hp_summarise(base, metric),
                          .now = hp_summarise(now, metric)};
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

static char* percent_text(double ratio) {
  double percent = (ratio - 1) * 100;
  return hp_format("%+.*f", fabs(percent) < 100 ? 1 : 0, percent);
}

char* hp_change_text(const hp_comparison* comparison) {
  if (comparison->judgement == HP_UNKNOWN) return hp_format("unknown");
  if (comparison->judgement == HP_ALIKE) return hp_format("~");
  if (!isfinite(comparison->ratio)) return hp_format("from 0");
  return hp_format("%s %%", percent_text(comparison->ratio));
}

char* hp_evidence_text(const hp_comparison* comparison) {
  if (comparison->judgement == HP_UNKNOWN) return hp_copy("", 0);
  if (comparison->judgement == HP_TOO_FEW) return hp_format("too few");
  if (isfinite(comparison->of.low + comparison->of.high)) {
    return hp_format("%s..%s %%", percent_text(comparison->of.low),
                     percent_text(comparison->of.high));
  }
  if (comparison->p < 0.001) return hp_format("p<0.001");
  return hp_format("p=%.3f", comparison->p);
}

const char* hp_comparison_remark(const hp_comparison* comparison) {
  static const char* const kRemarks[] = {
      [HP_TOO_FEW] =
          "too few: a change may be noise (6 rounds of one experiment, or 4 runs on each "
          "side, are the least; 10 are good)",
      [HP_ALIKE] = "~  no difference can be told, at 5 %",
      [HP_DIFFERENT] = NULL,
  };
  return kRemarks[comparison->judgement];
}

const char* hp_duet_remark(const hp_row* row) {
  if (!hp_is_duet(row)) return NULL;
  return "duet: the phases shared one processor at the same time; throughput and time per "
         "operation are of processor time, all threads together";
}

// ---- the verdict table ----

static const char* share_text(const hp_group* group) {
  hp_share share = hp_kernel_share(group);
  if (isnan(share.share)) return "unknown";
  double half = fmax(share.high - share.share, share.share - share.low) * 100;
  if (isnan(half)) return hp_format("%.0f %%", share.share * 100);
  return hp_format("%.1f ± %.1f %%", share.share * 100, half);
}

// The metrics of the last columns.
static const hp_metric_id kFurther[] = {
    HP_STEADY,   HP_FAULTS,       HP_SYSCALLS,       HP_PEAK_RSS, HP_MEAN_RSS,
    HP_CPU_TIME, HP_FAULTS_TOTAL, HP_SYSCALLS_TOTAL, HP_OVER_RSS, HP_LEFT_RSS};

static void fill_row(hp_table* table, const hp_group* group, bool is_alone, const hp_metric* metric,
                     double factor) {
  hp_table_row* row = hp_table_row_add(table);
  hp_summary summary = hp_summarise(group, metric);
  row->cells[0] = group->label;
  row->cells[1] = hp_summary_text(&summary, factor);
  if (group->baseline == group) {
    row->cells[2] = is_alone ? "" : "baseline";
  } else if (group->baseline != NULL) {
    hp_comparison comparison = hp_compare_groups(group->baseline, group, metric);
    row->cells[2] = hp_change_text(&comparison);
    row->cells[3] = hp_evidence_text(&comparison);
    hp_table_footer(table, hp_comparison_remark(&comparison));
  }
  row->cells[4] = hp_count_note(group, &summary);
  row->cells[5] = share_text(group);
  for (size_t i = 0; i < sizeof(kFurther) / sizeof(kFurther[0]); i++) {
    if (&kMetrics[kFurther[i]] == metric) continue;  // stands in the second column
    row->cells[6 + i] = hp_number_text(hp_summarise(group, &kMetrics[kFurther[i]]).centre, 3);
  }
}

hp_table* hp_verdict_table(const hp_case* one) {
  static const char* const kHeaders[] = {"vs base", "95 % or p", "runs", "in kernel"};
  hp_table* table = hp_alloc(sizeof(*table));
  const hp_metric* metric = hp_main_metric(one);
  const hp_unit unit = hp_unit_of(one, metric);
  table->title = one->title;
  hp_table_column(table, "phase");
  hp_table_column(table, unit.name);
  for (size_t i = 0; i < 4; i++) hp_table_column(table, kHeaders[i]);
  for (size_t i = 0; i < sizeof(kFurther) / sizeof(kFurther[0]); i++) {
    hp_table_column(table, kMetrics[kFurther[i]].unit);
  }
  for (size_t i = 0; i < one->group_count; i++) {
    fill_row(table, &one->groups[i], one->group_count == 1, metric, unit.factor);
  }
  hp_table_footer(table, hp_duet_remark(one->sample));
  return table;
}

bool hp_is_detail(const hp_case* one) {
  return one->is_sweep_point || hp_string(one->sample, HP_mode) != NULL || hp_is_dry(one);
}

void hp_verdict_print(const hp_figures* figures) {
  const hp_map* notes = figures->data->notes;
  size_t details = 0;
  for (size_t i = 0; i < figures->cases->count; i++) {
    const hp_case* one = &figures->cases->at[i];
    if (hp_is_detail(one)) details++;
    if (!hp_is_detail(one)) hp_table_print(hp_verdict_table(one));
  }
  if (details > 0)
    printf("%zu more (points of sweeps, limits, latency runs): in the charts and on the page\n\n",
           details);
  for (size_t i = 0; i < notes->count; i++) printf("note: %s\n", notes->at[i]->key);
  if (notes->count > 0) putchar('\n');
}

static void print_eras(const hp_case* one, const hp_group* group) {
  static const char* const kHeaders[] = {"records",   "",     "vs the one before",
                                         "95 % or p", "runs", "commit"};
  const hp_metric* metric = hp_main_metric(one);
  const hp_unit unit = hp_unit_of(one, metric);
  hp_group* eras;
  size_t count = hp_history_of(group, &eras);
  hp_table table = {.title = hp_format("%s, %s", one->title, group->label)};
  for (size_t c = 0; c < sizeof(kHeaders) / sizeof(kHeaders[0]); c++) {
    hp_table_column(&table, c == 1 ? unit.name : kHeaders[c]);
  }
  for (size_t e = 0; e < count; e++) {
    hp_comparison change = hp_compare_groups(&eras[e > 0 ? e - 1 : 0], &eras[e], metric);
    const char* commit = hp_string(eras[e].runs[0], HP_commit);
    *hp_table_row_add(&table) = (hp_table_row){
        {eras[e].label, hp_summary_text(&change.now, unit.factor),
         e > 0 ? hp_change_text(&change) : "", e > 0 ? hp_evidence_text(&change) : "",
         hp_count_note(&eras[e], &change.now), commit != NULL ? hp_format("%.10s", commit) : ""}};
    if (e > 0) hp_table_footer(&table, hp_comparison_remark(&change));
  }
  if (count > 0) hp_table_print(&table);
}

void hp_history_print(const hp_figures* figures) {
  for (size_t i = 0; i < figures->cases->count; i++) {
    const hp_case* one = &figures->cases->at[i];
    for (size_t g = 0; g < one->group_count; g++) print_eras(one, &one->groups[g]);
  }
}
