// What the headers of some C libraries lack: glibc's before 2.35, and musl's. What a library itself
// lacks is another matter, and is seen when the program runs.

#ifndef HAKMEM_LIBC_H_
#define HAKMEM_LIBC_H_

#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <stddef.h>

#ifdef __GLIBC__
#define HAK_GLIBC_FROM(major, minor) __GLIBC_PREREQ(major, minor)
#else
#define HAK_GLIBC_FROM(major, minor) 0

// Programs that are built for glibc pass and get these, whichever C library there is.
struct mallinfo {
  int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
enum {
  M_MXFAST = 1,
  M_NLBLKS = 2,
  M_GRAIN = 3,
  M_KEEP = 4,
  M_TRIM_THRESHOLD = -1,
  M_TOP_PAD = -2,
  M_MMAP_THRESHOLD = -3,
  M_MMAP_MAX = -4,
  M_CHECK_ACTION = -5,
  M_PERTURB = -6,
  M_ARENA_TEST = -7,
  M_ARENA_MAX = -8,
};

extern struct r_debug _r_debug;  // of glibc's dynamic linker
#endif

#if !HAK_GLIBC_FROM(2, 33)
struct mallinfo2 {
  size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
#endif

#if !HAK_GLIBC_FROM(2, 35)
// As _dl_find_object fills it in; of the processors that hakmem knows none has more before the
// reserve.
struct dl_find_object {
  unsigned long long dlfo_flags;
  void* dlfo_map_start;
  void* dlfo_map_end;
  struct link_map* dlfo_link_map;
  void* dlfo_eh_frame;
  unsigned long long reserved[7];
};
#endif

#endif  // HAKMEM_LIBC_H_
