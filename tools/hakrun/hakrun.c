// hakrun: runs an experiment (experiment.h) and writes one record a run. Phases are interleaved in
// rotated order, or run at the same time, so that what changes on the machine during the hour hits
// all of them alike.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/common/text.h"
#include "tools/hakplot/read.h"
#include "tools/hakplot/verdict.h"
#include "tools/hakrun/command.h"
#include "tools/hakrun/experiment.h"
#include "tools/hakrun/host.h"
#include "tools/hakrun/json_line.h"
#include "tools/hakrun/perf.h"
#include "tools/hakrun/process.h"
#include "tools/hakrun/resources.h"
#include "tools/hakrun/run.h"
#include "workloads/harness/options.h"

enum { EXIT_FAILED_RUNS = 1, EXIT_BAD_INPUT = 2, EXIT_INTERRUPTED = 130 };

typedef struct options {
  const char* experiment;
  uint64_t runs;
  const char* out;
  const char* only;
  bool list;
  bool dry_run;
} options;

typedef struct session {
  run_bench bench;
  experiment experiment;
  int results;  // descriptor
  char* results_path;
  int pairs;
  int done;      // counted runs
  int failed;    // of them
  int warm_ups;  // done
  double started_s;
  bool is_terminal;
} session;

static int total_runs(const session* self) { return self->pairs * self->experiment.runs; }

// ---- progress ----

// A run takes as long as the mean of those before it, warm-ups included: every round does the same.
static void print_time_left(const session* self) {
  int finished = self->done + self->warm_ups;
  int left = self->pairs * (self->experiment.runs + self->experiment.warmup_runs) - finished;
  if (left == 0) return;
  long seconds = lround((process_now_s() - self->started_s) / finished * left);
  if (seconds >= 60) fprintf(stderr, "%ld min ", seconds / 60);
  fprintf(stderr, "%ld s left, ", seconds % 60);
}

static void print_progress(const session* self, const run_job* job, const run_outcome* outcome) {
  // A line that is wider than the terminal must not be broken: only its last part would be erased.
  if (self->is_terminal) fprintf(stderr, "\r\x1b[K\x1b[?7l");
  fprintf(stderr, "[%d/%d] ", self->done, total_runs(self));
  print_time_left(self);
  fprintf(stderr, "%s, %s, ", job->workload->label, job->phase->label);
  if (job->run < 0) {
    fprintf(stderr, "warm-up: ");
  } else {
    fprintf(stderr, "run %d: ", job->run + 1);
  }
  if (outcome->is_ok && !isnan(outcome->mops)) {
    fprintf(stderr, "%.4g Mops/%ss", outcome->mops, self->experiment.is_duet ? "CPU " : "");
  } else {
    fprintf(stderr, "%s", outcome->status);
  }
  if (self->is_terminal) fprintf(stderr, "\x1b[?7h");
  // On a terminal the next line takes this one's place, but for what must be seen, which stays.
  bool is_news = !outcome->is_ok || (outcome->output[0] != '\0' && job->run <= 0);
  if (!self->is_terminal || is_news) fprintf(stderr, "\n");
  if (is_news) fprintf(stderr, "%s", outcome->output);
}

// ---- before the runs ----

// Creates a folder and those above it. False with errno set.
static bool make_folders(char* path) {
  for (char* at = path + 1; *at != '\0'; at++) {
    if (*at != '/') continue;
    *at = '\0';
    bool is_there = mkdir(path, 0777) == 0 || errno == EEXIST;
    *at = '/';
    if (!is_there) return false;
  }
  return mkdir(path, 0777) == 0 || errno == EEXIST;
}

// --out, or results/ of the checkout, or results/ where the user stands.
static char* results_folder(const session* self, const char* out) {
  char* checkout = out == NULL ? resources_checkout() : NULL;
  char* folder = checkout != NULL
                     ? text_format("%s/results/%s", checkout, self->experiment.name)
                     : text_format("%s/%s", out != NULL ? out : "results", self->experiment.name);
  free(checkout);
  return folder;
}

