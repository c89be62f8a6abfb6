// Where the tools find what belongs to them and what the user means, however they were started:
// installed, by `bazel run`, by a test or directly.
//
// //:install puts programs into PREFIX/bin and what they need under the names that it has in this
// repository: what depends on the processor into PREFIX/libexec/hakmem, the rest into
// PREFIX/share/hakmem. PREFIX is found from the running program, so that an installed tree can be
// moved.

#ifndef HAKMEM_TOOLS_COMMON_PLACES_H_
#define HAKMEM_TOOLS_COMMON_PLACES_H_

#include <stdbool.h>

// Goes to the folder the user stands in, so that relative paths mean what the user means. False
// with a message on stderr.
bool places_enter_user_folder(const char* tool);

// The absolute name of the file or folder that the repository calls `path`
// ("workloads/random_mixed"), to be freed. NULL when it is not there.
char* places_find(const char* path);

// The root of the checkout the user works in, to be freed; NULL when there is none.
char* places_checkout(void);

// The absolute name of BASE/PATH, to be freed; NULL when it is not there.
char* places_existing(const char* base, const char* path);

// Makes a folder and those above it. False with errno set.
bool places_make_folders(const char* path);

#endif  // HAKMEM_TOOLS_COMMON_PLACES_H_
