// The life of a run: let its command run, read what workload, perf and telemetry wrote
// into the scratch folder, decide on a status, write records.

#define _GNU_SOURCE  // mkdtemp, strsep

#include "tools/hakrun/run.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <regex.h>
#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/common/record_schema.h"
#include "tools/common/text_format.h"
#include "tools/hakrun/host.h"
#include "tools/hakrun/process.h"
#include "tools/hakrun/run_command.h"

enum { CHECK_TIMEOUT_S = 60, WRITE_FLAGS = JSON_COMPACT | JSON_REAL_PRECISION(10) };

// A run that has come to its end.
typedef struct finished_run {
  const run_job* job;
  size_t at_once;  // runs at the same time, this one among them
  run_command command;
  process_result process;
  double stolen_s;  // by the hypervisor, meanwhile; NAN when unknown
  json_t* lines;    // that the workload wrote
  json_t* samples;  // of its memory, by hakrun
  double started_s;
  const char* status;
} finished_run;

// ---- the scratch folder ----

bool run_open_bench(run_bench* bench) {
  const char* base = getenv("TMPDIR");
  bench->scratch = text_format("%s/hakrun-XXXXXX", base != NULL && base[0] != '\0' ? base : "/tmp");
  return mkdtemp(bench->scratch) != NULL;
}

void run_close_bench(const run_bench* bench) { rmdir(bench->scratch); }

// ---- reading results ----

// The objects of a file of JSON lines; lines that are none (the last one of a crash) are left out.
static json_t* read_lines(const char* path) {
  json_t* list = json_array();
  FILE* file = fopen(path, "re");
  char* line = NULL;
  size_t capacity = 0;
  if (file == NULL) return list;
  while (getline(&line, &capacity, file) >= 0) {
    json_t* object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(object)) {
      json_array_append_new(list, object);
    } else {
      json_decref(object);
    }
  }
  free(line);
  fclose(file);
  return list;
}

// The beginning of a file, or its end, from the start of a line on.
static void read_part(const char* path, bool is_end, char* text, size_t bytes) {
  FILE* file = fopen(path, "re");
  text[0] = '\0';
  if (file == NULL) return;
  bool is_cut = is_end && fseek(file, -(long)(bytes - 1), SEEK_END) == 0;
  text[fread(text, 1, bytes - 1, file)] = '\0';
  fclose(file);
  const char* line = is_cut ? strchr(text, '\n') : NULL;
  if (line != NULL) memmove(text, line + 1, strlen(line));
}

static const char* text_of(const json_t* object, const char* key) {
  const char* text = json_string_value(json_object_get(object, key));
  return text != NULL ? text : "";
}

// Whether the object that holds malloc is the one that the phase names.
static bool is_served_by(const experiment_phase* phase, const char* program, const json_t* record) {
  const char* path = text_of(record, "allocator_path");
  const char* name = text_of(record, "allocator");
  if (experiment_is_limit(phase)) return strcmp(name, "none") == 0;
  if (phase->expected != NULL && strcmp(name, phase->expected) != 0) return false;
  if (phase->library != NULL) return strcmp(path, phase->library) == 0;
  return phase->kind != ALLOCATOR_HAKMEM_STATIC || strcmp(path, program) == 0;
}

// What the launcher noted.
typedef struct run_end {
  int exit_code;      // 0 after a signal
  int signal_number;  // 0: none
  double peak_bytes;  // of resident memory
} run_end;

// False when it came to no end.
static bool read_end(const char* path, run_end* end) {
  char kind[16];
  int number;
  long peak_kib;
  FILE* file = fopen(path, "re");
  if (file == NULL) return false;
  bool is_read = fscanf(file, "%15s %d %ld", kind, &number, &peak_kib) == 3;
  fclose(file);
  bool is_signal = is_read && strcmp(kind, "signal") == 0;
  if (is_read)
    *end = (run_end){is_signal ? 0 : number, is_signal ? number : 0, 1024.0 * (double)peak_kib};
  return is_read;
}

// The last figure of the output that the expression finds; NAN where it finds none.
static double find_rate(const char* expression, const char* output_path) {
  char output[1 << 16];
  regex_t rate;
  regmatch_t found[2];
  double value = NAN;
  read_part(output_path, true, output, sizeof(output));
  if (regcomp(&rate, expression, REG_EXTENDED | REG_NEWLINE) != 0) return NAN;
  for (const char* at = output; regexec(&rate, at, 2, found, 0) == 0; at += found[0].rm_eo) {
    if (found[1].rm_so >= 0) value = strtod(at + found[1].rm_so, NULL);
    if (found[0].rm_eo == 0) break;
  }
  regfree(&rate);
  return value;
}

