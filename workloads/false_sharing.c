// false_sharing: threads that write to small blocks of their own. An allocator that hands parts of
// one cache line to two threads makes them slow each other down, though they share nothing.
//
// active: every thread allocates a block, writes to it many times, frees it, and so on. passive:
// the same, but the first blocks are neighbours, allocated by one thread and given to the others;
// an allocator that puts a freed block into the cache of the thread that freed it then keeps
// handing out parts of shared lines.

#include <stdatomic.h>
#include <stdlib.h>

#include "workloads/harness/harness.h"

enum { CACHE_LINE = 64, HAND = 16 };  // HAND: blocks of a thread in a round

typedef enum sharing { SHARING_ACTIVE, SHARING_PASSIVE } sharing;

// The cache line a thread writes to at the moment, on a line of its own.
typedef struct fs_place {
  _Alignas(CACHE_LINE) _Atomic uint64_t line;
  void* given[HAND];  // passive: what it starts with
} fs_place;

typedef struct fs_plan {
  uint64_t rounds;  // of each worker: allocate, write, free
  uint64_t writes;  // to a block
  uint64_t bytes;
  unsigned sharing;
  fs_place* places;
  _Atomic uint64_t shared;  // blocks that were begun while another thread wrote to the same line
} fs_plan;

static uint64_t line_of(const void* block) { return (uintptr_t)block / CACHE_LINE; }

// Writes to the first byte only: the smallest block has no more.
static void write_many(volatile unsigned char* block, uint64_t writes) {
  for (uint64_t i = 0; i < writes; i++) *block = (unsigned char)(*block + 1);
}

static bool is_shared(const fs_plan* plan, const wl_worker* worker, uint64_t line) {
  for (uint64_t i = 0; i < worker->run->threads; i++) {
    if (i != worker->index &&
        atomic_load_explicit(&plan->places[i].line, memory_order_relaxed) == line) {
      return true;
    }
  }
  return false;
}

static void set_up(wl_worker* worker) {
  fs_plan* plan = worker->shared;
  uint64_t threads = worker->run->threads;
  if (plan->sharing != SHARING_PASSIVE || worker->index != 0) return;
  for (uint64_t i = 0; i < HAND * threads; i++) {
    void* block = malloc(plan->bytes);
    if (block == NULL) wl_fail(worker->run, "malloc returned no memory");
    plan->places[i % threads].given[i / threads] = block;
  }
}

static bool allocate_hand(wl_worker* worker, void* hand[HAND]) {
  const fs_plan* plan = worker->shared;
  for (size_t i = 0; i < HAND; i++) {
    hand[i] = malloc(plan->bytes);
    if (hand[i] != NULL) continue;
    wl_fail(worker->run, "malloc(%llu) returned no memory", (unsigned long long)plan->bytes);
    return false;
  }
  return true;
}

static void timed(wl_worker* worker) {
  fs_plan* plan = worker->shared;
  fs_place* place = &plan->places[worker->index];
  uint64_t shared = 0;
  void* hand[HAND];
  for (size_t i = 0; i < HAND; i++) free(place->given[i]);
  for (uint64_t round = 0; round < plan->rounds && allocate_hand(worker, hand); round++) {
    for (size_t i = 0; i < HAND; i++) {
      uint64_t line = line_of(hand[i]);
      atomic_store_explicit(&place->line, line, memory_order_relaxed);
      shared += is_shared(plan, worker, line);
      write_many(hand[i], plan->writes);
    }
    for (size_t i = 0; i < HAND; i++) free(hand[i]);
  }
  atomic_store_explicit(&place->line, 0, memory_order_relaxed);
  atomic_fetch_add_explicit(&plan->shared, shared, memory_order_relaxed);
  worker->ops = plan->rounds * HAND * plan->writes;
}

int main(int argc, char** argv) {
  static const char* const kNames[] = {"active", "passive"};
  wl_run run = wl_run_defaults();
  run.threads = 2;
  fs_plan plan = {.rounds = 10000, .writes = 500, .bytes = 8};
  const wl_option positionals[] = {
      {"ROUNDS", WL_NUMBER, &plan.rounds, NULL, 1, UINT64_MAX >> 32,
       "rounds of each thread: allocate, write, free"},
  };
  const wl_option options[] = {
      {"writes", WL_NUMBER, &plan.writes, "N", 1, 1u << 20, "writes to each block of a round"},
      {"bytes", WL_NUMBER, &plan.bytes, "N", 1, 4096, "size of a block"},
      {"sharing", WL_CHOICE, &plan.sharing, "active|passive", 0, 0,
       "passive: the threads start by freeing neighbours"},
  };
  const wl_program program = {
      .name = "false_sharing",
      .about = "Threads that write to small blocks of their own; one operation is one write.",
      .positionals = positionals,
      .positional_count = WL_COUNT(positionals),
      .options = options,
      .option_count = WL_COUNT(options),
      .features = WL_HAS_THREADS,
  };
  wl_begin(&run, &program, argc, argv);
  plan.places = wl_map(run.threads * sizeof(*plan.places));
  wl_run_workers(&run, &(wl_phases){set_up, timed, NULL}, &plan);
  run.checksum = run.ops;
  wl_add_text(&run, "sharing", kNames[plan.sharing]);
  wl_add_u64(&run, "block_bytes", plan.bytes);
  wl_add_u64(&run, "writes", plan.writes);
  wl_add_double(&run, "shared_percent",
                100.0 * (double)plan.shared / (double)(plan.rounds * HAND * run.threads));
  wl_report(&run);
  return wl_end(&run);
}
