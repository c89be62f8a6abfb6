// peak_shrink: a program that grows to a peak, frees all but a few survivors spread over its
// memory, rests, and grows again. What is measured is memory over time: how much the allocator
// holds beside what is live, from the first peak to the last rest. Samples go into the JSON file
// beside the record; rests, and waiting for a step's time, are not part of the timed region.
//
// One thread is at work at any moment, and the others wait for it: so the same seed does the same
// work, and the samples are everybody's.

#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "workloads/harness/harness.h"
#include "workloads/harness/pattern.h"
#include "workloads/harness/rng.h"

// A peak is grown and shrunk in steps, of which each ends with a sample: so many at least, and one
// in so long where it is to take its time. Blocks of a step of light work.
enum { LEAST_STEPS = 16, STEP_MS = 50, LIGHT_BLOCKS = 2000, PARTS = 8 };

enum { REST_ASLEEP, REST_HEARTBEAT, REST_LIGHT };
#define REST_WORDS "asleep|heartbeat|light"
static const char* const kRestNames[] = {"asleep", "heartbeat", "light"};

enum { HANDS_ONE, HANDS_OTHER, HANDS_MANY };
#define HANDS_WORDS "one|other|many"
static const char* const kHandsNames[] = {"one", "other", "many"};

typedef struct peak_block {
  void* block;
  uint32_t size;
  uint32_t tag;
} peak_block;

typedef struct peak_plan {
  uint64_t peak_bytes;
  uint64_t survivor_percent;
  uint64_t cycles;
  uint64_t ramp_ms;
  uint64_t idle_ms;
  unsigned rest;   // REST_*
  unsigned hands;  // HANDS_*
  bool stays;      // what survives one peak survives all
  bool shuffled;   // freed in random order
} peak_plan;

// What the samples say together: integrals over time, in bytes x ns.
typedef struct peak_curve {
  uint64_t last_ns, last_rss, last_live;
  double time_ns, rss, live;
} peak_curve;

// blocks[0, count) are live, of which blocks[0, kept) stay; live_bytes is the sum of their sizes.
typedef struct peak_heap {
  wl_run* run;
  const peak_plan* plan;
  wl_rng rng;
  wl_rng light_rng;  // of its own: how often there is light work depends on the clock
  peak_block* blocks;
  uint64_t count;
  uint64_t kept;
  uint64_t live_bytes;
  uint64_t start_ns;
  peak_curve curve;
  void (*work)(struct peak_heap*);  // of the thread that is at work now; NULL: the other may end
  uint64_t step, until_step;        // of a peak or of its end, which of n_steps
  uint64_t next;                    // shrinking: the next block to look at
  uint64_t from;                    // shrinking: blocks, or growing: bytes at the beginning
  sem_t begins, is_done;            // of the other thread's work
} peak_heap;

// Resident and live bytes at the points of a cycle, summed over the cycles; at_start is from before
// the first.
typedef struct peak_figures {
  uint64_t at_start;
  uint64_t at_peak;
  uint64_t after_free;
  uint64_t after_idle;
  uint64_t live_after_free;
} peak_figures;

// ---- the curve ----

static void add_to_curve(peak_curve* curve, uint64_t t_ns, uint64_t rss, uint64_t live) {
  if (curve->last_ns != 0) {
    double ns = (double)(t_ns - curve->last_ns);
    curve->time_ns += ns;
    curve->rss += ns * ((double)curve->last_rss + (double)rss) / 2;
    curve->live += ns * ((double)curve->last_live + (double)live) / 2;
  }
  curve->last_ns = t_ns;
  curve->last_rss = rss;
  curve->last_live = live;
}

static uint64_t sample(peak_heap* heap) {
  uint64_t rss = 0;
  wl_clock_pause(heap->run);
  uint64_t t_ns = wl_now_ns() - heap->start_ns;
  if (!wl_rss_bytes(&rss)) wl_fail(heap->run, "resident memory is unknown on this system");
  wl_sample(heap->run, t_ns, rss, heap->live_bytes);
  add_to_curve(&heap->curve, t_ns, rss, heap->live_bytes);
  wl_clock_resume(heap->run);
  return rss;
}

static void sleep_untimed(peak_heap* heap, uint64_t ns) {
  struct timespec pause = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
  wl_clock_pause(heap->run);
  nanosleep(&pause, NULL);
  wl_clock_resume(heap->run);
}

