// libnodeepbind.so: preloaded beside an allocator, it takes RTLD_DEEPBIND away from dlopen.
//
// A library that is opened with that flag looks for malloc and free in libc before it looks in what
// is preloaded, and then frees with libc's what the program's malloc gave, or the other way round.
// Without the flag it finds the malloc that all others use; what it also finds first are the
// program's other symbols, which is what the flag was for. Hence a library apart, and not hakmem's
// default: docs/COMPATIBILITY.md says who needs it.
//
// dlopen looks at who calls it (for $ORIGIN, RUNPATH and the namespace): the real one must be
// jumped to, not called. BUILD.bazel asks for that in every build; a test holds it.

#define _GNU_SOURCE  // RTLD_NEXT, RTLD_DEEPBIND

#include <dlfcn.h>
#include <stddef.h>

typedef void* (*dlopen_t)(const char* file, int mode);

__attribute__((visibility("default"))) void* dlopen(const char* file, int mode) {
  dlopen_t next = (dlopen_t)dlsym(RTLD_NEXT, "dlopen");
  return next != NULL ? next(file, mode & ~RTLD_DEEPBIND) : NULL;
}
