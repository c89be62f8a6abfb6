// Valgrind's memcheck: told of blocks, where a process runs on it, so that it sees uses after free
// and overflows in them as it does in those of its own malloc.
//
// Only a hardened process tells, for the fast paths know nothing of it; so a process on memcheck is
// hardened unless HAKMEM_HARDENED says otherwise. Where the library was built without
// valgrind/memcheck.h there is no memcheck. Any thread.

#ifndef HAKMEM_MEMCHECK_H_
#define HAKMEM_MEMCHECK_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"

extern _Atomic(bool) hak_memcheck_is_on;  // const once it was asked for
static inline bool hak_memcheck_sees(void) {
  return hak_unlikely(hak_load_relaxed(&hak_memcheck_is_on));
}

// Asks whether the process runs on memcheck: a few instructions, no call. Before the first block.
bool hak_memcheck_begin(void);

// What memcheck is told, while it is on.
void hak_memcheck_tell_given(const void* block, size_t size, size_t bytes, bool is_zero);
void hak_memcheck_tell_taken(const void* block);
void hak_memcheck_tell_resized(const void* block, size_t old_size, size_t size, size_t bytes);
void hak_memcheck_tell_defined(const void* memory, size_t bytes);
void hak_memcheck_tell_quiet(bool is_quiet);

// The program has the block of `bytes` bytes now, of which it may use `size`.
static inline void hak_memcheck_give(const void* block, size_t size, size_t bytes, bool is_zero) {
  if (hak_memcheck_sees()) hak_memcheck_tell_given(block, size, bytes, is_zero);
}

// It has freed the block.
static inline void hak_memcheck_take(const void* block) {
  if (hak_memcheck_sees()) hak_memcheck_tell_taken(block);
}

// It may use `size` bytes of the block now, in place of `old_size`.
static inline void hak_memcheck_resize(const void* block, size_t old_size, size_t size,
                                       size_t bytes) {
  if (hak_memcheck_sees()) hak_memcheck_tell_resized(block, old_size, size, bytes);
}

// The memory holds what it should, and may be used: by the allocator, of what it takes back for
// good, or by the program, of what was moved for it.
static inline void hak_memcheck_define(const void* memory, size_t bytes) {
  if (hak_memcheck_sees()) hak_memcheck_tell_defined(memory, bytes);
}

// From `true` to `false` this thread reads and writes what no program may.
static inline void hak_memcheck_quiet(bool is_quiet) {
  if (hak_memcheck_sees()) hak_memcheck_tell_quiet(is_quiet);
}

#endif  // HAKMEM_MEMCHECK_H_
