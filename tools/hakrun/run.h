// One run of one workload under one phase: the command, the run, its records.

#ifndef HAKMEM_TOOLS_HAKRUN_RUN_H_
#define HAKMEM_TOOLS_HAKRUN_RUN_H_

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "tools/hakrun/experiment.h"
#include "tools/hakrun/perf.h"
#include "tools/hakrun/summary.h"

enum { RUN_MAX_ARGV = 128 };

typedef struct run_bench {
  const experiment* experiment;
  perf_source perf;
  json_t* host;   // keys for every record
  char* scratch;  // a folder for the files of a run
} run_bench;

typedef struct run_job {
  const experiment_workload* workload;
  const experiment_phase* phase;
  int run;    // -1 and below: warm-up, nothing is written
  int order;  // position in this run's rotation
} run_job;

typedef struct run_outcome {
  bool is_interrupted;  // nothing was written
  int write_error;      // why the records could not be written, or 0
  bool is_ok;
  bool rejects_arguments;   // the workload does not take its arguments (exit code 2)
  summary_figures figures;  // unknown when the run has none, or several
  char* status;             // to be freed
  char output[1024];        // the end of what a failed run printed
} run_outcome;

// Makes and removes the scratch folder. False with errno set.
bool run_open_bench(run_bench* bench);
void run_close_bench(const run_bench* bench);

// Proves that the phase's allocator can be loaded and serves malloc. Returns NULL, or what is
// wrong.
char* run_check_phase(const run_bench* bench, const experiment_phase* phase);

// Runs the job and appends its records to the file `results`, one JSON object a line, all of them
// or none. A run that failed is written and marked.
run_outcome run_job_now(const run_bench* bench, const run_job* job, int results);

// Prints the command of a job as a shell would take it.
void run_print_command(const run_bench* bench, const run_job* job, FILE* out);

#endif  // HAKMEM_TOOLS_HAKRUN_RUN_H_
