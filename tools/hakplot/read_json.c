// A line of JSON: a record, a sample or a telemetry line of this project (they name their schema),
// or one count of `perf stat -j`. Keys that are not known are left out, so that newer writers can
// add some; a known key of the wrong kind is an error.

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "tools/hakplot/read.h"

typedef struct schema_rule {
  const char* name;
  hp_kind kind;
} schema_rule;

static const schema_rule kSchemas[] = {
    {"hakmem.workload.1", HP_RUN},  {"hakmem.record.1", HP_RUN},
    {"hakmem.sample.1", HP_SAMPLE}, {"hakmem.telemetry.1", HP_TELEMETRY},
    {"hakmem.profile.1", HP_PART},
};

static bool is_known_schema(const char* name, hp_kind* kind) {
  for (size_t i = 0; i < sizeof(kSchemas) / sizeof(kSchemas[0]); i++) {
    if (strcmp(name, kSchemas[i].name) != 0) continue;
    *kind = kSchemas[i].kind;
    return true;
  }
  return false;
}

// No allocator has more size classes; keys beyond are taken for something else.
enum { CLASSES_MAX = 1024 };

// "class_<N>_<part>" of a telemetry line; other keys change nothing.
static void take_class(hp_row* row, const char* key, double number) {
  unsigned index = 0;
  size_t at = 6;
  if (strncmp(key, "class_", 6) != 0) return;
  for (; key[at] >= '0' && key[at] <= '9' && index < CLASSES_MAX; at++) {
    index = index * 10 + (unsigned)(key[at] - '0');
  }
  if (at == 6 || key[at] != '_' || index >= CLASSES_MAX) return;
  // The keys of a class come together, so that it is mostly the last one.
  hp_class* class = row->class_count > 0 ? &row->classes[row->class_count - 1] : NULL;
  if (class == NULL || class->index != index) {
    class = hp_push(row->classes, row->class_count);
    *class = (hp_class){index, NAN, NAN, NAN};
  }
  const char* part = key + at + 1;
  if (strcmp(part, "block_bytes") == 0) class->block_bytes = number;
  if (strcmp(part, "live") == 0) class->live = number;
  if (strcmp(part, "capacity") == 0) class->capacity = number;
}

static double number_of(const json_t* value) {
  return json_is_boolean(value) ? json_boolean_value(value) : json_number_value(value);
}

// A run's own figures stand before what the telemetry in its record says under the same name.
static void take_value(hp_dataset* data, hp_row* row, hp_field field, const char* key,
                       const json_t* value) {
  bool is_own = strcmp(key, record_field_name(field)) == 0;
  if (!is_own && hp_find(row, field) != NULL) return;
  if (record_is_number(field)) {
    hp_set_number(row, field, number_of(value));
  } else {
    const char* text = json_string_value(value);
    if (text[0] != '\0') hp_set_text(row, field, hp_intern(data, text, strlen(text)));
  }
}

static bool take_record(hp_dataset* data, const char* file, size_t line, json_t* object,
                        hp_kind kind) {
  const char* key;
  json_t* value;
  hp_row* row = hp_add_row(data, kind, file, (uint32_t)line);
  json_object_foreach(object, key, value) {
    hp_field field = record_field(key);
    if (json_is_null(value)) continue;
    if (!record_fits(key, value)) {
      return hp_fail(data, file, line, "key \"%s\": expected %s or null", key,
                     record_is_number(field) ? "a number" : "a text");
    }
    if (field != HP_FIELD_COUNT) {
      take_value(data, row, field, key, value);
    } else if (kind == HP_TELEMETRY && json_is_number(value)) {
      take_class(row, key, number_of(value));
    }
  }
  return true;
}

static const char* text_of(const json_t* object, const char* key) {
  const char* text = json_string_value(json_object_get(object, key));
  return text != NULL ? text : "";
}

static double number_at(const json_t* object, const char* key, double missing) {
  const json_t* value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : missing;
}

static bool take_perf_count(hp_dataset* data, hp_perf_run* run, const json_t* object, size_t line) {
  static const char* const kParts[] = {"cpu",     "core",  "die",    "socket", "node",
                                       "cluster", "cache", "thread", "cgroup"};
  if (json_object_get(object, "event") == NULL) return true;  // one more metric of the event above
  const char* value = text_of(object, "counter-value");
  hp_perf_count count = {
      .interval_s = number_at(object, "interval", NAN),
      .part = "",
      .value = NAN,
      .unit = text_of(object, "unit"),
      .event = text_of(object, "event"),
      .error_percent = number_at(object, "variance", NAN),
      .running_percent = number_at(object, "pcnt-running", 100),
  };
  for (size_t i = 0; i < sizeof(kParts) / sizeof(kParts[0]) && count.part[0] == '\0'; i++) {
    count.part = text_of(object, kParts[i]);
  }
  if (value[0] != '<' && !hp_parse_number(value, &count.value)) {
    return hp_fail(data, run->file, line,
                   "key \"counter-value\": expected a number in quotes, \"<not counted>\" or "
                   "\"<not supported>\"%s",
                   hp_locale_cure(value, "; "));
  }
  hp_perf_add(run, &count, line);
  return true;
}

static bool take_object(hp_dataset* data, hp_perf_run* run, json_t* object, size_t line) {
  const json_t* schema = json_object_get(object, "schema");
  hp_kind kind;
  if (schema == NULL) {
    if (json_object_get(object, "event") == NULL &&
        json_object_get(object, "metric-value") == NULL) {
      return hp_fail(data, run->file, line,
                     "expected a \"schema\" of hakmem or an \"event\" of perf stat -j");
    }
    return take_perf_count(data, run, object, line);
  }
  hp_perf_end_run(run);
  // Events stand among the allocator's telemetry; no chart is made of them.
  if (json_is_string(schema) && strcmp(json_string_value(schema), "hakmem.event.1") == 0) {
    return true;
  }
  if (!json_is_string(schema) || !is_known_schema(json_string_value(schema), &kind)) {
    const char* name = json_is_string(schema) ? json_string_value(schema) : "not a text";
    return hp_fail(data, run->file, line,
                   "schema \"%.60s\": expected hakmem."
                   "{workload,record,sample,telemetry,event,profile}.1",
                   name);
  }
  return take_record(data, run->file, line, object, kind);
}

bool hp_read_json_line(hp_dataset* data, hp_perf_run* run, const char* line, size_t number) {
  json_error_t error;
  // Integers are read as reals: a seed may exceed what jansson's integers hold.
  json_t* object = json_loads(line, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
  bool is_good = false;
  if (json_is_object(object)) {
    is_good = take_object(data, run, object, number);
  } else if (object != NULL) {
    hp_fail(data, run->file, number, "expected one JSON object a line");
  } else {
    hp_fail(data, run->file, number, "expected one JSON object a line: %s (column %d)%s",
            error.text, error.column, hp_locale_cure(line, "; "));
  }
  json_decref(object);
  return is_good;
}
