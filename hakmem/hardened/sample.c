// The places of samples, who has which, and what is said when one is touched that should not be.

#include "hakmem/hardened/sample.h"

#include <signal.h>
#include <string.h>

#include "hakmem/base/bits.h"
#include "hakmem/base/config.h"
#include "hakmem/hardened/fill.h"
#include "hakmem/hardened/random.h"
#include "hakmem/options/events.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/line.h"
#include "hakmem/platform/platform.h"
#include "hakmem/platform/thread_id.h"
#include "hakmem/unwind/unwind.h"

// Places that are looked at for a free one.
#define TRIES 4

typedef enum state { FREE, BUSY, LIVE } state_t;

// A place: all but the state is its own while it is BUSY, and may be read by who says last words.
typedef struct place {
  _Atomic(uint8_t) state;    // state_t
  _Atomic(uintptr_t) block;  // 0: there has been none
  _Atomic(uint32_t) size, allocated_by, freed_by;
} place_t;

_Atomic(uint32_t) hak_sample_every;

// The calls that led to an allocation and to a free: innermost first, and 0 behind the last.
typedef struct history {
  _Atomic(uintptr_t) allocated[HAK_SAMPLE_FRAMES], freed[HAK_SAMPLE_FRAMES];
} history_t;

static place_t places[HAK_SAMPLES];
static _Atomic(history_t*) histories;  // one a place; NULL: none yet, or no memory for them
static _Atomic(uintptr_t) region;      // guard, page, guard, page, ..., guard; 0: not mapped yet
static _Atomic(uint32_t) next;         // the place whose turn it is, modulo their number

static size_t region_bytes(void) { return (2 * HAK_SAMPLES + 1) * hak_platform_os_page_bytes(); }

static uintptr_t page_of(uintptr_t base, uint32_t i) {
  return base + (2 * i + 1) * hak_platform_os_page_bytes();
}

// ---- whose turn it is ----

bool hak_sample_count(uint32_t every) {
  static hak_thread_local uint32_t left;  // until the thread's next; 0: not drawn yet
  static hak_thread_local uint64_t lots;
  if (left == 0) {
    if (lots == 0) lots = hak_random_of_process() + hak_mix(hak_thread_id());
    // Up to twice as many, so that nobody can foretell which, and no rhythm of the program's is
    // met.
    left = 1 + hak_random_below(&lots, 2 * every - 1);
  }
  return --left == 0;
}

// ---- what is said ----

static bool find_place(uintptr_t address, uint32_t* i) {
  uintptr_t base = hak_load_acquire(&region);
  if (base == 0 || address - base >= region_bytes()) return false;
  // Half of a guard belongs to the page before it, the other to the one behind.
  size_t os_page = hak_platform_os_page_bytes();
  uintptr_t offset = address - base < os_page ? 0 : address - base - os_page / 2;
  *i = (uint32_t)hak_min_size(offset / (2 * os_page), HAK_SAMPLES - 1);
  return hak_load_relaxed(&places[*i].block) != 0;
}

bool hak_sample_find(const void* address, hak_sample_t* sample) {
  uint32_t i;
  if (!find_place((uintptr_t)address, &i)) return false;
  place_t* place = &places[i];
  sample->base = hak_load_relaxed(&place->block);
  sample->size = hak_load_relaxed(&place->size);
  sample->is_free = hak_load_relaxed(&place->state) != LIVE;
  sample->allocated_by = hak_load_relaxed(&place->allocated_by);
  sample->freed_by = hak_load_relaxed(&place->freed_by);
  return true;
}

// ---- stacks ----

static void keep_stack(const place_t* place, bool is_free, const void* caller) {
  history_t* history = hak_load_acquire(&histories);
  if (history == NULL) return;
  history += place - places;
  _Atomic(uintptr_t)* to = is_free ? history->freed : history->allocated;
  uintptr_t frames[HAK_UNWIND_DEPTH];
  unsigned n = hak_unwind(frames, caller);
  for (unsigned i = 0; i < HAK_SAMPLE_FRAMES; i++) hak_store_relaxed(&to[i], i < n ? frames[i] : 0);
}

// One line; frames that find no room in it are left out.
static void write_stack(const char* what, const uintptr_t* frames, unsigned n) {
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, what);
  for (unsigned i = 0; i < n; i++) {
    hak_line_t longer = line;
    hak_line_text(&longer, " ");
    hak_unwind_describe(&longer, frames[i]);
    if (longer.length >= sizeof longer.text - 1) break;
    line = longer;
  }
  hak_line_end_last(&line);
}

static void write_kept(const char* what, _Atomic(uintptr_t)* kept) {
  uintptr_t frames[HAK_SAMPLE_FRAMES];
  unsigned n = 0;
  while (n < HAK_SAMPLE_FRAMES && (frames[n] = hak_load_relaxed(&kept[n])) != 0) n++;
  write_stack(what, frames, n);
}

static hak_thread_local const void* fault;  // what a fault of this thread's has interrupted

void hak_sample_tell(const void* address) {
  uint32_t i;
  history_t* history = hak_load_acquire(&histories);
  if (history == NULL || !find_place((uintptr_t)address, &i)) return;
  uintptr_t frames[HAK_UNWIND_DEPTH];
  unsigned n = fault != NULL ? hak_unwind_interrupted(frames, fault)
                             : hak_unwind(frames, __builtin_return_address(0));
  write_stack("noticed at", frames, n);
  write_kept("allocated at", history[i].allocated);
  if (hak_load_relaxed(&places[i].freed_by) != 0) write_kept("freed at", history[i].freed);
}

