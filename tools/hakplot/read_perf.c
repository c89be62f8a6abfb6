// perf stat's text for people and its separated values (`-x`), with every addition of -r, -I, -A,
// --per-socket and the like. Both are found by shape, since perf has no header that says which
// columns there are:
//
//   text       [interval] [part [cpus]] value [unit] event  [# metric] [( +- error% )] [(running%)]
//   separated  [interval] [part [cpus]] value unit event [error%] runtime running% [metric unit]

#define _GNU_SOURCE

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "tools/hakplot/read.h"

enum { HP_MAX_COLUMNS = 32 };

typedef struct columns {
  hp_slice at[HP_MAX_COLUMNS];
  size_t count;
} columns;

static bool equals(hp_slice slice, const char* text) {
  return slice.size == strlen(text) && memcmp(slice.data, text, slice.size) == 0;
}

static bool starts_with(hp_slice slice, const char* text) {
  size_t length = strlen(text);
  return slice.size >= length && memcmp(slice.data, text, length) == 0;
}

static hp_slice trim(hp_slice slice) {
  while (slice.size > 0 && isspace((unsigned char)slice.data[0])) {
    slice.data++;
    slice.size--;
  }
  while (slice.size > 0 && isspace((unsigned char)slice.data[slice.size - 1])) slice.size--;
  return slice;
}

static const char* find(hp_slice slice, const char* text) {
  return slice.size == 0 ? NULL : memmem(slice.data, slice.size, text, strlen(text));
}

static bool is_digits(hp_slice slice) {
  for (size_t i = 0; i < slice.size; i++) {
    if (!isdigit((unsigned char)slice.data[i])) return false;
  }
  return slice.size > 0;
}

bool hp_has_decimal_comma(hp_slice text) {
  for (size_t i = 1; i + 1 < text.size; i++) {
    if (text.data[i] == ',' && isdigit((unsigned char)text.data[i - 1]) &&
        isdigit((unsigned char)text.data[i + 1])) {
      return true;
    }
  }
  return false;
}

// "1,234,567.89", as en_US groups it: commas before groups of three digits, then one point.
static bool parse_grouped(hp_slice text, double* value) {
  char plain[64];
  size_t size = 0;
  const char* point = memchr(text.data, '.', text.size);
  size_t whole = point != NULL ? (size_t)(point - text.data) : text.size;
  if (text.size >= sizeof(plain)) return false;
  for (size_t i = 0; i < text.size; i++) {
    if (text.data[i] != ',') {
      plain[size++] = text.data[i];
      continue;
    }
    bool is_group = i > 0 && i < whole && (whole - i) % 4 == 0;
    if (!is_group) return false;
  }
  size_t commas = text.size - size;
  if (commas > 0 && commas != (whole - 1) / 4) return false;
  return hp_parse_number(plain, size, value);
}

static bool parse_value(hp_slice text, double* value) {
  *value = NAN;
  return equals(text, "<not counted>") || equals(text, "<not supported>") ||
         parse_grouped(text, value);
}

static bool is_unit(hp_slice text) {
  for (size_t i = 0; i < text.size; i++) {
    char c = text.data[i];
    if (!isalpha((unsigned char)c) && strchr("%/^*", c) == NULL) return false;
  }
  return text.size < 16;
}

static bool is_event(hp_slice text) {
  double number;
  return text.size > 0 && text.data[0] != '<' && !parse_grouped(text, &number) &&
         find(text, " ") == NULL;
}

