// The hash table of stacks and that of addresses.

#include "hakmem/profile/stacks.h"

#include <string.h>

#include "hakmem/base/config.h"
#include "hakmem/page_map/meta.h"

static hak_stack_t** buckets;          // lock:PROFILE
static _Atomic(uintptr_t)* addresses;  // by number - 1; 0: free. Linear probing.
static unsigned n_addresses;           // lock:PROFILE
static size_t stack_bytes;             // lock:PROFILE
static _Atomic(hak_stack_t*) newest;
static hak_stack_t without_frames;

static uint64_t mix(uint64_t x) {
  x *= UINT64_C(0x9e3779b97f4a7c15);
  return x ^ (x >> 29);
}

bool hak_stacks_start(void) {
  if (buckets != NULL) return true;
  if (addresses == NULL) {
    addresses = hak_meta_alloc(HAK_PROFILE_ADDRESSES * sizeof *addresses, HAK_CACHE_LINE);
  }
  if (addresses == NULL) return false;
  buckets = hak_meta_alloc(HAK_PROFILE_BUCKETS * sizeof *buckets, HAK_CACHE_LINE);
  return buckets != NULL;
}

hak_tally_kind_t hak_tally_freed_after(uint64_t ns) {
  const uint64_t ms = 1000000;
  if (ns < ms) return HAK_TALLY_FREED_1MS;
  if (ns < 1000 * ms) return HAK_TALLY_FREED_1S;
  return ns < 60000 * ms ? HAK_TALLY_FREED_1MIN : HAK_TALLY_FREED_LATER;
}

const char* hak_tally_name(hak_tally_kind_t kind, bool is_space, char name[HAK_TALLY_NAME_BYTES]) {
  static const char names[HAK_N_TALLIES][16] = {
      "alloc_", "inuse_", "peak_", "freed_1ms_", "freed_1s_", "freed_1min_", "freed_later_",
  };
  strcpy(name, names[kind]);
  return strcat(name, is_space ? "space" : "objects");
}

// ---- addresses ----

// The place of an address: where it is, or may be put.
static uint32_t place_of(uintptr_t address) {
  uint32_t at = (uint32_t)(mix(address) >> 32) % HAK_PROFILE_ADDRESSES;
  for (;;) {
    uintptr_t there = hak_load_relaxed(&addresses[at]);
    if (there == 0 || there == address) return at;
    at = (at + 1) % HAK_PROFILE_ADDRESSES;
  }
}

// A quarter stays free, so that a place is found soon.
static bool add_address(uintptr_t address) {
  uint32_t at = place_of(address);
  if (hak_load_relaxed(&addresses[at]) != 0) return true;
  if (n_addresses >= HAK_PROFILE_ADDRESSES / 4 * 3) return false;
  n_addresses++;
  hak_store_release(&addresses[at], address);
  return true;
}

uint32_t hak_stacks_number(uintptr_t address) { return place_of(address) + 1; }

void hak_stacks_visit_addresses(void (*visit)(uintptr_t address, uint32_t number, void* context),
                                void* context) {
  for (uint32_t i = 0; addresses != NULL && i < HAK_PROFILE_ADDRESSES; i++) {
    uintptr_t address = hak_load_acquire(&addresses[i]);
    if (address != 0) visit(address, i + 1, context);
  }
}

// ---- stacks ----

static uint64_t hash_of(const uintptr_t* frames, unsigned n) {
  uint64_t hash = n;
  for (unsigned i = 0; i < n; i++) hash = mix(hash ^ frames[i]);
  return hash;
}

static void publish(hak_stack_t* stack) {
  stack->next = hak_load_relaxed(&newest);
  hak_store_release(&newest, stack);
}

static hak_stack_t* overflow(void) {
  if (without_frames.hash == 0) {
    without_frames.hash = 1;  // it is in the list
    publish(&without_frames);
  }
  return &without_frames;
}

hak_stack_t* hak_stacks_find(const uintptr_t* frames, unsigned n) {
  uint64_t hash = hash_of(frames, n);
  hak_stack_t** bucket = &buckets[hash % HAK_PROFILE_BUCKETS];
  size_t bytes = n * sizeof *frames;
  for (hak_stack_t* at = *bucket; at != NULL; at = at->next_in_bucket) {
    if (at->hash == hash && at->n_frames == n && memcmp(at->frames, frames, bytes) == 0) return at;
  }
  if (n == 0 || stack_bytes + sizeof(hak_stack_t) + bytes > HAK_PROFILE_STACK_BYTES) {
    return overflow();
  }
  for (unsigned i = 0; i < n; i++) {
    if (!add_address(frames[i])) return overflow();
  }
  hak_stack_t* stack = hak_meta_alloc(sizeof *stack + bytes, alignof(hak_stack_t));
  if (stack == NULL) return overflow();
  stack_bytes += sizeof *stack + bytes;
  stack->hash = hash;
  stack->n_frames = n;
  memcpy(stack->frames, frames, bytes);
  stack->next_in_bucket = *bucket;
  publish(stack);
  *bucket = stack;
  return stack;
}

hak_stack_t* hak_stacks_all(void) { return hak_load_acquire(&newest); }
