// Which of two groups is better, and whether that can be told: the one judgement of the verdict
// table, of hakrun's summary, of `hakplot compare` and of its gate.
//
// Runs of one experiment are pairs: those of a round stand close together in time, so that what
// changes slowly on the machine changes both. Their change is the median of the ratios, round by
// round, with the 95 % interval of that median. Other runs are two samples: their change is that of
// the medians, judged by the Mann-Whitney test.

#ifndef HAKMEM_TOOLS_HAKPLOT_VERDICT_H_
#define HAKMEM_TOOLS_HAKPLOT_VERDICT_H_

#include "tools/common/statistics.h"
#include "tools/hakplot/charts.h"
#include "tools/hakplot/group.h"
#include "tools/hakplot/table.h"

typedef enum hp_judgement {
  HP_UNKNOWN,    // a side has no value
  HP_TOO_FEW,    // no test of so few runs could tell
  HP_ALIKE,      // no difference can be told
  HP_DIFFERENT,  // at 5 %
} hp_judgement;

typedef struct hp_comparison {
  hp_judgement judgement;
  double ratio;    // the new over the base
  hp_interval of;  // 95 % interval of the ratio; NaN where there is none
  double p;        // NaN where there is none
  size_t pairs;    // 0: the sides were compared as samples
  hp_summary base;
  hp_summary now;
} hp_comparison;

hp_comparison hp_compare_groups(const hp_group* base, const hp_group* now, const hp_metric* metric);

// "+12.3 %", "~", "unknown".
char* hp_change_text(const hp_comparison* comparison);
// How sure that is: "-10.3..-9.1 %", "p=0.012", "too few".
char* hp_evidence_text(const hp_comparison* comparison);

// The remark that a table with such a comparison needs; NULL: none.
const char* hp_comparison_remark(const hp_comparison* comparison);

// What the reader of a table with this row must know; NULL: nothing.
const char* hp_duet_remark(const hp_row* row);

// One row for each group of the case: throughput (or elapsed time), change against the baseline, p,
// n, kernel share, faults and calls per million operations, peak RSS.
hp_table* hp_verdict_table(const hp_case* one);

// Points of sweeps, limits and latency runs: their charts say it better.
bool hp_is_detail(const hp_case* one);

// Prints the tables of all cases but the details, and the notes.
void hp_verdict_print(const hp_figures* figures);

// Prints, of each case and phase, the files of records one by one, each against the one before.
void hp_history_print(const hp_figures* figures);

typedef enum hp_compare_format { HP_AS_TEXT, HP_AS_MARKDOWN, HP_AS_CSV } hp_compare_format;

typedef struct hp_compare_options {
  const char* base;  // a file, a folder, LABEL=PATH, or a phase in `files`
  const char* now;
  char** files;
  size_t file_count;
  const hp_metric* metric;  // NULL: all that the data has
  double fail_above;        // per cent of loss; NaN: no gate
  double ops;               // of runs that do not say; NaN: unknown
  hp_compare_format format;
  bool keep_going;
} hp_compare_options;

// `hakplot compare`. Returns the exit status: 0, 1 where the gate fails, 2 for input that cannot be
// compared. Writes tables to stdout, warnings to stderr.
int hp_compare(const hp_compare_options* options);

#endif  // HAKMEM_TOOLS_HAKPLOT_VERDICT_H_
