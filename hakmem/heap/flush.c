// Freed blocks on their way home: the owner's side, other heaps' slabs, and unowned ones.

#include "hakmem/heap/flush.h"

#include <limits.h>

#include "hakmem/base/bits.h"
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/platform.h"
#include "hakmem/slab/central.h"
#include "hakmem/superslab/limit.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/spare.h"

// ---- the owner's side ----

// Where threads come and go adoptions are nothing rare: one in a while stands for all, lest they
// push everything else out of the ring of events.
static void report_adoption(const hak_slab_t* slab) {
  static _Atomic(uint64_t) next_ms;
  uint64_t now_ms = hak_platform_now_ms();
  if (now_ms < hak_load_relaxed(&next_ms)) return;
  hak_store_relaxed(&next_ms, now_ms + HAK_ADOPTION_EVENT_MS);
  hak_event_record(HAK_EVENT_ADOPTED, slab->run.size_class, slab->run.base, hak_slab_bytes(slab),
                   0);
}

void hak_flush_own(hak_heap_t* heap, hak_slab_t* slab) {
  hak_bin_t* bin = &heap->bins[slab->run.size_class];
  bin->n_slabs++;
  heap->owned_bytes += hak_slab_bytes(slab);
  hak_slab_list_append(hak_slab_free_count(slab) != 0 ? &bin->partial : &bin->full, slab);
  if (hak_run_use(&slab->run) != HAK_RUN_ABANDONED) return;
  hak_run_set_use(&slab->run, HAK_RUN_SLAB);
  hak_counter_add(&bin->adoptions, 1);
  report_adoption(slab);
}

void hak_flush_disown(hak_heap_t* heap, hak_slab_list_t* list, hak_slab_t* slab) {
  hak_slab_list_remove(list, slab);
  heap->bins[slab->run.size_class].n_slabs--;
  heap->owned_bytes -= hak_slab_bytes(slab);
  heap->fallen_bytes = hak_min_size(heap->fallen_bytes, heap->owned_bytes);
}

// How many empty slabs of a class a heap keeps: those that came and went would cost two locks each
// time, and a class of large blocks has few in a slab.
static unsigned reserve_of(const hak_bin_t* bin, unsigned size_class) {
  if (hak_option_number(HAK_OPTION_use_superslab) == 0) return 0;  // direct: unmapped when empty
  if (hak_limit_is_near()) return 0;
  size_t slab_bytes = (size_t)hak_class_info(size_class)->slab_pages << HAK_PAGE_SHIFT;
  size_t fit = hak_min_size(bin->n_slabs / 4, HAK_RESERVE_SLAB_BYTES / slab_bytes);
  return (unsigned)hak_max_size(fit, 1);
}

void hak_flush_return_reserve(hak_heap_t* heap, unsigned size_class) {
  hak_bin_t* bin = &heap->bins[size_class];
  hak_slab_t* longest = bin->reserve.first;
  bin->n_reserve--;
  hak_flush_disown(heap, &bin->reserve, longest);
  hak_slab_destroy(longest);
}

// ---- what falls ----
//
// What survives a burst keeps all of its slabs. The looks of holes.h take their time, and somebody
// who comes by: a thread whose work stays within its magazines does not. So what has come home and
// is still there is known (fallen_bytes: a heap's slabs are so much emptier than they were), and
// where it is beyond the bound of spare memory (spare.h) holes go back while the blocks come home.

static void forget_fallen(hak_heap_t* heap, size_t bytes) {
  heap->fallen_bytes -= hak_min_size(heap->fallen_bytes, bytes);
}

void hak_flush_rise(hak_heap_t* heap, size_t bytes, size_t purged) {
  forget_fallen(heap, bytes);
  if (hak_unlikely(purged != 0)) hak_spare_took_holes(hak_min_size(bytes, purged));
}

