// Files and folders: their format is found, their rows read, their phases and hosts named.

#include "tools/hakplot/read.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { HP_MAX_FOLDER_DEPTH = 16 };

// ---- one file ----

// The file's name: at depth 0 without folders and ending, at 1 without folders, from 2 on with the
// last of its folders, and one more each time.
static const char* name_at_depth(hp_dataset* data, const char* name, size_t depth) {
  const char* end = name + strlen(name);
  const char* from = end;
  for (size_t slashes = 0; from > name; from--) {
    if (from[-1] == '/' && ++slashes >= (depth < 1 ? 1 : depth)) break;
  }
  const char* dot = strrchr(from, '.');
  if (depth == 0 && dot != NULL && dot > from) end = dot;
  return hp_intern(data, from, (size_t)(end - from));
}

// Every row gets a phase: its own, or the label, or the allocator that served it, or the file's
// name. A label takes the place of the only phase of a file and goes before the names of several.
static void name_phases(hp_dataset* data, size_t first, const char* name, const char* label) {
  const char* only = NULL;
  bool has_several = false;
  for (size_t i = first; i < data->row_count; i++) {
    const char* phase = hp_string(&data->rows[i], HP_phase);
    if (phase != NULL && only != NULL && phase != only) has_several = true;
    if (phase != NULL) only = phase;
  }
  const char* interned = label != NULL ? hp_intern(data, label, strlen(label)) : NULL;
  const char* stem = name_at_depth(data, name, 0);
  for (size_t i = first; i < data->row_count; i++) {
    hp_row* row = &data->rows[i];
    const char* phase = hp_string(row, HP_phase);
    const char* allocator = hp_string(row, HP_allocator);
    if (interned != NULL && has_several && phase != NULL) {
      const char* both = hp_format("%s: %s", interned, phase);
      phase = hp_intern(data, both, strlen(both));
    } else if (interned != NULL) {
      phase = interned;
    } else if (phase == NULL) {
      phase = allocator != NULL ? allocator : stem;
    }
    hp_set_text(row, HP_phase, phase);
  }
}

static bool is_named_by_file(hp_dataset* data, const hp_row* row) {
  return hp_string(row, HP_phase) == name_at_depth(data, row->file, 0);
}

// Files that give rows their name, each once: paths that were named twice are one.
static hp_map* naming_files(hp_dataset* data) {
  hp_map* files = hp_map_new();
  const char* last = NULL;
  for (size_t i = 0; i < data->row_count; i++) {
    const hp_row* row = &data->rows[i];
    if (row->file == last || !is_named_by_file(data, row)) continue;
    last = row->file;
    hp_put(files, row->file, 0);
  }
  return files;
}

static bool are_told_apart(hp_dataset* data, const hp_map* files, size_t depth) {
  hp_map* names = hp_map_new();
  for (size_t i = 0; i < files->count; i++) {
    if (hp_put(names, name_at_depth(data, files->at[i]->key, depth), 0)->puts > 1) return false;
  }
  return true;
}

void hp_tell_files_apart(hp_dataset* data) {
  enum { DEPTH_MAX = 64 };
  size_t depth = 0;
  const hp_map* files = naming_files(data);
  while (depth < DEPTH_MAX && !are_told_apart(data, files, depth)) depth++;
  for (size_t i = 0; i < data->row_count && depth > 0; i++) {
    hp_row* row = &data->rows[i];
    if (!is_named_by_file(data, row)) continue;
    hp_set_text(row, HP_phase, name_at_depth(data, row->file, depth));
  }
}

// Moments of a run do not name their machine, as its record does: they get the only one of the
// file.
static void name_hosts(hp_dataset* data, size_t first) {
  const char* only = NULL;
  for (size_t i = first; i < data->row_count; i++) {
    const char* host = hp_string(&data->rows[i], HP_host_id);
    if (host != NULL && only != NULL && host != only) return;
    if (host != NULL) only = host;
  }
  for (size_t i = first; i < data->row_count; i++) {
    if (hp_string(&data->rows[i], HP_host_id) == NULL)
      hp_set_text(&data->rows[i], HP_host_id, only);
  }
}

// The last telemetry line of a process holds its totals: each becomes a run as well, but for those
// of hakrun, whose record holds them.
static void add_telemetry_totals(hp_dataset* data, size_t first) {
  hp_map* processes = hp_map_new();  // to the index of their last row
  for (size_t i = first; i < data->row_count; i++) {
    const hp_row* row = &data->rows[i];
    const char* phase = hp_string(row, HP_phase);
    if (row->kind != HP_TELEMETRY || hp_string(row, HP_experiment) != NULL) continue;
    const char* key = hp_format("%.0f %s", hp_number(row, HP_pid), phase != NULL ? phase : "");
    *(size_t*)hp_put(processes, key, sizeof(size_t))->thing = i;
  }
  for (size_t i = 0; i < processes->count; i++) {
    const hp_row end = data->rows[*(size_t*)processes->at[i]->thing];
    hp_row* total = hp_add_row(data, HP_RUN, end.file, end.line);
    for (size_t k = 0; k < end.value_count; k++) {
      *hp_push(total->values, total->value_count) = end.values[k];
    }
    hp_set_text(total, HP_source, hp_intern(data, "telemetry", 9));
  }
}

