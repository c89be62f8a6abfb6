// The table of options, and how each kind of value is read.

#define _GNU_SOURCE  // environ

#include "hakmem/options/options.h"

#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "hakmem/platform/line.h"
#include "hakmem/platform/standard_error.h"

typedef enum type { BYTES, MS, FLAG, CHOICE, TEXT } type_t;

typedef struct row {
  const char* name;
  type_t type;
  int64_t min, max, initial;
  const char* help;
} row_t;

static const row_t rows[HAK_N_OPTIONS] = {
#define HAK_OPTION(id, name, type, def, min, max, help) {name, type, min, max, def, help},
#include "hakmem/options/options.def"
#undef HAK_OPTION
};

// As hak_choice_t; always is 1 too, and never 0.
static const char* const choices[] = {"auto", "always", "never"};
static const char* const digits[] = {"auto", "1", "0"};
#define N_CHOICES (sizeof choices / sizeof choices[0])

#define TEXT_BYTES 256

// What the environment calls an option begins with this.
#define PREFIX "HAKMEM_"
#define PREFIX_BYTES (sizeof PREFIX - 1)

static int64_t numbers[HAK_N_OPTIONS] = {
#define HAK_OPTION(id, name, type, def, min, max, help) def,
#include "hakmem/options/options.def"
#undef HAK_OPTION
};
static char texts[HAK_N_OPTIONS][TEXT_BYTES];

static_assert(HAK_N_OPTIONS <= 15, "some fifteen options at the most");

int64_t hak_option_number(hak_option_t option) { return numbers[option]; }

const char* hak_option_text(hak_option_t option) {
  return texts[option][0] != '\0' ? texts[option] : NULL;
}

// ---- parsing ----

static bool parse_digits(const char** at, const char* end, int64_t* value) {
  bool negative = *at != end && **at == '-';
  const char* first = *at + negative;
  const char* p = first;
  int64_t v = 0;
  for (; p != end && *p >= '0' && *p <= '9'; p++) {
    if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v)) return false;
  }
  *at = p;
  *value = negative ? -v : v;
  return p != first;
}

static bool unit_is(const char* at, const char* end, const char* unit) {
  size_t length = strlen(unit);
  return (size_t)(end - at) == length && memcmp(at, unit, length) == 0;
}

bool hak_parse_bytes(const char* text, const char* text_end, int64_t* value) {
  if (!parse_digits(&text, text_end, value)) return false;
  int64_t unit = 1;
  if (unit_is(text, text_end, "K") || unit_is(text, text_end, "k")) {
    unit = 1024;
  } else if (unit_is(text, text_end, "M") || unit_is(text, text_end, "m")) {
    unit = INT64_C(1) << 20;
  } else if (unit_is(text, text_end, "G") || unit_is(text, text_end, "g")) {
    unit = INT64_C(1) << 30;
  } else if (text != text_end) {
    return false;
  }
  return !__builtin_mul_overflow(*value, unit, value);
}

bool hak_parse_ms(const char* text, const char* end, int64_t* value) {
  if (!parse_digits(&text, end, value)) return false;
  if (unit_is(text, end, "s")) return !__builtin_mul_overflow(*value, 1000, value);
  return text == end || unit_is(text, end, "ms");
}

static bool parse_choice(const char* text, int64_t* value) {
  for (size_t i = 0; i < N_CHOICES; i++) {
    if (strcmp(text, choices[i]) == 0 || strcmp(text, digits[i]) == 0) {
      *value = (int64_t)i;
      return true;
    }
  }
  return false;
}

static bool parse_number(const row_t* row, const char* text, int64_t* value) {
  const char* end = text + strlen(text);
  switch (row->type) {
    case BYTES:
      return hak_parse_bytes(text, end, value);
    case MS:
      return hak_parse_ms(text, end, value);
    case FLAG:
      return parse_digits(&text, end, value) && text == end;
    case CHOICE:
      return parse_choice(text, value);
    case TEXT:
      break;
  }
  return false;
}

static void append_number(hak_line_t* line, int64_t value) {
  if (value < 0) hak_line_text(line, "-");
  hak_line_number(line, (uint64_t)(value < 0 ? -value : value));
}

static void append_range(hak_line_t* line, const row_t* row) {
  if (row->type == CHOICE) {
    hak_line_text(line, "auto, always (1) or never (0)");
  } else if (row->type == TEXT) {
    hak_line_text(line, "at most 255 bytes");
  } else {
    append_number(line, row->min);
    hak_line_text(line, " to ");
    append_number(line, row->max);
    if (row->type == BYTES) hak_line_text(line, " bytes");
    if (row->type == MS) hak_line_text(line, " ms");
  }
}

void hak_option_begin_line(hak_option_t option, const char* value, hak_line_t* line) {
  hak_line_begin(line);
  hak_line_text(line, PREFIX);
  hak_line_text(line, rows[option].name);
  hak_line_text(line, "=");
  hak_line_text(line, value);
  hak_line_text(line, " ");
}

