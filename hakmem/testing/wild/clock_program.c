// A program with a clock of its own, which libraries get too: that of a simulation stands still,
// that of a test jumps.
//
//   clock_program still|back|jumping
//
// A thread's blocks are freed by another while it sleeps, one in forty excepted. Light work goes on
// until the memory is back with the kernel; the test's time limit is the verdict.

#define _GNU_SOURCE

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hakmem/testing/wild/resident.h"

enum {
  kBlocks = 40000,
  kBlockBytes = 1000,
  kSurvivor = 40,
  kEnoughPages = 3072,
  kFullPages = 9216
};

static const char* kind = "still";
static char* blocks[kBlocks];
static pthread_barrier_t is_full;

// Exported, as each function is that a program has under the name of one of libc's.
int clock_gettime(clockid_t clock, struct timespec* time) {
  (void)clock;
  static long calls;
  calls++;
  time->tv_sec = 1000000;
  time->tv_nsec = 0;
  if (strcmp(kind, "back") == 0) time->tv_sec -= calls % 1000000;
  if (strcmp(kind, "jumping") == 0) time->tv_sec += calls % 2 * 3600;
  return 0;
}

static void* fill_and_sleep(void* arg) {
  (void)arg;
  for (int i = 0; i < kBlocks; i++) {
    blocks[i] = malloc(kBlockBytes);
    if (blocks[i] == NULL) abort();
    memset(blocks[i], 1, kBlockBytes);
  }
  pthread_barrier_wait(&is_full);
  for (;;) pause();
}

static void work_lightly(void) {
  char* own[40];
  for (size_t i = 0; i < 40; i++) own[i] = malloc(24 + 3000 * i);
  for (size_t i = 0; i < 40; i++) free(own[i]);
  usleep(5000);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  kind = argv[1];
  pthread_barrier_init(&is_full, NULL, 2);
  pthread_t thread;
  if (pthread_create(&thread, NULL, fill_and_sleep, NULL) != 0) abort();
  pthread_barrier_wait(&is_full);
  if (resident_pages() < kFullPages) abort();
  for (int i = 0; i < kBlocks; i++) {
    if (i % kSurvivor != 0) free(blocks[i]);
  }
  while (resident_pages() > kEnoughPages) work_lightly();
  for (int i = 0; i < kBlocks; i += kSurvivor) {
    if (blocks[i][0] != 1 || blocks[i][kBlockBytes - 1] != 1) abort();
  }
  if (write(STDOUT_FILENO, "done\n", 5) != 5) return 1;
  _exit(0);
}
