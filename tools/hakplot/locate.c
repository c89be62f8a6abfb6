// Places: the checkout, the newest results below it, the recordings that come with hakplot.

#define _GNU_SOURCE  // nftw

#include "tools/hakplot/locate.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/common/places.h"

// Ours, of a text that is to be freed; `missing` for NULL.
static const char* keep(char* text, const char* missing) {
  const char* kept = text != NULL ? hp_copy(text, strlen(text)) : missing;
  free(text);
  return kept;
}

const char* hp_workspace(void) { return keep(places_checkout(), "."); }

const char* hp_command(const char* tool) {
  if (getenv("BUILD_WORKSPACE_DIRECTORY") == NULL) return tool;
  return hp_format("bazel run //tools:%s --", tool);
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
  const struct timespec* time = &status->st_mtim;
  bool is_newer = time->tv_sec != newest.time.tv_sec ? time->tv_sec > newest.time.tv_sec
                                                     : time->tv_nsec > newest.time.tv_nsec;
  if (newest.path[0] != '\0' && !is_newer) return 0;
  strcpy(newest.path, path);
  newest.time = status->st_mtim;
  return 0;
}

const char* hp_newest_results(void) {
  const char* roots[] = {hp_workspace(), "."};
  for (size_t i = 0; i < 2; i++) {
    char* folder = hp_format("%s/results", roots[i]);
    newest.path[0] = '\0';
    nftw(folder, visit, 16, FTW_PHYS);
    if (newest.path[0] != '\0') return hp_copy(newest.path, strlen(newest.path));
  }
  return NULL;
}

const char* hp_recordings(void) { return keep(places_find("testdata/report"), NULL); }
