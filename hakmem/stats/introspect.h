// glibc's introspection functions, answered from our own figures.

#ifndef HAKMEM_INTROSPECT_H_
#define HAKMEM_INTROSPECT_H_

#include <stdbool.h>
#include <stdio.h>

#include "hakmem/base/base.h"
#include "hakmem/platform/libc.h"

// malloc_trim: returns what the calling thread caches, and idle ones, to the slabs; then all free
// pages, and the holes in partly used slabs, to the kernel. Whether any memory was given back.
// Where other threads cache something it sleeps for up to a tenth of a second.
hak_cold bool hak_introspect_trim(void);

// mallinfo2, as far as glibc's words fit. All are bytes or counts of now:
//   arena     committed for spans, size classes and metadata
//   hblks     huge blocks; hblkhd: their bytes
//   uordblks  in the program's hands, as blocks; fordblks: committed and not
//   ordblks   free blocks in slabs
//   smblks    blocks in thread caches; fsmblks: their bytes
//   keepcost  what malloc_trim could give back at once
// What has no counterpart in glibc's structure: address space reserved and not committed, memory
// purged, why the bytes of fordblks are held (hak_retention_get), time and calls spent in the
// kernel and all figures by class (hak_stats_get, hak_stats_class_get). usmblks, glibc's highest
// use ever, is 0, as it is there: no highest use is recorded. Without memory to answer, all are 0.
hak_cold struct mallinfo2 hak_introspect_mallinfo2(void);

// malloc_stats: a table for a person, on stderr.
hak_cold void hak_introspect_print(void);

// malloc_info: XML, flushed. Returns 0, or an errno value when the stream fails.
hak_cold int hak_introspect_xml(FILE* stream);

#endif  // HAKMEM_INTROSPECT_H_
