#include "tools/hakplot/verdict.h"

#include <math.h>

#include "tools/hakplot/charts.h"
#include "tools/hakplot/stats.h"

static const double kAlpha = 0.05;

hp_comparison hp_compare_summaries(const hp_summary* base, const hp_summary* now) {
  hp_comparison result = {HP_UNKNOWN, now->centre / base->centre, NAN};
  if (!isfinite(result.ratio)) {
    // Two zeros are alike; from 0 to something there is no per cent.
    if (base->centre == 0 && now->centre == 0) result.ratio = 1;
    if (isnan(base->centre) || isnan(now->centre)) return result;
  }
  if (base->count == 0 || now->count == 0) {
    result.judgement = HP_TOO_FEW;
    return result;
  }
  result.p = hp_mann_whitney(base->values, base->count, now->values, now->count);
  if (hp_mann_whitney_floor(base->count, now->count) >= kAlpha) {
    result.judgement = HP_TOO_FEW;
  } else {
    result.judgement = result.p < kAlpha ? HP_DIFFERENT : HP_ALIKE;
  }
  return result;
}

char* hp_change_text(hp_arena* arena, const hp_comparison* comparison) {
  double percent = (comparison->ratio - 1) * 100;
  int digits = fabs(percent) < 100 ? 1 : 0;
  if (comparison->judgement == HP_UNKNOWN) return hp_format(arena, "unknown");
  if (comparison->judgement == HP_ALIKE) return hp_format(arena, "~");
  const char* doubt = comparison->judgement == HP_TOO_FEW ? " ?" : "";
  if (!isfinite(percent)) return hp_format(arena, "from 0%s", doubt);
  return hp_format(arena, "%+.*f %%%s", digits, percent, doubt);
}

char* hp_p_text(hp_arena* arena, const hp_comparison* comparison) {
  if (isnan(comparison->p) || comparison->judgement == HP_TOO_FEW) return hp_copy(arena, "", 0);
  if (comparison->p < 0.001) return hp_format(arena, "<0.001");
  return hp_format(arena, "%.3f", comparison->p);
}

const char* hp_judgement_remark(hp_judgement judgement) {
  switch (judgement) {
    case HP_TOO_FEW:
      return "?  too few runs: no test can tell this from noise (4 on each side are the least, 10 "
             "are good)";
    case HP_ALIKE:
      return "~  no difference can be told (Mann-Whitney, p >= 0.05)";
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

static const hp_metric* main_metric(hp_arena* arena, const hp_case* one) {
  for (size_t i = 0; i < one->group_count; i++) {
    hp_summary summary = hp_summarise(arena, &one->groups[i], &kMetrics[HP_THROUGHPUT]);
    if (!isnan(summary.centre)) return &kMetrics[HP_THROUGHPUT];
  }
  return &kMetrics[HP_ELAPSED];
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
static const hp_metric_id kFurther[] = {HP_FAULTS,   HP_SYSCALLS,     HP_PEAK_RSS,
                                        HP_CPU_TIME, HP_FAULTS_TOTAL, HP_SYSCALLS_TOTAL};

static void fill_row(hp_table* table, const hp_group* group, bool is_alone,
                     const hp_metric* metric) {
  hp_arena* arena = table->arena;
  hp_table_row* row = hp_table_row_add(table);
  hp_summary summary = hp_summarise(arena, group, metric);
  const char* count = hp_count_note(arena, group, &summary);
  row->cells[0] = group->label;
  row->cells[1] = hp_summary_text(arena, &summary);
  if (group->baseline == group) {
    row->cells[2] = is_alone ? "" : "baseline";
  } else if (group->baseline != NULL) {
    hp_summary base = hp_summarise(arena, group->baseline, metric);
    hp_comparison comparison = hp_compare_summaries(&base, &summary);
    const char* remark = hp_judgement_remark(comparison.judgement);
    row->cells[2] = hp_change_text(arena, &comparison);
    row->cells[3] = hp_p_text(arena, &comparison);
    if (remark != NULL) hp_table_footer(table, remark);
  }
  row->cells[4] = count;
  row->cells[5] = share_text(arena, group);
  for (size_t i = 0; i < sizeof(kFurther) / sizeof(kFurther[0]); i++) {
    row->cells[6 + i] = metric_text(arena, group, kFurther[i]);
  }
}

hp_table* hp_verdict_table(hp_dataset* data, const hp_case* one) {
  hp_table* table = hp_alloc(&data->arena, sizeof(*table));
  *table = (hp_table){.arena = &data->arena, .title = one->title};
  const hp_metric* metric = main_metric(&data->arena, one);
  hp_table_column(table, "phase");
  hp_table_column(table, hp_metric_unit(metric, one->sample));
  hp_table_column(table, "vs base");
  hp_table_column(table, "p");
  hp_table_column(table, "runs");
  hp_table_column(table, "in kernel");
  for (size_t i = 0; i < sizeof(kFurther) / sizeof(kFurther[0]); i++) {
    hp_table_column(table, kMetrics[kFurther[i]].unit);
  }
  for (size_t i = 0; i < one->group_count; i++) {
    fill_row(table, &one->groups[i], one->group_count == 1, metric);
  }
  const char* remark = hp_duet_remark(one->sample);
  if (remark != NULL) hp_table_footer(table, remark);
  return table;
}
