// Figures, gathered in one pass over heaps and SuperSlabs; each dirty page in one account.

#include "hakmem/stats/stats.h"

#include <string.h>

#include "hakmem/base/bits.h"
#include "hakmem/hardened/hardened.h"
#include "hakmem/hardened/quarantine.h"
#include "hakmem/heap/heap.h"
#include "hakmem/options/events.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/platform.h"
#include "hakmem/slab/central.h"
#include "hakmem/slab/slab.h"
#include "hakmem/superslab/limit.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/thread/idle.h"
#include "hakmem/thread/thread.h"

static _Atomic(uint64_t) telemetry_failures;

void hak_stats_count_telemetry_failure(void) { hak_fetch_add_relaxed(&telemetry_failures, 1); }

static_assert(HAK_UNKNOWN == UINT64_MAX, "as the platform layer says it");

// What is being gathered: the sums, and the figures of classes [first, end).
typedef struct gather {
  hak_stats* stats;
  hak_retention* retention;
  hak_class_stats* classes;
  unsigned first, end;
  hak_class_stats unwanted;                   // of all other classes together
  uint64_t small_bytes, free_bytes;           // blocks of all slabs; of those, free in them or lost
  uint64_t kept_span_bytes, lost_span_bytes;  // what heaps say they keep; of closed ones
  uint64_t idle_span_bytes;                   // spans that are not live
} gather_t;

static hak_class_stats* class_of(gather_t* gather, unsigned size_class) {
  bool is_wanted = size_class >= gather->first && size_class < gather->end;
  return is_wanted ? &gather->classes[size_class - gather->first] : &gather->unwanted;
}

// ---- what threads have ----

// A thread at work may be exchanging its magazine for a larger one: what is in motion is not
// counted.
static size_t magazine_count(hak_heap_t* heap, unsigned stack) {
  hak_magazine_t* magazine = &heap->bins[stack].magazine;
  void** bottom = hak_load_relaxed(&magazine->bottom);
  if (bottom == NULL) return 0;
  uintptr_t top = (uintptr_t)hak_load_relaxed(&heap->top[stack]);
  size_t count = (top - (uintptr_t)bottom) / sizeof(void*);
  if (count > hak_magazine_capacity(magazine) + hak_magazine_tokens(magazine)) return 0;
  return count - hak_min_size(count, hak_magazine_tokens(magazine));
}

static void add_totals(gather_t* gather, unsigned size_class, const hak_class_totals_t* totals) {
  hak_class_stats* class_stats = class_of(gather, size_class);
  class_stats->taken += totals->taken;
  class_stats->returned += totals->returned;
  class_stats->refills += totals->refills;
  class_stats->flushes += totals->flushes;
  class_stats->remote_frees += totals->remote_frees;
  class_stats->adoptions += totals->adoptions;
  gather->stats->refills += totals->refills;
  gather->stats->flushes += totals->flushes;
  gather->stats->remote_frees += totals->remote_frees;
  gather->stats->adoptions += totals->adoptions;
}

static size_t add_outgoing(gather_t* gather, hak_heap_t* heap, unsigned size_class) {
  if (hak_class_outgoing(size_class) == 0) return 0;
  size_t outgoing = magazine_count(heap, hak_class_outgoing(size_class));
  class_of(gather, size_class)->outgoing += outgoing;
  return outgoing * hak_class_info(size_class)->block_bytes;
}

// pre: lock:COUNTS, and the heap is_counted. A closed one is that of a thread which a fork has left
// behind, and nobody will return what it caches, or of one that has just ended, and empty.
static void add_heap(gather_t* gather, hak_heap_t* heap) {
  bool is_orphan = hak_heap_is_orphan(heap);
  bool is_open = hak_thread_heap_is_open(heap);  // first: a thread empties its heap, then closes it
  gather->stats->remote_atomics += hak_counter_read(&heap->atomics);
  size_t cached_bytes = 0, outgoing_bytes = 0;
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    hak_class_totals_t totals = {0};
    hak_thread_add_totals(&totals, &heap->bins[c]);
    add_totals(gather, c, &totals);
    size_t cached = magazine_count(heap, c);
    class_of(gather, c)->cached += cached;
    cached_bytes += cached * hak_class_info(c)->block_bytes;
    outgoing_bytes += add_outgoing(gather, heap, c);
  }
  size_t span_bytes = (size_t)hak_load_relaxed(&heap->span_pages) << HAK_PAGE_SHIFT;
  *(is_open ? &gather->kept_span_bytes : &gather->lost_span_bytes) += span_bytes;
  if (is_orphan) {
    gather->retention->abandoned_bytes += cached_bytes + outgoing_bytes;
    gather->free_bytes += cached_bytes + outgoing_bytes;
  } else if (is_open) {
    gather->stats->heaps++;
    gather->stats->cached_bytes += cached_bytes;
    gather->stats->outgoing_bytes += outgoing_bytes;
  } else {
    gather->retention->lost_bytes += cached_bytes + outgoing_bytes;
    gather->free_bytes += cached_bytes + outgoing_bytes;
  }
}

