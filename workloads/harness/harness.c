// The life of a run from its command line to its exit code. Tables and records are in
// run_report.c.

#include "workloads/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workloads/harness/print.h"

#define WL_TOUCH_WORDS "none|first|all"

enum { MAX_COMMON_OPTIONS = 12, EMPTY_PAIRS = 10001, MOMENT_TRIES = 8 };

wl_run wl_run_defaults(void) {
  return (wl_run){
      .seed = 42,
      .threads = 1,
      .min_bytes = 16,
      .max_bytes = 1040,
      .warmup = WL_UNSET,
      .touch = WL_TOUCH_FIRST,
      .json_fd = -1,
      .steady_mops = NAN,
      .table_fd = STDOUT_FILENO,
  };
}

// Fills in the shared options this program has; returns their number.
static size_t common_options(wl_run* run, unsigned features,
                             wl_option options[MAX_COMMON_OPTIONS]) {
  const struct {
    unsigned feature;
    wl_option option;
  } all[] = {
      {WL_HAS_SEED,
       {"seed", WL_NUMBER, &run->seed, "N", 0, UINT64_MAX, "seed of the random numbers"}},
      {WL_HAS_THREADS,
       {"threads", WL_NUMBER, &run->threads, "N", 1, WL_MAX_THREADS, "worker threads"}},
      {WL_HAS_SIZES, {"min", WL_NUMBER, &run->min_bytes, "BYTES", 1, 1u << 30, "smallest block"}},
      {WL_HAS_SIZES, {"max", WL_NUMBER, &run->max_bytes, "BYTES", 1, 1u << 30, "largest block"}},
      {WL_HAS_TOUCH,
       {"touch", WL_CHOICE, &run->touch, WL_TOUCH_WORDS, 0, 0,
        "bytes of a fresh block that are written"}},
      {WL_HAS_WARMUP,
       {"warmup", WL_NUMBER, &run->warmup, "N", 0, UINT64_MAX - 1,
        "operations of each thread before the timed region"}},
      {WL_HAS_VERIFY,
       {"verify", WL_FLAG, &run->verify, NULL, 0, 0,
        "fill every block with a pattern and check it"}},
      {WL_HAS_LATENCY,
       {"latency", WL_FLAG, &run->latency, NULL, 0, 0, "time single calls instead of throughput"}},
      {0,
       {"left", WL_FLAG, &run->left, NULL, 0, 0,
        "wait, and say what memory is left 1, 5 and 15 s after the work"}},
      {0,
       {"json", WL_TEXT, &run->json_path, "FILE|-", 0, 0,
        "append the result as one JSON line to FILE (- is stdout)"}},
      {0,
       {"expect-allocator", WL_TEXT, &run->expected_allocator, "NAME", 0, 0,
        "fail unless NAME serves malloc: " WL_ALLOCATORS}},
  };
  size_t count = 0;
  for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
    if (all[i].feature == 0 || (features & all[i].feature) != 0) options[count++] = all[i].option;
  }
  return count;
}

static bool is_bookkeeping(const char* argument, bool* value_follows) {
  const char* const names[] = {"--json", "--expect-allocator"};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    size_t length = strlen(names[i]);
    if (strncmp(argument, names[i], length) != 0) continue;
    *value_follows = argument[length] == '\0';
    if (argument[length] == '\0' || argument[length] == '=') return true;
  }
  return false;
}

// The command line in one string, without what says nothing about the work.
static void join_args(wl_run* run, int argc, char** argv) {
  size_t length = 0;
  run->args[0] = '\0';
  for (int i = 1; i < argc; i++) {
    bool value_follows = false;
    if (is_bookkeeping(argv[i], &value_follows)) {
      if (value_follows) i++;
      continue;
    }
    int written = snprintf(run->args + length, sizeof(run->args) - length, "%s%s",
                           length > 0 ? " " : "", argv[i]);
    if ((size_t)written >= sizeof(run->args) - length) return;  // cut short
    length += (size_t)written;
  }
}

