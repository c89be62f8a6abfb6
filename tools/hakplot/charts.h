// The charts: each selects from the dataset and fills figures, one for each workload (or phase)
// that has the data; a chart without its data makes none.

#ifndef HAKMEM_TOOLS_HAKPLOT_CHARTS_H_
#define HAKMEM_TOOLS_HAKPLOT_CHARTS_H_

#include "tools/hakplot/dataset.h"
#include "tools/hakplot/figure.h"
#include "tools/hakplot/group.h"

// What runs without an allocator (limit "void") or with an ideal one ("list") reach: the workload
// `dry`, or phases of hakrun that stand for it. NaN: not measured.
typedef struct hp_dry {
  double best_mops;
  double user_ns;  // CPU time of an operation
} hp_dry;

typedef struct hp_figures {
  hp_dataset* data;
  const hp_cases* cases;
  hp_figure** at;
  size_t count;
  hp_names names;        // of figures, each once
  bool* is_sweep_point;  // by case
  hp_map dry_keys;
  hp_dry* dry;  // by dry key
} hp_figures;

// Looks over the cases for what several charts need. They must outlive the figures.
void hp_figures_begin(hp_figures* figures, hp_dataset* data, const hp_cases* cases);
void hp_figures_end(hp_figures* figures);

typedef struct hp_chart {
  const char* name;   // on the command line and in file names
  const char* about;  // how to read it
  const char* needs;  // the data it is made of
  void (*make)(hp_figures* figures);
} hp_chart;

extern const hp_chart kCharts[];
extern const size_t kChartCount;

const hp_chart* hp_chart_named(const char* name);

// ---- for the charts ----

// "NAME-CASE", the stem of a figure's files; NAME alone where there is one case.
const char* hp_figure_name(hp_figures* figures, const char* chart, const char* part);

// Keeps the figure if it has data; gives it another name where its own is taken.
void hp_figures_add(hp_figures* figures, hp_figure* figure);

// "n=10, 2 failed"; says where there is no interval and why.
const char* hp_count_note(hp_arena* arena, const hp_group* group, const hp_summary* summary);

// The numbers of runs behind the points of a figure: "n=10", "n=3 to 10".
typedef struct hp_run_range {
  size_t least;
  size_t most;
} hp_run_range;
void hp_run_range_add(hp_run_range* range, size_t runs);
const char* hp_run_range_text(hp_arena* arena, const hp_run_range* range);

// Whether a case is a point of a sweep that has a chart of its own, too many for bars.
bool hp_is_sweep_point(const hp_figures* figures, const hp_case* one);

// Whether the case is the loop without an allocator.
bool hp_is_dry(const hp_case* one);

// The limit for runs with these parameters on that machine.
hp_dry hp_dry_limit(const hp_figures* figures, const hp_row* like, const char* limit);

// Whether the group is such a limit itself.
bool hp_is_limit(const hp_group* group);

// A group's runs by the files they stand in, in the order of time; a group's label is the file's
// name. Returns how many.
size_t hp_history_of(hp_arena* arena, const hp_group* group, hp_group** eras);

// Marks the cases that are points of long sweeps (hp_figures_begin calls it).
void hp_find_sweep_points(hp_figures* figures);

#define HP_CHART(function, name, about, needs) void hp_chart_##function(hp_figures* figures);
#include "tools/hakplot/charts.def"
#undef HP_CHART

#endif  // HAKMEM_TOOLS_HAKPLOT_CHARTS_H_
