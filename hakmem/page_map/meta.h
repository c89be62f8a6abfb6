// Memory for the allocator's own structures, apart from the program's.
//
// A bump allocator over mappings of its own, each between two guards, so that neither an overflow
// of a program's block nor a stray pointer near one reaches it. What is taken is zero, is kept for
// the life of the process, and is never given to the program. Lock: META.

#ifndef HAKMEM_META_H_
#define HAKMEM_META_H_

#include "hakmem/base/base.h"
#include "hakmem/platform/lock.h"

// `bytes` of zero memory at a multiple of `alignment` (a power of two, up to 64 KiB); NULL when
// the kernel gives none.
hak_nodiscard void* hak_meta_alloc(size_t bytes, size_t alignment);

// Bytes mapped for metadata, guards included, and bytes handed out.
size_t hak_meta_mapped_bytes(void);
size_t hak_meta_used_bytes(void);

void hak_meta_count_locks(hak_lock_counts_t* counts);

#endif  // HAKMEM_META_H_
