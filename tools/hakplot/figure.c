// Figures: how charts fill them, what they hold at most, their numbers as CSV.

#include "tools/hakplot/figure.h"

#include <math.h>
#include <string.h>

hp_figure* hp_figure_new(hp_shape shape, const char* name, const char* title) {
  hp_figure* figure = hp_alloc(sizeof(*figure));
  *figure = (hp_figure){.shape = shape, .name = name, .title = title, .caption = "", .about = ""};
  figure->x.title = figure->y.title = "";
  return figure;
}

size_t hp_figure_row_add(hp_figure* figure, const char* label, const char* note, hp_row_look look) {
  *hp_push(figure->rows, figure->row_count) = (hp_figure_row){label, note, look};
  return figure->row_count - 1;
}

hp_series* hp_series_add(hp_figure* figure, const char* name, hp_look look) {
  hp_series* series = hp_push(figure->series, figure->series_count);
  unsigned tone = HP_TONE_OTHERS + (unsigned)figure->series_count - 1;
  *series = (hp_series){.name = name, .look = look, .tone = tone};
  return series;
}

void hp_point_add(hp_series* series, double x, double y) {
  *hp_push(series->points, series->count) = (hp_point){x, y, NAN, NAN};
}

void hp_interval_add(hp_series* series, hp_point point) {
  *hp_push(series->points, series->count) = point;
}

void hp_mark_add(hp_figure* figure, double at, const char* text) {
  if (at > 0) *hp_push(figure->marks, figure->mark_count) = (hp_mark){at, text};
}

void hp_tick_add(hp_axis* axis, double at, const char* text) {
  *hp_push(axis->ticks, axis->tick_count) = (hp_mark){at, text};
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
  double* sums = hp_alloc((figure->row_count + 1) * sizeof(*sums));
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

void hp_put_csv(FILE* csv, const char* text) {
  fputc('"', csv);
  for (; *text != '\0'; text++) {
    if (*text == '"') fputc('"', csv);
    fputc(*text, csv);
  }
  fputc('"', csv);
}

void hp_put_csv_number(FILE* csv, double value) {
  fputc(',', csv);
  if (isfinite(value)) fprintf(csv, "%.10g", value);
}

void hp_figure_csv(const hp_figure* figure, FILE* csv) {
  bool has_rows = figure->row_count > 0;
  fputs(has_rows ? "row,series,value,low,high\n" : "series,x,y,low,high\n", csv);
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    for (size_t k = 0; k < series->count; k++) {
      const hp_point* point = &series->points[k];
      if (has_rows) {
        hp_put_csv(csv, figure->rows[(size_t)point->y].label);
        fputs(",", csv);
      }
      hp_put_csv(csv, series->name);
      hp_put_csv_number(csv, point->x);
      if (!has_rows) hp_put_csv_number(csv, point->y);
      hp_put_csv_number(csv, point->low);
      hp_put_csv_number(csv, point->high);
      fputs("\n", csv);
    }
  }
}