// ---- growing and shrinking ----

static uint64_t n_steps(const peak_plan* plan) {
  uint64_t steps = plan->ramp_ms / STEP_MS;
  return steps > LEAST_STEPS ? steps : LEAST_STEPS;
}

static uint64_t draw_size(const wl_run* run, uint64_t draw) {
  return run->min_bytes + wl_low(draw, run->max_bytes - run->min_bytes + 1);
}

static bool add_block(peak_heap* heap) {
  wl_run* run = heap->run;
  uint64_t draw = wl_next(&heap->rng);
  peak_block* item = &heap->blocks[heap->count];
  item->size = (uint32_t)draw_size(run, draw);
  item->tag = (uint32_t)(draw >> 32);
  item->block = malloc(item->size);
  if (item->block == NULL) {
    wl_fail(run, "malloc(%" PRIu32 ") returned no memory at %" PRIu64 " live bytes", item->size,
            heap->live_bytes);
    return false;
  }
  if (run->verify) {
    wl_pattern_write(item->block, item->size, item->tag);
  } else {
    wl_touch_block(item->block, item->size, run->touch);
  }
  heap->count++;
  heap->live_bytes += item->size;
  run->checksum += draw;
  run->ops++;
  return true;
}

// Frees the next block, unless chance keeps it.
static void look_at_next(peak_heap* heap) {
  peak_block item = heap->blocks[heap->next++];
  if (heap->run->verify && !wl_pattern_holds(item.block, item.size, item.tag)) {
    wl_fail(heap->run, "a block of %" PRIu32 " bytes at %p lost its contents", item.size,
            item.block);
  }
  if (wl_high(wl_next(&heap->rng), 100) < heap->plan->survivor_percent) {
    heap->blocks[heap->count++] = item;
    return;
  }
  free(item.block);
  heap->live_bytes -= item.size;
  heap->run->ops++;
}

// Where the step that has been done is on time, waits for the time of the next.
static void end_step(peak_heap* heap, uint64_t began_ns) {
  sample(heap);
  heap->step++;
  uint64_t due_ns = began_ns + heap->plan->ramp_ms * 1000000 * heap->step / n_steps(heap->plan);
  uint64_t now_ns = wl_now_ns();
  if (now_ns < due_ns) sleep_untimed(heap, due_ns - now_ns);
}

static void grow(peak_heap* heap) {
  uint64_t steps = n_steps(heap->plan);
  uint64_t bytes = heap->plan->peak_bytes - heap->from;
  uint64_t began_ns = wl_now_ns() - heap->plan->ramp_ms * 1000000 * heap->step / steps;
  while (heap->step < heap->until_step && !wl_has_failed(heap->run)) {
    uint64_t target = heap->from + bytes * (heap->step + 1) / steps;
    while (heap->live_bytes < target && add_block(heap)) {
    }
    end_step(heap, began_ns);
  }
}

// What was live at the beginning are blocks[kept, from); blocks[kept, count) are looked at, and
// live on.
static void shrink(peak_heap* heap) {
  uint64_t steps = n_steps(heap->plan);
  uint64_t n = heap->from - heap->kept;
  uint64_t began_ns = wl_now_ns() - heap->plan->ramp_ms * 1000000 * heap->step / steps;
  while (heap->step < heap->until_step) {
    uint64_t target = heap->kept + n * (heap->step + 1) / steps;
    while (heap->next < target) look_at_next(heap);
    end_step(heap, began_ns);
  }
}

static void shuffle(peak_heap* heap) {
  for (uint64_t i = heap->count; i > heap->kept + 1; i--) {
    uint64_t other = heap->kept + wl_next(&heap->rng) % (i - heap->kept);
    peak_block item = heap->blocks[i - 1];
    heap->blocks[i - 1] = heap->blocks[other];
    heap->blocks[other] = item;
  }
}

// ---- whose work it is ----

static void* work_once(void* argument) {
  peak_heap* heap = argument;
  heap->work(heap);
  return NULL;
}

static void* work_when_told(void* argument) {
  peak_heap* heap = argument;
  for (;;) {
    while (sem_wait(&heap->begins) != 0) {
    }
    if (heap->work == NULL) return NULL;
    heap->work(heap);
    sem_post(&heap->is_done);
  }
}

