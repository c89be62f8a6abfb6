// Rings of freed blocks, a class each, and the fresh blocks beside them.

#include "hakmem/hardened/quarantine.h"

#include <string.h>

#include "hakmem/base/bits.h"
#include "hakmem/base/size_class.h"
#include "hakmem/hardened/fill.h"
#include "hakmem/hardened/guarded.h"
#include "hakmem/hardened/random.h"
#include "hakmem/heap/flush.h"
#include "hakmem/heap/holes.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/lock.h"
#include "hakmem/platform/memcheck.h"
#include "hakmem/slab/central.h"
#include "hakmem/superslab/room.h"
#include "hakmem/superslab/spare.h"

#define MAX_FRESH 32
#define MAX_LEAVING 32
// Of a block that is taken next; the processor fetches the rest by itself.
#define FETCHED_BYTES ((size_t)4 * HAK_CACHE_LINE)

// Made when a class is first asked for a block, and then for good.
typedef struct ring {
  alignas(HAK_CACHE_LINE) hak_lock_t lock;
  uint32_t first;             // lock: of the oldest block, modulo the capacity
  _Atomic(uint32_t) n;        // lock, or to look: blocks that wait
  _Atomic(uint32_t) n_fresh;  // the same
  uint32_t next;              // lock: which of the older half is taken next, counted from the first
  uint64_t random;            // lock: state
  uint32_t capacity;          // const: a power of two
  void** fresh;               // lock: blocks that no program has had since they left their slab
  void* slots[];              // lock: the ring, and behind it what is fresh
} ring_t;

static _Atomic(ring_t*) rings[HAK_N_CLASSES];  // NULL: none yet

static ring_t* ring_of(unsigned size_class) { return hak_load_acquire(&rings[size_class]); }

unsigned hak_quarantine_capacity(unsigned size_class) {
  size_t fit = HAK_QUARANTINE_BYTES / hak_class_info(size_class)->block_bytes;
  size_t blocks = hak_max_size(HAK_QUARANTINE_MIN_BLOCKS, fit);
  return (unsigned)hak_power_of_two_from(hak_min_size(blocks, HAK_QUARANTINE_MAX_BLOCKS));
}

// How many fresh blocks are taken at once. No slab has fewer.
static unsigned fresh_of(unsigned size_class) {
  return hak_class_info(size_class)->block_bytes < 4 * HAK_KIB ? MAX_FRESH : 8;
}

static uint32_t n_of(const ring_t* ring) { return hak_load_relaxed(&((ring_t*)ring)->n); }
static void set_n(ring_t* ring, uint32_t n) { hak_store_relaxed(&ring->n, n); }

unsigned hak_quarantine_count(unsigned size_class) {
  ring_t* ring = ring_of(size_class);
  return ring != NULL ? n_of(ring) + hak_load_relaxed(&ring->n_fresh) : 0;
}

// What a slower thread has made for the same class is left unused.
hak_noinline static ring_t* make_ring(unsigned size_class) {
  unsigned capacity = hak_quarantine_capacity(size_class);
  ring_t* made =
      hak_room_meta_alloc(sizeof *made + (capacity + MAX_FRESH) * sizeof(void*), HAK_CACHE_LINE);
  if (made == NULL) return NULL;
  made->lock = (hak_lock_t)HAK_LOCK_INIT(HAK_RANK_HARDENED);
  made->random = hak_random_of_process() + size_class;
  made->capacity = capacity;
  made->fresh = made->slots + capacity;
  ring_t* none = NULL;
  return atomic_compare_exchange_strong(&rings[size_class], &none, made) ? made : none;
}

// ---- under the class's lock ----

static void** slot_of(ring_t* ring, uint32_t i) {
  return &ring->slots[(ring->first + i) & (ring->capacity - 1)];
}

// Chooses the next to be taken, and fetches it meanwhile: it has lain so long that no processor's
// cache has it any more.
static void choose(ring_t* ring, unsigned size_class) {
  if (n_of(ring) == 0) return;
  ring->next = hak_random_below(&ring->random, (n_of(ring) + 1) / 2);
  const char* block = *slot_of(ring, ring->next);
  size_t bytes = hak_min_size(hak_class_info(size_class)->block_bytes, FETCHED_BYTES);
  for (size_t at = 0; at < bytes; at += HAK_CACHE_LINE) hak_prefetch_write(block + at);
}

// Takes the chosen one: the oldest takes its place. pre: there is one.
static void* take_old(ring_t* ring, unsigned size_class) {
  if (ring->next >= n_of(ring)) ring->next = 0;
  void** chosen = slot_of(ring, ring->next);
  void* block = *chosen;
  *chosen = *slot_of(ring, 0);
  ring->first++;
  set_n(ring, n_of(ring) - 1);
  choose(ring, size_class);
  return block;
}

