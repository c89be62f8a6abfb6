// HAKMEM_TELEMETRY and HAKMEM_PROFILE taken apart: path, format, signals, times.

#define _GNU_SOURCE  // strchrnul

#include "hakmem/telemetry/target.h"

#include <signal.h>
#include <string.h>

#include "hakmem/options/options.h"
#include "hakmem/platform/line.h"
#include "hakmem/platform/text.h"

// Signals that programs leave to others, or are told things by. Not those that a fault sends, which
// do not wait for anybody to write a line.
static const struct signal_name {
  const char* name;
  int number;
} signal_names[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},       {"QUIT", SIGQUIT}, {"USR1", SIGUSR1},
    {"USR2", SIGUSR2}, {"ALRM", SIGALRM},     {"TERM", SIGTERM}, {"CONT", SIGCONT},
    {"URG", SIGURG},   {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH},
    {"IO", SIGIO},     {"PWR", SIGPWR},       {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU}, {"CHLD", SIGCHLD},
};

#define MAX_EVERY_MS 86400000

#define N_SIGNAL_NAMES (sizeof signal_names / sizeof signal_names[0])

static bool part_is(const char* part, size_t length, const char* word) {
  return strlen(word) == length && memcmp(part, word, length) == 0;
}

static int signal_number(const char* part, size_t length) {
  int number = 0;
  size_t i = 0;
  for (; i < length && i < 3 && part[i] >= '0' && part[i] <= '9'; i++) {
    number = number * 10 + (part[i] - '0');
  }
  return i == length ? number : 0;
}

// 0 when it names none. By number too, only those that may be asked for: of the table, or
// real-time.
static int parse_signal(const char* part, size_t length) {
  if (length > 3 && memcmp(part, "SIG", 3) == 0) {
    part += 3;
    length -= 3;
  }
  int number = signal_number(part, length);
  if (number >= SIGRTMIN && number <= SIGRTMAX) return number;
  for (size_t i = 0; i < N_SIGNAL_NAMES; i++) {
    const struct signal_name* signal = &signal_names[i];
    if (number == signal->number || part_is(part, length, signal->name)) return signal->number;
  }
  return 0;
}

// What follows `key`, which ends in "=", in a part that begins with it; NULL: it does not.
static const char* value_of(const char* part, const char* key) {
  size_t length = strlen(key);
  return strncmp(part, key, length) == 0 ? part + length : NULL;
}

// Whether a part is understood, and taken.
typedef bool (*part_function_t)(const char* part, const char* end, hak_target_t* target);

static bool take_signal(const char* name, const char* end, int* signal) {
  *signal = parse_signal(name, (size_t)(end - name));
  return *signal != 0;
}

static bool take_telemetry_part(const char* part, const char* end, hak_target_t* target) {
  if (part_is(part, (size_t)(end - part), "prom")) {
    target->with_prom = true;
    return !target->is_stderr;
  }
  const char* signal = value_of(part, "signal=");
  return signal != NULL && take_signal(signal, end, &target->signal);
}

static bool take_profile_part(const char* part, const char* end, hak_target_t* target) {
  const char* signal = value_of(part, "signal=");
  if (signal != NULL) return take_signal(signal, end, &target->signal);
  const char* toggle = value_of(part, "toggle=");
  if (toggle != NULL) return take_signal(toggle, end, &target->toggle);
  const char* every = value_of(part, "every=");
  int64_t every_ms;
  if (every == NULL || !hak_parse_ms(every, end, &every_ms)) return false;
  target->every_ms = (uint64_t)every_ms;
  return every_ms >= 1 && every_ms <= MAX_EVERY_MS;
}

// Takes the parts from `at` on, each behind its comma. The one that is not understood; NULL: all
// are.
static const char* take_parts(const char* at, part_function_t take, hak_target_t* target) {
  while (*at == ',') {
    const char* part = at + 1;
    at = strchrnul(part, ',');
    if (!take(part, at, target)) return part;
  }
  return NULL;
}

// False: it is empty, or too long.
static bool take_file(const char* file, const char* end, hak_target_t* target) {
  size_t length = (size_t)(end - file);
  if (length == 0 || length >= sizeof target->file) return false;
  memcpy(target->file, file, length);
  return true;
}

static bool refuse(hak_option_t option, const char* value, const char* part, const char* why) {
  hak_line_t line;
  hak_option_begin_line(option, value, &line);
  hak_line_text(&line, "is not understood at \"");
  hak_line_text(&line, part);
  hak_line_text(&line, why);
  hak_line_end(&line);
  return false;
}

bool hak_target_parse(const char* value, hak_target_t* target) {
  memset(target, 0, sizeof *target);
  const char* end = strchrnul(value, ',');
  target->is_stderr = part_is(value, (size_t)(end - value), "-");
  bool has_file = target->is_stderr || take_file(value, end, target);
  const char* bad = has_file ? take_parts(end, take_telemetry_part, target) : value;
  return bad == NULL ||
         refuse(HAK_OPTION_telemetry, value, bad,
                "\" (FILE[,prom][,signal=NAME]; prom needs a file); telemetry is off");
}

static bool is_profile_part(const char* text) {
  return value_of(text, "signal=") != NULL || value_of(text, "toggle=") != NULL ||
         value_of(text, "every=") != NULL;
}

static bool take_interval(const char* text, const char* end, hak_target_t* target) {
  int64_t interval;
  if (!hak_parse_bytes(text, end, &interval)) return false;
  target->interval = (uint64_t)interval;
  return interval >= 1 && interval <= HAK_SAMPLING_INTERVAL_MAX;
}

bool hak_target_parse_profile(const char* value, hak_target_t* target) {
  memset(target, 0, sizeof *target);
  const char* end = strchrnul(value, ',');
  const char* bad = take_interval(value, end, target) ? NULL : value;
  if (bad == NULL && *end == ',' && !is_profile_part(end + 1)) {
    const char* file = end + 1;
    end = strchrnul(file, ',');
    if (!take_file(file, end, target)) bad = file;
  }
  if (bad == NULL) bad = take_parts(end, take_profile_part, target);
  return bad == NULL ||
         refuse(
             HAK_OPTION_profile, value, bad,
             "\" (INTERVAL[,FILE][,signal=NAME][,every=TIME][,toggle=NAME], with INTERVAL from 1 "
             "to 1G, TIME in ms or s); nothing is profiled");
}

// As `printf("%04u")` has it: so that names are in order.
static void put_number(hak_text_t* path, uint64_t number) {
  for (uint64_t limit = 1000; limit > number && limit > 1; limit /= 10) hak_text_put(path, "0", 1);
  hak_text_number(path, number);
}

bool hak_target_path(const hak_target_t* target, const char* directory, int64_t process_id,
                     uint64_t number, const char* suffix, char* out, size_t bytes) {
  hak_text_t path = {.capacity = bytes};
  path.buffer = out;
  if (target->file[0] != '/' && directory[0] != '\0') {
    hak_text_string(&path, directory);
    hak_text_string(&path, "/");
  }
  for (const char* at = target->file; *at != '\0';) {
    if (at[0] == '%' && at[1] == 'p') {
      hak_text_number(&path, (uint64_t)process_id);
      at += 2;
    } else if (at[0] == '%' && at[1] == 'n' && number != 0) {
      put_number(&path, number);
      at += 2;
    } else {
      hak_text_put(&path, at++, 1);
    }
  }
  hak_text_string(&path, suffix);
  hak_text_put(&path, "", 1);
  return hak_text_end(&path);
}