static void start_thread(peak_heap* heap, void* (*run)(void*), pthread_t* thread) {
  int error = pthread_create(thread, NULL, run, heap);
  if (error == 0) return;
  wl_fail(heap->run, "cannot start a thread: %s", strerror(error));
  wl_report(heap->run);
  _Exit(wl_end(heap->run));
}

// All steps of `work`, by this thread; by the other; or by threads of which each does a part.
static void do_all(peak_heap* heap, void (*work)(peak_heap*), uint64_t from, unsigned hands) {
  uint64_t steps = n_steps(heap->plan), parts = hands == HANDS_MANY ? PARTS : 1;
  heap->work = work;
  heap->from = from;
  heap->step = 0;
  for (uint64_t part = 1; part <= parts; part++) {
    heap->until_step = steps * part / parts;
    if (hands == HANDS_ONE) {
      work(heap);
    } else if (hands == HANDS_OTHER) {
      sem_post(&heap->begins);
      while (sem_wait(&heap->is_done) != 0) {
      }
    } else {
      pthread_t thread;
      start_thread(heap, work_once, &thread);
      pthread_join(thread, NULL);
    }
  }
}

// ---- rests ----

// A step of what the program does meanwhile: some blocks, freed again in the order they came in.
static void work_lightly(peak_heap* heap) {
  static void* held[LIGHT_BLOCKS];
  for (unsigned i = 0; i < LIGHT_BLOCKS; i++) {
    size_t size = draw_size(heap->run, wl_next(&heap->light_rng));
    held[i] = malloc(size);
    if (held[i] != NULL) wl_touch_block(held[i], size, WL_TOUCH_FIRST);
  }
  for (unsigned i = 0; i < LIGHT_BLOCKS; i++) free(held[i]);
}

static void rest_a_step(void* argument) {
  peak_heap* heap = argument;
  if (heap->plan->rest == REST_LIGHT) {
    work_lightly(heap);
  } else if (heap->plan->rest == REST_HEARTBEAT) {
    void* block = malloc(heap->run->max_bytes);
    if (block != NULL) wl_touch_block(block, heap->run->max_bytes, WL_TOUCH_FIRST);
    free(block);
  }
}

static void rest(peak_heap* heap) {
  for (uint64_t ms = 0; ms < heap->plan->idle_ms; ms += WL_REST_STEP_MS) {
    sleep_untimed(heap, WL_REST_STEP_MS * UINT64_C(1000000));
    rest_a_step(heap);
    sample(heap);
  }
}

// ---- the run ----

// Returns the other thread, if there is one: it waits.
static pthread_t run_cycles(peak_heap* heap, peak_figures* sum) {
  const peak_plan* plan = heap->plan;
  pthread_t other = 0;
  if (plan->hands == HANDS_OTHER) start_thread(heap, work_when_told, &other);
  wl_clock_start(heap->run);
  sum->at_start = sample(heap);
  for (uint64_t i = 0; i < plan->cycles && !wl_has_failed(heap->run); i++) {
    unsigned maker = plan->hands == HANDS_MANY ? HANDS_MANY : HANDS_ONE;
    do_all(heap, grow, heap->live_bytes, maker);
    sum->at_peak += sample(heap);
    if (plan->shuffled) shuffle(heap);
    uint64_t count = heap->count;
    heap->next = heap->count = heap->kept;
    do_all(heap, shrink, count, plan->hands);
    if (plan->stays) heap->kept = heap->count;
    sum->after_free += sample(heap);
    sum->live_after_free += heap->live_bytes;
    // What is left afterwards (--left) is left of the last peak, with no rest before.
    if (heap->run->left && i + 1 == plan->cycles) break;
    rest(heap);
    sum->after_idle += sample(heap);
  }
  wl_clock_stop(heap->run);
  return other;
}

