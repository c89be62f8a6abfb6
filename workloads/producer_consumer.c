// producer_consumer: blocks that are freed by another thread than the one that allocated them. Each
// pair is a producer, which allocates, and a consumer, which frees what comes through a bounded
// ring; a given per cent of the blocks goes that way, the rest is freed by the producer itself
// after a short life.
//
// How often either side had to wait is part of the result: a pair that waits all the time measures
// its slower half.

#include <inttypes.h>

#include "workloads/harness/block.h"
#include "workloads/harness/harness.h"
#include "workloads/harness/ring.h"
#include "workloads/harness/rng.h"
#include "workloads/harness/wait.h"

enum { CLOCK_STRIDE = 256 };

typedef struct pc_plan {
  uint64_t blocks;   // of each producer; ignored when seconds are given
  uint64_t seconds;  // 0: count blocks
  uint64_t pairs;
  uint64_t capacity;  // a power of two
  uint64_t batch;
  uint64_t remote_percent;
  wl_ring* rings;
} pc_plan;

typedef struct pc_producer {
  wl_worker* worker;
  const pc_plan* shared;
  wl_ring* ring;
  wl_rng rng;
  wl_handed* local;  // the last `batch` blocks that this thread will free itself
  uint64_t local_count;
} pc_producer;

static size_t size_of(const wl_run* run, uint64_t draw) {
  return run->min_bytes + wl_low(draw, run->max_bytes - run->min_bytes + 1);
}

static void release(wl_worker* worker, wl_handed item) {
  if (worker->run->touch != WL_TOUCH_NONE) {
    (void)*(volatile unsigned char*)item.block;  // the consumer of a message reads it
  }
  wl_drop_block(worker, item.block, size_of(worker->run, item.tag), item.tag);
}

// Waits until the ring has room for one entry; false when the run has failed meanwhile. A full ring
// is waited for until half of it is free: else the two threads would change places for every batch.
static bool wait_for_room(const wl_run* run, wl_ring* ring) {
  if (wl_ring_has_room(ring, 1)) return true;
  wl_ring_publish(ring);
  ring->waits_full++;
  wl_waiter waiter = {0};
  do {
    if (wl_has_failed(run)) return false;
    wl_wait_step(&waiter);
  } while (!wl_ring_has_room(ring, (ring->capacity + 1) / 2));
  return true;
}

static void send(pc_producer* self, wl_handed item) {
  if (!wait_for_room(self->worker->run, self->ring)) return;
  wl_ring_put(self->ring, item, self->shared->batch);
}

// Frees the oldest of the thread's own blocks when `batch` of them are waiting.
static void keep_for_a_while(pc_producer* self, wl_handed item) {
  uint64_t place = self->local_count++ % self->shared->batch;
  if (self->local[place].block != NULL) release(self->worker, self->local[place]);
  self->local[place] = item;
}

// Makes `blocks` blocks, or as many as it can in `seconds` if these are given; then closes the ring
// and frees what is left of its own.
static void produce(wl_worker* worker, uint64_t blocks, uint64_t seconds) {
  const pc_plan* plan = worker->shared;
  pc_producer* self = worker->state;
  uint64_t deadline = seconds > 0 ? wl_now_ns() + seconds * 1000000000u : 0;
  uint64_t made = 0;
  uint64_t sum = 0;
  while (deadline != 0 ? made % CLOCK_STRIDE != 0 || wl_now_ns() < deadline : made < blocks) {
    uint64_t draw = wl_next(&self->rng);
    bool is_remote = wl_high(draw, 100) < plan->remote_percent;
    size_t size = size_of(worker->run, draw);
    wl_handed item = {wl_has_failed(worker->run) ? NULL : wl_make_block(worker, size, draw), draw};
    if (item.block == NULL) break;
    if (is_remote) {
      send(self, item);
    } else {
      keep_for_a_while(self, item);
    }
    made++;
    sum += draw;
  }
  wl_ring_close(self->ring);
  for (uint64_t i = 0; i < plan->batch; i++) {
    if (self->local[i].block != NULL) release(worker, self->local[i]);
    self->local[i].block = NULL;
  }
  worker->checksum += sum;
  // A malloc for each block, and a free for those that stayed here; the consumer counts the others.
  worker->ops = made + self->local_count;
  self->local_count = 0;
}

// Frees what comes until the ring is closed and empty; then opens it again.
static void consume(wl_worker* worker) {
  const pc_plan* plan = worker->shared;
  wl_ring* ring = worker->state;
  uint64_t freed = 0;
  wl_waiter waiter = {0};
  for (;;) {
    uint64_t ready = wl_ring_ready(ring);
    if (ready == 0) {
      if (wl_ring_has_ended(ring) || wl_has_failed(worker->run)) break;
      if (waiter.spins == 0) ring->waits_empty++;
      wl_wait_step(&waiter);
      continue;
    }
    waiter = (wl_waiter){0};
    if (ready > plan->batch) ready = plan->batch;
    for (uint64_t i = 0; i < ready; i++) {
      wl_handed item = wl_ring_at(ring, i);
      worker->checksum += item.tag;
      release(worker, item);
    }
    wl_ring_take(ring, ready);
    freed += ready;
  }
  wl_ring_reopen(ring);
  worker->ops = freed;
}

