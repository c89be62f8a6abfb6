// A slab's bitmaps: blocks taken by whole words, put back, freed by others.

#include "hakmem/slab/slab.h"

#include <string.h>

#include "hakmem/base/bits.h"
#include "hakmem/options/events.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/platform.h"

static unsigned words_of(const hak_slab_t* slab) {
  return hak_class_info(slab->run.size_class)->slab_words;
}

// The bits of all blocks of a word.
static uint64_t whole_word(const hak_class_info_t* info, unsigned word) {
  unsigned left = info->slab_blocks - word * 64u;
  return hak_bit_run(0, left < 64 ? left : 64);
}

static void set_free_count(hak_slab_t* slab, unsigned n) {
  hak_store_relaxed(&slab->free_count, (uint16_t)n);
}

static bool slab_is_valid(const hak_slab_t* slab) {
  unsigned n = 0;
  for (unsigned w = 0; w < words_of(slab); w++) {
    if (w < slab->scan_word && slab->free[w] != 0) return false;
    n += hak_bit_count(slab->free[w]);
  }
  return n == hak_slab_free_count(slab) && n <= slab->capacity;
}

hak_cold static void fail_double_free(const hak_slab_t* slab, unsigned word, uint64_t twice) {
  size_t block_bytes = hak_class_info(slab->run.size_class)->block_bytes;
  size_t index = (size_t)word * 64 + hak_lowest_bit(twice);
  hak_fatal_pointer("double free", (void*)(slab->run.base + index * block_bytes));
}

_Atomic(uint64_t)* hak_slab_remote_bits(hak_run_t* run, unsigned size_class) {
  return (_Atomic(uint64_t)*)hak_run_bitmap(run, size_class) + hak_slab_remote_words(size_class);
}

hak_slab_t* hak_slab_init(hak_run_t* run, unsigned size_class, bool dirty) {
  const hak_class_info_t* info = hak_class_info(size_class);
  hak_slab_t* slab = (hak_slab_t*)run;
  slab->free = hak_run_bitmap(run, size_class);
  slab->remote = hak_slab_remote_bits(run, size_class);
  slab->capacity = info->slab_blocks;
  set_free_count(slab, info->slab_blocks);
  slab->scan_word = 0;
  slab->touched = dirty ? slab->capacity : 0;
  slab->was_thin = false;
  slab->uncounted = 0;
  hak_store_relaxed(&slab->purged_bytes, 0);
  slab->looks = 0;
  slab->next = slab->prev = NULL;
  for (unsigned w = 0; w < info->slab_words; w++) {
    slab->free[w] = whole_word(info, w);
    hak_store_relaxed(&slab->remote[w], 0);
  }
  hak_store_relaxed(&slab->remote_count, 0);
  hak_store_relaxed(&slab->owner, NULL);
  // Last: a forked child takes it for a slab from here on.
  hak_compiler_barrier();
  run->size_class = (uint8_t)size_class;
  return slab;
}

void hak_slab_mark_outgoing(hak_slab_t* slab) {
  unsigned outgoing = hak_class_outgoing(slab->run.size_class);
  if (outgoing != 0 && hak_page_map_class((void*)slab->run.base) != outgoing) {
    hak_page_map_set_class(slab->run.base, 1, outgoing);
  }
}

// Of a word's free blocks, those whose cache lines are free as a whole. Blocks of 16, 32 and 48
// bytes fill lines in groups of 4, 2 and 4; larger ones share a line with two neighbours at most.
static uint64_t whole_lines(uint64_t bits, size_t block_bytes) {
  if (block_bytes > 48) return bits;
  bits &= bits >> 1 & UINT64_C(0x5555555555555555);  // pairs, at their lower bit
  if (block_bytes == 32) return bits | bits << 1;
  bits &= bits >> 2 & UINT64_C(0x1111111111111111);  // fours, at their lowest
  return bits * 0xf;
}

// Stores the addresses of the blocks `bits`, of which bit 0 is at `first`, downwards from `end`.
static void** expand(uint64_t bits, uintptr_t first, size_t block_bytes, void** end) {
  if (bits == ~UINT64_C(0)) {
    for (unsigned i = 0; i < 64; i++, first += block_bytes) *--end = (void*)first;
    return end;
  }
  for (; bits != 0; bits &= bits - 1) {
    *--end = (void*)(first + hak_lowest_bit(bits) * block_bytes);
  }
  return end;
}

