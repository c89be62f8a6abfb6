// A program on libc's malloc that loads libhakmem.so (its argument) and uses the hak_ functions
// beside it, from several threads.

#define _GNU_SOURCE

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void* (*hak_malloc_p)(size_t);
static void* (*hak_realloc_p)(void*, size_t);
static void (*hak_free_p)(void*);
static bool (*hak_owns_p)(const void*);

static void* find(void* handle, const char* name) {
  void* symbol = dlsym(handle, name);
  if (symbol == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  return symbol;
}

static void* work(void* unused) {
  for (size_t i = 1; i < 20000; i++) {
    char* ours = hak_malloc_p(i);
    char* libcs = malloc(i);
    if (ours == NULL || libcs == NULL || !hak_owns_p(ours) || hak_owns_p(libcs)) abort();
    memset(ours, 1, i);
    ours = hak_realloc_p(ours, i * 2);
    if (ours[i - 1] != 1) abort();
    hak_free_p(ours);
    free(libcs);
  }
  return unused;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  void* handle = dlopen(argv[1], RTLD_NOW);
  if (handle == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  hak_malloc_p = find(handle, "hak_malloc");
  hak_realloc_p = find(handle, "hak_realloc");
  hak_free_p = find(handle, "hak_free");
  hak_owns_p = find(handle, "hak_owns");
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, NULL);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  // Threads that used the library go on ending after it was closed.
  pthread_create(&threads[0], NULL, work, NULL);
  dlclose(handle);
  pthread_join(threads[0], NULL);
  puts("done");
  return 0;
}
