// The parts of a frame that do not scroll.

#include "tools/haktop/panes.h"

#include <math.h>

// ---- figures ----

enum { MAX_FIGURE_WIDTH = 28 };

void ht_put_figures(ht_canvas* canvas, ht_area area, const ht_figure* figures, int n_figures,
                    int in_row) {
  int width = area.columns / in_row;
  if (width > MAX_FIGURE_WIDTH) width = MAX_FIGURE_WIDTH;
  for (int i = 0; i < n_figures && i / in_row < area.rows; i++) {
    const ht_figure* figure = &figures[i];
    int row = area.row + i / in_row;
    int column = area.column + i % in_row * width;
    int used = ht_put(canvas, row, column, width - 2, HT_LABEL, figure->name) + 1;
    ht_put_right(canvas, row, column + used, width - 2 - used, figure->style,
                 figure->text != NULL ? figure->text : figure->format(figure->value).text);
  }
}

// ---- retention ----

enum { REASON_WIDTH = 15, BYTES_WIDTH = 9, PERCENT_WIDTH = 7 };

void ht_draw_retention(ht_canvas* canvas, ht_area area, const ht_model* model) {
  double retained = ht_retained_bytes(model);
  double committed = ht_known(model->now.retention.committed_bytes);
  double part = committed > 0 ? retained / committed : NAN;
  ht_printf(canvas, area.row, area.column, area.columns, HT_HEADING, "retained %s, %s of committed",
            ht_format_bytes(retained).text, ht_format_percent(part).text);
  int bar = REASON_WIDTH + BYTES_WIDTH + PERCENT_WIDTH + 1;
  for (unsigned i = 0; i < HT_N_REASONS && (int)i + 1 < area.rows; i++) {
    int row = area.row + 1 + (int)i;
    int column = area.column;
    double value = ht_reason_bytes(model, i);
    double share = retained > 0 ? value / retained : NAN;
    ht_put(canvas, row, column, REASON_WIDTH, HT_LABEL, ht_reason_name(i));
    ht_put_right(canvas, row, column + REASON_WIDTH, BYTES_WIDTH, HT_PLAIN,
                 ht_format_bytes(value).text);
    ht_put_right(canvas, row, column + REASON_WIDTH + BYTES_WIDTH, PERCENT_WIDTH, HT_PLAIN,
                 ht_format_percent(share).text);
    ht_put_bar(canvas, row, column + bar, area.columns - bar, share);
  }
}

// ---- the kernel's work ----

enum { CALL_NAME_WIDTH = 10 };

typedef struct column {
  const char* heading;
  int width;
  ht_format* format;
} column;

// Without values the headings.
static void put_row(ht_canvas* canvas, ht_area area, const char* name, const column* columns,
                    int n_columns, const double* values) {
  int at = area.column + CALL_NAME_WIDTH;
  ht_put(canvas, area.row, area.column, CALL_NAME_WIDTH, values != NULL ? HT_LABEL : HT_HEADING,
         name);
  for (int i = 0; i < n_columns; at += columns[i++].width) {
    ht_put_right(canvas, area.row, at, columns[i].width, values != NULL ? HT_PLAIN : HT_HEADING,
                 values != NULL ? columns[i].format(values[i]).text : columns[i].heading);
  }
}

// As many columns as are asked for: the rates, then the totals.
static void draw_calls(ht_canvas* canvas, ht_area area, const ht_model* model, const char* heading,
                       int n_columns) {
  static const column kColumns[] = {
      {"calls/s", 8, ht_format_count},   {"bytes/s", 10, ht_format_bytes},
      {"time/s", 9, ht_format_duration}, {"calls", 8, ht_format_count},
      {"bytes", 9, ht_format_bytes},     {"failed", 7, ht_format_count},
      {"time", 9, ht_format_duration},   {"each", 9, ht_format_duration},
  };
  put_row(canvas, area, heading, kColumns, n_columns, NULL);
  for (unsigned i = 0; i < HT_N_KERNEL_CALLS && (int)i + 1 < area.rows; i++) {
    const ht_kernel_rates* rates = &model->rates.kernel[i];
    const hak_kernel_stats* total = ht_kernel_call(&model->now.stats, i);
    double calls = ht_known(total->calls);
    double ns = ht_known(total->ns);
    const double values[] = {rates->calls,
                             rates->bytes,
                             rates->ns,
                             calls,
                             ht_known(total->bytes),
                             ht_known(total->failures),
                             ns,
                             calls > 0 ? ns / calls : NAN};
    ht_area row = {area.row + 1 + (int)i, area.column, 1, area.columns};
    put_row(canvas, row, ht_kernel_call_name(i), kColumns, n_columns, values);
  }
}

void ht_draw_calls(ht_canvas* canvas, ht_area area, const ht_model* model) {
  draw_calls(canvas, area, model, "kernel", 3);
}