static void report(peak_heap* heap, const peak_figures* sum) {
  wl_run* run = heap->run;
  const peak_plan* plan = heap->plan;
  wl_add_u64(run, "peak_bytes", plan->peak_bytes);
  wl_add_u64(run, "survivor_percent", plan->survivor_percent);
  wl_add_u64(run, "cycles", plan->cycles);
  wl_add_u64(run, "ramp_ms", plan->ramp_ms);
  wl_add_u64(run, "idle_ms", plan->idle_ms);
  wl_add_text(run, "rest", kRestNames[plan->rest]);
  wl_add_text(run, "hands", kHandsNames[plan->hands]);
  if (!wl_has_failed(run)) {
    const peak_curve* curve = &heap->curve;
    uint64_t rests = plan->cycles - (run->left ? 1 : 0);
    double mean_rss = curve->rss / curve->time_ns, mean_live = curve->live / curve->time_ns;
    wl_add_u64(run, "rss_at_start_bytes", sum->at_start);
    wl_add_u64(run, "rss_at_peak_bytes", sum->at_peak / plan->cycles);
    wl_add_u64(run, "rss_after_free_bytes", sum->after_free / plan->cycles);
    if (rests != 0) wl_add_u64(run, "rss_after_idle_bytes", sum->after_idle / rests);
    wl_add_u64(run, "live_bytes", sum->live_after_free / plan->cycles);
    wl_add_u64(run, "mean_rss_bytes", (uint64_t)mean_rss);
    wl_add_double(run, "mean_over_bytes", mean_rss - mean_live - (double)sum->at_start);
  }
  run->rest_a_step = rest_a_step;
  run->rest_context = heap;
  wl_report(run);
}

// Room for the most blocks there can be; the part that blocks of average size need is touched now,
// so that it does not look like memory of the allocator.
static peak_block* make_table(const wl_run* run, const peak_plan* plan) {
  uint64_t most = plan->peak_bytes / run->min_bytes + 1;
  uint64_t likely = plan->peak_bytes / ((run->min_bytes + run->max_bytes) / 2);
  peak_block* table = wl_reserve(most * sizeof(*table));
  memset(table, 0, (likely < most ? likely : most) * sizeof(*table));
  return table;
}

int main(int argc, char** argv) {
  wl_run run = wl_run_defaults();
  peak_plan plan = {.peak_bytes = 256u << 20, .survivor_percent = 1, .cycles = 3, .idle_ms = 1500};
  const wl_option positionals[] = {
      {"PEAK", WL_NUMBER, &plan.peak_bytes, NULL, 1u << 16, 1ull << 40, "live bytes at the peak"},
  };
  const wl_option options[] = {
      {"survivors", WL_NUMBER, &plan.survivor_percent, "PERCENT", 0, 100,
       "blocks that live on after a peak"},
      {"stay", WL_FLAG, &plan.stays, NULL, 0, 0, "what survives one peak survives all"},
      {"cycles", WL_NUMBER, &plan.cycles, "N", 1, 1u << 20, "peaks"},
      {"ramp", WL_NUMBER, &plan.ramp_ms, "MS", 0, 3600000,
       "time to grow in, and to shrink in; 0: as fast as it goes"},
      {"idle", WL_NUMBER, &plan.idle_ms, "MS", 0, 3600000, "rest after each peak"},
      {"rest", WL_CHOICE, &plan.rest, REST_WORDS, 0, 0,
       "what is done meanwhile every 50 ms: nothing, one malloc and free, 2000 of each"},
      {"hands", WL_CHOICE, &plan.hands, HANDS_WORDS, 0, 0,
       "who allocates and frees: one thread; another thread frees; threads that come for an eighth "
       "of a peak, or of its end, and go"},
      {"shuffled", WL_FLAG, &plan.shuffled, NULL, 0, 0, "blocks are freed in random order"},
  };
  const wl_program program = {
      .name = "peak_shrink",
      .about = "Grows to a peak, frees all but a few survivors, rests, again: memory over time.",
      .positionals = positionals,
      .positional_count = WL_COUNT(positionals),
      .options = options,
      .option_count = WL_COUNT(options),
      .features = WL_HAS_SEED | WL_HAS_SIZES | WL_HAS_TOUCH | WL_HAS_VERIFY,
  };
  wl_begin(&run, &program, argc, argv);
  peak_heap heap = {
      .run = &run,
      .plan = &plan,
      .rng = wl_rng_make(run.seed, 0),
      .light_rng = wl_rng_make(run.seed, 1),
      .blocks = make_table(&run, &plan),
      .start_ns = wl_now_ns(),
  };
  sem_init(&heap.begins, 0, 0);
  sem_init(&heap.is_done, 0, 0);
  peak_figures sum = {0};
  pthread_t other = run_cycles(&heap, &sum);
  report(&heap, &sum);
  if (plan.hands == HANDS_OTHER) {
    heap.work = NULL;
    sem_post(&heap.begins);
    pthread_join(other, NULL);
  }
  for (uint64_t i = 0; i < heap.count; i++) free(heap.blocks[i].block);
  return wl_end(&run);
}
