// Blocks above the size classes: a span (span.h) up to half a SuperSlab, else a huge block
// (huge.h).
//
// Who has a block's address finds here which of the two it is.

#ifndef HAKMEM_LARGE_H_
#define HAKMEM_LARGE_H_

#include "hakmem/superslab/layout.h"

// A block of `size` bytes (above the small classes, or wanted at an alignment they cannot give) at
// a multiple of `alignment`, a power of two. NULL: out of memory. With `zero`, all of the size
// asked for is zero, at the price of clearing only memory that is not fresh from the kernel.
hak_nodiscard void* hak_large_alloc(size_t size, size_t alignment, bool zero);

// Frees the span or huge block at `ptr`, an address whose page map entry has no class. Aborts with
// a message when there is none.
void hak_large_free(void* ptr);

// Usable bytes of the span or huge block that begins at `ptr`; 0 when none does.
size_t hak_large_usable_size(const void* ptr);

// Tries to make the block at `ptr` hold `size` bytes without copying: in place, or for a huge
// block by moving its memory to other addresses. Returns its address, or NULL when the caller has
// to allocate, copy and free. pre: `ptr` is a span or a huge block.
hak_nodiscard void* hak_large_resize(void* ptr, size_t size);

// The huge block or span that holds `address`: its first byte and usable bytes. False when none
// does.
bool hak_large_find(const void* address, uintptr_t* base, size_t* bytes);

#endif  // HAKMEM_LARGE_H_
