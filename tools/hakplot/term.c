// Figures drawn with block characters.

#include "tools/hakplot/term.h"

#include <math.h>
#include <string.h>

// A bar of eighths of a column.
static void put_bar(hp_text* text, double length) {
  static const char* const kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  int eighths = (int)lround(fmax(length, 0) * 8);
  for (int i = 0; i < eighths / 8; i++) hp_puts(text, "█");
  hp_puts(text, kEighths[eighths % 8]);
}

// The points of a series stand in the order of their rows.
static const hp_point* point_of_row(const hp_series* series, size_t row) {
  size_t low = 0;
  size_t high = series->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (series->points[middle].y < (double)row) low = middle + 1;
    if (series->points[middle].y >= (double)row) high = middle;
  }
  bool is_there = low < series->count && series->points[low].y == (double)row;
  return is_there ? &series->points[low] : NULL;
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

enum { LABEL_LINES = 3 };

typedef struct label {
  const char* lines[LABEL_LINES];
  size_t count;
} label;

// The first line of a row's label; put_rest puts the others behind the row.
static label put_label(hp_text* text, const char* name, size_t columns, hp_arena* arena) {
  label wrapped = {.count = 0};
  wrapped.count = hp_wrap(arena, name, columns, LABEL_LINES, wrapped.lines);
  hp_pad(text, wrapped.lines[0], columns);
  hp_put(text, " ", 1);
  return wrapped;
}

static void put_rest(hp_text* text, const label* wrapped) {
  for (size_t i = 1; i < wrapped->count; i++) hp_printf(text, "  %s\n", wrapped->lines[i]);
}

static void put_bars(const hp_figure* figure, const frame* at, hp_text* text) {
  for (size_t i = 0; i < figure->row_count; i++) {
    const hp_point* point = point_of_row(&figure->series[0], i);
    hp_text bar = {0};
    hp_puts(&bar, "");
    if (point == NULL || isnan(point->x)) {
      hp_puts(&bar, "unknown");
    } else {
      put_bar(&bar, point->x * at->scale);
    }
    label name = put_label(text, figure->rows[i].label, at->label, figure->arena);
    hp_pad(text, bar.data, (size_t)at->bar);
    hp_printf(text, " %s\n", figure->rows[i].note);
    put_rest(text, &name);
    hp_text_free(&bar);
  }
}

static const char* const kFills[] = {"█", "▒", "░", "▓", "#", "+", "-", "o", "."};
enum { FILLS = sizeof(kFills) / sizeof(kFills[0]) };

static void put_stack(const hp_figure* figure, const frame* at, hp_text* text) {
  for (size_t i = 0; i < figure->row_count; i++) {
    double end = 0;
    size_t drawn = 0;
    bool is_known = false;
    label name = put_label(text, figure->rows[i].label, at->label, figure->arena);
    for (size_t s = 0; s < figure->series_count; s++) {
      const hp_point* point = point_of_row(&figure->series[s], i);
      if (point == NULL || isnan(point->x)) continue;
      is_known = true;
      end += point->x * at->scale;
      for (; drawn < (size_t)lround(fmax(end, 0)); drawn++) hp_puts(text, kFills[s % FILLS]);
    }
    if (!is_known) hp_puts(text, "unknown");
    for (size_t used = is_known ? drawn : 7; used < (size_t)at->bar; used++) hp_puts(text, " ");
    hp_printf(text, " %s\n", figure->rows[i].note);
    put_rest(text, &name);
  }
  for (size_t s = 0; s < figure->series_count; s++) {
    hp_printf(text, "%s%s %s", s == 0 ? "" : "   ", kFills[s % FILLS], figure->series[s].name);
  }
  hp_puts(text, "\n");
}

// Dots are numbers here: a logarithmic axis of a few columns says less.
static void put_numbers(const hp_figure* figure, const frame* at, size_t columns, hp_text* text) {
  enum { VALUE_LINES = 8 };
  const char* lines[VALUE_LINES];
  for (size_t i = 0; i < figure->row_count; i++) {
    hp_text values = {0};
    for (size_t s = 0; s < figure->series_count; s++) {
      const hp_point* point = point_of_row(&figure->series[s], i);
      if (point == NULL || isnan(point->x)) continue;
      hp_printf(&values, "%s%s %s", values.size > 0 ? ", " : "", figure->series[s].name,
                hp_number_text(figure->arena, point->x, 3));
    }
    if (values.size == 0) hp_puts(&values, "unknown");
    label name = put_label(text, figure->rows[i].label, at->label, figure->arena);
    size_t count = hp_wrap(figure->arena, values.data, columns - at->label - 1, VALUE_LINES, lines);
    hp_printf(text, "%s\n", lines[0]);
    for (size_t k = 1; k < count || k < name.count; k++) {
      hp_pad(text, k < name.count ? name.lines[k] : "", at->label);
      hp_printf(text, " %s\n", k < count ? lines[k] : "");
    }
    hp_text_free(&values);
  }
}

