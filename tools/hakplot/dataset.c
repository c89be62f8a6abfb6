// The dataset: rows, their values, notes and errors.

#include "tools/hakplot/dataset.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void hp_dataset_init(hp_dataset* data) {
  *data = (hp_dataset){.texts = hp_map_new(), .notes = hp_map_new()};
}

const char* hp_intern(hp_dataset* data, const char* text, size_t size) {
  return hp_put(data->texts, hp_clean(text, size), 0)->key;
}

hp_row* hp_add_row(hp_dataset* data, hp_kind kind, const char* file, uint32_t line) {
  hp_row* row = hp_push(data->rows, data->row_count);
  *row = (hp_row){.kind = kind, .file = file, .line = line};
  return row;
}

hp_value* hp_find(const hp_row* row, hp_field field) {
  for (size_t i = 0; i < row->value_count; i++) {
    if (row->values[i].field == field) return &row->values[i];
  }
  return NULL;
}

static hp_value* value_of(hp_row* row, hp_field field) {
  hp_value* value = hp_find(row, field);
  if (value != NULL) return value;
  value = hp_push(row->values, row->value_count);
  *value = (hp_value){.field = (uint16_t)field};
  return value;
}

void hp_set_number(hp_row* row, hp_field field, double number) {
  if (!isnan(number)) value_of(row, field)->number = number;
}

void hp_set_text(hp_row* row, hp_field field, const char* interned) {
  if (interned != NULL) value_of(row, field)->text = interned;
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
  hp_put(data->notes, hp_clean(text, strlen(text)), 0);
}

bool hp_fail(hp_dataset* data, const char* file, size_t line, const char* format, ...) {
  char message[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  char* clean = hp_clean(message, strlen(message));
  char* name = hp_clean(file, strlen(file));
  data->error =
      line == 0 ? hp_format("%s: %s", name, clean) : hp_format("%s:%zu: %s", name, line, clean);
  return false;
}
