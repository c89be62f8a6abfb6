// Blocks of size 0: addresses that differ, and that nobody may touch.
//
// malloc(0) gives an address in a region without access, 16 bytes apart, so that what a program
// reads or writes there faults at once. A bit for each says whether it is live. The region is
// mapped when the first is asked for. No locks: a bit is set and cleared by atomic operations. What
// was freed is given again as late as can be.

#ifndef HAKMEM_ZERO_SIZE_H_
#define HAKMEM_ZERO_SIZE_H_

#include "hakmem/base/base.h"

// NULL: the kernel has no room for the region, or all of it is live. Then a block of the smallest
// class has to do.
hak_nodiscard void* hak_zero_size_alloc(void);

// Frees a live block of size 0; false when `ptr` is none.
hak_nodiscard bool hak_zero_size_free(const void* ptr);

// Whether `ptr` is a live block of size 0.
bool hak_zero_size_is_live(const void* ptr);

// Whether `address` lies in the region; where the place for a block begins there, and whether it is
// free.
bool hak_zero_size_find(const void* address, uintptr_t* base, bool* is_free);

#endif  // HAKMEM_ZERO_SIZE_H_
