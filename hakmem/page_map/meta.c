// Chunks of metadata memory, from which pieces are cut upwards. Owns lock META.

#include "hakmem/page_map/meta.h"

#include "hakmem/base/config.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/platform.h"

static hak_lock_t lock = HAK_LOCK_INIT(HAK_RANK_META);
static uintptr_t next_free;                       // lock:META
static uintptr_t writable_end;                    // lock:META
static uintptr_t chunk_end;                       // lock:META
static size_t next_chunk_bytes = HAK_META_CHUNK;  // lock:META
static hak_counter_t mapped_bytes;
static hak_counter_t used_bytes;

// Makes at least `needed` bytes writable, and of `most` some ahead of the need. Returns how many; 0
// when the kernel refuses.
static size_t make_writable(uintptr_t base, size_t needed, size_t most) {
  size_t ahead =
      hak_max_size(HAK_META_PIECE, hak_counter_read(&used_bytes) / HAK_WRITABLE_FRACTION);
  ahead = hak_min_size(hak_round_up(ahead, HAK_PAGE_BYTES), most);
  needed = hak_round_up(needed, HAK_PAGE_BYTES);
  for (size_t bytes = hak_max_size(ahead, needed);; bytes = needed) {
    if (hak_platform_make_writable((void*)base, bytes) == 0) return bytes;
    if (bytes == needed) return 0;
  }
}

// Reserves or maps room for `bytes`: a chunk as large as is wanted, or as is needed.
static void* map_chunk(int (*map)(size_t, size_t, void**), size_t bytes, size_t* got) {
  size_t needed = hak_round_up(bytes, HAK_PAGE_BYTES) + 2 * HAK_PAGE_BYTES;
  void* base = NULL;
  *got = hak_max_size(next_chunk_bytes, needed);
  if (map(*got, HAK_PAGE_BYTES, &base) == 0) return base;
  *got = needed;
  return map(*got, HAK_PAGE_BYTES, &base) == 0 ? base : NULL;
}

// Makes a chunk with room for `bytes`, which are writable, the current one; what was left of the
// old one is given up (at most one request's worth, and never touched, so it costs address space
// only). Where there may be no more mappings, a chunk that cannot be divided is writable as a
// whole: its guards are two checks less.
static bool add_chunk(size_t bytes) {
  size_t got;
  void* base = map_chunk(hak_platform_reserve, bytes, &got);
  if (base == NULL) return false;
  uintptr_t begin = (uintptr_t)base + HAK_PAGE_BYTES;
  size_t writable = make_writable(begin, bytes, got - 2 * HAK_PAGE_BYTES);
  if (writable == 0) {
    hak_platform_unmap(base, got);
    base = map_chunk(hak_platform_map, bytes, &got);
    if (base == NULL) return false;
    begin = (uintptr_t)base + HAK_PAGE_BYTES;
    writable = got - 2 * HAK_PAGE_BYTES;
  }
  next_free = begin;
  writable_end = begin + writable;
  chunk_end = (uintptr_t)base + got - HAK_PAGE_BYTES;
  hak_counter_add(&mapped_bytes, got);
  next_chunk_bytes = hak_min_size(2 * next_chunk_bytes, HAK_META_CHUNK_MAX);
  return true;
}

// Whether the current chunk has `bytes` at `at`, which are then writable.
static bool has_room(uintptr_t at, size_t bytes) {
  if (next_free == 0 || at > chunk_end || bytes > chunk_end - at) return false;
  if (at + bytes <= writable_end) return true;
  size_t more = make_writable(writable_end, at + bytes - writable_end, chunk_end - writable_end);
  writable_end += more;
  return more != 0;
}

void* hak_meta_alloc(size_t bytes, size_t alignment) {
  hak_assert(hak_is_power_of_two(alignment) && alignment <= HAK_PAGE_BYTES);
  void* result = NULL;
  hak_lock_acquire(&lock);
  uintptr_t at = hak_round_up(next_free, alignment);
  bool fits = has_room(at, bytes);
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
  if (hak_lock_repair(&lock)) next_free = writable_end = chunk_end = 0;
}
HAK_REPAIR(META, repair, NULL);
