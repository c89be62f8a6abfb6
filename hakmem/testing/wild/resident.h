// How much memory the process has, for programs that must look without allocating: that would be
// work for the allocator.

#ifndef HAKMEM_TESTING_WILD_RESIDENT_H_
#define HAKMEM_TESTING_WILD_RESIDENT_H_

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// OS pages that are resident.
static inline long resident_pages(void) {
  char text[256];
  int fd = open("/proc/self/statm", O_RDONLY);
  ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
  if (n < 0) abort();
  text[n] = '\0';
  close(fd);
  return strtol(strchr(text, ' '), NULL, 10);
}

#endif  // HAKMEM_TESTING_WILD_RESIDENT_H_
