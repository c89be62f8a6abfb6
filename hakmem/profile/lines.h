// Profiles as lines of text: collapsed stacks, and JSON.

#ifndef HAKMEM_LINES_H_
#define HAKMEM_LINES_H_

#include "hakmem/profile/pprof.h"

// Writes a line for each stack, outermost frame first: MODULE+0xADDRESS, separated by semicolons,
// and its estimated bytes, those live or all. An address is in its file's own terms, as addr2line
// takes it. Stacks with none are left out. pre: hak_modules_read. lock:DUMP
hak_cold void hak_collapsed_write(hak_text_t* text, bool is_live);

// Writes a line of schema hakmem.profile.1, with the mapped files, and one of
// hakmem.profile.stack.1 for each stack, with all that is known of it (docs/PROFILER.md). pre:
// hak_modules_read. lock:DUMP
hak_cold void hak_json_lines_write(hak_text_t* text, const hak_profile_head_t* head);

#endif  // HAKMEM_LINES_H_
