// Figures drawn with block characters.

#include "tools/hakplot/term.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_row(const void* a, const void* b) {
  double x = ((const hp_point*)a)->y;
  double y = ((const hp_point*)b)->y;
  return (x > y) - (x < y);
}

// What a series says of a row; NaN: nothing. Its points stand in the order of their rows.
static double value_of_row(const hp_series* series, size_t row) {
  const hp_point wanted = {.y = (double)row};
  const hp_point* found =
      series->count == 0 ? NULL
                         : bsearch(&wanted, series->points, series->count, sizeof(wanted), by_row);
  return found != NULL ? found->x : NAN;
}

typedef struct frame {
  size_t label;  // columns
  double bar;
  double scale;  // value to columns
} frame;

static frame frame_of(const hp_figure* figure, size_t columns) {
  size_t label = 0;
  size_t note = 0;
  for (size_t i = 0; i < figure->row_count; i++) {
    size_t label_columns = hp_columns(figure->rows[i].label);
    size_t note_columns = hp_columns(figure->rows[i].note);
    if (label_columns > label) label = label_columns;
    if (note_columns > note) note = note_columns;
  }
  if (label > columns / 3) label = columns / 3;
  size_t rest = columns > label + note + 3 ? columns - label - note - 3 : 0;
  double bar = (double)(rest < 10 ? 10 : rest);
  double high = figure->x.high > 0 ? figure->x.high : hp_figure_max(figure, true);
  return (frame){label, bar, high > 0 ? bar / high : 0};
}

// A row's label, and beside it lines of text.
static void put_row(FILE* text, const char* label, size_t columns, const char* const* lines,
                    size_t count) {
  enum { LABEL_LINES = 3 };
  const char* labels[LABEL_LINES];
  size_t label_count = hp_wrap(label, columns, LABEL_LINES, labels);
  for (size_t i = 0; i < count; i++) {
    hp_pad(text, i < label_count ? labels[i] : "", columns);
    fprintf(text, " %s\n", lines[i]);
  }
  for (size_t i = count; i < label_count; i++) fprintf(text, "  %s\n", labels[i]);
}

// A row whose bar takes so many columns.
static void put_bar(FILE* text, const hp_figure* figure, size_t row, const frame* at,
                    const char* bar, size_t columns) {
  const int rest = columns < (size_t)at->bar ? (int)((size_t)at->bar - columns) : 0;
  const char* line = hp_format("%s%*s %s", bar, rest, "", figure->rows[row].note);
  put_row(text, figure->rows[row].label, at->label, &line, 1);
}

static const char* repeated(const char* before, const char* sign, size_t times) {
  char* text = hp_alloc(strlen(before) + times * strlen(sign) + 1);
  char* to = stpcpy(text, before);
  for (; times > 0; times--) to = stpcpy(to, sign);
  return text;
}

// A bar of eighths of a column.
static void put_bars(const hp_figure* figure, const frame* at, FILE* text) {
  static const char* const kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  for (size_t i = 0; i < figure->row_count; i++) {
    double value = value_of_row(&figure->series[0], i);
    size_t eighths = isnan(value) ? 0 : (size_t)lround(fmax(value * at->scale, 0) * 8);
    const char* bar = hp_format("%s%s", repeated("", "█", eighths / 8), kEighths[eighths % 8]);
    put_bar(text, figure, i, at, isnan(value) ? "unknown" : bar,
            isnan(value) ? 7 : (eighths + 7) / 8);
  }
}

static const char* const kFills[] = {"█", "▒", "░", "▓", "#", "+", "-", "o", "."};
enum { FILLS = sizeof(kFills) / sizeof(kFills[0]) };

static void put_stack(const hp_figure* figure, const frame* at, FILE* text) {
  for (size_t i = 0; i < figure->row_count; i++) {
    double end = 0;
    size_t drawn = 0;
    const char* bar = NULL;
    for (size_t s = 0; s < figure->series_count; s++) {
      double value = value_of_row(&figure->series[s], i);
      if (isnan(value)) continue;
      end += value * at->scale;
      size_t to = (size_t)lround(fmax(end, 0));
      bar = repeated(bar != NULL ? bar : "", kFills[s % FILLS], to > drawn ? to - drawn : 0);
      drawn = to > drawn ? to : drawn;
    }
    put_bar(text, figure, i, at, bar != NULL ? bar : "unknown", bar != NULL ? drawn : 7);
  }
  for (size_t s = 0; s < figure->series_count; s++) {
    fprintf(text, "%s%s %s", s == 0 ? "" : "   ", kFills[s % FILLS], figure->series[s].name);
  }
  fputs("\n", text);
}

