// Sampling of allocations for the heap profiler: which of them are sampled, and with what weight.
//
// Each allocation of S usable bytes is sampled with probability p(S) = 1 - exp(-S / R), R being the
// interval: as if points were strewn over all bytes that are allocated, one in R bytes on average
// (a Poisson process), and an allocation that has one or more in it were taken. A sample stands for
// 1 / p(S) allocations, so that each sum over samples is right on average, whatever it is over: all
// allocations, those that are live, those of one site (Horvitz and Thompson, "A Generalization of
// Sampling Without Replacement from a Finite Universe", 1952).
//
// What malloc hands out has entered a magazine before, by a refill or by a free. So the choice is
// made there: some blocks are given a *token* as they enter, a NULL in the slot above theirs, at
// which malloc comes to the slow path by itself. The fast paths have no instruction for it.
// - A refill gives each block a token with probability p.
// - Of the pages of slabs a share f, drawn at random, is *watched* (slab/watch.h): what is freed
//   there comes to the slow path, and is given a token with probability p / f. So a free gives one
//   with probability p, whatever the program does, since it does not know the marks.
// - The program gets another block, of a slab of sampled blocks, and the one that had the token,
//   its *stand-in*, is kept until that is freed, and then freed in its place. So which block serves
//   which malloc does not depend on what is sampled, and a token says nothing about later ones.
//   (Nearly: a magazine has room for tokens for a quarter of its blocks and two. Where most blocks
//   have one, as when they are larger than the interval, some are returned to make room: estimates
//   are 0.3 % low.)
// - Spans and huge blocks, whose malloc is a slow path, are drawn there.
//
// Frees of one page in one period of the marks share their mark. So a sum over few pages and
// periods varies more than one over independent samples: by up to 1 / f more in its variance.
//
// When the next token is due is drawn in advance: steps of hazard h (a block that is given one with
// probability q has -ln(1 - q)) are taken off a number that is exponential of mean 1, and where
// that is used up a token is due. What is left of such a number has the distribution of a fresh
// one. So a heap has one for all its classes, and may take steps whose blocks are then not had.

#ifndef HAKMEM_SAMPLING_H_
#define HAKMEM_SAMPLING_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"
#include "hakmem/base/config.h"

// Hazards, in units of 2^-HAK_HAZARD_SHIFT: the least is 16 bytes in an interval of 1 GiB, and none
// counts for more than HAK_HAZARD_MAX, which is as good as certain.
#define HAK_HAZARD_SHIFT 44
#define HAK_HAZARD_MAX (INT64_C(40) << HAK_HAZARD_SHIFT)

// What a heap has left until its next token: positive; 0: nothing drawn yet. Its owner's.
typedef struct hak_sampler {
  int64_t left;
} hak_sampler_t;

// What holds for a class while sampling is on. Written before it begins; any thread may read one
// that is out of date.
typedef struct hak_sampling_class {
  _Atomic(int64_t) refill_hazard;  // of a block that a refill brings
  _Atomic(uint64_t) objects;       // how many allocations a sample stands for, see below
} hak_sampling_class_t;
extern hak_sampling_class_t hak_sampling_classes[HAK_N_CLASSES];

// The hazard of a block that is freed on a watched page; 0: sampling is off.
extern _Atomic(int64_t) hak_free_hazards[HAK_N_CLASSES];

// Bytes, 0 while nothing is sampled.
extern _Atomic(uint64_t) hak_sampling_interval;
static inline bool hak_sampling_is_on(void) {
  return hak_load_acquire(&hak_sampling_interval) != 0;
}

// Begins to sample, at an interval of so many bytes, at least one; ends it. `seed`: of the random
// numbers. One thread at a time.
void hak_sampling_begin(uint64_t interval, uint64_t seed);
void hak_sampling_end(void);

// Draws anew which pages are watched. Any thread; no lock held.
void hak_sampling_draw_pages(void);

// Takes a step of `hazard`; whether a token is due by it.
bool hak_sampling_is_due(hak_sampler_t* sampler, int64_t hazard);
static inline bool hak_sampling_step(hak_sampler_t* sampler, int64_t hazard) {
  sampler->left -= hazard;
  return hak_unlikely(sampler->left <= 0) && hak_sampling_is_due(sampler, hazard);
}

// Takes up to `n` steps, at least one, until a token is due; *is_due: the last is such. Returns how
// many.
unsigned hak_sampling_steps(hak_sampler_t* sampler, int64_t hazard, unsigned n, bool* is_due);

// Whether to sample an allocation of `bytes` that comes to a slow path in any case. `sampler` may
// be NULL, where a thread has no heap.
bool hak_sampling_draw(hak_sampler_t* sampler, uint64_t bytes);

// How many allocations a sample of `bytes` stands for: 1 / p(bytes).
double hak_sampling_weight(uint64_t bytes, uint64_t interval);

// The same as a whole number of units of 2^-HAK_OBJECTS_SHIFT: a sample may stand for 1.3.
#define HAK_OBJECTS_SHIFT 16
static inline uint64_t hak_sampling_objects(double weight) {
  return (uint64_t)(weight * (1 << HAK_OBJECTS_SHIFT) + 0.5);
}

#endif  // HAKMEM_SAMPLING_H_
