// The libraries of other allocators, where distributions put them.

#ifndef HAKMEM_TOOLS_HAKRUN_ALLOCATOR_LIBRARIES_H_
#define HAKMEM_TOOLS_HAKRUN_ALLOCATOR_LIBRARIES_H_

// The path of a library, to be freed. `name` is one of mimalloc, jemalloc, tcmalloc. NULL when it
// is not installed.
char* allocator_library_find(const char* name);

// The Debian package that holds it.
const char* allocator_library_package(const char* name);

#endif  // HAKMEM_TOOLS_HAKRUN_ALLOCATOR_LIBRARIES_H_
