// From single counts of perf stat to rows of the dataset. Its two formats for programs (-x:
// read_perf.c; -j: read_json.c) give one hp_perf_count for each line; this collects them into runs:
// one row a run, and before it one row for each interval of `perf stat -I`. Parts of a machine
// (CPU, socket, thread) are summed. A sum with an unknown part is unknown.

#ifndef HAKMEM_TOOLS_HAKPLOT_PERF_RUN_H_
#define HAKMEM_TOOLS_HAKPLOT_PERF_RUN_H_

#include <stdbool.h>
#include <stddef.h>

#include "tools/hakplot/dataset.h"

typedef struct hp_perf_count {
  double interval_s;  // end of the interval; NaN outside `-I`
  bool is_summary;    // the line of `-I --summary` that sums all intervals
  const char* part;   // "CPU0", "bash-7095"; empty for the whole
  double value;       // NaN: not counted or not supported
  const char* unit;
  const char* event;
  double error_percent;    // of `-r`: standard error of the mean over the mean; NaN otherwise
  double running_percent;  // below 100: the event shared its counter, and perf scaled the value
} hp_perf_count;

typedef struct hp_perf_cell {
  double sum;  // NaN: a part of it is unknown
  double error;
  bool is_seen;
} hp_perf_cell;

// The fields that perf stat fills stand together.
enum { HP_PERF_FIRST = HP_perf_duration_s, HP_PERF_FIELDS = HP_perf_syscalls - HP_PERF_FIRST + 1 };

typedef struct hp_perf_run {
  hp_dataset* data;
  const char* file;
  const char* source;  // "perf stat", interned
  hp_map* seen;        // part and event of the present interval: a repetition starts a new run
  size_t run_line;     // where the run began; 0 = none is open
  double interval_s;
  bool is_mean;
  bool has_summary;
  size_t counts;                         // in the whole file
  size_t known_events;                   // of them
  hp_perf_cell now[HP_PERF_FIELDS];      // the present interval, or the run outside `-I`; by
                                         // field - HP_PERF_FIRST, as the next two
  hp_perf_cell total[HP_PERF_FIELDS];    // of all finished intervals
  hp_perf_cell summary[HP_PERF_FIELDS];  // of the summary lines
} hp_perf_run;

void hp_perf_init(hp_perf_run* run, hp_dataset* data, const char* file);
void hp_perf_add(hp_perf_run* run, const hp_perf_count* count, size_t line);

void hp_perf_end_run(hp_perf_run* run);

// The cell of a field among `cells`.
static inline hp_perf_cell* hp_perf_cell_of(hp_perf_cell* cells, hp_field field) {
  return &cells[field - HP_PERF_FIRST];
}

#endif  // HAKMEM_TOOLS_HAKPLOT_PERF_RUN_H_