// Workers 2k and 2k + 1 are the producer and the consumer of ring k. The warm-up is the same work:
// the two of a pair set up at the same time.
static void set_up(wl_worker* worker) {
  const pc_plan* plan = worker->shared;
  wl_ring* ring = &plan->rings[worker->index / 2];
  if (worker->index % 2 == 1) {
    worker->state = ring;
    consume(worker);
    ring->waits_empty = 0;
    return;
  }
  pc_producer* self = wl_map(sizeof(*self));
  self->worker = worker;
  self->shared = plan;
  self->ring = ring;
  self->rng = wl_rng_make(worker->run->seed, worker->index);
  self->local = wl_map(plan->batch * sizeof(*self->local));
  worker->state = self;
  produce(worker, worker->run->warmup, 0);
  ring->waits_full = 0;
}

static void timed(wl_worker* worker) {
  const pc_plan* plan = worker->shared;
  if (worker->index % 2 == 0) {
    produce(worker, plan->blocks, plan->seconds);
  } else {
    consume(worker);
  }
}

static void report(wl_run* run, const pc_plan* plan) {
  uint64_t full = 0;
  uint64_t empty = 0;
  for (uint64_t i = 0; i < plan->pairs; i++) {
    full += plan->rings[i].waits_full;
    empty += plan->rings[i].waits_empty;
  }
  wl_add_u64(run, "pairs", plan->pairs);
  wl_add_u64(run, "remote_percent", plan->remote_percent);
  wl_add_u64(run, "queue", plan->capacity);
  wl_add_u64(run, "batch", plan->batch);
  wl_add_u64(run, "waits_full", full);
  wl_add_u64(run, "waits_empty", empty);
  wl_report(run);
}

int main(int argc, char** argv) {
  wl_run run = wl_run_defaults();
  pc_plan plan = {
      .blocks = 5000000, .pairs = 1, .capacity = 4096, .batch = 32, .remote_percent = 100};
  const wl_option positionals[] = {
      {"BLOCKS", WL_NUMBER, &plan.blocks, NULL, 1, UINT64_MAX / WL_MAX_THREADS,
       "blocks of each producer"},
  };
  const wl_option options[] = {
      {"seconds", WL_NUMBER, &plan.seconds, "N", 0, 86400,
       "run for a time instead of a number of blocks"},
      {"pairs", WL_NUMBER, &plan.pairs, "N", 1, WL_MAX_THREADS / 2,
       "pairs of a producer and a consumer thread"},
      {"queue", WL_NUMBER, &plan.capacity, "N", 1, 1u << 24, "entries of a ring, a power of two"},
      {"batch", WL_NUMBER, &plan.batch, "N", 1, 1u << 24, "blocks handed over at a time"},
      {"remote", WL_NUMBER, &plan.remote_percent, "PERCENT", 0, 100,
       "blocks that the consumer frees"},
  };
  const wl_program program = {
      .name = "producer_consumer",
      .about =
          "Producers allocate, consumers free: one operation is one malloc or one free.\n"
          "The warm-up is twice the queue unless --warmup says otherwise.",
      .positionals = positionals,
      .positional_count = WL_COUNT(positionals),
      .options = options,
      .option_count = WL_COUNT(options),
      .features = WL_HAS_SEED | WL_HAS_SIZES | WL_HAS_TOUCH | WL_HAS_WARMUP | WL_HAS_VERIFY |
                  WL_HAS_LATENCY,
  };
  wl_begin(&run, &program, argc, argv);
  if ((plan.capacity & (plan.capacity - 1)) != 0) {
    wl_reject(&run, "--queue: %" PRIu64 " is not a power of two", plan.capacity);
  }
  if (plan.batch > plan.capacity) {
    wl_reject(&run, "--batch: %" PRIu64 " is above --queue %" PRIu64, plan.batch, plan.capacity);
  }
  if (run.warmup == WL_UNSET) run.warmup = 2 * plan.capacity;
  plan.rings = wl_map(plan.pairs * sizeof(*plan.rings));
  for (uint64_t i = 0; i < plan.pairs; i++) wl_ring_init(&plan.rings[i], plan.capacity);
  run.threads = 2 * plan.pairs;
  wl_run_workers(&run, &(wl_phases){set_up, timed, NULL}, &plan);
  report(&run, &plan);
  return wl_end(&run);
}
