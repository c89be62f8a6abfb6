// The policy of a hardened process (HAKMEM_HARDENED=1, or one that runs on valgrind's memcheck, see
// memcheck.h): what is done with each block that is allocated, resized or freed.
//
// No thread of such a process has a heap. Each is left with the magazines of hak_no_heap, which are
// empty and full at once, so that every malloc and free takes the slow path, and comes here. The
// fast paths know nothing of it, and a process that is not hardened pays nothing.
//
// Three things are known of each block: whether it is live (live.h), how many bytes were asked for
// (canary.h), and, where it is small, that nobody writes to it once it was freed (quarantine.h).
// The functions are for any thread, with no lock held, after a look at the word of fork.h.

#ifndef HAKMEM_HARDENED_H_
#define HAKMEM_HARDENED_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"

typedef enum hak_hardened_state {
  HAK_HARDENED_UNKNOWN,
  HAK_HARDENED_OFF,
  HAK_HARDENED_ON
} hak_hardened_state_t;

extern _Atomic(uint8_t) hak_hardened_state;

// Whether the process is hardened, as far as that is known: it is where there is a block.
static inline bool hak_is_hardened(void) {
  return hak_unlikely(hak_load_relaxed(&hak_hardened_state) == HAK_HARDENED_ON);
}

// The same, and reads the options first where nobody has yet.
bool hak_hardened_begin(void);

// A block of `size` bytes (at most PTRDIFF_MAX) at a multiple of `alignment`, a power of two, and
// zero where `zero` asks for it. NULL: out of memory.
hak_nodiscard void* hak_hardened_alloc(size_t size, size_t alignment, bool zero);

// Frees the block that begins at `block`. False: no live one does. Ends the process where what lies
// behind it was written to, as the next two do.
hak_nodiscard bool hak_hardened_free(void* block);

// The bytes that were asked for. False: no live block begins there.
hak_nodiscard bool hak_hardened_size(const void* block, size_t* size);

// The bytes that the program may use of the block that begins at `block`: those that were asked
// for, or those that might be, of one that is not live or was written past. Never ends the process.
size_t hak_hardened_usable_size(const void* block);

// Whether the span or huge block that begins at `block` was freed and only waits (guarded.h).
bool hak_hardened_waits(const void* block);

// Tries to make a live block hold `size` bytes without a copy. Returns its address; NULL, with the
// block as it was: the caller has to allocate, copy and free, or no live block begins there.
hak_nodiscard void* hak_hardened_resize(void* block, size_t size);

#endif  // HAKMEM_HARDENED_H_