// Dots are numbers here: a logarithmic axis of a few columns says less.
static void put_numbers(const hp_figure* figure, const frame* at, size_t columns, FILE* text) {
  enum { VALUE_LINES = 8 };
  const char* lines[VALUE_LINES];
  for (size_t i = 0; i < figure->row_count; i++) {
    const char* values = "";
    for (size_t s = 0; s < figure->series_count; s++) {
      double value = value_of_row(&figure->series[s], i);
      if (isnan(value)) continue;
      values = hp_format("%s%s%s %s", values, values[0] != '\0' ? ", " : "", figure->series[s].name,
                         hp_number_text(value, 3));
    }
    size_t count = hp_wrap(values[0] != '\0' ? values : "unknown", columns - at->label - 1,
                           VALUE_LINES, lines);
    put_row(text, figure->rows[i].label, at->label, lines, count);
  }
}

static void put_heat(const hp_figure* figure, size_t columns, FILE* text) {
  static const char* const kShades[] = {" ", "·", "░", "▒", "▓", "█"};
  size_t width = columns > 20 ? columns - 12 : 10;
  for (size_t i = figure->series_count; i-- > 0;) {
    const hp_series* series = &figure->series[i];
    size_t step = (series->count + width - 1) / width;
    const char* shades = "";
    for (size_t k = 0; k < series->count; k += step) {
      double percent = series->points[k].y;
      size_t shade = isnan(percent) ? 0 : 1 + (size_t)fmin(fmax(percent / 20, 0), 4);
      shades = repeated(shades, kShades[shade], 1);
    }
    put_row(text, series->name, 10, &shades, 1);
  }
  fputs("· below 20 %, █ above 80 % of the capacity live\n", text);
}

// ---- lines ----

// A sign for each series, in turn; what is drawn first stays on top.
static const char* const kSigns[] = {"●", "○", "■", "□", "▲", "△", "◆", "◇", "+", "×"};
enum { SIGNS = sizeof(kSigns) / sizeof(kSigns[0]), LINE_ROWS = 20, Y_COLUMNS = 10 };

typedef struct plane {
  const hp_figure* figure;
  size_t columns;
  const char** cells;  // LINE_ROWS * columns; NULL: empty
  double low[2];       // x and y, as scaled
  double high[2];
} plane;

static double scaled(const hp_axis* axis, double value) {
  return axis->scale == HP_LINEAR ? value : value > 0 ? log2(value) : NAN;
}

static double unscaled(const hp_axis* axis, double value) {
  return axis->scale == HP_LINEAR ? value : exp2(value);
}

static void put_sign(plane* at, double x, double y, const char* sign) {
  double column = (x - at->low[0]) / (at->high[0] - at->low[0]) * (double)(at->columns - 1);
  double row = (at->high[1] - y) / (at->high[1] - at->low[1]) * (LINE_ROWS - 1);
  if (!(column >= 0 && row >= -0.5 && row < LINE_ROWS)) return;
  size_t cell = (size_t)lround(row) * at->columns + (size_t)lround(column);
  if (cell < LINE_ROWS * at->columns && at->cells[cell] == NULL) at->cells[cell] = sign;
}

// Between two points stand as many signs as there are columns.
static void draw_series(plane* at, const hp_series* series, const char* sign) {
  const hp_figure* figure = at->figure;
  for (size_t k = 0; k < series->count; k++) {
    double x = scaled(&figure->x, series->points[k].x);
    double y = scaled(&figure->y, series->points[k].y);
    put_sign(at, x, y, sign);
    if (k + 1 == series->count || !isfinite(x + y)) continue;
    double dx = scaled(&figure->x, series->points[k + 1].x) - x;
    double dy = scaled(&figure->y, series->points[k + 1].y) - y;
    double steps = dx / (at->high[0] - at->low[0]) * (double)at->columns;
    for (double step = 1; step < steps; step++) {
      put_sign(at, x + dx * step / steps, y + dy * step / steps, sign);
    }
  }
}

