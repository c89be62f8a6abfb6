// The charts: each selects from the dataset and fills figures, one for each workload (or phase)
// that has the data; a chart without its data makes none.

#ifndef HAKMEM_TOOLS_HAKPLOT_CHARTS_H_
#define HAKMEM_TOOLS_HAKPLOT_CHARTS_H_

#include "tools/hakplot/dataset.h"
#include "tools/hakplot/figure.h"
#include "tools/hakplot/group.h"

typedef struct hp_figures {
  hp_dataset* data;
  const hp_cases* cases;
  hp_figure** at;
  size_t count;
  hp_map names;  // of figures, each once
} hp_figures;

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

// Whether a case is a point of a sweep that has a chart of its own, too many for bars.
bool hp_is_sweep_point(const hp_figures* figures, const hp_case* one);

// The best throughput (million operations a second) and the CPU nanoseconds an operation of runs
// with the same parameters on that machine, but with no allocator (limit "void") or an ideal one
// ("list"): the workload `dry`, or phases of hakrun that stand for it. NaN: not measured.
typedef struct hp_dry {
  double best_mops;
  double user_ns;
} hp_dry;
hp_dry hp_dry_limit(const hp_figures* figures, const hp_row* like, const char* limit);

// Whether the group is such a limit itself.
bool hp_is_limit(const hp_group* group);

void hp_chart_throughput(hp_figures* figures);
void hp_chart_elapsed(hp_figures* figures);
void hp_chart_kernel_share(hp_figures* figures);
void hp_chart_time_split(hp_figures* figures);
void hp_chart_kernel_events(hp_figures* figures);
void hp_chart_limit(hp_figures* figures);
void hp_chart_profile(hp_figures* figures);
void hp_chart_working_set(hp_figures* figures);
void hp_chart_remote_free(hp_figures* figures);
void hp_chart_scaling(hp_figures* figures);
void hp_chart_latency(hp_figures* figures);
void hp_chart_rss(hp_figures* figures);
void hp_chart_retention(hp_figures* figures);
void hp_chart_classes(hp_figures* figures);
void hp_chart_intervals(hp_figures* figures);

#endif  // HAKMEM_TOOLS_HAKPLOT_CHARTS_H_
