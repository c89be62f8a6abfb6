// The registry of heaps; a thread's first and last moments; heaps in a forked child.

#include "hakmem/thread/thread.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "hakmem/hardened/hardened.h"
#include "hakmem/heap/cache.h"
#include "hakmem/heap/flush.h"
#include "hakmem/heap/magazine_size.h"
#include "hakmem/options/events.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/platform.h"
#include "hakmem/platform/thread_id.h"
#include "hakmem/slab/central.h"

// ---- the registry ----

static hak_lock_t lock = HAK_LOCK_INIT(HAK_RANK_REGISTRY);
static _Atomic(hak_heap_entry_t*) entries;  // all, through next
static hak_heap_entry_t* idle;              // lock:REGISTRY: without a thread, last used first
static unsigned n_idle;                     // lock:REGISTRY
static uint32_t n_heaps;                    // lock:REGISTRY

hak_lock_t hak_counts_lock = HAK_LOCK_INIT(HAK_RANK_COUNTS);
static hak_class_totals_t ended[HAK_N_CLASSES];  // lock:COUNTS
static uint64_t ended_atomics;                   // lock:COUNTS

static pthread_key_t exit_key;
static bool has_exit_key;  // lock:REGISTRY
static hak_thread_local bool has_ended;

// How deep the thread is in changing which heap is whose: for where a signal handler forks.
static hak_thread_local unsigned in_change;

// Idle heaps whose memory is kept for the next thread; that of further ones is given back.
#define WARM_HEAPS 16

const hak_heap_entry_t* hak_thread_heaps(void) { return hak_load_acquire(&entries); }

static size_t heap_bytes(void) { return hak_round_up(hak_magazine_heap_bytes(), HAK_PAGE_BYTES); }

size_t hak_thread_untouched_bytes(void) {
  size_t bytes = 0;
  for (const hak_heap_entry_t* entry = hak_thread_heaps(); entry != NULL; entry = entry->next) {
    uintptr_t end = (uintptr_t)hak_load_relaxed(&entry->heap->next_slot);  // NULL: given back
    size_t touched = end != 0 ? end - (uintptr_t)entry->heap : 0;
    touched = hak_min_size(hak_round_up(touched, hak_platform_os_page_bytes()), heap_bytes());
    bytes += heap_bytes() - touched;
  }
  return bytes;
}

static void on_thread_exit(void* arg);

// Entries are made many at a time: one between two heaps, which begin pages of their own, would
// take a page too.
#define ENTRY_BATCH 128

// lock:REGISTRY
static hak_heap_entry_t* new_entry(void) {
  static hak_heap_entry_t first[2];  // for most programs that is all
  static hak_heap_entry_t* unused = first;
  static unsigned n_unused = sizeof first / sizeof first[0];
  if (n_unused == 0) {
    unused = hak_meta_alloc(ENTRY_BATCH * sizeof *unused, HAK_CACHE_LINE);
    if (unused == NULL) return NULL;
    n_unused = ENTRY_BATCH;
  }
  hak_heap_t* heap = hak_meta_alloc(heap_bytes(), HAK_PAGE_BYTES);
  if (heap == NULL) return NULL;
  hak_heap_entry_t* entry = &unused[--n_unused];
  entry->heap = heap;
  entry->index = n_heaps++;
  entry->next = hak_load_relaxed(&entries);
  hak_store_release(&entries, entry);
  return entry;
}

// A thread that did little leaves its heap as it is, parked for the next: neither the end of the
// one nor the beginning of the other takes a lock. To everybody else a parked heap is that of an
// idle thread; after a while idle.c ends it.
static _Atomic(hak_heap_entry_t*) parked[HAK_PARKED_HEAPS];

static hak_heap_entry_t* unpark(void) {
  for (unsigned i = 0; i < HAK_PARKED_HEAPS; i++) {
    if (hak_load_relaxed(&parked[i]) == NULL) continue;
    hak_heap_entry_t* entry = hak_exchange_acq_rel(&parked[i], NULL);
    if (entry != NULL) return entry;
  }
  return NULL;
}

// ---- the beginning of a thread ----

static hak_heap_entry_t* take_entry(void) {
  hak_lock_acquire(&lock);
  if (!has_exit_key) has_exit_key = pthread_key_create(&exit_key, on_thread_exit) == 0;
  hak_heap_entry_t* entry = idle;
  if (entry != NULL) {
    idle = entry->next_idle;
    n_idle--;
  } else {
    entry = new_entry();
  }
  hak_lock_release(&lock);
  return entry;
}

