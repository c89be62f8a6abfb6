#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/hakplot/gnuplot.h"

extern char** environ;

// Reads both pipes until both are closed, so that gnuplot never waits for us.
static void drain(int out, int err, hp_text* output, hp_text* message) {
  struct pollfd pipes[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
  hp_text* texts[2] = {output, message};
  char buffer[4096];
  while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
    if (poll(pipes, 2, -1) < 0 && errno != EINTR) break;
    for (size_t i = 0; i < 2; i++) {
      if (pipes[i].fd < 0 || pipes[i].revents == 0) continue;
      ssize_t got = read(pipes[i].fd, buffer, sizeof(buffer));
      if (got > 0 && texts[i] != NULL) hp_put(texts[i], buffer, (size_t)got);
      if (got == 0 || (got < 0 && errno != EINTR)) pipes[i].fd = -1;
    }
  }
}

static int start(const char* folder, const char* script_path, int out, int err, pid_t* pid) {
  char* arguments[] = {"gnuplot", "-d", (char*)script_path, NULL};  // -d: no init files of the user
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  posix_spawn_file_actions_addchdir_np(&actions, folder);
  int error = posix_spawnp(pid, "gnuplot", &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

bool hp_gnuplot_run(const char* folder, const char* script_path, hp_text* output,
                    hp_text* message) {
  int out[2];
  int err[2];
  pid_t pid;
  int status = 0;
  if (pipe2(out, O_CLOEXEC) != 0) {
    hp_printf(message, "cannot start gnuplot: %s", strerror(errno));
    return false;
  }
  if (pipe2(err, O_CLOEXEC) != 0) {
    hp_printf(message, "cannot start gnuplot: %s", strerror(errno));
    close(out[0]);
    close(out[1]);
    return false;
  }
  int error = start(folder, script_path, out[1], err[1], &pid);
  close(out[1]);
  close(err[1]);
  if (error == 0) {
    drain(out[0], err[0], output, message);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  } else if (error == ENOENT) {
    hp_puts(message, "gnuplot is not installed (Debian: gnuplot-nox)");
  } else {
    hp_printf(message, "cannot start gnuplot: %s", strerror(error));
  }
  close(out[0]);
  close(err[0]);
  if (error == 0 && status != 0 && message->size == 0) {
    hp_printf(message, "gnuplot ended with status %d", status);
  }
  return error == 0 && status == 0;
}
