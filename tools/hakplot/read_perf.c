// A line of `perf stat -x`, with every addition of -r, -I, -A, --per-socket and the like:
//
//   [interval] [part [cpus]] value unit event [error%] runtime running% [metric unit]
//
// The columns are found by shape, since perf has no header that says which there are.

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "tools/hakplot/read.h"

static const char kSeparators[] = ";|\t,";  // the comma last: events may hold it

const char* hp_locale_cure(const char* text, const char* before) {
  for (const char* at = text; (at = strchr(at, ',')) != NULL; at++) {
    if (at == text || !isdigit((unsigned char)at[-1]) || !isdigit((unsigned char)at[1])) continue;
    return hp_format("%snumbers with a decimal comma are ambiguous: record again with LC_ALL=C",
                     before);
  }
  return "";
}

static bool is_digits(const char* text) {
  return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static bool parse_value(const char* text, double* value) {
  *value = NAN;
  return strcmp(text, "<not counted>") == 0 || strcmp(text, "<not supported>") == 0 ||
         hp_parse_number(text, value);
}

// What stands before the value: an interval's end, the part of the machine, how many CPUs it has.
static bool parse_prefix(char* const* columns, size_t count, hp_perf_count* result) {
  size_t at = 0;
  result->interval_s = NAN;
  result->part = "";
  if (at < count && strchr(columns[at], '.') != NULL) {
    at += hp_parse_number(columns[at], &result->interval_s);
  }
  result->is_summary = at < count && strcmp(columns[at], "summary") == 0;
  at += result->is_summary;
  if (at < count) {
    result->part = columns[at++];
    if (result->part[0] == '\0' || isdigit((unsigned char)result->part[0])) return false;
  }
  return at == count || (at + 1 == count && is_digits(columns[at]));
}

// [error%] runtime running%. perf writes the last with two decimals; without them a decimal comma
// was taken for a separator.
static bool parse_tail(char* const* columns, size_t count, hp_perf_count* result) {
  size_t last = strlen(columns[0]);
  bool has_error = last > 1 && columns[0][last - 1] == '%';
  result->error_percent = NAN;
  if (has_error) {
    columns[0][last - 1] = '\0';
    if (!hp_parse_number(columns[0], &result->error_percent)) return false;
    columns++;
  }
  return count > (has_error ? 2 : 1) && is_digits(columns[0]) && strchr(columns[1], '.') != NULL &&
         hp_parse_number(columns[1], &result->running_percent);
}

// Takes the line apart in place.
static bool parse_line(char* line, hp_perf_count* result) {
  enum { COLUMNS_MAX = 32, VALUE_AT_MOST = 4 };
  char* columns[COLUMNS_MAX];
  size_t count = 0;
  const char* sign = kSeparators;
  while (*sign != '\0' && strchr(line, *sign) == NULL) sign++;
  const char separator[] = {*sign, '\0'};
  while (line != NULL && count < COLUMNS_MAX) columns[count++] = strsep(&line, separator);
  for (size_t at = 0; at <= VALUE_AT_MOST && at + 4 < count; at++) {
    result->unit = columns[at + 1];
    result->event = columns[at + 2];
    bool is_count = parse_value(columns[at], &result->value) &&
                    strpbrk(result->unit, "0123456789.<") == NULL &&
                    isalpha((unsigned char)result->event[0]);
    if (!is_count || !parse_prefix(columns, at, result)) continue;
    // A raw event such as cpu/event=0x3c,umask=0x1/ may hold the separator: it is put back.
    for (size_t tail = at + 3; tail + 1 < count; columns[tail++][-1] = *sign) {
      if (parse_tail(&columns[tail], count - tail, result)) return true;
    }
  }
  return false;
}

bool hp_read_perf_line(hp_dataset* data, hp_perf_run* run, const char* line, size_t number) {
  hp_perf_count count;
  // Further metrics of the event above: its first columns are empty.
  if (strchr(kSeparators, line[0]) != NULL) return true;
  if (parse_line(hp_copy(line, strlen(line)), &count)) {
    hp_perf_add(run, &count, number);
    return true;
  }
  return hp_fail(data, run->file, number,
                 "expected JSON or a line of perf stat -x';' (its text for people is not read)%s; "
                 "found \"%.80s\"",
                 hp_locale_cure(line, ": "), line);
}
