// Huge blocks: one or more whole SuperSlabs each, for what is larger than half of one.
//
// Freed, they go back to their reservation and stay there with their memory until the purge delay
// is over. A block that cannot grow where it is moves with its memory, piece by piece: each piece
// is one of the kernel's mappings, and at every moment all that the block holds is known to lie
// either at its old place or at its new one. Lock: BACKEND, inside.

#ifndef HAKMEM_HUGE_H_
#define HAKMEM_HUGE_H_

#include "hakmem/superslab/layout.h"

// A block of `size` bytes at a multiple of `alignment`, a power of two; both at most HAK_LARGE_MAX.
// NULL: out of memory. With `zero`, all of the size asked for is zero, at the price of clearing
// only memory that is not fresh from the kernel.
hak_nodiscard void* hak_huge_alloc(size_t size, size_t alignment, bool zero);

// The head of the huge block that begins at `ptr`, which lies in `super`; NULL when none does.
hak_superslab_t* hak_huge_at(hak_superslab_t* super, const void* ptr);

void hak_huge_free(hak_superslab_t* head);

// Tries to make the block hold `size` bytes without the caller's help: in place, or elsewhere,
// where it brings its memory. Returns its address; NULL, with the block as it was, when the caller
// has to allocate, copy and free. pre: size <= HAK_LARGE_MAX.
hak_nodiscard void* hak_huge_resize(hak_superslab_t* head, size_t size);

#endif  // HAKMEM_HUGE_H_
