// What `hakplot compare` prints: a table or the numbers of one metric.

#include "tools/hakplot/compare_print.h"

#include <math.h>
#include <stdio.h>

#include "tools/common/statistics.h"
#include "tools/hakplot/figure.h"

// Of all rows, and only where one of them differs: the mean of noise is noise.
static void add_mean(hp_table* table, const double* ratios, size_t count, size_t differing) {
  double mean = hp_geometric_mean(ratios, count);
  const char* text = differing == 0   ? "~"
                     : isfinite(mean) ? hp_format("%+.1f %%", (mean - 1) * 100)
                                      : "unknown";
  if (count >= 2) *hp_table_row_add(table) = (hp_table_row){{"geometric mean", "", "", text}};
}

static void add_row(hp_table* table, const hp_pair* pair, const hp_comparison* result) {
  *hp_table_row_add(table) = (hp_table_row){
      {pair->title, hp_summary_text(&result->base, 1), hp_summary_text(&result->now, 1),
       hp_change_text(result), hp_evidence_text(result),
       hp_format("%zu+%zu", pair->base->run_count, pair->now->run_count)}};
  hp_table_footer(table, hp_comparison_remark(result));
  if (pair->base->run_count > 0) hp_table_footer(table, hp_duet_remark(pair->base->runs[0]));
}

static void put_csv_side(const hp_summary* side) {
  hp_put_csv_number(stdout, side->centre);
  hp_put_csv_number(stdout, side->low);
  hp_put_csv_number(stdout, side->high);
  printf(",%zu", side->count);
}

static void put_csv_row(const hp_metric* metric, const hp_pair* pair, const hp_comparison* result) {
  const char* unit =
      pair->base->run_count > 0 ? hp_metric_unit(metric, pair->base->runs[0]) : metric->unit;
  printf("%s,%s,", metric->name, unit);
  hp_put_csv(stdout, pair->title);
  put_csv_side(&result->base);
  put_csv_side(&result->now);
  hp_put_csv_number(stdout, result->ratio);
  hp_put_csv_number(stdout, result->of.low);
  hp_put_csv_number(stdout, result->of.high);
  hp_put_csv_number(stdout, result->p);
  putchar('\n');
}

size_t hp_print_metric(const hp_compare_options* options, const hp_pairs* pairs,
                       const hp_metric* metric) {
  static const char* const kHeaders[] = {"workload", "base", "new", "change", "95 % or p", "runs"};
  hp_comparison* results = hp_alloc((pairs->count + 1) * sizeof(*results));
  double* ratios = hp_alloc((pairs->count + 1) * sizeof(*ratios));
  size_t known = 0;
  size_t tested = 0;
  size_t differing = 0;
  for (size_t i = 0; i < pairs->count; i++) {
    results[i] = hp_compare_groups(pairs->at[i].base, pairs->at[i].now, metric);
    if (!isnan(results[i].p)) tested++;
    if (results[i].judgement == HP_DIFFERENT) differing++;
    if (results[i].judgement != HP_UNKNOWN) ratios[known++] = results[i].ratio;
  }
  if (known == 0) return 0;
  if (options->format == HP_AS_CSV) {
    for (size_t i = 0; i < pairs->count; i++) put_csv_row(metric, &pairs->at[i], &results[i]);
    return known;
  }
  hp_table table = {0};
  table.title =
      hp_format("%s (%s is better)", metric->title, metric->is_better_larger ? "more" : "less");
  hp_table_footer(&table, hp_format("base: %s; new: %s", options->base, options->now));
  for (size_t i = 0; i < 6; i++) hp_table_column(&table, kHeaders[i]);
  for (size_t i = 0; i < pairs->count; i++) add_row(&table, &pairs->at[i], &results[i]);
  add_mean(&table, ratios, known, differing);
  if (tested >= 10) {
    hp_table_footer(&table, hp_format("%zu tests at 5 %%: about %.0f of them differ by chance "
                                      "where nothing did",
                                      tested, 0.05 * (double)tested));
  }
  if (options->format == HP_AS_TEXT) hp_table_print(&table);
  if (options->format == HP_AS_MARKDOWN) hp_table_markdown(&table);
  return known;
}
