// A program whose stderr is not what it should be, and which makes an allocator that has been asked
// to talk do so.
//
//   stderr_program WHAT
//
// gone: the reader of stderr is gone, from the start. full: nobody reads it.
// data: stderr is closed, and the program's file gets its number.
// cancelled: a thread with a cancellation pending allocates.

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void use_memory(void) {
  static const size_t sizes[] = {100, 3000, 30000, 200000, 1 << 20, 5 << 20};
  enum { kSizes = sizeof sizes / sizeof sizes[0], kBlocks = 120 };
  char* blocks[kBlocks];
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < kBlocks; i++) {
      blocks[i] = malloc(sizes[i % kSizes]);
      if (blocks[i] == NULL) abort();
      blocks[i][0] = 1;
    }
    for (int i = 0; i < kBlocks; i++) free(blocks[i]);
  }
  volatile size_t too_much = (size_t)1 << 46;
  free(malloc(too_much));
}

// Executes this program anew with stderr a pipe that is gone or full.
static int again_with_pipe(const char* program, const char* what) {
  int ends[2];
  if (pipe(ends) != 0) return 1;
  if (strcmp(what, "gone") == 0) {
    close(ends[0]);
  } else {
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], "full", 4) > 0) {
    }
    fcntl(ends[1], F_SETFL, 0);
  }
  signal(SIGPIPE, SIG_DFL);
  dup2(ends[1], STDERR_FILENO);
  close(ends[1]);
  execl(program, program, "work", NULL);
  return 1;
}

static int with_data(const char* path) {
  close(STDERR_FILENO);
  if (open(path, O_RDWR | O_CREAT, 0600) != STDERR_FILENO) return 1;
  if (write(STDERR_FILENO, "data\n", 5) != 5) return 1;
  use_memory();
  return 0;
}

static bool came_back;

static void* use_cancelled(void* unused) {
  pthread_cancel(pthread_self());
  use_memory();
  came_back = true;
  return unused;
}

static int cancelled(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, use_cancelled, NULL) != 0) return 1;
  pthread_join(thread, NULL);
  use_memory();
  return came_back ? 0 : 1;
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  int result = 0;
  if (strcmp(argv[1], "work") == 0) {
    use_memory();
  } else if (strcmp(argv[1], "data") == 0) {
    result = argc == 3 ? with_data(argv[2]) : 2;
  } else if (strcmp(argv[1], "cancelled") == 0) {
    result = cancelled();
  } else {
    result = again_with_pipe("/proc/self/exe", argv[1]);
  }
  if (result == 0) puts("done");
  return result;
}
