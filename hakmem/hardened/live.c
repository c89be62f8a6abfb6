// The bits of live blocks, by SuperSlab.

#include "hakmem/hardened/live.h"

#include "hakmem/superslab/layout.h"
#include "hakmem/superslab/room.h"

typedef _Atomic(uint64_t) word_t;

typedef struct place {
  word_t* word;  // NULL: no block has ever begun near
  uint64_t bit;
} place_t;

// All bits of a SuperSlab. What a slower thread has made for the same is left unused.
static word_t* make_words(hak_superslab_t* super) {
  size_t bytes = (super->n_pages << HAK_PAGE_SHIFT) / HAK_MIN_ALIGNMENT / 8;
  word_t* made = hak_room_meta_alloc(bytes, HAK_CACHE_LINE);
  word_t* none = NULL;
  if (made == NULL) return hak_load_acquire(&super->live);
  return atomic_compare_exchange_strong(&super->live, &none, made) ? made : none;
}

static place_t place_of(const void* address, bool make) {
  hak_superslab_t* super = hak_page_map_super(address);
  if (super == NULL || (uintptr_t)address % HAK_MIN_ALIGNMENT != 0) return (place_t){NULL, 0};
  size_t offset = (uintptr_t)address - super->base;
  if (offset == 0) return (place_t){&super->first_live, 1};
  word_t* words = hak_load_acquire(&super->live);
  if (hak_unlikely(words == NULL) && make) words = make_words(super);
  if (words == NULL) return (place_t){NULL, 0};
  size_t index = offset / HAK_MIN_ALIGNMENT;
  return (place_t){&words[index / 64], UINT64_C(1) << (index % 64)};
}

bool hak_live_add(const void* block) {
  place_t place = place_of(block, true);
  if (place.word == NULL) return false;
  (void)hak_fetch_or_acq_rel(place.word, place.bit);
  return true;
}

bool hak_live_take(const void* block) {
  place_t place = place_of(block, false);
  if (place.word == NULL) return false;
  return (atomic_fetch_and(place.word, ~place.bit) & place.bit) != 0;
}

bool hak_live_is(const void* address) {
  place_t place = place_of(address, false);
  return place.word != NULL && (hak_load_acquire(place.word) & place.bit) != 0;
}
