// Files and folders: their format is found, their rows read, their phases and hosts named.

#define _GNU_SOURCE

#include "tools/hakplot/read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum hp_file_format { HP_JSON_LINES, HP_PERF_TEXT, HP_PERF_CSV } hp_file_format;

enum { HP_MAX_FILE_BYTES = 1 << 30, HP_MAX_FOLDER_DEPTH = 16 };

bool hp_next_line(hp_lines* lines, hp_slice* line) {
  if (lines->at >= lines->end) return false;
  const char* stop = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
  const char* next = stop != NULL ? stop + 1 : lines->end;
  if (stop == NULL) stop = lines->end;
  *line = (hp_slice){lines->at, (size_t)(stop - lines->at)};
  if (line->size > 0 && line->data[line->size - 1] == '\r') line->size--;
  lines->at = next;
  lines->number++;
  return true;
}

// ---- one file ----

static bool is_skipped(hp_slice line) {
  for (size_t i = 0; i < line.size; i++) {
    if (line.data[i] == '#') return true;
    if (line.data[i] != ' ' && line.data[i] != '\t') return false;
  }
  return true;
}

static bool read_json(hp_dataset* data, const char* name, const char* content, size_t size) {
  hp_lines lines = {content, content + size, 0};
  hp_perf_run run;
  hp_slice line;
  bool is_good = true;
  hp_perf_init(&run, data, name);
  while (is_good && hp_next_line(&lines, &line)) {
    if (line.size > 0 && line.data[0] == '#') hp_perf_end_run(&run);
    if (!is_skipped(line)) is_good = hp_read_json_line(data, &run, line, lines.number);
  }
  if (is_good) hp_perf_end_run(&run);
  hp_perf_free(&run);
  return is_good;
}

// The format shows in the first line that says something; text for people names itself.
static hp_file_format format_of(const char* content, size_t size) {
  hp_lines lines = {content, content + size, 0};
  hp_slice line;
  while (hp_next_line(&lines, &line)) {
    if (is_skipped(line)) continue;
    for (size_t i = 0; i < line.size; i++) {
      if (line.data[i] == '{' || line.data[i] == '[') return HP_JSON_LINES;
      if (line.data[i] != ' ' && line.data[i] != '\t') break;
    }
    break;
  }
  bool is_text = memmem(content, size, "Performance counter stats for", 29) != NULL ||
                 memmem(content, size, "counts unit events", 18) != NULL;
  return is_text ? HP_PERF_TEXT : HP_PERF_CSV;
}

static bool has_short_lines(hp_dataset* data, const char* name, const char* content, size_t size) {
  hp_lines lines = {content, content + size, 0};
  hp_slice line;
  while (hp_next_line(&lines, &line)) {
    if (line.size > HP_MAX_LINE_BYTES) {
      return hp_fail(data, name, lines.number, "expected lines of at most %d bytes",
                     HP_MAX_LINE_BYTES);
    }
  }
  return true;
}

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

static const char* stem_of(hp_dataset* data, const char* name) {
  return name_at_depth(data, name, 0);
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
  const char* stem = stem_of(data, name);
  for (size_t i = first; i < data->row_count; i++) {
    hp_row* row = &data->rows[i];
    const char* phase = hp_string(row, HP_phase);
    const char* allocator = hp_string(row, HP_allocator);
    if (interned != NULL && has_several && phase != NULL) {
      hp_text text = {0};
      hp_printf(&text, "%s: %s", interned, phase);
      phase = hp_intern(data, text.data, text.size);
      hp_text_free(&text);
    } else if (interned != NULL) {
      phase = interned;
    } else if (phase == NULL) {
      phase = allocator != NULL ? allocator : stem;
    }
    hp_set_text(data, row, HP_phase, phase);
  }
}

static bool is_named_by_file(hp_dataset* data, const hp_row* row) {
  return hp_string(row, HP_phase) == stem_of(data, row->file);
}

// Files that give rows their name, each once: paths that were named twice are one.
static const char** naming_files(hp_dataset* data, size_t* count) {
  const char** files = hp_alloc(&data->arena, (data->file_count + 1) * sizeof(*files));
  hp_map seen = {0};
  const char* last = NULL;
  *count = 0;
  for (size_t i = 0; i < data->row_count; i++) {
    const hp_row* row = &data->rows[i];
    bool is_new;
    if (row->file == last || !is_named_by_file(data, row)) continue;
    last = row->file;
    hp_map_put(&seen, &data->arena, row->file, &is_new);
    if (is_new) files[(*count)++] = row->file;
  }
  hp_map_free(&seen);
  return files;
}

static bool are_told_apart(hp_dataset* data, const char** files, size_t count, size_t depth) {
  hp_map names = {0};
  bool is_new = true;
  for (size_t i = 0; i < count && is_new; i++) {
    hp_map_put(&names, &data->arena, name_at_depth(data, files[i], depth), &is_new);
  }
  hp_map_free(&names);
  return is_new;
}

