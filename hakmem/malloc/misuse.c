// What is said of a pointer that is misused: what it points to, and who freed it.

#include "hakmem/malloc/misuse.h"

#include "hakmem/base/bits.h"
#include "hakmem/hardened/hardened.h"
#include "hakmem/hardened/live.h"
#include "hakmem/hardened/sample.h"
#include "hakmem/heap/magazine_size.h"
#include "hakmem/malloc/zero_size.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/line.h"
#include "hakmem/slab/slab.h"
#include "hakmem/superslab/large.h"
#include "hakmem/thread/thread.h"

// ---- what lies at an address ----

typedef struct place {
  const char* kind;  // "block", "span"...; NULL: no block lies there
  uintptr_t base;
  size_t bytes;
  unsigned size_class;
  bool is_ours;
  bool is_free;
  uint32_t allocated_by, freed_by;  // 0: not known
} place_t;

static bool is_in(void* const* from, void* const* to, const hak_heap_t* heap, const void* block) {
  uintptr_t begin = (uintptr_t)heap, end = begin + hak_magazine_heap_bytes();
  if ((uintptr_t)from < begin || (uintptr_t)to > end) return false;  // given back, or in motion
  for (; from < to; from++) {
    if (hak_load_relaxed((hak_slot_t*)from) == block) return true;
  }
  return false;
}

static bool is_cached(hak_heap_t* heap, const void* block, unsigned size_class, size_t n_pages) {
  if (size_class == 0) {
    return n_pages <= HAK_SPAN_CACHE_MAX_PAGES &&
           is_in(heap->span_bottom[n_pages], heap->span_top[n_pages], heap, block);
  }
  const unsigned stacks[] = {size_class, hak_class_outgoing(size_class)};
  for (unsigned i = 0; i < 2 && stacks[i] != 0; i++) {
    void** bottom = hak_load_relaxed(&heap->bins[stacks[i]].magazine.bottom);
    if (is_in(bottom, hak_load_relaxed(&heap->top[stacks[i]]), heap, block)) return true;
  }
  return false;
}

// The thread in whose cache the freed block at `base` waits; 0: none, or one that has ended.
static uint32_t find_freer(uintptr_t base, unsigned size_class, size_t n_pages) {
  for (const hak_heap_entry_t* e = hak_thread_heaps(); e != NULL; e = e->next) {
    if (is_cached(e->heap, (const void*)base, size_class, n_pages)) {
      return hak_load_relaxed(&e->heap->thread);
    }
  }
  return 0;
}

// (Others may write to the same word, but not the bit of a block that is cached here, or misused.)
__attribute__((no_sanitize("thread"))) static bool is_in_bitmaps(const hak_slab_t* slab,
                                                                 uint32_t index) {
  uint64_t bits = slab->free[index / 64] | hak_load_relaxed(&slab->remote[index / 64]);
  return (bits >> (index % 64) & 1) != 0;
}

static void look_at_slab(place_t* place, uintptr_t address, unsigned size_class) {
  const hak_class_info_t* info = hak_class_info(size_class);
  const hak_slab_t* slab = hak_slab_of((const void*)address);
  uintptr_t slab_base = hak_page_map_run_base((const void*)address);
  uint32_t index = (uint32_t)((address - slab_base) / info->block_bytes);
  if (index >= info->slab_blocks) return;  // behind the last block
  place->kind = "block";
  place->base = slab_base + (size_t)index * info->block_bytes;
  place->bytes = info->block_bytes;
  place->size_class = size_class;
  place->freed_by = find_freer(place->base, size_class, 0);
  place->is_free = place->freed_by != 0 || is_in_bitmaps(slab, index);
}

// A span in a thread's cache is a run still; any other run without a class that is no live span is
// on its way to become one.
static void look_at_run(place_t* place, hak_superslab_t* super, uintptr_t address) {
  unsigned page = (unsigned)((address - super->base) >> HAK_PAGE_SHIFT);
  if ((super->free_pages >> page & 1) != 0) return;
  const hak_run_t* run = hak_super_run_of(super, (const void*)address);
  if (address - run->base >= hak_run_bytes(run)) return;
  place->kind = "span";
  place->base = run->base;
  place->bytes = hak_page_map_span_bytes((const void*)run->base);
  place->is_free = place->bytes == 0;
  if (place->is_free) place->bytes = hak_run_bytes(run);
  place->freed_by = place->is_free ? find_freer(run->base, 0, run->n_pages) : 0;
}

static place_t look_at(const void* ptr) {
  uintptr_t address = (uintptr_t)ptr;
  place_t place = {.is_ours = true};
  if (hak_zero_size_find(ptr, &place.base, &place.is_free)) {
    place.kind = "block";
    return place;
  }
  hak_sample_t sample;
  if (hak_sample_find(ptr, &sample)) {
    return (place_t){.kind = "sampled block",
                     .base = sample.base,
                     .bytes = sample.size,
                     .is_ours = true,
                     .is_free = sample.is_free,
                     .allocated_by = sample.allocated_by,
                     .freed_by = sample.freed_by};
  }
  hak_superslab_t* super = hak_page_map_super(ptr);
  if (super == NULL) {
    place.is_ours = false;
    return place;
  }
  unsigned size_class = hak_slab_class_at(ptr);
  if (size_class != 0) {
    look_at_slab(&place, address, size_class);
  } else if (hak_super_has_runs(super)) {
    look_at_run(&place, super, address);
  } else if (hak_large_find(ptr, &place.base, &place.bytes)) {
    place.kind = "huge block";
  }
  if (place.kind != NULL && hak_is_hardened()) place.is_free = !hak_live_is((void*)place.base);
  return place;
}