static void* take_fresh(ring_t* ring, unsigned size_class) {
  uint32_t n = hak_load_relaxed(&ring->n_fresh);
  if (n == 0) {
    unsigned most = fresh_of(size_class);
    n = hak_central_take(size_class, ring->fresh + most, most, false);
    memmove(ring->fresh, ring->fresh + most - n, n * sizeof(void*));
  }
  if (n == 0) return NULL;
  void** chosen = &ring->fresh[hak_random_below(&ring->random, n)];
  void* block = *chosen;
  *chosen = ring->fresh[--n];
  hak_store_relaxed(&ring->n_fresh, n);
  return block;
}

// Takes up to `n` of the older half into `leaving`; returns how many.
static unsigned take_leaving(ring_t* ring, unsigned size_class, void** leaving, uint32_t n) {
  n = (uint32_t)hak_min_size(n_of(ring), n);
  for (uint32_t i = 0; i < n; i++) leaving[i] = take_old(ring, size_class);
  return n;
}

// ---- without the lock ----

static void fill(void* block, unsigned size_class) {
  hak_memcheck_quiet(true);
  memset(block, HAK_FREED_BYTE, hak_class_info(size_class)->block_bytes);
  hak_memcheck_quiet(false);
}

static void check(const void* block, unsigned size_class) {
  size_t bytes = hak_class_info(size_class)->block_bytes;
  hak_memcheck_quiet(true);
  bool is_filled = hak_is_filled(block, bytes, HAK_FREED_BYTE);
  hak_memcheck_quiet(false);
  if (hak_unlikely(!is_filled)) hak_fatal_pointer("write to a freed block", block);
  hak_memcheck_define(block, bytes);
}

static void send_home(unsigned size_class, void** blocks, unsigned n) {
  for (unsigned i = 0; i < n; i++) check(blocks[i], size_class);
  if (n == 0) return;
  hak_flush_blocks(NULL, blocks, n);
  if (hak_spare_committed_bytes() >= HAK_HOLES_FROM_BYTES) hak_holes_start();
}

void* hak_quarantine_take(unsigned size_class) {
  ring_t* ring = ring_of(size_class);
  if (hak_unlikely(ring == NULL)) ring = make_ring(size_class);
  if (ring == NULL) return NULL;
  hak_lock_acquire(&ring->lock);
  bool is_old = n_of(ring) > ring->capacity / 2;
  void* block = is_old ? take_old(ring, size_class) : take_fresh(ring, size_class);
  hak_lock_release(&ring->lock);
  if (is_old) check(block, size_class);
  return block;
}

void hak_quarantine_put(unsigned size_class, void* block) {
  ring_t* ring = ring_of(size_class);  // the block has come from it
  void* leaving[MAX_LEAVING];
  unsigned n_leaving = 0;
  fill(block, size_class);
  hak_lock_acquire(&ring->lock);
  uint32_t n = (uint32_t)hak_min_size(ring->capacity / 8, MAX_LEAVING);
  if (n_of(ring) == ring->capacity) n_leaving = take_leaving(ring, size_class, leaving, n);
  *slot_of(ring, n_of(ring)) = block;
  set_n(ring, n_of(ring) + 1);
  hak_lock_release(&ring->lock);
  send_home(size_class, leaving, n_leaving);
}

static void empty(unsigned size_class) {
  ring_t* ring = ring_of(size_class);
  if (ring == NULL) return;
  void* leaving[MAX_LEAVING];
  unsigned n;
  do {
    hak_lock_acquire(&ring->lock);
    n = take_leaving(ring, size_class, leaving, MAX_LEAVING);
    hak_lock_release(&ring->lock);
    send_home(size_class, leaving, n);
  } while (n != 0);
  // (Those that no program has had need not be filled.)
  hak_lock_acquire(&ring->lock);
  n = hak_load_relaxed(&ring->n_fresh);
  if (n != 0) memcpy(leaving, ring->fresh, n * sizeof *leaving);
  hak_store_relaxed(&ring->n_fresh, 0);
  hak_lock_release(&ring->lock);
  if (n != 0) hak_flush_blocks(NULL, leaving, n);
}

void hak_quarantine_empty(void) {
  hak_guarded_empty();
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) empty(c);
}

static_assert(MAX_FRESH <= MAX_LEAVING, "see empty");

// ---- after a fork ----

// What was being moved may be there twice, or not at all.
static void repair(bool is_whole) {
  (void)is_whole;
  hak_guarded_repair();
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    ring_t* ring = ring_of(c);
    if (ring == NULL || !hak_lock_repair(&ring->lock)) continue;
    set_n(ring, 0);
    hak_store_relaxed(&ring->n_fresh, 0);
  }
}
HAK_REPAIR(HARDENED, repair, NULL);
