// The ideal allocator of `dry --limit list` as a library to preload: what is left of malloc's time
// when it has no classes, no map, no threads and no checks, but is still the malloc of a process,
// called through its linkage table.
//
// An array stack of ready-made blocks of 1040 bytes, for programs of one thread that ask for
// larger ones only now and then: those are cut off the end of one mapping, and so are the first
// small ones. A freed block of either kind serves any small request.

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SMALL_BYTES = 1040, HEADER_BYTES = 16 };

static const size_t kHeapBytes = (size_t)64 << 30;

// Free blocks; stack[0] is NULL, so that an empty stack shows.
static void** stack;
static void** top;  // the last free block

static char* next;  // the heap from here on is unused
static char* end;

static void* map(size_t bytes) {
  void* start =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) abort();
  return start;
}

// A fresh block with its usable bytes in front of it, at a multiple of `alignment`.
static __attribute__((noinline)) void* cut(size_t size, size_t alignment) {
  if (next == NULL) {
    stack = top = map((kHeapBytes / SMALL_BYTES + 1) * sizeof(*stack));
    next = map(kHeapBytes);
    end = next + kHeapBytes;
  }
  if (size < SMALL_BYTES) size = SMALL_BYTES;
  if (alignment < HEADER_BYTES) alignment = HEADER_BYTES;
  if (size > PTRDIFF_MAX || alignment > kHeapBytes) size = kHeapBytes;  // does not fit
  uintptr_t at = ((uintptr_t)next + HEADER_BYTES + alignment - 1) & ~(alignment - 1);
  size_t bytes = (size + HEADER_BYTES - 1) & ~(size_t)(HEADER_BYTES - 1);
  if (at > (uintptr_t)end || bytes > (uintptr_t)end - at) {
    errno = ENOMEM;
    return NULL;
  }
  memcpy((char*)at - HEADER_BYTES, &bytes, sizeof bytes);
  next = (char*)at + bytes;
  return (void*)at;
}

void* malloc(size_t size) {
  if (size > SMALL_BYTES || top == NULL || *top == NULL) return cut(size, HEADER_BYTES);
  return *top--;
}

void free(void* block) {
  if (block != NULL) *++top = block;
}

size_t malloc_usable_size(void* block) {
  size_t bytes = 0;
  if (block != NULL) memcpy(&bytes, (char*)block - HEADER_BYTES, sizeof bytes);
  return bytes;
}

void* calloc(size_t count, size_t size) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) bytes = SIZE_MAX;
  void* block = malloc(bytes);
  return block != NULL ? memset(block, 0, bytes) : NULL;
}

void* realloc(void* block, size_t size) {
  size_t had = malloc_usable_size(block);
  if (block != NULL && size <= had) return block;
  void* moved = malloc(size);
  if (moved == NULL || block == NULL) return moved;
  memcpy(moved, block, had);
  free(block);
  return moved;
}

void* aligned_alloc(size_t alignment, size_t size) { return cut(size, alignment); }

void* memalign(size_t alignment, size_t size) { return cut(size, alignment); }

int posix_memalign(void** out, size_t alignment, size_t size) {
  void* block = cut(size, alignment);
  if (block == NULL) return ENOMEM;
  *out = block;
  return 0;
}
