// Lists of unowned slabs, one a class, each with its lock; slabs made and destroyed.

#include "hakmem/slab/central.h"

#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/fork.h"
#include "hakmem/slab/watch.h"

typedef struct central {
  alignas(HAK_CACHE_LINE) hak_lock_t lock;
  hak_slab_list_t partial;  // unowned slabs that have free blocks
  hak_slab_list_t sampled;  // the same, of those for sampled blocks
  hak_counter_t n_partial;  // how many; read without the lock to see whether to take it
} central_t;

static central_t centrals[HAK_N_CLASSES] = {
    [0 ... HAK_N_CLASSES - 1] = {.lock = HAK_LOCK_INIT(HAK_RANK_CLASS)}};

// ---- a slab's beginning and end ----

hak_slab_t* hak_slab_create(unsigned size_class, struct hak_heap* heap) {
  bool dirty;
  hak_run_t* run =
      hak_super_take_run(hak_class_info(size_class)->slab_pages, 1, size_class, &dirty);
  if (run == NULL) return NULL;
  hak_slab_t* slab = hak_slab_init(run, size_class, dirty);
  hak_store_release(&slab->owner, heap);
  hak_page_map_set_class(run->base, run->n_pages, size_class);
  if (hak_unlikely(hak_watch_is_on())) hak_watch_draw_slab(run->base, run->n_pages, size_class);
  return slab;
}

void hak_slab_destroy(hak_slab_t* slab) {
  hak_assert(hak_slab_is_idle(slab));
  // First: a forked child must not take it for a slab when its entries are gone.
  slab->run.size_class = 0;
  hak_store_relaxed(&slab->owner, NULL);  // what it says of a heap holds while the slab lives
  hak_compiler_barrier();
  if (hak_load_relaxed(&slab->purged_bytes) == hak_slab_bytes(slab))
    hak_super_clean_run(&slab->run);
  hak_page_map_set_class(slab->run.base, slab->run.n_pages, 0);
  hak_super_return_run(&slab->run);
}

// ---- under the class's lock ----

static bool is_sampled(const hak_slab_t* slab) {
  return hak_run_use(&slab->run) == HAK_RUN_SAMPLED;
}

// `before` is in the list; NULL: at the end.
static void list(central_t* central, hak_slab_t* slab, hak_slab_t* before) {
  if (is_sampled(slab)) {
    hak_slab_list_append(&central->sampled, slab);
    return;
  }
  hak_slab_list_insert(&central->partial, slab, before);
  hak_counter_add(&central->n_partial, 1);
}

static void unlist(central_t* central, hak_slab_t* slab) {
  if (is_sampled(slab)) {
    hak_slab_list_remove(&central->sampled, slab);
    return;
  }
  hak_slab_list_remove(&central->partial, slab);
  hak_counter_add(&central->n_partial, (uint64_t)-1);
}

static void move_to_end(central_t* central, hak_slab_t* slab) {
  hak_slab_list_remove(&central->partial, slab);
  hak_slab_list_append(&central->partial, slab);
}

// Whether an idle slab is kept for the samples to come: one a class.
static bool is_kept(const central_t* central, const hak_slab_t* slab) {
  const hak_slab_t* first = central->sampled.first;
  return is_sampled(slab) && hak_watch_is_on() &&
         (first == NULL || (first == slab && first->next == NULL));
}

// An unowned slab has gained free blocks (`had`: its free blocks before).
static void unowned_gained(central_t* central, hak_slab_t* slab, unsigned had) {
  if (hak_run_use(&slab->run) == HAK_RUN_LOST) return;
  if (hak_slab_is_idle(slab) && !is_kept(central, slab)) {
    if (had != 0) unlist(central, slab);
    hak_slab_destroy(slab);
  } else if (had == 0 && hak_slab_free_count(slab) != 0) {
    list(central, slab, NULL);
  }
}

static central_t* lock_central(unsigned size_class) {
  central_t* central = &centrals[size_class];
  hak_lock_acquire(&central->lock);
  return central;
}

// Ownership changes only under the lock, so an unowned slab stays so while it is held.
static bool is_unowned(const hak_slab_t* slab) {
  return hak_load_acquire(&((hak_slab_t*)slab)->owner) == NULL;
}

static unsigned take(hak_slab_t* slab, void** end, unsigned n, bool whole_lines) {
  return whole_lines ? hak_slab_take_lines(slab, end, n) : hak_slab_take(slab, end, n);
}

// Blocks of the first slab that is listed. One that has none to give goes to the end, so that the
// next to come looks at others.
static unsigned take_listed(central_t* central, void** end, unsigned n, bool whole_lines) {
  hak_slab_t* slab = central->partial.first;
  unsigned taken = take(slab, end, n, whole_lines);
  if (hak_slab_free_count(slab) == 0) {
    unlist(central, slab);
  } else if (taken == 0) {
    move_to_end(central, slab);
  }
  return taken;
}

