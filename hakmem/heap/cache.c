// Refill and overflow: blocks from slabs into a magazine, and back through flush.h. Owns nothing
// beside the heap it is given.

#include "hakmem/heap/cache.h"

#include <string.h>

#include "hakmem/heap/flush.h"
#include "hakmem/heap/holes.h"
#include "hakmem/heap/magazine_size.h"
#include "hakmem/heap/span_cache.h"
#include "hakmem/options/events.h"
#include "hakmem/options/tick.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/platform.h"
#include "hakmem/slab/central.h"

void hak_cache_init(hak_heap_t* heap) {
  for (unsigned c = 0; c < HAK_N_ENTRIES; c++) {
    hak_store_relaxed(&heap->top[c], hak_load_relaxed((hak_magazine_top_t*)&hak_no_heap.top[c]));
  }
  hak_store_relaxed(&heap->atomics, 0);
  heap->cache_bytes = heap->owned_bytes = heap->fallen_bytes = 0;
  heap->next_first_slot = heap->first_slots;
  hak_store_relaxed(&heap->next_slot, heap->slots);
  hak_span_cache_init(heap);
}

void hak_cache_clear(hak_heap_t* heap) {
  for (unsigned c = 0; (c = hak_heap_next_used(heap, c)) < HAK_N_STACKS;) {
    memset(&heap->bins[c], 0, sizeof heap->bins[c]);
  }
  memset(heap->used, 0, sizeof heap->used);
}

static unsigned count_of(const hak_heap_t* heap, unsigned stack) {
  return hak_magazine_count(&heap->bins[stack].magazine, &heap->top[stack]);
}

static bool is_used(const hak_heap_t* heap, unsigned stack) {
  return (heap->used[stack / 64] >> (stack % 64) & 1) != 0;
}

static bool has_lines(unsigned size_class) { return hak_class_outgoing(size_class) != 0; }

// A line class's magazine has no room at first: only a block of the heap's own slabs makes some.
static void begin_magazine(hak_heap_t* heap, unsigned stack) {
  hak_magazine_begin(heap, stack);
  if (has_lines(stack)) hak_magazine_close(&heap->bins[stack].magazine, &heap->top[stack]);
}

// ---- return ----

// Forgets the `n` lowest slots of a magazine, whose blocks have been returned.
static void count_returned(hak_heap_t* heap, unsigned stack, unsigned n) {
  hak_bin_t* bin = &heap->bins[stack];
  unsigned tokens = hak_magazine_lowest_tokens(&bin->magazine, n);
  hak_magazine_drop(&bin->magazine, &heap->top[stack], n, tokens);
  hak_bin_t* proper = &heap->bins[hak_class_proper(stack)];
  hak_counter_add(&proper->returned, n - tokens);
  hak_counter_add(&proper->flushes, 1);
  proper->flushed = true;
}

// Returns all that is in a magazine.
static void return_blocks(hak_heap_t* heap, unsigned stack) {
  unsigned n = count_of(heap, stack);
  if (n == 0) return;
  hak_flush_blocks(heap, hak_load_relaxed(&heap->bins[stack].magazine.bottom), n);
  count_returned(heap, stack, n);
}

// Returns some of the `n` blocks of the thread's magazine that have lain longest.
static void return_some(hak_heap_t* heap, unsigned stack, unsigned n) {
  const hak_magazine_t* magazine = &heap->bins[stack].magazine;
  hak_bin_t* proper = &heap->bins[hak_class_proper(stack)];
  uint64_t remote = hak_counter_read(&proper->remote_frees);
  void** bottom = hak_load_relaxed(&((hak_magazine_t*)magazine)->bottom);
  n = hak_magazine_lowest_slots(magazine, (unsigned)hak_min_size(n, HAK_FLUSH_BLOCKS));
  n = hak_flush_some(heap, bottom, n,
                     proper->frees_others ? HAK_FLUSH_REMOTE_GROUPS : HAK_FLUSH_GROUPS);
  proper->frees_others = 2 * (hak_counter_read(&proper->remote_frees) - remote) > n;
  count_returned(heap, stack, n);
}

static void return_outgoing(hak_heap_t* heap, unsigned size_class) {
  unsigned outgoing = hak_class_outgoing(size_class);
  if (outgoing == 0 || !is_used(heap, outgoing)) return;
  unsigned n = count_of(heap, outgoing);
  if (n != 0) return_some(heap, outgoing, n);
}