// Creates <folder>/<time>.jsonl, the time being made unique. False with a message printed.
static bool open_results(session* self, const char* out) {
  char stamp[32];
  time_t now = time(NULL);
  struct tm utc;
  char* folder = results_folder(self, out);
  strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
  self->results = -1;
  if (make_folders(folder)) {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC;
    self->results_path = text_format("%s/%s.jsonl", folder, stamp);
    self->results = open(self->results_path, flags, 0666);
    for (int copy = 2; self->results < 0 && errno == EEXIST; copy++) {
      free(self->results_path);
      self->results_path = text_format("%s/%s-%d.jsonl", folder, stamp, copy);
      self->results = open(self->results_path, flags, 0666);
    }
  }
  if (self->results < 0) {
    fprintf(stderr, "hakrun: cannot write results to %s: %s\n", folder, strerror(errno));
  }
  free(folder);
  return self->results >= 0;
}

// Every phase's allocator must load and serve malloc before anything is measured.
static bool check_phases(session* self) {
  for (size_t p = 0; p < self->experiment.phase_count; p++) {
    const experiment_phase* phase = &self->experiment.phases[p];
    char* wrong = run_check_phase(&self->bench, phase);
    if (wrong == NULL) continue;
    char* place = text_format("/phases/%zu/allocator", phase->index);
    fprintf(stderr, "hakrun: %s:%d: %s: %s cannot be used: %s\n", self->experiment.path,
            json_line_of(self->experiment.text, place), place + 1, phase->allocator, wrong);
    free(place);
    free(wrong);
    return false;
  }
  return true;
}

// ---- the runs ----

static void count_outcome(session* self, const run_job* job, const run_outcome* outcome) {
  if (job->run < 0) {
    self->warm_ups++;
    return;
  }
  self->done++;
  self->failed += !outcome->is_ok;
}

// Says why no more runs are done, and what becomes of the finished ones. `error` is that of
// run_jobs. Returns the exit code.
static int stop_early(const session* self, int error) {
  if (self->is_terminal) fprintf(stderr, "\r\x1b[K");
  if (error == EINTR) {
    fprintf(stderr, "hakrun: interrupted");
  } else {
    fprintf(stderr, "hakrun: cannot write %s: %s", self->results_path, strerror(error));
  }
  if (self->done > 0) {
    fprintf(stderr, "; the %d finished runs are kept in %s\n", self->done, self->results_path);
  } else {
    fprintf(stderr, "; no run was finished\n");
  }
  return error == EINTR ? EXIT_INTERRUPTED : EXIT_FAILED_RUNS;
}

// Returns 0, or the exit code with which to stop.
static int check_arguments(const session* self, const run_job* job, const run_outcome* outcome) {
  if (job->run >= 0 || !outcome->rejects_arguments) return 0;
  char* place = text_format("/workloads/%zu/args", job->workload->index);
  fprintf(stderr, "hakrun: %s:%d: %s: %s does not take these arguments\n", self->experiment.path,
          json_line_of(self->experiment.text, place), place + 1, job->workload->name);
  free(place);
  return EXIT_BAD_INPUT;
}

// Returns 0, or the exit code with which to stop at once.
static int run_together(session* self, const run_job* jobs, size_t count) {
  run_outcome outcomes[EXPERIMENT_MAX_PHASES] = {0};
  int error = run_jobs(&self->bench, jobs, count, self->results, outcomes);
  int stop = error != 0 ? stop_early(self, error) : 0;
  for (size_t i = 0; i < count && error == 0; i++) count_outcome(self, &jobs[i], &outcomes[i]);
  for (size_t i = 0; i < count; i++) {
    if (error == 0) print_progress(self, &jobs[i], &outcomes[i]);
    if (stop == 0) stop = check_arguments(self, &jobs[i], &outcomes[i]);
    free(outcomes[i].status);
  }
  return stop;
}