static void put_heat(const hp_figure* figure, size_t columns, hp_text* text) {
  static const char* const kShades[] = {"·", "░", "▒", "▓", "█"};
  size_t width = columns > 20 ? columns - 12 : 10;
  for (size_t i = figure->series_count; i-- > 0;) {
    const hp_series* series = &figure->series[i];
    put_label(text, series->name, 10, figure->arena);
    size_t step = (series->count + width - 1) / width;
    for (size_t k = 0; k < series->count; k += step) {
      double percent = series->points[k].y;
      hp_puts(text, isnan(percent) ? " " : kShades[(size_t)fmin(fmax(percent / 20, 0), 4)]);
    }
    hp_puts(text, "\n");
  }
  hp_puts(text, "· below 20 %, █ above 80 % of the capacity live\n");
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
static const char* tick_text(const hp_figure* figure, const hp_axis* axis, double place) {
  const hp_mark* nearest = NULL;
  for (size_t i = 0; i < axis->tick_count; i++) {
    double far = fabs(scaled(axis, axis->ticks[i].at) - place);
    if (nearest == NULL || far < fabs(scaled(axis, nearest->at) - place)) nearest = &axis->ticks[i];
  }
  return nearest != NULL ? nearest->text : hp_number_text(figure->arena, unscaled(axis, place), 3);
}

static void put_lines(const hp_figure* figure, size_t columns, hp_text* text) {
  plane at = {.figure = figure, .columns = columns - Y_COLUMNS - 2};
  at.cells = hp_alloc(figure->arena, LINE_ROWS * at.columns * sizeof(*at.cells));
  find_extent(&at);
  for (size_t i = 0; i < figure->series_count; i++) {
    draw_series(&at, &figure->series[i], kSigns[i % SIGNS]);
  }
  hp_printf(text, "%s\n", figure->y.title);
  for (size_t row = 0; row < LINE_ROWS; row++) {
    bool has_number = row % 5 == 0 || row + 1 == LINE_ROWS;
    double y = at.high[1] - (at.high[1] - at.low[1]) * (double)row / (LINE_ROWS - 1);
    hp_pad(text, has_number ? tick_text(figure, &figure->y, y) : "", Y_COLUMNS);
    hp_puts(text, "│");
    size_t end = at.columns;
    while (end > 0 && at.cells[row * at.columns + end - 1] == NULL) end--;
    for (size_t column = 0; column < end; column++) {
      const char* sign = at.cells[row * at.columns + column];
      hp_puts(text, sign != NULL ? sign : " ");
    }
    hp_puts(text, "\n");
  }
  const char* last = tick_text(figure, &figure->x, at.high[0]);
  size_t room = columns - Y_COLUMNS - 1 - hp_columns(last);
  hp_printf(text, "%*s", Y_COLUMNS + 1, "");
  hp_pad(text, tick_text(figure, &figure->x, at.low[0]), room);
  hp_printf(text, "%s\n", last);
  for (size_t i = 0; i < figure->series_count && figure->series_count > 1; i++) {
    hp_printf(text, "%s %s\n", kSigns[i % SIGNS], figure->series[i].name);
  }
}

void hp_figure_text(const hp_figure* figure, size_t columns, hp_text* text) {
  hp_printf(text, "%s\n", figure->title);
  frame layout = frame_of(figure, columns);
  if (figure->shape == HP_BARS) put_bars(figure, &layout, text);
  if (figure->shape == HP_STACK) put_stack(figure, &layout, text);
  if (figure->shape == HP_DOTS) put_numbers(figure, &layout, columns, text);
  if (figure->shape == HP_HEAT) put_heat(figure, columns, text);
  if (figure->shape == HP_LINES || figure->shape == HP_AREA) put_lines(figure, columns, text);
  if (figure->shape != HP_HEAT) hp_printf(text, "(%s)\n", figure->x.title);
}
