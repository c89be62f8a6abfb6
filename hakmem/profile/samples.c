// The table of live samples. Owns lock PROFILE.

#include "hakmem/profile/samples.h"

#include "hakmem/page_map/meta.h"
#include "hakmem/platform/fork.h"

// Records are made so many at a time.
#define BATCH 256

typedef struct record {
  hak_profile_sample_t sample;
  struct record* next;  // in its bucket, or of those that are free
  hak_stack_t* stack;
} record_t;

hak_lock_t hak_profile_lock = HAK_LOCK_INIT(HAK_RANK_PROFILE);
_Atomic(uint32_t) hak_samples_large[HAK_PROFILE_LARGE_COUNTS];

static record_t** buckets;  // lock:PROFILE, and all that follows
static record_t* unused;
static size_t n_samples;  // ever made
static hak_counter_t n_lost;

static record_t** bucket_of(const void* block) {
  uint64_t hash = ((uintptr_t)block >> 4) * UINT64_C(0x9e3779b97f4a7c15);
  return &buckets[(hash >> 32) % HAK_PROFILE_BUCKETS];
}

bool hak_samples_start(void) {
  if (buckets == NULL) {
    buckets = hak_meta_alloc(HAK_PROFILE_BUCKETS * sizeof *buckets, HAK_CACHE_LINE);
  }
  return buckets != NULL && hak_stacks_start();
}

static bool make_batch(void) {
  if (n_samples + BATCH > HAK_PROFILE_SAMPLES) return false;
  record_t* batch = hak_meta_alloc(BATCH * sizeof *batch, HAK_CACHE_LINE);
  if (batch == NULL) return false;
  n_samples += BATCH;
  for (unsigned i = 0; i < BATCH; i++) {
    batch[i].next = unused;
    unused = &batch[i];
  }
  return true;
}

static void tally(hak_tally_t* tally, uint64_t samples, uint64_t objects, uint64_t bytes) {
  hak_counter_add(&tally->samples, samples);
  hak_counter_add(&tally->objects, objects);
  hak_counter_add(&tally->bytes, bytes);
}

// Each change of a list is one store, the last of its kind: a forked child finds whole lists.
static bool add(const hak_profile_sample_t* sample, hak_stack_t* stack) {
  tally(&stack->all, 1, sample->objects, sample->bytes);
  if (unused == NULL && !make_batch()) {
    hak_counter_add(&n_lost, 1);
    return false;
  }
  record_t* record = unused;
  unused = record->next;
  record_t** bucket = bucket_of(sample->block);
  *record = (record_t){*sample, *bucket, stack};
  hak_compiler_barrier();
  *bucket = record;
  tally(&stack->live, 1, sample->objects, sample->bytes);
  return true;
}

static bool is_large(const hak_profile_sample_t* sample) { return sample->stand_in == NULL; }

bool hak_samples_add(const hak_profile_sample_t* sample, const uintptr_t* frames,
                     unsigned n_frames) {
  hak_lock_acquire(&hak_profile_lock);
  bool is_known = add(sample, hak_stacks_find(frames, n_frames));
  if (is_known && is_large(sample)) hak_fetch_add_relaxed(hak_samples_large_at(sample->block), 1);
  hak_lock_release(&hak_profile_lock);
  return is_known;
}

bool hak_samples_remove(hak_profile_sample_t* sample) {
  hak_lock_acquire(&hak_profile_lock);
  record_t** link = buckets != NULL ? bucket_of(sample->block) : NULL;
  while (link != NULL && *link != NULL && (*link)->sample.block != sample->block) {
    link = &(*link)->next;
  }
  record_t* record = link != NULL ? *link : NULL;
  if (record != NULL) {
    *sample = record->sample;
    if (is_large(sample)) hak_fetch_add_relaxed(hak_samples_large_at(sample->block), (uint32_t)-1);
    tally(&record->stack->live, (uint64_t)-1, 0 - sample->objects, 0 - sample->bytes);
    *link = record->next;
    hak_compiler_barrier();
    record->next = unused;
    unused = record;
  }
  hak_lock_release(&hak_profile_lock);
  return record != NULL;
}

uint64_t hak_samples_lost(void) { return hak_counter_read(&n_lost); }

// At worst a sample is lost, or one tally is a sample out.
static void repair(bool is_whole) {
  (void)is_whole;
  (void)hak_lock_repair(&hak_profile_lock);
}
HAK_REPAIR(PROFILE, repair, NULL);