// One round: every pair once, the phases rotated by one from round to round, and in a duet at the
// same time.
static int run_round(session* self, int run) {
  const experiment* plan = &self->experiment;
  for (size_t w = 0; w < plan->workload_count; w++) {
    run_job jobs[EXPERIMENT_MAX_PHASES];
    size_t count = 0;
    for (size_t k = 0; k < plan->phase_count; k++) {
      size_t p = (k + (size_t)(run > 0 ? run : 0)) % plan->phase_count;
      run_job job = {&plan->workloads[w], &plan->phases[p], run, (int)k};
      if (experiment_has_pair(job.workload, job.phase)) jobs[count++] = job;
    }
    const size_t at_once = plan->is_duet ? count : 1;
    for (size_t i = 0; i < count; i += at_once) {
      int stop = run_together(self, &jobs[i], at_once);
      if (stop != 0) return stop;
    }
  }
  return 0;
}

// What hakplot says of the records.
static void print_summary(const session* self) {
  hp_dataset data;
  hp_figures figures;
  hp_dataset_init(&data);
  if (hp_read_argument(&data, self->results_path, false) == 0) {
    hp_cases cases = hp_group_runs(&data);
    hp_figures_begin(&figures, &data, &cases);
    printf("%s\n\n", self->experiment.title);
    hp_verdict_print(&figures);
    hp_figures_end(&figures);
  }
  hp_dataset_free(&data);
}

static int run_experiment(session* self) {
  int stop = 0;
  self->started_s = process_now_s();
  for (int run = -self->experiment.warmup_runs; run < self->experiment.runs && stop == 0; run++) {
    stop = run_round(self, run);
  }
  if (self->is_terminal) fprintf(stderr, "\r\x1b[K");
  if (self->done == 0) {
    unlink(self->results_path);  // holds nothing
    return stop;
  }
  print_summary(self);
  printf("records: %s\n", self->results_path);
  if (stop == 0 && self->failed > 0) {
    fprintf(stderr, "hakrun: %d of %d runs failed; they are in the records, marked\n", self->failed,
            self->done);
    stop = EXIT_FAILED_RUNS;
  }
  return stop;
}

// As they can be tried by hand: their files go where the user stands.
static void print_commands(const session* self) {
  static char here[] = ".";
  run_bench bench = self->bench;
  bench.scratch = here;
  for (size_t w = 0; w < self->experiment.workload_count; w++) {
    for (size_t p = 0; p < self->experiment.phase_count; p++) {
      const experiment_workload* workload = &self->experiment.workloads[w];
      const experiment_phase* phase = &self->experiment.phases[p];
      if (!experiment_has_pair(workload, phase)) continue;
      printf("# %s, %s, %d runs%s\n", workload->label, phase->label, self->experiment.runs,
             self->experiment.is_duet ? ", at the same time as the other phases" : "");
      command_print(&bench, workload, phase, stdout);
    }
  }
}

// ---- the command line ----

static int is_json(const struct dirent* entry) {
  size_t length = strlen(entry->d_name);
  return length > 5 && strcmp(entry->d_name + length - 5, ".json") == 0;
}

static int list_experiments(void) {
  char* folder = experiment_shipped_folder();
  struct dirent** entries;
  int count = folder != NULL ? scandir(folder, &entries, is_json, alphasort) : -1;
  if (count < 0) {
    fprintf(stderr, "hakrun: the shipped experiments are not there\n");
    free(folder);
    return EXIT_FAILED_RUNS;
  }
  for (int i = 0; i < count; i++) {
    char* path = text_format("%s/%s", folder, entries[i]->d_name);
    json_t* root = json_load_file(path, 0, NULL);
    const char* title = json_string_value(json_object_get(root, "title"));
    printf("%-20.*s %s\n", (int)strlen(entries[i]->d_name) - 5, entries[i]->d_name,
           title != NULL ? title : "(cannot be read)");
    json_decref(root);
    free(path);
    free(entries[i]);
  }
  free(entries);
  free(folder);
  return 0;
}

