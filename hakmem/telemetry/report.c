// Figures written by table: one walk over stats.def for each format.

#include "hakmem/telemetry/report.h"

#include <string.h>

#include "hakmem/base/size_class.h"
#include "hakmem/platform/platform.h"

typedef enum kind { COUNTER, GAUGE } kind_t;
typedef enum unit { COUNT, BYTES, NS, SECONDS, SHARE } unit_t;

typedef struct figure {
  const char* name;
  size_t offset;  // in hak_snapshot_t, hak_kernel_stats or hak_class_stats
  kind_t kind;
  unit_t unit;
  const char* absent;
  const char* meaning;
} figure_t;

static const figure_t figures[] = {
#define HAK_FIGURE(name, member, kind, unit, absent, meaning) \
  {#name, offsetof(hak_snapshot_t, member), kind, unit, absent, meaning},
#include "hakmem/telemetry/stats.def"
};

typedef struct part {
  const char* name;
  size_t offset;  // in hak_snapshot_t
  const char* meaning;
} part_t;

static const part_t calls[] = {
#define HAK_KERNEL_CALL(KIND, name) {#name, offsetof(hak_snapshot_t, stats.name), ""},
#include "hakmem/platform/kernel_calls.def"
};

static const figure_t call_figures[] = {
#define HAK_CALL_FIGURE(member, unit, meaning) \
  {#member, offsetof(hak_kernel_stats, member), COUNTER, unit, "", meaning},
#include "hakmem/telemetry/stats.def"
};

static const part_t reasons[] = {
#define HAK_REASON(reason, meaning) \
  {#reason, offsetof(hak_snapshot_t, retention.reason##_bytes), meaning},
#include "hakmem/telemetry/stats.def"
};

static const figure_t class_figures[] = {
#define HAK_CLASS_FIGURE(member, kind, unit, meaning) \
  {#member, offsetof(hak_class_stats, member), kind, unit, "", meaning},
#include "hakmem/telemetry/stats.def"
};

#define N(table) (sizeof(table) / sizeof((table)[0]))

// Below this much CPU time its division into user and system is mostly chance.
#define SHARE_MIN_NS UINT64_C(200000000)

static uint64_t value_at(const void* structure, size_t offset) {
  uint64_t value;
  memcpy(&value, (const char*)structure + offset, sizeof value);
  return value;
}

// Parts in a million; HAK_UNKNOWN when there is too little to say.
static uint64_t share_of(uint64_t ns, const hak_stats* stats) {
  if (stats->user_ns == HAK_UNKNOWN || stats->system_ns == HAK_UNKNOWN) return HAK_UNKNOWN;
  uint64_t all_ns = stats->user_ns + stats->system_ns;
  return all_ns < SHARE_MIN_NS ? HAK_UNKNOWN : (uint64_t)((double)ns * 1e6 / (double)all_ns);
}

static uint64_t figure_value(const hak_snapshot_t* snapshot, const figure_t* figure) {
  uint64_t value = value_at(snapshot, figure->offset);
  return figure->unit == SHARE ? share_of(value, &snapshot->stats) : value;
}

// A class that has, or has had, anything to do.
static bool is_in_use(const hak_class_stats* class_stats) {
  return class_stats->slabs != 0 || class_stats->taken != 0 || class_stats->exhaustions != 0;
}

// ---- JSON ----

// Of parts, so that no name has to be put together elsewhere first.
#define put_key(text, ...) put_key_parts(text, (const char* const[]){__VA_ARGS__, NULL})

static void put_key_parts(hak_text_t* text, const char* const* parts) {
  hak_text_string(text, ",\"");
  for (; *parts != NULL; parts++) hak_text_string(text, *parts);
  hak_text_string(text, "\":");
}

static void put_value(hak_text_t* text, unit_t unit, uint64_t value) {
  if (value == HAK_UNKNOWN) {
    hak_text_string(text, "null");
  } else if (unit == SECONDS) {
    hak_text_decimal(text, value, 9);
  } else if (unit == SHARE) {
    hak_text_decimal(text, value, 6);
  } else {
    hak_text_number(text, value);
  }
}

static void put_json_string(hak_text_t* text, const char* string) {
  hak_text_string(text, "\"");
  hak_text_json(text, string);
  hak_text_string(text, "\"");
}

// What a class number is within names and labels.
typedef struct ordinal {
  char digits[8];
} ordinal_t;

static ordinal_t ordinal_of(uint64_t number) {
  char digits[20];
  size_t n = hak_digits(digits + sizeof digits, number, 10);
  ordinal_t ordinal = {{0}};
  memcpy(ordinal.digits, digits + sizeof digits - n, hak_min_size(n, sizeof ordinal.digits - 1));
  return ordinal;
}

static void put_class(hak_text_t* text, unsigned size_class, const hak_class_stats* class_stats) {
  ordinal_t ordinal = ordinal_of(size_class);
  for (size_t i = 0; i < N(class_figures); i++) {
    put_key(text, "class_", ordinal.digits, "_", class_figures[i].name);
    put_value(text, class_figures[i].unit, value_at(class_stats, class_figures[i].offset));
  }
}

static void put_call(hak_text_t* text, const hak_snapshot_t* snapshot, const part_t* call) {
  for (size_t i = 0; i < N(call_figures); i++) {
    put_key(text, "kernel_", call->name, "_", call_figures[i].name);
    put_value(text, call_figures[i].unit,
              value_at(snapshot, call->offset + call_figures[i].offset));
  }
}

void hak_report_json(hak_text_t* text, const hak_snapshot_t* snapshot,
                     const hak_report_head_t* head) {
  hak_text_string(text, "{\"schema\":\"hakmem.telemetry.1\"");
  put_key(text, "sequence");
  put_value(text, COUNT, head->sequence);
  put_key(text, "time_ns");
  put_value(text, NS, snapshot->stats.time_ns);
  put_key(text, "pid");
  put_value(text, COUNT, head->pid);
  if (head->phase != NULL && head->phase[0] != '\0') {
    put_key(text, "phase");
    put_json_string(text, head->phase);
  }
  for (size_t i = 0; i < N(figures); i++) {
    put_key(text, figures[i].name);
    put_value(text, figures[i].unit, figure_value(snapshot, &figures[i]));
  }
  for (size_t i = 0; i < N(calls); i++) put_call(text, snapshot, &calls[i]);
  for (size_t i = 0; i < N(reasons); i++) {
    put_key(text, "retained_", reasons[i].name, "_bytes");
    put_value(text, BYTES, value_at(snapshot, reasons[i].offset));
  }
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    if (is_in_use(&snapshot->classes[c])) put_class(text, c, &snapshot->classes[c]);
  }
  hak_text_string(text, "}\n");
}

static void put_optional_number(hak_text_t* text, const char* key, uint64_t value) {
  if (value == 0) return;
  put_key(text, key);
  hak_text_number(text, value);
}

void hak_report_event(hak_text_t* text, const hak_event_t* event, uint64_t pid) {
  bool is_failure = event->kind == HAK_EVENT_KERNEL_FAILED;
  hak_text_string(text, "{\"schema\":\"hakmem.event.1\"");
  put_key(text, "sequence");
  hak_text_number(text, event->sequence);
  put_key(text, "time_ns");
  hak_text_number(text, event->time_ns);
  put_key(text, "pid");
  hak_text_number(text, pid);
  put_key(text, "event");
  put_json_string(text, hak_event_name((hak_event_kind_t)event->kind));
  put_key(text, "thread");
  hak_text_number(text, event->thread);
  if (is_failure) {
    put_key(text, "call");
    put_json_string(text, hak_platform_kind_name((hak_kernel_kind_t)event->size_class));
    put_key(text, "errno");
    hak_text_number(text, (uint64_t)event->detail);
  } else if (event->size_class != 0) {
    put_optional_number(text, "class", event->size_class);
    put_optional_number(text, "block_bytes", hak_class_info(event->size_class)->block_bytes);
  }
  put_optional_number(text, "bytes", event->bytes);
  if (event->address != 0) {
    char hex[16];
    size_t n = hak_digits(hex + sizeof hex, event->address, 16);
    put_key(text, "address");
    hak_text_string(text, "\"0x");
    hak_text_put(text, hex + sizeof hex - n, n);
    hak_text_string(text, "\"");
  }
  hak_text_string(text, "}\n");
}

// ---- OpenMetrics ----

// What a family is called: hakmem_<prefix><name>, its unit at the end. A name that ends in the
// short form of a unit (user_s, ns) has it written out.
typedef struct family {
  const char* prefix;
  const char* name;
  size_t name_length;  // without the short form
  const char* unit;    // NULL: none
  bool unit_is_added;  // the name does not end in it yet
  kind_t kind;
} family_t;

static bool ends_in(const char* name, const char* ending) {
  size_t length = strlen(name), n = strlen(ending);
  return length >= n && strcmp(name + length - n, ending) == 0;
}

static family_t family_of(const char* prefix, const char* name, kind_t kind, unit_t unit) {
  family_t family = {prefix, name, strlen(name), NULL, false, kind};
  if (unit == BYTES) {
    family.unit = "bytes";
    family.unit_is_added = !ends_in(name, "bytes");
  } else if (unit == SECONDS || unit == NS) {
    family.unit = "seconds";
    family.unit_is_added = true;
    family.name_length -= unit == NS ? strlen("ns") : strlen("_s");
  } else if (unit == SHARE) {
    family.unit = "ratio";
    family.unit_is_added = true;
  }
  return family;
}

static void put_family(hak_text_t* text, const family_t* family, bool with_total) {
  hak_text_string(text, "hakmem_");
  hak_text_string(text, family->prefix);
  hak_text_put(text, family->name, family->name_length);
  if (family->unit_is_added) {
    if (family->name_length != 0) hak_text_string(text, "_");
    hak_text_string(text, family->unit);
  }
  if (with_total && family->kind == COUNTER) hak_text_string(text, "_total");
}

static void put_description(hak_text_t* text, const family_t* family, hak_exposition_t format,
                            const char* meaning) {
  bool with_total = format == HAK_PROMETHEUS_TEXT;
  hak_text_string(text, "# HELP ");
  put_family(text, family, with_total);
  hak_text_string(text, " ");
  hak_text_string(text, meaning);
  hak_text_string(text, "\n# TYPE ");
  put_family(text, family, with_total);
  hak_text_string(text, family->kind == COUNTER ? " counter\n" : " gauge\n");
  if (family->unit == NULL || format != HAK_OPEN_METRICS) return;
  hak_text_string(text, "# UNIT ");
  put_family(text, family, false);
  hak_text_string(text, " ");
  hak_text_string(text, family->unit);
  hak_text_string(text, "\n");
}

// A sample, without a value nothing. `labels` is what stands between the braces, in parts.
#define put_sample(text, family, unit, value, ...) \
  put_sample_parts(text, family, unit, value, (const char* const[]){__VA_ARGS__, NULL})

static void put_sample_parts(hak_text_t* text, const family_t* family, unit_t unit, uint64_t value,
                             const char* const* labels) {
  if (value == HAK_UNKNOWN) return;
  put_family(text, family, true);
  if (labels[0][0] != '\0') {
    hak_text_string(text, "{");
    for (; *labels != NULL; labels++) hak_text_string(text, *labels);
    hak_text_string(text, "}");
  }
  hak_text_string(text, " ");
  put_value(text, unit == NS ? SECONDS : unit, value);
  hak_text_string(text, "\n");
}

static void put_plain_families(hak_text_t* text, const hak_snapshot_t* snapshot,
                               hak_exposition_t format) {
  for (size_t i = 0; i < N(figures); i++) {
    const figure_t* figure = &figures[i];
    uint64_t value = figure_value(snapshot, figure);
    if (value == HAK_UNKNOWN) continue;
    family_t family = family_of("", figure->name, figure->kind, figure->unit);
    put_description(text, &family, format, figure->meaning);
    put_sample(text, &family, figure->unit, value, "");
  }
}

static void put_call_families(hak_text_t* text, const hak_snapshot_t* snapshot,
                              hak_exposition_t format) {
  for (size_t i = 0; i < N(call_figures); i++) {
    const figure_t* figure = &call_figures[i];
    family_t family = family_of("kernel_", figure->name, COUNTER, figure->unit);
    put_description(text, &family, format, figure->meaning);
    for (size_t call = 0; call < N(calls); call++) {
      put_sample(text, &family, figure->unit,
                 value_at(snapshot, calls[call].offset + figure->offset), "call=\"",
                 calls[call].name, "\"");
    }
  }
}

static void put_class_families(hak_text_t* text, const hak_snapshot_t* snapshot,
                               hak_exposition_t format) {
  for (size_t i = 0; i < N(class_figures); i++) {
    const figure_t* figure = &class_figures[i];
    family_t family = family_of("class_", figure->name, figure->kind, figure->unit);
    put_description(text, &family, format, figure->meaning);
    for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
      const hak_class_stats* class_stats = &snapshot->classes[c];
      if (!is_in_use(class_stats)) continue;
      ordinal_t number = ordinal_of(c), bytes = ordinal_of(hak_class_info(c)->block_bytes);
      put_sample(text, &family, figure->unit, value_at(class_stats, figure->offset), "class=\"",
                 number.digits, "\",size=\"", bytes.digits, "\"");
    }
  }
}

void hak_report_metrics(hak_text_t* text, const hak_snapshot_t* snapshot, hak_exposition_t format) {
  put_plain_families(text, snapshot, format);
  put_call_families(text, snapshot, format);
  family_t retained = family_of("", "retained_bytes", GAUGE, BYTES);
  put_description(text, &retained, format, "Memory that is held and not live, by reason.");
  for (size_t i = 0; i < N(reasons); i++) {
    put_sample(text, &retained, BYTES, value_at(snapshot, reasons[i].offset), "reason=\"",
               reasons[i].name, "\"");
  }
  put_class_families(text, snapshot, format);
  hak_text_string(text, "# EOF\n");
}

// ---- the tables ----

typedef struct document {
  void (*emit)(const char* line, void* context);
  void* context;
} document_t;

#define put_line(document, ...) put_line_parts(document, (const char* const[]){__VA_ARGS__, NULL})

static void put_line_parts(const document_t* document, const char* const* parts) {
  char buffer[400];
  hak_text_t line = {.buffer = buffer, .capacity = sizeof buffer - 1};
  for (; *parts != NULL; parts++) hak_text_string(&line, *parts);
  buffer[line.length] = '\0';
  document->emit(buffer, document->context);
}

static const char* unit_name(unit_t unit) {
  static const char* const names[] = {"", "bytes", "ns", "s", "fraction"};
  return names[unit];
}

static void put_row(const document_t* document, const char* prefix, const figure_t* figure) {
  put_line(document, "| `", prefix, figure->name, "` | ",
           figure->kind == COUNTER ? "counter" : "gauge", " | ", unit_name(figure->unit), " | ",
           figure->meaning, figure->absent[0] != '\0' ? " Null when " : "", figure->absent,
           figure->absent[0] != '\0' ? "." : "", " |");
}

static void put_rows(const document_t* document, const char* title, const char* prefix,
                     const figure_t* rows, size_t n) {
  put_line(document, "");
  put_line(document, title);
  put_line(document, "");
  put_line(document, "| field | kind | unit | meaning |");
  put_line(document, "| --- | --- | --- | --- |");
  for (size_t i = 0; i < n; i++) put_row(document, prefix, &rows[i]);
}

void hak_report_document(void (*emit)(const char* line, void* context), void* context) {
  document_t document = {emit, context};
  put_rows(&document, "The process and the allocator as a whole:", "", figures, N(figures));
  put_rows(&document, "For each kind of call into the kernel:", "kernel_<kind>_", call_figures,
           N(call_figures));
  put_line(&document, "");
  put_line(&document, "Kinds of call (`telemetry` is what the figures themselves cost):");
  put_line(&document, "");
  for (size_t i = 0; i < N(calls); i++) put_line(&document, "- `", calls[i].name, "`");
  put_line(&document, "");
  put_line(&document, "Why memory is held that is not live (gauges, bytes):");
  put_line(&document, "");
  put_line(&document, "| field | meaning |");
  put_line(&document, "| --- | --- |");
  for (size_t i = 0; i < N(reasons); i++) {
    put_line(&document, "| `retained_", reasons[i].name, "_bytes` | ", reasons[i].meaning, " |");
  }
  put_rows(&document, "For each size class in use, by its number:", "class_<N>_", class_figures,
           N(class_figures));
}