// Blocks of a slab that is made for them. It comes first.
static unsigned take_fresh(central_t* central, unsigned size_class, void** end, unsigned n,
                           bool whole_lines) {
  hak_slab_t* slab = hak_slab_create(size_class, NULL);
  if (slab == NULL) return 0;
  unsigned taken = take(slab, end, n, whole_lines);
  if (hak_slab_free_count(slab) != 0) list(central, slab, central->partial.first);
  return taken;
}

unsigned hak_central_take(unsigned size_class, void** end, unsigned n, bool whole_lines) {
  unsigned taken = 0;
  central_t* central = lock_central(size_class);
  uint64_t tries = hak_min_size(HAK_CENTRAL_TRIES, hak_counter_read(&central->n_partial));
  for (uint64_t i = 0; i < tries && taken == 0; i++) {
    taken = take_listed(central, end, n, whole_lines);
  }
  if (taken == 0) taken = take_fresh(central, size_class, end, n, whole_lines);
  hak_lock_release(&central->lock);
  return taken;
}

void hak_central_add(hak_slab_t* slab) {
  central_t* central = lock_central(slab->run.size_class);
  // (In a forked child it may be there already, by a repair.)
  if (slab->prev == NULL && central->partial.first != slab) list(central, slab, NULL);
  hak_lock_release(&central->lock);
}

hak_slab_t* hak_central_adopt(unsigned size_class, struct hak_heap* heap) {
  if (hak_counter_read(&centrals[size_class].n_partial) == 0) return NULL;
  central_t* central = lock_central(size_class);
  hak_slab_t* slab = central->partial.first;
  if (slab != NULL) {
    unlist(central, slab);
    hak_store_release(&slab->owner, heap);
  }
  hak_lock_release(&central->lock);
  return slab;
}

unsigned hak_central_count(unsigned size_class) {
  return (unsigned)hak_counter_read(&centrals[size_class].n_partial);
}

hak_slab_t* hak_central_look(unsigned size_class, struct hak_heap* heap, uint8_t round, unsigned* n,
                             size_t* least) {
  hak_slab_t* found = NULL;
  central_t* central = lock_central(size_class);
  for (; found == NULL && *n != 0 && central->partial.first != NULL; --*n) {
    hak_slab_t* slab = central->partial.first;
    *least = hak_slab_look(slab, round);
    if (*least != 0) {
      unlist(central, slab);
      hak_store_release(&slab->owner, heap);
      found = slab;
    } else {
      move_to_end(central, slab);
    }
  }
  hak_lock_release(&central->lock);
  return found;
}

bool hak_central_purge(unsigned size_class, uint8_t round, unsigned* n, size_t* bytes) {
  bool is_found = false;
  central_t* central = lock_central(size_class);
  for (; !is_found && *n != 0 && central->partial.first != NULL; --*n) {
    hak_slab_t* slab = central->partial.first;
    size_t least = hak_slab_look(slab, round);
    is_found = least != 0;
    if (is_found) *bytes += hak_slab_purge(slab, least);
    move_to_end(central, slab);
  }
  hak_lock_release(&central->lock);
  return is_found;
}

size_t hak_central_purge_all(unsigned size_class) {
  size_t bytes = 0;
  central_t* central = lock_central(size_class);
  for (hak_slab_t* slab = central->partial.first; slab != NULL; slab = slab->next) {
    bytes += hak_slab_purge(slab, 0);
  }
  hak_lock_release(&central->lock);
  return bytes;
}

void hak_central_abandon(hak_slab_t* slab) {
  hak_run_set_use(&slab->run, HAK_RUN_ABANDONED);
  hak_central_return(slab);
}

void hak_central_return(hak_slab_t* slab) {
  central_t* central = lock_central(slab->run.size_class);
  hak_store_release(&slab->owner, NULL);
  // A remote free that saw the old owner set its bits before or after this; in the second case
  // it finds the slab unowned when it wants to tell (flush.c) and comes to hak_central_absorb.
  hak_slab_collect(slab);
  unowned_gained(central, slab, 0);
  hak_lock_release(&central->lock);
}

bool hak_central_claim(hak_slab_t* slab, struct hak_heap* heap) {
  central_t* central = lock_central(slab->run.size_class);
  bool unowned = is_unowned(slab);
  if (unowned) {
    if (hak_slab_free_count(slab) != 0) unlist(central, slab);
    hak_store_release(&slab->owner, heap);
  }
  hak_lock_release(&central->lock);
  return unowned;
}

