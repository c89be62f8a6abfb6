// Running programs to their end, one or several at the same time: with a time limit, with Ctrl-C,
// with their output kept, without polling.

#ifndef HAKMEM_TOOLS_HAKRUN_PROCESS_H_
#define HAKMEM_TOOLS_HAKRUN_PROCESS_H_

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

typedef struct process_spec {
  const char* const* argv;      // NULL at the end; argv[0] is looked for in PATH
  const char* output_path;      // of its output
  const char* errors_path;      // of what it writes to stderr; NULL: the same
  int timeout_s;                // 0: none
  const cpu_set_t* processors;  // NULL: all
} process_spec;

typedef enum process_end {
  PROCESS_EXITED,
  PROCESS_TIMED_OUT,    // and was killed, with all it had started
  PROCESS_INTERRUPTED,  // hakrun got SIGINT, SIGTERM or SIGHUP; the same
  PROCESS_NOT_STARTED,
} process_end;

typedef struct process_result {
  pid_t pid;  // while it runs; then 0
  process_end end;
  int status;  // as waitpid gives it
  struct rusage usage;
  double duration_s;
} process_result;

// Seconds of the monotonic clock.
double process_now_s(void);

// Once, before the first process: the signals that process_run waits for are blocked from here on.
void process_start(void);

// Starts all of them and returns when the last has ended; each has its own result. An interruption
// ends those that still run.
void process_run(const process_spec* specs, size_t count, process_result* results);

// The same; calls `tick` with `context` every so many seconds meanwhile.
void process_run_ticking(const process_spec* specs, size_t count, process_result* results,
                         double tick_s, void (*tick)(void* context), void* context);

// One in the background, for process_stop.
process_result process_begin(const process_spec* spec);

// Asks process `polite` (0: nobody) with SIGTERM to end, and ends the one of process_begin, with
// all it has started, when that did not help for so many seconds.
void process_stop(process_result* result, pid_t polite, double patience_s);

// False, at once, where a signal came that ends hakrun.
bool process_sleep(double seconds);

double process_seconds(struct timeval time);

// How many processors it kept busy, with all that it waited for.
double process_processors(const process_result* result);

// The standard output of a short command, without the newline at its end. False when it failed.
bool process_capture(const char* const* argv, char* output, size_t bytes);

#endif  // HAKMEM_TOOLS_HAKRUN_PROCESS_H_