// ---- refill ----

// Blocks of a slow start's k-th refill: a cache line or two of blocks, doubling.
static unsigned shared_batch(unsigned size_class, unsigned k) {
  size_t fit = 256 / hak_class_info(size_class)->block_bytes;
  return (unsigned)hak_max_size(1, hak_min_size(fit, 4)) << k;
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
  hak_slab_t* slab = hak_central_adopt(size_class, heap);
  if (slab == NULL) slab = hak_slab_create(size_class, heap);
  if (slab == NULL) return false;
  hak_flush_own(heap, slab);
  if (heap->owned_bytes >= HAK_HOLES_FROM_BYTES) hak_holes_start();
  return true;
}

// Takes up to `n` blocks from slabs the heap owns, downwards from `end`.
static unsigned take_owned(hak_heap_t* heap, unsigned size_class, void** end, unsigned n) {
  hak_bin_t* bin = &heap->bins[size_class];
  unsigned taken = 0;
  while (taken < n && (taken == 0 || bin->partial.first != NULL)) {
    if (!find_slab(heap, size_class)) break;
    hak_slab_t* slab = bin->partial.first;
    size_t purged = hak_load_relaxed(&slab->purged_bytes);
    unsigned n_taken = hak_slab_take(slab, end - taken, n - taken);
    hak_flush_rise(heap, (size_t)n_taken * hak_class_info(size_class)->block_bytes, purged);
    taken += n_taken;
    // Before it counts as full: what others have freed into it meanwhile.
    if (hak_slab_free_count(slab) == 0 && hak_slab_collect(slab) == 0) {
      hak_slab_list_remove(&bin->partial, slab);
      hak_slab_list_append(&bin->full, slab);
    }
  }
  return taken;
}

// Gives up the slabs of a list; with_memory: and the memory of their free blocks. Returns its
// bytes.
static size_t give_up_slabs(hak_heap_t* heap, hak_slab_list_t* list, bool with_memory) {
  size_t bytes = 0;
  while (list->first != NULL) {
    hak_slab_t* slab = list->first;
    hak_flush_disown(heap, list, slab);
    if (with_memory && !hak_slab_is_idle(slab)) bytes += hak_slab_purge(slab, 0);
    hak_central_abandon(slab);
  }
  return bytes;
}

static size_t give_up_class(hak_heap_t* heap, unsigned size_class, bool with_memory) {
  hak_bin_t* bin = &heap->bins[size_class];
  size_t bytes = give_up_slabs(heap, &bin->partial, with_memory);
  bytes += give_up_slabs(heap, &bin->reserve, with_memory);
  bin->n_reserve = 0;
  return bytes;
}

// What orphans have free of a class goes to where all threads find it.
hak_noinline static void take_over(unsigned size_class) {
  if (!hak_lock_try(&hak_reclaim_lock)) return;  // another time
  hak_orphans_take(size_class);  // first: news that comes meanwhile is seen to later
  unsigned outgoing = hak_class_outgoing(size_class);
  for (hak_heap_entry_t* entry = hak_load_relaxed(&hak_orphans); entry != NULL;
       entry = entry->next_idle) {
    hak_heap_t* orphan = entry->heap;
    hak_heap_enter(orphan);
    hak_flush_pending(orphan);
    if (outgoing != 0 && is_used(orphan, outgoing)) return_blocks(orphan, outgoing);
    if (is_used(orphan, size_class)) {
      return_blocks(orphan, size_class);
      (void)give_up_class(orphan, size_class, false);
    }
    hak_heap_leave(orphan);
  }
  hak_lock_release(&hak_reclaim_lock);
}

// Of the next `n` blocks of a refill those up to the first that gets a token, if one does.
static unsigned until_token(hak_heap_t* heap, unsigned size_class, unsigned n, bool* has_token) {
  *has_token = false;
  if (hak_likely(!hak_sampling_is_on())) return n;
  int64_t hazard = hak_load_relaxed(&hak_sampling_classes[size_class].refill_hazard);
  return hak_sampling_steps(&heap->sampler, hazard, n, has_token);
}

