// Stacks: each that was sampled, once, with what was sampled there.
//
// A hash table in metadata memory, which only grows, up to a bound: what finds no room counts for a
// stack without frames. Beside it a table of all addresses in stacks, each of which has a number.
// Both are changed under the profiler's lock (samples.h) and may be read by any thread at any time:
// what is linked is complete, and the figures are atomic.

#ifndef HAKMEM_STACKS_H_
#define HAKMEM_STACKS_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"
#include "hakmem/heap/sampling.h"

// Estimated numbers of allocations are in units of 2^-HAK_OBJECTS_SHIFT.
typedef struct hak_tally {
  hak_counter_t samples, objects, bytes;
} hak_tally_t;

typedef struct hak_stack {
  struct hak_stack* next_in_bucket;  // const
  const struct hak_stack* next;      // const: the one made before it
  uint64_t hash;                     // const
  hak_tally_t live, all;             // what lives now; all since sampling first began
  unsigned n_frames;                 // const; 0: those that found no room
  uintptr_t frames[];                // const; innermost first
} hak_stack_t;

// Makes the tables. False: there is no memory. lock:PROFILE
hak_nodiscard bool hak_stacks_start(void);

// The stack of these frames; the one without frames where there is no room. lock:PROFILE
hak_stack_t* hak_stacks_find(const uintptr_t* frames, unsigned n);

// All stacks, newest first, through `next`. NULL: none yet.
const hak_stack_t* hak_stacks_all(void);

// Calls `visit` for each address in stacks, with its number, 1 or more.
void hak_stacks_visit_addresses(void (*visit)(uintptr_t address, uint32_t number, void* context),
                                void* context);
uint32_t hak_stacks_number(uintptr_t address);

#endif  // HAKMEM_STACKS_H_
