// A program that frees most of what it has: a block in each page or ten stays, in all slabs.
//
//   survivors_program WHEN WHO
//
// WHEN, trim: it calls malloc_trim. light: it goes on with light work, and waits until the memory
// has gone back. WHO did it, main: its one thread, worker: a thread that sleeps meanwhile, ended:
// a thread that has ended.

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hakmem/testing/wild/resident.h"

enum { kBlocks = 100000, kBlockBytes = 1000, kEach = 40, kLight = 20000 };

static char* blocks[kBlocks];
static pthread_mutex_t is_asleep = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t is_done;

static void burst(void) {
  for (int i = 0; i < kBlocks; i++) {
    blocks[i] = malloc(kBlockBytes);
    if (blocks[i] == NULL) abort();
    memset(blocks[i], 1, kBlockBytes);
  }
  for (int i = 0; i < kBlocks; i++) {
    if (i % kEach == 0) continue;
    free(blocks[i]);
    blocks[i] = NULL;
  }
}

static void* work(void* sleeps) {
  burst();
  pthread_barrier_wait(&is_done);
  if (sleeps != NULL) pthread_mutex_lock(&is_asleep);
  return NULL;
}

static long resident_kib(void) { return resident_pages() * (sysconf(_SC_PAGESIZE) / 1024); }

// More than a magazine holds: slow paths of malloc and free are met.
static void work_lightly(void) {
  static void* held[kLight];
  for (size_t i = 0; i < kLight; i++) held[i] = malloc(64);
  for (size_t i = 0; i < kLight; i++) free(held[i]);
  usleep(2000);
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  bool trims = strcmp(argv[1], "trim") == 0;
  bool sleeps = strcmp(argv[2], "worker") == 0;
  pthread_barrier_init(&is_done, NULL, 2);
  pthread_mutex_lock(&is_asleep);
  if (strcmp(argv[2], "main") == 0) {
    burst();
  } else {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, sleeps ? &is_asleep : NULL) != 0) abort();
    pthread_barrier_wait(&is_done);
    if (!sleeps) pthread_join(thread, NULL);
  }
  long most_kib = (long)kBlocks * kBlockBytes / 1024 / 3;
  if (trims) {
    if (malloc_trim(0) != 1) puts("malloc_trim says that it gave nothing back");
    if (resident_kib() > most_kib) printf("%ld KiB stay\n", resident_kib());
  } else {
    while (resident_kib() > most_kib) work_lightly();
  }
  for (int i = 0; i < kBlocks; i += kEach) {
    for (int k = 0; k < kBlockBytes; k++) {
      if (blocks[i][k] != 1) abort();
    }
  }
  puts("done");
  fflush(stdout);
  _exit(0);
}
