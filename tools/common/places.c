// Files and folders, looked for where each way of starting a tool leaves them.

#include "tools/common/places.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/common/text_format.h"

bool places_enter_user_folder(const char* tool) {
  const char* folder = getenv("BUILD_WORKING_DIRECTORY");  // set by `bazel run`
  if (folder == NULL || chdir(folder) == 0) return true;
  fprintf(stderr, "%s: cannot enter %s: %s\n", tool, folder, strerror(errno));
  return false;
}

char* places_existing(const char* base, const char* path) {
  char* joined = text_format("%s/%s", base, path);
  char* found = access(joined, R_OK) == 0 ? realpath(joined, NULL) : NULL;
  free(joined);
  return found;
}

// The program's folder, or those above it.
static char* folder_above(const char* program, int levels) {
  char* folder = text_format("%s", program);
  for (; levels > 0; levels--) {
    char* slash = strrchr(folder, '/');
    *(slash != NULL ? slash : folder) = '\0';
  }
  return folder;
}

char* places_find(const char* path) {
  char* program = realpath("/proc/self/exe", NULL);
  if (program == NULL) return NULL;
  char* prefix = folder_above(program, 2);
  char* output = folder_above(program, 3);
  const char* runfiles[] = {program, getenv("RUNFILES_DIR"), getenv("TEST_SRCDIR")};
  // Installed, or beside the program in Bazel's output tree.
  char* bases[] = {text_format("%s/libexec/hakmem", prefix), text_format("%s/share/hakmem", prefix),
                   output};
  char* found = NULL;
  for (size_t i = 0; i < 3 && found == NULL; i++) found = places_existing(bases[i], path);
  // In the program's runfiles, or those of a test or tool that started it. There the repository is
  // `hakmem` for Bazel 4, `_main` for Bazel 7 and later.
  for (size_t i = 0; i < 6 && found == NULL; i++) {
    const char* base = runfiles[i / 2];
    if (base == NULL) continue;
    char* folder =
        text_format("%s%s/%s", base, i < 2 ? ".runfiles" : "", i % 2 == 0 ? "hakmem" : "_main");
    found = places_existing(folder, path);
    free(folder);
  }
  char* checkout = found == NULL ? places_checkout() : NULL;
  if (checkout != NULL) found = places_existing(checkout, path);
  free(checkout);
  for (size_t i = 0; i < 3; i++) free(bases[i]);
  free(prefix);
  free(program);
  return found;
}

char* places_checkout(void) {
  const char* workspace = getenv("BUILD_WORKSPACE_DIRECTORY");
  if (workspace != NULL) return realpath(workspace, NULL);
  char* root = realpath(".", NULL);
  while (root != NULL) {
    char* mark = places_existing(root, "workloads/experiments");
    free(mark);
    if (mark != NULL) return root;
    char* slash = strrchr(root, '/');
    if (slash == NULL || slash == root) break;
    *slash = '\0';
  }
  free(root);
  return NULL;
}

bool places_make_folders(const char* path) {
  struct stat status;
  char* copy = text_format("%s/", path);
  bool is_made = true;
  for (char* at = copy + 1; *at != '\0' && is_made; at++) {
    if (*at != '/') continue;
    *at = '\0';
    is_made = mkdir(copy, 0777) == 0 || errno == EEXIST;
    *at = '/';
  }
  free(copy);
  if (!is_made || stat(path, &status) != 0) return false;
  if (!S_ISDIR(status.st_mode)) errno = ENOTDIR;
  return S_ISDIR(status.st_mode);
}
