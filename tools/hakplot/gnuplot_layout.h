// Inside gnuplot's half of hakplot: where things stand on a picture, and the pieces of script that
// the shapes share.

#ifndef HAKMEM_TOOLS_HAKPLOT_GNUPLOT_LAYOUT_H_
#define HAKMEM_TOOLS_HAKPLOT_GNUPLOT_LAYOUT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/hakplot/figure.h"
#include "tools/hakplot/strings.h"

#define HP_INK "#222222"
#define HP_SOFT_INK "#5c5c5c"
#define HP_GRID "#dddddd"

// In pixels; see lay_out.
typedef struct hp_layout {
  const hp_figure* figure;
  hp_text* script;
  double height;
  double left;  // from the picture's edge to the plot, as the next three
  double right;
  double top;
  double bottom;
  double plot;      // height of the plot
  double* row_at;   // middle of each row, from the plot's top; also its y on the axis
  double row_half;  // half of what a row draws, the same for all rows
  size_t key_rows;
  size_t labels;  // numbered from 1
} hp_layout;

// In single quotes, quotes doubled: gnuplot evaluates nothing there.
void hp_put_quoted(hp_text* script, const char* text);

// The series' name as the key shows it.
void hp_put_key_name(const hp_layout* at, const hp_series* series);
bool hp_has_key(const hp_figure* figure);

// The word "unknown" where a row's bar would begin.
void hp_put_unknown(hp_layout* at, size_t row);

// Whether some font of this machine can show the character, as far as fontconfig can tell.
bool hp_font_has(uint32_t rune);

// Data blocks, axes' ranges and the plot command of the figure's shape.
void hp_put_shape(hp_layout* at);

#endif  // HAKMEM_TOOLS_HAKPLOT_GNUPLOT_LAYOUT_H_
