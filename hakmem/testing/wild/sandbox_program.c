// A program that goes into a sandbox in main, and uses memory there in every way it can: in one
// thread or several, of which some fall idle, some end, and others free what they left.
//
//   sandbox_program ACTION THREADS
//
// ACTION says what the sandbox does about a call that is not on its list: kill, or the number of an
// error. On the list is what glibc's malloc makes of memory, and beside that only what the program
// itself needs to write a line and to end. Exit code 77: there is no seccomp here.

#define _GNU_SOURCE

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hakmem/testing/wild/filter.h"

static const int allowed[] = {SYS_mmap, SYS_munmap, SYS_mremap, SYS_madvise, SYS_mprotect, SYS_brk,
                              SYS_futex,
                              // The program's own; that of a thread's end is libc's.
                              SYS_write, SYS_exit, SYS_exit_group, SYS_rt_sigprocmask, -1};

enum { kMaxThreads = 8, kBlocks = 4000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int begun, worked, go, end;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void tell(atomic_int* number) {
  pthread_mutex_lock(&mutex);
  ++*number;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

static void wait_until(atomic_int* number, int value) {
  pthread_mutex_lock(&mutex);
  while (*number < value) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
}

static size_t size_of(int i) {
  if (i % 500 == 0) return 3 << 20;
  if (i % 50 == 0) return 200000;
  return i % 3 == 0 ? 30000 : (size_t)(i % 2000 + 1);
}

static void use_memory(char** blocks) {
  for (int i = 0; i < kBlocks; i++) {
    blocks[i] = i % 7 == 0 ? aligned_alloc(4096, 8192) : calloc(1, size_of(i));
    if (blocks[i] == NULL) abort();
    blocks[i][0] = 1;
  }
  for (int i = 0; i < kBlocks; i++) {
    if (i % 11 == 0) continue;
    free(blocks[i]);
    blocks[i] = NULL;
  }
  char* grown = malloc(1000);
  for (size_t bytes = 2000; bytes < (64u << 20); bytes *= 2) {
    grown = realloc(grown, bytes);
    if (grown == NULL) abort();
    grown[bytes - 1] = 1;
  }
  free(grown);
}

static char* blocks_of[kMaxThreads][kBlocks];

static void* work(void* number) {
  free(malloc(100));
  tell(&begun);
  wait_until(&go, 1);
  use_memory(blocks_of[(intptr_t)number]);
  tell(&worked);
  wait_until(&end, 1);  // idle
  return NULL;
}

// A clock that the vDSO reads: no system call.
static long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  bool kills = strcmp(argv[1], "kill") == 0;
  unsigned action = kills ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | (unsigned)atoi(argv[1]);
  int n_threads = atoi(argv[2]);
  pthread_t threads[kMaxThreads];
  for (intptr_t i = 0; i < n_threads; i++) pthread_create(&threads[i], NULL, work, (void*)i);
  wait_until(&begun, n_threads);
  if (!allow_only(allowed, action)) return 77;
  tell(&go);
  static char* own[kBlocks];
  use_memory(own);
  wait_until(&worked, n_threads);
  // What is due at a time comes due: pages are given back, and the caches of idle threads visited.
  for (long until = now_ms() + 400; now_ms() < until;) {
    free(malloc(50000));
    free(malloc(500000));
    free(malloc(5 << 20));
  }
  if (malloc((size_t)1 << 46) != NULL) abort();
  malloc_trim(0);
  tell(&end);
  for (int i = 0; i < n_threads; i++) {
    pthread_join(threads[i], NULL);
    for (int k = 0; k < kBlocks; k++) free(blocks_of[i][k]);
  }
  for (int k = 0; k < kBlocks; k++) free(own[k]);
  use_memory(own);
  if (write(STDOUT_FILENO, "done\n", 5) != 5) return 1;
  _exit(0);
}
