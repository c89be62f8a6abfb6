// The table of live samples. Owns lock PROFILE.

#include "hakmem/profile/samples.h"

#include <string.h>

#include "hakmem/page_map/meta.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/platform.h"
#include "hakmem/platform/probe.h"

// Records are made so many at a time.
#define BATCH 256

typedef struct record {
  hak_profile_sample_t sample;
  struct record* next;  // in its bucket, or of those that are free
  hak_stack_t* stack;
  uint64_t born_ns;  // monotonic
} record_t;

HAK_PROBE_DEFINE(otel_memory, free);

hak_lock_t hak_profile_lock = HAK_LOCK_INIT(HAK_RANK_PROFILE);
_Atomic(uint32_t) hak_samples_large[HAK_PROFILE_LARGE_COUNTS];

static record_t** buckets;  // lock:PROFILE, and all that follows
static record_t* unused;
static size_t n_samples;  // ever made
static hak_counter_t n_lost;
static uint64_t live_bytes, peak_bytes;  // of all stacks: estimates
static uint64_t peak_number;             // of the last peak

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

// ---- tallies ----

// `sign`: 1 or -1.
static void tally(hak_stack_t* stack, hak_tally_kind_t kind, const hak_profile_sample_t* sample,
                  int sign) {
  uint64_t factor = (uint64_t)(int64_t)sign;
  hak_tally_t* tally = &stack->tallies[kind];
  tally->samples += factor;
  tally->objects += factor * sample->objects;
  tally->bytes += factor * sample->bytes;
}

static void change_live(hak_stack_t* stack, const hak_profile_sample_t* sample, int sign) {
  if (stack->peak_number != peak_number) {
    stack->tallies[HAK_TALLY_PEAK] = stack->tallies[HAK_TALLY_INUSE];
    stack->peak_number = peak_number;
  }
  tally(stack, HAK_TALLY_INUSE, sample, sign);
  live_bytes += (uint64_t)(int64_t)sign * sample->bytes;
  if (live_bytes <= peak_bytes) return;
  peak_bytes = live_bytes;
  peak_number++;
}

void hak_samples_tallies(const hak_stack_t* stack, hak_tally_t tallies[HAK_N_TALLIES]) {
  hak_lock_acquire(&hak_profile_lock);
  memcpy(tallies, stack->tallies, sizeof stack->tallies);
  if (stack->peak_number != peak_number) tallies[HAK_TALLY_PEAK] = tallies[HAK_TALLY_INUSE];
  hak_lock_release(&hak_profile_lock);
}

// ---- the table ----

// Each change of a list is one store, the last of its kind: a forked child finds whole lists.
static bool add(const hak_profile_sample_t* sample, hak_stack_t* stack, uint64_t now_ns) {
  tally(stack, HAK_TALLY_ALLOC, sample, 1);
  if (unused == NULL && !make_batch()) {
    hak_counter_add(&n_lost, 1);
    return false;
  }
  record_t* record = unused;
  unused = record->next;
  record_t** bucket = bucket_of(sample->block);
  *record = (record_t){*sample, *bucket, stack, now_ns};
  hak_compiler_barrier();
  *bucket = record;
  change_live(stack, sample, 1);
  return true;
}

static bool is_large(const hak_profile_sample_t* sample) { return sample->stand_in == NULL; }

bool hak_samples_add(const hak_profile_sample_t* sample, const uintptr_t* frames,
                     unsigned n_frames) {
  uint64_t now_ns = hak_platform_now_ns();
  hak_lock_acquire(&hak_profile_lock);
  bool is_known = add(sample, hak_stacks_find(frames, n_frames), now_ns);
  if (is_known && is_large(sample)) hak_fetch_add_relaxed(hak_samples_large_at(sample->block), 1);
  hak_lock_release(&hak_profile_lock);
  return is_known;
}

HAK_HAS_PROBE bool hak_samples_remove(hak_profile_sample_t* sample) {
  uint64_t now_ns = hak_platform_now_ns();
  hak_lock_acquire(&hak_profile_lock);
  record_t** link = buckets != NULL ? bucket_of(sample->block) : NULL;
  while (link != NULL && *link != NULL && (*link)->sample.block != sample->block) {
    link = &(*link)->next;
  }
  record_t* record = link != NULL ? *link : NULL;
  if (record != NULL) {
    *sample = record->sample;
    if (is_large(sample)) hak_fetch_add_relaxed(hak_samples_large_at(sample->block), (uint32_t)-1);
    change_live(record->stack, sample, -1);
    tally(record->stack, hak_tally_freed_after(now_ns - record->born_ns), sample, 1);
    *link = record->next;
    hak_compiler_barrier();
    record->next = unused;
    unused = record;
  }
  hak_lock_release(&hak_profile_lock);
  if (record == NULL) return false;
  if (hak_probe_is_on(otel_memory, free)) HAK_PROBE_1(otel_memory, free, sample->block);
  return true;
}

// ---- ages ----

static unsigned age_of(uint64_t ns) {
  uint64_t bound = 1000000;
  unsigned age = 0;
  for (; age < HAK_N_AGES - 1 && ns >= bound; age++) bound *= 10;
  return age;
}

// Threads that take samples wait for some buckets, not for all.
#define BUCKETS_AT_ONCE 64

void hak_samples_tally_ages(void) {
  for (hak_stack_t* at = hak_stacks_all(); at != NULL; at = at->next) {
    memset(at->ages, 0, sizeof at->ages);
  }
  for (size_t from = 0; buckets != NULL && from < HAK_PROFILE_BUCKETS; from += BUCKETS_AT_ONCE) {
    hak_lock_acquire(&hak_profile_lock);
    uint64_t now_ns = hak_platform_now_ns();
    for (size_t i = from; i < from + BUCKETS_AT_ONCE; i++) {
      for (const record_t* at = buckets[i]; at != NULL; at = at->next) {
        at->stack->ages[age_of(now_ns - at->born_ns)] += at->sample.bytes;
      }
    }
    hak_lock_release(&hak_profile_lock);
  }
}

uint64_t hak_samples_lost(void) { return hak_counter_read(&n_lost); }

// At worst a sample is lost, or one tally is a sample out.
static void repair(bool is_whole) {
  (void)is_whole;
  (void)hak_lock_repair(&hak_profile_lock);
}
HAK_REPAIR(PROFILE, repair, NULL);
