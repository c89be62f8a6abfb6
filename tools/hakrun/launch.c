// launch STATUS_FILE [NAME=VALUE ...] PROGRAM [ARGUMENTS]
//
// Runs PROGRAM with some variables set and writes down how it ended, and its peak of resident
// memory in KiB: "exit 2 5120" or "signal 11 5120". Until then its number: "runs 4242 0".
// hakrun puts it between perf and the workload, as perf passes exit codes on only most of the time
// and signals never; and the variables (a preloaded allocator, its options) are not meant for perf.
// It is small, for its own page faults are counted too.

#define _GNU_SOURCE  // environ

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int write_status(const char* path, const char* kind, int number, long peak_kib) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return 127;
  dprintf(fd, "%s %d %ld\n", kind, number, peak_kib);
  close(fd);
  return 0;
}

int main(int argc, char** argv) {
  int at = 2;
  for (; at < argc && strchr(argv[at], '=') != NULL; at++) putenv(argv[at]);
  if (at >= argc) {
    dprintf(STDERR_FILENO, "usage: launch STATUS_FILE [NAME=VALUE ...] PROGRAM [ARGUMENTS]\n");
    return 2;
  }
  pid_t child;
  int status;
  struct rusage usage;
  int error = posix_spawn(&child, argv[at], NULL, NULL, argv + at, environ);
  if (error != 0) {
    dprintf(STDERR_FILENO, "%s: %s\n", argv[at], strerror(error));
    return 127;
  }
  write_status(argv[1], "runs", child, 0);
  while (wait4(child, &status, 0, &usage) < 0) {
    if (errno != EINTR) return 127;
  }
  if (WIFSIGNALED(status)) {
    write_status(argv[1], "signal", WTERMSIG(status), usage.ru_maxrss);
    return 128 + WTERMSIG(status);
  }
  int failed = write_status(argv[1], "exit", WEXITSTATUS(status), usage.ru_maxrss);
  return failed != 0 ? failed : WEXITSTATUS(status);
}
