// Blocks of a hardened process: made, sealed, looked at, resized and freed.

#include "hakmem/hardened/hardened.h"

#include <string.h>

#include "hakmem/base/size_class.h"
#include "hakmem/hardened/canary.h"
#include "hakmem/hardened/guarded.h"
#include "hakmem/hardened/live.h"
#include "hakmem/hardened/quarantine.h"
#include "hakmem/hardened/sample.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/memcheck.h"
#include "hakmem/superslab/reserve.h"

_Atomic(uint8_t) hak_hardened_state;

static void begin_samples(const char* text) {
  static const char before[] = "sample:";
  size_t length = sizeof before - 1;
  int64_t every;
  bool is_valid = strncmp(text, before, length) == 0 &&
                  hak_parse_bytes(text + length, text + strlen(text), &every) && every >= 1 &&
                  every <= 1000000000;
  if (!is_valid) {
    hak_option_refuse(HAK_OPTION_hardened,
                      "is not understood (0, 1, or sample:N, with N from 1 to 1000000000); the "
                      "default is used");
    return;
  }
  hak_store_relaxed(&hak_sample_every, (uint32_t)every);
}

bool hak_hardened_begin(void) {
  if (hak_load_relaxed(&hak_hardened_state) == HAK_HARDENED_UNKNOWN) {
    hak_reserve_ready();
    const char* text = hak_option_text(HAK_OPTION_hardened);
    bool is_on_memcheck = hak_memcheck_begin();
    bool is_on = text != NULL ? strcmp(text, "1") == 0 : is_on_memcheck;
    if (text != NULL && !is_on && strcmp(text, "0") != 0) begin_samples(text);
    hak_store_relaxed(&hak_hardened_state, is_on ? HAK_HARDENED_ON : HAK_HARDENED_OFF);
  }
  return hak_is_hardened();
}

// ---- a block ----

static unsigned class_at(const void* block) { return hak_class_proper(hak_page_map_class(block)); }

// All bytes of a block, its canary among them.
static size_t bytes_of(const void* block) {
  unsigned size_class = class_at(block);
  return size_class != 0 ? hak_class_info(size_class)->block_bytes : hak_guarded_bytes(block);
}

// The class for `size` bytes and a canary; 0: none.
static unsigned class_for(size_t size, size_t alignment) {
  size_t bytes = size + HAK_CANARY_BYTES;
  if (alignment > HAK_MIN_ALIGNMENT) return hak_class_of_aligned(bytes, alignment);
  return bytes <= HAK_SMALL_MAX ? hak_class_of(bytes) : 0;
}

// The bytes that were asked for. Ends the process where they were not enough.
static size_t size_of(const void* block) {
  size_t size;
  if (hak_unlikely(!hak_canary_get(block, bytes_of(block), &size))) {
    hak_fatal_pointer("write past the end of a block", block);
  }
  return size;
}

// Makes the block a live one; false: there is no memory to say so.
static bool seal(void* block, size_t size) {
  hak_canary_set(block, bytes_of(block), size);
  return hak_live_add(block);
}

static void put_back(void* block) {
  unsigned size_class = class_at(block);
  if (size_class != 0) {
    hak_quarantine_put(size_class, block);
    hak_tick();
  } else {
    hak_guarded_free(block);
  }
}

// ---- for the program ----

void* hak_hardened_alloc(size_t size, size_t alignment, bool zero) {
  unsigned size_class = class_for(size, alignment);
  bool is_small = size_class != 0;
  void* block = is_small ? hak_quarantine_take(size_class)
                         : hak_guarded_alloc(size + HAK_CANARY_BYTES, alignment, zero);
  if (block == NULL) return NULL;
  if (is_small && zero) memset(block, 0, size);
  if (!seal(block, size)) {
    put_back(block);
    return NULL;
  }
  hak_memcheck_give(block, size, bytes_of(block), zero);
  return block;
}

bool hak_hardened_free(void* block) {
  // It has not been used for long, as a rule: its ends come while its bit does.
  const hak_class_info_t* info = hak_class_info(class_at(block));
  hak_prefetch_write(block);
  hak_prefetch_write((void*)((uintptr_t)block + info->block_bytes - HAK_CANARY_BYTES));
  if (!hak_live_take(block)) return false;
  (void)size_of(block);
  hak_memcheck_take(block);
  put_back(block);
  return true;
}

bool hak_hardened_size(const void* block, size_t* size) {
  if (!hak_live_is(block)) return false;
  *size = size_of(block);
  return true;
}

size_t hak_hardened_usable_size(const void* block) {
  size_t bytes = bytes_of(block), size;
  return hak_live_is(block) && hak_canary_get(block, bytes, &size) ? size
                                                                   : bytes - HAK_CANARY_BYTES;
}

bool hak_hardened_waits(const void* block) { return hak_is_hardened() && !hak_live_is(block); }

// A small block stays where its class is the right one for the new size too.
static bool resize_small(void* block, size_t old_size, size_t size) {
  if (class_for(size, HAK_MIN_ALIGNMENT) != class_at(block)) return false;
  hak_canary_set(block, bytes_of(block), size);
  hak_memcheck_resize(block, old_size, size, bytes_of(block));
  return true;
}

static void tell_resized(void* before, size_t old_size, void* block, size_t size) {
  if (block == before) {
    hak_memcheck_resize(block, old_size, size, bytes_of(block));
  } else {
    hak_memcheck_take(before);
    hak_memcheck_give(block, size, bytes_of(block), false);
    hak_memcheck_define(block, hak_min_size(old_size, size));
  }
}

void* hak_hardened_resize(void* block, size_t size) {
  size_t old_size;
  if (!hak_hardened_size(block, &old_size)) return NULL;
  if (class_at(block) != 0) return resize_small(block, old_size, size) ? block : NULL;
  if (class_for(size, HAK_MIN_ALIGNMENT) != 0 || !hak_live_take(block)) return NULL;
  void* resized = hak_guarded_resize(block, size + HAK_CANARY_BYTES);
  // (It needs no memory: a span stays where it is, a huge block is the first of its SuperSlab.)
  (void)seal(resized != NULL ? resized : block, resized != NULL ? size : old_size);
  if (resized != NULL) tell_resized(block, old_size, resized, size);
  return resized;
}
