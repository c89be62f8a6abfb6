// Files of an installed tool, found from the running program.

#define _GNU_SOURCE  // asprintf

#include "tools/installed/installed.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char* installed_find(const char* path) {
  static const char* const kFolders[] = {"libexec/hakmem", "share/hakmem"};
  char* program = realpath("/proc/self/exe", NULL);
  if (program == NULL) return NULL;
  const char* prefix = dirname(dirname(program));
  char* found = NULL;
  for (size_t i = 0; i < sizeof(kFolders) / sizeof(kFolders[0]) && found == NULL; i++) {
    char* name;
    if (asprintf(&name, "%s/%s/%s", prefix, kFolders[i], path) < 0) break;
    if (access(name, R_OK) == 0) found = realpath(name, NULL);
    free(name);
  }
  free(program);
  return found;
}
