// The heap that is none, the lock on others' heaps, and a forked child's list of orphans.

#include "hakmem/heap/heap.h"

static void* const no_slots[2] = {NULL, HAK_MAGAZINE_FULL};
#define NO_TOP ((void**)&no_slots[1])

const hak_no_heap_t hak_no_heap = {.top = {[0 ... HAK_N_ENTRIES - 1] = NO_TOP}};

hak_thread_local hak_heap_t* hak_this_heap = HAK_NO_HEAP;

hak_lock_t hak_reclaim_lock = HAK_LOCK_INIT(HAK_RANK_IDLE);

// ---- orphans ----

_Atomic(hak_heap_entry_t*) hak_orphans;
_Atomic(uint64_t) hak_orphan_classes[(HAK_N_CLASSES + 63) / 64];

void hak_orphans_give(unsigned size_class) {
  hak_fetch_or_acq_rel(&hak_orphan_classes[size_class / 64], UINT64_C(1) << (size_class % 64));
}

void hak_orphans_take(unsigned size_class) {
  atomic_fetch_and(&hak_orphan_classes[size_class / 64], ~(UINT64_C(1) << (size_class % 64)));
}

void hak_orphan_add(hak_heap_entry_t* entry) {
  entry->next_idle = hak_load_relaxed(&hak_orphans);
  hak_store_relaxed(&hak_orphans, entry);
  hak_store_relaxed(&entry->is_orphan, true);
  for (unsigned c = 0; c < HAK_N_CLASSES; c += 64) {
    hak_store_relaxed(&hak_orphan_classes[c / 64], ~UINT64_C(0));
  }
}

hak_heap_t* hak_orphan_take(void) {
  if (hak_load_relaxed(&hak_orphans) == NULL) return NULL;
  hak_heap_t* heap = NULL;
  hak_lock_acquire(&hak_reclaim_lock);
  hak_heap_entry_t* entry = hak_load_relaxed(&hak_orphans);
  if (entry != NULL) {
    hak_store_relaxed(&hak_orphans, entry->next_idle);
    hak_store_relaxed(&entry->is_orphan, false);
    heap = entry->heap;
  }
  hak_lock_release(&hak_reclaim_lock);
  return heap;
}

// ---- the owner and idle.c ----

void hak_heap_lower_fences(hak_heap_t* heap) {
  for (unsigned c = 0; (c = hak_heap_next_used(heap, c)) < HAK_N_STACKS;) {
    hak_magazine_lower_fence(&heap->bins[c].magazine);
  }
}

void hak_heap_show_life(hak_heap_t* heap) {
  for (;;) {
    uint8_t state = hak_load_acquire(&heap->reclaim);
    if (state == HAK_RECLAIM_NONE) return;
    if (state != HAK_RECLAIM_ACTING) {
      if (!atomic_compare_exchange_strong(&heap->reclaim, &state, HAK_RECLAIM_NONE)) continue;
      if (state == HAK_RECLAIM_FENCED) hak_heap_lower_fences(heap);
      return;
    }
    hak_store_release(&heap->busy, 0);
    hak_lock_acquire(&hak_reclaim_lock);
    hak_lock_release(&hak_reclaim_lock);
    hak_store_relaxed(&heap->busy, 1);
  }
}