// The record that a command did not write. It was proved before the first run that its program
// loads the phase's allocator.
static json_t* record_of_command(const run_job* job, const run_command* command) {
  const experiment_phase* phase = job->phase;
  run_end end = {.peak_bytes = NAN};
  json_t* record = json_object();
  const char* status = "ok";
  read_end(command->files.end, &end);
  json_object_set_new(record, "schema", json_string("hakmem.workload.1"));
  if (job->workload->rate != NULL) {
    double rate = find_rate(job->workload->rate, command->files.output);
    if (isnan(rate)) status = "failed: its output holds no rate";
    if (!isnan(rate)) json_object_set_new(record, "mops", json_real(rate * 1e-6));
  }
  if (!isnan(end.peak_bytes)) {
    json_object_set_new(record, "peak_rss_bytes", json_real(end.peak_bytes));
  }
  json_object_set_new(record, "allocator",
                      json_string(phase->expected != NULL ? phase->expected : "unknown"));
  if (phase->library != NULL) {
    json_object_set_new(record, "allocator_path", json_string(phase->library));
  }
  json_object_set_new(record, "status", json_string(status));
  return record;
}

// How the run ended, from the process and then from what the workload says: see docs/RECORDS.md.
static char* decide_status(const run_command* command, const experiment_phase* phase,
                           const process_result* result, const json_t* record, bool is_command) {
  static const char kFailed[] = "failed: ";
  static const char kWrong[] = "failed: wrong allocator: ";
  const char* said = text_of(record, "status");
  run_end end;
  if (result->end == PROCESS_TIMED_OUT) return text_format("timed out");
  if (result->end == PROCESS_INTERRUPTED) return text_format("interrupted");
  if (!read_end(command->files.end, &end)) return text_format("not started");
  if (end.signal_number != 0) return text_format("crashed: signal %d", end.signal_number);
  if (strncmp(said, kWrong, strlen(kWrong)) == 0) {
    return text_format("%s", said + strlen(kFailed));
  }
  if (strncmp(said, kFailed, strlen(kFailed)) == 0) return text_format("%s", said);
  if (end.exit_code != 0) return text_format("exit %d", end.exit_code);
  if (strcmp(said, "ok") != 0) return text_format("no record");
  if (!is_command && !is_served_by(phase, command->program, record)) {
    return text_format("wrong allocator: expected %s, served by %s (%s)", phase->allocator,
                       text_of(record, "allocator"), text_of(record, "allocator_path"));
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
                             .output_path = command.files.output,
                             .errors_path = command.files.errors,
                             .timeout_s = CHECK_TIMEOUT_S};
  process_result result;
  process_run(&spec, 1, &result);
  json_t* lines = read_lines(command.files.record);
  char* status = decide_status(&command, phase, &result, json_array_get(lines, 0), false);
  read_part(command.files.errors, false, errors, sizeof(errors));
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
  const process_spec spec = {
      .argv = command.argv, .output_path = command.files.output, .timeout_s = CHECK_TIMEOUT_S};
  process_result result;
  process_run(&spec, 1, &result);
  FILE* file = fopen(command.files.output, "re");
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

// ---- records ----

// Bazel's output folder differs from user to user; what lies in it does not.
static const char* shorten(const char* path) {
  const char* found = strstr(path, "/bazel-out/");
  return found != NULL ? found + 1 : path;
}

static json_t* sha256_or_null(const char* path) {
  static struct {
    char* path;
    char hex[SHA256_DIGEST_STRING_LENGTH];
  } cache[32];
  static size_t used;
  char hex[SHA256_DIGEST_STRING_LENGTH];
  for (size_t i = 0; i < used; i++) {
    if (strcmp(cache[i].path, path) == 0) return json_string(cache[i].hex);
  }
  if (path[0] == '\0' || SHA256File(path, hex) == NULL) return json_null();
  if (used < sizeof(cache) / sizeof(cache[0])) {
    cache[used].path = text_format("%s", path);
    memcpy(cache[used++].hex, hex, sizeof(hex));
  }
  return json_string(hex);
}

static json_t* join_words(const char* const* words, size_t count) {
  char joined[8192] = "";
  size_t length = 0;
  for (size_t i = 0; i < count && length < sizeof(joined); i++) {
    length += (size_t)snprintf(joined + length, sizeof(joined) - length, "%s%s", i > 0 ? " " : "",
                               words[i]);
  }
  return json_string(joined);
}

// A command that has a label is called that: its arguments may be a page.
static void add_workload(json_t* line, const experiment_workload* workload) {
  bool is_command = workload->program != NULL;
  bool is_labelled = is_command && strcmp(workload->label, workload->name) != 0;
  const char* name = is_labelled ? workload->label : workload->name;
  json_object_set_new(line, "workload", json_string(name));
  json_object_set_new(line, is_labelled ? "command" : "args",
                      join_words(workload->args, workload->arg_count));
}

// What every line of a run has first.
static json_t* start_line(const run_bench* bench, const run_job* job, const char* schema) {
  json_t* line = json_object();
  json_object_set_new(line, "schema", json_string(schema));
  json_object_set_new(line, "experiment", json_string(bench->experiment->name));
  json_object_set_new(line, "phase", json_string(job->phase->label));
  add_workload(line, job->workload);
  json_object_set_new(line, "workload_label", json_string(job->workload->label));
  json_object_set_new(line, "run", json_integer(job->run));
  return line;
}

static void write_line(json_t* line, FILE* out) {
  json_dumpf(line, out, WRITE_FLAGS);
  fputc('\n', out);
  json_decref(line);
}

// Appends all of it or, on a disk that is full, nothing: half a line would spoil the file. Returns
// 0 or errno.
static int append(int file, const char* text, size_t length) {
  off_t begin = lseek(file, 0, SEEK_END);
  for (size_t done = 0; done < length;) {
    ssize_t written = write(file, text + done, length - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      int error = errno;
      if (ftruncate(file, begin) != 0) return error;
      return error;
    }
    done += (size_t)written;
  }
  return 0;
}

static void add_time(json_t* line) {
  char text[32];
  time_t now = time(NULL);
  struct tm utc;
  strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
  json_object_set_new(line, "time_utc", json_string(text));
}

// The last state that the allocator told, under its own prefix. (Its events are lines of another
// schema.)
static void add_telemetry(json_t* line, const json_t* telemetry) {
  size_t at = json_array_size(telemetry);
  json_t* last = NULL;
  while (last == NULL && at > 0) {
    json_t* said = json_array_get(telemetry, --at);
    if (strcmp(text_of(said, "schema"), "hakmem.telemetry.1") == 0) last = said;
  }
  const char* key;
  json_t* value;
  json_object_foreach(last, key, value) {
    char prefixed[256];
    if (strcmp(key, "schema") == 0) continue;
    snprintf(prefixed, sizeof(prefixed), "telemetry_%s", key);
    json_object_set(line, prefixed, value);
  }
}

// Everything known about a run whose workload wrote `said` (an empty object when it wrote nothing).
static json_t* make_record(const run_bench* bench, const finished_run* run, json_t* said,
                           const char* status) {
  const run_job* job = run->job;
  char messages[256];
  json_t* line = start_line(bench, job, "hakmem.record.1");
  json_object_set_new(line, "title", json_string(bench->experiment->title));
  json_object_set_new(line, "baseline", json_boolean(job->phase->index == 0));
  json_object_set_new(line, "order", json_integer(job->order));
  add_time(line);
  json_object_update(line, said);
  json_object_set_new(line, "schema", json_string("hakmem.record.1"));
  json_object_set_new(line, "status", json_string(status));
  json_object_set_new(line, "source",
                      json_string(bench->perf.is_available ? "perf stat" : "wait4"));
  json_object_update(line, bench->host);
  json_object_set_new(line, "workload_sha256", sha256_or_null(run->command.program));
  json_object_set_new(line, "allocator_sha256", sha256_or_null(text_of(said, "allocator_path")));
  read_part(run->command.files.errors, false, messages, sizeof(messages));
  messages[strcspn(messages, "\n")] = '\0';
  if (messages[0] != '\0') json_object_set_new(line, "messages", json_string(messages));
  json_object_set_new(line, "env", join_words(job->phase->env, job->phase->env_count));
  if (bench->experiment->pin != NULL) {
    json_object_set_new(line, "pin", json_string(bench->experiment->pin));
  }
  if (bench->experiment->is_duet) {
    json_object_set_new(line, "duet", json_integer((json_int_t)run->at_once));
  }
  const char* path = text_of(said, "allocator_path");
  if (path[0] != '\0') {
    json_object_set_new(line, "allocator_path", json_string(shorten(path)));
  }
  return line;
}

// The whole process's figures: they belong to a record only where it is the only one of its run.
static void add_process_figures(json_t* line, const run_bench* bench, const finished_run* run) {
  json_object_set_new(line, "steal_s",
                      isnan(run->stolen_s) ? json_null() : json_real(run->stolen_s));
  if (bench->perf.is_available) {
    perf_read(run->command.files.perf, line);
    return;
  }
  const struct rusage* usage = &run->process.usage;
  const struct timeval user = usage->ru_utime;
  const struct timeval system = usage->ru_stime;
  json_object_set_new(line, "perf_duration_s", json_real(run->process.duration_s));
  json_object_set_new(line, "perf_user_s",
                      json_real((double)user.tv_sec + (double)user.tv_usec * 1e-6));
  json_object_set_new(line, "perf_system_s",
                      json_real((double)system.tv_sec + (double)system.tv_usec * 1e-6));
  json_object_set_new(line, "perf_page_faults", json_integer(usage->ru_minflt + usage->ru_majflt));
  json_object_set_new(line, "perf_minor_faults", json_integer(usage->ru_minflt));
  json_object_set_new(line, "perf_major_faults", json_integer(usage->ru_majflt));
  json_object_set_new(line, "perf_context_switches",
                      json_integer(usage->ru_nvcsw + usage->ru_nivcsw));
}

static bool is_record(const json_t* line) {
  return strcmp(text_of(line, "schema"), "hakmem.workload.1") == 0;
}

static size_t count_records(const json_t* lines) {
  size_t count = 0;
  for (size_t i = 0; i < json_array_size(lines); i++) count += is_record(json_array_get(lines, i));
  return count;
}

// Samples of a time series and telemetry go beside the record, with the names to find them by.
static void write_series(const run_bench* bench, const run_job* job, const json_t* lines,
                         FILE* out) {
  for (size_t i = 0; i < json_array_size(lines); i++) {
    json_t* said = json_array_get(lines, i);
    if (is_record(said)) continue;
    json_t* line = start_line(bench, job, text_of(said, "schema"));
    json_object_update_missing(line, said);
    write_line(line, out);
  }
}

static bool says_ok(const json_t* record) { return strcmp(text_of(record, "status"), "ok") == 0; }

static const json_t* last_record(const json_t* lines) {
  for (size_t i = json_array_size(lines); i > 0; i--) {
    if (is_record(json_array_get(lines, i - 1))) return json_array_get(lines, i - 1);
  }
  return NULL;
}

// A workload may have written several records, each about a part of the run that had come to its
// end: a crash later on does not make them wrong, and gets a record of its own. Another allocator
// than expected does make them wrong.
static void write_records(const run_bench* bench, const finished_run* run, FILE* out) {
  const json_t* lines = run->lines;
  json_t* telemetry = read_lines(run->command.files.telemetry);
  json_t* nothing = json_object();
  bool is_wrong = strncmp(run->status, "wrong allocator", strlen("wrong allocator")) == 0;
  bool is_misfit = strncmp(run->status, "failed: \"", strlen("failed: \"")) == 0;
  bool is_open_end =
      !is_misfit && strcmp(run->status, "ok") != 0 && !is_wrong && says_ok(last_record(lines));
  size_t records = count_records(lines);
  size_t total = records == 0 || is_open_end ? records + 1 : records;
  write_series(bench, run->job, lines, out);
  write_series(bench, run->job, telemetry, out);
  size_t at = 0;
  for (size_t written = 1; written <= total; written++) {
    while (at < json_array_size(lines) && !is_record(json_array_get(lines, at))) at++;
    json_t* said = at < json_array_size(lines) ? json_array_get(lines, at++) : nothing;
    const char* own_status = says_ok(said) && !is_wrong && !is_misfit ? "ok" : run->status;
    json_t* line = make_record(bench, run, said, own_status);
    if (total == 1) add_process_figures(line, bench, run);
    if (written == total) add_telemetry(line, telemetry);
    write_line(line, out);
  }
  json_decref(nothing);
  json_decref(telemetry);
}

// Appends the records of runs that belong together, all of them or none. Returns 0 or errno.
static int append_records(const run_bench* bench, const finished_run* runs, size_t count,
                          int results) {
  char* text = NULL;
  size_t length = 0;
  FILE* out = open_memstream(&text, &length);
  if (out == NULL) return errno;
  for (size_t i = 0; i < count; i++) write_records(bench, &runs[i], out);
  int error = fclose(out) != 0 ? errno : append(results, text, length);
  free(text);
  return error;
}

// ---- runs ----

static double number_or_nan(const json_t* object, const char* key) {
  const json_t* value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

// In a duet processor time is what the others cannot change.
static double headline(const run_bench* bench, const json_t* record) {
  double cpu_s = number_or_nan(record, "user_s") + number_or_nan(record, "system_s");
  return bench->experiment->is_duet ? number_or_nan(record, "ops") / cpu_s * 1e-6
                                    : number_or_nan(record, "mops");
}

// What comes before a run, and is no part of it. Its failure shows in the run.
static void prepare(const finished_run* run) {
  const char* const argv[] = {"sh", "-c", run->job->workload->prepare, NULL};
  const process_spec spec = {.argv = argv, .output_path = "/dev/null", .timeout_s = 3600};
  process_result result;
  process_run(&spec, 1, &result);
}

// ---- memory over time ----

// Resident and proportional bytes of a process, as the kernel sums them up. False when it is gone.
static bool read_memory(int pid, json_int_t* rss_bytes, json_int_t* pss_bytes) {
  char line[256];
  char* path = text_format("/proc/%d/smaps_rollup", pid);
  FILE* file = fopen(path, "re");
  int found = 0;
  long long kib;
  free(path);
  while (file != NULL && found < 2 && fgets(line, sizeof(line), file) != NULL) {
    if (sscanf(line, "Rss: %lld", &kib) == 1) *rss_bytes = kib << 10, found++;
    if (sscanf(line, "Pss: %lld", &kib) == 1) *pss_bytes = kib << 10, found++;
  }
  if (file != NULL) fclose(file);
  return found == 2;
}

typedef struct sampling {
  finished_run* runs;
  size_t count;
} sampling;

static void take_samples(void* context) {
  const sampling* self = context;
  for (size_t i = 0; i < self->count; i++) {
    finished_run* run = &self->runs[i];
    json_int_t rss;
    json_int_t pss;
    int pid;
    FILE* file = fopen(run->command.files.end, "re");
    if (file == NULL) continue;
    bool is_running = fscanf(file, "runs %d", &pid) == 1;
    fclose(file);
    if (!is_running || !read_memory(pid, &rss, &pss)) continue;
    double t_ns = (process_now_s() - run->started_s) * 1e9;
    json_array_append_new(run->samples,
                          json_pack("{s:s, s:I, s:I, s:I}", "schema", "hakmem.sample.1", "t_ns",
                                    (json_int_t)t_ns, "rss_bytes", rss, "pss_bytes", pss));
  }
}

static double number_or_nan(const json_t* object, const char* key);

// What the run held on the mean over its time: the integral of the samples over it. NAN for too
// few.
static double mean_rss(const json_t* samples) {
  double sum = 0;
  size_t count = json_array_size(samples);
  if (count < 3) return NAN;
  for (size_t i = 1; i < count; i++) {
    const json_t* a = json_array_get(samples, i - 1);
    const json_t* b = json_array_get(samples, i);
    sum += (number_or_nan(b, "t_ns") - number_or_nan(a, "t_ns")) *
           (number_or_nan(a, "rss_bytes") + number_or_nan(b, "rss_bytes")) / 2;
  }
  return sum / (number_or_nan(json_array_get(samples, count - 1), "t_ns") -
                number_or_nan(json_array_get(samples, 0), "t_ns"));
}

// Adds them to what the workload wrote, unless it took samples itself.
static void add_samples(finished_run* run) {
  json_t* last = (json_t*)(uintptr_t)last_record(run->lines);
  double mean = mean_rss(run->samples);
  if (count_records(run->lines) < json_array_size(run->lines) || last == NULL) return;
  if (!isnan(mean)) json_object_set_new(last, "mean_rss_bytes", json_real(mean));
  json_array_extend(run->lines, run->samples);
}

// Lets the commands run at the same time.
static void run_commands(const run_bench* bench, finished_run* runs, size_t count) {
  process_spec specs[EXPERIMENT_MAX_PHASES];
  process_result results[EXPERIMENT_MAX_PHASES];
  const experiment* plan = bench->experiment;
  for (size_t i = 0; i < count; i++) {
    specs[i] = (process_spec){
        .argv = runs[i].command.argv,
        .output_path = runs[i].command.files.output,
        .errors_path = runs[i].command.files.errors,
        .timeout_s = plan->timeout_s,
        .processors = plan->pin != NULL ? &plan->processors : NULL,
    };
  }
  for (size_t i = 0; i < count && runs[i].job->workload->prepare != NULL; i++) prepare(&runs[i]);
  double stolen_s = host_steal_s();
  sampling samples = {runs, count};
  for (size_t i = 0; i < count; i++) {
    runs[i].samples = json_array();
    runs[i].started_s = process_now_s();
  }
  process_run_ticking(specs, count, results, plan->sample_ms * 1e-3,
                      plan->sample_ms > 0 ? take_samples : NULL, &samples);
  stolen_s = host_steal_s() - stolen_s;
  for (size_t i = 0; i < count; i++) {
    runs[i].process = results[i];
    runs[i].stolen_s = stolen_s;
  }
}

// Takes out of what a workload wrote the keys that mean something else to all the others; returns
// the first of them, or NULL.
static char* drop_misfits(json_t* lines) {
  size_t at;
  json_t* line;
  const char* key;
  json_t* value;
  void* next;
  char* first = NULL;
  json_array_foreach(lines, at, line) {
    json_object_foreach_safe(line, next, key, value) {
      if (record_fits(key, value)) continue;
      if (first == NULL) first = text_format("failed: \"%s\" is of the wrong type", key);
      json_object_del(line, key);
    }
  }
  return first;
}

// What came of a run; it and the outcome share the status.
static run_outcome conclude(const run_bench* bench, finished_run* run) {
  run_outcome outcome = {.mops = NAN};
  const bool is_command = run->job->workload->program != NULL;
  run->lines = read_lines(run->command.files.record);
  if (is_command) json_array_append_new(run->lines, record_of_command(run->job, &run->command));
  add_samples(run);
  char* misfit = drop_misfits(run->lines);
  outcome.status = decide_status(&run->command, run->job->phase, &run->process,
                                 last_record(run->lines), is_command);
  if (misfit != NULL && strcmp(outcome.status, "ok") == 0) {
    free(outcome.status);
    outcome.status = misfit;
    misfit = NULL;
  }
  free(misfit);
  run->status = outcome.status;
  outcome.is_ok = strcmp(outcome.status, "ok") == 0;
  outcome.rejects_arguments = strcmp(outcome.status, "exit 2") == 0;
  if (outcome.is_ok && count_records(run->lines) == 1) {
    outcome.mops = headline(bench, last_record(run->lines));
  }
  read_part(run->command.files.errors, true, outcome.output, sizeof(outcome.output));
  if (!outcome.is_ok && outcome.output[0] == '\0') {
    read_part(run->command.files.output, true, outcome.output, sizeof(outcome.output));
  }
  return outcome;
}

int run_jobs(const run_bench* bench, const run_job* jobs, size_t count, int results,
             run_outcome* outcomes) {
  int error = 0;
  finished_run runs[EXPERIMENT_MAX_PHASES];
  for (size_t i = 0; i < count; i++) {
    runs[i] = (finished_run){.job = &jobs[i], .at_once = count};
    command_build(&runs[i].command, bench, jobs[i].workload, jobs[i].phase, COMMAND_MEASURE);
  }
  run_commands(bench, runs, count);
  for (size_t i = 0; i < count; i++) {
    outcomes[i] = conclude(bench, &runs[i]);
    if (runs[i].process.end == PROCESS_INTERRUPTED) error = EINTR;
  }
  if (error == 0 && jobs[0].run >= 0) error = append_records(bench, runs, count, results);
  for (size_t i = 0; i < count; i++) {
    command_remove_files(&runs[i].command);
    command_free(&runs[i].command);
    json_decref(runs[i].lines);
    json_decref(runs[i].samples);
  }
  return error;
}
