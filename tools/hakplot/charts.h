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
  hp_cases* cases;
  hp_figure** at;
  size_t count;
  hp_map* names;  // of figures, each once
  hp_map* dry;    // hp_dry by what is the same
} hp_figures;

// Looks over the cases for what several charts need. They must outlive the figures.
void hp_figures_begin(hp_figures* figures, hp_dataset* data, hp_cases* cases);

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

// A figure of a case, named after the chart; `what` begins its title.
hp_figure* hp_case_figure(hp_shape shape, const char* chart, const char* what, const hp_case* one);

// Keeps the figure if it has data; gives it another name where its own is taken.
void hp_figures_add(hp_figures* figures, hp_figure* figure);

// "n=10, 2 failed"; says where there is no interval and why.
const char* hp_count_note(const hp_group* group, const hp_summary* summary);

// The numbers of runs behind the points of a figure: "n=10", "n=3 to 10".
typedef struct hp_run_range {
  size_t least;
  size_t most;
} hp_run_range;
void hp_run_range_add(hp_run_range* range, size_t runs);
const char* hp_run_range_text(const hp_run_range* range);

// Adds the median of a group at x, with its interval, if it is known.
void hp_summary_add(hp_series* series, double x, const hp_summary* summary, double factor,
                    hp_run_range* runs);

// "Points: medians, n=10; upright lines: their 95 % intervals, from 6 runs on."
const char* hp_points_caption(const hp_run_range* runs);

// Whether the case is the loop without an allocator.
bool hp_is_dry(const hp_case* one);

// The limit for runs with these parameters on that machine.
hp_dry hp_dry_limit(const hp_figures* figures, const hp_row* like, const char* limit);

// Whether the group is such a limit itself.
bool hp_is_limit(const hp_group* group);

// A group's runs by the files they stand in, in the order of time; a group's label is the file's
// name. Returns how many.
size_t hp_history_of(const hp_group* group, hp_group** eras);

// Marks the cases that are points of long sweeps (hp_figures_begin calls it).
void hp_find_sweep_points(hp_figures* figures);

#define HP_CHART(function, name, about, needs) void hp_chart_##function(hp_figures* figures);
#include "tools/hakplot/charts.def"
#undef HP_CHART

#endif  // HAKMEM_TOOLS_HAKPLOT_CHARTS_H_