// Opens a heap for the calling thread; NULL: there is no memory for one.
static hak_heap_t* open_heap(void) {
  hak_heap_entry_t* entry = take_entry();
  if (entry == NULL) return NULL;
  hak_heap_t* heap = entry->heap;
  heap->entry = entry;
  hak_cache_init(heap);
  hak_store_release(&heap->pending, HAK_PENDING_NONE);
  hak_store_release(&entry->is_counted, true);
  hak_super_count_heaps(1);
  return heap;
}

hak_heap_t* hak_thread_begin(void) {
  if (has_ended || hak_hardened_begin()) return NULL;
  in_change++;
  hak_compiler_barrier();
  hak_heap_entry_t* entry = unpark();
  hak_heap_t* heap = entry != NULL ? entry->heap : hak_orphan_take();
  if (heap == NULL) heap = open_heap();
  if (heap != NULL) {
    heap->was_parked = entry != NULL;
    hak_store_relaxed(&heap->thread, hak_thread_id());
    hak_this_heap = heap;
  }
  hak_compiler_barrier();
  in_change--;
  if (heap == NULL) return NULL;
  // May allocate: the heap is in place by now. Without a key the heap is lost when its thread
  // ends, with what it caches; its slabs are found by nobody.
  if (has_exit_key) (void)pthread_setspecific(exit_key, heap);
  return heap;
}

// ---- the end of a thread ----

static void abandon_all(hak_heap_t* heap) {
  for (unsigned c = 0; (c = hak_heap_next_used(heap, c)) < HAK_N_CLASSES;) {
    hak_bin_t* bin = &heap->bins[c];
    hak_slab_list_t* lists[] = {&bin->partial, &bin->full, &bin->reserve};
    for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++) {
      while (lists[i]->first != NULL) {
        hak_slab_t* slab = lists[i]->first;
        hak_slab_list_remove(lists[i], slab);
        hak_central_abandon(slab);
      }
    }
  }
}

void hak_thread_add_totals(hak_class_totals_t* totals, const hak_bin_t* bin) {
  totals->taken += hak_counter_read(&bin->taken);
  totals->returned += hak_counter_read(&bin->returned);
  totals->refills += hak_counter_read(&bin->refills);
  totals->flushes += hak_counter_read(&bin->flushes);
  totals->remote_frees += hak_counter_read(&bin->remote_frees);
  totals->adoptions += hak_counter_read(&bin->adoptions);
}

// Adds up what a closed heap has counted.
static void retire_counters(const hak_heap_t* heap) {
  hak_lock_acquire(&hak_counts_lock);
  for (unsigned c = 0; (c = hak_heap_next_used(heap, c)) < HAK_N_CLASSES;) {
    hak_thread_add_totals(&ended[c], &heap->bins[c]);
  }
  ended_atomics += hak_counter_read(&heap->atomics);
  hak_store_relaxed(&heap->entry->is_counted, false);
  hak_lock_release(&hak_counts_lock);
}

// Whether there are idle heaps enough that are ready for the next threads.
static bool has_warm_heaps(void) {
  hak_lock_acquire(&lock);
  bool has_enough = n_idle >= WARM_HEAPS;
  hak_lock_release(&lock);
  return has_enough;
}

static void put_entry(hak_heap_entry_t* entry) {
  hak_lock_acquire(&lock);
  entry->next_idle = idle;
  idle = entry;
  n_idle++;
  hak_lock_release(&lock);
}

static void retire(hak_heap_t* heap) {
  hak_super_count_heaps(-1);
  hak_heap_entry_t* entry = heap->entry;
  retire_counters(heap);
  int error = EAGAIN;
  if (has_warm_heaps()) {
    error = hak_platform_purge(heap, heap_bytes());
    (void)hak_event_kernel_ok(HAK_KERNEL_MADVISE, error, heap, heap_bytes());
  }
  if (error != 0) hak_cache_clear(heap);
  put_entry(entry);
}

