// Lists as text and as JSON.

#include "tools/hakprof/listing.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hakplot/table.h"

const char* pf_amount(double value, const char* unit) {
  static const char* const kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t at = 0;
  if (isnan(value)) return "unknown";
  if (strcmp(unit, "bytes") != 0) return hp_format("%.0f", value);
  for (; fabs(value) >= 1000 && at < 4; at++) value /= 1024;
  return hp_format("%s %s", hp_number_text(value, at == 0 ? 1 : 3), kUnits[at]);
}

const char* pf_fit(const char* text, size_t columns) {
  if (hp_columns(text) <= columns) return text;
  enum { WIDE = 16 };
  const char* end = text;
  while (hp_columns(end) > (columns < WIDE ? 0 : columns / 2)) hp_next_rune(&end);
  return hp_format("%.*s…%s", (int)hp_prefix(text, columns - 1 - hp_columns(end)), text, end);
}

static const char* percent(double part, double whole) {
  if (!(part == part && whole != 0)) return "unknown";
  return hp_format("%.1f%%", 100 * part / whole);
}

static bool is_noise(const pf_row* row) { return fabs(row->values[0]) < 2 * sqrt(row->variance); }

static const char* cell(const pf_listing* list, const pf_row* row, const pf_column* column) {
  double value = row->values[column->value];
  const char* text;
  switch (column->kind) {
    case PF_AMOUNT:
      return pf_amount(value, list->unit);
    case PF_COUNT:
      return pf_amount(value, "count");
    case PF_CHANGE:
      text = pf_amount(value, list->unit);
      if (isnan(row->variance)) return hp_format("%s%s ?", value > 0 ? "+" : "", text);
      return hp_format("%s%s %s", value > 0 ? "+" : "", text, is_noise(row) ? "~" : " ");
    case PF_SHARE:
      return percent(value, list->total);
    case PF_PART:
      return percent(value, row->values[0]);
    case PF_ERROR:
      return value == 0 ? "" : percent(sqrt(row->variance), fabs(value));
  }
  return "";
}

// ---- text ----

static int by_size(const void* a, const void* b) {
  const double* left = (*(const pf_row* const*)a)->values;
  const double* right = (*(const pf_row* const*)b)->values;
  size_t at = fabs(left[0]) == fabs(right[0]) ? 1 : 0;
  return fabs(left[at]) > fabs(right[at]) ? -1 : fabs(left[at]) < fabs(right[at]);
}

static pf_row** sorted(const pf_listing* list) {
  pf_row** rows = hp_alloc((list->rows->count + 1) * sizeof(*rows));
  for (size_t i = 0; i < list->rows->count; i++) rows[i] = list->rows->at[i]->thing;
  if (!list->is_ordered) qsort(rows, list->rows->count, sizeof(*rows), by_size);
  return rows;
}

static bool is_listed(const pf_listing* list, const pf_row* row) {
  double whole = fmax(fabs(list->total), fabs(list->least_of));
  double most = fmax(fabs(row->values[0]), list->has_callers ? fabs(row->values[1]) / 10 : 0);
  return most > 0 && most >= list->least * whole;
}

// "name  place", what is further out to the right of what it calls.
static const char* frame_text(const pf_listing* list, const pf_row* row, size_t f) {
  enum { WIDTH = 44, BESIDE_MANY = 28, MANY = 6, NAME_LEAST = 16, INDENT_MOST = 20 };
  if (row->frame_count == 0) return "(no stack)";
  const char* place = row->frames[f]->place;
  size_t indent = f > 0 ? 2 : row->depth < INDENT_MOST ? row->depth : INDENT_MOST;
  size_t room = (list->column_count < MANY ? WIDTH : BESIDE_MANY) - indent;
  size_t wide = hp_columns(place) + 2;
  const char* name = row->frames[f]->function->name;
  size_t least = hp_columns(name) < NAME_LEAST ? hp_columns(name) : NAME_LEAST;
  bool has_place = wide > 2 && wide + least <= room;
  name = pf_fit(name, has_place ? room - wide : room);
  return hp_format("%*s%s%s%s", (int)indent, "", name, has_place ? "  " : "",
                   has_place ? place : "");
}

static void add_row(hp_table* table, const pf_listing* list, const pf_row* row) {
  hp_table_row* to = hp_table_row_add(table);
  to->cells[0] = frame_text(list, row, 0);
  for (size_t c = 0; c < list->column_count; c++) {
    to->cells[c + 1] = cell(list, row, &list->columns[c]);
  }
  for (size_t f = 1; f < row->frame_count; f++) {
    hp_table_row_add(table)->cells[0] = frame_text(list, row, f);
  }
}

void pf_listing_text(const pf_listing* list, size_t columns, FILE* text) {
  const pf_profile* profile = list->profile;
  pf_row** rows = sorted(list);
  size_t left_out = 0;
  const char* of = pf_base_name(profile->name);
  if (list->base != NULL) of = hp_format("%s since %s", of, pf_base_name(list->base->name));
  // More where blocks are used again: these samples come from few pages.
  hp_table table = {.title = hp_format("%s of %s: %s ± %s or more", list->value, of,
                                       pf_amount(list->total, list->unit),
                                       pf_amount(sqrt(list->variance), list->unit))};
  hp_table_column(&table, list->is_ordered ? "calls, outermost first" : "function");
  for (size_t c = 0; c < list->column_count; c++) {
    hp_table_column(&table, list->columns[c].header);
  }
  for (size_t i = 0; i < list->rows->count; i++) {
    if (is_listed(list, rows[i])) add_row(&table, list, rows[i]);
    left_out += !is_listed(list, rows[i]);
  }
  hp_table_footer(&table,
                  hp_format("One sample for each %s.", pf_amount(profile->interval, "bytes")));
  if (left_out > 0) {
    hp_table_footer(&table, hp_format("%zu more are too small to be listed (--least).", left_out));
  }
  hp_table_text(&table, columns, text);
}

// ---- JSON ----

static json_t* number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t* frames_json(const pf_row* row) {
  json_t* frames = json_array();
  for (size_t f = 0; f < row->frame_count; f++) {
    const pf_frame* frame = row->frames[f];
    json_array_append_new(
        frames, json_pack("{s:s, s:s, s:s, s:b}", "function", frame->function->name, "module",
                          frame->function->module, "place", frame->place, "inlined",
                          (int)frame->is_inlined));
  }
  return frames;
}

void pf_listing_json(const pf_listing* list, FILE* json) {
  pf_row** rows = sorted(list);
  json_t* array = json_array();
  for (size_t i = 0; i < list->rows->count; i++) {
    json_t* row = json_pack("{s:o, s:o}", "error", number(sqrt(rows[i]->variance)), "frames",
                            frames_json(rows[i]));
    if (list->is_ordered) json_object_set_new(row, "depth", json_integer((int)rows[i]->depth));
    for (size_t c = 0; c < list->column_count; c++) {
      const pf_column* column = &list->columns[c];
      if (column->key == NULL) continue;
      json_object_set_new(row, column->key, number(rows[i]->values[column->value]));
    }
    json_array_append_new(array, row);
  }
  json_t* all =
      json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "schema", "hakmem.profile.1",
                "command", list->command, "file", list->profile->name, "value", list->value, "unit",
                list->unit, "total", number(list->total), "error", number(sqrt(list->variance)),
                "interval_bytes", number(list->profile->interval), "rows", array);
  if (list->base != NULL) json_object_set_new(all, "base", json_string(list->base->name));
  json_dumpf(all, json, JSON_INDENT(1));
  fputc('\n', json);
  json_decref(all);
}
