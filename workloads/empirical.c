// empirical: sizes and lifetimes as a program had them. Sizes are born in proportion to their
// rates; a block lives for a random time, exponentially distributed, with the mean at which its
// size's live number holds (live / rate: Little's law), scaled so that the whole heap has the size
// asked for. The heap starts with the blocks of its steady state; a warm-up of births and deaths
// then leaves the holes that go with it.
//
// With --remote, threads free each other's blocks: each hands that share of those it would free to
// the next thread, through a ring, and frees what the one before handed to it. The exchange touches
// no block and calls no malloc, and as many blocks come as go: but for those in a ring, at most
// RING_BLOCKS, the heap stays as the profile has it.
//
// All decisions are made before the clock starts and stand in a list of events; the timed loop only
// reads it.

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "workloads/harness/block.h"
#include "workloads/harness/harness.h"
#include "workloads/harness/ring.h"
#include "workloads/harness/rng.h"
#include "workloads/harness/wait.h"
#include "workloads/profile.h"

enum {
  MAX_BIRTHS = 1 << 30,
  RING_BLOCKS = 1024,
  HAND_BATCH = 32,  // blocks that become visible to the next thread at a time
};

typedef struct empirical_plan {
  uint64_t births;          // of each worker in the timed region
  uint64_t heap_bytes;      // live bytes of all workers together
  uint64_t remote_percent;  // of the frees are another thread's
  const char* path;         // NULL: the built-in profile
  wl_profile profile;
  double* cumulated;              // rates of rows 0..i over the sum of all: for drawing a row
  wl_ring* rings;                 // [threads] to worker i from the one before; NULL: none
  _Atomic uint64_t live_bytes;    // result: at the end of the timed region
  _Atomic uint64_t remote_frees;  // result: in the timed region
} empirical_plan;

// size 0: free what the slot holds; else allocate into it.
typedef struct event {
  uint32_t slot;
  uint32_t size;
} event;

// The list being written. Slots are numbers of blocks that are live at the same time; a slot that
// was freed is used again. Deaths wait in a list for each moment (counted in births); next[] links
// the slots of one moment.
typedef struct schedule {
  const empirical_plan* plan;
  wl_rng rng;
  double heap_scale;  // of this worker
  uint64_t births;    // of this worker, those of the warm-up included
  event* events;
  uint64_t event_count;
  uint32_t* due;   // [births] first slot that dies at this moment, 0 none; slots count from 1 here
  uint32_t* next;  // [slots]
  uint32_t* free_slots;
  uint64_t free_count;
  uint64_t slot_count;
} schedule;

typedef struct empirical_state {
  event* events;
  uint64_t untimed_count;  // events that come before the clock starts
  uint64_t event_count;
  void** slots;
  uint32_t* sizes;
  uint64_t slot_count;
  wl_ring* incoming;  // from the thread before; both NULL without --remote
  wl_ring* outgoing;  // to the next
  uint64_t share;     // per cent of a free that are yet to be handed over
  uint64_t remote_frees;
} empirical_state;

static double uniform(schedule* self) { return (double)(wl_next(&self->rng) >> 11) * 0x1p-53; }

static double total_rate(const wl_profile* profile) {
  double sum = 0;
  for (size_t i = 0; i < profile->count; i++) sum += profile->rows[i].rate;
  return sum;
}

static const wl_profile_row* draw_row(schedule* self) {
  const empirical_plan* plan = self->plan;
  double wanted = uniform(self);
  size_t low = 0;
  size_t high = plan->profile.count - 1;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (plan->cumulated[middle] > wanted) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return &plan->profile.rows[low];
}

// Notes the birth of a block at moment `now` and its death, if that comes before the end.
static void be_born(schedule* self, const wl_profile_row* row, uint64_t now, double rate_sum) {
  uint32_t slot =
      self->free_count > 0 ? self->free_slots[--self->free_count] : (uint32_t)self->slot_count++;
  double mean = row->live * self->heap_scale * rate_sum / row->rate;
  double death = (double)now + 1 - log1p(-uniform(self)) * mean;
  self->events[self->event_count++] = (event){slot, (uint32_t)row->size};
  if (death >= (double)self->births) return;
  uint64_t moment = (uint64_t)death;
  self->next[slot] = self->due[moment];
  self->due[moment] = slot + 1;
}

static void die_at(schedule* self, uint64_t moment) {
  for (uint32_t link = self->due[moment]; link != 0; link = self->next[link - 1]) {
    uint32_t slot = link - 1;
    self->events[self->event_count++] = (event){slot, 0};
    self->free_slots[self->free_count++] = slot;
  }
}