// ---- in words ----

static void put(hak_line_t* line, const char* before, uint64_t number) {
  hak_line_text(line, before);
  hak_line_number(line, number);
}

static bool find(hak_line_t* line, const void* address) {
  place_t place = look_at(address);
  if (!place.is_ours) return false;
  if (place.kind == NULL) {
    hak_line_text(line, "free memory of hakmem's, of no block or of one that was freed");
    return true;
  }
  if ((uintptr_t)address < place.base) {
    put(line, "", place.base - (uintptr_t)address);
    hak_line_text(line, " before ");
  } else if (place.base != (uintptr_t)address) {
    put(line, "offset ", (uintptr_t)address - place.base);
    hak_line_text(line, " in ");
  }
  hak_line_text(line, "a ");
  hak_line_text(line, place.kind);
  put(line, " of ", place.bytes);
  hak_line_text(line, " bytes");
  if (place.size_class != 0) put(line, ", class ", place.size_class);
  if (place.base != (uintptr_t)address) {
    hak_line_text(line, ", at ");
    hak_line_hex(line, place.base);
  }
  if (place.allocated_by != 0) put(line, ", allocated by thread ", place.allocated_by);
  if (place.freed_by != 0) {
    put(line, ", freed by thread ", place.freed_by);
  } else if (place.is_free) {
    hak_line_text(line, ", free");
  }
  return true;
}

__attribute__((constructor)) static void start(void) {
  hak_fatal_set_finder(find);
  hak_fatal_set_teller(hak_sample_tell);
}

#define WORDS(done)                                                             \
  {                                                                             \
    done " of a pointer that is not ours", done " of a pointer inside a block", \
        done " of a freed block", done " of a pointer where no block is"        \
  }

void hak_misuse_end(hak_misuse_t misuse, const void* ptr) {
  enum { NOT_OURS, INSIDE, FREED, NO_BLOCK, N };
  static const char* const words[][N] = {
      [HAK_MISUSE_FREE] = WORDS("free"),
      [HAK_MISUSE_REALLOC] = WORDS("realloc"),
      [HAK_MISUSE_SIZE] = WORDS("usable size asked"),
  };
  place_t place = look_at(ptr);
  unsigned wrong = !place.is_ours                 ? NOT_OURS
                   : place.kind == NULL           ? NO_BLOCK
                   : place.base != (uintptr_t)ptr ? INSIDE
                                                  : FREED;
  bool is_double = wrong == FREED && misuse == HAK_MISUSE_FREE;
  hak_fatal_pointer(is_double ? "double free" : words[misuse][wrong], ptr);
}

// ---- what is cached when the process exits ----

#define FILTER_BITS ((size_t)1 << 14)

static size_t filter_place(const void* block) {
  return (size_t)(hak_mix((uintptr_t)block) % FILTER_BITS);
}

static bool is_twice(void* const* from, void* const* to, const void* block) {
  unsigned n = 0;
  for (; from < to; from++) n += *from == block;
  return n > 1;
}

// Each block of a magazine has to be one, of a slab that does not have it, and to lie in it once:
// where two of them share a bit of the filter it is looked up.
static void look_at_magazine(hak_heap_t* heap, unsigned stack, uint64_t* filter) {
  void** bottom = hak_load_relaxed(&heap->bins[stack].magazine.bottom);
  void** top = hak_load_relaxed(&heap->top[stack]);
  for (void** slot = bottom; slot < top; slot++) {
    if (*slot == NULL) continue;  // a token
    uint32_t index = hak_class_block_index(stack, (uintptr_t)*slot - hak_page_map_run_base(*slot));
    if (index == UINT32_MAX) hak_fatal_pointer("free of a pointer inside a block", *slot);
    size_t bit = filter_place(*slot);
    bool is_met = (filter[bit / 64] >> (bit % 64) & 1) != 0;
    filter[bit / 64] |= UINT64_C(1) << (bit % 64);
    if (is_in_bitmaps(hak_slab_of(*slot), index) || (is_met && is_twice(bottom, top, *slot))) {
      hak_fatal_pointer("double free", *slot);
    }
  }
  for (void** slot = bottom; slot < top; slot++) filter[filter_place(*slot) / 64] = 0;
}

void hak_misuse_look_at_cached(void) {
  hak_heap_t* heap = hak_this_heap;
  // (A handler of a signal may have interrupted a slow path, and exit.)
  if (heap == HAK_NO_HEAP || hak_load_relaxed(&heap->busy) != 0) return;
  hak_fork_look();
  uint64_t filter[FILTER_BITS / 64] = {0};
  hak_heap_enter(heap);
  for (unsigned c = 0; (c = hak_heap_next_used(heap, c)) < HAK_N_STACKS;) {
    look_at_magazine(heap, c, filter);
  }
  hak_heap_leave(heap);
}
