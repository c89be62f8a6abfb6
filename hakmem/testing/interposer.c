// A library to preload beside hakmem, of the rude kind: it allocates in its constructor and
// destructor, and takes the place of getenv, mmap, munmap and dlsym with versions that allocate,
// and of clock_gettime with one that does so when it is called first.
//
// An allocator that calls any of them by name while it starts comes back to itself before it can
// answer. A block that is not given, or not kept, ends the process with SIGABRT.

#define _GNU_SOURCE

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

static void allocate(void) {
  for (size_t size = 1; size < 200000; size = size * 3 + 1) {
    char* block = malloc(size);
    if (block == NULL) abort();
    memset(block, 1, size);
    char* larger = realloc(block, size * 2);
    if (larger == NULL || larger[size - 1] != 1) abort();
    free(larger);
    free(calloc(1, size));
  }
  free(NULL);
}

__attribute__((constructor)) static void at_load(void) { allocate(); }
__attribute__((destructor)) static void at_unload(void) { allocate(); }

__attribute__((visibility("default"))) char* getenv(const char* name) {
  allocate();
  size_t length = strlen(name);
  for (char** variable = environ; variable != NULL && *variable != NULL; variable++) {
    if (strncmp(*variable, name, length) == 0 && (*variable)[length] == '=') {
      return *variable + length + 1;
    }
  }
  return NULL;
}

__attribute__((visibility("default"))) void* mmap(void* address, size_t bytes, int protection,
                                                  int flags, int fd, off_t offset) {
  allocate();
  return (void*)syscall(SYS_mmap, address, bytes, protection, flags, fd, offset);
}

__attribute__((visibility("default"))) int munmap(void* address, size_t bytes) {
  allocate();
  return (int)syscall(SYS_munmap, address, bytes);
}

// As libraries do that change the time, and look for the real function then.
__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec* time) {
  static bool was_called;
  bool is_first = !was_called;
  was_called = true;
  if (is_first) allocate();
  return (int)syscall(SYS_clock_gettime, clock, time);
}

// Found by dlvsym, which is not interposed; the version is that of the C library's architecture and
// age.
__attribute__((visibility("default"))) void* dlsym(void* handle, const char* name) {
  static const char* const versions[] = {"GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_2.17"};
  void* (*real)(void*, const char*) = NULL;
  for (size_t i = 0; i < sizeof versions / sizeof versions[0] && real == NULL; i++) {
    real = (void* (*)(void*, const char*))dlvsym(RTLD_NEXT, "dlsym", versions[i]);
  }
  allocate();
  if (real == NULL) abort();
  return real(handle, name);
}
