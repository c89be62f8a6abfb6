// Magazine sizes: the first and second, growth, and what a heap's slots take in all.

#include "hakmem/heap/magazine_size.h"

#include "hakmem/options/options.h"
#include "hakmem/superslab/limit.h"

static uint32_t first_capacity(unsigned stack) {
  if (stack >= HAK_N_CLASSES) return HAK_OUTGOING_BLOCKS;
  size_t fit = 4 * HAK_KIB / hak_class_info(stack)->block_bytes;
  return (uint32_t)hak_max_size(2, hak_min_size(fit, HAK_MAGAZINE_FIRST));
}

static uint32_t second_capacity(unsigned size_class) {
  size_t fit = HAK_MAGAZINE_SECOND_BYTES / hak_class_info(size_class)->block_bytes;
  return (uint32_t)hak_max_size(8, hak_min_size(fit, HAK_MAGAZINE_SECOND));
}

static uint32_t next_capacity(uint32_t capacity, unsigned size_class) {
  return (uint32_t)hak_min_size((size_t)capacity * 4, hak_class_info(size_class)->magazine_max);
}

// Slots that the magazines of a class take in all, from the second size to the largest.
static size_t all_slots(unsigned size_class) {
  uint32_t capacity = second_capacity(size_class);
  size_t slots = HAK_MAGAZINE_SLOTS(capacity);
  while (capacity < hak_class_info(size_class)->magazine_max) {
    capacity = next_capacity(capacity, size_class);
    slots += HAK_MAGAZINE_SLOTS(capacity);
  }
  return slots;
}

size_t hak_magazine_heap_bytes(void) {
  size_t slots = 0;
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) slots += all_slots(c);
  return sizeof(hak_heap_t) + slots * sizeof(void*);
}

void hak_magazine_begin(hak_heap_t* heap, unsigned stack) {
  uint32_t capacity = first_capacity(stack);
  void** memory = heap->next_first_slot;
  heap->next_first_slot = memory + HAK_MAGAZINE_SLOTS(capacity);
  // First: a forked child must find what it has to clear.
  heap->used[stack / 64] |= UINT64_C(1) << (stack % 64);
  hak_compiler_barrier();
  hak_magazine_place(&heap->bins[stack].magazine, &heap->top[stack], memory, capacity);
}

static void grow_to(hak_heap_t* heap, unsigned size_class, uint32_t capacity) {
  hak_bin_t* bin = &heap->bins[size_class];
  uint32_t had = hak_magazine_capacity(&bin->magazine);
  void** memory = hak_load_relaxed(&heap->next_slot);
  hak_store_relaxed(&heap->next_slot, memory + HAK_MAGAZINE_SLOTS(capacity));
  hak_magazine_place(&bin->magazine, &heap->top[size_class], memory, capacity);
  heap->cache_bytes += (size_t)(capacity - had) * hak_class_info(size_class)->block_bytes;
  bin->flushed = false;
}

bool hak_magazine_grow_to_second(hak_heap_t* heap, unsigned size_class) {
  uint32_t capacity = second_capacity(size_class);
  if (hak_magazine_capacity(&heap->bins[size_class].magazine) >= capacity) return false;
  grow_to(heap, size_class, capacity);
  return true;
}

bool hak_magazine_grow_after_flush(hak_heap_t* heap, unsigned size_class) {
  hak_bin_t* bin = &heap->bins[size_class];
  uint32_t had = hak_magazine_capacity(&bin->magazine);
  uint32_t capacity = next_capacity(had, size_class);
  if (!bin->flushed || capacity <= had || hak_limit_is_near()) return false;
  size_t more = (size_t)(capacity - had) * hak_class_info(size_class)->block_bytes;
  size_t floor = (size_t)hak_option_number(HAK_OPTION_thread_cache);
  size_t allowed = hak_max_size(floor, heap->owned_bytes / HAK_THREAD_CACHE_SHARE);
  if (heap->cache_bytes + more > allowed) return false;
  grow_to(heap, size_class, capacity);
  return true;
}
