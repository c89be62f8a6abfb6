// What an experiment comes to, for the person who waits: a table a workload. Charts and tests of
// significance are hakplot's.

#ifndef HAKMEM_TOOLS_HAKRUN_SUMMARY_H_
#define HAKMEM_TOOLS_HAKRUN_SUMMARY_H_

#include <stddef.h>

#include "tools/hakrun/experiment.h"

// What is compared of one run. NAN where it has none.
typedef struct summary_figures {
  double mops;
  double steady_mops;  // of the median slice
  double cpu_ns;       // processor time of an operation: in a duet, what the others cannot change
} summary_figures;

// What happened to one pair of workload and phase.
typedef struct summary_pair {
  summary_figures* runs;  // [experiment.runs]
  size_t ok;
  size_t failed;
} summary_pair;

typedef struct summary {
  summary_pair pairs[EXPERIMENT_MAX_WORKLOADS][EXPERIMENT_MAX_PHASES];
} summary;

// Makes room for the runs of the experiment; returns the number of pairs that are to be run.
int summary_prepare(summary* self, const experiment* plan);

size_t summary_failed(const summary* self, const experiment* plan);

// Prints to standard output. A phase is compared with the baseline run by run: the two stand close
// together in time, so that what changes slowly on the machine changes both. Of a duet that is
// processor time, for by the clock each run waits for the others.
void summary_print(const summary* self, const experiment* plan);

#endif  // HAKMEM_TOOLS_HAKRUN_SUMMARY_H_