bool hak_central_absorb(hak_slab_t* slab) {
  central_t* central = lock_central(slab->run.size_class);
  bool unowned = is_unowned(slab);
  if (unowned) {
    unsigned had = hak_slab_free_count(slab);
    hak_slab_count_remote(slab);
    hak_slab_collect(slab);
    unowned_gained(central, slab, had);
  }
  hak_lock_release(&central->lock);
  return unowned;
}

// ---- sampled blocks ----

// lock:CLASS
static hak_slab_t* create_sampled(central_t* central, unsigned size_class) {
  hak_slab_t* slab = hak_slab_create(size_class, NULL);
  if (slab == NULL) return NULL;
  hak_run_set_use(&slab->run, HAK_RUN_SAMPLED);
  hak_page_map_set_class(slab->run.base, slab->run.n_pages, HAK_CLASS_SAMPLED);
  list(central, slab, NULL);
  return slab;
}

void* hak_central_take_sampled(unsigned size_class) {
  void* block = NULL;
  central_t* central = lock_central(size_class);
  hak_slab_t* slab = central->sampled.first;
  if (slab == NULL) slab = create_sampled(central, size_class);
  if (slab != NULL) {
    (void)hak_slab_take(slab, &block + 1, 1);
    if (hak_slab_free_count(slab) == 0) unlist(central, slab);
  }
  hak_lock_release(&central->lock);
  return block;
}

// The slab and the index of the sampled block that begins at `ptr`; UINT32_MAX: none does.
static uint32_t find_sampled(const void* ptr, hak_slab_t** slab) {
  *slab = hak_slab_of(ptr);
  return hak_class_block_index((*slab)->run.size_class, (uintptr_t)ptr - (*slab)->run.base);
}

void hak_central_return_sampled(void* block) {
  hak_slab_t* slab;
  uint32_t index = find_sampled(block, &slab);
  if (index == UINT32_MAX) hak_fatal_pointer("free of a pointer inside a block", block);
  central_t* central = lock_central(slab->run.size_class);
  unsigned had = hak_slab_free_count(slab);
  hak_slab_put(slab, index / 64, UINT64_C(1) << (index % 64));
  unowned_gained(central, slab, had);
  hak_lock_release(&central->lock);
}

size_t hak_central_sampled_bytes(const void* ptr) {
  hak_slab_t* slab;
  if (hak_page_map_class(ptr) != HAK_CLASS_SAMPLED) return 0;
  uint32_t index = find_sampled(ptr, &slab);
  if (index == UINT32_MAX || (slab->free[index / 64] >> (index % 64) & 1) != 0) return 0;
  return hak_class_info(slab->run.size_class)->block_bytes;
}

void hak_central_end_sampled(void) {
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    central_t* central = lock_central(c);
    for (hak_slab_t *slab = central->sampled.first, *next; slab != NULL; slab = next) {
      next = slab->next;
      if (!hak_slab_is_idle(slab)) continue;
      unlist(central, slab);
      hak_slab_destroy(slab);
    }
    hak_lock_release(&central->lock);
  }
}

void hak_central_count_locks(hak_lock_counts_t* counts) {
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) hak_lock_count(&centrals[c].lock, counts);
}

// ---- after a fork ----

void hak_central_settle(hak_slab_t* slab) {
  central_t* central = lock_central(slab->run.size_class);
  unsigned had = hak_slab_free_count(slab);
  hak_slab_settle(slab);
  unowned_gained(central, slab, had);
  hak_lock_release(&central->lock);
}

// Lists an unowned slab of a class whose list is made anew. One that is not in the page map yet is
// still in the hands of whoever makes it, who may be the thread that forked.
static void relist(hak_run_t* run, void* is_broken) {
  hak_slab_t* slab = (hak_slab_t*)run;
  if (!((const bool*)is_broken)[run->size_class] || !is_unowned(slab)) return;
  if (hak_page_map_class((void*)run->base) == 0 || hak_run_use(run) == HAK_RUN_LOST) return;
  hak_slab_recount(slab);
  if (hak_slab_free_count(slab) != 0) list(&centrals[run->size_class], slab, NULL);
}

static void repair(bool is_whole) {
  (void)is_whole;
  bool is_broken[HAK_N_CLASSES] = {false};
  bool is_any = false;
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    if (!hak_lock_repair(&centrals[c].lock)) continue;
    centrals[c].partial = centrals[c].sampled = (hak_slab_list_t){NULL, NULL};
    hak_store_relaxed(&centrals[c].n_partial, 0);
    is_broken[c] = is_any = true;
  }
  if (is_any) hak_super_visit_slabs(relist, is_broken);
}
HAK_REPAIR(CLASS, repair, NULL);
