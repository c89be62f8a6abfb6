// Allocates on coroutines whose whole stack is 8 KiB, with a guard below, as servers have them: the
// first call of a thread, every kind of size, and what prints figures.

#define _GNU_SOURCE

#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define STACK_BYTES 8192
#define GUARD_BYTES 4096

static void churn(void) {
  static const size_t sizes[] = {1, 100, 5000, 40000, 700000, 5 << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    char* blocks[100];
    size_t n = sizes[i] < 100000 ? 100 : 3;
    for (size_t k = 0; k < n; k++) *(blocks[k] = malloc(sizes[i])) = 1;
    for (size_t k = 0; k < n; k += 2) *(blocks[k] = realloc(blocks[k], 2 * sizes[i])) = 2;
    for (size_t k = 0; k < n; k++) free(blocks[k]);
    free(calloc(3, sizes[i]));
    free(aligned_alloc(4096, sizes[i] * 4096 % (1 << 20)));
  }
  (void)mallinfo2();
  malloc_trim(0);
}

static void* thread(void* unused) {
  // (Volatile, for getcontext returns twice as far as the compiler knows.)
  char* volatile mapped = mmap(NULL, STACK_BYTES + GUARD_BYTES, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED || mprotect(mapped, GUARD_BYTES, PROT_NONE) != 0) return mapped;
  ucontext_t here, there;
  getcontext(&there);
  there.uc_stack.ss_sp = mapped + GUARD_BYTES;
  there.uc_stack.ss_size = STACK_BYTES;
  there.uc_link = &here;
  makecontext(&there, churn, 0);
  swapcontext(&here, &there);
  munmap(mapped, STACK_BYTES + GUARD_BYTES);
  return unused;
}

int main(void) {
  thread(NULL);
  for (int i = 0; i < 3; i++) {
    pthread_t other;
    if (pthread_create(&other, NULL, thread, NULL) != 0) return 1;
    pthread_join(other, NULL);
  }
  puts("done");
  return 0;
}
