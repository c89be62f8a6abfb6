// A figure: what a chart shows, before anything draws it. The charts fill figures (charts_*.c);
// gnuplot.c turns one into a script, term.c into text, hp_figure_csv into numbers. A figure holds
// texts of hakplot's memory and is never freed by itself.

#ifndef HAKMEM_TOOLS_HAKPLOT_FIGURE_H_
#define HAKMEM_TOOLS_HAKPLOT_FIGURE_H_

#include <stdbool.h>
#include <stddef.h>

#include "tools/hakplot/strings.h"

typedef enum hp_shape {
  HP_BARS,   // a horizontal bar for each row; further series are dots beside it
  HP_STACK,  // a horizontal bar for each row, one part for each series
  HP_DOTS,   // a row of dots on a logarithmic axis, one for each series; 0 has a place of its own
  HP_LINES,  // lines over x
  HP_AREA,   // series stacked over x
  HP_HEAT,   // rows over x, the value as colour
} hp_shape;

// In figures with rows, y is the index of the row and x the value. Elsewhere x and y are as usual.
typedef struct hp_point {
  double x;  // NaN: unknown, drawn as that word
  double y;
  double low;  // interval of the value; NaN: none
  double high;
} hp_point;

typedef enum hp_look {
  HP_PLAIN,
  HP_REFERENCE,  // a limit or an ideal that the others are measured against: grey, dashed
  HP_DASHED,     // belongs to the plain series before it, in the same colour
} hp_look;

// What a part of a stack stands for, so that it looks the same on every picture; parts without a
// meaning of their own take the other tones in turn.
typedef enum hp_tone { HP_TONE_KERNEL, HP_TONE_USER, HP_TONE_LOOP, HP_TONE_OTHERS } hp_tone;

typedef struct hp_series {
  const char* name;
  hp_look look;
  unsigned tone;  // hp_tone, or HP_TONE_OTHERS and more
  hp_point* points;
  size_t count;
} hp_series;

typedef enum hp_row_look { HP_ROW_PLAIN, HP_ROW_BASELINE, HP_ROW_RANGE } hp_row_look;

typedef struct hp_figure_row {
  const char* label;
  const char* note;  // to the right of the row: value, interval, n
  hp_row_look look;
} hp_figure_row;

typedef struct hp_mark {
  double at;
  const char* text;
} hp_mark;

typedef enum hp_scale { HP_LINEAR, HP_LOG10, HP_LOG2 } hp_scale;

typedef struct hp_axis {
  const char* title;
  hp_scale scale;
  double high;     // end of the axis; 0: by the data
  hp_mark* ticks;  // in place of numbers
  size_t tick_count;
} hp_axis;

typedef struct hp_figure {
  hp_shape shape;
  const char* name;  // of its files, without ending
  const char* title;
  const char* caption;  // what is drawn and of which runs
  const char* about;    // how to read the chart; beside the picture, not on it
  hp_axis x;
  hp_axis y;
  hp_figure_row* rows;
  size_t row_count;
  hp_series* series;
  size_t series_count;
  hp_mark* marks;  // vertical lines
  size_t mark_count;
} hp_figure;

hp_figure* hp_figure_new(hp_shape shape, const char* name, const char* title);
size_t hp_figure_row_add(hp_figure* figure, const char* label, const char* note, hp_row_look look);
hp_series* hp_series_add(hp_figure* figure, const char* name, hp_look look);
void hp_point_add(hp_series* series, double x, double y);
void hp_interval_add(hp_series* series, hp_point point);
void hp_mark_add(hp_figure* figure, double at, const char* text);
void hp_tick_add(hp_axis* axis, double at, const char* text);

// Whether there is anything to draw: a point that is known.
bool hp_figure_has_data(const hp_figure* figure);

// Whether what is drawn over x has more than one x: a line needs two.
bool hp_figure_has_extent(const hp_figure* figure);

// Largest x (or sum of a stack's x) or y of all points and intervals, references left out.
double hp_figure_max(const hp_figure* figure, bool is_x);

// The numbers drawn: row,series,value,low,high of figures with rows, else series,x,y,low,high.
void hp_figure_csv(const hp_figure* figure, FILE* csv);

// A text as a CSV field: in quotes, quotes doubled.
void hp_put_csv(FILE* csv, const char* text);

// A comma and the number, or nothing behind it.
void hp_put_csv_number(FILE* csv, double value);

#endif  // HAKMEM_TOOLS_HAKPLOT_FIGURE_H_
