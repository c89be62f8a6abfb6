// Figures: how charts fill them, what they hold at most, their numbers as CSV.

#include "tools/hakplot/figure.h"

#include <math.h>
#include <string.h>

hp_figure* hp_figure_new(hp_arena* arena, hp_shape shape, const char* name, const char* title) {
  hp_figure* figure = hp_alloc(arena, sizeof(*figure));
  *figure =
      (hp_figure){.arena = arena, .shape = shape, .name = name, .title = title, .caption = ""};
  figure->about = "";
  figure->x.title = "";
  figure->y.title = "";
  return figure;
}

size_t hp_figure_row_add(hp_figure* figure, const char* label, const char* note, hp_row_look look) {
  figure->rows = hp_grow(figure->arena, figure->rows, figure->row_count, sizeof(*figure->rows));
  figure->rows[figure->row_count] = (hp_figure_row){label, note, look};
  return figure->row_count++;
}

hp_series* hp_series_add(hp_figure* figure, const char* name, hp_look look) {
  figure->series =
      hp_grow(figure->arena, figure->series, figure->series_count, sizeof(*figure->series));
  hp_series* series = &figure->series[figure->series_count++];
  *series = (hp_series){.name = name, .look = look};
  series->tone = HP_TONE_OTHERS + (unsigned)figure->series_count - 1;
  return series;
}

void hp_point_add(hp_figure* figure, hp_series* series, hp_point point) {
  series->points = hp_grow(figure->arena, series->points, series->count, sizeof(point));
  series->points[series->count++] = point;
}

void hp_mark_add(hp_figure* figure, double at, const char* text) {
  if (!(at > 0)) return;
  figure->marks = hp_grow(figure->arena, figure->marks, figure->mark_count, sizeof(*figure->marks));
  figure->marks[figure->mark_count++] = (hp_mark){at, text};
}

void hp_tick_add(hp_figure* figure, hp_axis* axis, double at, const char* text) {
  axis->ticks = hp_grow(figure->arena, axis->ticks, axis->tick_count, sizeof(*axis->ticks));
  axis->ticks[axis->tick_count++] = (hp_mark){at, text};
}

bool hp_figure_has_data(const hp_figure* figure) {
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    if (series->look == HP_REFERENCE) continue;
    for (size_t k = 0; k < series->count; k++) {
      if (!isnan(series->points[k].x) && !isnan(series->points[k].y)) return true;
    }
  }
  return false;
}

static double stack_max(const hp_figure* figure) {
  double* sums = hp_alloc(figure->arena, (figure->row_count + 1) * sizeof(*sums));
  double largest = 0;
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    for (size_t k = 0; k < series->count; k++) {
      size_t row = (size_t)series->points[k].y;
      if (!isnan(series->points[k].x)) sums[row] += series->points[k].x;
      largest = fmax(largest, sums[row]);
    }
  }
  return largest;
}

bool hp_figure_has_extent(const hp_figure* figure) {
  if (figure->shape != HP_LINES && figure->shape != HP_AREA && figure->shape != HP_HEAT)
    return true;
  double first = NAN;
  for (size_t i = 0; i < figure->series_count; i++) {
    for (size_t k = 0; k < figure->series[i].count; k++) {
      if (isnan(first)) first = figure->series[i].points[k].x;
      if (figure->series[i].points[k].x != first) return true;
    }
  }
  return false;
}

double hp_figure_max(const hp_figure* figure, bool is_x) {
  double largest = 0;
  if (figure->shape == HP_STACK && is_x) return stack_max(figure);
  bool has_row_values = figure->row_count > 0;
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    if (series->look == HP_REFERENCE) continue;
    for (size_t k = 0; k < series->count; k++) {
      const hp_point* point = &series->points[k];
      largest = fmax(largest, is_x ? point->x : point->y);
      // The interval is one of the value: x in figures with rows, else y.
      if (is_x == has_row_values) largest = fmax(largest, point->high);
    }
  }
  return largest;
}

void hp_put_csv(hp_text* csv, const char* text) {
  hp_put(csv, "\"", 1);
  for (; *text != '\0'; text++) {
    if (*text == '"') hp_put(csv, "\"", 1);
    hp_put(csv, text, 1);
  }
  hp_put(csv, "\"", 1);
}

static void put_number(hp_text* csv, double value) {
  if (isnan(value)) hp_puts(csv, ",");
  if (!isnan(value)) hp_printf(csv, ",%.10g", value);
}

void hp_figure_csv(const hp_figure* figure, hp_text* csv) {
  bool has_rows = figure->row_count > 0;
  hp_puts(csv, has_rows ? "row,series,value,low,high\n" : "series,x,y,low,high\n");
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    for (size_t k = 0; k < series->count; k++) {
      const hp_point* point = &series->points[k];
      if (has_rows) {
        hp_put_csv(csv, figure->rows[(size_t)point->y].label);
        hp_put(csv, ",", 1);
      }
      hp_put_csv(csv, series->name);
      put_number(csv, point->x);
      if (!has_rows) put_number(csv, point->y);
      put_number(csv, point->low);
      put_number(csv, point->high);
      hp_put(csv, "\n", 1);
    }
  }
}
