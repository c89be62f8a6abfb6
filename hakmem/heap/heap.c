#include "hakmem/heap/heap.h"

static void* const no_slots[2] = {NULL, HAK_MAGAZINE_FULL};
#define NO_TOP ((void**)&no_slots[1])

const hak_no_heap_t hak_no_heap = {.top = {[0 ... HAK_N_STACKS - 1] = NO_TOP}};

hak_thread_local hak_heap_t* hak_this_heap = HAK_NO_HEAP;

hak_lock_t hak_reclaim_lock = HAK_LOCK_INIT(HAK_RANK_IDLE);

void hak_heap_wait(hak_heap_t* heap) {
  do {
    hak_store_release(&heap->busy, 0);
    hak_lock_acquire(&hak_reclaim_lock);
    hak_lock_release(&hak_reclaim_lock);
    hak_store_relaxed(&heap->busy, 1);
    hak_compiler_barrier();
  } while (hak_load_acquire(&heap->reclaim) != HAK_RECLAIM_NONE);
}
