// The schema of records as a table: names to fields, and which values a field may have.

#include "tools/common/record_schema.h"

#include <stdlib.h>
#include <string.h>

static const char* const kNames[] = {
#define NUMBER(name) #name,
#define TEXT(name) #name,
#include "tools/common/record_schema.def"
#undef NUMBER
#undef TEXT
};

static const char kTelemetry[] = "telemetry_";

const char* record_field_name(hp_field field) { return kNames[field]; }

static int by_name(const void* a, const void* b) {
  return strcmp(kNames[*(const hp_field*)a], kNames[*(const hp_field*)b]);
}

static int to_name(const void* name, const void* field) {
  return strcmp(name, kNames[*(const hp_field*)field]);
}

static hp_field find(const char* name) {
  static hp_field sorted[HP_FIELD_COUNT];
  if (sorted[0] == sorted[1]) {
    for (size_t i = 0; i < HP_FIELD_COUNT; i++) sorted[i] = (hp_field)i;
    qsort(sorted, HP_FIELD_COUNT, sizeof(sorted[0]), by_name);
  }
  const hp_field* found = bsearch(name, sorted, HP_FIELD_COUNT, sizeof(sorted[0]), to_name);
  return found != NULL ? *found : HP_FIELD_COUNT;
}

hp_field record_field(const char* key) {
  hp_field field = find(key);
  bool is_telemetry = strncmp(key, kTelemetry, sizeof(kTelemetry) - 1) == 0;
  return field == HP_FIELD_COUNT && is_telemetry ? find(key + sizeof(kTelemetry) - 1) : field;
}

bool record_fits(const char* key, const json_t* value) {
  hp_field field = record_field(key);
  if (field == HP_FIELD_COUNT || json_is_null(value)) return true;
  return record_is_number(field) ? json_is_number(value) || json_is_boolean(value)
                                 : json_is_string(value);
}
