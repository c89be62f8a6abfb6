// server: request threads as a network service has them. A request is a burst of small blocks of
// many sizes, freed when it ends, but for a few survivors (sessions, cache entries) that go into a
// table shared by all threads: whoever puts its own entry in that place later frees the old one, so
// that survivors die on another thread. Threads serve a number of requests, die and are replaced.

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "workloads/harness/block.h"
#include "workloads/harness/harness.h"
#include "workloads/harness/rng.h"

enum { MAX_BURST = 4096, HEADER_BYTES = 16 };

typedef struct server_plan {
  uint64_t requests;   // of each request thread's place, over all its replacements
  uint64_t burst;      // blocks of one request
  uint64_t survivors;  // of them
  uint64_t sessions;   // places for survivors
  uint64_t lifetime;   // requests after which a thread is replaced
  _Atomic(void*)* table;
} server_plan;

// One place for a request thread: the worker keeps it filled with one thread after another.
typedef struct server_place {
  wl_worker* worker;
  wl_rng rng;
  uint64_t left;  // requests to be served
} server_place;

// Sizes of a request: mostly small strings and nodes, some buffers, few large ones.
static size_t draw_size(uint64_t draw) {
  static const struct {
    uint32_t per_mille;  // cumulated
    uint32_t min, max;
  } kSizes[] = {{700, 16, 128}, {950, 129, 1024}, {1000, 1025, 16384}};
  uint64_t kind = wl_high(draw, 1000);
  size_t row = 0;
  while (kind >= kSizes[row].per_mille) row++;
  return kSizes[row].min + wl_low(draw, kSizes[row].max - kSizes[row].min + 1);
}

// Every block of the service begins with its size and tag, so that any thread can check it.
typedef struct server_header {
  uint64_t size;
  uint64_t tag;
} server_header;

_Static_assert(sizeof(server_header) == HEADER_BYTES, "the smallest block is a header");

static void* allocate(wl_worker* worker, uint64_t draw) {
  const wl_run* run = worker->run;
  size_t size = draw_size(draw);
  server_header* block = wl_malloc(worker, size);
  if (block == NULL) return NULL;
  if (run->verify) {
    *block = (server_header){size, draw};
    wl_pattern_write(block + 1, size - HEADER_BYTES, draw);
  } else {
    wl_touch_block(block, size, run->touch);
  }
  return block;
}

static void check(wl_worker* worker, const void* block) {
  const server_header* header = block;
  if (worker->run->verify &&
      (header->size != draw_size(header->tag) ||
       !wl_pattern_holds(header + 1, header->size - HEADER_BYTES, header->tag))) {
    wl_fail(worker->run, "a block at %p lost its contents", block);
  }
}

static void release(wl_worker* worker, void* block) {
  check(worker, block);
  wl_free(worker, block);
}

// Serves one request; returns the number of calls.
static uint64_t serve(server_place* place) {
  wl_worker* worker = place->worker;
  const server_plan* plan = worker->shared;
  void* blocks[MAX_BURST];
  uint64_t calls = 0;
  uint64_t count = 0;
  while (count < plan->burst) {
    uint64_t draw = wl_next(&place->rng);
    void* block = allocate(worker, draw);
    if (block == NULL) break;
    worker->checksum += draw;
    calls++;
    if (draw % 4 != 0) {
      blocks[count++] = block;
    } else {  // a temporary
      release(worker, block);
      calls++;
    }
  }
  for (uint64_t i = 0; i < count; i++) {
    void* done = blocks[i];
    if (i < plan->survivors) {
      uint64_t session = wl_high(wl_next(&place->rng), plan->sessions);
      done = atomic_exchange_explicit(&plan->table[session], done, memory_order_acq_rel);
    }
    if (done == NULL) continue;
    release(worker, done);
    calls++;
  }
  return calls;
}

static void* request_thread(void* argument) {
  server_place* place = argument;
  const server_plan* plan = place->worker->shared;
  uint64_t requests = place->left < plan->lifetime ? place->left : plan->lifetime;
  for (uint64_t i = 0; i < requests && !wl_has_failed(place->worker->run); i++) {
    place->worker->ops += serve(place);
  }
  place->left -= requests;
  return NULL;
}