// `n` blocks have come home to a slab, which is not empty.
static void fall(hak_heap_t* heap, hak_slab_t* slab, unsigned n) {
  heap->fallen_bytes += (size_t)n * hak_class_info(slab->run.size_class)->block_bytes;
  if (hak_likely(!hak_spare_is_excess(heap->fallen_bytes, heap->owned_bytes))) return;
  size_t bytes = hak_slab_purge_thin(slab);
  if (bytes == 0) return;
  forget_fallen(heap, bytes);
  hak_purge_report(bytes);
  hak_spare_gave_holes(bytes);
}

// A slab of one's own has gained free blocks; `had` is how many it had. An empty one is kept in
// reserve, or goes back: false.
static bool own_gained(hak_heap_t* heap, hak_slab_t* slab, unsigned had) {
  unsigned size_class = slab->run.size_class;
  hak_bin_t* bin = &heap->bins[size_class];
  if (had == 0 && hak_slab_free_count(slab) != 0) {
    hak_slab_list_remove(&bin->full, slab);
    // Towards the end: the longer a slab waits, the more of its blocks come back, and the more of
    // them one refill can take. But last comes the slab that was never full: taking from it means
    // touching fresh memory.
    hak_slab_t* last = bin->partial.last;
    hak_slab_list_insert(&bin->partial, slab,
                         last != NULL && hak_slab_is_fresh(last) ? last : NULL);
  }
  if (!hak_slab_is_idle(slab)) return true;
  forget_fallen(heap, hak_slab_bytes(slab) - hak_load_relaxed(&slab->purged_bytes));
  hak_slab_list_remove(&bin->partial, slab);
  hak_slab_list_append(&bin->reserve, slab);
  bin->n_reserve++;
  while (bin->n_reserve > reserve_of(bin, size_class)) hak_flush_return_reserve(heap, size_class);
  return false;
}

// The same, of blocks that have come home: where some are still live there may be holes.
static void came_home(hak_heap_t* heap, hak_slab_t* slab, unsigned had) {
  unsigned n = hak_slab_free_count(slab) - had;
  if (own_gained(heap, slab, had)) fall(heap, slab, n);
}

static void take_news(hak_heap_t* heap, hak_slab_t* slab) {
  unsigned had = hak_slab_free_count(slab);
  hak_slab_count_remote(slab);
  hak_slab_collect(slab);
  came_home(heap, slab, had);
}

// ---- telling the owner ----

// Sees to the news of an unowned slab; false when it has an owner (now). A thread that knows its
// class makes it its own, so that nobody has to lock the class for it again; unless more than half
// of it is free, which others may need more than this thread.
static bool take_unowned(hak_heap_t* teller, hak_slab_t* slab) {
  bool is_closed = teller == NULL || hak_load_relaxed(&teller->pending) == HAK_PENDING_CLOSED;
  bool knows_class =
      !is_closed && teller->bins[slab->run.size_class].shared_refills == HAK_SLOW_START_REFILLS;
  bool is_for_all =
      hak_run_use(&slab->run) == HAK_RUN_LOST || 2 * hak_slab_free_count(slab) > slab->capacity;
  if (!knows_class || is_for_all) return hak_central_absorb(slab);
  if (!hak_central_claim(slab, teller)) return false;
  hak_flush_own(teller, slab);
  take_news(teller, slab);
  return true;
}

// Sees to it that the news of a slab whose remote_count has just left 0 reaches whoever owns it.
// The owner may end, or the slab be adopted, at any point; then the next owner is tried.
static void tell(hak_heap_t* teller, hak_slab_t* slab) {
  // Now: what has been told of may be gone.
  bool has_orphans = hak_unlikely(hak_load_relaxed(&hak_orphans) != NULL);
  unsigned size_class = has_orphans ? slab->run.size_class : 0;
  for (;;) {
    hak_heap_t* owner = hak_load_acquire(&slab->owner);
    if (owner == NULL) {
      if (take_unowned(teller, slab)) return;
      continue;
    }
    hak_slab_t* top = hak_load_acquire(&owner->pending);
    while (top != HAK_PENDING_CLOSED) {
      hak_store_relaxed(&slab->pending_next, top);
      if (teller != NULL) hak_counter_add(&teller->atomics, 1);
      if (!hak_cas_weak_release(&owner->pending, &top, slab)) continue;
      if (has_orphans && hak_heap_is_orphan(owner)) hak_orphans_give(size_class);
      return;
    }
    // Closed: its thread ended after `owner` was read, and has given up the slab before.
  }
}