// Fills the magazine, which is empty, from slabs. The block that gets a token comes lowest.
static void fill(hak_heap_t* heap, unsigned size_class) {
  hak_bin_t* bin = &heap->bins[size_class];
  hak_magazine_t* magazine = &bin->magazine;
  return_outgoing(heap, size_class);
  hak_flush_pending(heap);
  if (hak_orphans_may_have(size_class)) take_over(size_class);
  bool is_beginning = bin->shared_refills < HAK_SLOW_START_REFILLS;
  unsigned n = is_beginning ? shared_batch(size_class, bin->shared_refills++) : 0;
  if (!is_beginning && !hak_magazine_grow_to_second(heap, size_class)) {
    (void)hak_magazine_grow_after_flush(heap, size_class);
  }
  unsigned capacity = hak_magazine_capacity(magazine);
  // A quarter: a thread that hovers around what it has now neither runs dry nor overflows soon.
  n = is_beginning ? (unsigned)hak_min_size(n, capacity) : capacity / 4;
  bool has_token;
  n = until_token(heap, size_class, n, &has_token);
  void** end = magazine->slots + n + has_token;
  unsigned taken = is_beginning ? hak_central_take(size_class, end, n, true)
                                : take_owned(heap, size_class, end, n);
  void** first = end - taken;
  if (hak_unlikely(has_token) && taken == n) {
    first[-1] = first[0];
    *first-- = NULL;
    hak_store_relaxed(&magazine->tokens, 1);
  }
  hak_magazine_set(magazine, &heap->top[size_class], first, (unsigned)(end - first));
  hak_counter_add(&bin->taken, taken);
  hak_counter_add(&bin->refills, 1);
}

void* hak_cache_refill(hak_heap_t* heap, unsigned size_class, bool* has_token) {
  hak_magazine_t* magazine = &heap->bins[size_class].magazine;
  hak_magazine_top_t* top = &heap->top[size_class];
  hak_heap_enter(heap);
  if (!is_used(heap, size_class)) begin_magazine(heap, size_class);
  *has_token = hak_magazine_take_token(magazine, top);
  // Not empty: there was a token, or idle.c had put up its fence, and has taken it away again. (Or
  // both: it has taken the block of a token.)
  bool is_empty = count_of(heap, size_class) == 0;
  if (hak_likely(is_empty)) {
    fill(heap, size_class);
    *has_token = hak_magazine_take_token(magazine, top);
  }
  void* block = hak_magazine_pop(heap->top, size_class);
  if (hak_unlikely(hak_holes_wait(heap))) hak_holes_look(heap);
  hak_heap_leave(heap);
  // (Who comes for a token must not bring on the time at which it is drawn anew what is watched.)
  if (hak_likely(is_empty)) hak_tick();
  return block;
}

// ---- overflow ----

// Makes room in a magazine that is full: it grows from its first size, or some of what has lain
// longest goes back: of the lower half, so that the next flush or refill is as many steps away as
// it can be; but of all for who frees others' blocks, so that more blocks of a slab go back
// together.
static void make_room(hak_heap_t* heap, unsigned stack) {
  hak_magazine_t* magazine = &heap->bins[stack].magazine;
  hak_magazine_top_t* top = &heap->top[stack];
  unsigned slots = count_of(heap, stack), capacity = hak_magazine_capacity(magazine);
  unsigned count = slots - hak_magazine_tokens(magazine);
  bool frees_others = heap->bins[stack].frees_others;
  if (count < capacity) {  // idle.c has taken from its bottom, or it was closed
    hak_magazine_set(magazine, top, hak_load_relaxed(&magazine->bottom), slots);
  } else if (stack >= HAK_N_CLASSES) {
    return_some(heap, stack, count);
  } else if (!hak_magazine_grow_to_second(heap, stack) &&
             !(frees_others && hak_magazine_grow_after_flush(heap, stack))) {
    return_some(heap, stack, frees_others ? count : count - count / 2);
  }
}

// What is not seen to for each block on its way into the magazine, but here.
static void check_freed(const hak_heap_t* heap, unsigned stack, const void* block) {
  if (hak_unlikely(hak_magazine_has_on_top(heap->top, stack, block))) {
    hak_fatal_pointer("double free", block);
  }
  size_t offset = (uintptr_t)block - hak_page_map_run_base(block);
  if (hak_unlikely(hak_class_block_index(stack, offset) == UINT32_MAX)) {
    hak_fatal_pointer("free of a pointer inside a block", block);
  }
}

