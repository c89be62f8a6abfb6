// The last number that was given, and each thread's own.

#include "hakmem/platform/thread_id.h"

#include "hakmem/base/atomic.h"

static _Atomic(uint32_t) last_id;
hak_thread_local uint32_t hak_this_thread_id;

uint32_t hak_thread_id_begin(void) {
  uint32_t id;
  do {
    id = (hak_fetch_add_relaxed(&last_id, 1) + 1) & HAK_THREAD_ID_MAX;
  } while (id == 0);
  hak_this_thread_id = id;
  return id;
}
