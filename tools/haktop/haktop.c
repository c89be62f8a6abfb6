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

#include "tools/haktop/screen.h"
#include "tools/haktop/view.h"
#include "tools/haktop/watch.h"
#include "workloads/harness/arguments.h"

enum { EXIT_FAILED = 1, EXIT_BAD_INPUT = 2 };

typedef struct options {
  uint64_t pid;
  uint64_t interval_ms;
  bool is_once;
} options;

static void parse(options* chosen, int argc, char** argv) {
  const wl_option positionals[] = {
      {"PID", WL_NUMBER, &chosen->pid, NULL, 1, INT_MAX,
       "the process; without it, those that can be watched are listed, to choose one"},
  };
  const wl_option rows[] = {
      {"once", WL_FLAG, &chosen->is_once, NULL, 0, 0, "print one frame as text, and no more"},
      {"interval", WL_NUMBER, &chosen->interval_ms, "MS", 50, 3600000,
       "time between frames, or between the two looks of --once"},
  };
  const wl_syntax syntax = {
      .program = "haktop",
      .about =
          "Watches the allocator of a process that was started with HAKMEM_TELEMETRY_SHM=1: where "
          "its\ntime and memory go. The key h explains the screen; q quits.",
      .positionals = positionals,
      .positional_count = 1,
      .options = rows,
      .option_count = sizeof(rows) / sizeof(rows[0]),
  };
  char message[WL_MESSAGE_BYTES];
  wl_parse_result result = wl_parse_options(&syntax, argc, argv, message);
  if (result == WL_HELP_WANTED) {
    wl_print_help(&syntax, STDOUT_FILENO);
    exit(0);
  }
  if (result == WL_PARSED && chosen->pid == WL_UNSET && chosen->is_once) {
    snprintf(message, sizeof(message), "--once: PID is missing");
    result = WL_BAD_ARGUMENT;
  }
  if (result == WL_BAD_ARGUMENT) {
    fprintf(stderr, "haktop: %s\n", message);
    wl_print_usage(&syntax, STDERR_FILENO);
    exit(EXIT_BAD_INPUT);
  }
}

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
  options chosen = {.pid = WL_UNSET, .interval_ms = 1000};
  // Characters only: numbers and messages stay as they are.
  setlocale(LC_CTYPE, "");
  bool has_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
  parse(&chosen, argc, argv);
  bool has_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
  if (chosen.pid == WL_UNSET && !has_terminal) return list(has_utf8);
  if (chosen.pid == WL_UNSET) {
    pid_t pid;
    int stop = ht_screen_choose(&pid, has_utf8);
    if (pid == 0) return stop;
    chosen.pid = (uint64_t)pid;
  }
  if (!chosen.is_once && !has_terminal) {
    fputs("haktop: stdin and stdout must be a terminal; --once prints a frame\n", stderr);
    return EXIT_BAD_INPUT;
  }
  if (!ht_watch_start(&watch, (pid_t)chosen.pid, message)) {
    fprintf(stderr, "haktop: %s\n", message);
    return EXIT_BAD_INPUT;
  }
  ht_view view = ht_view_new((double)chosen.interval_ms / 1000);
  int exit_code =
      chosen.is_once ? print_once(&watch, &view, has_utf8) : ht_screen_run(&watch, &view, has_utf8);
  if (watch.model.status == HT_ENDED) {
    fprintf(stderr, "haktop: process %d has ended; these were its last figures\n", (int)chosen.pid);
  }
  ht_watch_end(&watch);
  return exit_code;
}