void hak_cache_overflow(void* block, hak_heap_t* heap, unsigned stack) {
  check_freed(heap, stack, block);
  hak_heap_enter(heap);
  hak_magazine_t* magazine = &heap->bins[stack].magazine;
  hak_magazine_top_t* top = &heap->top[stack];
  if (!is_used(heap, stack)) begin_magazine(heap, stack);
  if (has_lines(stack) && hak_flush_foreign(heap, block)) {
    hak_counter_add(&heap->bins[stack].returned, 1);
  } else {
    if (hak_magazine_is_full(magazine, top)) make_room(heap, stack);
    hak_magazine_put(magazine, top, block);
  }
  if (hak_unlikely(hak_holes_wait(heap))) hak_holes_look(heap);
  hak_heap_leave(heap);
  hak_tick();
}

static bool is_on_top(const hak_heap_t* heap, unsigned size_class, const void* block) {
  hak_slot_t* top = (hak_slot_t*)hak_load_relaxed((hak_magazine_top_t*)&heap->top[size_class]);
  return hak_load_relaxed(top - 1) == block;
}

void hak_cache_put_token(const void* block, hak_heap_t* heap, unsigned size_class) {
  hak_magazine_t* magazine = &heap->bins[size_class].magazine;
  hak_magazine_top_t* top = &heap->top[size_class];
  hak_heap_enter(heap);
  // (It may have gone home, too.)
  if (is_on_top(heap, size_class, block) && !hak_magazine_put_token(magazine, top)) {
    return_some(heap, size_class, (count_of(heap, size_class) + 3) / 4);
    if (is_on_top(heap, size_class, block)) (void)hak_magazine_put_token(magazine, top);
  }
  hak_heap_leave(heap);
}

// ---- all at once ----

void hak_cache_begin_lines(hak_heap_t* heap) {
  for (unsigned c = 1; c <= HAK_N_LINE_CLASSES; c++) {
    if (is_used(heap, c)) hak_magazine_close(&heap->bins[c].magazine, &heap->top[c]);
  }
}

size_t hak_cache_give_up(hak_heap_t* heap, bool with_memory) {
  hak_flush_pending(heap);
  hak_span_cache_flush(heap);
  size_t bytes = 0;
  for (unsigned c = 0; (c = hak_heap_next_used(heap, c)) < HAK_N_CLASSES;) {
    bytes += give_up_class(heap, c, with_memory);
  }
  return bytes;
}

void hak_cache_forget_slabs(hak_heap_t* heap) {
  heap->owned_bytes = heap->fallen_bytes = 0;
  hak_span_cache_init(heap);
  for (unsigned c = 0; (c = hak_heap_next_used(heap, c)) < HAK_N_STACKS;) {
    hak_bin_t* bin = &heap->bins[c];
    bin->partial = bin->full = bin->reserve = (hak_slab_list_t){NULL, NULL};
    bin->n_slabs = bin->n_reserve = 0;
    // A fence may stand, with blocks below it that may have gone back to their slabs. (What lies
    // below a token goes with them.)
    void** slot = hak_load_relaxed(&heap->top[c]);
    while (slot != hak_load_relaxed(&bin->magazine.bottom) &&
           hak_load_relaxed((hak_slot_t*)&slot[-1]) != NULL)
      slot--;
    hak_store_relaxed(&bin->magazine.bottom, slot);
    hak_store_relaxed(&bin->magazine.tokens, 0);
    bin->magazine.fence = NULL;
  }
}

void hak_cache_return_unsampled(hak_heap_t* heap) {
  hak_heap_enter(heap);
  for (unsigned c = HAK_N_LINE_CLASSES; (c = hak_heap_next_used(heap, c)) < HAK_N_CLASSES;) {
    return_blocks(heap, c);
  }
  hak_heap_leave(heap);
}

void hak_cache_drain(hak_heap_t* heap) {
  hak_heap_enter(heap);
  for (unsigned c = 0; (c = hak_heap_next_used(heap, c)) < HAK_N_STACKS;) return_blocks(heap, c);
  hak_span_cache_flush(heap);
  hak_flush_pending(heap);
  for (unsigned c = 0; (c = hak_heap_next_used(heap, c)) < HAK_N_CLASSES;) {
    while (heap->bins[c].n_reserve != 0) hak_flush_return_reserve(heap, c);
  }
  hak_heap_leave(heap);
}
