// The life of a run: let its command run, decide on a status. What it leaves is read and written by
// run_records.c, its memory watched by run_memory.c.

#define _GNU_SOURCE  // mkdtemp, strsep

#include "tools/hakrun/run.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/text_format.h"
#include "tools/hakrun/host.h"
#include "tools/hakrun/process.h"
#include "tools/hakrun/run_command.h"
#include "tools/hakrun/run_memory.h"
#include "tools/hakrun/run_records.h"

enum { CHECK_TIMEOUT_S = 60 };

// ---- the scratch folder ----

bool run_open_bench(run_bench* bench) {
  const char* base = getenv("TMPDIR");
  bench->scratch = text_format("%s/hakrun-XXXXXX", base != NULL && base[0] != '\0' ? base : "/tmp");
  return mkdtemp(bench->scratch) != NULL;
}

void run_close_bench(const run_bench* bench) { rmdir(bench->scratch); }

// ---- status ----

// Whether the object that holds malloc is the one that the phase names.
static bool is_served_by(const experiment_phase* phase, const char* program, const json_t* record) {
  const char* path = record_text(record, "allocator_path");
  const char* name = record_text(record, "allocator");
  if (experiment_is_limit(phase)) return strcmp(name, "none") == 0;
  if (phase->expected != NULL && strcmp(name, phase->expected) != 0) return false;
  if (phase->library != NULL) return strcmp(path, phase->library) == 0;
  return phase->kind != ALLOCATOR_HAKMEM_STATIC || strcmp(path, program) == 0;
}

// How the run ended, from the process and then from what the workload says: see docs/RECORDS.md.
static char* decide_status(const run_command* command, const experiment_phase* phase,
                           const finished_run* run, const json_t* record, bool is_command) {
  static const char kFailed[] = "failed: ";
  static const char kWrong[] = "failed: wrong allocator: ";
  const char* said = record_text(record, "status");
  run_end end;
  if (run->process.end == PROCESS_TIMED_OUT) return text_format("timed out");
  if (run->process.end == PROCESS_INTERRUPTED) return text_format("interrupted");
  if (!records_read_end(command->files[SCRATCH_END], &end)) return text_format("not started");
  // A server is ended by hakrun's signal.
  if (!isnan(run->client_s) && end.signal_number == SIGTERM) end.signal_number = 0;
  if (end.signal_number != 0) return text_format("crashed: signal %d", end.signal_number);
  if (strncmp(said, kWrong, strlen(kWrong)) == 0) {
    return text_format("%s", said + strlen(kFailed));
  }
  if (strncmp(said, kFailed, strlen(kFailed)) == 0) return text_format("%s", said);
  if (end.exit_code != 0) return text_format("exit %d", end.exit_code);
  if (strcmp(said, "ok") != 0) return text_format("no record");
  if (!is_command && !is_served_by(phase, command->program, record)) {
    return text_format("wrong allocator: expected %s, served by %s (%s)", phase->allocator,
                       record_text(record, "allocator"), record_text(record, "allocator_path"));
  }
  return text_format("ok");
}

// The line on stderr with which the allocator refuses a setting of the phase, or NULL. It names the
// variable; jemalloc names only the setting in it.
static char* find_refusal(const experiment_phase* phase, char* errors) {
  static const char* const kRefusals[] = {"is not an option", "Invalid conf"};
  char* rest = errors;
  for (char* line; (line = strsep(&rest, "\n")) != NULL;) {
    for (size_t i = 0; i < sizeof(kRefusals) / sizeof(kRefusals[0]); i++) {
      if (strstr(line, kRefusals[i]) != NULL) return line;
    }
    for (size_t i = 0; i < phase->env_count; i++) {
      char* name = text_format("%.*s", (int)strcspn(phase->env[i], "="), phase->env[i]);
      bool is_named = strstr(line, name) != NULL;
      free(name);
      if (is_named) return line;
    }
  }
  return NULL;
}

char* run_check_phase(const run_bench* bench, const experiment_phase* phase) {
  const experiment_workload smallest = {
      .name = "random_mixed", .label = "check", .args = {"1", "1", "1"}, .arg_count = 3};
  run_command command;
  char errors[8 * PATH_MAX];
  char* message = NULL;
  command_build(&command, bench, &smallest, phase, COMMAND_CHECK);
  const process_spec spec = {.argv = command.argv,
                             .output_path = command.files[SCRATCH_OUTPUT],
                             .errors_path = command.files[SCRATCH_ERRORS],
                             .timeout_s = CHECK_TIMEOUT_S};
  finished_run run = {.client_s = NAN};
  process_run(&spec, 1, &run.process);
  json_t* lines = records_read(command.files[SCRATCH_RECORD]);
  char* status = decide_status(&command, phase, &run, json_array_get(lines, 0), false);
  records_read_part(command.files[SCRATCH_ERRORS], false, errors, sizeof(errors));
  if (strcmp(status, "ok") != 0) {
    errors[strcspn(errors, "\n")] = '\0';
    message = text_format("%s: %s", status, errors);
  } else {
    char* refusal = find_refusal(phase, errors);
    if (refusal != NULL) message = text_format("it refuses a setting: %s", refusal);
  }
  command_remove_files(&command);
  command_free(&command);
  json_decref(lines);
  free(status);
  return message;
}

