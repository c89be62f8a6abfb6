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
  return hp_format(&data->arena, "%s @ %.8s", phase, host != NULL ? host : "unknown machine");
}

const char* hp_row_label(hp_dataset* data, const hp_row* row) {
  return label_of(data, hp_string(row, HP_phase), hp_string(row, HP_host_id));
}

// ---- cases ----

static void put_number(hp_text* text, const hp_row* row, hp_field field) {
  double value = hp_number(row, field);
  if (!isnan(value)) hp_printf(text, "\t%d=%.17g", (int)field, value);
}

static const char* or_empty(const char* text) { return text != NULL ? text : ""; }

// The key that a failed run, which may not know its parameters, shares with the others.
static void loose_key(hp_text* key, const hp_row* row) {
  key->size = 0;
  hp_printf(key, "%s\t%s", or_empty(hp_string(row, HP_workload)),
            or_empty(hp_string(row, HP_args)));
  put_number(key, row, HP_duet);
}

// What runs must share to be compared: the workload and its parameters. Runs without a workload
// share their source.
static void case_key(hp_text* key, const hp_row* row) {
  static const hp_field kParameters[] = {HP_working_set, HP_threads, HP_remote_percent, HP_pairs,
                                         HP_duet};
  const char* workload = hp_string(row, HP_workload);
  const char* source = hp_string(row, HP_source);
  key->size = 0;
  hp_printf(key, "%s\t%s\t%s\t%s", or_empty(workload), workload == NULL ? or_empty(source) : "",
            or_empty(hp_string(row, HP_args)), or_empty(hp_string(row, HP_mode)));
  for (size_t i = 0; i < sizeof(kParameters) / sizeof(kParameters[0]); i++) {
    put_number(key, row, kParameters[i]);
  }
}

const char* hp_workload_title(hp_dataset* data, const hp_row* row) {
  const char* workload = hp_string(row, HP_workload);
  const char* args = hp_string(row, HP_args);
  double working_set = hp_number(row, HP_working_set);
  if (workload == NULL) return or_empty(hp_string(row, HP_source));
  if (args != NULL && strstr(args, "--sweep-to") != NULL && !isnan(working_set)) {
    return hp_format(&data->arena, "%s %s, working set %.0f", workload, args, working_set);
  }
  return args == NULL ? workload : hp_format(&data->arena, "%s %s", workload, args);
}

static const char* case_title(hp_dataset* data, const hp_row* row) {
  const char* title = hp_workload_title(data, row);
  if (!hp_is_duet(row)) return title;
  return hp_format(&data->arena, "%s, duet of %.0f", title, hp_number(row, HP_duet));
}

// Letters, digits, ".", "_" and "-" of the title; a number makes it unique.
static const char* case_name(hp_dataset* data, const char* title, hp_names* names) {
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
  return hp_unique_name(names, &data->arena, name);
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
  hp_map case_keys;
  hp_map group_keys;
  size_t* group_at;  // by group key: its index in its case
  hp_map loose_keys;
  alike* alikes;  // by loose key
  hp_names names;
  hp_text key;  // scratch
  hp_text loose;
} grouping;

static alike* alike_of(grouping* g, const hp_row* row) {
  bool is_new;
  loose_key(&g->loose, row);
  size_t at = hp_map_put(&g->loose_keys, &g->data->arena, g->loose.data, &is_new);
  if (is_new) {
    g->alikes = hp_grow(&g->data->arena, g->alikes, at, sizeof(*g->alikes));
    g->alikes[at] = (alike){NULL, 0};
  }
  return &g->alikes[at];
}

// The case of the row, whose key is in g->key.
static hp_case* case_of(grouping* g, const hp_row* row) {
  hp_arena* arena = &g->data->arena;
  bool is_new;
  size_t at = hp_map_put(&g->case_keys, arena, g->key.data, &is_new);
  if (!is_new) return &g->cases.at[at];
  alike* others = alike_of(g, row);
  others->cases = hp_grow(arena, others->cases, others->count, sizeof(*others->cases));
  others->cases[others->count++] = at;
  g->cases.at = hp_grow(arena, g->cases.at, g->cases.count, sizeof(hp_case));
  hp_case* one = &g->cases.at[g->cases.count++];
  const char* title = case_title(g->data, row);
  *one = (hp_case){.title = title, .sample = row};
  one->name = case_name(g->data, title, &g->names);
  return one;
}