hak_cold void hak_option_refuse(hak_option_t option, const char* why) {
  hak_line_t line;
  hak_option_begin_line(option, texts[option], &line);
  hak_line_text(&line, why);
  hak_line_end(&line);
}

hak_cold static void refuse(hak_option_t option, const char* value) {
  hak_line_t line;
  hak_option_begin_line(option, value, &line);
  hak_line_text(&line, "is not understood or out of range (");
  append_range(&line, &rows[option]);
  hak_line_text(&line, "); the default is used");
  hak_line_end(&line);
}

bool hak_option_set(hak_option_t option, const char* value) {
  const row_t* row = &rows[option];
  if (row->type == TEXT) {
    size_t length = strlen(value);
    if (length >= TEXT_BYTES) {
      refuse(option, value);
      return false;
    }
    memcpy(texts[option], value, length + 1);
    return true;
  }
  int64_t number;
  bool valid = parse_number(row, value, &number) && number >= row->min && number <= row->max;
  if (option == HAK_OPTION_superslab_size) valid = valid && hak_is_power_of_two((size_t)number);
  if (!valid) {
    refuse(option, value);
    return false;
  }
  numbers[option] = number;
  return true;
}

// ---- the environment ----

// No misspelt option is longer.
#define NAME_BYTES 32

// Levenshtein's distance between a name of n bytes, NAME_BYTES at most, and an option's.
static unsigned distance(const char* name, size_t n, const char* option) {
  unsigned row[NAME_BYTES + 1];
  for (unsigned i = 0; i <= n; i++) row[i] = i;
  for (; *option != '\0'; option++) {
    unsigned diagonal = row[0]++;
    for (size_t i = 1; i <= n; i++) {
      unsigned replaced = diagonal + (name[i - 1] != *option);
      unsigned shorter = row[i - 1] < row[i] ? row[i - 1] : row[i];
      diagonal = row[i];
      row[i] = replaced <= shorter ? replaced : shorter + 1;
    }
  }
  return row[n];
}

// The option that a name of n bytes may be meant for; NULL when it is not like any.
static const row_t* closest(const char* name, size_t n) {
  const row_t* found = NULL;
  if (n > NAME_BYTES) return NULL;
  unsigned least = (unsigned)(n + 1) / 2;  // with more of it wrong, it is another word
  for (int i = 0; i < HAK_N_OPTIONS; i++) {
    unsigned changes = distance(name, n, rows[i].name);
    if (changes > least || (found != NULL && changes == least)) continue;
    least = changes;
    found = &rows[i];
  }
  return found;
}

hak_cold static void report_unknown(const char* name, size_t n) {
  const row_t* meant = closest(name, n);
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, PREFIX);
  hak_line_put(&line, name, n);
  hak_line_text(&line, " is not an option");
  if (meant != NULL) {
    hak_line_text(&line, " (did you mean " PREFIX);
    hak_line_text(&line, meant->name);
    hak_line_text(&line, "?)");
  }
  hak_line_text(&line, "; it is ignored");
  hak_line_end(&line);
}

static void load(const char* name, const char* end) {
  for (int i = 0; i < HAK_N_OPTIONS; i++) {
    if (!unit_is(name, end, rows[i].name)) continue;
    (void)hak_option_set((hak_option_t)i, end + 1);
    return;
  }
  report_unknown(name, (size_t)(end - name));
}

void hak_options_load(void) {
  hak_stderr_begin();
  if (getauxval(AT_SECURE) != 0 || environ == NULL) return;
  for (char** entry = environ; *entry != NULL; entry++) {
    if (strncmp(*entry, PREFIX, PREFIX_BYTES) != 0) continue;
    const char* name = *entry + PREFIX_BYTES;
    const char* end = strchr(name, '=');
    if (end != NULL) load(name, end);
  }
}

// ---- the table ----

static void append_default(hak_line_t* line, const row_t* row) {
  if (row->type == CHOICE) {
    hak_line_text(line, choices[row->initial]);
  } else if (row->type != TEXT) {
    append_number(line, row->initial);
  }
}

void hak_options_document(void (*emit)(const char* line, void* context), void* context) {
  static const char* const types[] = {"bytes", "ms", "flag", "choice", "text"};
  emit("| option | type | default | range | meaning |", context);
  emit("| --- | --- | --- | --- | --- |", context);
  for (int i = 0; i < HAK_N_OPTIONS; i++) {
    const row_t* row = &rows[i];
    hak_line_t line = {.length = 0};
    const char* parts[] = {"| `HAKMEM_", row->name, "` | ", types[row->type], " | "};
    for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) hak_line_text(&line, parts[k]);
    append_default(&line, row);
    hak_line_text(&line, " | ");
    append_range(&line, row);
    hak_line_text(&line, " | ");
    hak_line_text(&line, row->help);
    hak_line_text(&line, " |");
    line.text[line.length] = '\0';
    emit(line.text, context);
  }
}
