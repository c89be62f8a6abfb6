// Records of runs: reading what a run left in the scratch folder, and writing what is known of it.

#ifndef HAKMEM_TOOLS_HAKRUN_RUN_RECORDS_H_
#define HAKMEM_TOOLS_HAKRUN_RUN_RECORDS_H_

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "tools/hakrun/process.h"
#include "tools/hakrun/run.h"
#include "tools/hakrun/run_command.h"

enum { REST_LOOKS = 3 };  // 1, 5 and 15 s after the work

// A run that has come to its end.
typedef struct finished_run {
  const run_job* job;
  size_t at_once;  // runs at the same time, this one among them
  run_command command;
  process_result process;
  const char* client_failure;     // why the client of a server did no work; NULL: it did
  double client_s;                // how long it worked; NAN: there was none
  double left_bytes[REST_LOOKS];  // NAN: not looked at
  double stolen_s;                // by the hypervisor, meanwhile; NAN when unknown
  json_t* lines;                  // that the workload wrote
  json_t* samples;                // of its memory, by hakrun
  double started_s;
  const char* status;
} finished_run;

// What the launcher noted.
typedef struct run_end {
  int exit_code;      // 0 after a signal
  int signal_number;  // 0: none
  double peak_bytes;  // of resident memory
} run_end;

// False when it came to no end.
bool records_read_end(const char* path, run_end* end);

// The number of the process that the launcher started, while it runs; else 0.
int launched_pid(const char* path);

// The objects of a file of JSON lines; lines that are none (the last one of a crash) are left out.
json_t* records_read(const char* path);

// The beginning of a file, or its end, from the start of a line on.
void records_read_part(const char* path, bool is_end, char* text, size_t bytes);

// A member of a record: "" and NAN where there is none.
const char* record_text(const json_t* object, const char* key);
double record_number(const json_t* object, const char* key);

// Of what a workload wrote: how many lines are records, and the last of them.
size_t records_count(const json_t* lines);
const json_t* records_last(const json_t* lines);

// The record that a command did not write. It was proved before the first run that its program
// loads the phase's allocator.
json_t* record_of_command(const finished_run* run);

// Takes out of what a workload wrote the keys that mean something else to all the others; returns
// the first of them, or NULL.
char* records_drop_misfits(json_t* lines);

// Appends the records of runs that belong together, all of them or none. Returns 0 or errno.
int records_append(const run_bench* bench, const finished_run* runs, size_t count, int results);

#endif  // HAKMEM_TOOLS_HAKRUN_RUN_RECORDS_H_
