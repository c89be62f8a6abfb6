// The heap profiler: begun and ended while the program runs, and what it does in slow paths.
//
// What is sampled is sampling.h's to say. A sampled small block lies in a slab of sampled blocks
// (central.h), so that its free comes to a slow path; large blocks come to slow paths anyway. In
// the program's threads the profiler takes its lock for a moment at each sample and at each free of
// one, and unwinds without any.

#ifndef HAKMEM_PROFILE_H_
#define HAKMEM_PROFILE_H_

#include "hakmem/heap/heap.h"
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/profile/samples.h"

// What hak_profile_start and its kin do under their lock, for what starts, stops and dumps by
// itself (dumps.h). All: lock:DUMP
extern hak_lock_t hak_dump_lock;

// False: there is no memory. pre: hak_unwind_start; an interval that is good; not hardened.
hak_cold bool hak_profile_begin(uint64_t interval);
hak_cold void hak_profile_end(void);

// Whether it ever has.
hak_cold bool hak_profile_has_begun(void);

// Returns 0 or an errno value. `wait_ms`: as hak_descriptor_append has it.
hak_cold hak_nodiscard int hak_profile_write_file(const char* path, hak_profile_kind kind,
                                                  int wait_ms);

// A sampled block in place of `stand_in`, a block of `size_class` that is to be handed out; out of
// memory, or when nothing is sampled now, that block itself. `caller`: the return address of the
// program's call, as far as it is known.
hak_cold hak_nodiscard void* hak_profile_take(void* stand_in, unsigned size_class,
                                              const void* caller);

// Takes note of a large block that has been allocated, or moved or resized (as if it had been
// freed and another allocated). `heap`, the thread's, may be NULL.
hak_cold void hak_profile_note(const void* block, uint64_t bytes, hak_heap_t* heap,
                               const void* caller);

// Frees a block of the class HAK_CLASS_SAMPLED; aborts on misuse. Returns its stand-in, for the
// caller to free (NULL: not known, in a forked child).
hak_cold hak_nodiscard void* hak_profile_free(void* block);

// Before a large block is freed or resized.
static inline void hak_profile_forget(const void* block) {
  if (hak_likely(!hak_samples_may_be_large(block))) return;
  hak_profile_sample_t sample = {.block = block};
  (void)hak_samples_remove(&sample);
}

#endif  // HAKMEM_PROFILE_H_
