// hakrecord: runs a program with the recorder preloaded and writes down its allocation calls as a
// trace that the workload `replay` reads.

#define _GNU_SOURCE  // mkostemp, environ

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/hakrecord/convert.h"
#include "tools/hakrecord/raw.h"
#include "tools/installed/installed.h"

static const char kUsage[] =
    "usage: hakrecord -o TRACE [--] PROGRAM [ARGUMENTS]\n"
    "\n"
    "Runs PROGRAM and writes its allocation calls to TRACE, in Android's memory_replay text\n"
    "format; `replay TRACE` does them again. The program itself is recorded, not the programs it\n"
    "starts. The exit code is the program's (128 + N if signal N ended it), 1 if the recording\n"
    "is incomplete, 2 for bad arguments.\n";

static _Noreturn void reject(const char* what, const char* why) {
  fprintf(stderr, "hakrecord: %s%s%s\n%s", what, why != NULL ? ": " : "", why != NULL ? why : "",
          kUsage);
  exit(2);
}

static _Noreturn void fail(const char* what) {
  fprintf(stderr, "hakrecord: %s: %s\n", what, strerror(errno));
  exit(1);
}

// The recorder lies where //:install puts it, or beside this program.
static void recorder_path(char path[PATH_MAX]) {
  static const char kName[] = "libhakrecord.so";
  char* installed = installed_find("tools/hakrecord/libhakrecord.so");
  if (installed != NULL) {
    snprintf(path, PATH_MAX, "%s", installed);
    free(installed);
    return;
  }
  ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - sizeof(kName));
  if (length < 0) fail("/proc/self/exe");
  path[length] = '\0';
  strcpy(strrchr(path, '/') + 1, kName);
  if (access(path, R_OK) != 0) fail(path);
}

// Makes the empty recording and leaves its absolute path.
static void make_recording(const char* trace_path, char path[PATH_MAX]) {
  char relative[PATH_MAX];
  if ((size_t)snprintf(relative, sizeof(relative), "%s.raw-XXXXXX", trace_path) >=
      sizeof(relative)) {
    reject("the name of the trace is too long", NULL);
  }
  int fd = mkostemp(relative, O_CLOEXEC);
  if (fd < 0) reject(trace_path, strerror(errno));
  raw_header header = {.magic = RAW_MAGIC};
  if (write(fd, &header, sizeof(header)) != sizeof(header) ||
      ftruncate(fd, RAW_HEADER_BYTES) != 0 || realpath(relative, path) == NULL) {
    int error = errno;
    unlink(relative);
    errno = error;
    fail(relative);
  }
  close(fd);
}

static pid_t child;

static void pass_on(int signal_number) { kill(child, signal_number); }

// Starts the program with the recorder in front of what is preloaded already. Returns 0 or an error
// number: a program that cannot be started is no program that exits with 127.
static int start_program(const char* raw, char** command) {
  char recorder[PATH_MAX];
  recorder_path(recorder);
  const char* others = getenv("LD_PRELOAD");
  char preload[2 * PATH_MAX];
  snprintf(preload, sizeof(preload), "%s%s%s", recorder, others != NULL ? ":" : "",
           others != NULL ? others : "");
  setenv("LD_PRELOAD", preload, 1);
  setenv(RAW_PATH_VARIABLE, raw, 1);
  return posix_spawnp(&child, command[0], NULL, NULL, command, environ);
}

// Waits for the program's end; returns its exit code. Signals are meant for the program: Ctrl-C
// reaches it by itself, others are passed on. Its recording is still to be written down.
static int await_program(void) {
  signal(SIGINT, SIG_IGN);
  signal(SIGQUIT, SIG_IGN);
  signal(SIGTERM, pass_on);
  signal(SIGHUP, pass_on);
  int status;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) fail("waitpid");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Converts the recording; returns whether it is complete.
static bool write_trace(const char* raw, const char* trace_path) {
  convert_summary summary;
  char message[CONVERT_MESSAGE_BYTES];
  FILE* trace = fopen(trace_path, "w");
  bool is_written = trace != NULL && convert_recording(raw, trace, &summary, message);
  if (trace == NULL) snprintf(message, sizeof(message), "%s: %s", trace_path, strerror(errno));
  if (trace != NULL && fclose(trace) != 0 && is_written) {
    snprintf(message, sizeof(message), "cannot write %s: %s", trace_path, strerror(errno));
    is_written = false;
  }
  if (!is_written) {
    fprintf(stderr, "hakrecord: %s\n", message);
    return false;
  }
  fprintf(stderr,
          "hakrecord: %" PRIu64 " calls of %" PRIu64 " threads, at most %" PRIu64
          " bytes live, in %s\n",
          summary.calls, summary.threads, summary.peak_bytes, trace_path);
  if (summary.unknown > 0) {
    fprintf(stderr, "hakrecord: %" PRIu64 " frees of blocks made before the recording left out\n",
            summary.unknown);
  }
  if (summary.dropped > 0) {
    fprintf(stderr, "hakrecord: no room for %" PRIu64 " calls: the trace is incomplete\n",
            summary.dropped);
  } else if (summary.calls == 0) {
    fprintf(stderr,
            "hakrecord: no call was seen; a statically linked program cannot be recorded\n");
  }
  return summary.dropped == 0;
}

int main(int argc, char** argv) {
  char raw[PATH_MAX];
  const char* trace_path = NULL;
  const char* user_directory = getenv("BUILD_WORKING_DIRECTORY");  // set by `bazel run`
  if (user_directory != NULL && chdir(user_directory) != 0) fail(user_directory);
  int at = 1;
  for (; at < argc && argv[at][0] == '-'; at++) {
    if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
      fputs(kUsage, stdout);
      return 0;
    }
    if (strcmp(argv[at], "--") == 0) {
      at++;
      break;
    }
    if (strcmp(argv[at], "-o") != 0) reject("unknown option", argv[at]);
    if (++at == argc) reject("-o needs a file", NULL);
    trace_path = argv[at];
  }
  if (trace_path == NULL) reject("-o TRACE is missing", NULL);
  if (at == argc) reject("PROGRAM is missing", NULL);

  make_recording(trace_path, raw);
  int error = start_program(raw, argv + at);
  if (error != 0) {
    fprintf(stderr, "hakrecord: %s: %s\n", argv[at], strerror(error));
    unlink(raw);
    return 127;
  }
  int exit_code = await_program();
  bool is_complete = write_trace(raw, trace_path);
  unlink(raw);
  return is_complete ? exit_code : 1;
}
