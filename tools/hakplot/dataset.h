// The dataset: one plain structure that the readers fill and everything else reads. A row is a run
// of a program, or one moment of a run; its values are pairs of a field and a number or text. A
// field that a row does not have is unknown: hp_number answers NaN, hp_string NULL, never 0 or "".
//
// Texts are clean (see hp_clean) and interned: equal texts have equal addresses. Everything lives
// until hp_free_all.

#ifndef HAKMEM_TOOLS_HAKPLOT_DATASET_H_
#define HAKMEM_TOOLS_HAKPLOT_DATASET_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/common/record_schema.h"
#include "tools/hakplot/strings.h"

typedef enum hp_kind {
  HP_RUN,        // one run of a program, its totals
  HP_MEAN,       // the means of several runs, without the runs (perf stat -r)
  HP_SAMPLE,     // one moment of a run: hakmem.sample.1
  HP_TELEMETRY,  // one moment of a process: hakmem.telemetry.1, counters since its start
  HP_INTERVAL,   // what happened in one interval of perf stat -I
  HP_PART,       // a part of a profile: component, group, percent
} hp_kind;

typedef struct hp_value {
  uint16_t field;
  float error;  // standard error over the value, of a mean; else 0
  union {
    double number;
    const char* text;
  };
} hp_value;

// A size class in a telemetry row.
typedef struct hp_class {
  uint32_t index;
  double block_bytes;
  double live;
  double capacity;
} hp_class;

typedef struct hp_row {
  hp_kind kind;
  uint32_t line;     // from 1
  const char* file;  // as the user named it
  hp_value* values;
  size_t value_count;
  hp_class* classes;
  size_t class_count;
} hp_row;

typedef struct hp_dataset {
  hp_map* texts;
  hp_map* notes;  // what a reader of the charts must know: mixed builds, scaled counters ...
  hp_row* rows;
  size_t row_count;
  const char** files;  // those that were read, in order
  size_t file_count;
  const char* error;       // of the last reader that failed: file, line, what was expected
  bool has_several_hosts;  // set by hp_group_runs
} hp_dataset;

void hp_dataset_init(hp_dataset* data);

const char* hp_intern(hp_dataset* data, const char* text, size_t size);

// A new last row. The pointer holds until the next row.
hp_row* hp_add_row(hp_dataset* data, hp_kind kind, const char* file, uint32_t line);

// Sets a field; NaN and NULL change nothing. Text is taken as it is: intern it.
void hp_set_number(hp_row* row, hp_field field, double number);
void hp_set_text(hp_row* row, hp_field field, const char* interned);
hp_value* hp_find(const hp_row* row, hp_field field);

double hp_number(const hp_row* row, hp_field field);
const char* hp_string(const hp_row* row, hp_field field);
bool hp_has_failed(const hp_row* row);  // a status that is known and not "ok"

// Adds a note unless it is there already.
void hp_note(hp_dataset* data, const char* format, ...) __attribute__((format(printf, 2, 3)));

// Sets data->error to "FILE:LINE: ..." (line 0: no line). Returns false.
bool hp_fail(hp_dataset* data, const char* file, size_t line, const char* format, ...)
    __attribute__((format(printf, 4, 5)));

#endif  // HAKMEM_TOOLS_HAKPLOT_DATASET_H_
