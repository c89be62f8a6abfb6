// What `hakplot compare` prints of one metric: a table for people or Markdown, or the numbers as
// CSV.

#ifndef HAKMEM_TOOLS_HAKPLOT_COMPARE_PRINT_H_
#define HAKMEM_TOOLS_HAKPLOT_COMPARE_PRINT_H_

#include "tools/hakplot/verdict.h"

typedef struct hp_pair {
  const char* title;
  const hp_group* base;
  const hp_group* now;
} hp_pair;

typedef struct hp_pairs {
  hp_pair* at;
  size_t count;
} hp_pairs;

#define HP_COMPARE_CSV_HEADER                                                             \
  "metric,unit,workload,base,base_low,base_high,base_runs,new,new_low,new_high,new_runs," \
  "ratio,ratio_low,ratio_high,p\n"

// Prints nothing where no pair knows the metric on both sides. Returns how many do.
size_t hp_print_metric(const hp_compare_options* options, const hp_pairs* pairs,
                       const hp_metric* metric);

#endif  // HAKMEM_TOOLS_HAKPLOT_COMPARE_PRINT_H_
