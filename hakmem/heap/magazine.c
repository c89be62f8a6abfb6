// A magazine's window: set, filled, emptied from the bottom, moved back at its end.

#include "hakmem/heap/magazine.h"

#include <string.h>

#include "hakmem/platform/check.h"

// The slot behind the last that `limit` may be.
static void** end_of(const hak_magazine_t* magazine) {
  return magazine->slots - 1 + HAK_MAGAZINE_SLOTS(hak_magazine_capacity(magazine));
}

static void set_limit(hak_magazine_t* magazine, void** limit) {
  // The old mark, unless a refill has put a block in its place.
  hak_slot_t* old = (hak_slot_t*)magazine->limit;
  if (old != NULL && hak_load_relaxed(old) == HAK_MAGAZINE_FULL) hak_store_relaxed(old, NULL);
  magazine->limit = limit;
  hak_store_relaxed((hak_slot_t*)limit, HAK_MAGAZINE_FULL);
}

void hak_magazine_set(hak_magazine_t* magazine, hak_magazine_top_t* top, void** first,
                      unsigned count) {
  uint32_t room = hak_magazine_capacity(magazine) + hak_magazine_tokens(magazine);
  hak_assert(count <= room);
  if (first + room >= end_of(magazine)) {
    memmove(magazine->slots, first, count * sizeof(void*));
    first = magazine->slots;
  }
  hak_store_relaxed((hak_slot_t*)first - 1, NULL);
  hak_store_relaxed(&magazine->bottom, first);
  hak_store_relaxed(top, first + count);
  set_limit(magazine, first + room);
}

void hak_magazine_place(hak_magazine_t* magazine, hak_magazine_top_t* top, void** memory,
                        uint32_t capacity) {
  unsigned count = magazine->slots != NULL ? hak_magazine_count(magazine, top) : 0;
  if (count != 0) memcpy(memory + 1, hak_load_relaxed(&magazine->bottom), count * sizeof(void*));
  magazine->slots = memory + 1;
  magazine->limit = NULL;
  hak_store_relaxed(&magazine->capacity, capacity);
  hak_magazine_set(magazine, top, magazine->slots, count);
}

void hak_magazine_drop(hak_magazine_t* magazine, hak_magazine_top_t* top, unsigned n,
                       unsigned tokens) {
  unsigned count = hak_magazine_count(magazine, top);
  hak_assert(n <= count);
  hak_store_relaxed(&magazine->tokens, hak_magazine_tokens(magazine) - tokens);
  hak_magazine_set(magazine, top, hak_load_relaxed(&magazine->bottom) + n, count - n);
}

// ---- tokens ----

bool hak_magazine_put_token(hak_magazine_t* magazine, hak_magazine_top_t* top) {
  uint32_t tokens = hak_magazine_tokens(magazine) + 1;
  void** end = end_of(magazine);
  if (magazine->slots + hak_magazine_capacity(magazine) + tokens >= end) return false;
  hak_store_relaxed(&magazine->tokens, tokens);
  if (magazine->limit + 1 < end) {
    set_limit(magazine, magazine->limit + 1);
  } else {
    unsigned count = hak_magazine_count(magazine, top);
    hak_magazine_set(magazine, top, hak_load_relaxed(&magazine->bottom), count);
  }
  hak_magazine_put(magazine, top, NULL);
  return true;
}

bool hak_magazine_take_token(hak_magazine_t* magazine, hak_magazine_top_t* top) {
  void** slot = hak_load_relaxed(top) - 1;
  if (hak_magazine_count(magazine, top) == 0) return false;
  if (hak_load_relaxed((hak_slot_t*)slot) != NULL) return false;
  hak_store_relaxed(&magazine->tokens, hak_magazine_tokens(magazine) - 1);
  hak_store_release(top, slot);
  set_limit(magazine, magazine->limit - 1);
  return true;
}

static bool is_token(const hak_magazine_t* magazine, unsigned i) {
  return hak_load_relaxed(&((hak_magazine_t*)magazine)->bottom)[i] == NULL;
}

unsigned hak_magazine_lowest_tokens(const hak_magazine_t* magazine, unsigned n) {
  unsigned tokens = 0;
  if (hak_likely(hak_magazine_tokens(magazine) == 0)) return 0;
  for (unsigned i = 0; i < n; i++) tokens += is_token(magazine, i);
  return tokens;
}

unsigned hak_magazine_lowest_slots(const hak_magazine_t* magazine, unsigned n) {
  unsigned left = hak_magazine_tokens(magazine), slots = n;
  if (hak_likely(left == 0)) return n;
  for (unsigned i = 0; left != 0 && i <= slots; i++) {
    if (!is_token(magazine, i)) continue;
    left--;
    slots++;
  }
  return slots;
}

void hak_magazine_close(hak_magazine_t* magazine, const hak_magazine_top_t* top) {
  set_limit(magazine, hak_load_relaxed((hak_magazine_top_t*)top));
}

// ---- the fence ----

void hak_magazine_raise_fence(hak_magazine_t* magazine, const hak_magazine_top_t* top) {
  void** bottom = hak_load_relaxed(&magazine->bottom);
  void** slot = hak_load_acquire((hak_magazine_top_t*)top);
  if (magazine->slots == NULL || slot < bottom + 2) return;
  magazine->fence = slot - 2;
  // In one step: the owner may have come down there and put another block in the slot.
  magazine->fenced = hak_exchange_acq_rel((hak_slot_t*)magazine->fence, NULL);
}

void hak_magazine_lower_fence(hak_magazine_t* magazine) {
  if (magazine->fence == NULL) return;
  void* none = NULL;
  atomic_compare_exchange_strong_explicit((hak_slot_t*)magazine->fence, &none, magazine->fenced,
                                          memory_order_relaxed, memory_order_relaxed);
  magazine->fence = NULL;
}

unsigned hak_magazine_take_fenced(hak_magazine_t* magazine, const hak_magazine_top_t* top,
                                  void*** first) {
  void** fence = magazine->fence;
  if (fence == NULL) return 0;
  // In this order. An owner that was below the fence when it went up, and has come back, has put
  // another block in its place, which stays.
  bool is_above = hak_load_acquire((hak_magazine_top_t*)top) > fence + 1;
  if (!is_above || hak_load_relaxed((hak_slot_t*)fence) != NULL) {
    hak_magazine_lower_fence(magazine);
    return 0;
  }
  *first = hak_load_relaxed(&magazine->bottom);
  unsigned n = (unsigned)(fence + 1 - *first);
  uint32_t tokens = hak_magazine_lowest_tokens(magazine, n - 1) + (magazine->fenced == NULL);
  hak_store_relaxed(&magazine->tokens, hak_magazine_tokens(magazine) - tokens);
  // Before they go: a forked child must not find them in two places.
  hak_store_relaxed(&magazine->bottom, fence + 1);
  magazine->fence = NULL;
  return n;
}
