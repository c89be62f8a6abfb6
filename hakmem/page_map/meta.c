// Chunks of metadata memory, from which pieces are cut upwards. Owns lock META.

#include "hakmem/page_map/meta.h"

#include "hakmem/base/config.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/platform.h"

static hak_lock_t lock = HAK_LOCK_INIT(HAK_RANK_META);
static uintptr_t next_free;                       // lock:META
static uintptr_t chunk_end;                       // lock:META
static size_t next_chunk_bytes = HAK_META_CHUNK;  // lock:META
static hak_counter_t mapped_bytes;
static hak_counter_t used_bytes;

// Maps room for `bytes` and makes it the current chunk; what was left of the old one is given up
// (at most one request's worth, and never touched, so it costs address space only).
static bool add_chunk(size_t bytes) {
  size_t guard = HAK_PAGE_BYTES;
  size_t wanted = hak_max_size(next_chunk_bytes, hak_round_up(bytes, HAK_PAGE_BYTES) + 2 * guard);
  void* base = NULL;
  if (hak_platform_map(wanted, HAK_PAGE_BYTES, &base) != 0) {
    wanted = hak_round_up(bytes, HAK_PAGE_BYTES) + 2 * guard;
    if (hak_platform_map(wanted, HAK_PAGE_BYTES, &base) != 0) return false;
  }
  // A guard that the kernel refuses (the limit on mappings) is one check less, not an error.
  int errors[2] = {hak_platform_protect_none(base, guard),
                   hak_platform_protect_none((char*)base + wanted - guard, guard)};
  (void)errors;
  next_free = (uintptr_t)base + guard;
  chunk_end = (uintptr_t)base + wanted - guard;
  hak_counter_add(&mapped_bytes, wanted);
  next_chunk_bytes = hak_min_size(2 * next_chunk_bytes, HAK_META_CHUNK_MAX);
  return true;
}

void* hak_meta_alloc(size_t bytes, size_t alignment) {
  hak_assert(hak_is_power_of_two(alignment) && alignment <= HAK_PAGE_BYTES);
  void* result = NULL;
  hak_lock_acquire(&lock);
  uintptr_t at = hak_round_up(next_free, alignment);
  bool fits = next_free != 0 && at <= chunk_end && bytes <= chunk_end - at;
  if (!fits && add_chunk(bytes)) {
    at = next_free;  // a chunk begins at a multiple of 64 KiB
    fits = true;
  }
  if (fits) {
    next_free = at + bytes;
    hak_counter_add(&used_bytes, bytes);
    result = (void*)at;
  }
  hak_lock_release(&lock);
  return result;
}

size_t hak_meta_mapped_bytes(void) { return hak_counter_read(&mapped_bytes); }
size_t hak_meta_used_bytes(void) { return hak_counter_read(&used_bytes); }

void hak_meta_count_locks(hak_lock_counts_t* counts) { hak_lock_count(&lock, counts); }

static void repair(bool is_whole) {
  (void)is_whole;
  // Half done means: next_free and chunk_end may not belong together. Start a new chunk.
  if (hak_lock_repair(&lock)) next_free = chunk_end = 0;
}
HAK_REPAIR(META, repair, NULL);