// The dynamic linker tells what a program would load, instead of running it.
char* run_check_command(const run_bench* bench, const experiment_workload* workload,
                        const experiment_phase* phase) {
  run_command command;
  char* loaded = NULL;
  char* message = NULL;
  size_t length = 0;
  if (phase->library == NULL) return NULL;
  command_build(&command, bench, workload, phase, COMMAND_CHECK);
  // The variable goes in before the program, behind the launcher and its file.
  memmove(&command.argv[3], &command.argv[2], (command.count - 1) * sizeof(command.argv[0]));
  command.argv[2] = "LD_TRACE_LOADED_OBJECTS=1";
  const process_spec spec = {.argv = command.argv,
                             .output_path = command.files[SCRATCH_OUTPUT],
                             .timeout_s = CHECK_TIMEOUT_S};
  process_result result;
  process_run(&spec, 1, &result);
  FILE* file = fopen(command.files[SCRATCH_OUTPUT], "re");
  ssize_t got = file != NULL ? getdelim(&loaded, &length, '\0', file) : -1;
  if (got < 0 || strstr(loaded, phase->library) == NULL) {
    message = text_format("%s does not load it: is it linked statically?", workload->program);
  }
  if (file != NULL) fclose(file);
  free(loaded);
  command_remove_files(&command);
  command_free(&command);
  return message;
}

// ---- runs ----

// In a duet processor time is what the others cannot change.
static double headline(const run_bench* bench, const json_t* record) {
  double cpu_s = record_number(record, "user_s") + record_number(record, "system_s");
  return bench->experiment->is_duet ? record_number(record, "ops") / cpu_s * 1e-6
                                    : record_number(record, "mops");
}

// What comes before a run, and is no part of it. Its failure shows in the run.
static void prepare(const finished_run* run) {
  const char* const argv[] = {"sh", "-c", run->job->workload->prepare, NULL};
  const process_spec spec = {.argv = argv, .output_path = "/dev/null", .timeout_s = 3600};
  process_result result;
  process_run(&spec, 1, &result);
}

// ---- servers ----

enum { READY_TRIES = 600, STOP_S = 10 };
static const double kReadyPauseS = 0.05;

// Asks until the server answers. False when it does not, or has ended.
static bool await_server(const finished_run* run) {
  const char* const argv[] = {"sh", "-c", run->job->workload->ready, NULL};
  const process_spec spec = {.argv = argv, .output_path = "/dev/null", .timeout_s = 30};
  for (int i = 0; i < READY_TRIES; i++) {
    process_result result;
    bool is_there = launched_pid(run->command.files[SCRATCH_END]) != 0;
    if (is_there && argv[2] == NULL) return process_sleep(1);
    if (is_there) process_run(&spec, 1, &result);
    if (is_there && result.end == PROCESS_INTERRUPTED) return false;
    if (is_there && result.end == PROCESS_EXITED && result.status == 0) return true;
    if (!process_sleep(kReadyPauseS)) return false;
  }
  return false;
}

// The client works; nothing of it is measured but its time and what it says.
static void run_client(const run_bench* bench, finished_run* run) {
  const experiment* plan = bench->experiment;
  const process_spec spec = {.argv = run->job->workload->client,
                             .output_path = run->command.files[SCRATCH_OUTPUT],
                             .timeout_s = plan->timeout_s};
  process_result result;
  memory_sampling samples = {run, 1};
  process_run_ticking(&spec, 1, &result, plan->sample_ms * 1e-3,
                      plan->sample_ms > 0 ? memory_take_samples : NULL, &samples);
  run->client_s = result.duration_s;
  run->process.end = result.end;  // an interruption is told to the client alone
  if (result.end == PROCESS_TIMED_OUT) run->client_failure = "failed: the client took too long";
  if (result.end == PROCESS_EXITED && result.status != 0)
    run->client_failure = "failed: the client failed";
}

