// Programs that hakplot starts: gnuplot, and fontconfig for what its fonts can show.

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/hakplot/gnuplot.h"
#include "tools/hakplot/gnuplot_drawing.h"

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

static int start(char* const arguments[], const char* folder, int out, int err, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  posix_spawn_file_actions_addchdir_np(&actions, folder);
  int error = posix_spawnp(pid, arguments[0], &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

// Runs a program and gathers what it says. Returns 0 and its wait status, or errno.
static int run(char* const arguments[], const char* folder, hp_text* output, hp_text* message,
               int* status) {
  int out[2];
  int err[2];
  pid_t pid;
  if (pipe2(out, O_CLOEXEC) != 0) return errno;
  if (pipe2(err, O_CLOEXEC) != 0) {
    int error = errno;
    close(out[0]);
    close(out[1]);
    return error;
  }
  int error = start(arguments, folder, out[1], err[1], &pid);
  close(out[1]);
  close(err[1]);
  if (error == 0) {
    drain(out[0], err[0], output, message);
    while (waitpid(pid, status, 0) < 0 && errno == EINTR) continue;
  }
  close(out[0]);
  close(err[0]);
  return error;
}

bool hp_gnuplot_run(const char* folder, const char* script_path, hp_text* output,
                    hp_text* message) {
  char* arguments[] = {"gnuplot", "-d", (char*)script_path, NULL};  // -d: no init files of the user
  int status = 0;
  int error = run(arguments, folder, output, message, &status);
  if (error == ENOENT) {
    hp_puts(message, "gnuplot is not installed (Debian: gnuplot-nox)");
  } else if (error != 0) {
    hp_printf(message, "cannot start gnuplot: %s", strerror(error));
  } else if (status != 0 && message->size == 0) {
    hp_printf(message, "gnuplot ended with status %d", status);
  }
  return error == 0 && status == 0;
}

// fc-list comes with the library through which gnuplot finds its fonts; without it nothing is known
// and every character is tried.
static bool ask_fontconfig(uint32_t rune) {
  char pattern[32];
  char* arguments[] = {"fc-list", pattern, "family", NULL};
  hp_text fonts = {0};
  int status = 0;
  snprintf(pattern, sizeof(pattern), ":charset=%x", rune);
  int error = run(arguments, "/", &fonts, NULL, &status);
  bool has_font = error != 0 || status != 0 || fonts.size > 0;
  hp_text_free(&fonts);
  return has_font;
}

bool hp_font_has(uint32_t rune) {
  enum { LATIN_END = 0x250, ASKED_MAX = 512 };
  static struct {
    uint32_t rune;
    bool has_font;
  } asked[ASKED_MAX];
  static size_t count;
  if (rune < LATIN_END) return true;
  for (size_t i = 0; i < count; i++) {
    if (asked[i].rune == rune) return asked[i].has_font;
  }
  if (count == ASKED_MAX) return false;
  asked[count].rune = rune;
  asked[count].has_font = ask_fontconfig(rune);
  return asked[count++].has_font;
}
