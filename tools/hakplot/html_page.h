// index.html: one self-contained page with the verdict tables, the pictures, the environment of the
// runs and how to repeat them. It loads nothing, runs nothing, and follows the reader's colour
// scheme.

#ifndef HAKMEM_TOOLS_HAKPLOT_HTML_PAGE_H_
#define HAKMEM_TOOLS_HAKPLOT_HTML_PAGE_H_

#include "tools/hakplot/dataset.h"
#include "tools/hakplot/figure.h"
#include "tools/hakplot/group.h"
#include "tools/hakplot/table.h"

typedef struct hp_picture {
  const hp_figure* figure;
  const char* svg;  // gnuplot's file; NULL: it could not be drawn
} hp_picture;

typedef struct hp_page {
  hp_dataset* data;
  const hp_cases* cases;  // a table each
  hp_picture* pictures;
  size_t picture_count;
  unsigned formats;         // of the picture files beside the page
  const char* command;      // that made the page
  const char* run_command;  // that runs experiments: their names follow
} hp_page;

void hp_page_html(const hp_page* page, FILE* html);

// What gnuplot wrote, to stand inside a page: without prolog, its ids made unique by `prefix`, its
// title the figure's.
void hp_put_inline_svg(FILE* html, const char* svg, const char* prefix, const char* title);

#endif  // HAKMEM_TOOLS_HAKPLOT_HTML_PAGE_H_