static void take_stack(hak_heap_t* heap, hak_slab_t* replacement) {
  hak_slab_t* slab = hak_exchange_acq_rel(&heap->pending, replacement);
  hak_store_relaxed(&heap->waiting_bytes, 0);
  while (slab != HAK_PENDING_NONE && slab != HAK_PENDING_CLOSED) {
    // Once its news is taken the slab may be pushed again, and the link overwritten.
    hak_slab_t* next = hak_load_relaxed(&slab->pending_next);
    if (hak_load_acquire(&slab->owner) == heap) {
      take_news(heap, slab);
    } else {
      tell(heap, slab);  // it changed hands after it was pushed
    }
    slab = next;
  }
}

void hak_flush_pending(hak_heap_t* heap) {
  if (hak_load_relaxed(&heap->pending) == HAK_PENDING_NONE) return;
  hak_counter_add(&heap->atomics, 1);
  take_stack(heap, HAK_PENDING_NONE);
}

void hak_flush_close(hak_heap_t* heap) { take_stack(heap, HAK_PENDING_CLOSED); }

// ---- groups ----

// Names a word of a slab's bitmaps: the slab's address, and below its alignment the word's number.
typedef uintptr_t word_tag_t;
static_assert(HAK_WIDE_BITMAP_BYTES / (2 * sizeof(uint64_t)) <= alignof(hak_slab_t),
              "a word's number");

typedef struct group {
  word_tag_t tag;  // 0: none
  uint64_t mask;
  uint8_t size_class;
  bool is_outgoing;  // known for a slab whose blocks travel
} group_t;

static hak_slab_t* slab_of(const group_t* group) {
  return (hak_slab_t*)hak_round_down(group->tag, alignof(hak_slab_t));
}
static unsigned word_of(const group_t* group) { return group->tag % alignof(hak_slab_t); }

// Groups wait in a small direct-mapped table, so that blocks which arrive out of order still meet
// others of their word. The words of a slab are neighbours in it, so that the final sweep counts a
// slab's remote frees together. Of the table a flush uses as many places as it has blocks, or more,
// and twice as many as there may be groups.
#define GROUPS 64

typedef struct flush {
  hak_heap_t* heap;
  hak_slab_t* remote_slab;  // remote frees of this slab are set but not announced yet
  unsigned remote_class;
  unsigned remote_n;
  unsigned n_begun;      // groups so far
  uintptr_t last_place;  // of the table that is in use, a power of two less one
  group_t groups[GROUPS];
} flush_t;

// Others have freed all blocks of a slab, it seems, and this thread has not said so yet. The owner
// sees to it in its next slow path: it may sleep. So where more than is worth its keep (spare.h)
// waits for it, the memory goes back here.
hak_noinline static void fall_elsewhere(hak_slab_t* slab, unsigned size_class) {
  hak_heap_t* owner = hak_load_relaxed(&slab->owner);
  if (owner == NULL) return;  // it is seen to at once
  size_t bytes = (size_t)hak_class_info(size_class)->slab_pages << HAK_PAGE_SHIFT;
  size_t waiting = hak_load_relaxed(&owner->waiting_bytes) + bytes;
  if (hak_unlikely(hak_spare_is_excess(waiting, waiting))) {
    size_t given = hak_slab_purge_remote(slab, size_class);
    if (given != 0) {
      hak_purge_report(given);
      hak_spare_gave_holes(given);
      return;
    }
  }
  hak_store_relaxed(&owner->waiting_bytes, waiting);
}

static void announce(flush_t* flush) {
  hak_slab_t* slab = flush->remote_slab;
  if (slab == NULL) return;
  flush->remote_slab = NULL;
  if (flush->heap != NULL) {
    hak_counter_add(&flush->heap->atomics, 1);
    hak_counter_add(&flush->heap->bins[flush->remote_class].remote_frees, flush->remote_n);
  }
  uint64_t n = hak_load_relaxed(&slab->remote_count) + flush->remote_n;
  if (hak_unlikely(n >= hak_class_info(flush->remote_class)->slab_blocks)) {
    fall_elsewhere(slab, flush->remote_class);
  }
  if (hak_slab_announce_remote(slab, flush->remote_n)) tell(flush->heap, slab);
}