static unsigned take_blocks(hak_slab_t* slab, void** end, unsigned n, bool lines) {
  hak_assert_slow(slab_is_valid(slab));
  size_t block_bytes = hak_class_info(slab->run.size_class)->block_bytes;
  unsigned taken = 0, touched = slab->touched;
  unsigned first_left = slab->scan_word;  // first word that still has a bit set
  for (unsigned w = first_left, words = words_of(slab); w < words && taken < n; w++) {
    uint64_t bits = lines ? whole_lines(slab->free[w], block_bytes) : slab->free[w];
    if (bits != 0) {
      bits = hak_lowest_bits(bits, n - taken);
      slab->free[w] ^= bits;
      end = expand(bits, slab->run.base + (size_t)w * 64 * block_bytes, block_bytes, end);
      taken += hak_bit_count(bits);
      touched = (unsigned)hak_max_size(touched, w * 64u + hak_highest_bit(bits) + 1);
    }
    if (slab->free[w] == 0 && w == first_left) first_left = w + 1;
  }
  hak_store_relaxed(&slab->purged_bytes, 0);  // which of it, nobody knows
  slab->looks = 0;
  slab->was_thin = false;
  slab->scan_word = (uint16_t)first_left;
  slab->touched = (uint16_t)touched;
  set_free_count(slab, hak_slab_free_count(slab) - taken);
  if (taken != 0 && hak_run_use(&slab->run) == HAK_RUN_PREWARMED)
    hak_run_set_use(&slab->run, HAK_RUN_SLAB);
  return taken;
}

unsigned hak_slab_take(hak_slab_t* slab, void** end, unsigned n) {
  return take_blocks(slab, end, n, false);
}

unsigned hak_slab_take_lines(hak_slab_t* slab, void** end, unsigned n) {
  return take_blocks(slab, end, n, true);
}

void hak_slab_put(hak_slab_t* slab, unsigned word, uint64_t mask) {
  if (hak_unlikely((slab->free[word] & mask) != 0)) {
    fail_double_free(slab, word, slab->free[word] & mask);
  }
  slab->free[word] |= mask;
  set_free_count(slab, hak_slab_free_count(slab) + hak_bit_count(mask));
  if (word < slab->scan_word) slab->scan_word = (uint16_t)word;
  hak_assert_slow(slab_is_valid(slab));
}

// The first block at or after `block` that is free (or is not, as asked); the capacity if none is.
static unsigned next_block(const hak_slab_t* slab, unsigned block, bool is_free) {
  while (block < slab->capacity) {
    uint64_t bits = slab->free[block / 64];
    bits = (is_free ? bits : ~bits) >> (block % 64);
    if (bits != 0) return (unsigned)hak_min_size(block + hak_lowest_bit(bits), slab->capacity);
    block = (block / 64 + 1) * 64;
  }
  return slab->capacity;
}

// Looks that give something back, the shortest holes last.
#define LOOKS 3

size_t hak_slab_look(hak_slab_t* slab, uint8_t round) {
  unsigned n = hak_slab_free_count(slab);
  if (slab->looks != 0 && slab->seen_round == round) return 0;
  slab->seen_round = round;
  if (slab->looks == 0 || slab->seen_free != n) {
    slab->seen_free = (uint16_t)n;
    slab->looks = 1;
    return 0;
  }
  if (slab->looks > LOOKS) return 0;
  return (size_t)(2 * HAK_HOLE_BYTES) >> slab->looks++;
}

// Where a hole ends whose last block is the one before `end`. In a page with the last block that
// was ever taken what follows is as free.
static uintptr_t hole_end(const hak_slab_t* slab, unsigned end) {
  size_t block_bytes = hak_class_info(slab->run.size_class)->block_bytes;
  size_t os_page = hak_platform_os_page_bytes();
  size_t at = end * block_bytes;
  if (end == slab->touched)
    at = hak_min_size(hak_round_up(at, os_page), slab->capacity * block_bytes);
  return slab->run.base + hak_round_down(at, os_page);
}

// Gives back holes of [least, below) bytes, as far as blocks of theirs were ever taken.
static size_t purge_holes(hak_slab_t* slab, size_t least, size_t below) {
  size_t block_bytes = hak_class_info(slab->run.size_class)->block_bytes;
  size_t os_page = hak_platform_os_page_bytes();
  size_t bytes = 0;
  unsigned end = 0;
  for (unsigned at; (at = next_block(slab, end, true)) < slab->touched;) {
    end = next_block(slab, at, false);
    end = (unsigned)hak_min_size(end, slab->touched);
    uintptr_t from = hak_round_up(slab->run.base + at * block_bytes, os_page);
    uintptr_t to = hole_end(slab, end);
    if (from >= to || to - from < least || to - from >= below) continue;
    int error = hak_platform_purge((void*)from, to - from);
    if (hak_event_kernel_ok(HAK_KERNEL_MADVISE, error, (void*)from, to - from)) bytes += to - from;
  }
  return bytes;
}

size_t hak_slab_purge(hak_slab_t* slab, size_t least) {
  // What was made ready on purpose stays so.
  if (hak_run_use(&slab->run) == HAK_RUN_PREWARMED) return 0;
  if (least == 0 && slab->looks > LOOKS && slab->seen_free == hak_slab_free_count(slab)) return 0;
  // Longer ones went back at the look before.
  bool is_rest = least != 0 && least < HAK_HOLE_BYTES;
  size_t bytes = purge_holes(slab, least, is_rest ? 2 * least : SIZE_MAX);
  size_t before = is_rest ? hak_load_relaxed(&slab->purged_bytes) : 0;
  hak_store_relaxed(&slab->purged_bytes, (uint32_t)(before + bytes));
  if (least == 0) {
    slab->seen_free = (uint16_t)hak_slab_free_count(slab);
    slab->looks = LOOKS + 1;
  }
  return bytes;
}

