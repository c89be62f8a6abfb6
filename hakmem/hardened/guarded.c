// Guards behind large blocks, and the places where freed ones wait.

#include "hakmem/hardened/guarded.h"

#include <errno.h>

#include "hakmem/base/config.h"
#include "hakmem/hardened/random.h"
#include "hakmem/options/events.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/lock.h"
#include "hakmem/platform/memcheck.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/large.h"

static hak_lock_t lock = HAK_LOCK_INIT(HAK_RANK_HARDENED);
static void* places[HAK_FREED_LARGE_BLOCKS];  // lock: NULL: empty
static uint64_t state;                        // lock: of the lots; 0: none drawn yet

size_t hak_guarded_bytes(const void* block) {
  size_t bytes = hak_large_usable_size(block);
  return bytes != 0 ? bytes - hak_platform_os_page_bytes() : 0;
}

// ---- the guard of a live block ----

// Makes [from, from + bytes) a guard, or (wanted: false) memory again. False: the kernel has none.
static bool set_guard(void* from, size_t bytes, bool wanted) {
  static _Atomic(bool) has_none;  // it is asked once
  if (hak_load_relaxed(&has_none)) return false;
  int error = hak_platform_set_guard(from, bytes, wanted);
  if (error == EINVAL) hak_store_relaxed(&has_none, true);
  return error == 0;
}

// The guard behind a block.
static void set_end(void* block, bool wanted) {
  (void)set_guard((char*)block + hak_guarded_bytes(block), hak_platform_os_page_bytes(), wanted);
}

void* hak_guarded_alloc(size_t bytes, size_t alignment, bool zero) {
  void* block = hak_large_alloc(bytes + hak_platform_os_page_bytes(), alignment, zero);
  if (block != NULL) set_end(block, true);
  return block;
}

void* hak_guarded_resize(void* block, size_t bytes) {
  set_end(block, false);
  void* resized = hak_large_resize(block, bytes + hak_platform_os_page_bytes());
  set_end(resized != NULL ? resized : block, true);
  return resized;
}

// ---- where freed blocks wait ----

// Puts it in a place drawn by lot; returns what was there.
static void* exchange(void* block) {
  hak_lock_acquire(&lock);
  if (state == 0) state = hak_random_of_process();
  void** place = &places[hak_random_below(&state, HAK_FREED_LARGE_BLOCKS)];
  void* before = *place;
  *place = block;
  hak_lock_release(&lock);
  return before;
}

// To the SuperSlabs. A block that the kernel does not give access to again is lost, without memory.
static void leave(void* block) {
  size_t bytes = hak_large_usable_size(block);
  int error = hak_platform_set_guard(block, bytes, false);
  if (error != 0 && error != EINVAL) return;
  hak_memcheck_define(block, bytes);
  hak_large_free(block);
}

void hak_guarded_free(void* block) {
  size_t bytes = hak_large_usable_size(block);
  if (!set_guard(block, bytes, true)) {
    int error = hak_platform_purge(block, bytes);
    (void)hak_event_kernel_ok(HAK_KERNEL_MADVISE, error, block, bytes);
  }
  void* leaving = bytes <= HAK_FREED_LARGE_BYTES ? exchange(block) : block;
  if (leaving != NULL) leave(leaving);
}

void hak_guarded_empty(void) {
  for (size_t i = 0; i < HAK_FREED_LARGE_BLOCKS; i++) {
    hak_lock_acquire(&lock);
    void* block = places[i];
    places[i] = NULL;
    hak_lock_release(&lock);
    if (block != NULL) leave(block);
  }
}

// ---- after a fork ----

void hak_guarded_repair(void) {
  // One store puts a block into its place, and takes the one before it out.
  (void)hak_lock_repair(&lock);
}
