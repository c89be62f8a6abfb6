// Profiles as files: pprof's protocol buffer, and collapsed stacks.

#ifndef HAKMEM_PPROF_H_
#define HAKMEM_PPROF_H_

#include "hakmem/platform/text.h"

typedef struct hak_pprof_head {
  uint64_t time_ns;   // since 1970
  uint64_t interval;  // of sampling, in bytes
} hak_pprof_head_t;

// Writes all stacks, with four values each (allocations and bytes, all and live), the mapped files
// with their build ids, and addresses without names: a message `Profile` of pprof's profile.proto,
// not compressed. pre: hak_modules_read. lock:DUMP
void hak_pprof_write(hak_text_t* text, const hak_pprof_head_t* head);

// Writes a line for each stack, outermost frame first: MODULE+0xADDRESS, separated by semicolons,
// and its estimated bytes, those live or all. An address is in its file's own terms, as addr2line
// takes it. Stacks with none are left out. pre: hak_modules_read. lock:DUMP
void hak_collapsed_write(hak_text_t* text, bool is_live);

#endif  // HAKMEM_PPROF_H_
