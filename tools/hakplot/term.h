// Figures as text for a terminal: rows become bars of block characters, heat maps shades, lines and
// areas signs, one for each series.

#ifndef HAKMEM_TOOLS_HAKPLOT_TERM_H_
#define HAKMEM_TOOLS_HAKPLOT_TERM_H_

#include "tools/hakplot/figure.h"

// For a terminal of that many columns.
void hp_figure_text(const hp_figure* figure, size_t columns, FILE* text);

#endif  // HAKMEM_TOOLS_HAKPLOT_TERM_H_
