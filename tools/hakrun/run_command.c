// The command of a run, word by word, and the files in the scratch folder.

#include "tools/hakrun/run_command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/places.h"
#include "tools/common/text_format.h"

// The program that does a workload under a phase. The experiment was checked: it is there.
static char* find_program(const experiment_workload* workload, const experiment_phase* phase) {
  if (workload->program != NULL) return text_format("%s", workload->program);
  const char* name = experiment_is_limit(phase) ? "dry" : workload->name;
  const char* suffix = phase->kind == ALLOCATOR_HAKMEM_STATIC ? "" : "_system";
  char* target = text_format("workloads/%s%s", name, suffix);
  char* program = places_find(target);
  if (program == NULL) return target;
  free(target);
  return program;
}

static void push(run_command* self, const char* word) { self->argv[self->count++] = word; }

// perf watches the workload alone: variables are set behind it, by the launcher.
void command_build(run_command* self, const run_bench* bench, const experiment_workload* workload,
                   const experiment_phase* phase, command_use use) {
  static const char* const kFiles[SCRATCH_FILES] = {
      [SCRATCH_RECORD] = "record", [SCRATCH_PERF] = "perf",     [SCRATCH_END] = "end",
      [SCRATCH_OUTPUT] = "output", [SCRATCH_ERRORS] = "errors", [SCRATCH_TELEMETRY] = "telemetry"};
  *self = (run_command){.program = find_program(workload, phase)};
  // Phases that run at the same time have files of their own.
  for (size_t i = 0; i < SCRATCH_FILES; i++) {
    self->files[i] = text_format("%s/%s-%zu", bench->scratch, kFiles[i], phase->index);
  }
  if (use == COMMAND_PRINT && bench->experiment->pin != NULL) {
    push(self, "taskset");
    push(self, "-c");
    push(self, bench->experiment->pin);
  }
  if (use != COMMAND_CHECK && bench->perf.is_available) {
    self->count = perf_command(&bench->perf, self->files[SCRATCH_PERF], self->argv, self->count);
  }
  if (use == COMMAND_PRINT) {
    push(self, "env");
  } else {
    self->launcher = places_find("tools/hakrun/launch");
    push(self, self->launcher != NULL ? self->launcher : "launch");
    push(self, self->files[SCRATCH_END]);
  }
  for (size_t i = 0; i < phase->env_count; i++) push(self, phase->env[i]);
  if (phase->wants_telemetry) {
    self->telemetry = text_format("HAKMEM_TELEMETRY=%s", self->files[SCRATCH_TELEMETRY]);
    push(self, self->telemetry);
  }
  if (phase->library != NULL) {
    self->preload = text_format("LD_PRELOAD=%s", phase->library);
    push(self, self->preload);
  }
  push(self, self->program);
  for (size_t i = 0; i < workload->arg_count; i++) push(self, workload->args[i]);
  self->argv[self->count] = NULL;
  if (workload->program != NULL) return;
  if (experiment_is_limit(phase)) {
    push(self, "--limit");
    push(self, phase->kind == ALLOCATOR_VOID ? "void" : "list");
  } else if (phase->expected != NULL) {
    push(self, "--expect-allocator");
    push(self, phase->expected);
  }
  push(self, "--json");
  push(self, self->files[SCRATCH_RECORD]);
  self->argv[self->count] = NULL;
}

void command_free(run_command* self) {
  free(self->launcher);
  free(self->program);
  free(self->preload);
  free(self->telemetry);
  for (size_t i = 0; i < SCRATCH_FILES; i++) free(self->files[i]);
}

void command_remove_files(const run_command* self) {
  for (size_t i = 0; i < SCRATCH_FILES; i++) unlink(self->files[i]);
}

static bool needs_quotes(const char* word) {
  return word[0] == '\0' || word[strspn(word,
                                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789_-+=./:,%@")] != '\0';
}

void command_print(const run_bench* bench, const experiment_workload* workload,
                   const experiment_phase* phase, FILE* out) {
  run_command command;
  command_build(&command, bench, workload, phase, COMMAND_PRINT);
  for (size_t i = 0; i < command.count; i++) {
    const char* word = command.argv[i];
    fputs(i > 0 ? " " : "", out);
    if (!needs_quotes(word)) {
      fputs(word, out);
      continue;
    }
    fputc('\'', out);
    for (; *word != '\0'; word++) fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, out);
    fputc('\'', out);
  }
  fputc('\n', out);
  command_free(&command);
}
