// The schema of records, for those who write them and those who read them: every key that more than
// one program must understand, and whether it is a number or a text (record_schema.def). A key that
// is not there belongs to its writer alone.

#ifndef HAKMEM_TOOLS_COMMON_RECORD_SCHEMA_H_
#define HAKMEM_TOOLS_COMMON_RECORD_SCHEMA_H_

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

// By the names of record_schema.def: HP_mops, HP_phase. Numbers come first.
typedef enum hp_field {
#define NUMBER(name) HP_##name,
#define TEXT(name) HP_##name,
#include "tools/common/record_schema.def"
#undef NUMBER
#undef TEXT
  HP_FIELD_COUNT
} hp_field;

// The field that a key of a record names, or HP_FIELD_COUNT. A record holds the allocator's
// telemetry under the prefix "telemetry_": these keys name the fields without it.
hp_field record_field(const char* key);
const char* record_field_name(hp_field field);
static inline bool record_is_number(hp_field field) { return field < HP_workload; }

// Whether the key may have this value; null is always allowed.
bool record_fits(const char* key, const json_t* value);

#endif  // HAKMEM_TOOLS_COMMON_RECORD_SCHEMA_H_