// Starts the server, lets the client work, ends the server.
static void run_served(const run_bench* bench, finished_run* run, const process_spec* spec) {
  process_result server = process_begin(spec);
  run->client_s = 0;
  if (await_server(run)) {
    run_client(bench, run);
    if (run->job->workload->wants_left) memory_watch_rest(run);
  } else {
    run->client_failure = "failed: the server was not ready";
  }
  process_end end = run->process.end;
  process_stop(&server, launched_pid(run->command.files[SCRATCH_END]), STOP_S);
  run->process = server;
  if (end == PROCESS_INTERRUPTED) run->process.end = end;
}

// ---- runs at the same time ----

// Lets the commands run at the same time; a server and its client have the machine to themselves.
static void run_commands(const run_bench* bench, finished_run* runs, size_t count) {
  process_spec specs[EXPERIMENT_MAX_PHASES];
  process_result results[EXPERIMENT_MAX_PHASES];
  const experiment* plan = bench->experiment;
  for (size_t i = 0; i < count; i++) {
    specs[i] = (process_spec){
        .argv = runs[i].command.argv,
        // What a server prints is nobody's figure: the file is its client's.
        .output_path = runs[i].job->workload->client[0] != NULL
                           ? "/dev/null"
                           : runs[i].command.files[SCRATCH_OUTPUT],
        .errors_path = runs[i].command.files[SCRATCH_ERRORS],
        .timeout_s = plan->timeout_s,
        .processors = plan->pin != NULL ? &plan->processors : NULL,
    };
  }
  for (size_t i = 0; i < count && runs[i].job->workload->prepare != NULL; i++) prepare(&runs[i]);
  double stolen_s = host_steal_s();
  memory_sampling samples = {runs, count};
  for (size_t i = 0; i < count; i++) {
    runs[i].samples = json_array();
    runs[i].started_s = process_now_s();
  }
  if (runs[0].job->workload->client[0] != NULL) {
    run_served(bench, &runs[0], &specs[0]);
  } else {
    process_run_ticking(specs, count, results, plan->sample_ms * 1e-3,
                        plan->sample_ms > 0 ? memory_take_samples : NULL, &samples);
    for (size_t i = 0; i < count; i++) runs[i].process = results[i];
  }
  stolen_s = host_steal_s() - stolen_s;
  for (size_t i = 0; i < count; i++) runs[i].stolen_s = stolen_s;
}

// What came of a run; it and the outcome share the status.
static run_outcome conclude(const run_bench* bench, finished_run* run) {
  run_outcome outcome = {.mops = NAN};
  const bool is_command = run->job->workload->program != NULL;
  run->lines = records_read(run->command.files[SCRATCH_RECORD]);
  if (is_command) json_array_append_new(run->lines, record_of_command(run));
  memory_add_samples(run);
  char* misfit = records_drop_misfits(run->lines);
  outcome.status =
      decide_status(&run->command, run->job->phase, run, records_last(run->lines), is_command);
  outcome.processors = process_processors(&run->process);
  if (misfit != NULL && strcmp(outcome.status, "ok") == 0) {
    free(outcome.status);
    outcome.status = misfit;
    misfit = NULL;
  }
  free(misfit);
  run->status = outcome.status;
  outcome.is_ok = strcmp(outcome.status, "ok") == 0;
  outcome.rejects_arguments = strcmp(outcome.status, "exit 2") == 0;
  if (outcome.is_ok && records_count(run->lines) == 1) {
    outcome.mops = headline(bench, records_last(run->lines));
  }
  records_read_part(run->command.files[SCRATCH_ERRORS], true, outcome.output,
                    sizeof(outcome.output));
  if (!outcome.is_ok && outcome.output[0] == '\0') {
    records_read_part(run->command.files[SCRATCH_OUTPUT], true, outcome.output,
                      sizeof(outcome.output));
  }
  return outcome;
}

int run_jobs(const run_bench* bench, const run_job* jobs, size_t count, int results,
             run_outcome* outcomes) {
  int error = 0;
  finished_run runs[EXPERIMENT_MAX_PHASES];
  for (size_t i = 0; i < count; i++) {
    runs[i] = (finished_run){
        .job = &jobs[i], .at_once = count, .client_s = NAN, .left_bytes = {NAN, NAN, NAN}};
    command_build(&runs[i].command, bench, jobs[i].workload, jobs[i].phase, COMMAND_MEASURE);
  }
  run_commands(bench, runs, count);
  for (size_t i = 0; i < count; i++) {
    outcomes[i] = conclude(bench, &runs[i]);
    if (runs[i].process.end == PROCESS_INTERRUPTED) error = EINTR;
  }
  if (error == 0 && jobs[0].run >= 0) error = records_append(bench, runs, count, results);
  for (size_t i = 0; i < count; i++) {
    command_remove_files(&runs[i].command);
    command_free(&runs[i].command);
    json_decref(runs[i].lines);
    json_decref(runs[i].samples);
  }
  return error;
}
