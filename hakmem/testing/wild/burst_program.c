// A program that takes much memory for a while and frees it. What it holds then must come down to
// what is live, a tenth of that, and 4 MiB, by itself: it waits until that is so.
//
//   burst_program HOW
//
// asleep: it does nothing afterwards. light: it goes on with light work. threads: beside a thousand
// threads that have used some memory, and sleep. elsewhere: other threads free the blocks. unseen:
// one does, which allocates nothing, and then all sleep. survivors: a block in a hundred stays, and
// it goes on with light work. child: a forked child does it. locked: all its memory is locked. Exit
// code 77: it cannot be had here.

#define _GNU_SOURCE

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hakmem/testing/wild/resident.h"

enum { kBlocks = 60000, kEach = 100, kThreads = 1000, kLight = 20000, kMargin = 4 << 20 };

static const size_t sizes[] = {100, 1000, 3000};
static char* blocks[kBlocks];
static long page_bytes;

static size_t size_of(int i) { return sizes[i % 3]; }

static long resident_bytes(void) { return resident_pages() * page_bytes; }

static bool survives(int i, bool has_survivors) { return has_survivors && i % kEach == 0; }

static void take_all(void) {
  for (int i = 0; i < kBlocks; i++) {
    blocks[i] = malloc(size_of(i));
    if (blocks[i] == NULL) abort();
    memset(blocks[i], 1, size_of(i));
  }
}

static void free_some(int from, int to, bool has_survivors) {
  for (int i = from; i < to; i++) {
    if (!survives(i, has_survivors)) free(blocks[i]);
  }
}

// More than magazines hold: slow paths of malloc and free are met.
static void work_lightly(void) {
  static void* held[kLight];
  for (size_t i = 0; i < kLight; i++) held[i] = malloc(64);
  for (size_t i = 0; i < kLight; i++) free(held[i]);
}

// What is live is what there was before, and survivors, of which each keeps OS pages of its own.
static void wait_for_memory(long before, bool works, bool has_survivors) {
  long live = before;
  for (int i = 0; i < kBlocks; i++) {
    if (survives(i, has_survivors)) live += (long)size_of(i) + page_bytes;
  }
  while (resident_bytes() > live + live / 10 + kMargin) {
    if (works) work_lightly();
    usleep(2000);
  }
}

static void burst(bool works, bool has_survivors) {
  work_lightly();
  long before = resident_bytes();
  take_all();
  free_some(0, kBlocks, has_survivors);
  wait_for_memory(before, works, has_survivors);
}

// ---- threads ----

static pthread_barrier_t barrier;

// What the compiler does not see through: else it would leave out malloc and free.
static void use_and_free(size_t bytes) {
  void* volatile block = malloc(bytes);
  free(block);
}

// (It sleeps where it has been before: what else it called would take pages of its stack.)
static void* use_some_and_sleep(void* unused) {
  for (size_t i = 0; i < 100; i++) use_and_free(16 + i * 10);
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  return unused;
}

// (A thread that never allocates begins no background thread.)
static void* free_a_half(void* second) {
  use_and_free(100);
  int from = second != NULL ? kBlocks / 2 : 0;
  free_some(from, from + kBlocks / 2, false);
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  return NULL;
}

static void* free_all(void* unused) {
  free_some(0, kBlocks, false);
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  return unused;
}

static void start(void* (*run)(void*), void* argument) {
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  if (pthread_create(&thread, &attributes, run, argument) != 0) abort();
}

static void burst_beside_threads(void) {
  pthread_barrier_init(&barrier, NULL, kThreads + 1);
  for (int i = 0; i < kThreads; i++) start(use_some_and_sleep, NULL);
  pthread_barrier_wait(&barrier);
  burst(false, false);
}

static void burst_freed_elsewhere(bool is_unseen) {
  pthread_barrier_init(&barrier, NULL, is_unseen ? 2 : 3);
  work_lightly();
  long before = resident_bytes();
  take_all();
  start(is_unseen ? free_all : free_a_half, NULL);
  if (!is_unseen) start(free_a_half, blocks);
  pthread_barrier_wait(&barrier);
  wait_for_memory(before, false, false);
}

// ---- processes ----

static void burst_in_child(void) {
  work_lightly();
  pid_t child = fork();
  if (child == 0) {
    burst(false, false);
    _exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) abort();
}

static void burst_locked(void) {
  struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
  if (setrlimit(RLIMIT_MEMLOCK, &all) != 0) exit(77);
  if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) exit(77);
  burst(false, false);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const char* how = argv[1];
  page_bytes = sysconf(_SC_PAGESIZE);
  if (strcmp(how, "threads") == 0) {
    burst_beside_threads();
  } else if (strcmp(how, "elsewhere") == 0 || strcmp(how, "unseen") == 0) {
    burst_freed_elsewhere(strcmp(how, "unseen") == 0);
  } else if (strcmp(how, "child") == 0) {
    burst_in_child();
  } else if (strcmp(how, "locked") == 0) {
    burst_locked();
  } else {
    burst(strcmp(how, "asleep") != 0, strcmp(how, "survivors") == 0);
  }
  puts("done");
  fflush(stdout);
  _exit(0);
}
