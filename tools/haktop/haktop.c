// haktop: watches a process that was started with HAKMEM_TELEMETRY_SHM=1, without stopping or
// tracing it: on the full screen, or one frame as text.

#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "tools/common/arguments.h"
#include "tools/haktop/screen.h"
#include "tools/haktop/view.h"
#include "tools/haktop/watch.h"

enum { EXIT_FAILED = 1 };

typedef struct options {
  pid_t pid;  // 0: none was named
  double interval_ms;
  bool is_once;
} options;

static const char kAbout[] =
    "Watches the allocator of a process that was started with HAKMEM_TELEMETRY_SHM=1: where its "
    "time and memory go. Without PID, those that can be watched are listed, to choose one. The key "
    "h explains the screen; q quits.";

static const argument_option kOptions[] = {
    {"once", 0, ARGUMENT_FLAG, offsetof(options, is_once), 0, 0, NULL,
     "print one frame as text, and no more"},
    {"interval", 0, ARGUMENT_NUMBER, offsetof(options, interval_ms), 50, 3600000, "MS",
     "time between frames (default 1000), or between the two looks of --once"},
};

static void finish(void* into, char** words, size_t count, const struct argp_state* state) {
  options* self = into;
  if (count > 1) argp_error(state, "unexpected argument '%s'", words[1]);
  if (count == 1) {
    double pid = arguments_number(state, "PID", words[0], 1, INT_MAX);
    self->pid = (pid_t)pid;
    if (self->pid != pid) argp_error(state, "PID: '%s' is not a whole number", words[0]);
  }
  if (self->pid == 0 && self->is_once) argp_error(state, "--once: PID is missing");
}

static const argument_syntax kSyntax = {kOptions, 2, "[PID]", kAbout, false, finish};

// Whether all that was printed has arrived; else a message.
static bool finish_output(void) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return true;
  perror("haktop: cannot write to stdout");
  return false;
}

static int list(bool has_utf8) {
  if (ht_watch_list(stdout, has_utf8) == 0) {
    fputs(
        "haktop: there is no process to watch: start one with HAKMEM_TELEMETRY_SHM=1 and hakmem "
        "as its malloc\n",
        stderr);
    return EXIT_BAD_INPUT;
  }
  return finish_output() ? 0 : EXIT_FAILED;
}

// ---- --once ----

static void sleep_s(double seconds) {
  struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  while (nanosleep(&left, &left) != 0) continue;
}

// As wide as the terminal, or as COLUMNS says, or HT_FULL_COLUMNS, which is the least.
static int output_columns(void) {
  struct winsize window;
  const char* variable = getenv("COLUMNS");
  long columns = variable != NULL ? strtol(variable, NULL, 10) : 0;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0) columns = window.ws_col;
  if (columns < HT_FULL_COLUMNS) return HT_FULL_COLUMNS;
  return columns < 1000 ? (int)columns : 1000;
}

static int print_once(ht_watch* watch, const ht_view* view, bool has_utf8) {
  sleep_s(view->interval_s);
  ht_watch_sample(watch);
  // The page is written four times a second: an interval shorter than that waits for news.
  for (int i = 0; i < 50 && watch->model.n_states < 2 && watch->model.status == HT_RUNNING; i++) {
    sleep_s(0.02);
    ht_watch_sample(watch);
  }
  ht_canvas canvas = ht_view_frame(view, &watch->model, output_columns(), has_utf8);
  ht_canvas_print(&canvas, stdout);
  ht_canvas_free(&canvas);
  return finish_output() ? 0 : EXIT_FAILED;
}

int main(int argc, char** argv) {
  static ht_watch watch;
  char message[HT_MESSAGE_BYTES];
  options chosen = {.interval_ms = 1000};
  // Characters only: numbers and messages stay as they are.
  setlocale(LC_CTYPE, "");
  bool has_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
  arguments_parse(&kSyntax, argc, argv, &chosen);
  bool has_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
  if (chosen.pid == 0 && !has_terminal) return list(has_utf8);
  if (chosen.pid == 0) {
    int stop = ht_screen_choose(&chosen.pid, has_utf8);
    if (chosen.pid == 0) return stop;
  }
  if (!chosen.is_once && !has_terminal) {
    fputs("haktop: stdin and stdout must be a terminal; --once prints a frame\n", stderr);
    return EXIT_BAD_INPUT;
  }
  if (!ht_watch_start(&watch, chosen.pid, message)) {
    fprintf(stderr, "haktop: %s\n", message);
    return EXIT_BAD_INPUT;
  }
  ht_view view = ht_view_new(chosen.interval_ms / 1000);
  int exit_code =
      chosen.is_once ? print_once(&watch, &view, has_utf8) : ht_screen_run(&watch, &view, has_utf8);
  if (watch.model.status == HT_ENDED) {
    fprintf(stderr, "haktop: process %d has ended; these were its last figures\n", (int)chosen.pid);
  }
  ht_watch_end(&watch);
  return exit_code;
}
