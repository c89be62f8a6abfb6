// Profiles as lines of text: collapsed stacks.

#ifndef HAKMEM_LINES_H_
#define HAKMEM_LINES_H_

#include "hakmem/platform/text.h"

// Writes a line for each stack, outermost frame first: MODULE+0xADDRESS, separated by semicolons,
// and its estimated bytes, those live or all. An address is in its file's own terms, as addr2line
// takes it. Stacks with none are left out. pre: hak_modules_read. lock:DUMP
hak_cold void hak_collapsed_write(hak_text_t* text, bool is_live);

#endif  // HAKMEM_LINES_H_
