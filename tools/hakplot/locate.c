// Places: the checkout, the newest results below it, the recordings that come with hakplot.

#define _GNU_SOURCE  // nftw

#include "tools/hakplot/locate.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/common/places.h"

const char* hp_workspace(hp_arena* arena) {
  char* checkout = places_checkout();
  const char* folder = checkout != NULL ? hp_copy(arena, checkout, strlen(checkout)) : ".";
  free(checkout);
  return folder;
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
  const char* roots[] = {hp_workspace(arena), "."};
  for (size_t i = 0; i < 2; i++) {
    char* folder = hp_format(arena, "%s/results", roots[i]);
    newest.path[0] = '\0';
    nftw(folder, visit, 16, FTW_PHYS);
    if (newest.path[0] != '\0') return hp_copy(arena, newest.path, strlen(newest.path));
  }
  return NULL;
}

const char* hp_recordings(hp_arena* arena) {
  char* found = places_find("testdata/report");
  const char* folder = found != NULL ? hp_copy(arena, found, strlen(found)) : NULL;
  free(found);
  return folder;
}
