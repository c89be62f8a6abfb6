// Records of runs: what workload, launcher, perf and telemetry wrote is read, joined with what is
// known of the run, and written as lines of JSON.

#define _GNU_SOURCE

#include "tools/hakrun/run_records.h"

#include <errno.h>
#include <math.h>
#include <regex.h>
#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/common/record_schema.h"
#include "tools/common/text_format.h"

enum { WRITE_FLAGS = JSON_COMPACT | JSON_REAL_PRECISION(10) };

double record_number(const json_t* object, const char* key) {
  const json_t* value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

json_t* records_read(const char* path) {
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

void records_read_part(const char* path, bool is_end, char* text, size_t bytes) {
  FILE* file = fopen(path, "re");
  text[0] = '\0';
  if (file == NULL) return;
  bool is_cut = is_end && fseek(file, -(long)(bytes - 1), SEEK_END) == 0;
  text[fread(text, 1, bytes - 1, file)] = '\0';
  fclose(file);
  const char* line = is_cut ? strchr(text, '\n') : NULL;
  if (line != NULL) memmove(text, line + 1, strlen(line));
}

const char* record_text(const json_t* object, const char* key) {
  const char* text = json_string_value(json_object_get(object, key));
  return text != NULL ? text : "";
}

bool records_read_end(const char* path, run_end* end) {
  char kind[16];
  int number;
  long peak_kib;
  FILE* file = fopen(path, "re");
  if (file == NULL) return false;
  bool is_read =
      fscanf(file, "%15s %d %ld", kind, &number, &peak_kib) == 3 && strcmp(kind, "runs") != 0;
  fclose(file);
  bool is_signal = is_read && strcmp(kind, "signal") == 0;
  if (is_read)
    *end = (run_end){is_signal ? 0 : number, is_signal ? number : 0, 1024.0 * (double)peak_kib};
  return is_read;
}

int launched_pid(const char* path) {
  int pid = 0;
  FILE* file = fopen(path, "re");
  if (file == NULL) return 0;
  if (fscanf(file, "runs %d", &pid) != 1) pid = 0;
  fclose(file);
  return pid;
}

// The last figure of the output that the expression finds; NAN where it finds none.
static double find_rate(const char* expression, const char* output_path) {
  char output[1 << 16];
  regex_t rate;
  regmatch_t found[2];
  double value = NAN;
  records_read_part(output_path, true, output, sizeof(output));
  if (regcomp(&rate, expression, REG_EXTENDED | REG_NEWLINE) != 0) return NAN;
  for (const char* at = output; regexec(&rate, at, 2, found, 0) == 0; at += found[0].rm_eo) {
    if (found[1].rm_so >= 0) value = strtod(at + found[1].rm_so, NULL);
    if (found[0].rm_eo == 0) break;
  }
  regfree(&rate);
  return value;
}

// The number at a path like "results.0.rate" in the JSON text of the output; NAN where it has none.
static double find_at_path(const char* path, const char* output_path) {
  char output[1 << 16];
  records_read_part(output_path, false, output, sizeof(output));
  const char* begin = strpbrk(output, "{[");
  json_t* root = begin != NULL ? json_loads(begin, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
  const json_t* at = root;
  while (*path != '\0' && at != NULL) {
    char* key = text_format("%.*s", (int)strcspn(path, "."), path);
    at = json_is_array(at) ? json_array_get(at, strtoul(key, NULL, 10)) : json_object_get(at, key);
    path += strlen(key);
    path += *path == '.';
    free(key);
  }
  double value = json_is_number(at) ? json_number_value(at) : NAN;
  json_decref(root);
  return value;
}

// NULL for NAN: jansson leaves out what is packed with "*", and packs null with "?".
static json_t* real_or_null(double value) { return isnan(value) ? NULL : json_real(value); }

// NULL also for what is no UTF-8.
static json_t* text_or_null(const char* text) { return text != NULL ? json_string(text) : NULL; }

json_t* record_of_command(const finished_run* run) {
  const experiment_workload* workload = run->job->workload;
  const experiment_phase* phase = run->job->phase;
  const char* output = run->command.files[SCRATCH_OUTPUT];
  run_end end = {.peak_bytes = NAN};
  double rate = NAN;
  const char* status = run->client_failure != NULL ? run->client_failure : "ok";
  records_read_end(run->command.files[SCRATCH_END], &end);
  bool has_rate = workload->rate != NULL || workload->rate_path != NULL;
  if (has_rate && run->client_failure == NULL) {
    rate = workload->rate != NULL ? find_rate(workload->rate, output)
                                  : find_at_path(workload->rate_path, output);
    if (isnan(rate)) status = "failed: its output holds no rate";
  }
  return json_pack("{s:s, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:s, s:o*, s:s}", "schema",
                   "hakmem.workload.1", "mops", real_or_null(rate * 1e-6), "ns_total",
                   real_or_null(run->client_s * 1e9), "left_1s_bytes",
                   real_or_null(run->left_bytes[0]), "left_5s_bytes",
                   real_or_null(run->left_bytes[1]), "left_15s_bytes",
                   real_or_null(run->left_bytes[2]), "peak_rss_bytes", real_or_null(end.peak_bytes),
                   "allocator", phase->expected != NULL ? phase->expected : "unknown",
                   "allocator_path", text_or_null(phase->library), "status", status);
}

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
  if (path[0] == '\0' || SHA256File(path, hex) == NULL) return NULL;
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
  const char* words = is_labelled ? "command" : "args";
  size_t client_words = 0;
  while (workload->client[client_words] != NULL) client_words++;
  if (client_words == 0) {
    json_object_set_new(line, words, join_words(workload->args, workload->arg_count));
    return;
  }
  // A server is named by its client, which does the work.
  json_object_set_new(line, words, join_words(&workload->client[1], client_words - 1));
  json_object_set_new(line, "server", json_sprintf("%s", workload->program));
}

// What every line of a run has first.
static json_t* start_line(const run_bench* bench, const run_job* job, const char* schema) {
  json_t* line = json_pack("{s:s, s:o*, s:s, s:s, s:i}", "schema", schema, "experiment",
                           text_or_null(bench->experiment->name), "phase", job->phase->label,
                           "workload_label", job->workload->label, "run", job->run);
  add_workload(line, job->workload);
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

// Adds the members to the line, in the place of those that it has, and releases them.
static void add(json_t* line, json_t* members) {
  json_object_update(line, members);
  json_decref(members);
}

// The last state that the allocator told, under its own prefix. (Its events are lines of another
// schema.)
static void add_telemetry(json_t* line, const json_t* telemetry) {
  size_t at = json_array_size(telemetry);
  json_t* last = NULL;
  while (last == NULL && at > 0) {
    json_t* said = json_array_get(telemetry, --at);
    if (strcmp(record_text(said, "schema"), "hakmem.telemetry.1") == 0) last = said;
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
  const experiment* plan = bench->experiment;
  const char* path = record_text(said, "allocator_path");
  char messages[256];
  char now[32];
  time_t seconds = time(NULL);
  struct tm utc;
  strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
  records_read_part(run->command.files[SCRATCH_ERRORS], false, messages, sizeof(messages));
  messages[strcspn(messages, "\n")] = '\0';
  json_t* line = start_line(bench, job, "hakmem.record.1");
  add(line, json_pack("{s:s, s:b, s:i, s:s}", "title", plan->title, "baseline",
                      job->phase->index == 0, "order", job->order, "time_utc", now));
  json_object_update(line, said);
  json_object_update(line, bench->host);
  add(line,
      json_pack("{s:s, s:s, s:s, s:o?, s:o?, s:o*, s:o*, s:s*, s:o*, s:s*}", "schema",
                "hakmem.record.1", "status", status, "source",
                bench->perf.is_available ? "perf stat" : "wait4", "workload_sha256",
                sha256_or_null(run->command.program), "allocator_sha256", sha256_or_null(path),
                "messages", messages[0] != '\0' ? text_or_null(messages) : NULL, "env",
                join_words(job->phase->env, job->phase->env_count), "pin", plan->pin, "duet",
                plan->is_duet ? json_integer((json_int_t)run->at_once) : NULL, "allocator_path",
                path[0] != '\0' ? shorten(path) : NULL));
  return line;
}

// The whole process's figures: they belong to a record only where it is the only one of its run.
static void add_process_figures(json_t* line, const run_bench* bench, const finished_run* run) {
  const struct rusage* usage = &run->process.usage;
  add(line, json_pack("{s:o?}", "steal_s", real_or_null(run->stolen_s)));
  if (bench->perf.is_available) {
    perf_read(run->command.files[SCRATCH_PERF], line);
    return;
  }
  add(line,
      json_pack("{s:f, s:f, s:f, s:I, s:I, s:I, s:I}", "perf_duration_s", run->process.duration_s,
                "perf_user_s", process_seconds(usage->ru_utime), "perf_system_s",
                process_seconds(usage->ru_stime), "perf_page_faults",
                (json_int_t)usage->ru_minflt + usage->ru_majflt, "perf_minor_faults",
                (json_int_t)usage->ru_minflt, "perf_major_faults", (json_int_t)usage->ru_majflt,
                "perf_context_switches", (json_int_t)usage->ru_nvcsw + usage->ru_nivcsw));
}

static bool is_record(const json_t* line) {
  return strcmp(record_text(line, "schema"), "hakmem.workload.1") == 0;
}

size_t records_count(const json_t* lines) {
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
    json_t* line = start_line(bench, job, record_text(said, "schema"));
    json_object_update_missing(line, said);
    write_line(line, out);
  }
}

static bool says_ok(const json_t* record) {
  return strcmp(record_text(record, "status"), "ok") == 0;
}

const json_t* records_last(const json_t* lines) {
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
  json_t* telemetry = records_read(run->command.files[SCRATCH_TELEMETRY]);
  json_t* nothing = json_object();
  bool is_wrong = strncmp(run->status, "wrong allocator", strlen("wrong allocator")) == 0;
  bool is_misfit = strncmp(run->status, "failed: \"", strlen("failed: \"")) == 0;
  bool is_open_end =
      !is_misfit && strcmp(run->status, "ok") != 0 && !is_wrong && says_ok(records_last(lines));
  size_t records = records_count(lines);
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

int records_append(const run_bench* bench, const finished_run* runs, size_t count, int results) {
  char* text = NULL;
  size_t length = 0;
  FILE* out = open_memstream(&text, &length);
  if (out == NULL) return errno;
  for (size_t i = 0; i < count; i++) write_records(bench, &runs[i], out);
  int error = fclose(out) != 0 ? errno : append(results, text, length);
  free(text);
  return error;
}

char* records_drop_misfits(json_t* lines) {
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
