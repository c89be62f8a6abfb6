// The reports, one function each.

#include "tools/hakprof/reports.h"

#include <math.h>
#include <string.h>

int pf_need(pf_request* request, const pf_profile* profile, const char* name) {
  int type = pf_type_named(profile, name);
  const char* had = "";
  if (type != PF_NONE) return type;
  for (size_t i = 0; i < profile->type_count; i++) {
    had = hp_format("%s%s%s", had, i > 0 ? ", " : "", profile->types[i].name);
  }
  bool is_hakmem = strncmp(name, "freed_", 6) == 0 || strncmp(name, "peak_", 5) == 0;
  request->error = hp_format("%s: it has no %s, but %s%s", profile->name, name, had,
                             is_hakmem ? "; a profile that hakmem 0.1.0 or later has written "
                                         "(HAKMEM_PROFILE=512K,FILE.pb) has it"
                                       : "");
  return PF_NONE;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool begin(pf_request* request, pf_listing* list, const char* command,
                  const pf_column* columns, size_t column_count, int* type) {
  const pf_profile* profile = request->profile;
  *type = pf_need(request, profile, request->value);
  if (*type == PF_NONE) return false;
  *list = (pf_listing){.command = command,
                       .profile = profile,
                       .value = request->value,
                       .unit = profile->types[*type].unit,
                       .columns = columns,
                       .column_count = column_count,
                       .rows = hp_map_new()};
  return true;
}

// ---- by function ----

bool pf_report_top(pf_request* request, pf_listing* list) {
  static const pf_column kColumns[] = {{"self", "self", PF_AMOUNT, 0},
                                       {"±", NULL, PF_ERROR, 0},
                                       {"%", NULL, PF_SHARE, 0},
                                       {"with calls", "total", PF_AMOUNT, 1},
                                       {"%", NULL, PF_SHARE, 1}};
  int type;
  if (!begin(request, list, "top", kColumns, COUNT(kColumns), &type)) return false;
  list->has_callers = true;
  for (size_t i = 0; i < request->profile->sample_count; i++) {
    const pf_sample* sample = &request->profile->samples[i];
    double value = sample->values[type];
    double variance = pf_variance(request->profile, sample, type);
    list->total += value;
    list->variance += variance;
    for (size_t f = 0; f < sample->frame_count && value != 0; f++) {
      const pf_function* function = sample->frames[f]->function;
      pf_row* row =
          hp_put(list->rows, hp_format("%s\t%s", function->name, function->module), sizeof(*row))
              ->thing;
      if (row->frame_count == 0) {
        pf_frame* frame = hp_alloc(sizeof(*frame));
        *frame = (pf_frame){.function = function, .place = ""};
        *hp_push(row->frames, row->frame_count) = frame;
      }
      if (f == 0) row->values[0] += value;
      if (f == 0) row->variance += variance;
      if (row->seen != i + 1) row->values[1] += value;
      row->seen = i + 1;
    }
  }
  return true;
}

// ---- as a tree ----

static void add_node(pf_listing* list, const pf_node* node, size_t depth) {
  pf_row* row = hp_put(list->rows, hp_format("%zu", list->rows->count), sizeof(*row))->thing;
  pf_frame* frame = hp_alloc(sizeof(*frame));
  *frame = (pf_frame){.function = node->frame->function, .place = ""};
  *row = (pf_row){.depth = depth, .values = {node->value}, .variance = node->variance};
  *hp_push(row->frames, row->frame_count) = frame;
  // What has one child that has all of it stands above it: the depth grows where paths part.
  size_t step = node->child_count == 1 && node->children[0]->value == node->value ? 0 : 1;
  for (size_t i = 0; i < node->child_count; i++) add_node(list, node->children[i], depth + step);
}

bool pf_report_tree(pf_request* request, pf_listing* list) {
  static const pf_column kColumns[] = {
      {"with calls", "total", PF_AMOUNT, 0}, {"±", NULL, PF_ERROR, 0}, {"%", NULL, PF_SHARE, 0}};
  int type;
  pf_node root = {0};
  if (!begin(request, list, "tree", kColumns, COUNT(kColumns), &type)) return false;
  pf_tree_add(&root, request->profile, type, false);
  pf_tree_sort(&root);
  list->is_ordered = true;
  list->total = root.value;
  list->variance = root.variance;
  for (size_t i = 0; i < root.child_count; i++) add_node(list, root.children[i], 0);
  return true;
}

// ---- by site ----

static pf_row* site_of(pf_listing* list, const pf_sample* sample, size_t frames) {
  size_t count = sample->frame_count < frames ? sample->frame_count : frames;
  const char* key = "";
  for (size_t i = 0; i < count; i++) {
    const pf_frame* frame = sample->frames[i];
    key = hp_format("%s%s\t%s\t%s\n", key, frame->function->name, frame->function->module,
                    frame->place);
  }
  pf_row* row = hp_put(list->rows, key, sizeof(*row))->thing;
  row->frames = sample->frames;
  row->frame_count = count;
  return row;
}

// Adds what the samples have of a type to a value of their sites; with a sign, to the first value
// and the totals too.
static void add_sites(pf_listing* list, const pf_request* request, const pf_profile* profile,
                      int type, size_t value, int sign) {
  for (size_t i = 0; i < profile->sample_count; i++) {
    const pf_sample* sample = &profile->samples[i];
    double held = sample->values[type];
    if (held == 0) continue;
    pf_row* row = site_of(list, sample, request->frames);
    row->values[value] += held;
    if (sign == 0) continue;
    double variance = pf_variance(profile, sample, type);
    if (value != 0) row->values[0] += sign * held;
    row->variance += variance;
    list->total += sign * held;
    list->variance += variance;
  }
}

bool pf_report_leaks(pf_request* request, pf_listing* list) {
  static const pf_column kColumns[] = {{"lives", "bytes", PF_AMOUNT, 0},
                                       {"±", NULL, PF_ERROR, 0},
                                       {"%", NULL, PF_SHARE, 0},
                                       {"blocks", "blocks", PF_COUNT, 1}};
  int type;
  request->value = "inuse_space";
  if (!begin(request, list, "leaks", kColumns, COUNT(kColumns), &type)) return false;
  int blocks = pf_need(request, request->profile, "inuse_objects");
  if (blocks == PF_NONE) return false;
  add_sites(list, request, request->profile, type, 0, 1);
  add_sites(list, request, request->profile, blocks, 1, 0);
  return true;
}

bool pf_report_diff(pf_request* request, pf_listing* list) {
  static const pf_column kColumns[] = {{"change", "change", PF_CHANGE, 0},
                                       {"before", "before", PF_AMOUNT, 1},
                                       {"after", "after", PF_AMOUNT, 2}};
  int type, before = pf_need(request, request->base, request->value);
  if (before == PF_NONE || !begin(request, list, "diff", kColumns, COUNT(kColumns), &type))
    return false;
  list->base = request->base;
  add_sites(list, request, request->base, before, 1, -1);
  list->least_of = -list->total;
  add_sites(list, request, request->profile, type, 2, 1);
  return true;
}

bool pf_report_lifetimes(pf_request* request, pf_listing* list) {
  static const char* const kTypes[] = {"freed_1ms_space", "freed_1s_space", "freed_1min_space",
                                       "freed_later_space", "inuse_space"};
  static const pf_column kColumns[] = {
      {"allocated", "allocated", PF_AMOUNT, 0}, {"<1 ms", "freed_1ms", PF_PART, 1},
      {"<1 s", "freed_1s", PF_PART, 2},         {"<1 min", "freed_1min", PF_PART, 3},
      {"later", "freed_later", PF_PART, 4},     {"lives", "inuse", PF_PART, 5}};
  int type;
  request->value = "alloc_space";
  if (!begin(request, list, "lifetimes", kColumns, COUNT(kColumns), &type)) return false;
  for (size_t i = 0; i < 5; i++) {
    type = pf_need(request, request->profile, kTypes[i]);
    if (type == PF_NONE) return false;
    add_sites(list, request, request->profile, type, i + 1, 1);
  }
  return true;
}

// ---- collapsed stacks ----

bool pf_write_folded(pf_request* request, FILE* text) {
  int type = pf_need(request, request->profile, request->value);
  if (type == PF_NONE) return false;
  for (size_t i = 0; i < request->profile->sample_count; i++) {
    const pf_sample* sample = &request->profile->samples[i];
    if (sample->values[type] == 0) continue;
    if (sample->frame_count == 0) fputs("[no stack]", text);
    for (size_t f = sample->frame_count; f > 0; f--) {
      // The sign that parts frames.
      for (const char* at = sample->frames[f - 1]->function->name; *at != '\0'; at++) {
        fputc(*at == ';' ? ':' : *at, text);
      }
      if (f > 1) fputc(';', text);
    }
    fprintf(text, " %.0f\n", sample->values[type]);
  }
  return true;
}
