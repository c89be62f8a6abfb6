// Whose memory is known: keep_most has most of what lives; keep_some and keep_spans have less;
// churn allocates the most of all, and keeps nothing. With "fork", a child and several threads do
// the same; a library is opened and closed meanwhile. With "wait FILE [SIGNAL]" it sends itself the
// signal, and does nothing at all until the file is there; with "threads", 64 threads keep more
// than all else; with "plugin FILE", a library that is opened and closed does; with "library FILE",
// one that stays.

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static __thread void* volatile kept;

#define NOINLINE __attribute__((noinline))

NOINLINE void keep_most(void);
NOINLINE void keep_some(void);
NOINLINE void keep_spans(void);
NOINLINE void churn(void);
NOINLINE void keep_of_thread(void);
NOINLINE void use_plugin(const char* file, int is_closed);

void keep_most(void) {
  for (int i = 0; i < 100000; i++) kept = malloc(100);
}
void keep_some(void) {
  for (int i = 0; i < 20000; i++) kept = malloc(100);
}
void keep_spans(void) {
  for (int i = 0; i < 20; i++) kept = malloc(100000);
}
void churn(void) {
  for (int i = 0; i < 1000000; i++) {
    kept = malloc(100);
    free(kept);
  }
}

static void* run(void* arg) {
  for (int i = 0; i < 4; i++) {
    churn();
    void* library = dlopen("libz.so.1", RTLD_NOW);
    if (library != NULL) dlclose(library);
  }
  return arg;
}

void keep_of_thread(void) {
  for (int i = 0; i < 4000; i++) kept = malloc(100);
}

static void* run_to_keep(void* arg) {
  keep_of_thread();
  return arg;
}

static void run_threads(void) {
  pthread_t threads[64];
  for (int i = 0; i < 64; i++) pthread_create(&threads[i], NULL, run_to_keep, NULL);
  for (int i = 0; i < 64; i++) pthread_join(threads[i], NULL);
}

void use_plugin(const char* file, int is_closed) {
  void* library = dlopen(file, RTLD_NOW);
  if (library == NULL) return;
  void (*leak)(void) = (void (*)(void))dlsym(library, "plugin_leak");
  leak();
  if (is_closed) dlclose(library);
}

static int wait_for(const char* file) {
  for (int i = 0; i < 6000; i++) {
    if (access(file, F_OK) == 0) return 0;
    usleep(10000);
  }
  return 1;
}

int main(int argc, char** argv) {
  keep_most();
  keep_some();
  keep_spans();
  churn();
  if (argc > 1 && strcmp(argv[1], "fork") == 0) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, run, NULL);
    for (int i = 0; i < 10; i++) {
      pid_t child = fork();
      if (child == 0) {
        churn();
        exit(0);
      }
      int status;
      if (waitpid(child, &status, 0) != child || status != 0) return 1;
    }
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  }
  if (argc > 2 && strcmp(argv[1], "wait") == 0) {
    if (argc > 3) raise(atoi(argv[3]));
    if (wait_for(argv[2]) != 0) return 1;
  }
  if (argc > 1 && strcmp(argv[1], "threads") == 0) run_threads();
  if (argc > 2 && strcmp(argv[1], "plugin") == 0) use_plugin(argv[2], 1);
  if (argc > 2 && strcmp(argv[1], "library") == 0) use_plugin(argv[2], 0);
  puts("done");
  return 0;
}