static wl_syntax syntax_of(const wl_program* program, const wl_option* common, size_t count) {
  return (wl_syntax){
      .program = program->name,
      .about = program->about,
      .positionals = program->positionals,
      .positional_count = program->positional_count,
      .options = program->options,
      .option_count = program->option_count,
      .common = common,
      .common_count = count,
  };
}

void wl_reject(const wl_run* run, const char* format, ...) {
  char message[WL_MESSAGE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  wl_syntax syntax = syntax_of(run->program, NULL, 0);
  wl_print(STDERR_FILENO, "%s: %s\n", run->program->name, message);
  wl_print_usage(&syntax, STDERR_FILENO);
  exit(2);
}

static void parse(wl_run* run, int argc, char** argv) {
  char message[WL_MESSAGE_BYTES];
  wl_option common[MAX_COMMON_OPTIONS];
  size_t common_count = common_options(run, run->program->features, common);
  wl_syntax syntax = syntax_of(run->program, common, common_count);
  // The help shows defaults, which the arguments before --help may have changed: look for it first.
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--") == 0) break;
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      wl_print_help(&syntax, STDOUT_FILENO);
      exit(0);
    }
  }
  if (wl_parse_options(&syntax, argc, argv, message) == WL_BAD_ARGUMENT) {
    wl_reject(run, "%s", message);
  }
  join_args(run, argc, argv);
  if (run->min_bytes > run->max_bytes) {
    wl_reject(run, "--min: %llu is above --max %llu", (unsigned long long)run->min_bytes,
              (unsigned long long)run->max_bytes);
  }
  if (run->verify && run->latency) {
    wl_reject(run, "--verify and --latency exclude each other: the check would be timed");
  }
}

// What a pair of readings with nothing between them costs, and the step in which the counter goes
// forward. Some counters take steps of many ticks (26, or 10 ns, on an EPYC), so that an empty pair
// takes now two of them and now three: the median would be one or the other by chance, and the
// mean, of pairs that nothing interrupted, is the same in every run.
static void measure_timer(wl_run* run) {
  wl_histogram* pairs = run->histogram;
  for (int i = 0; i < EMPTY_PAIRS; i++) {
    uint64_t before = wl_tick();
    wl_histogram_add(pairs, wl_tick() - before);
  }
  const uint64_t most = 2 * wl_histogram_quantile(pairs, 0.5);
  uint64_t count = 0;
  uint64_t sum = 0;
  uint64_t last = 0;
  for (unsigned i = 0; i < WL_BUCKETS; i++) {
    uint64_t ticks = wl_bucket_top(i);
    if (pairs->counts[i] == 0) continue;
    if (ticks > most && run->step_ticks > 0) break;
    uint64_t step = ticks - last;
    if (step > 0 && (run->step_ticks == 0 || step < run->step_ticks)) run->step_ticks = step;
    last = ticks;
    if (ticks > most) continue;
    count += pairs->counts[i];
    sum += pairs->counts[i] * ticks;
  }
  run->empty_ticks = (sum + count / 2) / count;
  *pairs = (wl_histogram){0};
}

static void prove_allocator(wl_run* run) {
  wl_identity_read(&run->allocator);
  if (run->expected_allocator == NULL ||
      strcmp(run->expected_allocator, run->allocator.name) == 0) {
    return;
  }
  wl_fail(run, "wrong allocator: expected %s, served by %s %s (%s)", run->expected_allocator,
          run->allocator.name, run->allocator.version, run->allocator.path);
  wl_report(run);
  exit(wl_end(run));
}

