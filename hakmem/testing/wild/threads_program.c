// A program that looks at its own threads, for the background thread.
//
//   threads_program WHAT
//
// alone: what a sandboxed program does first must work: a user namespace of its own.
// daemon: a forked child, whose parent ends, allocates much, frees it and sleeps.
// ends: the thread comes with the need, does its work and goes.

#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hakmem/testing/wild/resident.h"

enum { kBlocks = 100000, kBlockBytes = 1000 };

static char* blocks[kBlocks];

static void burst(void) {
  for (int i = 0; i < kBlocks; i++) {
    blocks[i] = malloc(kBlockBytes);
    if (blocks[i] == NULL) abort();
    memset(blocks[i], 1, kBlockBytes);
  }
  for (int i = 0; i < kBlocks; i++) free(blocks[i]);
}

// What follows looks without allocating, which would be work for the allocator's thread.

static void read_file(const char* path, char text[4096]) {
  int fd = open(path, O_RDONLY);
  ssize_t n = fd >= 0 ? read(fd, text, 4095) : -1;
  if (n < 0) abort();
  text[n] = '\0';
  close(fd);
}

// (A directory has one link for each that lies in it, and two more.)
static int count_threads(void) {
  struct stat status;
  if (stat("/proc/self/task", &status) != 0) abort();
  return (int)status.st_nlink - 2;
}

// Until the program has `n` threads, or so much memory. The test's time limit is the verdict.
static void wait_for_threads(int n) {
  while (count_threads() != n) usleep(10000);
}

static void wait_for_memory(long pages) {
  while (resident_pages() > pages) usleep(10000);
}

// Whether there is a thread that is called as the allocator's is, and has all signals blocked but
// those that libc keeps for itself.
static bool has_background_thread(void) {
  DIR* directory = opendir("/proc/self/task");
  bool found = false;
  for (struct dirent* entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
    char path[300], text[4096];
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
    read_file(path, text);
    found |= strncmp(text, "Name:\thakmem\n", 13) == 0 &&
             strstr(text, "\nSigBlk:\tfffffffe7ffbfeff\n") != NULL;
  }
  if (directory != NULL) closedir(directory);
  return found;
}

static int alone(void) {
  free(malloc(1000));
  if (count_threads() != 1) return 1;
  if (unshare(CLONE_NEWUSER) != 0 && errno == EINVAL) return 2;
  puts("done");
  return 0;
}

static int in_daemon(void) {
  burst();  // the parent has a thread perhaps
  fflush(stdout);
  pid_t child = fork();
  if (child != 0) return waitpid(child, NULL, 0) == child ? 0 : 1;
  long before = resident_pages();
  burst();
  long full = before + (long)kBlocks * kBlockBytes / sysconf(_SC_PAGESIZE);
  wait_for_memory(full / 2);
  while (!has_background_thread()) burst();  // it may have ended meanwhile
  puts("done");
  return 0;
}

static int ends(void) {
  for (int round = 0; round < 2; round++) {
    burst();
    wait_for_memory((20 << 20) / sysconf(_SC_PAGESIZE));
    wait_for_threads(1);
  }
  puts("done");
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  if (strcmp(argv[1], "alone") == 0) return alone();
  if (strcmp(argv[1], "daemon") == 0) return in_daemon();
  return strcmp(argv[1], "ends") == 0 ? ends() : 2;
}
