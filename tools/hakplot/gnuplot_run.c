// Programs that hakplot starts: gnuplot, and fontconfig for what its fonts can show.

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "tools/hakplot/gnuplot.h"
#include "tools/hakplot/gnuplot_drawing.h"

extern char** environ;

const char* hp_gnuplot_run(const char* folder, const char* script, const char* message) {
  char* arguments[] = {"gnuplot", "-d", (char*)script, NULL};  // -d: no init files of the user
  const char* path = hp_format("%s/%s", folder, message);
  posix_spawn_file_actions_t actions;
  pid_t pid;
  int status = 0;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  posix_spawn_file_actions_addchdir_np(&actions, folder);
  int error = posix_spawnp(&pid, arguments[0], &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) return "gnuplot is not installed (Debian: gnuplot-nox)";
  if (error != 0) return hp_format("cannot start gnuplot: %s", strerror(error));
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return status == 0 ? NULL : hp_format("gnuplot ended with status %d", status);
}

// fc-list comes with the library through which gnuplot finds its fonts; without it nothing is known
// and every character is tried.
static bool ask_fontconfig(uint32_t rune) {
  FILE* fonts = popen(hp_format("fc-list :charset=%x family 2>/dev/null", rune), "re");
  if (fonts == NULL) return true;
  bool has_any = false;
  while (fgetc(fonts) != EOF) has_any = true;
  return pclose(fonts) != 0 || has_any;
}

bool hp_font_has(uint32_t rune) {
  enum { LATIN_END = 0x250, ASKED_MAX = 512 };
  static struct {
    uint32_t rune;
    bool has_font;
  } asked[ASKED_MAX];
  static size_t count;
  size_t i = 0;
  if (rune < LATIN_END) return true;
  while (i < count && asked[i].rune != rune) i++;
  if (i == ASKED_MAX) return false;
  if (i == count) {
    asked[count].rune = rune;
    asked[count++].has_font = ask_fontconfig(rune);
  }
  return asked[i].has_font;
}
