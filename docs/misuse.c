// misuse ALLOCATOR: what the process's malloc does about the mistakes of a program, as one line of
// JSON each, for testdata/machine/misuse.jsonl. Each mistake is made in a process of its own: it
// ends by abort (caught), by another signal (crashed), or goes on as if nothing was wrong
// (unnoticed).
//
//   LD_PRELOAD=LIBRARY bazel-bin/docs/misuse NAME

#define _GNU_SOURCE

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// The compiler must not see what is wrong.
static void* hidden(void* ptr) {
  __asm__ volatile("" : "+r"(ptr));
  return ptr;
}

static void go_on(void) {
  void* blocks[1000];
  for (int i = 0; i < 1000; i++) blocks[i] = memset(hidden(malloc(100)), 1, 100);
  for (int i = 0; i < 1000; i++) free(blocks[i]);
}

static void free_twice(void) {
  void* block = hidden(malloc(100));
  free(block);
  free(hidden(block));
}

static void free_twice_later(void) {
  void* block = hidden(malloc(100));
  void* others[8];
  for (int i = 0; i < 8; i++) others[i] = hidden(malloc(100));
  free(block);
  for (int i = 0; i < 8; i++) free(others[i]);
  free(hidden(block));
}

static void free_the_middle(void) { free((char*)hidden(malloc(100)) + 16); }

static void free_a_variable(void) {
  static char variable[256] __attribute__((aligned(64)));
  free(hidden(variable + 64));
}

static void resize_a_freed_block(void) {
  void* block = hidden(malloc(100000));
  free(block);
  block = hidden(realloc(hidden(block), 200000));
}

static const struct {
  const char* name;
  void (*make)(void);
} kMistakes[] = {
    {"a block freed twice", free_twice},
    {"a block freed twice, others between", free_twice_later},
    {"the middle of a block freed", free_the_middle},
    {"a variable freed", free_a_variable},
    {"a freed block resized", resize_a_freed_block},
};

static const char* outcome(void (*make)(void)) {
  pid_t child = fork();
  if (child == 0) {
    alarm(10);
    freopen("/dev/null", "w", stderr);
    make();
    go_on();
    _exit(0);
  }
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child) return "unknown";
  if (WIFEXITED(status)) return "unnoticed";
  return WTERMSIG(status) == SIGABRT ? "caught" : "crashed";
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: LD_PRELOAD=LIBRARY misuse ALLOCATOR\n");
    return 2;
  }
  char date[32];
  time_t now = time(NULL);
  strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
  for (size_t i = 0; i < sizeof(kMistakes) / sizeof(kMistakes[0]); i++) {
    printf(
        "{\"schema\":\"hakmem.misuse.1\",\"phase\":\"%s\",\"time_utc\":\"%s\",\"mistake\":\"%s\","
        "\"outcome\":\"%s\"}\n",
        argv[1], date, kMistakes[i].name, outcome(kMistakes[i].make));
    fflush(stdout);
  }
  return 0;
}