void ht_draw_kernel(ht_canvas* canvas, ht_area area, const ht_model* model) {
  const hak_stats* now = &model->now.stats;
  const ht_rates* rates = &model->rates;
  const ht_figure figures[] = {
      {"minor/s", ht_format_count, rates->minor_faults, NULL, HT_PLAIN},
      {"major/s", ht_format_count, rates->major_faults, NULL, HT_PLAIN},
      {"minor faults", ht_format_count, ht_known(now->minor_faults), NULL, HT_PLAIN},
      {"major faults", ht_format_count, ht_known(now->major_faults), NULL, HT_PLAIN},

      {"user", ht_format_duration, ht_known(now->user_ns), NULL, HT_PLAIN},
      {"system", ht_format_duration, ht_known(now->system_ns), NULL, HT_PLAIN},
      {"locks/s", ht_format_count, rates->lock_acquisitions, NULL, HT_PLAIN},
      {"lock waits/s", ht_format_count, rates->lock_contentions, NULL, HT_PLAIN},

      {"spans", ht_format_count, ht_known(now->spans), NULL, HT_PLAIN},
      {"in spans", ht_format_bytes, ht_known(now->span_bytes), NULL, HT_PLAIN},
      {"huge blocks", ht_format_count, ht_known(now->huge_blocks), NULL, HT_PLAIN},
      {"in huge", ht_format_bytes, ht_known(now->huge_bytes), NULL, HT_PLAIN},

      {"adoptions", ht_format_count, ht_known(now->adoptions), NULL, HT_PLAIN},
      {"atomics/s", ht_format_count, rates->remote_atomics, NULL, HT_PLAIN},
      {"events", ht_format_count, ht_known(now->events), NULL, HT_PLAIN},
      {"lines lost", ht_format_count, ht_known(now->telemetry_failures), NULL, HT_PLAIN},

      {"near at", ht_format_bytes, ht_known(now->limit_soft_bytes), NULL, HT_PLAIN},
      {"limit", ht_format_bytes, ht_known(now->limit_hard_bytes), NULL, HT_PLAIN},
      {"came near", ht_format_count, ht_known(now->limit_approaches), NULL, HT_PLAIN},
      {"refused", ht_format_count, ht_known(now->limit_refusals), NULL, HT_PLAIN},
  };
  int n_figures = (int)(sizeof(figures) / sizeof(figures[0]));
  draw_calls(canvas, area, model, "call", 8);
  area.row += HT_CALLS_ROWS + 1;
  area.rows -= HT_CALLS_ROWS + 1;
  ht_put_figures(canvas, area, figures, n_figures, 4);
}

// ---- the past ----

static const struct {
  const char* name;
  ht_format* format;
} kSeries[HT_N_SERIES] = {
    [HT_SERIES_RSS] = {"RSS", ht_format_bytes},
    [HT_SERIES_COMMITTED] = {"committed", ht_format_bytes},
    [HT_SERIES_LIVE] = {"live", ht_format_bytes},
    [HT_SERIES_RETAINED] = {"retained", ht_format_bytes},
    [HT_SERIES_CPU] = {"CPU", ht_format_percent},
    [HT_SERIES_KERNEL_SHARE] = {"in kernel", ht_format_percent},
    [HT_SERIES_FAULTS] = {"faults/s", ht_format_count},
    [HT_SERIES_TAKEN] = {"taken/s", ht_format_count},
    [HT_SERIES_RETURNED] = {"returned/s", ht_format_count},
    [HT_SERIES_CALLS] = {"calls/s", ht_format_count},
};

// The name and the newest value, the graph from 0 to the most of what is shown, and that.
static void draw_series(ht_canvas* canvas, ht_area area, const ht_model* model, ht_series series) {
  enum { NAME = 11, VALUE = 9 };
  int width = area.columns - NAME - 2 * VALUE - 3;
  int bottom = area.row + area.rows - 1;
  double most = NAN;
  for (int i = 0; i < width; i++) most = fmax(most, ht_history(model, series, (unsigned)i));
  ht_put(canvas, bottom, area.column, NAME, HT_LABEL, kSeries[series].name);
  ht_put_right(canvas, bottom, area.column + NAME, VALUE, HT_PLAIN,
               kSeries[series].format(ht_history(model, series, 0)).text);
  for (int i = 0; i < width; i++) {
    double value = ht_history(model, series, (unsigned)i);
    ht_put_column(canvas, bottom, area.rows, area.column + NAME + VALUE + width - i,
                  most > 0 ? value / most : NAN);
  }
  ht_put_right(canvas, area.row, area.column + area.columns - VALUE, VALUE, HT_LABEL,
               kSeries[series].format(most).text);
}

void ht_draw_past(ht_canvas* canvas, ht_area area, const ht_model* model) {
  int rows = area.rows / HT_N_SERIES;  // of each graph
  if (rows < 1) rows = 1;
  if (rows > 4) rows = 4;
  for (int i = 0; i < HT_N_SERIES && (i + 1) * rows <= area.rows; i++) {
    int gap = rows > 1 ? 1 : 0;
    ht_area one = {area.row + i * rows + gap, area.column, rows - gap, area.columns};
    draw_series(canvas, one, model, (ht_series)i);
  }
}
