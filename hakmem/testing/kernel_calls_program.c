// For kernel_calls_test: work that makes calls into the kernel of all kinds but membarrier, which
// only the background thread's option asks for, between two calls that a trace shows, and then what
// the allocator says it has called in between.
//
// There is no background thread: every call is made by a thread of this program, inside malloc or
// free.

#define _GNU_SOURCE

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hakmem/include/hakmem/hakmem.h"

// A call that fails, and that nobody else makes: the mark in the trace.
#define MARK (-4321)

#define N_THREADS 3

static atomic_int n_ready, n_done;
static atomic_bool may_work, may_end;

// Spans and small blocks of one class, so that threads meet at the allocator's locks.
static void use_blocks(void) {
  static const size_t sizes[] = {100000, 700000, 30000, 30000, 30000, 4 << 20};
  enum { kSizes = sizeof sizes / sizeof sizes[0], kBlocks = 60 };
  for (int round = 0; round < 20; round++) {
    char* blocks[kBlocks];
    for (int i = 0; i < kBlocks; i++) {
      blocks[i] = malloc(sizes[i % kSizes]);
      if (blocks[i] == NULL) abort();
      blocks[i][0] = 1;
    }
    for (int i = 0; i < kBlocks; i++) free(blocks[i]);
  }
}

// Waits without the kernel's help, so that every futex call in between is the allocator's.
static void* work(void* unused) {
  (void)unused;
  free(malloc(1));
  n_ready++;
  while (!may_work) sched_yield();
  use_blocks();
  n_done++;
  while (!may_end) sched_yield();
  return NULL;
}

static bool (*get)(hak_stats*, size_t);

static void print(const char* name, const hak_kernel_stats* before, const hak_kernel_stats* after) {
  printf("%s %llu\n", name, (unsigned long long)(after->calls - before->calls));
}

int main(void) {
  get = (bool (*)(hak_stats*, size_t))dlsym(RTLD_DEFAULT, "hak_stats_get");
  if (get == NULL) return 1;
  pthread_t threads[N_THREADS];
  for (int i = 0; i < N_THREADS; i++) pthread_create(&threads[i], NULL, work, NULL);
  while (n_ready != N_THREADS) sched_yield();
  hak_stats before = {0}, after = {0};
  get(&before, sizeof before);
  syscall(SYS_close, MARK);
  // Each is in the other's way, so that growing moves it.
  char* grown[2] = {malloc(3 << 20), malloc(3 << 20)};
  for (size_t mib = 8; mib < 80; mib *= 2) {
    for (int i = 0; i < 2; i++) grown[i] = realloc(grown[i], mib << 20);
  }
  may_work = true;
  while (n_done != N_THREADS) sched_yield();
  for (int i = 0; i < 2; i++) free(grown[i]);
  syscall(SYS_close, MARK);
  get(&after, sizeof after);
#define HAK_KERNEL_CALL(KIND, name) print(#name, &before.name, &after.name);
#include "hakmem/platform/kernel_calls.def"
  may_end = true;
  for (int i = 0; i < N_THREADS; i++) pthread_join(threads[i], NULL);
  return 0;
}
