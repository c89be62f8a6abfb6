// A malloc of a program's own, in one of the ways that programs have it (-DKIND_...). Built into
// the program itself and into libraries that are loaded before or behind hakmem.
//
//   POOL     blocks lie in a pool of its own: malloc, free, calloc, realloc
//   ALIGNED  the same, with posix_memalign and aligned_alloc
//   ALL      the same, with all that glibc asks of a replacement
//   LIBC     passes everything on to libc's second names
//   NEXT     passes everything on to the next malloc

#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// For the program: how many calls came here, and whether a block is of the pool.
extern int own_malloc_calls;
int own_malloc_calls;
int own_malloc_has(const void* block);

#if defined KIND_LIBC || defined KIND_NEXT

int own_malloc_has(const void* block) { return block == NULL; }

#ifdef KIND_LIBC
extern void* __libc_malloc(size_t);
extern void __libc_free(void*);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
#define PASS_ON(function, type) __libc_##function
#else
#define PASS_ON(function, type) ((type)dlsym(RTLD_NEXT, #function))
#endif

void* malloc(size_t size) {
  own_malloc_calls++;
  return PASS_ON(malloc, void* (*)(size_t))(size);
}
void free(void* block) {
  own_malloc_calls++;
  PASS_ON(free, void (*)(void*))(block);
}
void* calloc(size_t count, size_t size) {
  own_malloc_calls++;
  return PASS_ON(calloc, void* (*)(size_t, size_t))(count, size);
}
void* realloc(void* block, size_t size) {
  own_malloc_calls++;
  return PASS_ON(realloc, void* (*)(void*, size_t))(block, size);
}

#else

static char pool[32 << 20] __attribute__((aligned(4096)));
static size_t used;

int own_malloc_has(const void* block) {
  return (const char*)block >= pool && (const char*)block < pool + sizeof pool;
}

static void check(const void* block) {
  static const char text[] = "a block that is not of the pool\n";
  if (block == NULL || own_malloc_has(block)) return;
  _exit(write(STDOUT_FILENO, text, sizeof text - 1) > 0 ? 3 : 4);
}

// (One thread allocates at a time.)
static void* take(size_t alignment, size_t size) {
  own_malloc_calls++;
  size_t at = (used + 16 + alignment - 1) / alignment * alignment;
  if (size > sizeof pool || at > sizeof pool - size) {
    errno = ENOMEM;
    return NULL;
  }
  used = at + size;
  memcpy(pool + at - 16, &size, sizeof size);
  return pool + at;
}

void* malloc(size_t size) { return take(16, size); }
void free(void* block) {
  own_malloc_calls++;
  check(block);
}
void* calloc(size_t count, size_t size) { return take(16, count * size); }
void* realloc(void* block, size_t size) {
  check(block);
  void* moved = take(16, size);
  if (block == NULL || moved == NULL) return moved;
  size_t had;
  memcpy(&had, (char*)block - 16, sizeof had);
  return memcpy(moved, block, had < size ? had : size);
}

#if defined KIND_ALIGNED || defined KIND_ALL
int posix_memalign(void** out, size_t alignment, size_t size) {
  void* block = take(alignment, size);
  if (block == NULL) return ENOMEM;
  *out = block;
  return 0;
}
void* aligned_alloc(size_t alignment, size_t size) { return take(alignment, size); }
#endif

#ifdef KIND_ALL
extern void* memalign(size_t, size_t);
extern void* pvalloc(size_t);
extern size_t malloc_usable_size(void*);
void* memalign(size_t alignment, size_t size) { return take(alignment, size); }
void* valloc(size_t size) { return take(4096, size); }
void* pvalloc(size_t size) { return take(4096, (size + 4095) / 4096 * 4096); }
size_t malloc_usable_size(void* block) {
  size_t size = 0;
  check(block);
  if (block != NULL) memcpy(&size, (char*)block - 16, sizeof size);
  return size;
}
#endif

#endif
