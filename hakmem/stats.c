#include "hakmem/stats.h"

#include <string.h>

#include "hakmem/bits.h"
#include "hakmem/central.h"
#include "hakmem/heap.h"
#include "hakmem/large.h"
#include "hakmem/meta.h"
#include "hakmem/page_map.h"
#include "hakmem/platform.h"
#include "hakmem/purge.h"
#include "hakmem/reserve.h"
#include "hakmem/thread.h"

static void add_slab(hak_slab_t* slab, void* context) {
  hak_stats_t* stats = context;
  hak_class_stats_t* class_stats = &stats->classes[slab->size_class];
  class_stats->slabs++;
  class_stats->capacity += slab->capacity;
  uint64_t free_blocks = slab->free_count;
  for (unsigned w = 0; w < hak_class_info(slab->size_class)->slab_words; w++) {
    free_blocks += hak_bit_count(hak_load_relaxed(&slab->remote[w]));
  }
  class_stats->free += free_blocks;
  stats->slab_bytes += (size_t)slab->n_pages << HAK_PAGE_SHIFT;
}

static size_t magazine_count(const hak_heap_t* heap, unsigned size_class) {
  const hak_bin_t* bin = &heap->bins[size_class];
  if (bin->loaded == NULL) return 0;
  void** top = hak_load_relaxed(&((hak_heap_t*)heap)->top[size_class]);
  return (size_t)(top - bin->loaded) + hak_load_relaxed(&((hak_bin_t*)bin)->spare_count);
}

static void add_heap(hak_stats_t* stats, const hak_heap_t* heap) {
  stats->heaps++;
  stats->remote_atomics += hak_counter_read(&heap->atomics);
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    const hak_bin_t* bin = &heap->bins[c];
    hak_class_stats_t* class_stats = &stats->classes[c];
    class_stats->cached += magazine_count(heap, c);
    class_stats->taken += hak_counter_read(&bin->taken);
    class_stats->returned += hak_counter_read(&bin->returned);
    class_stats->refills += hak_counter_read(&bin->refills);
    class_stats->flushes += hak_counter_read(&bin->flushes);
    class_stats->remote_frees += hak_counter_read(&bin->remote_frees);
    class_stats->adoptions += hak_counter_read(&bin->adoptions);
  }
  unsigned n_outgoing = hak_load_relaxed(&((hak_heap_t*)heap)->n_outgoing);
  for (unsigned i = 0; i < n_outgoing; i++) {
    unsigned size_class = hak_page_map_entry(heap->outgoing[i]) & HAK_ENTRY_CLASS_MASK;
    stats->classes[size_class].outgoing++;
  }
}

static void add_ended(hak_stats_t* stats) {
  stats->remote_atomics += hak_thread_ended_atomics();
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    hak_class_totals_t totals;
    hak_thread_ended_totals(c, &totals);
    hak_class_stats_t* class_stats = &stats->classes[c];
    class_stats->taken += totals.taken;
    class_stats->returned += totals.returned;
    class_stats->refills += totals.refills;
    class_stats->flushes += totals.flushes;
    class_stats->remote_frees += totals.remote_frees;
    class_stats->adoptions += totals.adoptions;
  }
}

static void add_locks(hak_stats_t* stats) {
  hak_meta_count_locks(&stats->locks);
  hak_lock_count(&hak_backend_lock, &stats->locks);
  hak_central_count_locks(&stats->locks);
  hak_thread_count_locks(&stats->locks);
}

static void add_backend(hak_stats_t* stats) {
  const hak_large_counters_t* large = hak_large_counters();
  stats->reserved_bytes = hak_reserve_bytes();
  stats->metadata_bytes = hak_meta_used_bytes();
  stats->purged_bytes = hak_purge_bytes();
  hak_lock_acquire(&hak_backend_lock);
  stats->committed_bytes = hak_super_dirty_bytes(&stats->free_dirty_bytes);
  hak_super_visit_slabs(add_slab, stats);
  stats->spans = hak_load_relaxed(&((hak_large_counters_t*)large)->span_allocs) -
                 hak_load_relaxed(&((hak_large_counters_t*)large)->span_frees);
  stats->huge_blocks = hak_load_relaxed(&((hak_large_counters_t*)large)->huge_allocs) -
                       hak_load_relaxed(&((hak_large_counters_t*)large)->huge_frees);
  stats->span_bytes = hak_load_relaxed(&((hak_large_counters_t*)large)->span_bytes);
  stats->huge_bytes = hak_load_relaxed(&((hak_large_counters_t*)large)->huge_bytes);
  hak_lock_release(&hak_backend_lock);
}

// A busy program's figures may be a few blocks out of step with each other.
static uint64_t less(uint64_t from, uint64_t n) { return from > n ? from - n : 0; }

void hak_stats_gather(hak_stats_t* stats) {
  memset(stats, 0, sizeof *stats);
  add_locks(stats);
  add_ended(stats);
  for (const hak_heap_entry_t* entry = hak_thread_heaps(); entry != NULL; entry = entry->next) {
    if (hak_thread_heap_is_open(entry->heap)) add_heap(stats, entry->heap);
  }
  add_backend(stats);
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    hak_class_stats_t* class_stats = &stats->classes[c];
    size_t block_bytes = hak_class_info(c)->block_bytes;
    uint64_t idle = class_stats->free + class_stats->cached + class_stats->outgoing;
    class_stats->live = less(class_stats->capacity, idle);
    stats->live_small_bytes += class_stats->live * block_bytes;
    stats->free_small_bytes += class_stats->free * block_bytes;
    stats->cached_bytes += class_stats->cached * block_bytes;
    stats->outgoing_bytes += class_stats->outgoing * block_bytes;
  }
}
