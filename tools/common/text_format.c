// Formatted text of any length.

#define _GNU_SOURCE  // vasprintf

#include "tools/common/text_format.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

char* text_format(const char* format, ...) {
  char* text;
  va_list arguments;
  va_start(arguments, format);
  int length = vasprintf(&text, format, arguments);
  va_end(arguments);
  if (length < 0) {
    fputs("out of memory\n", stderr);
    exit(1);
  }
  return text;
}
