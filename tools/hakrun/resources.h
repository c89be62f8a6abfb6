// Where hakrun finds what belongs to it (workloads, the allocator, shipped experiments) and what
// the user means by a relative path: hakrun is installed, or started by `bazel run`, by a test or
// directly.
//
// Paths that are returned are absolute and to be freed.

#ifndef HAKMEM_TOOLS_HAKRUN_RESOURCES_H_
#define HAKMEM_TOOLS_HAKRUN_RESOURCES_H_

#include <stdbool.h>

// Goes to the folder the user stands in, so that relative paths mean what the user means. False
// with errno set.
bool resources_enter_user_directory(void);

// The file that Bazel calls `path` ("workloads/random_mixed"). NULL when it is not there.
char* resources_find(const char* path);

// The root of the checkout the user works in, or NULL when there is none.
char* resources_checkout(void);

// Where Debian, and others, put a library. `name` is one of mimalloc, jemalloc, tcmalloc. NULL when
// it is not installed.
char* resources_find_allocator(const char* name);

// The Debian package that holds it.
const char* resources_package_of(const char* name);

#endif  // HAKMEM_TOOLS_HAKRUN_RESOURCES_H_
