// perf stat: the longest list of events that it takes here, and its file read by hakplot.

#include "tools/hakrun/perf.h"

#include <math.h>

#include "tools/hakplot/read.h"
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

bool perf_read(const char* file, json_t* record) {
  hp_dataset data;
  hp_dataset_init(&data);
  bool is_read = hp_read_argument(&data, file, false) == 0 && data.row_count > 0;
  for (size_t i = 0; i < HP_PERF_FIELDS && is_read; i++) {
    const hp_field field = (hp_field)(HP_PERF_FIRST + i);
    const double value = hp_number(&data.rows[0], field);
    if (isnan(value) && field > HP_perf_cpu_migrations) continue;
    const bool is_count = value == floor(value) && value < 0x1p53;
    json_object_set_new(record, record_field_name(field),
                        isnan(value) ? json_null()
                        : is_count   ? json_integer((json_int_t)value)
                                     : json_real(value));
  }
  hp_free_all();
  return is_read;
}
