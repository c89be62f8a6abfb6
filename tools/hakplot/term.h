// Figures as text for a terminal. Rows become bars of block characters, heat maps shades; lines and
// areas are gnuplot's.

#ifndef HAKMEM_TOOLS_HAKPLOT_TERM_H_
#define HAKMEM_TOOLS_HAKPLOT_TERM_H_

#include "tools/hakplot/figure.h"

// False where the shape needs gnuplot (hp_gnuplot_terminal_script).
bool hp_figure_text(const hp_figure* figure, size_t columns, hp_text* text);

#endif  // HAKMEM_TOOLS_HAKPLOT_TERM_H_
