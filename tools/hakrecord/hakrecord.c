// hakrecord: runs a program with the recorder preloaded and writes down its allocation calls as a
// trace that the workload `replay` reads.

#define _GNU_SOURCE  // environ

#include <dirent.h>
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/common/arguments.h"
#include "tools/common/places.h"
#include "tools/common/text_format.h"
#include "tools/hakrecord/convert.h"
#include "tools/hakrecord/raw.h"

enum { EXIT_INCOMPLETE = 1 };

static const char kAbout[] =
    "Runs PROGRAM and writes its allocation calls to TRACE; `replay TRACE` does them again.\v"
    "The exit code is the program's (128 + N if signal N ended it), 1 if the recording is "
    "incomplete or nothing was recorded, 2 for bad arguments. A TRACE that is there already is "
    "replaced when there is a new one, and not before.";

static const char kNoCall[] =
    "no call was seen: nothing is written (a statically linked program cannot be recorded)";

typedef struct options {
  const char* trace;
  const char* raw;    // --convert
  const char* print;  // --print
  bool has_children;
  char** command;
} options;

static const argument_option kOptions[] = {
    {"output", 'o', ARGUMENT_TEXT, offsetof(options, trace), 0, 0, "TRACE", "where the trace goes"},
    {"children", 0, ARGUMENT_FLAG, offsetof(options, has_children), 0, 0, NULL,
     "record the processes it starts, too: each in a TRACE.NUMBER"},
    {"convert", 0, ARGUMENT_TEXT, offsetof(options, raw), 0, 0, "FOLDER",
     "write the trace of a recording whose hakrecord was killed: TRACE.raw-..."},
    {"print", 0, ARGUMENT_TEXT, offsetof(options, print), 0, 0, "TRACE",
     "print a trace as a text of Android's memory_replay"},
};

static void finish(void* into, char** words, size_t count, const struct argp_state* state) {
  options* self = into;
  if (count > 0) self->command = words;
  if (self->print != NULL) return;
  if (self->trace == NULL) argp_error(state, "-o TRACE is missing");
  if (self->command == NULL && self->raw == NULL) argp_error(state, "PROGRAM is missing");
}

static const argument_syntax kSyntax = {kOptions, 4,    "-o TRACE PROGRAM [ARGUMENT...]",
                                        kAbout,   true, finish};

static _Noreturn void fail(const char* what) {
  fprintf(stderr, "hakrecord: %s: %s\n", what, strerror(errno));
  exit(EXIT_INCOMPLETE);
}

// ---- the program ----

// Makes the folder for the recordings and leaves its absolute path.
static void make_folder(const char* trace_path, char path[PATH_MAX]) {
  char relative[PATH_MAX];
  if ((size_t)snprintf(relative, sizeof(relative), "%s.raw-XXXXXX", trace_path) >=
      sizeof(relative)) {
    errno = ENAMETOOLONG;
  } else if (mkdtemp(relative) != NULL && realpath(relative, path) != NULL) {
    return;
  }
  fprintf(stderr, "hakrecord: %s: %s\n", trace_path, strerror(errno));
  exit(EXIT_BAD_INPUT);
}

static pid_t child;

static void pass_on(int signal_number) { kill(child, signal_number); }