static void put_remote(flush_t* flush, const group_t* group) {
  hak_slab_t* slab = slab_of(group);
  if (flush->remote_slab != slab) announce(flush);
  if (!group->is_outgoing) hak_slab_mark_outgoing(slab);
  if (flush->remote_slab == NULL) {
    flush->remote_slab = slab;
    flush->remote_class = group->size_class;
    flush->remote_n = 0;
  }
  flush->remote_n += hak_bit_count(group->mask);
  if (flush->heap != NULL && group->mask != ~UINT64_C(0)) {
    hak_counter_add(&flush->heap->atomics, 1);
  }
  hak_slab_free_remote(slab, word_of(group), group->mask);
}

static void put_group(flush_t* flush, const group_t* group) {
  hak_slab_t* slab = slab_of(group);
  // (Of an unowned slab it may be NULL, and so may the heap.)
  if (flush->heap == NULL || hak_load_acquire(&slab->owner) != flush->heap) {
    put_remote(flush, group);
    return;
  }
  unsigned had = hak_slab_free_count(slab);
  hak_slab_put(slab, word_of(group), group->mask);
  came_home(flush->heap, slab, had);
}

// Where a block lies, looked up without its slab's first line: that is the owner's, who may be
// writing it.
typedef struct place {
  hak_slab_t* slab;  // NULL: a token's, which lies nowhere
  uintptr_t base;    // of the slab
  uintptr_t spread;  // where in the table the group of its first word is
  uint8_t size_class;
  bool is_outgoing;
} place_t;

static place_t find_place(const void* block) {
  if (hak_unlikely(block == NULL)) return (place_t){.slab = NULL};
  hak_superslab_t* super = hak_page_map_super(block);
  unsigned entry = hak_page_map_class(block);
  unsigned size_class = hak_class_proper(entry);
  if (super == NULL) hak_fatal_pointer("free of a pointer that is not ours", block);
  if (size_class == 0) hak_fatal_pointer("free of a pointer where no block is", block);
  uintptr_t base = hak_page_map_run_base(block);
  hak_slab_t* slab = (hak_slab_t*)hak_super_run_at(super, base);
  hak_prefetch_write(&slab->owner);
  return (place_t){
      .slab = slab,
      .base = base,
      // Descriptors are neighbours, and so are the words of a slab: an odd factor spreads the
      // slabs.
      .spread = (uintptr_t)slab / HAK_RUN_BYTES * 9,
      .size_class = (uint8_t)size_class,
      // (A class without lines to share has nothing to be marked.)
      .is_outgoing = entry != size_class || hak_class_outgoing(size_class) == 0,
  };
}

// (Not inline: the loop that comes here needs the registers.)
hak_noinline static void begin_group(flush_t* flush, group_t* group, const place_t* place,
                                     unsigned word, uint64_t bit) {
  if (group->tag != 0) put_group(flush, group);
  hak_slab_prefetch(place->slab, place->size_class, word, flush->heap);
  flush->n_begun++;
  *group = (group_t){(uintptr_t)place->slab + word, bit, place->size_class, place->is_outgoing};
}

static inline void add_block(flush_t* flush, const place_t* place, const void* block) {
  uint32_t index = hak_class_block_index(place->size_class, (uintptr_t)block - place->base);
  if (hak_unlikely(index == UINT32_MAX)) {
    hak_fatal_pointer("free of a pointer inside a block", block);
  }
  unsigned word = index / 64;
  uint64_t bit = UINT64_C(1) << (index % 64);
  uintptr_t at = place->spread + word;
  group_t* group = &flush->groups[at & flush->last_place];
  if (group->tag != (uintptr_t)place->slab + word) {
    begin_group(flush, group, place, word, bit);
    return;
  }
  if (hak_unlikely((group->mask & bit) != 0)) hak_fatal_pointer("double free", block);
  group->mask |= bit;
}