static void serve_all(wl_worker* worker, uint64_t requests) {
  server_place* place = worker->state;
  place->left = requests;
  while (place->left > 0 && !wl_has_failed(worker->run)) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, request_thread, place);
    if (error != 0) {
      wl_fail(worker->run, "cannot start a request thread: %s", strerror(error));
      return;
    }
    pthread_join(thread, NULL);
  }
}

static void set_up(wl_worker* worker) {
  server_place* place = wl_map(sizeof(*place));
  place->worker = worker;
  place->rng = wl_rng_make(worker->run->seed, worker->index);
  worker->state = place;
  serve_all(worker, worker->run->warmup);
}

static void timed(wl_worker* worker) {
  const server_plan* plan = worker->shared;
  serve_all(worker, plan->requests);
}

// Requests of each thread until the table is full to within 5 %: three survivors for each place.
static uint64_t requests_to_fill(const wl_run* run, const server_plan* plan) {
  return plan->survivors == 0 ? 0 : 3 * plan->sessions / (plan->survivors * run->threads) + 1;
}

// The first worker empties the table, when all others have stopped using it.
static void tear_down(wl_worker* worker) {
  const server_plan* plan = worker->shared;
  if (worker->index != 0) return;
  for (uint64_t i = 0; i < plan->sessions; i++) {
    void* block = atomic_load_explicit(&plan->table[i], memory_order_acquire);
    if (block == NULL) continue;
    check(worker, block);
    free(block);
  }
}

int main(int argc, char** argv) {
  wl_run run = wl_run_defaults();
  run.threads = 2;
  server_plan plan = {
      .requests = 20000, .burst = 64, .survivors = 3, .sessions = 10000, .lifetime = 1000};
  const wl_option positionals[] = {
      {"REQUESTS", WL_NUMBER, &plan.requests, NULL, 1, UINT64_MAX / WL_MAX_THREADS,
       "requests of each thread"},
  };
  const wl_option options[] = {
      {"burst", WL_NUMBER, &plan.burst, "N", 1, MAX_BURST,
       "blocks that a request holds at its end"},
      {"survivors", WL_NUMBER, &plan.survivors, "N", 0, MAX_BURST, "of them, kept in the table"},
      {"sessions", WL_NUMBER, &plan.sessions, "N", 1, 1u << 28, "places in the table"},
      {"lifetime", WL_NUMBER, &plan.lifetime, "N", 1, UINT64_MAX - 1,
       "requests after which a thread is replaced"},
  };
  const wl_program program = {
      .name = "server",
      .about =
          "Request threads that allocate in bursts, pass survivors to one another, die and "
          "are replaced.\nThe warm-up, in requests, fills the table unless --warmup says "
          "otherwise.",
      .positionals = positionals,
      .positional_count = WL_COUNT(positionals),
      .options = options,
      .option_count = WL_COUNT(options),
      .features = WL_HAS_SEED | WL_HAS_THREADS | WL_HAS_TOUCH | WL_HAS_WARMUP | WL_HAS_VERIFY |
                  WL_HAS_LATENCY,
  };
  wl_begin(&run, &program, argc, argv);
  if (plan.survivors > plan.burst) wl_reject(&run, "--survivors is above --burst");
  if (run.warmup == WL_UNSET) run.warmup = requests_to_fill(&run, &plan);
  plan.table = wl_map(plan.sessions * sizeof(*plan.table));
  wl_run_workers(&run, &(wl_phases){set_up, timed, tear_down}, &plan);
  uint64_t started = (plan.requests + plan.lifetime - 1) / plan.lifetime * run.threads;
  wl_add_u64(&run, "requests", plan.requests * run.threads);
  wl_add_u64(&run, "threads_started", started);
  wl_add_u64(&run, "burst", plan.burst);
  wl_add_u64(&run, "survivors", plan.survivors);
  wl_add_u64(&run, "sessions", plan.sessions);
  wl_report(&run);
  return wl_end(&run);
}