// Returns all that a heap has, closes it and keeps it for a later thread. By its thread, or whoever
// took it out of parking.
static void end(hak_heap_t* heap) {
  in_change++;
  hak_cache_drain(heap);
  // The heap stays this thread's until its lists are empty: a signal handler that forks meanwhile
  // must see whose they are and that they are in motion.
  hak_heap_enter(heap);
  abandon_all(heap);
  hak_flush_close(heap);
  if (hak_this_heap == heap) hak_this_heap = HAK_NO_HEAP;
  hak_heap_leave(heap);
  retire(heap);
  in_change--;
}

// Whether the heap may be parked; makes it ready for that.
static bool may_park(hak_heap_t* heap) {
  size_t most = heap->was_parked ? HAK_PARKED_BYTES : HAK_PARKED_FIRST_BYTES;
  hak_heap_enter(heap);  // idle.c may be at work on it
  // One that grows from thread to thread gives up what has free blocks instead of all that it has.
  if (heap->was_parked && hak_heap_bytes(heap) > most) (void)hak_cache_give_up(heap, false);
  bool is_small = hak_heap_bytes(heap) <= most && hak_load_relaxed(&heap->span_pages) == 0;
  if (is_small) hak_cache_begin_lines(heap);
  hak_heap_leave(heap);
  return is_small;
}

// From here on the heap may be another thread's, if it could be parked.
static bool park(hak_heap_t* heap) {
  if (!may_park(heap)) return false;
  for (unsigned i = 0; i < HAK_PARKED_HEAPS; i++) {
    hak_heap_entry_t* none = NULL;
    if (hak_load_relaxed(&parked[i]) == NULL && hak_cas_release(&parked[i], &none, heap->entry)) {
      return true;
    }
  }
  return false;
}

static void on_thread_exit(void* arg) {
  hak_heap_t* heap = arg;
  hak_fork_look();
  in_change++;
  has_ended = true;  // what destructors still to come allocate and free goes without a heap
  // First, for a signal handler must not use what is another thread's by now.
  hak_this_heap = HAK_NO_HEAP;
  hak_compiler_barrier();
  if (!park(heap)) {
    hak_this_heap = heap;
    end(heap);
  }
  hak_compiler_barrier();
  in_change--;
}

bool hak_thread_end_parked(const hak_heap_entry_t* entry) {
  for (unsigned i = 0; i < HAK_PARKED_HEAPS; i++) {
    hak_heap_entry_t* found = (hak_heap_entry_t*)entry;
    if (hak_load_relaxed(&parked[i]) == entry && hak_cas_acquire(&parked[i], &found, NULL)) {
      end(entry->heap);
      return true;
    }
  }
  return false;
}

void hak_thread_end_all_parked(void) {
  for (hak_heap_entry_t* entry; (entry = unpark()) != NULL;) end(entry->heap);
}

unsigned hak_thread_count_parked(void) {
  unsigned n = 0;
  for (unsigned i = 0; i < HAK_PARKED_HEAPS; i++) n += hak_load_relaxed(&parked[i]) != NULL;
  return n;
}

// ---- after a fork ----
//
// The heap of a thread that is gone is an orphan (heap.h), and not written, if its thread was in no
// slow path. If it was, it is broken: nothing but the bitmaps of its slabs can be trusted. Its
// slabs are given up for adoption, the blocks in its magazines are lost, at most a cache's worth;
// and its thread may have been about to tell of blocks that it had freed into others' slabs. Only
// then are all slabs looked at, and only those written that are given up or have remote frees: no
// remote free is in flight in a child but those that were cut off.

static bool needs_walk;  // in a child, until all slabs have been looked at

static bool is_acted_on(hak_heap_t* heap) {
  return hak_load_relaxed(&heap->reclaim) == HAK_RECLAIM_ACTING;
}

// Slabs of a heap that idle.c was emptying belong to nobody, and to no list: the thread may hold
// the lock of any.
static void lose(hak_run_t* run, void* context) {
  hak_slab_t* slab = (hak_slab_t*)run;
  hak_heap_t* owner = hak_load_relaxed(&slab->owner);
  (void)context;
  if (owner == NULL || !is_acted_on(owner)) return;
  hak_store_relaxed(&slab->owner, NULL);
  hak_run_set_use(run, HAK_RUN_LOST);
  hak_slab_recount(slab);  // blocks of it may still be freed
}

