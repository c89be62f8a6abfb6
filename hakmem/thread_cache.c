#include "hakmem/thread_cache.h"

#include <string.h>

#include "hakmem/central.h"
#include "hakmem/check.h"
#include "hakmem/events.h"
#include "hakmem/flush.h"
#include "hakmem/options.h"
#include "hakmem/span_cache.h"
#include "hakmem/thread.h"
#include "hakmem/tick.h"

// ---- magazine sizes ----
//
// A class starts with a small one, gets the second size as soon as it has slabs of its own or
// overflows, and then grows fourfold whenever it has to fetch again what it has just returned: a
// program that only allocates, or only frees, gains nothing from a larger cache and gets none.

static uint32_t first_capacity(unsigned size_class) {
  size_t fit = 4 * HAK_KIB / hak_class_info(size_class)->block_bytes;
  return (uint32_t)hak_max_size(2, hak_min_size(fit, HAK_MAGAZINE_FIRST));
}

static uint32_t second_capacity(unsigned size_class) {
  size_t fit = HAK_MAGAZINE_SECOND_BYTES / hak_class_info(size_class)->block_bytes;
  return (uint32_t)hak_max_size(8, hak_min_size(fit, HAK_MAGAZINE_SECOND));
}

static uint32_t next_capacity(uint32_t capacity, unsigned size_class) {
  return (uint32_t)hak_min_size((size_t)capacity * 4, hak_class_info(size_class)->magazine_max);
}

// Slots that the magazines of a class take in all, from the second size to the largest, each with
// one slot more for the NULL below.
static size_t magazine_slots(unsigned size_class) {
  uint32_t capacity = second_capacity(size_class);
  size_t slots = capacity + 1;
  while (capacity < hak_class_info(size_class)->magazine_max) {
    capacity = next_capacity(capacity, size_class);
    slots += capacity + 1;
  }
  return slots;
}

size_t hak_cache_heap_bytes(void) {
  size_t slots = 0;
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) slots += magazine_slots(c);
  return sizeof(hak_heap_t) + slots * sizeof(void*);
}

void hak_cache_init(hak_heap_t* heap) {
  for (unsigned c = 0; c < HAK_N_CLASSES; c++) {
    hak_store_relaxed(&heap->top[c], hak_no_heap.limit[c]);
    heap->limit[c] = hak_no_heap.limit[c];
  }
  hak_store_relaxed(&heap->atomics, 0);
  heap->cache_bytes = heap->owned_bytes = 0;
  heap->next_first_slot = heap->first_slots;
  hak_store_relaxed(&heap->next_slot, heap->slots);
  hak_store_relaxed(&heap->n_outgoing, 0);
  heap->outgoing_bytes = 0;
  hak_span_cache_init(heap);
}

void hak_cache_clear(hak_heap_t* heap) { memset(heap->bins, 0, sizeof heap->bins); }

// ---- the magazine of a class ----

static uint32_t capacity_of(const hak_bin_t* bin) {
  return hak_load_relaxed(&((hak_bin_t*)bin)->capacity);
}

static unsigned count_of(const hak_heap_t* heap, unsigned size_class) {
  const hak_bin_t* bin = &heap->bins[size_class];
  if (bin->magazine == NULL) return 0;
  return (unsigned)(hak_load_relaxed(&((hak_heap_t*)heap)->top[size_class]) -
                    hak_load_relaxed(&((hak_bin_t*)bin)->bottom));
}

static void set_count(hak_heap_t* heap, unsigned size_class, unsigned count) {
  hak_bin_t* bin = &heap->bins[size_class];
  hak_store_relaxed(&bin->bottom, bin->magazine);
  hak_store_relaxed(&heap->top[size_class], bin->magazine + count);
  heap->limit[size_class] = bin->magazine + capacity_of(bin);
}

// Moves the uppermost `count` blocks down to the first slot.
static void move_down(hak_heap_t* heap, unsigned size_class, unsigned count) {
  void** first = hak_load_relaxed(&heap->top[size_class]) - count;
  memmove(heap->bins[size_class].magazine, first, count * sizeof(void*));
  set_count(heap, size_class, count);
}

// Moves what idle.c has left of a magazine down to its first slot.
static void settle(hak_heap_t* heap, unsigned size_class) {
  hak_bin_t* bin = &heap->bins[size_class];
  if (hak_likely(hak_load_relaxed(&bin->bottom) == bin->magazine)) return;
  move_down(heap, size_class, count_of(heap, size_class));
}