// A line of a file: JSON begins with a brace, what perf notes with "#".
static bool read_line(hp_dataset* data, hp_perf_run* run, const char* line, size_t number) {
  const char* from = line + strspn(line, " \t");
  if (strncmp(from, "# started on", 12) == 0) hp_perf_end_run(run);
  if (*from == '\0' || *from == '#') return true;
  if (*from == '{' || *from == '[') return hp_read_json_line(data, run, from, number);
  return hp_read_perf_line(data, run, line + strspn(line, " "), number);
}

static bool read_lines(hp_dataset* data, const char* file, FILE* stream) {
  static char line[HP_MAX_LINE_BYTES + 2];
  hp_perf_run run;
  size_t number = 0;
  hp_perf_init(&run, data, file);
  while (fgets(line, sizeof(line), stream) != NULL) {
    size_t size = strcspn(line, "\n");
    number++;
    if (line[size] != '\n' && !feof(stream)) {
      return hp_fail(data, file, number, "expected lines of text of at most %d bytes",
                     HP_MAX_LINE_BYTES);
    }
    if (size > 0 && line[size - 1] == '\r') size--;
    line[size] = '\0';
    if (!read_line(data, &run, line, number)) return false;
  }
  if (ferror(stream)) return hp_fail(data, file, 0, "cannot read: %s", strerror(errno));
  if (number == 0) return hp_fail(data, file, 0, "the file is empty");
  if (run.counts > 0 && run.known_events == 0) {
    return hp_fail(data, file, 0, "no event of perf stat that hakplot knows (docs/HAKPLOT.md)");
  }
  hp_perf_end_run(&run);
  return true;
}

bool hp_read_stream(hp_dataset* data, const char* name, const char* label, FILE* stream) {
  size_t first = data->row_count;
  const char* file = hp_intern(data, name, strlen(name));
  if (!read_lines(data, file, stream)) {
    data->row_count = first;
    return false;
  }
  add_telemetry_totals(data, first);
  name_phases(data, first, file, label);
  name_hosts(data, first);
  *hp_push(data->files, data->file_count) = file;
  return true;
}

void hp_assume_ops(hp_dataset* data, double ops) {
  for (size_t i = 0; i < data->row_count; i++) {
    hp_row* row = &data->rows[i];
    bool is_run = row->kind == HP_RUN || row->kind == HP_MEAN;
    if (!is_run || hp_string(row, HP_workload) != NULL || hp_find(row, HP_ops) != NULL) continue;
    hp_set_number(row, HP_ops, ops);
  }
}

// ---- files and folders ----

static bool read_file(hp_dataset* data, const char* path, const char* label) {
  FILE* stream = fopen(path, "re");
  if (stream == NULL) return hp_fail(data, path, 0, "cannot read: %s", strerror(errno));
  bool is_good = hp_read_stream(data, path, label, stream);
  fclose(stream);
  return is_good;
}

typedef struct read_job {
  hp_dataset* data;
  const char* label;
  bool keep_going;
  size_t failed;
} read_job;

static void count_failure(read_job* job) {
  job->failed++;
  fprintf(stderr, "hakplot: %s\n", job->data->error);
}

static bool has_data_ending(const char* name) {
  static const char* const kEndings[] = {".jsonl", ".json", ".csv", ".txt"};
  const char* dot = strrchr(name, '.');
  for (size_t i = 0; dot != NULL && i < sizeof(kEndings) / sizeof(kEndings[0]); i++) {
    if (strcmp(dot, kEndings[i]) == 0) return true;
  }
  return false;
}

static void read_folder(read_job* job, const char* path, int depth);

static void read_entry(read_job* job, const char* path, const char* name, int depth) {
  struct stat status;
  const char* full = hp_format("%s/%s", path, name);
  if (stat(full, &status) != 0) {
    hp_fail(job->data, full, 0, "cannot read: %s", strerror(errno));
    count_failure(job);
  } else if (S_ISDIR(status.st_mode)) {
    if (depth < HP_MAX_FOLDER_DEPTH) read_folder(job, full, depth + 1);
  } else if (has_data_ending(name)) {
    if (!read_file(job->data, full, job->label)) count_failure(job);
  }
}

static void read_folder(read_job* job, const char* path, int depth) {
  struct dirent** entries;
  int count = scandir(path, &entries, NULL, alphasort);
  if (count < 0) {
    hp_fail(job->data, path, 0, "cannot read: %s", strerror(errno));
    count_failure(job);
    return;
  }
  for (int i = 0; i < count; i++) {
    bool is_wanted = entries[i]->d_name[0] != '.' && (job->failed == 0 || job->keep_going);
    if (is_wanted) read_entry(job, path, entries[i]->d_name, depth);
    free(entries[i]);
  }
  free(entries);
}

size_t hp_read_argument(hp_dataset* data, const char* argument, bool keep_going) {
  read_job job = {.data = data, .keep_going = keep_going};
  struct stat status;
  const char* path = argument;
  const char* equals = strchr(argument, '=');
  // A file may have "=" in its name.
  if (equals != NULL && equals > argument && stat(argument, &status) != 0) {
    job.label = hp_copy(argument, (size_t)(equals - argument));
    path = equals + 1;
  }
  if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
    size_t before = data->file_count;
    read_folder(&job, path, 0);
    if (data->file_count == before && job.failed == 0) {
      hp_fail(data, path, 0, "no file in it ends in .jsonl, .json, .csv or .txt");
      count_failure(&job);
    }
  } else if (!read_file(data, path, job.label)) {
    count_failure(&job);
  }
  return job.failed;
}