// Starts the program with the recorder in front of what is preloaded already. Returns 0 or an error
// number: a program that cannot be started is no program that exits with 127.
static int start_program(const options* chosen, const char* folder) {
  char* recorder = places_find("tools/hakrecord/libhakrecord.so");
  if (recorder == NULL) fail("libhakrecord.so");
  const char* others = getenv("LD_PRELOAD");
  char preload[2 * PATH_MAX];
  snprintf(preload, sizeof(preload), "%s%s%s", recorder, others != NULL ? ":" : "",
           others != NULL ? others : "");
  free(recorder);
  setenv("LD_PRELOAD", preload, 1);
  setenv(RAW_PATH_VARIABLE, folder, 1);
  if (chosen->has_children) setenv(RAW_CHILDREN_VARIABLE, "1", 1);
  return posix_spawnp(&child, chosen->command[0], NULL, NULL, chosen->command, environ);
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

// ---- its traces ----

static void report(const convert_summary* summary, const char* trace_path) {
  const trace_totals* totals = &summary->totals;
  struct stat status = {0};
  stat(trace_path, &status);
  fprintf(stderr,
          "hakrecord: %" PRIu64 " calls of %" PRIu64 " threads, at most %" PRIu64
          " bytes live, in %s (%.1f bytes a call)\n",
          totals->ops, totals->threads, totals->peak_bytes, trace_path,
          (double)status.st_size / (double)totals->ops);
  if (totals->unknown_frees > 0) {
    fprintf(stderr, "hakrecord: %" PRIu64 " frees of blocks made before the recording left out\n",
            totals->unknown_frees);
  }
  if (summary->dropped > 0) {
    fprintf(stderr, "hakrecord: no room for %" PRIu64 " calls: the trace is incomplete\n",
            summary->dropped);
  }
  if (summary->arena < 1 || summary->arena > RAW_N_ARENAS) return;
  fprintf(stderr,
          "hakrecord: %s has an allocator of its own above malloc: most of its calls are not in "
          "the trace; run it with %s=%s\n",
          raw_arenas[summary->arena - 1].name, raw_arenas[summary->arena - 1].variable,
          raw_arenas[summary->arena - 1].value);
}

// Converts one recording; a trace that holds nothing takes no other's place. Returns whether it is
// complete.
static bool write_trace(const char* raw, const char* trace_path) {
  convert_summary summary = {0};
  char message[TRACE_MESSAGE_BYTES] = "";
  char* part = text_format("%s.part", trace_path);
  int fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  const char* failed = fd < 0 ? part : NULL;
  bool is_written = fd >= 0 && convert_recording(raw, fd, &summary, message);
  if (fd >= 0) close(fd);
  bool has_calls = is_written && summary.totals.ops > 0;
  if (has_calls && rename(part, trace_path) != 0) failed = trace_path;
  if (failed != NULL) {
    fprintf(stderr, "hakrecord: %s: %s\n", failed, strerror(errno));
  } else if (has_calls) {
    report(&summary, trace_path);
  } else {
    fprintf(stderr, "hakrecord: %s\n", message[0] != '\0' ? message : kNoCall);
  }
  if (!has_calls || failed != NULL) unlink(part);
  free(part);
  return has_calls && failed == NULL && summary.dropped == 0;
}

// Of all recordings of the folder, the first process's into the trace that was asked for. Removes
// them and the folder.
static bool write_traces(const char* folder, const char* trace_path) {
  struct dirent** entries;
  bool is_complete = true;
  bool has_first = false;
  int count = scandir(folder, &entries, NULL, versionsort);
  if (count < 0) fail(folder);
  for (int i = 0; i < count; i++) {
    const char* entry = entries[i]->d_name;
    bool is_first = strcmp(entry, RAW_FIRST) == 0;
    if (entry[0] == '.') continue;
    has_first |= is_first;
    char* raw = text_format("%s/%s", folder, entry);
    char* name = is_first ? text_format("%s", trace_path) : text_format("%s.%s", trace_path, entry);
    bool is_written = write_trace(raw, name);
    if (is_first) is_complete = is_written;
    unlink(raw);
    free(raw);
    free(name);
  }
  for (int i = 0; i < count; i++) free(entries[i]);
  free(entries);
  rmdir(folder);
  if (!has_first) {
    fprintf(stderr, "hakrecord: %s\n", kNoCall);
  }
  return is_complete && has_first;
}

static int print(const char* path) {
  char message[TRACE_MESSAGE_BYTES];
  if (!print_trace(path, stdout, message)) {
    fprintf(stderr, "hakrecord: %s\n", message);
    return EXIT_BAD_INPUT;
  }
  if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
  fail("cannot write to standard output");
}

int main(int argc, char** argv) {
  char folder[PATH_MAX];
  options chosen = {0};
  if (!places_enter_user_folder("hakrecord")) return EXIT_BAD_INPUT;
  arguments_parse(&kSyntax, argc, argv, &chosen);
  if (chosen.print != NULL) return print(chosen.print);
  if (chosen.raw != NULL) return write_traces(chosen.raw, chosen.trace) ? 0 : EXIT_INCOMPLETE;
  make_folder(chosen.trace, folder);
  int error = start_program(&chosen, folder);
  if (error != 0) {
    fprintf(stderr, "hakrecord: %s: %s\n", chosen.command[0], strerror(error));
    rmdir(folder);
    return 127;
  }
  int exit_code = await_program();
  return write_traces(folder, chosen.trace) ? exit_code : EXIT_INCOMPLETE;
}