// The group of the row in its case, whose key is in g->key; that is used up.
static hp_group* group_of(grouping* g, hp_case* one, const hp_row* row) {
  const char* phase = hp_string(row, HP_phase);
  const char* host = hp_string(row, HP_host_id);
  bool is_new;
  hp_printf(&g->key, "\n%s\n%s", or_empty(phase), or_empty(host));
  size_t at = hp_map_put(&g->group_keys, &g->data->arena, g->key.data, &is_new);
  if (!is_new) return &one->groups[g->group_at[at]];
  g->group_at = hp_grow(&g->data->arena, g->group_at, at, sizeof(*g->group_at));
  g->group_at[at] = one->group_count;
  one->groups = hp_grow(&g->data->arena, one->groups, one->group_count, sizeof(*one->groups));
  hp_group* group = &one->groups[one->group_count++];
  *group = (hp_group){.phase = phase, .host = host};
  group->label = label_of(g->data, phase, host);
  return group;
}

static void add_run(hp_dataset* data, hp_group* group, const hp_row* row) {
  if (hp_has_failed(row)) {
    group->failed++;
  } else if (row->kind == HP_MEAN) {
    group->mean = row;
  } else {
    group->runs = hp_grow(&data->arena, group->runs, group->run_count, sizeof(*group->runs));
    group->runs[group->run_count++] = row;
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
static void choose_baselines(hp_case* one, hp_arena* arena) {
  if (one->group_count == 0) return;
  hp_group* first = &one->groups[baseline_index(one)];
  hp_map hosts = {0};
  const hp_group** by_host = NULL;
  bool is_new;
  first->is_baseline = true;
  for (size_t i = 0; i < one->group_count; i++) {
    hp_group* group = &one->groups[i];
    if (group->phase != first->phase) continue;
    size_t at = hp_map_put(&hosts, arena, or_empty(group->host), &is_new);
    if (is_new) by_host = hp_grow(arena, by_host, at, sizeof(*by_host));
    by_host[at] = group;
  }
  for (size_t i = 0; i < one->group_count; i++) {
    size_t at = hp_map_get(&hosts, or_empty(one->groups[i].host), SIZE_MAX);
    if (at != SIZE_MAX) one->groups[i].baseline = by_host[at];
  }
  hp_map_free(&hosts);
}

static void add_to_case(grouping* g, const hp_row* row) {
  case_key(&g->key, row);
  hp_case* one = case_of(g, row);
  add_run(g->data, group_of(g, one, row), row);
}

static void add_failed(grouping* g, const hp_row* row) {
  const alike* others = alike_of(g, row);
  case_key(&g->key, row);
  bool has_case = hp_map_get(&g->case_keys, g->key.data, SIZE_MAX) != SIZE_MAX;
  if (has_case || others->count == 0 || others->count > ALIKE_MAX) {
    add_to_case(g, row);
    return;
  }
  for (size_t i = 0; i < others->count; i++) {
    hp_case* one = &g->cases.at[others->cases[i]];
    case_key(&g->key, one->sample);
    add_run(g->data, group_of(g, one, row), row);
  }
}

hp_cases hp_group_runs(hp_dataset* data) {
  grouping g = {.data = data};
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
    choose_baselines(one, &data->arena);
    for (size_t k = 0; k < one->group_count; k++) note_mixed(data, one, &one->groups[k]);
    if (g.cases.count == 1) one->name = "";
  }
  hp_map_free(&g.case_keys);
  hp_map_free(&g.group_keys);
  hp_map_free(&g.loose_keys);
  hp_names_free(&g.names);
  hp_text_free(&g.key);
  hp_text_free(&g.loose);
  return g.cases;
}
