// perf stat as a source of figures: which events this machine and user can count, the command line,
// the file it writes.

#ifndef HAKMEM_TOOLS_HAKRUN_PERF_H_
#define HAKMEM_TOOLS_HAKRUN_PERF_H_

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { PERF_MAX_ARGV = 12 };

typedef struct perf_source {
  bool is_available;   // else runs are timed with wait4 alone
  const char* events;  // for -e
} perf_source;

// Tries perf out, from the longest list of events to the shortest.
perf_source perf_probe(void);

// Appends "env LC_ALL=C perf stat ... -o FILE --" to argv; returns the new count.
size_t perf_command(const perf_source* source, const char* file, const char** argv, size_t count);

// Adds the figures of a file written by `perf stat -x;` to a record, under the names of
// record_schema.def. Software events that were not counted, or only in part (user-space faults of
// an unprivileged perf), are null; what the machine has no counters for stays out. False when the
// file cannot be read.
bool perf_read(const char* file, json_t* record);

#endif  // HAKMEM_TOOLS_HAKRUN_PERF_H_