// What stands before the value: an interval's end, the part of the machine, how many CPUs it has.
static bool parse_prefix(const columns* row, size_t count, hp_perf_count* result) {
  size_t at = 0;
  result->interval_s = NAN;
  result->is_summary = false;
  result->part = (hp_slice){"", 0};
  if (at < count && memchr(row->at[at].data, '.', row->at[at].size) != NULL &&
      hp_parse_number(row->at[at].data, row->at[at].size, &result->interval_s)) {
    at++;
  }
  if (at < count && equals(row->at[at], "summary")) {
    result->is_summary = true;
    at++;
  }
  if (at < count) {
    if (row->at[at].size == 0 || isdigit((unsigned char)row->at[at].data[0])) return false;
    hp_slice last = row->at[count - 1];
    if (count - at > 1 && is_digits(last)) last = row->at[count - 2];
    // A thread's name may hold blanks, so that it is several columns of text.
    result->part = (hp_slice){row->at[at].data, (size_t)(last.data + last.size - row->at[at].data)};
  }
  return true;
}

// ---- separated values ----

static columns split(hp_slice line, hp_slice separator) {
  columns row = {0};
  const char* end = line.data + line.size;
  const char* at = line.data;
  while (row.count < HP_MAX_COLUMNS) {
    // "<not counted>" is one column even where the separator is a blank.
    const char* from = at;
    if (at < end && *at == '<') {
      const char* close = memchr(at, '>', (size_t)(end - at));
      if (close != NULL) from = close;
    }
    const char* next = memmem(from, (size_t)(end - from), separator.data, separator.size);
    const char* stop = next != NULL ? next : end;
    row.at[row.count++] = (hp_slice){at, (size_t)(stop - at)};
    if (next == NULL) break;
    at = next + separator.size;
  }
  return row;
}

static bool parse_percent(hp_slice text, double* value) {
  if (text.size < 2 || text.data[text.size - 1] != '%') return false;
  return hp_parse_number(text.data, text.size - 1, value);
}

// The error of -r and how many columns it takes: where "%" itself separates, a second one is empty.
static size_t parse_error(const columns* row, size_t at, double* percent) {
  *percent = NAN;
  if (at >= row->count) return 0;
  if (parse_percent(row->at[at], percent)) return 1;
  bool is_split = at + 1 < row->count && row->at[at + 1].size == 0;
  return is_split && hp_parse_number(row->at[at].data, row->at[at].size, percent) ? 2 : 0;
}

// [error%] runtime running%, from column `at` on. perf writes the last with two decimals; without
// them a decimal comma was taken for a separator.
static bool parse_tail(const columns* row, size_t at, hp_perf_count* result) {
  at += parse_error(row, at, &result->error_percent);
  if (at + 2 > row->count || !is_digits(row->at[at])) return false;
  hp_slice running = row->at[at + 1];
  return memchr(running.data, '.', running.size) != NULL &&
         hp_parse_number(running.data, running.size, &result->running_percent);
}

// Before the value stand an interval's end, a part of the machine and its number of CPUs; a part
// such as S0-D0-C0 may hold the separator.
enum { VALUE_AT_MOST = 7 };

static bool parse_separated(hp_slice line, hp_slice separator, hp_perf_count* result) {
  columns row = split(line, separator);
  for (size_t value = 0; value < VALUE_AT_MOST && value + 4 < row.count; value++) {
    if (!parse_value(row.at[value], &result->value) || !is_unit(row.at[value + 1]) ||
        !is_event(row.at[value + 2]) || !parse_prefix(&row, value, result)) {
      continue;
    }
    // A raw event such as cpu/event=0x3c,umask=0x1/ may hold the separator.
    for (size_t tail = value + 3; tail < row.count && tail < value + 9; tail++) {
      if (!parse_tail(&row, tail, result)) continue;
      const char* from = row.at[value + 2].data;
      const hp_slice* last = &row.at[tail - 1];
      result->unit = row.at[value + 1];
      result->event = (hp_slice){from, (size_t)(last->data + last->size - from)};
      return true;
    }
  }
  return false;
}

