// A whole file, read into a mapping.

#include "workloads/harness/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "workloads/harness/measure.h"

static char* read_open_file(int fd, size_t* bytes) {
  struct stat status;
  if (fstat(fd, &status) != 0) return NULL;
  if (!S_ISREG(status.st_mode)) {
    errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
    return NULL;
  }
  *bytes = (size_t)status.st_size;
  char* text = wl_map(*bytes + 1);
  size_t length = 0;
  while (length < *bytes) {
    ssize_t got = read(fd, text + length, *bytes - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      wl_free_text(text, *bytes);
      return NULL;
    }
    if (got == 0) break;  // shorter than it was: the rest is 0
    length += (size_t)got;
  }
  return text;
}

char* wl_read_text(const char* path, size_t* bytes) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  char* text = read_open_file(fd, bytes);
  int error = errno;
  close(fd);
  errno = error;
  return text;
}

void wl_free_text(char* text, size_t bytes) { wl_unmap(text, bytes + 1); }