static void** take_slots(void*** next, uint32_t capacity) {
  void** first = *next + 1;
  *next = first + capacity;
  first[-1] = NULL;
  return first;
}

// The first magazine of a class in this heap.
static void add_first_magazine(hak_heap_t* heap, unsigned size_class) {
  hak_bin_t* bin = &heap->bins[size_class];
  uint32_t capacity = first_capacity(size_class);
  hak_store_relaxed(&bin->capacity, capacity);
  bin->magazine = take_slots(&heap->next_first_slot, capacity);
  set_count(heap, size_class, 0);
}

// A larger magazine, into which goes what the old one held.
static void grow_to(hak_heap_t* heap, unsigned size_class, uint32_t capacity) {
  hak_bin_t* bin = &heap->bins[size_class];
  unsigned count = count_of(heap, size_class);
  void** next = hak_load_relaxed(&heap->next_slot);
  void** magazine = take_slots(&next, capacity);
  hak_store_relaxed(&heap->next_slot, next);
  memcpy(magazine, bin->magazine, count * sizeof(void*));
  heap->cache_bytes +=
      (size_t)(capacity - capacity_of(bin)) * hak_class_info(size_class)->block_bytes;
  bin->magazine = magazine;
  hak_store_relaxed(&bin->capacity, capacity);
  bin->flushed = false;
  set_count(heap, size_class, count);
}

// Whether the magazine has just come to its second size.
static bool grow_to_second(hak_heap_t* heap, unsigned size_class) {
  uint32_t capacity = second_capacity(size_class);
  if (capacity_of(&heap->bins[size_class]) >= capacity) return false;
  grow_to(heap, size_class, capacity);
  return true;
}

// At a refill: a flush has returned since the last growth what is fetched again now.
static void grow_if_thrashing(hak_heap_t* heap, unsigned size_class) {
  hak_bin_t* bin = &heap->bins[size_class];
  uint32_t had = capacity_of(bin);
  uint32_t capacity = next_capacity(had, size_class);
  if (!bin->flushed || capacity <= had) return;
  size_t more = (size_t)(capacity - had) * hak_class_info(size_class)->block_bytes;
  size_t floor = (size_t)hak_option_number(HAK_OPTION_thread_cache);
  size_t allowed = hak_max_size(floor, heap->owned_bytes / HAK_THREAD_CACHE_SHARE);
  if (heap->cache_bytes + more <= allowed) grow_to(heap, size_class, capacity);
}

// ---- refill ----

// Blocks of a slow start's k-th refill: a cache line or two of blocks, doubling.
static unsigned shared_batch(unsigned size_class, unsigned k) {
  size_t fit = 256 / hak_class_info(size_class)->block_bytes;
  return (unsigned)hak_max_size(1, hak_min_size(fit, 4)) << k;
}

static void own(hak_heap_t* heap, hak_bin_t* bin, hak_slab_t* slab) {
  bin->n_slabs++;
  heap->owned_bytes += (size_t)slab->n_pages << HAK_PAGE_SHIFT;
  hak_slab_list_append(&bin->partial, slab);
}

// Where threads come and go adoptions are nothing rare: one in a while stands for all, lest they
// push everything else out of the ring of events.
static void report_adoption(const hak_slab_t* slab) {
  static _Atomic(uint64_t) next_ms;
  uint64_t now_ms = hak_platform_now_ms();
  if (now_ms < hak_load_relaxed(&next_ms)) return;
  hak_store_relaxed(&next_ms, now_ms + HAK_ADOPTION_EVENT_MS);
  size_t bytes = (size_t)slab->n_pages << HAK_PAGE_SHIFT;
  hak_event_record(HAK_EVENT_ADOPTED, slab->size_class, slab->base, bytes, 0);
}

// An unowned slab; only one whose thread has ended counts as adopted, not one that all shared.
static hak_slab_t* adopt(hak_heap_t* heap, unsigned size_class) {
  hak_slab_t* slab = hak_central_adopt(size_class, heap);
  if (slab == NULL || hak_slab_use(slab) != HAK_RUN_ABANDONED) return slab;
  hak_slab_set_use(slab, HAK_RUN_SLAB);
  hak_counter_add(&heap->bins[size_class].adoptions, 1);
  report_adoption(slab);
  return slab;
}

