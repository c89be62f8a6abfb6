// A program to watch: it holds 1000 blocks of 100 bytes, prints the process to watch, and waits to
// be killed. With "close" it closes all its descriptors first, with "fork" the process to watch is
// a child.
#define _GNU_SOURCE  // closefrom

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void* blocks[1000];

int main(int argc, char** argv) {
  const char* deed = argc > 1 ? argv[1] : "";
  for (int i = 0; i < 1000; i++) {
    blocks[i] = malloc(100);
    if (blocks[i] == NULL) return 1;
    memset(blocks[i], i, 100);
  }
  if (strcmp(deed, "close") == 0) closefrom(3);
  pid_t watched = strcmp(deed, "fork") == 0 ? fork() : getpid();
  if (watched == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  } else {
    printf("%d\n", (int)watched);
    fflush(stdout);
  }
  for (;;) pause();
}
