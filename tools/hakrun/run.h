// Runs of a workload under phases, one or several at the same time: their commands, the runs, their
// records.

#ifndef HAKMEM_TOOLS_HAKRUN_RUN_H_
#define HAKMEM_TOOLS_HAKRUN_RUN_H_

#include <jansson.h>
#include <stdbool.h>

#include "tools/hakrun/experiment.h"
#include "tools/hakrun/perf.h"

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
  bool is_ok;
  bool rejects_arguments;  // the workload does not take its arguments (exit code 2)
  double mops;        // a second of processor time in a duet; NAN: the run has none, or several
  double processors;  // that it kept busy, on the mean
  char* status;       // to be freed
  char output[1024];  // the end of what it wrote to stderr; of a failed run, of anything
} run_outcome;

// Makes and removes the scratch folder. False with errno set.
bool run_open_bench(run_bench* bench);
void run_close_bench(const run_bench* bench);

// Proves that the phase's allocator can be loaded, serves malloc and takes its settings. Returns
// NULL, or what is wrong.
char* run_check_phase(const run_bench* bench, const experiment_phase* phase);

// Proves that the command's program loads the phase's allocator. Returns NULL, or what is wrong.
char* run_check_command(const run_bench* bench, const experiment_workload* workload,
                        const experiment_phase* phase);

// Runs the jobs, all of one workload and round, at the same time, and appends their records to the
// file `results`, one JSON object a line, all of them or none. A run that failed is written and
// marked. Returns 0, EINTR when hakrun was interrupted, or why the records could not be written.
int run_jobs(const run_bench* bench, const run_job* jobs, size_t count, int results,
             run_outcome* outcomes);

#endif  // HAKMEM_TOOLS_HAKRUN_RUN_H_
