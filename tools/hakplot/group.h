// From rows to what a chart or a table compares: a case is one workload with its arguments, a group
// is one phase of it on one machine, and a summary is one metric of a group. Runs of several
// machines never come into one group; runs of several commits or builds do, with a note.

#ifndef HAKMEM_TOOLS_HAKPLOT_GROUP_H_
#define HAKMEM_TOOLS_HAKPLOT_GROUP_H_

#include <stdbool.h>
#include <stddef.h>

#include "tools/hakplot/dataset.h"

typedef struct hp_group {
  const char* label;  // the phase, with the machine's name where the data has several machines
  const char* phase;
  const char* host;     // interned host_id, or NULL
  const hp_row** runs;  // ended well; in the order read
  size_t run_count;
  const hp_row* mean;  // of perf stat -r, or NULL
  size_t failed;
  bool is_baseline;  // others are compared with this one: marked so, or else the first
  const struct hp_group* baseline;  // the baseline's phase on this machine; NULL: it did not run
} hp_group;

typedef struct hp_case {
  const char* title;  // "random_mixed 1e7 8192 42"
  const char* name;   // fit for a file name, unique in the dataset; "" where there is one case
  const hp_row* sample;
  hp_group* groups;
  size_t group_count;
  bool is_sweep_point;  // of a sweep that has a chart of its own, too many for bars (charts.h)
} hp_case;

typedef struct hp_cases {
  hp_case* at;
  size_t count;
} hp_cases;

// Groups all HP_RUN and HP_MEAN rows, in the order they came. Adds notes about failed runs and
// groups that mix commits, builds or binaries. The result points into the dataset.
hp_cases hp_group_runs(hp_dataset* data);

// The workload and its arguments; "telemetry" or where else the row comes from without one.
const char* hp_workload_title(const hp_row* row);

// The phase as charts name it: with the machine where the dataset has several.
const char* hp_row_label(hp_dataset* data, const hp_row* row);

typedef enum hp_metric_id {
  HP_THROUGHPUT,
  HP_TIME_PER_OP,
  HP_ELAPSED,
  HP_KERNEL_SHARE,
  HP_FAULTS,
  HP_SYSCALLS,
  HP_PEAK_RSS,
  HP_CPU_TIME,  // this and the next two: of runs whose operations are unknown
  HP_FAULTS_TOTAL,
  HP_SYSCALLS_TOTAL,
  HP_STEADY,
  HP_MEAN_RSS,
  HP_OVER_RSS,
  HP_LEFT_RSS,
  HP_METRIC_COUNT
} hp_metric_id;

typedef struct hp_metric {
  const char* name;                 // on the command line
  const char* title;                // on an axis, with the unit
  const char* unit;                 // in a table
  double (*of)(const hp_row* row);  // NaN: unknown
  bool is_better_larger;
  hp_field measured;       // what a mean's relative standard error is that of; HP_FIELD_COUNT: none
  const char* duet_title;  // of runs in a duet; NULL: the same
  const char* duet_unit;
} hp_metric;

extern const hp_metric kMetrics[HP_METRIC_COUNT];

// Runs in a duet shared one processor at the same time (hakrun). By the clock each waits for the
// others, so that their operations are told by processor time, and elapsed time is unknown.
bool hp_is_duet(const hp_row* row);
const char* hp_metric_title(const hp_metric* metric, const hp_row* row);
const char* hp_metric_unit(const hp_metric* metric, const hp_row* row);

// The metric of that name, or NULL.
const hp_metric* hp_metric_named(const char* name);

typedef struct hp_summary {
  double centre;  // the median; the mean where only that is known; NaN: unknown
  double low;     // 95 % interval of it; NaN where the runs are too few
  double high;
  double error;    // of a mean: its standard error over it; NaN: unknown or no mean
  double* values;  // of single runs, sorted
  size_t count;
  double samples;  // of a share of CPU time: timer ticks that it was seen in; NaN: no such share
  bool is_mean;    // from perf stat -r: no single runs
  bool is_range;   // a range that somebody stated: centre is its middle
} hp_summary;

// What a row says of one of several figures; NaN: nothing.
typedef double (*hp_figure_of)(const hp_row* row, size_t which);

// Over the runs of a group that say it; else of its mean, whose interval depends on the number of
// runs, which perf leaves out.
hp_summary hp_summarise_by(const hp_group* group, hp_figure_of of, size_t which);

// A share of CPU time is that of all runs together (hp_kernel_share), in per cent. A mean has the
// error that perf states.
hp_summary hp_summarise(const hp_group* group, const hp_metric* metric);

// What the phases of a case are compared by: throughput, or where that is unknown elapsed time, in
// a duet processor time.
const hp_metric* hp_main_metric(const hp_case* one);

// A unit in which a case's values have digits before the point: throughput is told in millions,
// thousands or single operations.
typedef struct hp_unit {
  const char* name;
  const char* title;
  double factor;  // from the metric's own
} hp_unit;

hp_unit hp_unit_of(const hp_case* one, const hp_metric* metric);

// "16.5 ± 2 %", "45 to 50", "unknown", in a unit of that factor.
char* hp_summary_text(const hp_summary* summary, double factor);

// Where a row's user and system time come from.
typedef enum hp_cpu_source {
  HP_CPU_UNKNOWN,
  HP_CPU_REGION,
  HP_CPU_CYCLES,
  HP_CPU_PROCESS,
  HP_CPU_STATED
} hp_cpu_source;

// The share of CPU time spent in the kernel over all runs of a group. The interval is what sampling
// by timer ticks leaves open (cycles are exact: no interval); stated shares have none.
typedef struct hp_share {
  double share;
  double low;
  double high;
  double cpu_s;      // NaN for cycles and stated shares; of an unknown one what there was, 0: none
  size_t run_count;  // of those that say it; the runs of a mean count as one
  hp_cpu_source source;
} hp_share;

hp_share hp_kernel_share(const hp_group* group);
double hp_share_samples(const hp_share* share);  // timer ticks behind it; NaN: not sampled

// User and system seconds of a row, from its timed region or else the whole process; NaN: unknown.
hp_cpu_source hp_cpu_times(const hp_row* row, double* user_s, double* system_s);

// Calls into the kernel by name, counted by the allocator or by perf; NaN: unknown.
enum { HP_CALL_COUNT = 6 };
extern const char* const kCallNames[HP_CALL_COUNT];
double hp_calls(const hp_row* row, size_t call);

#endif  // HAKMEM_TOOLS_HAKPLOT_GROUP_H_