// The blocks that are live when the clock starts: `live` of each row, scaled; a fraction of a block
// by chance. In random order, so that sizes lie mixed.
static void build_heap(schedule* self, double rate_sum) {
  const wl_profile* profile = &self->plan->profile;
  for (size_t i = 0; i < profile->count; i++) {
    double live = profile->rows[i].live * self->heap_scale;
    uint64_t count = (uint64_t)(live + uniform(self));
    for (uint64_t k = 0; k < count; k++) be_born(self, &profile->rows[i], 0, rate_sum);
  }
  for (uint64_t i = self->event_count; i > 1; i--) {
    uint64_t other = wl_high(wl_next(&self->rng), i);
    event swapped = self->events[i - 1];
    self->events[i - 1] = self->events[other];
    self->events[other] = swapped;
  }
}

static uint64_t most_initial_blocks(const empirical_plan* plan, double scale) {
  double count = 0;
  for (size_t i = 0; i < plan->profile.count; i++) {
    count += plan->profile.rows[i].live * scale + 1;
  }
  return (uint64_t)count;
}

static void write_schedule(wl_worker* worker, empirical_state* state) {
  const empirical_plan* plan = worker->shared;
  double scale = (double)plan->heap_bytes / (double)worker->run->threads /
                 wl_profile_live_bytes(&plan->profile);
  const uint64_t births = worker->run->warmup + plan->births;
  uint64_t most_slots = most_initial_blocks(plan, scale) + births;
  if (most_slots > UINT32_MAX - 1) {
    wl_fail(worker->run, "this profile and heap need more than 2^32 blocks");
    return;
  }
  uint64_t most_events = 2 * most_slots;
  schedule self = {
      .plan = plan,
      .rng = wl_rng_make(worker->run->seed, worker->index),
      .heap_scale = scale,
      .births = births,
      .events = wl_reserve(most_events * sizeof(event)),
      .due = wl_reserve(births * sizeof(uint32_t)),
      .next = wl_reserve(most_slots * sizeof(uint32_t)),
      .free_slots = wl_reserve(most_slots * sizeof(uint32_t)),
  };
  double rate_sum = total_rate(&plan->profile);
  build_heap(&self, rate_sum);
  uint64_t untimed_count = 0;
  for (uint64_t now = 0; now < births; now++) {
    if (now == worker->run->warmup) untimed_count = self.event_count;
    die_at(&self, now);
    be_born(&self, draw_row(&self), now, rate_sum);
  }
  wl_trim(self.due, births * sizeof(uint32_t), 0);
  wl_trim(self.next, most_slots * sizeof(uint32_t), 0);
  wl_trim(self.free_slots, most_slots * sizeof(uint32_t), 0);
  wl_trim(self.events, most_events * sizeof(event), self.event_count * sizeof(event));
  *state = (empirical_state){
      .events = self.events,
      .untimed_count = untimed_count,
      .event_count = self.event_count,
      .slots = wl_map(self.slot_count * sizeof(void*)),
      .sizes = wl_map(self.slot_count * sizeof(uint32_t)),
      .slot_count = self.slot_count,
  };
}

static void check(wl_worker* worker, const empirical_state* state, uint32_t slot) {
  if (!wl_pattern_holds(state->slots[slot], state->sizes[slot], slot)) {
    wl_fail(worker->run, "a block of %u bytes at %p lost its contents", state->sizes[slot],
            state->slots[slot]);
  }
}

// ---- the exchange ----

// Frees what the thread before has handed over; returns the number of blocks.
static uint64_t free_handed(wl_worker* worker) {
  empirical_state* state = worker->state;
  uint64_t ready = wl_ring_ready(state->incoming);
  for (uint64_t i = 0; i < ready; i++) {
    wl_handed item = wl_ring_at(state->incoming, i);
    wl_drop_block(worker, item.block, item.tag >> 32, (uint32_t)item.tag);
  }
  wl_ring_take(state->incoming, ready);
  state->remote_frees += ready;
  return ready;
}

// Waits until the next thread has taken half of a full ring; false when the run has failed. Whoever
// waits goes on freeing, so that threads that all wait do not wait for ever.
static bool wait_for_room(wl_worker* worker) {
  wl_ring* outgoing = ((empirical_state*)worker->state)->outgoing;
  if (wl_ring_has_room(outgoing, 1)) return true;
  wl_ring_publish(outgoing);
  outgoing->waits_full++;
  wl_waiter waiter = {0};
  do {
    if (wl_has_failed(worker->run)) return false;
    if (free_handed(worker) == 0) wl_wait_step(&waiter);
  } while (!wl_ring_has_room(outgoing, RING_BLOCKS / 2));
  return true;
}