// Makes sure that the heap has a slab of the class with free blocks; false: out of memory.
static bool find_slab(hak_heap_t* heap, unsigned size_class) {
  hak_bin_t* bin = &heap->bins[size_class];
  if (bin->partial.first != NULL) return true;
  if (bin->reserve.last != NULL) {
    hak_slab_t* slab = bin->reserve.last;
    bin->n_reserve--;
    hak_slab_list_remove(&bin->reserve, slab);
    hak_slab_list_append(&bin->partial, slab);
    return true;
  }
  hak_slab_t* slab = adopt(heap, size_class);
  if (slab == NULL) slab = hak_slab_create(size_class, heap);
  if (slab == NULL) return false;
  own(heap, bin, slab);
  return true;
}

// Takes up to `n` blocks from slabs the heap owns, downwards from `end`.
static unsigned take_owned(hak_heap_t* heap, unsigned size_class, void** end, unsigned n) {
  hak_bin_t* bin = &heap->bins[size_class];
  unsigned taken = 0;
  while (taken < n && (taken == 0 || bin->partial.first != NULL)) {
    if (!find_slab(heap, size_class)) break;
    hak_slab_t* slab = bin->partial.first;
    taken += hak_slab_take(slab, end - taken, n - taken);
    // Before it counts as full: what others have freed into it meanwhile.
    if (hak_slab_free_count(slab) == 0 && hak_slab_collect(slab) == 0) {
      slab->was_full = true;
      hak_slab_list_remove(&bin->partial, slab);
      hak_slab_list_append(&bin->full, slab);
    }
  }
  return taken;
}

// Fills the magazine, which is empty, from slabs.
static void fill(hak_heap_t* heap, unsigned size_class) {
  hak_bin_t* bin = &heap->bins[size_class];
  hak_flush_outgoing(heap, heap);
  hak_flush_pending(heap);
  unsigned n, taken;
  if (bin->shared_refills < HAK_SLOW_START_REFILLS) {
    n = (unsigned)hak_min_size(shared_batch(size_class, bin->shared_refills), capacity_of(bin));
    bin->shared_refills++;
    taken = hak_central_take(size_class, bin->magazine + n, n);
  } else {
    if (!grow_to_second(heap, size_class)) grow_if_thrashing(heap, size_class);
    // A quarter: a thread that hovers around what it has now neither runs dry nor overflows soon.
    n = capacity_of(bin) / 4;
    taken = take_owned(heap, size_class, bin->magazine + n, n);
  }
  set_count(heap, size_class, n);
  if (taken < n) move_down(heap, size_class, taken);
  hak_counter_add(&bin->taken, taken);
  hak_counter_add(&bin->refills, 1);
}

static void* refill_without_heap(unsigned size_class) {
  void* block = NULL;
  return hak_central_take(size_class, &block + 1, 1) == 1 ? block : NULL;
}

void* hak_cache_refill(hak_heap_t* heap, size_t class_index) {
  unsigned size_class = (unsigned)class_index;
  if (heap == HAK_NO_HEAP) {
    heap = hak_thread_begin();
    if (heap == NULL) return refill_without_heap(size_class);
  }
  hak_bin_t* bin = &heap->bins[size_class];
  hak_thread_enter(heap);
  if (bin->magazine == NULL) add_first_magazine(heap, size_class);
  settle(heap, size_class);
  // Not empty: idle.c had put up its fence, and has taken it away again.
  if (hak_likely(count_of(heap, size_class) == 0)) fill(heap, size_class);
  void* block = hak_cache_pop(heap, size_class);
  hak_thread_leave(heap);
  hak_tick();
  return block;
}

// ---- flush ----

// Returns the first `n` blocks of a magazine of `heap`, on behalf of `self`.
static void flush_magazine(hak_heap_t* heap, hak_heap_t* self, unsigned size_class, void** first,
                           unsigned n) {
  if (n == 0) return;
  hak_bin_t* bin = &heap->bins[size_class];
  hak_flush_blocks(self, first, n);
  hak_counter_add(&bin->returned, n);
  hak_counter_add(&bin->flushes, 1);
  bin->flushed = true;
}

