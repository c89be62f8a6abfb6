// Allocators: their names, kinds and packages, and the folders of distributions.

#include "tools/hakrun/allocators.h"

#include <stddef.h>
#include <string.h>

#include "tools/common/places.h"

static const allocator kAllocators[] = {
    {"hakmem", ALLOCATOR_HAKMEM, "hakmem", NULL, {NULL}},
    {"hakmem-static", ALLOCATOR_HAKMEM_STATIC, "hakmem", NULL, {NULL}},
    {"system", ALLOCATOR_SYSTEM, "glibc", NULL, {NULL}},
    {"glibc", ALLOCATOR_SYSTEM, "glibc", NULL, {NULL}},
    {"mimalloc",
     ALLOCATOR_LIBRARY,
     "mimalloc",
     "libmimalloc2.0",
     {"libmimalloc.so.2.0", "libmimalloc.so.2", "libmimalloc.so.3"}},
    {"jemalloc", ALLOCATOR_LIBRARY, "jemalloc", "libjemalloc2", {"libjemalloc.so.2"}},
    {"tcmalloc",
     ALLOCATOR_LIBRARY,
     "tcmalloc",
     "libtcmalloc-minimal4",
     {"libtcmalloc_minimal.so.4", "libtcmalloc.so.4"}},
    {"void", ALLOCATOR_VOID, NULL, NULL, {NULL}},
    {"list", ALLOCATOR_LIST, NULL, NULL, {NULL}},
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

const allocator* allocator_named(const char* name) {
  for (size_t i = 0; i < sizeof(kAllocators) / sizeof(kAllocators[0]); i++) {
    if (strcmp(kAllocators[i].name, name) == 0) return &kAllocators[i];
  }
  return NULL;
}

char* allocator_library(const allocator* self) {
  if (self->kind == ALLOCATOR_HAKMEM) return places_find("hakmem/libhakmem.so");
  for (size_t file = 0; file < 3 && self->files[file] != NULL; file++) {
    for (size_t folder = 0; folder < sizeof(kFolders) / sizeof(kFolders[0]); folder++) {
      char* found = places_existing(kFolders[folder], self->files[file]);
      if (found != NULL) return found;
    }
  }
  return NULL;
}
