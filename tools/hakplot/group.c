// Cases and groups: which rows are compared with which, and what their reader must know.

#include "tools/hakplot/group.h"

#include <math.h>
#include <string.h>

// ---- machines ----

static void find_hosts(hp_dataset* data) {
  const char* first = NULL;
  data->has_several_hosts = false;
  for (size_t i = 0; i < data->row_count; i++) {
    const char* host = hp_string(&data->rows[i], HP_host_id);
    data->has_several_hosts |= host != NULL && first != NULL && host != first;
    if (host != NULL) first = host;
  }
}

static const char* label_of(hp_dataset* data, const char* phase, const char* host) {
  if (phase == NULL) phase = "unnamed";
  if (!data->has_several_hosts) return phase;
  return hp_format("%s @ %.8s", phase, host != NULL ? host : "unknown machine");
}

const char* hp_row_label(hp_dataset* data, const hp_row* row) {
  return label_of(data, hp_string(row, HP_phase), hp_string(row, HP_host_id));
}

// ---- cases ----

static const char* or_empty(const char* text) { return text != NULL ? text : ""; }

static char* with_number(char* key, const hp_row* row, hp_field field) {
  double value = hp_number(row, field);
  return isnan(value) ? key : hp_format("%s\t%d=%.17g", key, (int)field, value);
}

// The key that a failed run, which may not know its parameters, shares with the others.
static char* loose_key(const hp_row* row) {
  char* key =
      hp_format("%s\t%s", or_empty(hp_string(row, HP_workload)), or_empty(hp_string(row, HP_args)));
  return with_number(key, row, HP_duet);
}

// What runs must share to be compared: the workload and its parameters. Runs without a workload
// share their source.
static char* case_key(const hp_row* row) {
  static const hp_field kParameters[] = {HP_working_set, HP_threads, HP_remote_percent, HP_pairs,
                                         HP_duet};
  const char* workload = hp_string(row, HP_workload);
  const char* source = hp_string(row, HP_source);
  char* key =
      hp_format("%s\t%s\t%s\t%s", or_empty(workload), workload == NULL ? or_empty(source) : "",
                or_empty(hp_string(row, HP_args)), or_empty(hp_string(row, HP_mode)));
  for (size_t i = 0; i < sizeof(kParameters) / sizeof(kParameters[0]); i++) {
    key = with_number(key, row, kParameters[i]);
  }
  return key;
}

const char* hp_workload_title(const hp_row* row) {
  const char* workload = hp_string(row, HP_workload);
  const char* args = hp_string(row, HP_args);
  double working_set = hp_number(row, HP_working_set);
  if (workload == NULL) return or_empty(hp_string(row, HP_source));
  if (args != NULL && strstr(args, "--sweep-to") != NULL && !isnan(working_set)) {
    return hp_format("%s %s, working set %.0f", workload, args, working_set);
  }
  return args == NULL ? workload : hp_format("%s %s", workload, args);
}

static const char* case_title(const hp_row* row) {
  const char* title = hp_workload_title(row);
  if (!hp_is_duet(row)) return title;
  return hp_format("%s, duet of %.0f", title, hp_number(row, HP_duet));
}

// Letters, digits, ".", "_" and "-" of the title; a number makes it unique.
static const char* case_name(const char* title, hp_map* names) {
  enum { LONGEST = 48 };
  char name[LONGEST + 1];
  size_t size = 0;
  for (size_t i = 0; title[i] != '\0' && size < LONGEST; i++) {
    char c = title[i];
    bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_';
    if (is_plain && !(size == 0 && c == '.')) name[size++] = c;
    if (!is_plain && size > 0 && name[size - 1] != '-') name[size++] = '-';
  }
  while (size > 0 && name[size - 1] == '-') size--;
  name[size] = '\0';
  return hp_unique_name(names, name);
}

// Cases that share workload and arguments.
typedef struct alike {
  size_t* cases;
  size_t count;
} alike;

// A run that failed before it knew its parameters counts in each of the cases alike, unless they
// are more than any sweep has.
enum { ALIKE_MAX = 64 };

typedef struct grouping {
  hp_dataset* data;
  hp_cases cases;
  hp_map* case_keys;
  hp_map* group_keys;  // to their indices in their cases
  hp_map* loose_keys;  // to those that are alike
  hp_map* names;
} grouping;

static alike* alike_of(grouping* g, const hp_row* row) {
  return hp_put(g->loose_keys, loose_key(row), sizeof(alike))->thing;
}

static hp_case* case_of(grouping* g, const char* key, const hp_row* row) {
  const hp_entry* entry = hp_put(g->case_keys, key, 0);
  if (entry->puts > 1) return &g->cases.at[entry->number];
  alike* others = alike_of(g, row);
  *hp_push(others->cases, others->count) = entry->number;
  hp_case* one = hp_push(g->cases.at, g->cases.count);
  const char* title = case_title(row);
  *one = (hp_case){.title = title, .sample = row, .name = case_name(title, g->names)};
  return one;
}

// The group of the row in the case of that key.
static hp_group* group_of(grouping* g, const char* key, hp_case* one, const hp_row* row) {
  const char* phase = hp_string(row, HP_phase);
  const char* host = hp_string(row, HP_host_id);
  const char* full = hp_format("%s\n%s\n%s", key, or_empty(phase), or_empty(host));
  const hp_entry* entry = hp_put(g->group_keys, full, sizeof(size_t));
  size_t* at = entry->thing;
  if (entry->puts > 1) return &one->groups[*at];
  *at = one->group_count;
  hp_group* group = hp_push(one->groups, one->group_count);
  *group = (hp_group){.label = label_of(g->data, phase, host), .phase = phase, .host = host};
  return group;
}

