// The command line of hakplot, taken apart.

#ifndef HAKMEM_TOOLS_HAKPLOT_OPTIONS_H_
#define HAKMEM_TOOLS_HAKPLOT_OPTIONS_H_

#include <stdbool.h>
#include <stddef.h>

#include "tools/hakplot/verdict.h"

enum { HP_CHARTS_MAX = 32 };

typedef struct hp_options {
  bool keep_going;
  bool has_charts;  // some are named; otherwise all are wanted
  bool is_chart_wanted[HP_CHARTS_MAX];
  const char* format_names;  // as given; NULL: none
  unsigned formats;          // HP_SVG ..., HP_TERMINAL
  const char* out;           // NULL: plots/ of the checkout
  double ops;                // NaN: unknown
  char** arguments;
  size_t argument_count;
  bool is_compare;
  hp_compare_options compare;
} hp_options;

// Returns -1 to go on, or the exit status where all is said.
int hp_parse_options(hp_options* options, int argc, char** argv);

#endif  // HAKMEM_TOOLS_HAKPLOT_OPTIONS_H_
