// Runs of perf stat: counts are summed by part and interval, and become rows.

#include "tools/hakplot/perf_run.h"

#include <math.h>
#include <string.h>

#define NONE HP_FIELD_COUNT

// What hakplot knows of perf's events: the field of an event counted everywhere, in user mode only
// (":u") and in the kernel only (":k"). Software clocks and tool events (duration_time and its
// like) do not split by mode whatever their name says, so that all three are the same.
typedef struct event_rule {
  const char* event;
  hp_field total;
  hp_field user;
  hp_field kernel;
} event_rule;

#define WHOLE(name, field) \
  { name, field, field, field }

static const event_rule kRules[] = {
    WHOLE("duration_time", HP_perf_duration_s),
    WHOLE("user_time", HP_perf_user_s),
    WHOLE("system_time", HP_perf_system_s),
    WHOLE("task-clock", HP_perf_task_clock_s),
    {"page-faults", HP_perf_page_faults, HP_perf_page_faults_user, HP_perf_page_faults_kernel},
    {"faults", HP_perf_page_faults, HP_perf_page_faults_user, HP_perf_page_faults_kernel},
    {"minor-faults", HP_perf_minor_faults, NONE, NONE},
    {"major-faults", HP_perf_major_faults, NONE, NONE},
    {"context-switches", HP_perf_context_switches, NONE, NONE},
    {"cs", HP_perf_context_switches, NONE, NONE},
    {"cpu-migrations", HP_perf_cpu_migrations, NONE, NONE},
    {"migrations", HP_perf_cpu_migrations, NONE, NONE},
    {"cycles", HP_perf_cycles, HP_perf_cycles_user, HP_perf_cycles_kernel},
    {"cpu-cycles", HP_perf_cycles, HP_perf_cycles_user, HP_perf_cycles_kernel},
    {"instructions", NONE, HP_perf_instructions_user, NONE},
    WHOLE("syscalls:sys_enter_mmap", HP_perf_mmap_calls),
    WHOLE("syscalls:sys_enter_munmap", HP_perf_munmap_calls),
    WHOLE("syscalls:sys_enter_madvise", HP_perf_madvise_calls),
    WHOLE("syscalls:sys_enter_mremap", HP_perf_mremap_calls),
    WHOLE("syscalls:sys_enter_mprotect", HP_perf_mprotect_calls),
    WHOLE("syscalls:sys_enter_brk", HP_perf_brk_calls),
    WHOLE("raw_syscalls:sys_enter", HP_perf_syscalls),
};

// Takes "cpu_core/cycles:u/" and "cpu_core/cycles/u" apart into "cycles" and the mode. Modifiers
// are the letters that perf list names; a tracepoint's name after its colon has others as well.
static const char* event_name(const char* event, bool* is_user, bool* is_kernel) {
  static const char* const kUnits[] = {"cpu_core/", "cpu_atom/", "cpu/"};
  *is_user = *is_kernel = false;
  for (size_t i = 0; i < sizeof(kUnits) / sizeof(kUnits[0]); i++) {
    size_t length = strlen(kUnits[i]);
    if (strncmp(event, kUnits[i], length) != 0 || event[length] == '\0') continue;
    event += length;
    break;
  }
  size_t size = strlen(event);
  if (size > 0 && event[size - 1] == '/') size--;
  size_t name = size;
  while (name > 0 && strchr("ukhGHpPSDWIeb", event[name - 1]) != NULL) name--;
  bool has_mode = name > 1 && name < size && (event[name - 1] == ':' || event[name - 1] == '/');
  *is_user = has_mode && memchr(event + name, 'u', size - name) != NULL;
  *is_kernel = has_mode && memchr(event + name, 'k', size - name) != NULL;
  return hp_copy(event, has_mode ? name - 1 : size);
}

static hp_field field_of(const char* event) {
  bool is_user;
  bool is_kernel;
  const char* name = event_name(event, &is_user, &is_kernel);
  for (size_t i = 0; i < sizeof(kRules) / sizeof(kRules[0]); i++) {
    const event_rule* rule = &kRules[i];
    if (strcmp(rule->event, name) != 0) continue;
    return is_user == is_kernel ? rule->total : is_user ? rule->user : rule->kernel;
  }
  return NONE;
}

static double scale_of(const char* unit) {
  return strcmp(unit, "msec") == 0 ? 1e-3 : strcmp(unit, "ns") == 0 ? 1e-9 : 1;
}

void hp_perf_init(hp_perf_run* run, hp_dataset* data, const char* file) {
  *run = (hp_perf_run){.data = data, .file = file, .interval_s = NAN, .seen = hp_map_new()};
  run->source = hp_intern(data, "perf stat", 9);
}

