// The dataset: rows, their values, notes and errors, all in one arena.

#include "tools/hakplot/dataset.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void hp_dataset_init(hp_dataset* data) { *data = (hp_dataset){0}; }

void hp_dataset_free(hp_dataset* data) {
  hp_map_free(&data->texts);
  hp_map_free(&data->notes_seen);
  hp_arena_free(&data->arena);
}

const char* hp_intern(hp_dataset* data, const char* text, size_t size) {
  bool is_new;
  char* clean = hp_clean(&data->arena, text, size);
  size_t at = hp_map_put(&data->texts, &data->arena, clean, &is_new);
  return data->texts.keys[at];
}

hp_row* hp_add_row(hp_dataset* data, hp_kind kind, const char* file, uint32_t line) {
  data->rows = hp_grow(&data->arena, data->rows, data->row_count, sizeof(*data->rows));
  hp_row* row = &data->rows[data->row_count++];
  *row = (hp_row){.kind = kind, .file = file, .line = line};
  return row;
}

hp_value* hp_find(const hp_row* row, hp_field field) {
  for (size_t i = 0; i < row->value_count; i++) {
    if (row->values[i].field == field) return &row->values[i];
  }
  return NULL;
}

static hp_value* value_of(hp_dataset* data, hp_row* row, hp_field field) {
  hp_value* value = hp_find(row, field);
  if (value != NULL) return value;
  row->values = hp_grow(&data->arena, row->values, row->value_count, sizeof(*row->values));
  value = &row->values[row->value_count++];
  *value = (hp_value){.field = (uint16_t)field};
  return value;
}

void hp_set_number(hp_dataset* data, hp_row* row, hp_field field, double number) {
  if (!isnan(number)) value_of(data, row, field)->number = number;
}

void hp_set_text(hp_dataset* data, hp_row* row, hp_field field, const char* interned) {
  if (interned != NULL) value_of(data, row, field)->text = interned;
}

double hp_number(const hp_row* row, hp_field field) {
  const hp_value* value = hp_find(row, field);
  return value != NULL ? value->number : NAN;
}

const char* hp_string(const hp_row* row, hp_field field) {
  const hp_value* value = hp_find(row, field);
  return value != NULL ? value->text : NULL;
}

bool hp_has_failed(const hp_row* row) {
  const char* status = hp_string(row, HP_status);
  return status != NULL && strcmp(status, "ok") != 0;
}

void hp_note(hp_dataset* data, const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  bool is_new;
  char* clean = hp_clean(&data->arena, text, strlen(text));
  size_t at = hp_map_put(&data->notes_seen, &data->arena, clean, &is_new);
  if (!is_new) return;
  data->notes = hp_grow(&data->arena, data->notes, data->note_count, sizeof(*data->notes));
  data->notes[data->note_count++] = data->notes_seen.keys[at];
}

bool hp_fail(hp_dataset* data, const char* file, size_t line, const char* format, ...) {
  char message[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  char* clean = hp_clean(&data->arena, message, strlen(message));
  char* name = hp_clean(&data->arena, file, strlen(file));
  data->error = line == 0 ? hp_format(&data->arena, "%s: %s", name, clean)
                          : hp_format(&data->arena, "%s:%zu: %s", name, line, clean);
  return false;
}
