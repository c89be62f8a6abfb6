// Samples: a few blocks of a process that is not hardened, each alone on a page between guards
// (HAKMEM_HARDENED=sample:N; the idea is GWP-ASan's).
//
// Some N-th of the allocations that come to a slow path gets such a block. It ends where the guard
// behind it begins, so that the first byte past it, rounded up to its alignment, faults; what is
// written into the rest of the page is noticed when it is freed. The page of a freed one cannot be
// touched until it is used again, and they are used in turn. So a mistake that is made often is met
// in some process, in production too, with a line that says which block, and who allocated and
// freed it, and lines with the stacks of that, as far as there is an unwinder (unwind.h; the
// process starts it when it has begun, for that allocates).
//
// Where the program has no handler of SIGSEGV when the first sample is made, that line is written
// by one of hakmem's; else the program's own is left in its place. There are HAK_SAMPLES places,
// of one OS page and one guard each; when all are live nothing is sampled. Any thread; no lock: a
// place is whoever's turned its state. In a forked child a place that a thread which is gone was
// at work on is lost.

#ifndef HAKMEM_SAMPLE_H_
#define HAKMEM_SAMPLE_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"

extern _Atomic(uint32_t) hak_sample_every;  // N; 0: nothing is sampled

// Whether the thread's turn has come. (Out of line: counts on.)
hak_cold bool hak_sample_count(uint32_t every);

static inline bool hak_sample_is_due(void) {
  uint32_t every = hak_load_relaxed(&hak_sample_every);
  return hak_unlikely(every != 0) && hak_sample_count(every);
}

// A block of `size` bytes at a multiple of `alignment`, a power of two, zero. NULL: it has to be
// another block, for the size is 0 or does not fit an OS page, no place is free, or the kernel
// refuses. `caller`: the return address of the program's call, as far as it is known.
hak_nodiscard hak_cold void* hak_sample_alloc(size_t size, size_t alignment, const void* caller);

// Frees the live sample that begins at `block`. False: none does. Ends the process where what lies
// around it was written to.
hak_nodiscard bool hak_sample_free(void* block, const void* caller);

// The bytes that were asked for; 0: no live sample begins there.
size_t hak_sample_size(const void* block);

// What is known of the sample that lies at or next to an address.
typedef struct hak_sample {
  uintptr_t base;
  size_t size;
  bool is_free;
  uint32_t allocated_by, freed_by;  // numbers of thread_id.h; 0: nobody has yet
} hak_sample_t;

// False: there has been none near `address`.
bool hak_sample_find(const void* address, hak_sample_t* sample);

// Writes the stacks, of what is done now and of the sample near `address`, to stderr; nothing where
// there is none. For last words (check.h).
void hak_sample_tell(const void* address);

#endif  // HAKMEM_SAMPLE_H_
