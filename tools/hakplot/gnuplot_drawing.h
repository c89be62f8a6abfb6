// Inside gnuplot's half of hakplot: a script in the making, and the pieces of it that frame and
// shapes share. gnuplot lays the picture out; only its height and the lines above the plot are
// chosen here.

#ifndef HAKMEM_TOOLS_HAKPLOT_GNUPLOT_DRAWING_H_
#define HAKMEM_TOOLS_HAKPLOT_GNUPLOT_DRAWING_H_

#include <stdbool.h>
#include <stdint.h>

#include "tools/hakplot/figure.h"
#include "tools/hakplot/palette.h"
#include "tools/hakplot/strings.h"

typedef struct hp_drawing {
  const hp_figure* figure;
  FILE* script;      // settings and data
  FILE* plot;        // the plot command, which comes last
  bool has_element;  // of it
  bool needs_fonts;  // PNG and PDF: gnuplot draws what no font has as a box larger than the picture
  double half;       // half of what a row draws; rows stand at y = 0, 1, 2 ... from the top
} hp_drawing;

// In single quotes, quotes doubled: gnuplot evaluates nothing there.
void hp_put_quoted(const hp_drawing* at, FILE* out, const char* text);

// The plot command, ready for its next element.
FILE* hp_element(hp_drawing* at);

// Whether some font of this machine can show the character, as far as fontconfig can tell.
bool hp_font_has(uint32_t rune);

// Data, axes' ranges and the plot command of the figure's shape.
void hp_put_shape(hp_drawing* at);

#endif  // HAKMEM_TOOLS_HAKPLOT_GNUPLOT_DRAWING_H_
