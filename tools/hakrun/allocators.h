// The allocators that an experiment can name, and the libraries of those that are preloaded.

#ifndef HAKMEM_TOOLS_HAKRUN_ALLOCATORS_H_
#define HAKMEM_TOOLS_HAKRUN_ALLOCATORS_H_

typedef enum allocator_kind {
  ALLOCATOR_HAKMEM,         // libhakmem.so, preloaded
  ALLOCATOR_HAKMEM_STATIC,  // the workload linked with hakmem
  ALLOCATOR_SYSTEM,         // the C library's
  ALLOCATOR_LIBRARY,        // any other, preloaded
  ALLOCATOR_VOID,  // random_mixed only: the limit without an allocator (see the workload dry)
  ALLOCATOR_LIST,  // random_mixed only: the ideal allocator
} allocator_kind;

typedef struct allocator {
  const char* name;
  allocator_kind kind;
  const char* expected;  // the name that the workload must prove; NULL: the path alone is the proof
  const char* package;   // Debian's, of a library
  const char* files[3];  // names of the library
} allocator;

// NULL: there is none of that name.
const allocator* allocator_named(const char* name);

// The path of its library, where distributions put it; to be freed. NULL when it is not installed.
char* allocator_library(const allocator* self);

#endif  // HAKMEM_TOOLS_HAKRUN_ALLOCATORS_H_
