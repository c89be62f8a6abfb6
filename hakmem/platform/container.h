// How much memory the process may use, as its groups of processes (cgroups, which containers are
// made of) and the machine have it.
//
// Files are read, with calls that malloc makes nowhere else, and a sandbox may kill for them: so
// only for who has asked for a share of what there is (superslab/limit.h).

#ifndef HAKMEM_CONTAINER_H_
#define HAKMEM_CONTAINER_H_

#include "hakmem/base/base.h"

// Bytes; UINT64_MAX where there is no bound, or none that can be read.
typedef struct hak_container {
  uint64_t most;  // the least of the machine's memory and of the groups' memory.max (version 2 of
                  // cgroups) or memory.limit_in_bytes (version 1)
  uint64_t high;  // the least memory.high, beyond which the kernel slows the process down
} hak_container_t;

// Asks the kernel about the process's group and all above it. `root` is put before the names of the
// files: "" but in tests. Neither locks nor allocates; preserves errno. Takes some 5 KiB of stack.
hak_cold void hak_container_ask(const char* root, hak_container_t* container);

#endif  // HAKMEM_CONTAINER_H_