static hp_row* write_row(hp_perf_run* run, hp_kind kind, const hp_perf_cell* cells) {
  hp_dataset* data = run->data;
  hp_row* row = hp_add_row(data, kind, run->file, (uint32_t)run->run_line);
  hp_set_text(row, HP_source, run->source);
  for (size_t i = 0; i < HP_PERF_FIELDS; i++) {
    if (!cells[i].is_seen || isnan(cells[i].sum)) continue;
    hp_field field = (hp_field)(HP_PERF_FIRST + i);
    hp_set_number(row, field, cells[i].sum);
    hp_find(row, field)->error = (float)cells[i].error;
  }
  return row;
}

static void end_interval(hp_perf_run* run) {
  if (isnan(run->interval_s)) return;
  hp_row* row = write_row(run, HP_INTERVAL, run->now);
  hp_set_number(row, HP_t_ns, run->interval_s * 1e9);
  for (size_t i = 0; i < HP_PERF_FIELDS; i++) {
    if (!run->now[i].is_seen) continue;
    run->total[i].is_seen = true;
    run->total[i].sum += run->now[i].sum;
  }
  memset(run->now, 0, sizeof(run->now));
  run->seen = hp_map_new();
}

// Faults known by mode give the total; user and system time that are both 0 were not taken at all
// (perf prints them so with `-I`).
static void complete(hp_perf_cell* cells) {
  hp_perf_cell* all = hp_perf_cell_of(cells, HP_perf_page_faults);
  const hp_perf_cell* user = hp_perf_cell_of(cells, HP_perf_page_faults_user);
  const hp_perf_cell* kernel = hp_perf_cell_of(cells, HP_perf_page_faults_kernel);
  if (!all->is_seen && user->is_seen && kernel->is_seen) {
    *all = (hp_perf_cell){user->sum + kernel->sum, 0, true};
  }
  hp_perf_cell* user_s = hp_perf_cell_of(cells, HP_perf_user_s);
  hp_perf_cell* system_s = hp_perf_cell_of(cells, HP_perf_system_s);
  if (user_s->sum == 0 && system_s->sum == 0) user_s->sum = system_s->sum = NAN;
}

void hp_perf_end_run(hp_perf_run* run) {
  if (run->run_line == 0) return;
  bool has_intervals = !isnan(run->interval_s);
  double end_s = run->interval_s;
  end_interval(run);
  hp_perf_cell* cells = run->has_summary ? run->summary : has_intervals ? run->total : run->now;
  hp_perf_cell* duration = hp_perf_cell_of(cells, HP_perf_duration_s);
  if (has_intervals && !duration->is_seen)
    *duration = (hp_perf_cell){.sum = end_s, .is_seen = true};
  complete(cells);
  write_row(run, run->is_mean ? HP_MEAN : HP_RUN, cells);
  *run = (hp_perf_run){.data = run->data,
                       .file = run->file,
                       .source = run->source,
                       .seen = hp_map_new(),
                       .interval_s = NAN,
                       .counts = run->counts,
                       .known_events = run->known_events};
}

static bool is_repeated(hp_perf_run* run, const hp_perf_count* count) {
  const char* key = hp_format("%s\n%d\n%s", count->part, count->is_summary, count->event);
  return hp_put(run->seen, key, 0)->puts > 1;
}

// Opens, continues or ends runs and intervals, so that `count` belongs to the present one.
static void find_place(hp_perf_run* run, const hp_perf_count* count, size_t line) {
  bool is_interval = !isnan(count->interval_s);
  if (is_interval && run->run_line != 0 &&
      (count->interval_s < run->interval_s || isnan(run->interval_s))) {
    hp_perf_end_run(run);
  } else if (is_interval && count->interval_s > run->interval_s) {
    end_interval(run);
  }
  if (is_repeated(run, count)) {
    hp_perf_end_run(run);
    is_repeated(run, count);
  }
  if (is_interval) run->interval_s = count->interval_s;
  if (run->run_line == 0) run->run_line = line;
}

void hp_perf_add(hp_perf_run* run, const hp_perf_count* count, size_t line) {
  find_place(run, count, line);
  hp_field field = field_of(count->event);
  if (!isnan(count->error_percent)) run->is_mean = true;
  run->has_summary |= count->is_summary;
  run->counts++;
  if (field == NONE) return;
  run->known_events++;
  hp_perf_cell* cell = hp_perf_cell_of(count->is_summary ? run->summary : run->now, field);
  double value = count->value * scale_of(count->unit);
  // Every part of the machine has seen the same wall clock.
  bool is_clock = field == HP_perf_duration_s && !isnan(cell->sum + value);
  cell->sum = is_clock ? fmax(cell->sum, value) : cell->sum + value;
  cell->is_seen = true;
  if (!isnan(count->error_percent)) cell->error = count->error_percent / 100;
  if (count->running_percent < 100) {
    hp_note(run->data, "%s: %s was counted %.0f %% of the time and scaled by perf", run->file,
            count->event, count->running_percent);
  }
}
