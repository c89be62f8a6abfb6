#include "hakmem/thread/fork.h"

#include <pthread.h>

#include "hakmem/heap/cache.h"
#include "hakmem/heap/flush.h"
#include "hakmem/options/tick.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/slab/central.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/thread/idle.h"
#include "hakmem/thread/thread.h"

typedef struct repair {
  hak_heap_t* self;  // the heap of the one thread; NULL: it has none
  bool self_broken;  // a thread that is gone was emptying that heap
  bool interrupted;  // the thread was inside the allocator when a signal handler forked
  bool class_broken[HAK_N_CLASSES];  // a thread that is gone held the class's lock
} repair_t;

// A slab whose owner is gone, or that is unowned while all lists are made anew.
static void repair_slab(hak_run_t* run, void* context) {
  hak_slab_t* slab = (hak_slab_t*)run;
  const repair_t* repair = context;
  hak_heap_t* owner = hak_load_relaxed(&slab->owner);
  if (owner != NULL && owner == repair->self && !repair->self_broken) return;
  hak_store_relaxed(&slab->owner, NULL);
  if (owner != NULL) hak_run_set_use(run, HAK_RUN_ABANDONED);
  // The thread that made it may not have come to that.
  if (hak_page_map_class((void*)run->base) == 0) {
    hak_page_map_set_class(run->base, run->n_pages, run->size_class);
  }
  if (repair->interrupted) {
    // The thread may be at work on the lists: they stay as they are, without this slab.
    if (owner != NULL || repair->class_broken[run->size_class]) {
      hak_run_set_use(run, HAK_RUN_LOST);
      hak_slab_recount(slab);  // blocks of it may still be freed
    }
    return;
  }
  hak_slab_recount(slab);
  hak_slab_collect(slab);
  hak_slab_count_remote(slab);
  slab->uncounted = 0;  // no remote free is in flight any more
  hak_central_relink(slab);
}

// What this thread was told, or is owed to be told by threads that are gone.
static void repair_own_slab(hak_run_t* run, void* context) {
  hak_slab_t* slab = (hak_slab_t*)run;
  hak_heap_t* self = context;
  if (hak_load_relaxed(&slab->owner) == self && !hak_slab_is_idle(slab)) {
    hak_flush_own_news(self, slab);
  }
}

static void repair_backend(bool interrupted) {
  bool was_held = hak_lock_repair(&hak_backend_lock);
  if (hak_lock_is_mine(&hak_backend_lock)) return;  // then nobody else was changing anything
  if (was_held || !interrupted) hak_super_repair(was_held);
}

static void repair_classes(repair_t* repair) {
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    repair->class_broken[c] = hak_central_repair_lock(c);
    if (repair->class_broken[c] || !repair->interrupted) hak_central_clear(c);
  }
}

static void repair_child(void) {
  repair_t repair = {.self = hak_this_heap == HAK_NO_HEAP ? NULL : hak_this_heap};
  repair.interrupted = hak_lock_holds_any() || hak_purge_is_running_here() ||
                       (repair.self != NULL && hak_load_relaxed(&repair.self->busy) != 0);
  repair.self_broken = hak_idle_repair(repair.self);
  hak_meta_repair();
  repair_backend(repair.interrupted);
  repair_classes(&repair);
  hak_super_visit_slabs(repair_slab, &repair);
  if (repair.self != NULL && !repair.interrupted) {
    hak_store_relaxed(&repair.self->pending, HAK_PENDING_NONE);
    hak_super_visit_slabs(repair_own_slab, repair.self);
  }
  hak_thread_repair(repair.self, repair.interrupted);
  hak_tick_repair();
}

void hak_fork_register(void) {
  static _Atomic(bool) is_registered;
  if (hak_load_relaxed(&is_registered) || atomic_exchange(&is_registered, true)) return;
  pthread_atfork(NULL, NULL, repair_child);
}