static void find_extent(plane* at) {
  const hp_figure* figure = at->figure;
  at->low[0] = at->low[1] = INFINITY;
  at->high[0] = at->high[1] = -INFINITY;
  if (figure->y.scale == HP_LINEAR) at->low[1] = 0;
  for (size_t i = 0; i < figure->series_count; i++) {
    for (size_t k = 0; k < figure->series[i].count; k++) {
      const hp_point* point = &figure->series[i].points[k];
      const double values[2] = {scaled(&figure->x, point->x), scaled(&figure->y, point->y)};
      for (size_t d = 0; d < 2; d++) at->low[d] = fmin(at->low[d], values[d]);
      for (size_t d = 0; d < 2; d++) at->high[d] = fmax(at->high[d], values[d]);
    }
  }
  if (figure->y.high > 0) at->high[1] = scaled(&figure->y, figure->y.high);
  for (size_t d = 0; d < 2; d++) {
    if (!(at->high[d] > at->low[d])) at->high[d] = at->low[d] + 1;
  }
}

// The axis' text nearest to a place, or the number there.
static const char* tick_text(const hp_axis* axis, double place) {
  const hp_mark* nearest = NULL;
  for (size_t i = 0; i < axis->tick_count; i++) {
    double far = fabs(scaled(axis, axis->ticks[i].at) - place);
    if (nearest == NULL || far < fabs(scaled(axis, nearest->at) - place)) nearest = &axis->ticks[i];
  }
  return nearest != NULL ? nearest->text : hp_number_text(unscaled(axis, place), 3);
}

static void put_lines(const hp_figure* figure, size_t columns, FILE* text) {
  plane at = {.figure = figure, .columns = columns - Y_COLUMNS - 2};
  at.cells = hp_alloc(LINE_ROWS * at.columns * sizeof(*at.cells));
  find_extent(&at);
  for (size_t i = 0; i < figure->series_count; i++) {
    draw_series(&at, &figure->series[i], kSigns[i % SIGNS]);
  }
  fprintf(text, "%s\n", figure->y.title);
  for (size_t row = 0; row < LINE_ROWS; row++) {
    bool has_number = row % 5 == 0 || row + 1 == LINE_ROWS;
    double y = at.high[1] - (at.high[1] - at.low[1]) * (double)row / (LINE_ROWS - 1);
    hp_pad(text, has_number ? tick_text(&figure->y, y) : "", Y_COLUMNS);
    fputs("│", text);
    size_t end = at.columns;
    while (end > 0 && at.cells[row * at.columns + end - 1] == NULL) end--;
    for (size_t column = 0; column < end; column++) {
      const char* sign = at.cells[row * at.columns + column];
      fputs(sign != NULL ? sign : " ", text);
    }
    fputs("\n", text);
  }
  const char* last = tick_text(&figure->x, at.high[0]);
  size_t room = columns - Y_COLUMNS - 1 - hp_columns(last);
  fprintf(text, "%*s", Y_COLUMNS + 1, "");
  hp_pad(text, tick_text(&figure->x, at.low[0]), room);
  fprintf(text, "%s\n", last);
  for (size_t i = 0; i < figure->series_count && figure->series_count > 1; i++) {
    fprintf(text, "%s %s\n", kSigns[i % SIGNS], figure->series[i].name);
  }
}

void hp_figure_text(const hp_figure* figure, size_t columns, FILE* text) {
  fprintf(text, "%s\n", figure->title);
  frame layout = frame_of(figure, columns);
  if (figure->shape == HP_BARS) put_bars(figure, &layout, text);
  if (figure->shape == HP_STACK) put_stack(figure, &layout, text);
  if (figure->shape == HP_DOTS) put_numbers(figure, &layout, columns, text);
  if (figure->shape == HP_HEAT) put_heat(figure, columns, text);
  if (figure->shape == HP_LINES || figure->shape == HP_AREA) put_lines(figure, columns, text);
  if (figure->shape != HP_HEAT) fprintf(text, "(%s)\n", figure->x.title);
}
