#include "tools/hakplot/term.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

size_t hp_terminal_columns(void) {
  struct winsize window;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col < 40) return 80;
  return window.ws_col < 120 ? window.ws_col : 120;
}

// A bar of eighths of a column.
static void put_bar(hp_text* text, double length) {
  static const char* const kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  int eighths = (int)lround(fmax(length, 0) * 8);
  for (int i = 0; i < eighths / 8; i++) hp_puts(text, "█");
  hp_puts(text, kEighths[eighths % 8]);
}

static const hp_point* point_of_row(const hp_series* series, size_t row) {
  for (size_t k = 0; k < series->count; k++) {
    if (series->points[k].y == (double)row) return &series->points[k];
  }
  return NULL;
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

static void put_label(hp_text* text, const char* label, size_t columns, hp_arena* arena) {
  const char* line[1];
  hp_wrap(arena, label, columns, 1, line);
  hp_pad(text, line[0], columns);
  hp_put(text, " ", 1);
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
    put_label(text, figure->rows[i].label, at->label, figure->arena);
    hp_pad(text, bar.data, (size_t)at->bar);
    hp_printf(text, " %s\n", figure->rows[i].note);
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
    put_label(text, figure->rows[i].label, at->label, figure->arena);
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
  }
  for (size_t s = 0; s < figure->series_count; s++) {
    hp_printf(text, "%s%s %s", s == 0 ? "" : "   ", kFills[s % FILLS], figure->series[s].name);
  }
  hp_puts(text, "\n");
}

// Dots are numbers here: a logarithmic axis of a few columns says less.
static void put_numbers(const hp_figure* figure, const frame* at, hp_text* text) {
  for (size_t i = 0; i < figure->row_count; i++) {
    put_label(text, figure->rows[i].label, at->label, figure->arena);
    bool is_known = false;
    for (size_t s = 0; s < figure->series_count; s++) {
      const hp_point* point = point_of_row(&figure->series[s], i);
      if (point == NULL || isnan(point->x)) continue;
      hp_printf(text, "%s%s %s", is_known ? ", " : "", figure->series[s].name,
                hp_number_text(figure->arena, point->x, 3));
      is_known = true;
    }
    hp_puts(text, is_known ? "\n" : "unknown\n");
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

bool hp_figure_text(const hp_figure* figure, size_t columns, hp_text* text) {
  if (figure->shape == HP_LINES || figure->shape == HP_AREA) return false;
  hp_printf(text, "%s\n", figure->title);
  frame layout = frame_of(figure, columns);
  if (figure->shape == HP_BARS) put_bars(figure, &layout, text);
  if (figure->shape == HP_STACK) put_stack(figure, &layout, text);
  if (figure->shape == HP_DOTS) put_numbers(figure, &layout, text);
  if (figure->shape == HP_HEAT) put_heat(figure, columns, text);
  if (figure->shape != HP_HEAT) hp_printf(text, "(%s)\n", figure->x.title);
  return true;
}