void wl_begin(wl_run* run, const wl_program* program, int argc, char** argv) {
  run->program = program;
  // `bazel run` starts programs elsewhere: the user's relative paths are meant from where the user
  // stands.
  const char* user_directory = getenv("BUILD_WORKING_DIRECTORY");
  if (user_directory != NULL && chdir(user_directory) != 0) {
    wl_reject(run, "cannot enter %s: %s", user_directory, strerror(errno));
  }
  parse(run, argc, argv);
  if (run->expected_allocator != NULL &&
      wl_choice_index(WL_ALLOCATORS, run->expected_allocator) < 0) {
    wl_reject(run, "--expect-allocator: '%s' is not one of %s", run->expected_allocator,
              WL_ALLOCATORS);
  }
  if (run->json_path != NULL && strcmp(run->json_path, "-") == 0) {
    run->json_fd = STDOUT_FILENO;
    run->table_fd = STDERR_FILENO;
  } else if (run->json_path != NULL) {
    run->json_fd = open(run->json_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (run->json_fd < 0) wl_reject(run, "--json: %s: %s", run->json_path, strerror(errno));
  }
  prove_allocator(run);
  if (run->latency) {
    run->histogram = wl_map(sizeof(*run->histogram));
    measure_timer(run);
  }
}

void wl_fail(wl_run* run, const char* format, ...) {
  if (atomic_exchange(&run->has_failed, true)) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(run->failure, sizeof(run->failure), format, arguments);
  va_end(arguments);
}

// Whoever loses the processor between the readings is milliseconds off: the closest of a few
// counts.
static wl_moment read_moment(void) {
  wl_moment moment = {0};
  uint64_t closest = UINT64_MAX;
  for (int i = 0; i < MOMENT_TRIES; i++) {
    uint64_t before = wl_tick();
    uint64_t ns = wl_now_ns();
    uint64_t apart = wl_tick() - before;
    if (apart >= closest) continue;
    closest = apart;
    moment = (wl_moment){ns, before + apart / 2};
  }
  return moment;
}

void wl_clock_start(wl_run* run) {
  run->measured = false;
  run->extra_count = 0;
  wl_reset_peak_rss();  // reading a trace or a profile is no memory of the allocator
  run->begin_moment = read_moment();
  wl_usage_read(&run->begin);
}

void wl_clock_stop(wl_run* run) {
  wl_usage_read(&run->end);
  run->end_moment = read_moment();
  run->rss_known = wl_rss_bytes(&run->rss_bytes);
  run->harness_bytes = wl_harness_bytes();
  run->measured = true;
}

void wl_clock_pause(wl_run* run) { wl_usage_read(&run->paused_at); }

// The pause is taken out by moving the beginning.
void wl_clock_resume(wl_run* run) {
  wl_usage now;
  wl_usage_read(&now);
  wl_usage pause = wl_usage_between(&run->paused_at, &now);
  run->begin.ns += pause.ns;
  run->begin.user_s += pause.user_s;
  run->begin.system_s += pause.system_s;
  run->begin.minor_faults += pause.minor_faults;
  run->begin.major_faults += pause.major_faults;
  run->begin.preemptions += pause.preemptions;
}

// ---- workers ----

typedef struct crew {
  const wl_phases* phases;
  pthread_barrier_t barrier;  // the workers and the thread that keeps the clock
} crew;

// On cache lines of its own: workers count in theirs while they run.
typedef struct member {
  _Alignas(128) wl_worker worker;
  crew* crew;  // NULL: alone, no one to wait for
  pthread_t thread;
} member;

static void wait_for_all(crew* all) {
  if (all != NULL) pthread_barrier_wait(&all->barrier);
}

// What the warm-up counted is forgotten, but for the checksum: it is of all the work.
static void set_up(const wl_phases* phases, wl_worker* worker) {
  if (phases->set_up != NULL) phases->set_up(worker);
  worker->ops = 0;
  if (worker->histogram != NULL) *worker->histogram = (wl_histogram){0};
}

static void* member_main(void* argument) {
  member* self = argument;
  const wl_phases* phases = self->crew->phases;
  set_up(phases, &self->worker);
  wait_for_all(self->crew);  // ready
  wait_for_all(self->crew);  // the clock runs
  if (!wl_has_failed(self->worker.run)) phases->timed(&self->worker);
  wait_for_all(self->crew);  // done
  wait_for_all(self->crew);  // the clock has stopped
  if (phases->tear_down != NULL) phases->tear_down(&self->worker);
  return NULL;
}

static void run_alone(wl_run* run, const wl_phases* phases, wl_worker* worker) {
  set_up(phases, worker);
  wl_clock_start(run);
  if (!wl_has_failed(run)) phases->timed(worker);
  wl_clock_stop(run);
  if (phases->tear_down != NULL) phases->tear_down(worker);
}

static void run_crew(wl_run* run, const wl_phases* phases, member* members) {
  crew all = {.phases = phases};
  pthread_barrier_init(&all.barrier, NULL, (unsigned)run->threads + 1);
  for (uint64_t i = 0; i < run->threads; i++) {
    members[i].crew = &all;
    int error = pthread_create(&members[i].thread, NULL, member_main, &members[i]);
    if (error != 0) {
      // The threads already made wait at the barrier for ever: there is nothing left to measure.
      wl_fail(run, "cannot start thread %llu: %s", (unsigned long long)i, strerror(error));
      wl_report(run);
      _exit(wl_end(run));
    }
  }
  pthread_barrier_wait(&all.barrier);
  wl_clock_start(run);
  pthread_barrier_wait(&all.barrier);
  pthread_barrier_wait(&all.barrier);
  wl_clock_stop(run);
  pthread_barrier_wait(&all.barrier);
  for (uint64_t i = 0; i < run->threads; i++) pthread_join(members[i].thread, NULL);
  pthread_barrier_destroy(&all.barrier);
}

static int compare_u64(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*)a;
  uint64_t y = *(const uint64_t*)b;
  return (x > y) - (x < y);
}