static void add_run(hp_group* group, const hp_row* row) {
  if (hp_has_failed(row)) {
    group->failed++;
  } else if (row->kind == HP_MEAN) {
    group->mean = row;
  } else {
    *hp_push(group->runs, group->run_count) = row;
  }
  if (hp_number(row, HP_baseline) == 1) group->is_baseline = true;
}

// ---- what readers must know ----

static bool differs(const hp_group* group, hp_field field) {
  for (size_t i = 1; i < group->run_count; i++) {
    if (record_is_number(field)) {
      double a = hp_number(group->runs[0], field);
      double b = hp_number(group->runs[i], field);
      if (a != b && !(isnan(a) && isnan(b))) return true;
    } else if (hp_string(group->runs[i], field) != hp_string(group->runs[0], field)) {
      return true;
    }
  }
  return false;
}

static void note_mixed(hp_dataset* data, const hp_case* one, const hp_group* group) {
  static const struct {
    hp_field field;
    const char* what;
  } kMixes[] = {{HP_commit, "commits"},
                {HP_dirty, "clean and changed checkouts"},
                {HP_build_mode, "build modes"},
                {HP_allocator, "allocators"},
                {HP_allocator_sha256, "allocator binaries"},
                {HP_allocator_build_id, "allocator binaries"},
                {HP_workload_sha256, "workload binaries"},
                {HP_env, "environments"}};
  for (size_t i = 0; i < sizeof(kMixes) / sizeof(kMixes[0]); i++) {
    if (!differs(group, kMixes[i].field)) continue;
    hp_note(data, "%s, %s: its runs mix %s", one->title, group->label, kMixes[i].what);
  }
  if (group->failed > 0) {
    hp_note(data, "%s, %s: %zu of %zu runs failed and are left out", one->title, group->label,
            group->failed, group->failed + group->run_count);
  }
  const char* said = group->run_count > 0 ? hp_string(group->runs[0], HP_messages) : NULL;
  if (said != NULL) hp_note(data, "%s, %s: on stderr: %s", one->title, group->label, said);
  const char* mode = group->run_count > 0 ? hp_string(group->runs[0], HP_build_mode) : NULL;
  if (mode != NULL && strcmp(mode, "opt") != 0) {
    hp_note(data, "%s, %s: built as %s, which says nothing of speed", one->title, group->label,
            mode);
  }
  bool has_region = false;
  bool has_process = false;
  for (size_t i = 0; i < group->run_count; i++) {
    double user;
    double system;
    hp_cpu_source source = hp_cpu_times(group->runs[i], &user, &system);
    has_region |= source == HP_CPU_REGION;
    has_process |= source == HP_CPU_PROCESS;
  }
  if (has_region && has_process) {
    hp_note(data, "%s, %s: some runs know their timed region, others only the whole process",
            one->title, group->label);
  }
}

static size_t baseline_index(const hp_case* one) {
  for (size_t i = 0; i < one->group_count; i++) {
    if (one->groups[i].is_baseline) return i;
  }
  return 0;
}

// Machines are not compared with each other: the baseline of a group is the baseline's phase on its
// own machine.
static void choose_baselines(hp_case* one) {
  if (one->group_count == 0) return;
  hp_group* first = &one->groups[baseline_index(one)];
  hp_map* hosts = hp_map_new();
  first->is_baseline = true;
  for (size_t i = 0; i < one->group_count; i++) {
    hp_group* group = &one->groups[i];
    if (group->phase == first->phase) hp_put(hosts, or_empty(group->host), 0)->thing = group;
  }
  for (size_t i = 0; i < one->group_count; i++) {
    const hp_entry* host = hp_get(hosts, or_empty(one->groups[i].host));
    if (host != NULL) one->groups[i].baseline = host->thing;
  }
}

static void add_to_case(grouping* g, const hp_row* row) {
  const char* key = case_key(row);
  add_run(group_of(g, key, case_of(g, key, row), row), row);
}

static void add_failed(grouping* g, const hp_row* row) {
  const alike* others = alike_of(g, row);
  bool has_case = hp_get(g->case_keys, case_key(row)) != NULL;
  if (has_case || others->count == 0 || others->count > ALIKE_MAX) {
    add_to_case(g, row);
    return;
  }
  for (size_t i = 0; i < others->count; i++) {
    hp_case* one = &g->cases.at[others->cases[i]];
    add_run(group_of(g, case_key(one->sample), one, row), row);
  }
}

hp_cases hp_group_runs(hp_dataset* data) {
  grouping g = {.data = data,
                .case_keys = hp_map_new(),
                .group_keys = hp_map_new(),
                .loose_keys = hp_map_new(),
                .names = hp_map_new()};
  find_hosts(data);
  for (int pass = 0; pass < 2; pass++) {
    for (size_t i = 0; i < data->row_count; i++) {
      const hp_row* row = &data->rows[i];
      bool is_run = row->kind == HP_RUN || row->kind == HP_MEAN;
      if (!is_run || hp_has_failed(row) != (pass == 1)) continue;
      if (pass == 0) add_to_case(&g, row);
      if (pass == 1) add_failed(&g, row);
    }
  }
  for (size_t i = 0; i < g.cases.count; i++) {
    hp_case* one = &g.cases.at[i];
    choose_baselines(one);
    for (size_t k = 0; k < one->group_count; k++) note_mixed(data, one, &one->groups[k]);
    if (g.cases.count == 1) one->name = "";
  }
  return g.cases;
}