static void add_threads(gather_t* gather) {
  hak_lock_acquire(&hak_counts_lock);
  gather->stats->remote_atomics += hak_thread_ended_atomics();
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    hak_class_totals_t totals;
    hak_thread_ended_totals(c, &totals);
    add_totals(gather, c, &totals);
  }
  for (const hak_heap_entry_t* entry = hak_thread_heaps(); entry != NULL; entry = entry->next) {
    if (hak_load_acquire(&((hak_heap_entry_t*)entry)->is_counted)) add_heap(gather, entry->heap);
  }
  hak_lock_release(&hak_counts_lock);
  gather->stats->heaps -= hak_min_size(gather->stats->heaps, hak_thread_count_parked());
}

// Of a hardened process: what waits before it is used again, instead of what threads cache.
static void add_quarantine(gather_t* gather) {
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    unsigned n = hak_quarantine_count(c);
    class_of(gather, c)->cached += n;
    gather->stats->cached_bytes += (size_t)n * hak_class_info(c)->block_bytes;
  }
}

// ---- what SuperSlabs hold ----

static uint64_t* reason_of_free(gather_t* gather, const hak_slab_t* slab) {
  hak_retention* retention = gather->retention;
  hak_heap_t* owner = hak_load_relaxed(&((hak_slab_t*)slab)->owner);
  if (owner != NULL && hak_heap_is_orphan(owner)) return &retention->abandoned_bytes;
  switch (hak_run_use(&slab->run)) {
    case HAK_RUN_PREWARMED:
      return &retention->prewarmed_bytes;
    case HAK_RUN_ABANDONED:
      return &retention->abandoned_bytes;
    case HAK_RUN_LOST:
      return &retention->lost_bytes;
    default:
      return &retention->partial_slabs_bytes;
  }
}

static void add_slab(gather_t* gather, hak_slab_t* slab, unsigned size_class, size_t bytes) {
  const hak_class_info_t* info = hak_class_info(size_class);
  size_t free_blocks = hak_slab_free_count(slab);
  _Atomic(uint64_t)* remote = hak_slab_remote_bits(&slab->run, size_class);
  for (unsigned w = 0; w < info->slab_words; w++) {
    free_blocks += hak_bit_count(hak_load_relaxed(&remote[w]));
  }
  free_blocks = hak_min_size(free_blocks, info->slab_blocks);
  // For a sampled block its stand-in counts as live (sampling.h).
  if (hak_run_use(&slab->run) == HAK_RUN_SAMPLED) free_blocks = info->slab_blocks;
  hak_class_stats* class_stats = class_of(gather, size_class);
  class_stats->slabs++;
  class_stats->capacity += info->slab_blocks;
  class_stats->free += free_blocks;
  size_t small_bytes = (size_t)info->slab_blocks * info->block_bytes;
  gather->small_bytes += small_bytes;
  gather->free_bytes += free_blocks * info->block_bytes;
  gather->retention->rounding_bytes += bytes - small_bytes;
  size_t slab_free_bytes = free_blocks * info->block_bytes;
  size_t purged_bytes = hak_min_size(hak_load_relaxed(&slab->purged_bytes), slab_free_bytes);
  gather->stats->committed_bytes -= purged_bytes;
  *reason_of_free(gather, slab) += slab_free_bytes - purged_bytes;
}

// What the page map says of a slab may be read at any time; its size_class may not.
static void add_run(hak_run_t* run, void* context) {
  gather_t* gather = context;
  size_t bytes = (size_t)run->n_pages << HAK_PAGE_SHIFT;
  unsigned size_class = hak_slab_class_at((const void*)run->base);
  if (size_class != 0) {
    add_slab(gather, (hak_slab_t*)run, size_class, bytes);
  } else if (hak_run_use(run) == HAK_RUN_SPAN && hak_hardened_waits((void*)run->base)) {
    gather->kept_span_bytes += bytes;
    gather->idle_span_bytes += bytes;
  } else if (hak_run_use(run) == HAK_RUN_SPAN) {
    size_t usable = hak_min_size(hak_page_map_span_bytes((const void*)run->base), bytes);
    gather->stats->spans += usable != 0;
    gather->stats->span_bytes += usable;
    *(usable != 0 ? &gather->retention->rounding_bytes : &gather->idle_span_bytes) +=
        bytes - usable;
  } else {
    gather->retention->empty_pages_bytes += bytes;  // about to be a slab, or no longer one
  }
}