// Finds what separates the columns of a line: one sign, or any run of signs that the line holds;
// empty where it holds no count.
static bool find_separator(hp_slice line, hp_slice* separator) {
  // All but ".", "<" and ">", which values hold. Letters last: few lines can be taken for them.
  static const char kSigns[] =
      ",;|\t :@#/!~^&=_+*$?\\%-()[]{}'\"`ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  hp_perf_count ignored;
  for (size_t i = 0; kSigns[i] != '\0'; i++) {
    *separator = (hp_slice){&kSigns[i], 1};
    if (parse_separated(line, *separator, &ignored)) return true;
  }
  for (size_t from = 0; from + 1 < line.size && from < 256; from++) {
    for (size_t size = 2; size <= 8 && from + size <= line.size; size++) {
      unsigned char last = (unsigned char)line.data[from + size - 1];
      if (!ispunct((unsigned char)line.data[from]) || !(ispunct(last) || last == ' ')) break;
      *separator = (hp_slice){line.data + from, size};
      if (parse_separated(line, *separator, &ignored)) return true;
    }
  }
  *separator = (hp_slice){"", 0};
  return false;
}

// A line that holds further metrics of the event above: its first columns are empty.
static bool is_metric_only(hp_slice line, hp_slice separator) {
  return separator.size > 0 && line.size > separator.size &&
         memcmp(line.data, separator.data, separator.size) == 0;
}

bool hp_read_perf_csv(hp_dataset* data, const char* name, const char* content, size_t size) {
  hp_lines lines = {content, content + size, 0};
  hp_perf_run run;
  hp_slice raw;
  hp_slice separator = {"", 0};
  bool is_good = true;
  hp_perf_init(&run, data, name);
  while (is_good && hp_next_line(&lines, &raw)) {
    hp_slice line = {raw.data, raw.size};
    while (line.size > 0 && line.data[0] == ' ') line = (hp_slice){line.data + 1, line.size - 1};
    if (starts_with(line, "# started on")) hp_perf_end_run(&run);
    if (trim(line).size == 0 || line.data[0] == '#') continue;
    hp_perf_count count;
    bool is_count = separator.size > 0 ? parse_separated(line, separator, &count)
                                       : find_separator(line, &separator) &&
                                             parse_separated(line, separator, &count);
    if (is_count) {
      hp_perf_add(&run, &count, lines.number);
    } else if (!is_metric_only(raw, separator)) {
      is_good = hp_fail(data, name, lines.number,
                        "expected perf stat's \"value SEPARATOR unit SEPARATOR event ...\"%s%s; "
                        "found \"%.*s\"",
                        hp_has_decimal_comma(line) ? ": " : "",
                        hp_has_decimal_comma(line) ? HP_LOCALE_CURE : "",
                        (int)(line.size < 80 ? line.size : 80), line.data);
    }
  }
  if (is_good) hp_perf_end_run(&run);
  if (is_good && run.known_events == 0) {
    is_good = hp_fail(data, name, 0, "no event of perf stat that hakplot knows (docs/HAKPLOT.md)");
  }
  hp_perf_free(&run);
  return is_good;
}

// ---- text for people ----

static columns words(hp_slice line) {
  columns row = {0};
  const char* at = line.data;
  const char* end = line.data + line.size;
  while (row.count < HP_MAX_COLUMNS) {
    while (at < end && isspace((unsigned char)*at)) at++;
    if (at == end) break;
    const char* from = at;
    if (*at == '<') {
      const char* close = memchr(at, '>', (size_t)(end - at));
      if (close != NULL) at = close;
    }
    while (at < end && !isspace((unsigned char)*at)) at++;
    row.at[row.count++] = (hp_slice){from, (size_t)(at - from)};
  }
  return row;
}

// The number in "( +-  6.58% )" or "(66.58%)": `open` is what stands before it. NaN if there is
// none.
static double parenthesised(hp_slice line, const char* open) {
  double value;
  const char* at = find(line, open);
  if (at == NULL) return NAN;
  at += strlen(open);
  const char* close = memchr(at, '%', (size_t)(line.data + line.size - at));
  if (close == NULL) return NAN;
  hp_slice number = trim((hp_slice){at, (size_t)(close - at)});
  return hp_parse_number(number.data, number.size, &value) ? value : NAN;
}

