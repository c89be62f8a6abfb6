// The command line of hakplot, taken apart.

#ifndef HAKMEM_TOOLS_HAKPLOT_COMMAND_LINE_H_
#define HAKMEM_TOOLS_HAKPLOT_COMMAND_LINE_H_

#include <stdbool.h>
#include <stddef.h>

#include "tools/hakplot/verdict.h"

enum { HP_CHARTS_MAX = 32 };

typedef struct hp_options {
  bool keep_going;
  bool has_charts;  // some are named; otherwise all are wanted
  bool is_chart_wanted[HP_CHARTS_MAX];
  const char* chart_names;  // as given; NULL: none, as the next two
  const char* format_names;
  const char* metric_name;
  unsigned formats;  // HP_SVG ..., HP_TERMINAL
  const char* out;   // NULL: plots/ of the checkout
  double ops;        // NaN: unknown
  char** arguments;
  size_t argument_count;
  bool is_history;
  bool is_compare;
  hp_compare_options compare;
} hp_options;

// Ends the process where all is said, or something is wrong with the arguments.
void hp_parse_options(hp_options* options, int argc, char** argv);

#endif  // HAKMEM_TOOLS_HAKPLOT_COMMAND_LINE_H_