// A SuperSlab of a huge block. `dirty_bytes` beyond the block's end are the rest of an OS page's
// page, of a huge page, or what the block was larger by.
static void add_huge(gather_t* gather, const hak_superslab_t* super, size_t dirty_bytes) {
  const hak_superslab_t* head = super->head;
  size_t i = head != NULL ? hak_reserve_index(super) - hak_reserve_index(head) : SIZE_MAX;
  if (head == NULL || i >= head->huge_supers) {
    gather->retention->lost_bytes += dirty_bytes;  // a fork caught a thread at it
    return;
  }
  if (hak_hardened_waits((void*)head->base)) {
    gather->retention->huge_cache_bytes += dirty_bytes;
    return;
  }
  size_t before = i * hak_super_bytes();
  size_t used = head->huge_bytes > before ? head->huge_bytes - before : 0;
  used = hak_min_size(used, hak_super_bytes());
  gather->stats->huge_blocks += i == 0;
  gather->stats->huge_bytes += used;
  gather->retention->rounding_bytes += dirty_bytes - hak_min_size(dirty_bytes, used);
}

static size_t page_bytes(uint64_t pages) { return (size_t)hak_bit_count(pages) << HAK_PAGE_SHIFT; }

static void add_runs(gather_t* gather, hak_superslab_t* super, bool is_lost) {
  uint64_t in_runs = hak_super_visit_runs(super, add_run, gather);
  uint64_t free_pages = is_lost ? 0 : super->free_pages | super->checked_out;
  uint64_t others = super->dirty_pages & ~in_runs;
  gather->retention->empty_pages_bytes += page_bytes(others & free_pages);
  gather->retention->lost_bytes += page_bytes(others & ~free_pages);
}

static void add_super(hak_superslab_t* super, void* context) {
  gather_t* gather = context;
  size_t dirty_bytes = page_bytes(super->dirty_pages);
  gather->stats->committed_bytes += dirty_bytes;
  switch ((hak_super_state_t)hak_load_relaxed(&super->state)) {
    case HAK_SUPER_FREE:
      gather->retention->huge_cache_bytes += dirty_bytes;
      break;
    case HAK_SUPER_HUGE:
      add_huge(gather, super, dirty_bytes);
      break;
    case HAK_SUPER_PAGES:
      add_runs(gather, super, false);
      break;
    case HAK_SUPER_DIRECT:
      gather->stats->reserved_bytes += dirty_bytes;  // each run has a mapping of its own
      add_runs(gather, super, false);
      break;
    case HAK_SUPER_LOST:
      add_runs(gather, super, true);
      break;
  }
}

// ---- the rest ----

static void add_kernel(hak_kernel_stats* out, hak_kernel_kind_t kind) {
  const hak_kernel_counters_t* counters = hak_platform_counters(kind);
  out->calls = hak_counter_read(&counters->calls);
  out->bytes = hak_counter_read(&counters->bytes);
  out->failures = hak_counter_read(&counters->failures);
  out->ns = hak_counter_read(&counters->ns);
}

static void add_process(hak_stats* stats) {
  hak_process_t process;
  hak_platform_process(&process);
  stats->minor_faults = process.minor_faults;
  stats->major_faults = process.major_faults;
  stats->user_ns = process.user_ns;
  stats->system_ns = process.system_ns;
  stats->rss_bytes = process.rss_bytes;
  stats->vmas = process.vmas;
  stats->vmas_max = process.vmas_max;
#define HAK_KERNEL_CALL(KIND, name) add_kernel(&stats->name, HAK_KERNEL_##KIND);
#include "hakmem/platform/kernel_calls.def"
}

static void add_locks(hak_stats* stats) {
  hak_lock_counts_t counts = {0, 0};
  hak_meta_count_locks(&counts);
  hak_lock_count(&hak_backend_lock, &counts);
  hak_central_count_locks(&counts);
  hak_thread_count_locks(&counts);
  hak_idle_count_locks(&counts);
  stats->lock_acquisitions = counts.acquisitions;
  stats->lock_contentions = counts.waits;
}