static void hand_over(wl_worker* worker, void* block, uint32_t slot) {
  empirical_state* state = worker->state;
  uint64_t size = worker->run->verify ? state->sizes[slot] : 0;
  if (!wait_for_room(worker)) return;
  wl_ring_put(state->outgoing, (wl_handed){block, size << 32 | slot}, HAND_BATCH);
  if (state->outgoing->written % HAND_BATCH == 0) free_handed(worker);
}

// Of the frees one after the other, those that are another thread's: evenly spread.
static bool is_remote(empirical_state* state, uint64_t percent) {
  state->share += percent;
  if (state->share < 100) return false;
  state->share -= 100;
  return true;
}

// When a thread has come to its end, it frees on until the one before has, too. All threads are in
// the same phase, which they leave together.
static void end_exchange(wl_worker* worker) {
  empirical_state* state = worker->state;
  wl_waiter waiter = {0};
  wl_ring_close(state->outgoing);
  while (!wl_ring_has_ended(state->incoming) && !wl_has_failed(worker->run)) {
    if (free_handed(worker) == 0) wl_wait_step(&waiter);
  }
  wl_ring_reopen(state->incoming);
}

// ---- the timed loop ----

static inline __attribute__((always_inline)) void play(wl_worker* worker, uint64_t from,
                                                       uint64_t to, bool verify, bool latency,
                                                       bool remote) {
  empirical_state* state = worker->state;
  const uint64_t remote_percent = ((const empirical_plan*)worker->shared)->remote_percent;
  unsigned touch = worker->run->touch;
  uint64_t sum = 0;
  for (uint64_t i = from; i < to; i++) {
    event now = state->events[i];
    if (now.size == 0) {
      void* done = state->slots[now.slot];
      if (remote && is_remote(state, remote_percent)) {
        hand_over(worker, done, now.slot);
        state->slots[now.slot] = NULL;
        continue;
      }
      if (verify) check(worker, state, now.slot);
      uint64_t before = latency ? wl_tick() : 0;
      free(done);
      if (latency) wl_count_latency(worker, before, wl_tick());
      state->slots[now.slot] = NULL;
      continue;
    }
    uint64_t before = latency ? wl_tick() : 0;
    void* block = malloc(now.size);
    if (latency) wl_count_latency(worker, before, wl_tick());
    if (__builtin_expect(block == NULL, 0)) {
      wl_fail(worker->run, "malloc(%u) returned no memory", now.size);
      return;
    }
    if (verify) {
      state->sizes[now.slot] = now.size;
      wl_pattern_write(block, now.size, now.slot);
    } else {
      wl_touch_block(block, now.size, touch);
    }
    state->slots[now.slot] = block;
    sum += now.size + ((uint64_t)now.slot << 32);
  }
  worker->checksum += sum;
}

static void play_events(wl_worker* worker, uint64_t from, uint64_t to) {
  const wl_run* run = worker->run;
  const bool remote = ((const empirical_plan*)worker->shared)->rings != NULL;
  if (run->verify) {
    play(worker, from, to, true, false, remote);
  } else if (run->latency) {
    play(worker, from, to, false, true, remote);
  } else if (remote) {
    play(worker, from, to, false, false, true);
  } else {
    play(worker, from, to, false, false, false);
  }
  if (remote) end_exchange(worker);
}

static void set_up(wl_worker* worker) {
  empirical_state* state = wl_map(sizeof(*state));
  worker->state = state;
  write_schedule(worker, state);
  if (wl_has_failed(worker->run)) return;
  const empirical_plan* plan = worker->shared;
  if (plan->rings != NULL) {
    state->incoming = &plan->rings[worker->index];
    state->outgoing = &plan->rings[(worker->index + 1) % worker->run->threads];
  }
  play_events(worker, 0, state->untimed_count);
  state->remote_frees = 0;
  if (plan->rings != NULL) state->outgoing->waits_full = 0;
}

static void timed(wl_worker* worker) {
  empirical_state* state = worker->state;
  play_events(worker, state->untimed_count, state->event_count);
  worker->ops = state->event_count - state->untimed_count;
}

// Counts through the events again: the loop that is timed has no time for it.
static uint64_t live_bytes_at_end(const empirical_state* state) {
  uint64_t live = 0;
  for (uint64_t i = 0; i < state->event_count; i++) {
    event now = state->events[i];
    live += now.size;
    if (now.size == 0) live -= state->sizes[now.slot];
    state->sizes[now.slot] = now.size;
  }
  return live;
}

