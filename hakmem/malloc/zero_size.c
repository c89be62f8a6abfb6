// Blocks of size 0: addresses without memory, and which of them are live.

#include "hakmem/malloc/zero_size.h"

#include "hakmem/base/atomic.h"
#include "hakmem/base/bits.h"
#include "hakmem/base/config.h"
#include "hakmem/options/events.h"
#include "hakmem/platform/platform.h"

#define N_WORDS (HAK_ZERO_SIZE_BLOCKS / 64)
#define REGION_BYTES (HAK_ZERO_SIZE_BLOCKS * HAK_MIN_ALIGNMENT)

static _Atomic(uintptr_t) region;        // 0: not mapped yet
static _Atomic(uint64_t) live[N_WORDS];  // bit set: live
static _Atomic(uint32_t) next;           // where to look first, modulo the number of blocks

static uintptr_t map_region(void) {
  void* base = NULL;
  int error = hak_platform_reserve(REGION_BYTES, HAK_PAGE_BYTES, &base);
  if (!hak_event_kernel_ok(HAK_KERNEL_MMAP, error, NULL, REGION_BYTES)) return 0;
  uintptr_t none = 0;
  if (atomic_compare_exchange_strong(&region, &none, (uintptr_t)base)) return (uintptr_t)base;
  hak_platform_unmap(base, REGION_BYTES);  // another thread was faster
  return none;
}

// Takes a block of a word, the first from `bit` on that is free, or any; 64: none is.
static unsigned take_bit(_Atomic(uint64_t)* word, unsigned bit) {
  uint64_t had = hak_load_relaxed(word);
  while (had != ~UINT64_C(0)) {
    uint64_t later = ~had & ~UINT64_C(0) << bit;
    unsigned taken = hak_lowest_bit(later != 0 ? later : ~had);
    if (hak_cas_acquire(word, &had, had | UINT64_C(1) << taken)) return taken;
  }
  return 64;
}

void* hak_zero_size_alloc(void) {
  uintptr_t base = hak_load_acquire(&region);
  if (base == 0) base = map_region();
  if (base == 0) return NULL;
  uint32_t first = hak_fetch_add_relaxed(&next, 1) % HAK_ZERO_SIZE_BLOCKS;
  for (uint32_t i = 0; i < N_WORDS; i++) {
    uint32_t word = (first / 64 + i) % N_WORDS;
    unsigned bit = take_bit(&live[word], i == 0 ? first % 64 : 0);
    if (bit < 64) return (void*)(base + ((size_t)word * 64 + bit) * HAK_MIN_ALIGNMENT);
  }
  return NULL;
}

bool hak_zero_size_find(const void* address, uintptr_t* base, bool* is_free) {
  uintptr_t begin = hak_load_acquire(&region);
  size_t offset = (uintptr_t)address - begin;
  if (begin == 0 || offset >= REGION_BYTES) return false;
  size_t index = offset / HAK_MIN_ALIGNMENT;
  *base = begin + index * HAK_MIN_ALIGNMENT;
  *is_free = (hak_load_relaxed(&live[index / 64]) >> (index % 64) & 1) == 0;
  return true;
}

bool hak_zero_size_is_live(const void* ptr) {
  uintptr_t base;
  bool is_free;
  return hak_zero_size_find(ptr, &base, &is_free) && !is_free && base == (uintptr_t)ptr;
}

bool hak_zero_size_free(const void* ptr) {
  if (!hak_zero_size_is_live(ptr)) return false;
  size_t index = ((uintptr_t)ptr - hak_load_relaxed(&region)) / HAK_MIN_ALIGNMENT;
  uint64_t bit = UINT64_C(1) << (index % 64);
  return (atomic_fetch_and(&live[index / 64], ~bit) & bit) != 0;
}