// ---- a fault ----

// Of SIGSEGV. What is not a sample's ends the process as it would have without: the instruction is
// executed again, or the signal, where somebody sent it, comes again.
static void on_fault(int number, siginfo_t* info, void* context) {
  hak_sample_t sample;
  bool was_sent = info->si_code <= 0;
  if (!was_sent && hak_sample_find(info->si_addr, &sample)) {
    uintptr_t address = (uintptr_t)info->si_addr;
    fault = context;
    hak_fatal_pointer(sample.is_free          ? "use of a freed block"
                      : address < sample.base ? "access before the beginning of a block"
                                              : "access past the end of a block",
                      info->si_addr);
  }
  (void)signal(number, SIG_DFL);
  if (was_sent) (void)raise(number);
}

static void begin_handler(void) {
  struct sigaction before, action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  if (sigaction(SIGSEGV, NULL, &before) != 0) return;
  bool has_one = (before.sa_flags & SA_SIGINFO) != 0 || before.sa_handler != SIG_DFL;
  if (!has_one) (void)sigaction(SIGSEGV, &action, NULL);
}

// ---- a place ----

static uintptr_t map_region(void) {
  void* base = NULL;
  int error = hak_platform_reserve(region_bytes(), hak_platform_os_page_bytes(), &base);
  if (!hak_event_kernel_ok(HAK_KERNEL_MMAP, error, NULL, region_bytes())) return 0;
  uintptr_t none = 0;
  if (atomic_compare_exchange_strong(&region, &none, (uintptr_t)base)) {
    hak_store_release(&histories, hak_meta_alloc(HAK_SAMPLES * sizeof(history_t), HAK_CACHE_LINE));
    begin_handler();
    return (uintptr_t)base;
  }
  hak_platform_unmap(base, region_bytes());  // another thread was faster
  return none;
}

// Takes the place whose turn it is, or one of the next; NULL: they are live.
static place_t* take_place(void) {
  for (int i = 0; i < TRIES; i++) {
    place_t* place = &places[hak_fetch_add_relaxed(&next, 1) % HAK_SAMPLES];
    uint8_t state = FREE;
    if (hak_cas_acquire(&place->state, &state, BUSY)) return place;
  }
  return NULL;
}

void* hak_sample_alloc(size_t size, size_t alignment, const void* caller) {
  size_t os_page = hak_platform_os_page_bytes();
  size_t bytes = hak_round_up(size, hak_max_size(alignment, HAK_MIN_ALIGNMENT));
  if (size == 0 || size > os_page || bytes > os_page) return NULL;
  uintptr_t base = hak_load_acquire(&region);
  if (base == 0) base = map_region();
  place_t* place = base != 0 ? take_place() : NULL;
  if (place == NULL) return NULL;
  char* page = (char*)page_of(base, (uint32_t)(place - places));
  int error = hak_platform_make_writable(page, os_page);
  if (!hak_event_kernel_ok(HAK_KERNEL_MPROTECT, error, page, os_page)) {
    hak_store_release(&place->state, FREE);
    return NULL;
  }
  char* block = page + os_page - bytes;
  memset(page, HAK_FREED_BYTE, os_page - bytes);
  memset(block + size, HAK_FREED_BYTE, bytes - size);
  hak_store_relaxed(&place->block, (uintptr_t)block);
  hak_store_relaxed(&place->size, (uint32_t)size);
  hak_store_relaxed(&place->allocated_by, hak_thread_id());
  hak_store_relaxed(&place->freed_by, 0);
  keep_stack(place, false, caller);
  hak_store_release(&place->state, LIVE);
  return block;
}

// The place of the live sample that begins at `block`; NULL: none does.
static place_t* live_at(const void* block) {
  uint32_t i;
  if (hak_likely(!find_place((uintptr_t)block, &i))) return NULL;
  place_t* place = &places[i];
  bool begins = hak_load_relaxed(&place->block) == (uintptr_t)block;
  return begins && hak_load_acquire(&place->state) == LIVE ? place : NULL;
}

size_t hak_sample_size(const void* block) {
  place_t* place = live_at(block);
  return place != NULL ? hak_load_relaxed(&place->size) : 0;
}

static void check_around(const char* block, size_t size) {
  size_t os_page = hak_platform_os_page_bytes();
  const char* page = (const char*)hak_round_down((uintptr_t)block, os_page);
  if (!hak_is_filled(page, (size_t)(block - page), HAK_FREED_BYTE)) {
    hak_fatal_pointer("write before the beginning of a block", block);
  }
  if (!hak_is_filled(block + size, (size_t)(page + os_page - block) - size, HAK_FREED_BYTE)) {
    hak_fatal_pointer("write past the end of a block", block);
  }
}

bool hak_sample_free(void* block, const void* caller) {
  place_t* place = live_at(block);
  uint8_t state = LIVE;
  if (place == NULL) return false;
  check_around(block, hak_load_relaxed(&place->size));
  if (!hak_cas_acquire(&place->state, &state, BUSY)) return false;  // another thread was faster
  hak_store_relaxed(&place->freed_by, hak_thread_id());
  keep_stack(place, true, caller);
  size_t os_page = hak_platform_os_page_bytes();
  void* page = (void*)hak_round_down((uintptr_t)block, os_page);
  int error = hak_platform_reserve_again(page, os_page);
  // (Else it would be used again with what it holds: it stays BUSY.)
  if (hak_event_kernel_ok(HAK_KERNEL_MMAP, error, page, os_page)) {
    hak_store_release(&place->state, FREE);
  }
  return true;
}