void hp_tell_files_apart(hp_dataset* data) {
  enum { DEPTH_MAX = 64 };
  size_t count;
  size_t depth = 0;
  const char** files = naming_files(data, &count);
  while (depth < DEPTH_MAX && !are_told_apart(data, files, count, depth)) depth++;
  for (size_t i = 0; i < data->row_count && depth > 0; i++) {
    hp_row* row = &data->rows[i];
    if (!is_named_by_file(data, row)) continue;
    hp_set_text(data, row, HP_phase, name_at_depth(data, row->file, depth));
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
      hp_set_text(data, &data->rows[i], HP_host_id, only);
  }
}

// The last telemetry line of a process holds its totals: each becomes a run as well, but for those
// of hakrun, whose record holds them.
static void add_telemetry_totals(hp_dataset* data, size_t first) {
  hp_map processes = {0};
  size_t* last = NULL;  // by process: the index of its last row
  hp_text key = {0};
  for (size_t i = first; i < data->row_count; i++) {
    const hp_row* row = &data->rows[i];
    const char* phase = hp_string(row, HP_phase);
    bool is_new;
    if (row->kind != HP_TELEMETRY || hp_string(row, HP_experiment) != NULL) continue;
    key.size = 0;
    hp_printf(&key, "%.0f %s", hp_number(row, HP_pid), phase != NULL ? phase : "");
    size_t at = hp_map_put(&processes, &data->arena, key.data, &is_new);
    if (is_new) last = hp_grow(&data->arena, last, at, sizeof(*last));
    last[at] = i;
  }
  for (size_t i = 0; i < processes.count; i++) {
    hp_row end = data->rows[last[i]];
    hp_row* total = hp_add_row(data, HP_RUN, end.file, end.line);
    for (size_t k = 0; k < end.value_count; k++) {
      const hp_value* value = &end.values[k];
      hp_field field = (hp_field)value->field;
      if (record_is_number(field)) hp_set_number(data, total, field, value->number);
      if (!record_is_number(field)) hp_set_text(data, total, field, value->text);
    }
    hp_set_text(data, total, HP_source, hp_intern(data, "telemetry", 9));
  }
  hp_map_free(&processes);
  hp_text_free(&key);
}

bool hp_read_buffer(hp_dataset* data, const char* name, const char* label, const char* content,
                    size_t size) {
  size_t first = data->row_count;
  size_t notes = data->note_count;
  const char* file = hp_intern(data, name, strlen(name));
  bool is_good = has_short_lines(data, file, content, size);
  if (is_good) {
    switch (format_of(content, size)) {
      case HP_JSON_LINES:
        is_good = read_json(data, file, content, size);
        break;
      case HP_PERF_TEXT:
        is_good = hp_read_perf_text(data, file, content, size);
        break;
      case HP_PERF_CSV:
        is_good = hp_read_perf_csv(data, file, content, size);
        break;
    }
  }
  if (!is_good) {
    data->row_count = first;
    data->note_count = notes;
    return false;
  }
  add_telemetry_totals(data, first);
  name_phases(data, first, file, label);
  name_hosts(data, first);
  data->files = hp_grow(&data->arena, data->files, data->file_count, sizeof(*data->files));
  data->files[data->file_count++] = file;
  return true;
}

void hp_assume_ops(hp_dataset* data, double ops) {
  for (size_t i = 0; i < data->row_count; i++) {
    hp_row* row = &data->rows[i];
    bool is_run = row->kind == HP_RUN || row->kind == HP_MEAN;
    if (!is_run || hp_string(row, HP_workload) != NULL || hp_find(row, HP_ops) != NULL) continue;
    hp_set_number(data, row, HP_ops, ops);
  }
}

// ---- files and folders ----

static bool read_file(hp_dataset* data, const char* path, const char* label) {
  struct stat status;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return hp_fail(data, path, 0, "cannot read: %s", strerror(errno));
  hp_text content = {0};
  hp_put(&content, "", 0);
  char buffer[1 << 16];
  ssize_t got;
  while ((got = read(fd, buffer, sizeof(buffer))) > 0 && content.size <= HP_MAX_FILE_BYTES) {
    hp_put(&content, buffer, (size_t)got);
  }
  int error = errno;
  bool is_file = fstat(fd, &status) == 0;
  close(fd);
  bool is_good = false;
  if (got < 0 || !is_file) {
    hp_fail(data, path, 0, "cannot read: %s", strerror(error));
  } else if (content.size > HP_MAX_FILE_BYTES) {
    hp_fail(data, path, 0, "expected at most %d bytes: split the file", HP_MAX_FILE_BYTES);
  } else if (content.size == 0) {
    hp_fail(data, path, 0, "the file is empty");
  } else {
    is_good = hp_read_buffer(data, path, label, content.data, content.size);
  }
  hp_text_free(&content);
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
  hp_text full = {0};
  hp_printf(&full, "%s/%s", path, name);
  if (stat(full.data, &status) != 0) {
    hp_fail(job->data, full.data, 0, "cannot read: %s", strerror(errno));
    count_failure(job);
  } else if (S_ISDIR(status.st_mode)) {
    if (depth < HP_MAX_FOLDER_DEPTH) read_folder(job, full.data, depth + 1);
  } else if (has_data_ending(name)) {
    if (!read_file(job->data, full.data, job->label)) count_failure(job);
  }
  hp_text_free(&full);
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
    job.label = hp_copy(&data->arena, argument, (size_t)(equals - argument));
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
