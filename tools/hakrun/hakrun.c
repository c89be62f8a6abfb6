// hakrun: runs an experiment (experiment.h) and writes one record a run. Phases are interleaved in
// rotated order, or run at the same time, so that what changes on the machine during the hour hits
// all of them alike.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/common/arguments.h"
#include "tools/common/places.h"
#include "tools/common/text_format.h"
#include "tools/hakplot/read.h"
#include "tools/hakplot/verdict.h"
#include "tools/hakrun/experiment.h"
#include "tools/hakrun/hakrun_arguments.h"
#include "tools/hakrun/host.h"
#include "tools/hakrun/json_line.h"
#include "tools/hakrun/perf.h"
#include "tools/hakrun/process.h"
#include "tools/hakrun/run.h"
#include "tools/hakrun/run_command.h"

enum { EXIT_FAILED_RUNS = 1, EXIT_INTERRUPTED = 130 };

typedef struct session {
  run_bench bench;
  experiment experiment;
  int results;  // descriptor
  char* results_path;
  int pairs;
  int done;                // counted runs
  int failed;              // of them
  int warm_ups;            // done
  double most_processors;  // that a warm-up kept busy
  double started_s;
  double precision;  // as in options
  double max_time_s;
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

// --out, or results/ of the checkout, or results/ where the user stands.
static char* results_folder(const session* self, const char* out) {
  char* checkout = out == NULL ? places_checkout() : NULL;
  char* folder = checkout != NULL
                     ? text_format("%s/results/%s", checkout, self->experiment.name)
                     : text_format("%s/%s", out != NULL ? out : "results", self->experiment.name);
  free(checkout);
  return folder;
}

// Creates <folder>/<name>.jsonl, or <time>.jsonl without a name, the time being made unique. False
// with a message printed.
static bool open_results(session* self, const char* out, const char* name) {
  char stamp[32];
  time_t now = time(NULL);
  struct tm utc;
  char* folder = results_folder(self, out);
  strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
  self->results = -1;
  if (places_make_folders(folder)) {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC;
    self->results_path = text_format("%s/%s.jsonl", folder, name != NULL ? name : stamp);
    self->results = open(self->results_path, flags, 0666);
    for (int copy = 2; self->results < 0 && errno == EEXIST && name == NULL; copy++) {
      free(self->results_path);
      self->results_path = text_format("%s/%s-%d.jsonl", folder, stamp, copy);
      self->results = open(self->results_path, flags, 0666);
    }
  }
  if (self->results < 0) {
    fprintf(stderr, "hakrun: cannot write results to %s: %s\n",
            self->results_path != NULL ? self->results_path : folder, strerror(errno));
  }
  free(folder);
  return self->results >= 0;
}

// Every phase's allocator must load and serve malloc before anything is measured.
static bool check_phases(session* self) {
  for (size_t p = 0; p < self->experiment.phase_count; p++) {
    const experiment_phase* phase = &self->experiment.phases[p];
    char* wrong = run_check_phase(&self->bench, phase);
    for (size_t w = 0; w < self->experiment.workload_count && wrong == NULL; w++) {
      const experiment_workload* workload = &self->experiment.workloads[w];
      if (workload->program == NULL || !experiment_has_pair(workload, phase)) continue;
      wrong = run_check_command(&self->bench, workload, phase);
    }
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
    self->most_processors = fmax(self->most_processors, outcome->processors);
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
  bool is_command = job->workload->program != NULL;
  if (job->run >= 0 || is_command || !outcome->rejects_arguments) return 0;
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

typedef void (*on_records)(const session* self, const hp_figures* figures, void* context);

// Has the records read so far by hakplot.
static void with_records(const session* self, on_records use, void* context) {
  hp_dataset data;
  hp_figures figures;
  hp_dataset_init(&data);
  if (hp_read_argument(&data, self->results_path, false) == 0) {
    hp_cases cases = hp_group_runs(&data);
    hp_figures_begin(&figures, &data, &cases);
    use(self, &figures, context);
  }
  hp_free_all();
}

static void print_summary(const session* self, const hp_figures* figures, void* unused) {
  (void)unused;
  printf("%s\n\n", self->experiment.title);
  hp_verdict_print(figures);
}

// The widest interval of a phase's ratio to the baseline, half of it; infinite without one.
static void find_width(const session* self, const hp_figures* figures, void* context) {
  double* width = context;
  (void)self;
  *width = 0;
  for (size_t i = 0; i < figures->cases->count; i++) {
    const hp_case* one = &figures->cases->at[i];
    const hp_metric* metric = hp_main_metric(one);
    for (size_t g = 0; g < one->group_count; g++) {
      const hp_group* group = &one->groups[g];
      if (group->baseline == NULL || group->baseline == group) continue;
      hp_comparison ratio = hp_compare_groups(group->baseline, group, metric);
      double half = (ratio.of.high - ratio.of.low) / 2;
      *width = fmax(*width, isfinite(half) ? half : INFINITY);
    }
  }
}

// Whether there are rounds enough: all ratios are known as well as was asked, or the time is up.
static bool is_enough(const session* self) {
  double width = INFINITY;
  if (self->done == 0) return false;
  if (self->max_time_s > 0 && process_now_s() - self->started_s > self->max_time_s) return true;
  if (self->precision > 0) with_records(self, find_width, &width);
  return width <= self->precision;
}

static void print_precision(const session* self) {
  double width = INFINITY;
  if (self->precision <= 0) return;
  with_records(self, find_width, &width);
  if (width <= self->precision) return;
  fprintf(
      stderr,
      "hakrun: the ratios are not known to %g %% (but to %.2g %%): the machine is too noisy for "
      "so few rounds%s\n",
      self->precision * 100, width * 100,
      self->experiment.is_duet ? ""
                               : "; of one thread a duet (\"duet\": true) tells more, by "
                                 "processor time");
}

// What one thread does is told best by processor time, side by side on one processor: so it is
// where the warm-ups have kept no more than one busy.
static void choose_duet(session* self) {
  static const double kOneThread = 1.02;  // clocks differ by a little
  experiment* plan = &self->experiment;
  if (!plan->may_duet || self->warm_ups == 0 || self->most_processors > kOneThread) return;
  experiment_make_duet(plan);
  fprintf(stderr,
          "%shakrun: one thread: all allocators run at the same time on processor %s and are "
          "compared by processor time (--in-turn: one after the other)\n",
          self->is_terminal ? "\r\x1b[K" : "", plan->pin);
}

static int run_experiment(session* self) {
  int stop = 0;
  self->started_s = process_now_s();
  for (int run = -self->experiment.warmup_runs;
       run < self->experiment.runs && stop == 0 && !is_enough(self); run++) {
    if (run == 0) choose_duet(self);
    stop = run_round(self, run);
  }
  if (self->is_terminal) fprintf(stderr, "\r\x1b[K");
  if (self->done == 0) {
    unlink(self->results_path);  // holds nothing
    return stop;
  }
  with_records(self, print_summary, NULL);
  print_precision(self);
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

// ---- what is to be run ----

// Reads the experiment and applies --only and --runs. False with a message printed.
static bool load(session* self, const hakrun_options* chosen) {
  const char* path = "compare";
  char* wrong = NULL;
  if (chosen->command != NULL) {
    char* text = hakrun_compare_text(chosen);
    wrong = text != NULL ? experiment_parse(path, path, text, &self->experiment)
                         : text_format("compare: the command is no UTF-8");
  } else if ((path = experiment_find(chosen->experiment)) != NULL) {
    wrong = experiment_read(path, &self->experiment);
  } else {
    wrong = text_format("%s: no such file, nor a shipped experiment (hakrun --list)",
                        chosen->experiment);
  }
  if (wrong == NULL && chosen->also != NULL) {
    char* refused = experiment_add_phases(&self->experiment, chosen->also);
    if (refused != NULL) wrong = text_format("--also: %s", refused);
  }
  if (wrong != NULL) {
    fprintf(stderr, "hakrun: %s\n", wrong);
    return false;
  }
  if (chosen->only != NULL && !experiment_select(&self->experiment, chosen->only)) {
    fprintf(stderr, "hakrun: --only: %s has no phase and no workload labelled '%s'\n", path,
            chosen->only);
    return false;
  }
  if (chosen->precision > 0) self->experiment.runs = 1000;
  if (chosen->runs > 0) self->experiment.runs = chosen->runs;
  self->experiment.may_duet = chosen->command != NULL && chosen->server == NULL &&
                              chosen->rate == NULL && chosen->rate_path == NULL &&
                              !chosen->in_turn && self->experiment.phase_count > 1;
  self->precision = chosen->precision;
  self->max_time_s = chosen->max_time_s;
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

static int conduct(session* self, const hakrun_options* chosen) {
  if (!check_phases(self)) return EXIT_BAD_INPUT;
  if (chosen->dry_run) {
    print_commands(self);
    return 0;
  }
  if (!open_results(self, chosen->out, chosen->save)) return EXIT_BAD_INPUT;
  self->bench.host = host_describe();
  return run_experiment(self);
}

int main(int argc, char** argv) {
  static session self;
  hakrun_options chosen = {0};
  if (!places_enter_user_folder("hakrun")) return EXIT_BAD_INPUT;
  hakrun_parse(&chosen, argc, argv);
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
