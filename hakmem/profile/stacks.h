// Stacks: each that was sampled, once, with what was sampled there.
//
// A hash table in metadata memory, which only grows, up to a bound: what finds no room counts for a
// stack without frames. Beside it a table of all addresses in stacks, each of which has a number.
// Both are changed under the profiler's lock (samples.h) and may be read by any thread at any time,
// for what is linked is complete. The tallies of a stack are read and changed under that lock.

#ifndef HAKMEM_STACKS_H_
#define HAKMEM_STACKS_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"
#include "hakmem/heap/sampling.h"

// What is known of each stack, since sampling first began. The names in files go by these.
typedef enum hak_tally_kind {
  HAK_TALLY_ALLOC,      // all that was allocated
  HAK_TALLY_INUSE,      // what lives now
  HAK_TALLY_PEAK,       // what lived when all stacks together had most
  HAK_TALLY_FREED_1MS,  // what was freed within a millisecond of its allocation; and within these
  HAK_TALLY_FREED_1S,
  HAK_TALLY_FREED_1MIN,
  HAK_TALLY_FREED_LATER,
  HAK_N_TALLIES,
} hak_tally_kind_t;

// Estimated numbers of allocations are in units of 2^-HAK_OBJECTS_SHIFT.
typedef struct hak_tally {
  uint64_t samples, objects, bytes;
} hak_tally_t;

// As a whole number.
static inline uint64_t hak_tally_objects(const hak_tally_t* tally) {
  uint64_t half = UINT64_C(1) << (HAK_OBJECTS_SHIFT - 1);
  return (tally->objects + half) >> HAK_OBJECTS_SHIFT;
}

// Which tally a block is in that is freed so long after its allocation.
hak_cold hak_tally_kind_t hak_tally_freed_after(uint64_t ns);

// The name of one of its two figures in files, as pprof names such: alloc_objects, alloc_space.
// Returns `name`.
#define HAK_TALLY_NAME_BYTES 32
hak_cold const char* hak_tally_name(hak_tally_kind_t kind, bool is_space,
                                    char name[HAK_TALLY_NAME_BYTES]);

// Ages of what lives fall into classes: up to a millisecond, ten, a hundred and so on; the last has
// what is older than all bounds.
#define HAK_N_AGES 8

typedef struct hak_stack {
  struct hak_stack* next_in_bucket;    // const
  struct hak_stack* next;              // const: the one made before it
  uint64_t hash;                       // const
  hak_tally_t tallies[HAK_N_TALLIES];  // lock:PROFILE
  uint64_t peak_number;                // lock:PROFILE: of the peak that HAK_TALLY_PEAK is of
  uint64_t ages[HAK_N_AGES];           // lock:DUMP: see hak_samples_tally_ages
  unsigned n_frames;                   // const; 0: those that found no room
  uintptr_t frames[];                  // const; innermost first
} hak_stack_t;

// Makes the tables. False: there is no memory. lock:PROFILE
hak_cold hak_nodiscard bool hak_stacks_start(void);

// The stack of these frames; the one without frames where there is no room. lock:PROFILE
hak_cold hak_stack_t* hak_stacks_find(const uintptr_t* frames, unsigned n);

// All stacks, newest first, through `next`. NULL: none yet.
hak_cold hak_stack_t* hak_stacks_all(void);

// Calls `visit` for each address in stacks, with its number, 1 or more.
hak_cold void hak_stacks_visit_addresses(void (*visit)(uintptr_t address, uint32_t number,
                                                       void* context),
                                         void* context);
hak_cold uint32_t hak_stacks_number(uintptr_t address);

#endif  // HAKMEM_STACKS_H_
