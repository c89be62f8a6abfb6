// Threads that take turns, as those of a pool do: each allocates a batch, frees the batch of the
// one before, and sleeps. Two batches are live at the most, so that memory which waits with each
// thread would be many times what is needed. No more of it may be resident than some batches.

#define _GNU_SOURCE

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hakmem/testing/wild/resident.h"

enum { kThreads = 24, kRounds = 2, kBlocks = 10000, kMaxBytes = 1000, kEnoughPages = 12800 };

static char* batches[2][kBlocks];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;

static void wait_for(int number) {
  pthread_mutex_lock(&mutex);
  while (turn < number) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
}

static void end_turn(void) {
  pthread_mutex_lock(&mutex);
  turn++;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

static void* take_turns(void* number) {
  for (int round = 0; round < kRounds; round++) {
    int mine = round * kThreads + (int)(intptr_t)number;
    wait_for(mine);
    for (int i = 0; i < kBlocks; i++) {
      size_t bytes = (size_t)(16 + i * 37 % kMaxBytes);
      char* block = malloc(bytes);
      if (block == NULL) abort();
      batches[mine % 2][i] = memset(block, 1, bytes);
    }
    char** last = batches[(mine + 1) % 2];
    for (int i = 0; i < kBlocks; i++) {
      free(last[i]);
      last[i] = NULL;
    }
    if (resident_pages() > kEnoughPages) abort();
    usleep(10000);
    end_turn();
  }
  for (;;) pause();
}

int main(void) {
  for (intptr_t i = 0; i < kThreads; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, take_turns, (void*)i) != 0) abort();
  }
  wait_for(kThreads * kRounds);
  if (write(STDOUT_FILENO, "done\n", 5) != 5) return 1;
  _exit(0);
}