// Of blocks that have lain long, hardly a line of what describes them is in the processor's cache.
// So all of a chunk are looked up before any is seen to: the look-ups overlap, and meanwhile the
// slabs' lines come. Blocks of one page that follow one another have one place.
#define CHUNK 16

typedef struct places {
  place_t places[CHUNK];
  const place_t* of_block[CHUNK];
} places_t;

static void find_places(places_t* found, void* const* blocks, unsigned n) {
  place_t* next = found->places;
  const place_t* place = NULL;
  uintptr_t page = UINTPTR_MAX;  // none's
  for (unsigned i = 0; i < n; i++) {
    uintptr_t page_here = (uintptr_t)blocks[i] >> HAK_PAGE_SHIFT;
    if (page_here != page) {
      page = page_here;
      *next = find_place(blocks[i]);
      place = next++;
    }
    found->of_block[i] = place;
  }
}

// Returns how many blocks it has seen to, when that many groups are begun.
static unsigned add_blocks(flush_t* flush, void* const* blocks, unsigned n, unsigned most) {
  unsigned done = 0;
  while (done < n && flush->n_begun < most) {
    places_t found;
    unsigned in_chunk = (unsigned)hak_min_size(n - done, CHUNK);
    in_chunk = (unsigned)hak_min_size(in_chunk, most - flush->n_begun);
    find_places(&found, blocks + done, in_chunk);
    for (unsigned i = 0; i < in_chunk; i++) {
      const place_t* place = found.of_block[i];
      if (hak_likely(place->slab != NULL)) add_block(flush, place, blocks[done + i]);
    }
    done += in_chunk;
  }
  return done;
}

static unsigned flush_some(hak_heap_t* heap, void* const* blocks, unsigned n, unsigned most) {
  flush_t flush;
  flush.heap = heap;
  flush.remote_slab = NULL;
  flush.n_begun = 0;
  unsigned n_places = most < GROUPS / 2 ? 2 * most : GROUPS;
  if (n < n_places) n_places = (unsigned)hak_power_of_two_from(n);
  flush.last_place = n_places - 1;
  for (unsigned i = 0; i < n_places; i++) flush.groups[i].tag = 0;
  unsigned done = add_blocks(&flush, blocks, n, most);
  for (unsigned i = 0; i < n_places; i++) {
    if (flush.groups[i].tag != 0) put_group(&flush, &flush.groups[i]);
  }
  announce(&flush);
  return done;
}

// Calls in progress by threads that have no heap to be marked as in motion.
static _Atomic(uint32_t) n_without_heap;
static hak_thread_local bool is_running_here;

unsigned hak_flush_some(hak_heap_t* heap, void* const* blocks, unsigned n, unsigned most) {
  if (hak_likely(heap != NULL)) return flush_some(heap, blocks, n, most);
  is_running_here = true;
  hak_fetch_add_acq_rel(&n_without_heap, 1);
  unsigned done = flush_some(NULL, blocks, n, most);
  hak_fetch_add_acq_rel(&n_without_heap, (uint32_t)-1);
  is_running_here = false;
  return done;
}

void hak_flush_settle(hak_heap_t* heap, hak_slab_t* slab) {
  unsigned had = hak_slab_free_count(slab);
  hak_slab_settle(slab);
  (void)own_gained(heap, slab, had);
}

bool hak_flush_is_running_here(void) { return is_running_here; }

bool hak_flush_is_cut_off(void) { return hak_exchange_acq_rel(&n_without_heap, 0) != 0; }

void hak_flush_blocks(hak_heap_t* heap, void* const* blocks, unsigned n) {
  (void)hak_flush_some(heap, blocks, n, UINT_MAX);
}

void hak_flush_block(hak_heap_t* heap, void* block) { hak_flush_blocks(heap, &block, 1); }

bool hak_flush_foreign(hak_heap_t* heap, void* block) {
  place_t place = find_place(block);
  if (hak_load_relaxed(&place.slab->owner) == heap) return false;
  hak_slab_mark_outgoing(place.slab);
  hak_flush_block(heap, block);
  return true;
}
