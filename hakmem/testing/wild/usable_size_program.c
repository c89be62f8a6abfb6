// A program that goes by what malloc_usable_size says: it fills all of each block, and finds it
// again after realloc, to the last byte; as databases and string libraries do.

#define _GNU_SOURCE

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_filled(const char* block, size_t bytes, char with) {
  for (size_t i = 0; i < bytes; i++) {
    if (block[i] != with) return 0;
  }
  return 1;
}

int main(void) {
  enum { BLOCKS = 400 };
  char* blocks[BLOCKS];
  size_t bytes[BLOCKS];
  for (size_t size = 1; size < 3 << 20; size = size * 5 / 3 + 1) {
    size_t n = size < 100000 ? BLOCKS : 4;
    for (size_t i = 0; i < n; i++) {
      blocks[i] = i % 2 != 0 ? malloc(size) : memalign(64, size);
      bytes[i] = malloc_usable_size(blocks[i]);
      if (bytes[i] < size) return 1;
      memset(blocks[i], (int)(i % 100), bytes[i]);
    }
    for (size_t i = 0; i < n; i += 3) {
      blocks[i] = realloc(blocks[i], bytes[i] + 1 + i);
      if (malloc_usable_size(blocks[i]) < bytes[i] + 1 + i) return 2;
    }
    for (size_t i = 0; i < n; i++) {
      if (!is_filled(blocks[i], bytes[i], (char)(i % 100))) return 3;
      free(blocks[i]);
    }
  }
  puts(malloc_usable_size(NULL) == 0 ? "done" : "NULL has a size");
  return 0;
}
