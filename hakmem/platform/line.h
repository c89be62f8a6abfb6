// One line of text for stderr, built on the stack and written in one piece, so that lines of
// several threads do not mix. Never allocates, safe at any time: standard_error.h says where a line
// goes. One that does not fit is cut, never split.

#ifndef HAKMEM_LINE_H_
#define HAKMEM_LINE_H_

#include "hakmem/base/base.h"

typedef struct hak_line {
  size_t length;
  char text[400];
} hak_line_t;

void hak_line_begin(hak_line_t* line);  // "hakmem: "
void hak_line_text(hak_line_t* line, const char* text);
void hak_line_put(hak_line_t* line, const char* text, size_t length);
void hak_line_number(hak_line_t* line, uint64_t value);                         // decimal
void hak_line_number_padded(hak_line_t* line, uint64_t value, unsigned width);  // right-aligned
void hak_line_hex(hak_line_t* line, uint64_t value);                            // 0x...

// Newline, and out: while the program goes on; before the process ends; what the program has asked
// for.
void hak_line_end(hak_line_t* line);
void hak_line_end_last(hak_line_t* line);
void hak_line_end_print(hak_line_t* line);

#endif  // HAKMEM_LINE_H_
