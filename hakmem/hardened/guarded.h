// Large blocks of a hardened process: with a guard behind them while they live, and without access
// for a while after they are freed.
//
// The last OS page of a span or huge block is not the program's, but a guard. A freed block becomes
// a guard as a whole: it loses its memory and all access at once, and waits in one of 64 places,
// drawn by lot, until another takes its place; but one of more than 256 MiB goes back at once.
// Guards are no mappings of their own, and so need no bound. Where the kernel has none (before
// Linux 6.13), the last page is just not used, and a freed block loses its memory only.
//
// Lock: HARDENED, for the places. In a forked child, what a thread that is gone had in its hands is
// lost.

#ifndef HAKMEM_GUARDED_H_
#define HAKMEM_GUARDED_H_

#include "hakmem/base/base.h"

// A block of `bytes` bytes at a multiple of `alignment`, a power of two; with `zero`, all of it is
// zero. NULL: out of memory.
hak_nodiscard void* hak_guarded_alloc(size_t bytes, size_t alignment, bool zero);

// The bytes of the block that begins at `block`, whole OS pages; 0 when none does.
size_t hak_guarded_bytes(const void* block);

// Tries to make it hold `bytes` bytes without a copy: returns its address, or NULL, with the block
// as it was.
hak_nodiscard void* hak_guarded_resize(void* block, size_t bytes);

// Frees a block.
void hak_guarded_free(void* block);

// Gives back all that waits: for who finds no memory.
void hak_guarded_empty(void);

// In a forked child: for the row of HARDENED (quarantine.c).
void hak_guarded_repair(void);

#endif  // HAKMEM_GUARDED_H_
