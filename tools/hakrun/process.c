// Processes: started, waited for with signals, ended. A child leads a process group of its own, so
// that the terminal's Ctrl-C reaches only hakrun, which then ends the whole group: perf and the
// workload under it.

#define _GNU_SOURCE  // sched_setaffinity

#include "tools/hakrun/process.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static sigset_t original_mask;
static sigset_t awaited;

// A signal that hakrun was started to ignore (nohup, a job in the background) stays ignored, which
// it would not be while it is blocked.
static void await_signal(int signal_number) {
  struct sigaction action;
  if (sigaction(signal_number, NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
    sigaddset(&awaited, signal_number);
  }
}

void process_start(void) {
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGCHLD);
  await_signal(SIGINT);
  await_signal(SIGTERM);
  await_signal(SIGHUP);
  sigprocmask(SIG_BLOCK, &awaited, &original_mask);
}

double process_now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// In the child: does not return.
static void become(const process_spec* spec) {
  int output = open(spec->output_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  int input = open("/dev/null", O_RDONLY);
  setpgid(0, 0);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  if (spec->errors_path != NULL) {
    output = open(spec->errors_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  }
  dup2(output, STDERR_FILENO);
  if (spec->processors != NULL) sched_setaffinity(0, sizeof(cpu_set_t), spec->processors);
  sigprocmask(SIG_SETMASK, &original_mask, NULL);
  execvp(spec->argv[0], (char* const*)(uintptr_t)spec->argv);
  dprintf(STDERR_FILENO, "%s: %s\n", spec->argv[0], strerror(errno));
  _exit(127);
}

static process_result start(const process_spec* spec) {
  process_result self = {.end = PROCESS_NOT_STARTED};
  pid_t child = fork();
  if (child < 0) return self;
  if (child == 0) become(spec);
  setpgid(child, child);  // whichever of the two is first
  self.pid = child;
  return self;
}

static void finish(process_result* self, process_end end, double start_s) {
  self->pid = 0;
  self->end = end;
  self->duration_s = process_now_s() - start_s;
}

// Ends it with all it has started.
static void stop(process_result* self, process_end end, double start_s) {
  kill(-self->pid, SIGKILL);
  while (wait4(self->pid, &self->status, 0, &self->usage) < 0 && errno == EINTR) continue;
  finish(self, end, start_s);
}

// Takes the results of those that have ended or are out of time. Returns the seconds until the next
// is; below 0: none runs.
static double collect(const process_spec* specs, size_t count, double start_s,
                      process_result* results) {
  double least_s = -1;
  for (size_t i = 0; i < count; i++) {
    process_result* result = &results[i];
    if (result->pid == 0) continue;
    const int limit_s = specs[i].timeout_s;
    const double left_s = limit_s > 0 ? start_s + limit_s - process_now_s() : 3600;
    if (wait4(result->pid, &result->status, WNOHANG, &result->usage) == result->pid) {
      finish(result, PROCESS_EXITED, start_s);
    } else if (left_s <= 0) {
      stop(result, PROCESS_TIMED_OUT, start_s);
    } else if (least_s < 0 || left_s < least_s) {
      least_s = left_s;
    }
  }
  return least_s;
}

// Waits for a signal of those that are awaited. Returns it, or 0 when the time is over.
static int wait_signal(double seconds) {
  if (seconds < 0) seconds = 0;
  struct timespec timeout = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
  int signal_number = sigtimedwait(&awaited, NULL, &timeout);
  return signal_number > 0 ? signal_number : 0;
}

void process_run(const process_spec* specs, size_t count, process_result* results) {
  process_run_ticking(specs, count, results, 0, NULL, NULL);
}

void process_run_ticking(const process_spec* specs, size_t count, process_result* results,
                         double tick_s, void (*tick)(void* context), void* context) {
  const double start_s = process_now_s();
  double next_s = start_s + tick_s;
  for (size_t i = 0; i < count; i++) results[i] = start(&specs[i]);
  for (double left_s; (left_s = collect(specs, count, start_s, results)) >= 0;) {
    if (tick != NULL) left_s = fmax(0, fmin(left_s, next_s - process_now_s()));
    int signal_number = wait_signal(left_s);
    if (tick != NULL && process_now_s() >= next_s) {
      tick(context);
      next_s = fmax(next_s + tick_s, process_now_s());
    }
    if (signal_number <= 0 || signal_number == SIGCHLD) continue;
    for (size_t i = 0; i < count; i++) {
      if (results[i].pid != 0) stop(&results[i], PROCESS_INTERRUPTED, start_s);
    }
  }
}

process_result process_begin(const process_spec* spec) {
  process_result self = start(spec);
  self.duration_s = -process_now_s();
  return self;
}

void process_stop(process_result* result, pid_t polite, double patience_s) {
  const double start_s = -result->duration_s;
  const double until_s = process_now_s() + patience_s;
  if (result->pid == 0) return;
  if (polite > 0) kill(polite, SIGTERM);
  while (process_now_s() < until_s) {
    if (wait4(result->pid, &result->status, WNOHANG, &result->usage) == result->pid) {
      finish(result, PROCESS_EXITED, start_s);
      return;
    }
    wait_signal(until_s - process_now_s());
  }
  stop(result, PROCESS_TIMED_OUT, start_s);
}

bool process_sleep(double seconds) {
  const double until_s = process_now_s() + seconds;
  while (process_now_s() < until_s) {
    int signal_number = wait_signal(until_s - process_now_s());
    if (signal_number != 0 && signal_number != SIGCHLD) {
      raise(signal_number);  // stays pending for who waits next
      return false;
    }
  }
  return true;
}

double process_seconds(struct timeval time) {
  return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

double process_processors(const process_result* result) {
  const struct rusage* usage = &result->usage;
  return (process_seconds(usage->ru_utime) + process_seconds(usage->ru_stime)) / result->duration_s;
}

bool process_capture(const char* const* argv, char* output, size_t bytes) {
  int ends[2];
  size_t length = 0;
  int status = -1;
  output[0] = '\0';
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  pid_t child = fork();
  if (child == 0) {
    int nowhere = open("/dev/null", O_RDWR);
    dup2(nowhere, STDIN_FILENO);
    dup2(nowhere, STDERR_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    sigprocmask(SIG_SETMASK, &original_mask, NULL);
    execvp(argv[0], (char* const*)(uintptr_t)argv);
    _exit(127);
  }
  close(ends[1]);
  FILE* from = fdopen(ends[0], "r");
  if (from != NULL) {
    length = fread(output, 1, bytes - 1, from);
    while (fgetc(from) != EOF) continue;  // what has no room
    fclose(from);
  }
  output[length] = '\0';
  if (length > 0 && output[length - 1] == '\n') output[length - 1] = '\0';
  if (child < 0) return false;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
