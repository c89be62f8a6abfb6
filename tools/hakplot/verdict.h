// Which of two groups is better, and whether that can be told: the judgement that the verdict
// table, `hakplot compare` and its gate share.

#ifndef HAKMEM_TOOLS_HAKPLOT_VERDICT_H_
#define HAKMEM_TOOLS_HAKPLOT_VERDICT_H_

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
  double ratio;  // new centre over the base's
  double p;      // NaN where there is none
} hp_comparison;

hp_comparison hp_compare_summaries(const hp_summary* base, const hp_summary* now);

// "+12.3 %", "~", "+485 % ?" for too few runs.
char* hp_change_text(hp_arena* arena, const hp_comparison* comparison);
// "0.012"; nothing where it could not have been small whatever the runs had shown.
char* hp_p_text(hp_arena* arena, const hp_comparison* comparison);

// The remark that a table with such a judgement needs; NULL: none.
const char* hp_judgement_remark(hp_judgement judgement);

// What the reader of a table with this row must know; NULL: nothing.
const char* hp_duet_remark(const hp_row* row);

// One row for each group of the case: throughput (or elapsed time), change against the baseline, p,
// n, kernel share, faults and calls per million operations, peak RSS.
hp_table* hp_verdict_table(hp_dataset* data, const hp_case* one);

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