// perf ends the line of an event that shared its counter with "(66.58%)".
static double running_percent(hp_slice line) {
  line = trim(line);
  const char* open = line.size == 0 ? NULL : memrchr(line.data, '(', line.size);
  if (open == NULL) return 100;
  double percent = parenthesised((hp_slice){open, (size_t)(line.data + line.size - open)}, "(");
  return isnan(percent) ? 100 : percent;
}

// A count is whole unless it has a unit: "21.246 page-faults" is a German 21246.
static bool is_whole_or_measured(hp_slice value, hp_slice unit) {
  return unit.size > 0 || memchr(value.data, '.', value.size) == NULL;
}

static bool parse_text(hp_slice line, bool has_interval, hp_perf_count* result) {
  const char* metric = memchr(line.data, '#', line.size);
  const char* error = find(line, "( +-");
  const char* running = find(line, "  (");
  const char* stop = line.data + line.size;
  if (metric != NULL) stop = metric;
  if (error != NULL && error < stop) stop = error;
  if (running != NULL && running < stop) stop = running;
  columns row = words((hp_slice){line.data, (size_t)(stop - line.data)});
  result->error_percent = parenthesised(line, "( +-");
  result->running_percent = running_percent(line);
  for (size_t value = has_interval; value + 1 < row.count; value++) {
    size_t after = row.count - value - 1;
    if (after > 2) continue;
    result->unit = after == 2 ? row.at[value + 1] : (hp_slice){"", 0};
    result->event = row.at[row.count - 1];
    if (parse_value(row.at[value], &result->value) && is_unit(result->unit) &&
        is_event(result->event) && is_whole_or_measured(row.at[value], result->unit) &&
        parse_prefix(&row, value, result) && isnan(result->interval_s) != has_interval) {
      return true;
    }
  }
  return false;
}

// "1.234 seconds time elapsed", "0.0416 +- 0.0047 seconds time elapsed  ( +- 11.23% )".
static bool parse_seconds(hp_slice line, hp_perf_run* run, size_t number) {
  static const struct {
    const char* text;
    hp_field field;
  } kKinds[] = {{"seconds time elapsed", HP_perf_duration_s},
                {"seconds user", HP_perf_user_s},
                {"seconds sys", HP_perf_system_s}};
  for (size_t i = 0; i < 3; i++) {
    double value;
    const char* at = find(line, kKinds[i].text);
    if (at == NULL) continue;
    columns row = words((hp_slice){line.data, (size_t)(at - line.data)});
    if (row.count == 0 || !parse_grouped(row.at[0], &value)) return false;
    double error = parenthesised(line, "( +-");
    hp_perf_set(run, kKinds[i].field, value, isnan(error) ? 0 : error / 100, number);
    return true;
  }
  return false;
}

// A row of `--table`: "0.04674 (+0.00513) ###", one run's elapsed time.
static bool parse_table_row(hp_slice line, double* seconds) {
  columns row = words(line);
  return row.count >= 2 && row.at[1].size > 2 && row.at[1].data[0] == '(' &&
         strchr("+-", row.at[1].data[1]) != NULL &&
         hp_parse_number(row.at[0].data, row.at[0].size, seconds);
}

typedef struct text_reader {
  hp_perf_run run;
  bool is_open;       // inside what perf wrote
  bool is_interval;   // lines begin with a time
  bool in_command;    // the command that the block's header quotes goes on over this line
  bool has_elapsed;   // only "seconds user" and "seconds sys" may follow
  double* elapsed_s;  // from --table
  size_t elapsed_count;
} text_reader;

// The runs of `--table` become rows of their own, which say more than their mean.
static void end_text_run(text_reader* reader) {
  hp_dataset* data = reader->run.data;
  size_t line = reader->run.run_line;
  if (reader->elapsed_count > 0) {
    hp_perf_cell_of(reader->run.now, HP_perf_duration_s)->is_unknown = true;
  }
  hp_perf_end_run(&reader->run);
  for (size_t i = 0; i < reader->elapsed_count; i++) {
    hp_row* row = hp_add_row(data, HP_RUN, reader->run.file, (uint32_t)line);
    hp_set_text(data, row, HP_source, reader->run.source);
    hp_set_number(data, row, HP_perf_duration_s, reader->elapsed_s[i]);
  }
  reader->elapsed_count = 0;
}