// qsort of so few numbers works on its stack.
static void find_steady_mops(wl_run* run, const wl_worker* worker) {
  uint64_t lengths[WL_SLICES];
  if (worker->slice_count != WL_SLICES + 1 || wl_has_failed(run)) return;
  for (unsigned i = 0; i < WL_SLICES; i++) {
    lengths[i] = worker->slice_ends_ns[i + 1] - worker->slice_ends_ns[i];
  }
  qsort(lengths, WL_SLICES, sizeof(lengths[0]), compare_u64);
  const unsigned middle = WL_SLICES / 2;
  double median_ns = ((double)lengths[middle - 1] + (double)lengths[middle]) / 2;
  run->steady_mops = (double)wl_slice_ops(worker, worker->ops) * 1e3 / median_ns;
}

void wl_run_workers(wl_run* run, const wl_phases* phases, void* shared) {
  member* members = wl_map(run->threads * sizeof(member));
  wl_histogram* histograms = run->latency ? wl_map(run->threads * sizeof(wl_histogram)) : NULL;
  // With more threads than processors a slice would be short only because others wait.
  bool is_sliced =
      (run->program->features & WL_HAS_SLICES) != 0 && run->threads == 1 && !run->latency;
  uint64_t* slices = is_sliced ? wl_map((WL_SLICES + 1) * sizeof(uint64_t)) : NULL;
  run->ops = 0;
  run->checksum = 0;
  run->steady_mops = NAN;
  for (uint64_t i = 0; i < run->threads; i++) {
    members[i].worker = (wl_worker){
        .run = run,
        .index = (unsigned)i,
        .shared = shared,
        .histogram = histograms != NULL ? &histograms[i] : NULL,
        .slice_ends_ns = slices,
    };
  }
  if (run->threads == 1) {
    run_alone(run, phases, &members[0].worker);
  } else {
    run_crew(run, phases, members);
  }
  for (uint64_t i = 0; i < run->threads; i++) {
    run->ops += members[i].worker.ops;
    run->checksum += members[i].worker.checksum;
    if (run->latency) wl_histogram_merge(run->histogram, &histograms[i]);
  }
  if (is_sliced) find_steady_mops(run, &members[0].worker);
}

int wl_end(wl_run* run) {
  if (wl_print_has_failed()) {
    wl_print(STDERR_FILENO, "%s: cannot write to standard output\n", run->program->name);
    return 1;
  }
  return wl_has_failed(run) ? 1 : 0;
}
