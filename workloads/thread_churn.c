// thread_churn: short-lived threads that each make a few small blocks, free most of them and leave
// the rest to the thread that started them. Shows what a thread costs an allocator, in time and in
// memory that stays behind.

#include <pthread.h>
#include <string.h>

#include "workloads/harness/block.h"
#include "workloads/harness/harness.h"
#include "workloads/harness/rng.h"

enum { MAX_BLOCKS = 4096 };

typedef struct churn_plan {
  uint64_t lives;   // threads started by each worker, one after another
  uint64_t blocks;  // of each of them
  uint64_t left;    // of these, freed by the starter after the thread's end
} churn_plan;

typedef struct churn_block {
  void* block;
  size_t size;
  uint64_t tag;
} churn_block;

typedef struct churn_state {
  wl_worker* worker;
  wl_rng rng;
  uint64_t made;  // by the last thread
  churn_block blocks[MAX_BLOCKS];
} churn_state;

static void release(wl_worker* worker, const churn_block* item) {
  wl_drop_block(worker, item->block, item->size, item->tag);
}

static bool allocate(wl_worker* worker, uint64_t draw, churn_block* item) {
  const wl_run* run = worker->run;
  item->size = run->min_bytes + wl_low(draw, run->max_bytes - run->min_bytes + 1);
  item->tag = draw;
  item->block = wl_make_block(worker, item->size, draw);
  return item->block != NULL;
}

static void* short_life(void* argument) {
  churn_state* state = argument;
  wl_worker* worker = state->worker;
  const churn_plan* plan = worker->shared;
  for (state->made = 0; state->made < plan->blocks; state->made++) {
    uint64_t draw = wl_next(&state->rng);
    if (!allocate(worker, draw, &state->blocks[state->made])) return NULL;
    worker->checksum += draw;
  }
  for (uint64_t i = plan->left; i < state->made; i++) release(worker, &state->blocks[i]);
  return NULL;
}

static bool one_life(churn_state* state) {
  pthread_t thread;
  int error = pthread_create(&thread, NULL, short_life, state);
  if (error != 0) {
    wl_fail(state->worker->run, "cannot start a thread: %s", strerror(error));
    return false;
  }
  pthread_join(thread, NULL);
  const churn_plan* plan = state->worker->shared;
  uint64_t left = plan->left < state->made ? plan->left : state->made;
  for (uint64_t i = 0; i < left; i++) release(state->worker, &state->blocks[i]);
  state->worker->ops += 2 * state->made;
  return !wl_has_failed(state->worker->run);
}

static void set_up(wl_worker* worker) {
  churn_state* state = wl_map(sizeof(*state));
  state->worker = worker;
  state->rng = wl_rng_make(worker->run->seed, worker->index);
  worker->state = state;
  for (uint64_t i = 0; i < worker->run->warmup && one_life(state); i++) continue;
}

static void timed(wl_worker* worker) {
  const churn_plan* plan = worker->shared;
  for (uint64_t i = 0; i < plan->lives && one_life(worker->state); i++) continue;
}

int main(int argc, char** argv) {
  wl_run run = wl_run_defaults();
  run.warmup = 100;
  churn_plan plan = {.lives = 10000, .blocks = 20, .left = 5};
  const wl_option positionals[] = {
      {"LIVES", WL_NUMBER, &plan.lives, NULL, 1, UINT64_MAX >> 32,
       "threads started one after another by each thread"},
  };
  const wl_option options[] = {
      {"blocks", WL_NUMBER, &plan.blocks, "N", 0, MAX_BLOCKS, "blocks made by each of them"},
      {"left", WL_NUMBER, &plan.left, "N", 0, MAX_BLOCKS, "of these, freed after the thread's end"},
  };
  const wl_program program = {
      .name = "thread_churn",
      .about = "Short-lived threads; the warm-up counts lives.",
      .positionals = positionals,
      .positional_count = WL_COUNT(positionals),
      .options = options,
      .option_count = WL_COUNT(options),
      .features = WL_HAS_SEED | WL_HAS_THREADS | WL_HAS_SIZES | WL_HAS_TOUCH | WL_HAS_WARMUP |
                  WL_HAS_VERIFY | WL_HAS_LATENCY,
  };
  wl_begin(&run, &program, argc, argv);
  if (plan.left > plan.blocks) wl_reject(&run, "--left is above --blocks");
  wl_run_workers(&run, &(wl_phases){set_up, timed, NULL}, &plan);
  uint64_t lives = plan.lives * run.threads;
  wl_add_u64(&run, "lives", lives);
  wl_add_u64(&run, "blocks", plan.blocks);
  wl_add_u64(&run, "left", plan.left);
  wl_add_double(&run, "ns_per_life", (double)(run.end.ns - run.begin.ns) / (double)lives);
  wl_report(&run);
  return wl_end(&run);
}
