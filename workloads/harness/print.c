// Text to a descriptor, formatted on the stack.

#include "workloads/harness/print.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static bool has_lost_output;

bool wl_print_has_failed(void) { return has_lost_output; }

void wl_print(int fd, const char* format, ...) {
  char text[WL_PRINT_BYTES];
  va_list arguments;
  va_start(arguments, format);
  int wanted = vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  size_t length = wanted < 0 ? 0 : (size_t)wanted;
  if (length >= sizeof(text)) length = sizeof(text) - 1;
  for (size_t done = 0; done < length;) {
    ssize_t written = write(fd, text + done, length - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      if (fd == STDOUT_FILENO) has_lost_output = true;
      return;
    }
    done += (size_t)written;
  }
}
