// Profiles as pprof's protocol buffer.

#ifndef HAKMEM_PPROF_H_
#define HAKMEM_PPROF_H_

#include "hakmem/platform/text.h"

// What a profile says of itself.
typedef struct hak_profile_head {
  uint64_t time_ns;   // since 1970
  uint64_t interval;  // of sampling, in bytes
  int64_t process_id;
} hak_profile_head_t;

// Writes all stacks, with two values of each tally (stacks.h), the mapped files with their build
// ids, and addresses without names: a message `Profile` of pprof's profile.proto, not compressed.
// pre: hak_modules_read. lock:DUMP
hak_cold void hak_pprof_write(hak_text_t* text, const hak_profile_head_t* head);

#endif  // HAKMEM_PPROF_H_
