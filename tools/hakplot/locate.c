// Places: the checkout, the newest results below it, the recordings that come with hakplot.

#define _GNU_SOURCE  // nftw

#include "tools/hakplot/locate.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/installed/installed.h"

#define HP_RECORDINGS "testdata/report"

static char* started_in;

void hp_locate_start(void) {
  const char* user = getenv("BUILD_WORKING_DIRECTORY");
  started_in = getcwd(NULL, 0);
  if (user != NULL && chdir(user) != 0) fprintf(stderr, "hakplot: cannot go to %s\n", user);
}

const char* hp_workspace(void) {
  const char* workspace = getenv("BUILD_WORKSPACE_DIRECTORY");
  return workspace != NULL ? workspace : ".";
}

const char* hp_command(hp_arena* arena, const char* tool) {
  if (getenv("BUILD_WORKSPACE_DIRECTORY") == NULL) return tool;
  return hp_format(arena, "bazel run //tools:%s --", tool);
}

// nftw has no argument to pass on.
static struct {
  char path[4096];
  struct timespec time;
} newest;

static int visit(const char* path, const struct stat* status, int type, struct FTW* at) {
  (void)at;
  const char* dot = strrchr(path, '.');
  if (type != FTW_F || dot == NULL || strcmp(dot, ".jsonl") != 0) return 0;
  if (status->st_size == 0 || strlen(path) >= sizeof(newest.path)) return 0;
  bool is_newer = status->st_mtim.tv_sec > newest.time.tv_sec ||
                  (status->st_mtim.tv_sec == newest.time.tv_sec &&
                   status->st_mtim.tv_nsec > newest.time.tv_nsec);
  if (newest.path[0] != '\0' && !is_newer) return 0;
  strcpy(newest.path, path);
  newest.time = status->st_mtim;
  return 0;
}

const char* hp_newest_results(hp_arena* arena) {
  const char* roots[] = {hp_workspace(), "."};
  for (size_t i = 0; i < 2; i++) {
    char* folder = hp_format(arena, "%s/results", roots[i]);
    newest.path[0] = '\0';
    nftw(folder, visit, 16, FTW_PHYS);
    if (newest.path[0] != '\0') return hp_copy(arena, newest.path, strlen(newest.path));
  }
  return NULL;
}

static bool is_folder(const char* path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

const char* hp_recordings(hp_arena* arena) {
  char self[4096];
  ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
  self[length > 0 ? length : 0] = '\0';
  char* installed = installed_find(HP_RECORDINGS);
  // The checkout, the runfiles that `bazel run` starts in, those beside the program (the repository
  // is `hakmem` for Bazel 4, `_main` for Bazel 7 and later), what was installed with it.
  char* places[] = {
      hp_format(arena, "%s/" HP_RECORDINGS, hp_workspace()),
      hp_format(arena, "%s/" HP_RECORDINGS, started_in != NULL ? started_in : "."),
      hp_format(arena, "%s.runfiles/hakmem/" HP_RECORDINGS, self),
      hp_format(arena, "%s.runfiles/_main/" HP_RECORDINGS, self),
      hp_format(arena, "%s", installed != NULL ? installed : ""),
  };
  free(installed);
  for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
    if (is_folder(places[i])) return places[i];
  }
  return NULL;
}
