// See perf.h.

#define _GNU_SOURCE  // strsep

#include "tools/hakrun/perf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hakrun/process.h"

#define SOFTWARE_EVENTS                                                                   \
  "duration_time,user_time,system_time,task-clock,page-faults,minor-faults,major-faults," \
  "context-switches,cpu-migrations"

// An event list that a user may not count makes perf fail as a whole.
static const char* const kEventLists[] = {
    SOFTWARE_EVENTS ",cycles:u,cycles:k,instructions:u",
    SOFTWARE_EVENTS ",cycles:u,instructions:u",
    SOFTWARE_EVENTS,
};

static const struct {
  const char* event;
  const char* key;
  double scale;
  bool is_process_wide;  // a tool event: means the same whoever asks
} kEvents[] = {
    {"duration_time", "perf_duration_s", 1e-9, true},
    {"user_time", "perf_user_s", 1e-9, true},
    {"system_time", "perf_system_s", 1e-9, true},
    {"task-clock", "perf_task_clock_s", 1e-3, true},
    {"page-faults", "perf_page_faults", 1, false},
    {"minor-faults", "perf_minor_faults", 1, false},
    {"major-faults", "perf_major_faults", 1, false},
    {"context-switches", "perf_context_switches", 1, false},
    {"cpu-migrations", "perf_cpu_migrations", 1, false},
    {"cycles:u", "perf_cycles_user", 1, true},
    {"cycles:k", "perf_cycles_kernel", 1, true},
    {"instructions:u", "perf_instructions_user", 1, true},
};

perf_source perf_probe(void) {
  perf_source source = {0};
  for (size_t i = 0; i < sizeof(kEventLists) / sizeof(kEventLists[0]); i++) {
    char output[64];
    const char* argv[PERF_MAX_ARGV + 2];
    source.events = kEventLists[i];
    size_t count = perf_command(&source, "/dev/null", argv, 0);
    argv[count++] = "true";
    argv[count] = NULL;
    source.is_available = process_capture(argv, output, sizeof(output));
    if (source.is_available) break;
  }
  return source;
}

size_t perf_command(const perf_source* source, const char* file, const char** argv, size_t count) {
  const char* const words[] = {"env", "LC_ALL=C", "perf", "stat",         "-x;",
                               "-o",  file,       "-e",   source->events, "--"};
  _Static_assert(sizeof(words) / sizeof(words[0]) <= PERF_MAX_ARGV, "room for the words");
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) argv[count++] = words[i];
  return count;
}

// A line is value;unit;event;run time;per cent of it counted;... The event of an unprivileged perf
// has ":u" appended: a count of only the user part, which is not what was asked for.
static void read_line(char* line, json_t* record) {
  char* fields[3];
  char* rest = line;
  for (size_t i = 0; i < 3; i++) {
    fields[i] = strsep(&rest, ";");
    if (fields[i] == NULL) return;
  }
  for (size_t i = 0; i < sizeof(kEvents) / sizeof(kEvents[0]); i++) {
    size_t length = strlen(kEvents[i].event);
    if (strncmp(fields[2], kEvents[i].event, length) != 0) continue;
    bool is_partial = strcmp(fields[2] + length, ":u") == 0;
    if (fields[2][length] != '\0' && !is_partial) continue;
    char* end;
    double value = strtod(fields[0], &end);
    bool is_known = end != fields[0] && *end == '\0' && (!is_partial || kEvents[i].is_process_wide);
    json_t* number = !is_known               ? json_null()
                     : kEvents[i].scale == 1 ? json_integer((json_int_t)value)
                                             : json_real(value * kEvents[i].scale);
    json_object_set_new(record, kEvents[i].key, number);
    return;
  }
}

bool perf_read(const char* file, json_t* record) {
  FILE* stream = fopen(file, "re");
  char* line = NULL;
  size_t capacity = 0;
  if (stream == NULL) return false;
  for (size_t i = 0; i < sizeof(kEvents) / sizeof(kEvents[0]); i++) {
    json_object_set_new(record, kEvents[i].key, json_null());
  }
  while (getline(&line, &capacity, stream) >= 0) {
    if (line[0] != '#' && line[0] != '\n') read_line(line, record);
  }
  free(line);
  fclose(stream);
  return true;
}
