// Which allocator serves this process: found by asking the address that `malloc` resolves to, never
// by a name that was passed in.

#ifndef HAKMEM_WORKLOADS_HARNESS_IDENTITY_H_
#define HAKMEM_WORKLOADS_HARNESS_IDENTITY_H_

#include <limits.h>
#include <stdbool.h>

typedef struct wl_identity {
  const char*
      name;  // one of WL_ALLOCATORS, "unknown" when the object that holds malloc gives no proof
  char version[64];     // empty when unknown
  char path[PATH_MAX];  // the file mapped at malloc's address; empty when unknown
  char build_id[80];    // its GNU build id in hex; empty when it has none
} wl_identity;

// Names that can be proven, separated by '|'.
#define WL_ALLOCATORS "hakmem|glibc|mimalloc|jemalloc|tcmalloc|snmalloc|rpmalloc|unknown"

// Calls no allocation function, nor anything that does: symbols are read from the loaded object,
// since dlsym allocates when it finds none.
void wl_identity_read(wl_identity* identity);

#endif  // HAKMEM_WORKLOADS_HARNESS_IDENTITY_H_
