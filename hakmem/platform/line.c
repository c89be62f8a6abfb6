// A line's parts, put together in its own buffer.

#include "hakmem/platform/line.h"

#include <string.h>

#include "hakmem/platform/standard_error.h"
#include "hakmem/platform/text.h"

void hak_line_put(hak_line_t* line, const char* text, size_t length) {
  size_t room = sizeof line->text - 1 - line->length;  // keeps one byte for the newline
  size_t taken = hak_min_size(length, room);
  memcpy(line->text + line->length, text, taken);
  line->length += taken;
}

static void append_digits(hak_line_t* line, uint64_t value, unsigned base, unsigned width) {
  char digits[40];
  size_t at = sizeof digits - hak_digits(digits + sizeof digits, value, base);
  while (sizeof digits - at < width && at > 0) digits[--at] = ' ';
  hak_line_put(line, digits + at, sizeof digits - at);
}

void hak_line_begin(hak_line_t* line) {
  line->length = 0;
  hak_line_text(line, "hakmem: ");
}

void hak_line_text(hak_line_t* line, const char* text) { hak_line_put(line, text, strlen(text)); }

void hak_line_number(hak_line_t* line, uint64_t value) { append_digits(line, value, 10, 0); }

void hak_line_number_padded(hak_line_t* line, uint64_t value, unsigned width) {
  append_digits(line, value, 10, width);
}

void hak_line_hex(hak_line_t* line, uint64_t value) {
  hak_line_put(line, "0x", 2);
  append_digits(line, value, 16, 0);
}

static void finish(hak_line_t* line, void (*write)(const char* text, size_t length)) {
  line->text[line->length++] = '\n';
  write(line->text, line->length);
}

void hak_line_end(hak_line_t* line) { finish(line, hak_stderr_write); }
void hak_line_end_last(hak_line_t* line) { finish(line, hak_stderr_write_last); }
void hak_line_end_print(hak_line_t* line) { finish(line, hak_stderr_print); }
