// Files of hakrun: installed, in runfiles or in Bazel's output; and libraries of allocators.

#include "tools/hakrun/resources.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/text_format.h"
#include "tools/installed/installed.h"

bool resources_enter_user_directory(void) {
  const char* directory = getenv("BUILD_WORKING_DIRECTORY");  // set by `bazel run`
  return directory == NULL || chdir(directory) == 0;
}

// The absolute name of "BASE INFIX / PATH", or NULL when it is not there.
static char* existing(const char* base, const char* infix, const char* path) {
  if (base == NULL || base[0] == '\0') return NULL;
  char* joined = text_format("%s%s/%s", base, infix, path);
  char* found = access(joined, R_OK) == 0 ? realpath(joined, NULL) : NULL;
  free(joined);
  return found;
}

char* resources_find(const char* path) {
  char* found = installed_find(path);
  if (found != NULL) return found;
  // Beside the program in Bazel's output tree, in its runfiles, in those of a test or tool that
  // started it. There the repository is `hakmem` for Bazel 4, `_main` for Bazel 7 and later.
  char* program = realpath("/proc/self/exe", NULL);
  char* folder = program != NULL ? text_format("%s", program) : NULL;
  for (int i = 0; i < 3 && folder != NULL; i++) {
    char* slash = strrchr(folder, '/');
    *(slash != NULL ? slash : folder) = '\0';
  }
  const struct {
    const char* base;
    const char* infix;
  } places[] = {
      {folder, ""},
      {program, ".runfiles/hakmem"},
      {program, ".runfiles/_main"},
      {getenv("RUNFILES_DIR"), "/hakmem"},
      {getenv("RUNFILES_DIR"), "/_main"},
      {getenv("TEST_SRCDIR"), "/hakmem"},
      {getenv("TEST_SRCDIR"), "/_main"},
      {getenv("BUILD_WORKSPACE_DIRECTORY"), ""},
  };
  for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && found == NULL; i++) {
    found = existing(places[i].base, places[i].infix, path);
  }
  free(program);
  free(folder);
  return found;
}

char* resources_checkout(void) {
  const char* workspace = getenv("BUILD_WORKSPACE_DIRECTORY");
  if (workspace != NULL) return realpath(workspace, NULL);
  char* root = realpath(".", NULL);
  while (root != NULL) {
    char* mark = existing(root, "", "workloads/experiments");
    if (mark != NULL) {
      free(mark);
      return root;
    }
    char* slash = strrchr(root, '/');
    if (slash == NULL || slash == root) break;
    *slash = '\0';
  }
  free(root);
  return NULL;
}

static const struct {
  const char* name;
  const char* package;
  const char* files[4];
} kAllocators[] = {
    {"mimalloc", "libmimalloc2.0", {"libmimalloc.so.2.0", "libmimalloc.so.2", "libmimalloc.so.3"}},
    {"jemalloc", "libjemalloc2", {"libjemalloc.so.2"}},
    {"tcmalloc", "libtcmalloc-minimal4", {"libtcmalloc_minimal.so.4", "libtcmalloc.so.4"}},
};

static const char* const kFolders[] = {
#if defined(__x86_64__)
    "/usr/lib/x86_64-linux-gnu",
#elif defined(__aarch64__)
    "/usr/lib/aarch64-linux-gnu",
#endif
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
};

char* resources_find_allocator(const char* name) {
  for (size_t i = 0; i < sizeof(kAllocators) / sizeof(kAllocators[0]); i++) {
    if (strcmp(kAllocators[i].name, name) != 0) continue;
    for (size_t file = 0; kAllocators[i].files[file] != NULL; file++) {
      for (size_t folder = 0; folder < sizeof(kFolders) / sizeof(kFolders[0]); folder++) {
        char* found = existing(kFolders[folder], "", kAllocators[i].files[file]);
        if (found != NULL) return found;
      }
    }
  }
  return NULL;
}

const char* resources_package_of(const char* name) {
  for (size_t i = 0; i < sizeof(kAllocators) / sizeof(kAllocators[0]); i++) {
    if (strcmp(kAllocators[i].name, name) == 0) return kAllocators[i].package;
  }
  return NULL;
}