static bool ends_with_colon(hp_slice line) {
  return line.size > 0 && line.data[line.size - 1] == ':';
}

static void open_block(text_reader* reader, hp_slice line, size_t number) {
  bool is_summary = reader->is_interval;  // of -I --summary: the run goes on
  if (!is_summary) end_text_run(reader);
  reader->run.has_summary = is_summary;
  reader->is_open = true;
  reader->in_command = !ends_with_colon(line);
  reader->is_interval = false;
  reader->has_elapsed = false;
  double runs;
  const char* at = find(line, " runs):");
  if (at == NULL) return;
  const char* from = at;
  while (from > line.data && isdigit((unsigned char)from[-1])) from--;
  if (hp_parse_number(from, (size_t)(at - from), &runs)) {
    reader->run.run_line = number;
    *hp_perf_cell_of(reader->run.now, HP_perf_runs) = (hp_perf_cell){.sum = runs, .is_seen = true};
    reader->run.is_mean = runs > 1;
  }
}

// Returns whether the line was understood.
static bool take_text_line(text_reader* reader, hp_slice line, size_t number) {
  hp_dataset* data = reader->run.data;
  hp_slice text = trim(line);
  double seconds;
  if (reader->in_command) {
    reader->in_command = !ends_with_colon(line);
  } else if (find(line, "Performance counter stats for") != NULL) {
    open_block(reader, line, number);
  } else if (starts_with(text, "#") && find(line, "counts unit events") != NULL) {
    // perf repeats this header every 25 intervals.
    if (!reader->is_interval) end_text_run(reader);
    reader->is_interval = true;
    reader->is_open = true;
    reader->has_elapsed = false;
  } else if (!reader->is_open || text.size == 0 || text.data[0] == '#') {
    return true;
  } else if (parse_seconds(line, &reader->run, number)) {
    reader->has_elapsed = true;
  } else if (reader->has_elapsed) {
    reader->is_open = false;  // what follows is the program's
  } else if (parse_table_row(line, &seconds)) {
    reader->elapsed_s =
        hp_grow(&data->arena, reader->elapsed_s, reader->elapsed_count, sizeof(double));
    reader->elapsed_s[reader->elapsed_count++] = seconds;
  } else {
    hp_perf_count count;
    if (!parse_text(line, reader->is_interval, &count)) return false;
    count.is_summary |= reader->run.has_summary;
    hp_perf_add(&reader->run, &count, number);
  }
  return true;
}

bool hp_read_perf_text(hp_dataset* data, const char* name, const char* content, size_t size) {
  hp_lines lines = {content, content + size, 0};
  text_reader reader = {0};
  hp_slice line;
  bool is_good = true;
  hp_perf_init(&reader.run, data, name);
  while (is_good && hp_next_line(&lines, &line)) {
    if (take_text_line(&reader, line, lines.number)) continue;
    hp_slice text = trim(line);
    bool is_foreign = hp_has_decimal_comma(text) || memchr(text.data, '.', text.size) != NULL;
    is_good = hp_fail(data, name, lines.number,
                      "expected a line of perf stat (value, unit, event)%s%s; found \"%.*s\"",
                      is_foreign ? ": " : "", is_foreign ? HP_LOCALE_CURE : "",
                      (int)(text.size < 80 ? text.size : 80), text.data);
  }
  if (is_good) end_text_run(&reader);
  if (is_good && reader.run.known_events == 0) {
    is_good = hp_fail(data, name, 0, "no event of perf stat that hakplot knows (docs/HAKPLOT.md)");
  }
  hp_perf_free(&reader.run);
  return is_good;
}
