// A plug-in that gives and takes blocks, opened with RTLD_DEEPBIND or beside a malloc of its own.

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

extern void* plugin_malloc(size_t size);
extern void plugin_free(void* block);
extern void* other_malloc(size_t size);
extern void* static_block(void);

void* plugin_malloc(size_t size) { return malloc(size); }
void plugin_free(void* block) { free(block); }

// What a second allocator's own names give: memory that it mapped, and memory that it had.
void* other_malloc(size_t size) {
  void* block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return block != MAP_FAILED ? block : NULL;
}
void* static_block(void) {
  static char pool[64] __attribute__((aligned(16)));
  return pool;
}
