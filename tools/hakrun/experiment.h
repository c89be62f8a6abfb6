// An experiment: which workloads are to run, under which phases (allocator and environment), how
// often. Read from JSON and checked completely before anything runs:
//
//   {
//     "title": "...",
//     "runs": 10, "warmup_runs": 1, "timeout_s": 300, "sample_ms": 50, "pin": "1",
//     "duet": true,
//     "workloads": [{"name": "random_mixed", "label": "small", "args": ["1e7", 256, 42]},
//                   {"command": ["redis-benchmark", "-q"], "prepare": "...", "rate": "...",
//                    "server": ["redis-server"], "ready": "redis-cli ping", "left": true}],
//     "phases": [{"label": "hakmem", "allocator": "hakmem", "env": {"A": "1"}, "telemetry": false}]
//   }
//
// docs/WORKLOADS.md explains the keys.

#ifndef HAKMEM_TOOLS_HAKRUN_EXPERIMENT_H_
#define HAKMEM_TOOLS_HAKRUN_EXPERIMENT_H_

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

#include "tools/hakrun/allocators.h"

enum {
  EXPERIMENT_MAX_WORKLOADS = 64,
  EXPERIMENT_MAX_PHASES = 64,
  EXPERIMENT_MAX_ARGS = 32,
  EXPERIMENT_MAX_ENV = 32,
};

typedef struct experiment_workload {
  size_t index;  // in the file
  const char* name;
  const char* label;
  const char* args[EXPERIMENT_MAX_ARGS];
  size_t arg_count;
  // Of any command, which writes no record: else NULL.
  const char* program;    // its path; `name` is the last part
  const char* prepare;    // a shell line before each run
  const char* rate;       // a regular expression, its first group being a figure a second
  const char* rate_path;  // or the place of that figure in the JSON it prints: "results.0.rate"
  // Where the program is a server: the command that works with it, NULL at the end, and a shell
  // line that succeeds as soon as the server answers. [0] is NULL where there is none.
  const char* client[EXPERIMENT_MAX_ARGS + 1];
  const char* ready;
  bool wants_left;  // its memory is looked at until 15 s after the work
} experiment_workload;

typedef struct experiment_phase {
  size_t index;  // in the file
  const char* label;
  const char* allocator;  // as the experiment names it
  allocator_kind kind;
  const char* expected;  // the name that the workload must prove; NULL: the path alone is the proof
  const char* library;   // to preload; NULL: none
  const char* env[EXPERIMENT_MAX_ENV];  // "NAME=VALUE"
  size_t env_count;
  bool wants_telemetry;
} experiment_phase;

typedef struct experiment {
  const char* path;
  const char* name;  // the file's, without .json
  const char* title;
  int runs;
  int warmup_runs;
  int timeout_s;
  int sample_ms;         // how often the memory of a run is looked at; 0: never
  bool may_duet;         // is_duet is chosen when it is known that all have one thread
  bool is_duet;          // the phases of a round run at the same time, on one processor
  const char* pin;       // NULL: any processor; a duet has one
  cpu_set_t processors;  // those of `pin`
  experiment_workload workloads[EXPERIMENT_MAX_WORKLOADS];
  size_t workload_count;
  experiment_phase phases[EXPERIMENT_MAX_PHASES];
  size_t phase_count;
  const char* text;  // the file, for line numbers
} experiment;

// Finds the file: a path from where the user stands, or the name of a shipped experiment. NULL when
// there is neither.
char* experiment_find(const char* argument);

// Reads and checks it. Returns NULL, or a message that names file, line and key. All texts live as
// long as the program.
char* experiment_read(const char* path, experiment* out);

// The same of a text that `path` names in messages and `name` in results; keeps the text.
char* experiment_parse(const char* path, const char* name, const char* text, experiment* out);

// Adds phases "LABEL=LIBRARY,LABEL=LIBRARY", each a library to preload. Returns NULL, or what is
// wrong.
char* experiment_add_phases(experiment* self, const char* list);

// Makes a duet of it, on the last processor that this process may use.
void experiment_make_duet(experiment* self);

// Leaves only the workloads or phases with this label. False when there is none.
bool experiment_select(experiment* self, const char* label);

// Whether `dry` takes the workload's place: void and list.
bool experiment_is_limit(const experiment_phase* phase);

// Whether this pair is to be run: void and list stand in for random_mixed only, and no command is
// linked with hakmem.
bool experiment_has_pair(const experiment_workload* workload, const experiment_phase* phase);

// The folder of the shipped experiments; NULL when it is not there.
char* experiment_shipped_folder(void);

#endif  // HAKMEM_TOOLS_HAKRUN_EXPERIMENT_H_
