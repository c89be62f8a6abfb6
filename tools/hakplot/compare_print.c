// What `hakplot compare` prints: a table or the numbers of one metric.

#include "tools/hakplot/compare_print.h"

#include <math.h>
#include <stdio.h>

#include "tools/common/statistics.h"
#include "tools/hakplot/figure.h"

// Of all rows, and only where one of them differs: the mean of noise is noise.
static void add_mean(hp_table* table, const double* ratios, size_t count, size_t differing) {
  double mean = hp_geometric_mean(ratios, count);
  if (count < 2) return;
  hp_table_row* row = hp_table_row_add(table);
  row->cells[0] = "geometric mean";
  row->cells[3] = differing == 0   ? "~"
                  : isfinite(mean) ? hp_format(table->arena, "%+.1f %%", (mean - 1) * 100)
                                   : "unknown";
}

static void add_columns(hp_table* table) {
  static const char* const kHeaders[] = {"workload", "base", "new", "change", "95 % or p", "runs"};
  for (size_t i = 0; i < sizeof(kHeaders) / sizeof(kHeaders[0]); i++) {
    hp_table_column(table, kHeaders[i]);
  }
}

static void add_row(hp_table* table, const hp_pair* pair, const hp_comparison* result) {
  hp_arena* arena = table->arena;
  const char* remark = hp_comparison_remark(result);
  hp_table_row* row = hp_table_row_add(table);
  row->cells[0] = pair->title;
  row->cells[1] = hp_summary_text(arena, &result->base, 1);
  row->cells[2] = hp_summary_text(arena, &result->now, 1);
  row->cells[3] = hp_change_text(arena, result);
  row->cells[4] = hp_evidence_text(arena, result);
  row->cells[5] = hp_format(arena, "%zu+%zu", pair->base->run_count, pair->now->run_count);
  if (remark != NULL) hp_table_footer(table, remark);
  remark = pair->base->run_count > 0 ? hp_duet_remark(pair->base->runs[0]) : NULL;
  if (remark != NULL) hp_table_footer(table, remark);
}

static void put_csv_number(hp_text* csv, double value) {
  hp_puts(csv, ",");
  if (isfinite(value)) hp_printf(csv, "%.10g", value);
}

static void put_csv_side(hp_text* csv, const hp_summary* side) {
  put_csv_number(csv, side->centre);
  put_csv_number(csv, side->low);
  put_csv_number(csv, side->high);
  hp_printf(csv, ",%zu", side->count);
}

static void put_csv_row(hp_text* csv, const hp_metric* metric, const hp_pair* pair,
                        const hp_comparison* result) {
  const char* unit =
      pair->base->run_count > 0 ? hp_metric_unit(metric, pair->base->runs[0]) : metric->unit;
  hp_printf(csv, "%s,%s,", metric->name, unit);
  hp_put_csv(csv, pair->title);
  put_csv_side(csv, &result->base);
  put_csv_side(csv, &result->now);
  put_csv_number(csv, result->ratio);
  put_csv_number(csv, result->of.low);
  put_csv_number(csv, result->of.high);
  put_csv_number(csv, result->p);
  hp_puts(csv, "\n");
}

static void print_table(hp_compare_format format, const hp_table* table, const hp_text* csv) {
  hp_text text = {0};
  if (format == HP_AS_TEXT) hp_table_text(table, hp_terminal_columns(), &text);
  if (format == HP_AS_MARKDOWN) hp_table_markdown(table, &text);
  if (format == HP_AS_CSV) {
    fputs(csv->data, stdout);
  } else {
    printf("%s\n", text.data);
  }
  hp_text_free(&text);
}

size_t hp_print_metric(hp_arena* arena, const hp_compare_options* options, const hp_pairs* pairs,
                       const hp_metric* metric) {
  hp_table table = {.arena = arena};
  double* ratios = hp_alloc(arena, (pairs->count + 1) * sizeof(*ratios));
  size_t known = 0;
  size_t tested = 0;
  size_t differing = 0;
  table.title = hp_format(arena, "%s (%s is better)", metric->title,
                          metric->is_better_larger ? "more" : "less");
  hp_table_footer(&table, hp_format(arena, "base: %s; new: %s", options->base, options->now));
  hp_text csv = {0};
  add_columns(&table);
  for (size_t i = 0; i < pairs->count; i++) {
    hp_comparison result = hp_compare_groups(arena, pairs->at[i].base, pairs->at[i].now, metric);
    add_row(&table, &pairs->at[i], &result);
    put_csv_row(&csv, metric, &pairs->at[i], &result);
    if (!isnan(result.p)) tested++;
    if (result.judgement == HP_DIFFERENT) differing++;
    if (result.judgement != HP_UNKNOWN) ratios[known++] = result.ratio;
  }
  add_mean(&table, ratios, known, differing);
  if (tested >= 10) {
    hp_table_footer(&table, hp_format(arena,
                                      "%zu tests at 5 %%: about %.0f of them differ by chance "
                                      "where nothing did",
                                      tested, 0.05 * (double)tested));
  }
  if (known > 0) print_table(options->format, &table, &csv);
  hp_text_free(&csv);
  return known;
}