static void add_events(gather_t* gather) {
  gather->stats->events = hak_events_count();
  gather->stats->telemetry_failures = hak_load_relaxed(&telemetry_failures);
  for (unsigned c = 0; c < HAK_N_CLASSES; c++) {
    class_of(gather, c)->exhaustions += hak_events_exhausted(c);
    gather->stats->exhaustions += hak_events_exhausted(c);
  }
}

// A busy program's figures may be a few blocks out of step with each other.
static uint64_t less(uint64_t from, uint64_t n) { return from > n ? from - n : 0; }

static void finish_class(hak_class_stats* class_stats, unsigned size_class) {
  class_stats->block_bytes = hak_class_info(size_class)->block_bytes;
  uint64_t idle = class_stats->free + class_stats->cached + class_stats->outgoing;
  class_stats->live = less(class_stats->capacity, idle);
}

static void add_limit(hak_stats* stats) {
  static_assert(HAK_UNKNOWN == SIZE_MAX, "what is no limit is unknown");
  stats->limit_soft_bytes = hak_limit_soft();
  stats->limit_hard_bytes = hak_limit_hard();
  stats->limit_approaches = hak_limit_approaches();
  stats->limit_refusals = hak_limit_refusals();
}

static void finish(gather_t* gather) {
  hak_stats* stats = gather->stats;
  stats->metadata_bytes = hak_meta_used_bytes() - hak_thread_untouched_bytes();
  stats->committed_bytes += stats->metadata_bytes;
  stats->reserved_bytes += hak_reserve_bytes();
  stats->purged_bytes = hak_purge_bytes();
  add_limit(stats);
  uint64_t idle_bytes = gather->free_bytes + stats->cached_bytes + stats->outgoing_bytes;
  stats->allocated_bytes =
      less(gather->small_bytes, idle_bytes) + stats->span_bytes + stats->huge_bytes;
  hak_retention* retention = gather->retention;
  // Of the spans that are not live, a busy program's may be on their way.
  size_t kept = hak_min_size(gather->kept_span_bytes, gather->idle_span_bytes);
  size_t lost = hak_min_size(gather->lost_span_bytes, gather->idle_span_bytes - kept);
  stats->cached_bytes += kept;
  retention->lost_bytes += lost;
  retention->empty_pages_bytes += gather->idle_span_bytes - kept - lost;
  retention->committed_bytes = stats->committed_bytes;
  retention->live_bytes = stats->allocated_bytes;
  retention->thread_caches_bytes = stats->cached_bytes;
  retention->outgoing_bytes = stats->outgoing_bytes;
  retention->metadata_bytes = stats->metadata_bytes;
  for (unsigned c = gather->first; c < gather->end; c++) {
    finish_class(&gather->classes[c - gather->first], c);
  }
}

// pre: all that is to be filled is zero.
static void run_gather(gather_t* gather) {
  hak_fork_look();
  gather->stats->time_ns = hak_platform_now_ns();
  add_threads(gather);
  if (hak_is_hardened()) add_quarantine(gather);
  hak_super_visit(add_super, gather);
  add_events(gather);
  add_locks(gather->stats);
  finish(gather);
}

void hak_stats_gather(hak_snapshot_t* snapshot) {
  memset(snapshot, 0, sizeof *snapshot);
  gather_t gather = {
      .stats = &snapshot->stats,
      .retention = &snapshot->retention,
      .classes = snapshot->classes,
      .end = HAK_N_CLASSES,
  };
  run_gather(&gather);
  add_process(gather.stats);
}

// ---- the public functions ----

bool hak_stats_get(hak_stats* out, size_t bytes) {
  hak_stats stats = {0};
  hak_retention retention = {0};
  gather_t gather = {.stats = &stats, .retention = &retention};
  run_gather(&gather);
  add_process(&stats);
  memcpy(out, &stats, hak_min_size(bytes, sizeof stats));
  return true;
}

bool hak_retention_get(hak_retention* out, size_t bytes) {
  hak_stats stats = {0};
  hak_retention retention = {0};
  gather_t gather = {.stats = &stats, .retention = &retention};
  run_gather(&gather);
  memcpy(out, &retention, hak_min_size(bytes, sizeof retention));
  return true;
}

bool hak_stats_class_get(unsigned size_class, hak_class_stats* out, size_t bytes) {
  if (size_class == 0 || size_class >= HAK_N_CLASSES) return false;
  hak_stats stats = {0};
  hak_retention retention = {0};
  hak_class_stats wanted = {0};
  gather_t gather = {
      .stats = &stats,
      .retention = &retention,
      .classes = &wanted,
      .first = size_class,
      .end = size_class + 1,
  };
  run_gather(&gather);
  memcpy(out, &wanted, hak_min_size(bytes, sizeof wanted));
  return true;
}