static void parse(options* chosen, int argc, char** argv) {
  const wl_option positionals[] = {
      {"EXPERIMENT", WL_TEXT, &chosen->experiment, NULL, 0, 0,
       "a JSON file, or the name of a shipped experiment"},
  };
  const wl_option rows[] = {
      {"runs", WL_NUMBER, &chosen->runs, "N", 1, 10000, "runs of each workload and phase"},
      {"out", WL_TEXT, &chosen->out, "DIR", 0, 0, "folder for records (default: results)"},
      {"only", WL_TEXT, &chosen->only, "LABEL", 0, 0, "only this phase, or this workload"},
      {"list", WL_FLAG, &chosen->list, NULL, 0, 0, "list the shipped experiments"},
      {"dry-run", WL_FLAG, &chosen->dry_run, NULL, 0, 0, "check and print the commands only"},
  };
  const wl_syntax syntax = {
      .program = "hakrun",
      .about =
          "Runs an experiment: every workload under every phase, interleaved, each with proof "
          "of its allocator.\nRecords go to results/<experiment>/<time>.jsonl; "
          "hakplot draws them.",
      .positionals = positionals,
      .positional_count = 1,
      .options = rows,
      .option_count = sizeof(rows) / sizeof(rows[0]),
  };
  char message[WL_MESSAGE_BYTES];
  wl_parse_result result = wl_parse_options(&syntax, argc, argv, message);
  if (result == WL_HELP_WANTED) {
    wl_print_help(&syntax, STDOUT_FILENO);
    exit(0);
  }
  if (result == WL_PARSED && chosen->experiment == NULL && !chosen->list) {
    snprintf(message, sizeof(message), "EXPERIMENT is missing (--list shows those shipped)");
    result = WL_BAD_ARGUMENT;
  }
  if (result == WL_BAD_ARGUMENT) {
    fprintf(stderr, "hakrun: %s\n", message);
    wl_print_usage(&syntax, STDERR_FILENO);
    exit(EXIT_BAD_INPUT);
  }
}

// Reads the experiment and applies --only and --runs. False with a message printed.
static bool load(session* self, const options* chosen) {
  char* path = experiment_find(chosen->experiment);
  if (path == NULL) {
    fprintf(stderr, "hakrun: %s: no such file, nor a shipped experiment (hakrun --list)\n",
            chosen->experiment);
    return false;
  }
  char* wrong = experiment_read(path, &self->experiment);
  if (wrong != NULL) {
    fprintf(stderr, "hakrun: %s\n", wrong);
    return false;
  }
  if (chosen->only != NULL && !experiment_select(&self->experiment, chosen->only)) {
    fprintf(stderr, "hakrun: --only: %s has no phase and no workload labelled '%s'\n", path,
            chosen->only);
    return false;
  }
  if (chosen->runs != WL_UNSET) self->experiment.runs = (int)chosen->runs;
  for (size_t w = 0; w < self->experiment.workload_count; w++) {
    for (size_t p = 0; p < self->experiment.phase_count; p++) {
      self->pairs +=
          experiment_has_pair(&self->experiment.workloads[w], &self->experiment.phases[p]);
    }
  }
  if (self->pairs == 0) {
    fprintf(stderr, "hakrun: %s: nothing to run: void and list stand in for random_mixed only\n",
            path);
    return false;
  }
  return true;
}

static int conduct(session* self, const options* chosen) {
  if (!check_phases(self)) return EXIT_BAD_INPUT;
  if (chosen->dry_run) {
    print_commands(self);
    return 0;
  }
  if (!open_results(self, chosen->out)) return EXIT_BAD_INPUT;
  self->bench.host = host_describe();
  return run_experiment(self);
}

int main(int argc, char** argv) {
  static session self;
  options chosen = {.runs = WL_UNSET};
  if (!resources_enter_user_directory()) {
    fprintf(stderr, "hakrun: cannot enter the folder it was called from: %s\n", strerror(errno));
    return EXIT_BAD_INPUT;
  }
  parse(&chosen, argc, argv);
  if (chosen.list) return list_experiments();
  process_start();
  if (!load(&self, &chosen)) return EXIT_BAD_INPUT;
  self.bench.experiment = &self.experiment;
  self.bench.perf = perf_probe();
  self.is_terminal = isatty(STDERR_FILENO);
  if (!run_open_bench(&self.bench)) {
    fprintf(stderr, "hakrun: cannot make %s: %s\n", self.bench.scratch, strerror(errno));
    return EXIT_BAD_INPUT;
  }
  int exit_code = conduct(&self, &chosen);
  run_close_bench(&self.bench);
  return exit_code;
}
