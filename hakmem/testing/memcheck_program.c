// For memcheck_test: makes the one mistake that its argument names, or none.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile int sink;

static char* allocate(size_t size) {
  char* block = malloc(size);
  if (block == NULL) abort();
  return block;
}

static void read_it(const volatile char* at) { sink = (unsigned char)*at; }

// Blocks of all kinds that come, grow, shrink, are cleared and go, and are used as they may be.
static void do_right(void) {
  static const size_t sizes[] = {1, 5, 16, 17, 100, 1000, 5000, 32768, 40000, 300000, 3 << 20};
  enum { kSizes = sizeof sizes / sizeof sizes[0], kBlocks = 40 };
  for (int round = 0; round < 3; round++) {
    char* blocks[kBlocks];
    for (size_t i = 0; i < kBlocks; i++) {
      size_t size = sizes[i % kSizes], more = sizes[(i + 1) % kSizes];
      blocks[i] = i % 3 == 0 ? calloc(1, size) : allocate(size);
      if (i % 3 == 0 && (blocks[i][0] | blocks[i][size - 1]) != 0) abort();
      memset(blocks[i], 1, size);
      char* grown = realloc(blocks[i], more);
      if (grown == NULL) abort();
      blocks[i] = grown;
      if (grown[0] != 1 || grown[(more < size ? more : size) - 1] != 1) abort();
      memset(grown, 2, more);
    }
    for (size_t i = 0; i < kBlocks; i++) free(blocks[i]);
    void* aligned = aligned_alloc(256, 1024);
    if (aligned == NULL) abort();
    memset(aligned, 3, 1024);
    free(aligned);
  }
}

int main(int argc, char** argv) {
  if (argc != 3) return 1;
  const char* mistake = argv[1];
  size_t size = strtoul(argv[2], NULL, 10);
  char* block = allocate(size);
  memset(block, 1, size - 1);
  if (strcmp(mistake, "none") == 0) do_right();
  if (strcmp(mistake, "overflow") == 0) block[size] = 1;
  if (strcmp(mistake, "read_past") == 0) read_it(block + size);
  if (strcmp(mistake, "uninitialised") == 0 && block[size - 1] == 7) puts("7");
  for (int i = 0; strcmp(mistake, "leak") == 0 && i < 10; i++) memset(allocate(size), 1, size);
  if (strcmp(mistake, "shrunk") == 0) {
    block = realloc(block, size - 3);
    if (block == NULL) return 1;
    block[size - 3] = 1;
  }
  free(block);
  if (strcmp(mistake, "after_free") == 0) read_it(block + size / 2);
  return 0;
}
