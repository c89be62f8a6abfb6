// Uses every function that gives or takes blocks, by way of libc too, in a process that may have a
// malloc of its own (own_malloc.c); prints which malloc served each, and frees what glibc could
// free.

#define _GNU_SOURCE

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef LINKED
static int (*has)(const void*);
#else
extern int own_malloc_has(const void*);
static int (*has)(const void*) = own_malloc_has;
#endif

extern void cfree_by_name(void*) __asm__("cfree") __attribute__((weak));
extern void free_sized_by_name(void*, size_t) __asm__("free_sized") __attribute__((weak));
extern void free_aligned_sized_by_name(void*, size_t, size_t) __asm__("free_aligned_sized")
    __attribute__((weak));
extern const char* hak_version(void) __attribute__((weak));

// In a pool's process another malloc's block is not for the pool's free.
static int is_pool;

static void see(const char* function, void* block) {
  int is_own = has != NULL && has(block);
  printf("%s: %s\n", function, block == NULL ? "none" : is_own ? "own" : "other");
  if (is_own || !is_pool) free(block);
}

static void* duplicate(void* text) { return strdup(text); }

static void see_basic(void) {
  see("malloc", malloc(100));
  see("calloc", calloc(10, 10));
  see("realloc", realloc(malloc(10), 1000));
  see("realloc of NULL", realloc(NULL, 1000));
  see("reallocarray", reallocarray(malloc(10), 50, 40));
  see("reallocarray of NULL", reallocarray(NULL, 5, 5));
  void* kept = malloc(10);
  volatile size_t half = (size_t)1 << 32;
  void* moved = reallocarray(kept, half, half);
  if (moved != NULL) puts("an overflow");
  free(moved == NULL ? kept : moved);
}

static void see_aligned(void) {
  void* block = NULL;
  if (posix_memalign(&block, 64, 100) != 0) puts("posix_memalign fails");
  see("posix_memalign", block);
  see("aligned_alloc", aligned_alloc(64, 128));
  see("memalign", memalign(64, 100));
  see("valloc", valloc(100));
  see("pvalloc", pvalloc(100));
}

static void see_libc(void) {
  char* text = NULL;
  size_t size = 0;
  FILE* stream = open_memstream(&text, &size);
  fprintf(stream, "%01000d", 1);
  fclose(stream);
  see("open_memstream", text);
  char line[] = "a line\nanother\n";
  stream = fmemopen(line, sizeof line - 1, "r");
  text = malloc(1);
  size = 1;
  if (getline(&text, &size, stream) < 0) puts("no line");
  fclose(stream);
  see("getline", text);
  pthread_t thread;
  void* copy = NULL;
  if (pthread_create(&thread, NULL, duplicate, line) == 0) pthread_join(thread, &copy);
  see("strdup in a thread", copy);
  see("realpath", realpath("/", NULL));
}

// Functions that glibc 2.36 does not have, and a size that it would make up: with hakmem alone.
static void use_the_rest(void) {
  if (hak_version == NULL) return;
  cfree_by_name(malloc(10));
  free_sized_by_name(malloc(10), 10);
  free_aligned_sized_by_name(malloc(16), 16, 16);
  void* block = malloc(10);
  size_t size = malloc_usable_size(block);
  if (size != 0 && size < 10) printf("usable: %zu\n", size);
  free(block);
}

int main(void) {
#ifndef LINKED
  has = (int (*)(const void*))dlsym(RTLD_DEFAULT, "own_malloc_has");
#endif
  void* block = malloc(10);
  is_pool = has != NULL && has(block);
  free(block);
  see_basic();
  see_aligned();
  see_libc();
  use_the_rest();
  puts("done");
  return 0;
}
