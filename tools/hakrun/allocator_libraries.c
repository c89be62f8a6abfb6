// Libraries of allocators: their names and packages, and the folders of distributions.

#include "tools/hakrun/allocator_libraries.h"

#include <stddef.h>
#include <string.h>

#include "tools/common/places.h"

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

char* allocator_library_find(const char* name) {
  for (size_t i = 0; i < sizeof(kAllocators) / sizeof(kAllocators[0]); i++) {
    if (strcmp(kAllocators[i].name, name) != 0) continue;
    for (size_t file = 0; kAllocators[i].files[file] != NULL; file++) {
      for (size_t folder = 0; folder < sizeof(kFolders) / sizeof(kFolders[0]); folder++) {
        char* found = places_existing(kFolders[folder], kAllocators[i].files[file]);
        if (found != NULL) return found;
      }
    }
  }
  return NULL;
}

const char* allocator_library_package(const char* name) {
  for (size_t i = 0; i < sizeof(kAllocators) / sizeof(kAllocators[0]); i++) {
    if (strcmp(kAllocators[i].name, name) == 0) return kAllocators[i].package;
  }
  return NULL;
}