// Heaps whose idle thread's cache was being taken back, by a thread that is gone: the one thread's,
// maybe, which waits for it to be over.
static void end_reclaims(void) {
  if (hak_lock_is_mine(&hak_reclaim_lock)) return;  // it goes on
  bool is_any = false;
  for (const hak_heap_entry_t* entry = hak_thread_heaps(); entry != NULL; entry = entry->next) {
    if (!is_acted_on(entry->heap)) continue;
    hak_cache_forget_slabs(entry->heap);
    is_any = true;
  }
  if (is_any) hak_super_visit_slabs(lose, NULL);
  needs_walk |= is_any;
  for (const hak_heap_entry_t* entry = hak_thread_heaps(); entry != NULL; entry = entry->next) {
    if (!is_acted_on(entry->heap)) continue;
    hak_store_relaxed(&entry->heap->reclaim, HAK_RECLAIM_NONE);
  }
}

static bool is_broken(hak_heap_t* heap) {
  return heap != hak_this_heap && hak_thread_heap_is_open(heap) &&
         hak_load_relaxed(&heap->busy) != 0;
}

static void settle(hak_run_t* run, void* context) {
  hak_slab_t* slab = (hak_slab_t*)run;
  hak_heap_t* owner = hak_load_relaxed(&slab->owner);
  (void)context;
  if ((owner != NULL && is_broken(owner)) || hak_run_use(run) == HAK_RUN_LOST) {
    hak_slab_recount(slab);
    hak_slab_settle(slab);
    hak_central_abandon(slab);
  } else if (owner == NULL && hak_page_map_class((void*)run->base) == 0) {
    hak_slab_destroy(slab);  // its thread had not come to own it
  } else if (hak_slab_has_news(slab)) {
    if (owner != NULL) {
      hak_flush_settle(owner, slab);
    } else {
      hak_central_settle(slab);
    }
  }
}

static void settle_all(void) {
  needs_walk = false;
  for (const hak_heap_entry_t* entry = hak_thread_heaps(); entry != NULL; entry = entry->next) {
    hak_heap_t* heap = entry->heap;
    if (hak_thread_heap_is_open(heap)) hak_store_relaxed(&heap->pending, HAK_PENDING_NONE);
  }
  hak_super_visit_slabs(settle, NULL);
}

static void end_broken(void) {
  for (const hak_heap_entry_t* entry = hak_thread_heaps(); entry != NULL; entry = entry->next) {
    hak_heap_t* heap = entry->heap;
    if (!is_broken(heap)) continue;
    hak_store_relaxed(&heap->pending, HAK_PENDING_CLOSED);
    hak_store_relaxed(&heap->busy, 0);
    retire(heap);
  }
}

static void repair(bool is_whole) {
  (void)hak_lock_repair(&hak_counts_lock);  // at worst a thread's counts are there twice
  // The idle list is two stores to change: after a half one it is given up.
  if (hak_lock_repair(&lock)) {
    idle = NULL;
    n_idle = 0;
  }
  end_reclaims();
  if (!is_whole) return;
  needs_walk |= hak_flush_is_cut_off();
  for (unsigned i = 0; i < HAK_PARKED_HEAPS; i++) {
    if (hak_load_relaxed(&parked[i]) != NULL) hak_store_relaxed(&parked[i], NULL);
  }
  hak_store_relaxed(&hak_orphans, NULL);
  for (hak_heap_entry_t* entry = hak_load_relaxed(&entries); entry != NULL; entry = entry->next) {
    hak_heap_t* heap = entry->heap;
    if (is_broken(heap)) {
      needs_walk = true;
    } else if (heap != hak_this_heap && hak_thread_heap_is_open(heap)) {
      hak_orphan_add(entry);
    }
  }
  if (needs_walk) settle_all();
  end_broken();
}

static bool is_inside(void) {
  if (in_change != 0) return true;
  if (hak_this_heap == HAK_NO_HEAP) return hak_flush_is_running_here();
  return hak_load_relaxed(&hak_this_heap->busy) != 0;
}

HAK_REPAIR(COUNTS, repair, is_inside);

void hak_thread_ended_totals(unsigned size_class, hak_class_totals_t* totals) {
  *totals = ended[size_class];
}

uint64_t hak_thread_ended_atomics(void) { return ended_atomics; }

void hak_thread_count_locks(hak_lock_counts_t* counts) {
  hak_lock_count(&hak_counts_lock, counts);
  hak_lock_count(&lock, counts);
}
