// The heap profiler: begun and ended while the program runs, and what it does in slow paths.
//
// What is sampled is sampling.h's to say. A sampled small block lies in a slab of sampled blocks
// (central.h), so that its free comes to a slow path; large blocks come to slow paths anyway. In
// the program's threads the profiler takes its lock for a moment at each sample and at each free of
// one, and unwinds without any.

#ifndef HAKMEM_PROFILE_H_
#define HAKMEM_PROFILE_H_

#include "hakmem/heap/heap.h"
#include "hakmem/profile/samples.h"

// What HAKMEM_PROFILE asks for: when the library is loaded, and after the program's own destructors
// (what lives then has leaked, or was never meant to end). pre: the option is set.
hak_cold void hak_profile_start_option(void);
hak_cold void hak_profile_finish_option(void);

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
