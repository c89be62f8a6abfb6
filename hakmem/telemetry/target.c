// HAKMEM_TELEMETRY taken apart: path, format, signal.

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

static bool parse_part(const char* part, size_t length, hak_target_t* target) {
  static const char signal_is[] = "signal=";
  size_t n = sizeof signal_is - 1;
  if (part_is(part, length, "prom")) {
    target->with_prom = true;
    return !target->is_stderr;
  }
  if (length <= n || memcmp(part, signal_is, n) != 0) return false;
  target->signal = parse_signal(part + n, length - n);
  return target->signal != 0;
}

static bool refuse(const char* value, const char* part) {
  hak_line_t line;
  hak_option_begin_line(HAK_OPTION_telemetry, value, &line);
  hak_line_text(&line, "is not understood at \"");
  hak_line_text(&line, part);
  hak_line_text(&line, "\" (FILE[,prom][,signal=NAME]; prom needs a file); telemetry is off");
  hak_line_end(&line);
  return false;
}

bool hak_target_parse(const char* value, hak_target_t* target) {
  memset(target, 0, sizeof *target);
  const char* end = strchrnul(value, ',');
  size_t length = (size_t)(end - value);
  if (length == 0 || length >= sizeof target->file) return refuse(value, value);
  target->is_stderr = part_is(value, length, "-");
  if (!target->is_stderr) memcpy(target->file, value, length);
  while (*end == ',') {
    const char* part = end + 1;
    end = strchrnul(part, ',');
    if (!parse_part(part, (size_t)(end - part), target)) return refuse(value, part);
  }
  return true;
}

bool hak_target_path(const hak_target_t* target, const char* directory, int64_t process_id,
                     const char* suffix, char* out, size_t bytes) {
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
    } else {
      hak_text_put(&path, at++, 1);
    }
  }
  hak_text_string(&path, suffix);
  hak_text_put(&path, "", 1);
  return hak_text_end(&path);
}
