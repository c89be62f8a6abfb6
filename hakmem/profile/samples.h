// Live samples: which blocks are sampled, by address, since when, and whose stacks' tallies they
// are in.
//
// A hash table in metadata memory, under lock PROFILE. Whoever frees a block that may be sampled
// asks here. A sampled small block is known by its page map entry; whether a large one may be
// sampled is told by a table of counts, without the lock.
//
// The peak is the moment at which the sum of all live tallies was largest. Peaks are numbered, and
// while memory grows each sample makes another; a stack keeps its live tally as that of the peak
// when it first changes after it. So what all stacks had at the peak is known at any time, exactly,
// without one ever being copied but those that change.

#ifndef HAKMEM_SAMPLES_H_
#define HAKMEM_SAMPLES_H_

#include "hakmem/base/config.h"
#include "hakmem/platform/lock.h"
#include "hakmem/profile/stacks.h"

extern hak_lock_t hak_profile_lock;

// Makes the tables. False: there is no memory. lock:PROFILE
hak_cold hak_nodiscard bool hak_samples_start(void);

typedef struct hak_profile_sample {
  const void* block;
  void* stand_in;           // what is freed in its place (sampling.h); NULL: a large block
  uint64_t objects, bytes;  // what it stands for; see HAK_OBJECTS_SHIFT
} hak_profile_sample_t;

// Enters a sample, allocated at `frames`. Where there is no memory for that, it is counted as lost.
hak_cold bool hak_samples_add(const hak_profile_sample_t* sample, const uintptr_t* frames,
                              unsigned n_frames);

// Forgets the sample of sample->block, if there is one, and fills in the rest.
hak_cold bool hak_samples_remove(hak_profile_sample_t* sample);

// What is known of a stack, all of one moment. No lock held.
hak_cold void hak_samples_tallies(const hak_stack_t* stack, hak_tally_t tallies[HAK_N_TALLIES]);

// Fills in the ages of all stacks: the bytes of what lives, by how long it has lived. lock:DUMP
hak_cold void hak_samples_tally_ages(void);

// Samples that found no room in the table, of which nothing but their stack is known.
hak_cold uint64_t hak_samples_lost(void);

// Whether the large block at `block` may be a live sample. For whoever has the block.
extern _Atomic(uint32_t) hak_samples_large[HAK_PROFILE_LARGE_COUNTS];
static inline _Atomic(uint32_t)* hak_samples_large_at(const void* block) {
  uint64_t page = (uintptr_t)block >> HAK_PAGE_SHIFT;
  return &hak_samples_large[page * UINT64_C(0x9e3779b97f4a7c15) >> 32 &
                            (HAK_PROFILE_LARGE_COUNTS - 1)];
}
static inline bool hak_samples_may_be_large(const void* block) {
  return hak_load_relaxed(hak_samples_large_at(block)) != 0;
}

#endif  // HAKMEM_SAMPLES_H_
