// peak_shrink: a program that grows to a peak, frees all but a few survivors spread over its
// memory, stays idle, and grows again. What is measured is memory: how much the allocator gives
// back, after the frees and while nothing happens. Samples over time go into the JSON file beside
// the record; idle time is not part of the timed region.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "workloads/harness/harness.h"
#include "workloads/harness/pattern.h"
#include "workloads/harness/rng.h"

enum { SAMPLES_PER_PHASE = 16, IDLE_STEP_MS = 50 };

typedef struct peak_block {
  void* block;
  uint32_t size;
  uint32_t tag;
} peak_block;

typedef struct peak_plan {
  uint64_t peak_bytes;
  uint64_t survivor_percent;
  uint64_t cycles;
  uint64_t idle_ms;
  bool heartbeat;  // a malloc and a free in each step of the idle time
} peak_plan;

// blocks[0, count) are live; live_bytes is the sum of their sizes.
typedef struct peak_heap {
  wl_run* run;
  const peak_plan* plan;
  wl_rng rng;
  peak_block* blocks;
  uint64_t count;
  uint64_t live_bytes;
  uint64_t start_ns;
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

static uint64_t sample(peak_heap* heap) {
  uint64_t rss = 0;
  wl_clock_pause(heap->run);
  wl_sample(heap->run, wl_now_ns() - heap->start_ns, heap->live_bytes);
  if (!wl_rss_bytes(&rss)) wl_fail(heap->run, "resident memory is unknown on this system");
  wl_clock_resume(heap->run);
  return rss;
}

static bool add_block(peak_heap* heap) {
  wl_run* run = heap->run;
  uint64_t draw = wl_next(&heap->rng);
  peak_block* item = &heap->blocks[heap->count];
  item->size = (uint32_t)(run->min_bytes + wl_low(draw, run->max_bytes - run->min_bytes + 1));
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

static void grow(peak_heap* heap) {
  uint64_t step = (heap->plan->peak_bytes - heap->live_bytes) / SAMPLES_PER_PHASE + 1;
  uint64_t next = heap->live_bytes + step;
  while (heap->live_bytes < heap->plan->peak_bytes && add_block(heap)) {
    if (heap->live_bytes < next) continue;
    sample(heap);
    next += step;
  }
}

// Frees each block but for the survivors, which chance chooses.
static void shrink(peak_heap* heap) {
  uint64_t kept = 0;
  uint64_t step = heap->count / SAMPLES_PER_PHASE + 1;
  for (uint64_t i = 0; i < heap->count; i++) {
    peak_block item = heap->blocks[i];
    if (heap->run->verify && !wl_pattern_holds(item.block, item.size, item.tag)) {
      wl_fail(heap->run, "a block of %" PRIu32 " bytes at %p lost its contents", item.size,
              item.block);
    }
    if (wl_high(wl_next(&heap->rng), 100) < heap->plan->survivor_percent) {
      heap->blocks[kept++] = item;
    } else {
      free(item.block);
      heap->live_bytes -= item.size;
      heap->run->ops++;
    }
    if (i % step == step - 1) sample(heap);
  }
  heap->count = kept;
}

static void idle(peak_heap* heap) {
  for (uint64_t ms = 0; ms < heap->plan->idle_ms; ms += IDLE_STEP_MS) {
    wl_clock_pause(heap->run);
    nanosleep(&(struct timespec){.tv_nsec = IDLE_STEP_MS * 1000000L}, NULL);
    wl_clock_resume(heap->run);
    if (heap->plan->heartbeat) {
      void* block = malloc(heap->run->max_bytes);
      if (block != NULL) wl_touch_block(block, heap->run->max_bytes, WL_TOUCH_FIRST);
      free(block);
    }
    sample(heap);
  }
}

static void run_cycles(peak_heap* heap, peak_figures* sum) {
  wl_clock_start(heap->run);
  sum->at_start = sample(heap);
  for (uint64_t i = 0; i < heap->plan->cycles && !wl_has_failed(heap->run); i++) {
    grow(heap);
    sum->at_peak += sample(heap);
    shrink(heap);
    sum->after_free += sample(heap);
    sum->live_after_free += heap->live_bytes;
    idle(heap);
    sum->after_idle += sample(heap);
  }
  wl_clock_stop(heap->run);
  for (uint64_t i = 0; i < heap->count; i++) free(heap->blocks[i].block);
}

static void report(wl_run* run, const peak_plan* plan, const peak_figures* sum) {
  wl_add_u64(run, "peak_bytes", plan->peak_bytes);
  wl_add_u64(run, "survivor_percent", plan->survivor_percent);
  wl_add_u64(run, "cycles", plan->cycles);
  wl_add_u64(run, "idle_ms", plan->idle_ms);
  wl_add_text(run, "heartbeat", plan->heartbeat ? "yes" : "no");
  if (!wl_has_failed(run)) {
    wl_add_u64(run, "rss_at_start_bytes", sum->at_start);
    wl_add_u64(run, "rss_at_peak_bytes", sum->at_peak / plan->cycles);
    wl_add_u64(run, "rss_after_free_bytes", sum->after_free / plan->cycles);
    wl_add_u64(run, "rss_after_idle_bytes", sum->after_idle / plan->cycles);
    wl_add_u64(run, "live_bytes", sum->live_after_free / plan->cycles);
  }
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
      {"cycles", WL_NUMBER, &plan.cycles, "N", 1, 1u << 20, "peaks"},
      {"idle", WL_NUMBER, &plan.idle_ms, "MS", 0, 3600000, "time without work after each"},
      {"heartbeat", WL_FLAG, &plan.heartbeat, NULL, 0, 0,
       "while idle, one malloc and free every 50 ms"},
  };
  const wl_program program = {
      .name = "peak_shrink",
      .about = "Grows to a peak, frees all but a few survivors, idles, again: memory given back.",
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
      .blocks = make_table(&run, &plan),
      .start_ns = wl_now_ns(),
  };
  peak_figures sum = {0};
  run_cycles(&heap, &sum);
  report(&run, &plan, &sum);
  return wl_end(&run);
}