static void tear_down(wl_worker* worker) {
  empirical_plan* plan = worker->shared;
  empirical_state* state = worker->state;
  if (wl_has_failed(worker->run)) return;
  atomic_fetch_add(&plan->live_bytes, live_bytes_at_end(state));
  atomic_fetch_add(&plan->remote_frees, state->remote_frees);
  for (uint64_t i = 0; i < state->slot_count; i++) {
    if (state->slots[i] == NULL) continue;
    if (worker->run->verify) check(worker, state, (uint32_t)i);
    free(state->slots[i]);
  }
}

static void prepare_rings(wl_run* run, empirical_plan* plan) {
  if (plan->remote_percent == 0) return;
  if (run->threads == 1) {
    wl_reject(run, "--remote: a thread alone has no other to free its blocks; --threads 2 or more");
  }
  plan->rings = wl_map(run->threads * sizeof(*plan->rings));
  for (uint64_t i = 0; i < run->threads; i++) wl_ring_init(&plan->rings[i], RING_BLOCKS);
}

static void prepare(wl_run* run, empirical_plan* plan) {
  char message[WL_PROFILE_MESSAGE_BYTES];
  plan->profile = wl_profile_builtin();
  if (plan->path != NULL && !wl_profile_read(plan->path, &plan->profile, message)) {
    wl_reject(run, "--profile: %s", message);
  }
  double sum = 0;
  double all = total_rate(&plan->profile);
  plan->cumulated = wl_map(plan->profile.count * sizeof(double));
  for (size_t i = 0; i < plan->profile.count; i++) {
    sum += plan->profile.rows[i].rate;
    plan->cumulated[i] = sum / all;
  }
}

static void report(wl_run* run, const empirical_plan* plan) {
  wl_add_text(run, "profile", plan->path != NULL ? plan->path : "built-in");
  wl_add_u64(run, "profile_rows", plan->profile.count);
  wl_add_u64(run, "heap_bytes", plan->heap_bytes);
  wl_add_u64(run, "live_bytes", plan->live_bytes);
  wl_add_u64(run, "remote_percent", plan->remote_percent);
  if (plan->rings != NULL && !wl_has_failed(run)) {
    uint64_t waits = 0;
    for (uint64_t i = 0; i < run->threads; i++) waits += plan->rings[i].waits_full;
    wl_add_u64(run, "frees", run->ops - run->threads * plan->births);
    wl_add_u64(run, "remote_frees", plan->remote_frees);
    wl_add_u64(run, "waits_full", waits);
  }
  wl_report(run);
}

int main(int argc, char** argv) {
  wl_run run = wl_run_defaults();
  empirical_plan plan = {.births = 2000000, .heap_bytes = 64u << 20};
  const wl_option positionals[] = {
      {"BIRTHS", WL_NUMBER, &plan.births, NULL, 1, MAX_BIRTHS,
       "allocations of each thread; about as many frees come with them"},
  };
  const wl_option options[] = {
      {"profile", WL_TEXT, &plan.path, "FILE", 0, 0,
       "rows \"size, rate, live\" instead of the built-in profile"},
      {"heap", WL_NUMBER, &plan.heap_bytes, "BYTES", 1u << 16, 1ull << 42,
       "live bytes of all threads together"},
      {"remote", WL_NUMBER, &plan.remote_percent, "PERCENT", 0, 100,
       "frees of blocks that another thread allocated"},
  };
  const wl_program program = {
      .name = "empirical",
      .about =
          "Allocates with the sizes and lifetimes of a profile, in its steady state.\n"
          "The warm-up is a quarter of the births unless --warmup says otherwise.",
      .positionals = positionals,
      .positional_count = WL_COUNT(positionals),
      .options = options,
      .option_count = WL_COUNT(options),
      .features = WL_HAS_SEED | WL_HAS_THREADS | WL_HAS_TOUCH | WL_HAS_WARMUP | WL_HAS_VERIFY |
                  WL_HAS_LATENCY,
  };
  wl_begin(&run, &program, argc, argv);
  if (run.warmup == WL_UNSET) run.warmup = plan.births / 4;
  if (run.warmup > MAX_BIRTHS) wl_reject(&run, "--warmup: above %d births", MAX_BIRTHS);
  prepare_rings(&run, &plan);
  prepare(&run, &plan);
  wl_run_workers(&run, &(wl_phases){set_up, timed, tear_down}, &plan);
  report(&run, &plan);
  return wl_end(&run);
}
