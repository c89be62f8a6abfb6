// A program for static linking with //hakmem: its malloc, and the one that its libc calls, are
// ours.

#define _GNU_SOURCE

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool hak_owns(const void* ptr);

static void* work(void* unused) {
  for (size_t i = 1; i < 20000; i++) free(memset(malloc(i), 1, i));
  return unused;
}

int main(void) {
  void* block = malloc(100);
  char* line = NULL;
  if (asprintf(&line, "%d", 42) != 2) return 1;  // allocated inside libc
  bool are_ours = hak_owns(block) && hak_owns(line);
  free(block);
  free(line);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, NULL);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  pid_t pid = fork();
  if (pid == 0) {
    work(NULL);
    _exit(0);
  }
  int status = 1;
  waitpid(pid, &status, 0);
  puts(are_ours && status == 0 ? "done" : "not ours, or not in the child");
  return 0;
}