// Makes room in the magazine, which is full: it grows from its first size, or its lower half, which
// has lain longest, goes back. The next flush or refill is then as many steps away as it can be.
static void make_room(hak_heap_t* heap, unsigned size_class) {
  if (grow_to_second(heap, size_class)) return;
  hak_bin_t* bin = &heap->bins[size_class];
  uint32_t capacity = capacity_of(bin);
  flush_magazine(heap, heap, size_class, bin->magazine, capacity - capacity / 2);
  move_down(heap, size_class, capacity / 2);
}

void hak_cache_overflow(void* block, hak_heap_t* heap, size_t class_index) {
  unsigned size_class = (unsigned)class_index;
  hak_thread_enter(heap);
  hak_bin_t* bin = &heap->bins[size_class];
  if (bin->magazine == NULL) add_first_magazine(heap, size_class);
  settle(heap, size_class);
  if (count_of(heap, size_class) == capacity_of(bin)) make_room(heap, size_class);
  bool pushed = hak_cache_push(heap, size_class, block);
  hak_assert(pushed);
  (void)pushed;
  hak_thread_leave(heap);
  hak_tick();
}

void hak_cache_free_remote(void* block, hak_heap_t* heap, size_t size_class) {
  if (heap == HAK_NO_HEAP) {
    heap = hak_thread_begin();
    if (heap == NULL) {
      hak_flush_block(NULL, block);
      return;
    }
  }
  hak_thread_enter(heap);
  unsigned n = hak_load_relaxed(&heap->n_outgoing);
  hak_store_relaxed(&heap->outgoing[n], block);
  hak_store_relaxed(&heap->n_outgoing, n + 1);
  heap->outgoing_bytes += hak_class_info((unsigned)size_class)->block_bytes;
  bool is_full = n + 1 == HAK_OUTGOING_BLOCKS || heap->outgoing_bytes >= HAK_OUTGOING_BYTES;
  if (hak_unlikely(is_full)) hak_flush_outgoing(heap, heap);
  hak_thread_leave(heap);
  if (hak_unlikely(is_full)) hak_tick();
}

void hak_cache_return_all(hak_heap_t* heap, hak_heap_t* self) {
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    hak_bin_t* bin = &heap->bins[c];
    if (bin->magazine == NULL) continue;
    flush_magazine(heap, self, c, hak_load_relaxed(&bin->bottom), count_of(heap, c));
    set_count(heap, c, 0);
  }
  hak_flush_outgoing(heap, self);
  hak_span_cache_flush(heap);
}

static size_t give_up_slabs(hak_heap_t* heap, hak_slab_list_t* list) {
  size_t bytes = 0;
  while (list->first != NULL) {
    hak_slab_t* slab = list->first;
    hak_flush_disown(heap, list, slab);
    if (!hak_slab_is_idle(slab)) bytes += hak_slab_purge(slab);
    hak_central_abandon(slab);
  }
  return bytes;
}

size_t hak_cache_give_up(hak_heap_t* heap) {
  hak_flush_outgoing(heap, heap);
  hak_flush_pending(heap);
  hak_span_cache_flush(heap);
  size_t bytes = 0;
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    hak_bin_t* bin = &heap->bins[c];
    bytes += give_up_slabs(heap, &bin->partial);
    bytes += give_up_slabs(heap, &bin->reserve);
    bin->n_reserve = 0;
  }
  return bytes;
}

void hak_cache_forget_slabs(hak_heap_t* heap) {
  heap->owned_bytes = 0;
  hak_store_relaxed(&heap->n_outgoing, 0);
  heap->outgoing_bytes = 0;
  hak_span_cache_init(heap);
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    hak_bin_t* bin = &heap->bins[c];
    bin->partial = bin->full = bin->reserve = (hak_slab_list_t){NULL, NULL};
    bin->n_slabs = bin->n_reserve = 0;
    if (bin->magazine == NULL) continue;
    // A fence may stand, with blocks below it that may have gone back to their slabs.
    void** slot = hak_load_relaxed(&heap->top[c]);
    while (slot != hak_load_relaxed(&bin->bottom) &&
           hak_load_relaxed((hak_slot_t*)&slot[-1]) != NULL)
      slot--;
    hak_store_relaxed(&bin->bottom, slot);
  }
}

void hak_cache_drain(hak_heap_t* heap) {
  hak_thread_enter(heap);
  hak_cache_return_all(heap, heap);
  hak_flush_pending(heap);
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    while (heap->bins[c].n_reserve != 0) hak_flush_return_reserve(heap, c);
  }
  hak_thread_leave(heap);
}
