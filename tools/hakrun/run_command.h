// The command of a run: perf, the launcher, variables, the workload; and the files in the scratch
// folder that these write.

#ifndef HAKMEM_TOOLS_HAKRUN_RUN_COMMAND_H_
#define HAKMEM_TOOLS_HAKRUN_RUN_COMMAND_H_

#include <stdio.h>

#include "tools/hakrun/run.h"

enum { COMMAND_MAX_ARGV = 128 };

// The files of a run.
typedef enum scratch_file {
  SCRATCH_RECORD,
  SCRATCH_PERF,
  SCRATCH_END,     // how the workload ended
  SCRATCH_OUTPUT,  // what it printed
  SCRATCH_ERRORS,  // and what of that to stderr
  SCRATCH_TELEMETRY,
  SCRATCH_FILES
} scratch_file;

// A command, with the texts that only it holds.
typedef struct run_command {
  const char* argv[COMMAND_MAX_ARGV];
  size_t count;
  char* launcher;
  char* program;
  char* preload;
  char* telemetry;
  char* files[SCRATCH_FILES];  // their paths
} run_command;

// How a command is to be used.
typedef enum command_use {
  COMMAND_MEASURE,  // under perf where there is one
  COMMAND_CHECK,    // without
  COMMAND_PRINT,    // by a person, who has no use for the launcher's notes; pins itself
} command_use;

void command_build(run_command* self, const run_bench* bench, const experiment_workload* workload,
                   const experiment_phase* phase, command_use use);
void command_free(run_command* self);

void command_remove_files(const run_command* self);

// Prints it as a shell would take it.
void command_print(const run_bench* bench, const experiment_workload* workload,
                   const experiment_phase* phase, FILE* out);

#endif  // HAKMEM_TOOLS_HAKRUN_RUN_COMMAND_H_