size_t hak_slab_purge_thin(hak_slab_t* slab) {
  uint32_t live = slab->capacity - hak_slab_free_count(slab);
  bool is_thin = live <= hak_max_size(slab->capacity / HAK_THIN_SHARE, 1);
  if (slab->was_thin || !is_thin) return 0;
  slab->was_thin = true;
  size_t before = hak_load_relaxed(&slab->purged_bytes);
  size_t bytes = hak_max_size(purge_holes(slab, HAK_HOLE_BYTES, SIZE_MAX), before);
  hak_store_relaxed(&slab->purged_bytes, (uint32_t)bytes);
  return bytes - before;
}

unsigned hak_slab_collect(hak_slab_t* slab) {
  unsigned n = 0;
  for (unsigned w = 0, words = words_of(slab); w < words; w++) {
    if (hak_load_relaxed(&slab->remote[w]) == 0) continue;
    uint64_t bits = hak_exchange_acq_rel(&slab->remote[w], 0);
    hak_slab_put(slab, w, bits);
    n += hak_bit_count(bits);
  }
  slab->uncounted += n;
  return n;
}

void hak_slab_count_remote(hak_slab_t* slab) {
  slab->uncounted -= (uint32_t)hak_exchange_acq_rel(&slab->remote_count, 0);
}

// All 64 blocks of a word at once: nobody else can be freeing one of them, so a plain store will
// do in place of an atomic OR.
void hak_slab_free_remote(hak_slab_t* slab, unsigned word, uint64_t mask) {
  uint64_t before;
  if (mask == ~UINT64_C(0)) {
    before = hak_load_relaxed(&slab->remote[word]);
    hak_store_release(&slab->remote[word], mask);
  } else {
    before = hak_fetch_or_acq_rel(&slab->remote[word], mask);
  }
  if (hak_unlikely((before & mask) != 0)) fail_double_free(slab, word, before & mask);
}

size_t hak_slab_purge_remote(hak_slab_t* slab, unsigned size_class) {
  const hak_class_info_t* info = hak_class_info(size_class);
  unsigned n = 0;  // words held
  for (; n < info->slab_words; n++) {
    uint64_t all = whole_word(info, n);
    if (hak_load_relaxed(&slab->remote[n]) != all) break;
    if (!hak_cas_acquire(&slab->remote[n], &all, 0)) break;
  }
  size_t bytes = 0;
  if (n == info->slab_words) {
    void* base = (void*)slab->run.base;
    size_t slab_bytes = (size_t)info->slab_pages << HAK_PAGE_SHIFT;
    int error = hak_platform_purge(base, slab_bytes);
    if (hak_event_kernel_ok(HAK_KERNEL_MADVISE, error, base, slab_bytes)) bytes = slab_bytes;
    hak_store_relaxed(&slab->purged_bytes, (uint32_t)bytes);
  }
  for (unsigned w = 0; w < n; w++) hak_slab_free_remote(slab, w, whole_word(info, w));
  return bytes;
}

bool hak_slab_announce_remote(hak_slab_t* slab, unsigned n) {
  return hak_fetch_add_acq_rel(&slab->remote_count, n) == 0;
}

void hak_slab_list_insert(hak_slab_list_t* list, hak_slab_t* slab, hak_slab_t* before) {
  hak_slab_t* after = before != NULL ? before->prev : list->last;
  slab->next = before;
  slab->prev = after;
  *(after != NULL ? &after->next : &list->first) = slab;
  *(before != NULL ? &before->prev : &list->last) = slab;
}

void hak_slab_list_remove(hak_slab_list_t* list, hak_slab_t* slab) {
  if (slab->next != NULL) {
    slab->next->prev = slab->prev;
  } else {
    hak_assert(list->last == slab);
    list->last = slab->prev;
  }
  if (slab->prev != NULL) {
    slab->prev->next = slab->next;
  } else {
    hak_assert(list->first == slab);
    list->first = slab->next;
  }
  slab->next = slab->prev = NULL;
}

bool hak_slab_has_news(const hak_slab_t* slab) {
  hak_slab_t* s = (hak_slab_t*)slab;
  if (s->uncounted != 0 || hak_load_relaxed(&s->remote_count) != 0) return true;
  for (unsigned w = 0, words = words_of(s); w < words; w++) {
    if (hak_load_relaxed(&s->remote[w]) != 0) return true;
  }
  return false;
}

void hak_slab_settle(hak_slab_t* slab) {
  (void)hak_slab_collect(slab);
  hak_store_relaxed(&slab->remote_count, 0);
  slab->uncounted = 0;
}

void hak_slab_recount(hak_slab_t* slab) {
  unsigned n = 0;
  for (unsigned w = 0; w < words_of(slab); w++) n += hak_bit_count(slab->free[w]);
  set_free_count(slab, n);
  slab->scan_word = 0;
}
