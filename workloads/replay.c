// replay: does again what a program did, from a recorded trace (trace.h, made by //tools:hakrecord,
// or from Android's text). Every recorded thread has a thread here; the first runs in the calling
// thread. It starts where it is met in the trace (but not before the one with the same tid before
// it has ended) and ends where the recorded one did, so that no more threads live at the same time
// than did then.
//
// The trace is read a batch at a time: the threads play their parts of it, the last to finish reads
// the next while the others wait and the clock is stopped, and wakes those that have a part in it.
//
// --order blocks: threads run freely within a batch, and wait only where they free or move a block
// that another thread has yet to make.
// --order strict: all calls happen in recorded order. For questions about memory: the waiting takes
// most of the time.

#define _GNU_SOURCE  // O_TMPFILE

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workloads/harness/harness.h"
#include "workloads/harness/pattern.h"
#include "workloads/harness/print.h"
#include "workloads/harness/wait.h"
#include "workloads/trace.h"
#include "workloads/trace_writer.h"

typedef enum order { ORDER_BLOCKS, ORDER_STRICT } order;

typedef struct replay_plan {
  trace* trace;
  unsigned order;
  bool shows_progress;
  unsigned percent;       // shown last
  _Atomic(void*)* slots;  // NULL: not made yet; release when it is
  uint64_t* sizes;        // with --verify
  struct replay_thread* threads;
  pthread_attr_t detached;  // a thread that has ended must leave nothing behind
  bool is_over;             // there is no further batch
  _Alignas(64) _Atomic uint32_t turn;
  _Alignas(64) _Atomic uint32_t working;  // threads that have not played their part of the batch
  _Alignas(64) _Atomic uint32_t running;  // threads that were started and have not ended
} replay_plan;

typedef struct replay_thread {
  replay_plan* plan;
  trace_thread* script;
  wl_worker worker;    // its own counts; the histogram is its own too
  int32_t next_start;  // the thread that this one starts next, or -1
  sem_t part;          // posted when it has a part in the batch, or all is over
  bool is_alive;       // was started, and has not ended
  atomic_bool has_ended;
} replay_thread;

static void wait_for_turn(replay_thread* self, uint32_t turn) {
  wl_waiter waiter = {0};
  while (atomic_load_explicit(&self->plan->turn, memory_order_acquire) != turn &&
         !wl_has_failed(self->worker.run)) {
    wl_wait_step(&waiter);
  }
}

// The block in a slot; waits for it when another thread makes it.
static void* take_block(replay_thread* self, uint32_t slot, bool is_foreign) {
  _Atomic(void*)* place = &self->plan->slots[slot];
  wl_waiter waiter = {0};
  void* block = atomic_load_explicit(place, memory_order_acquire);
  while (block == NULL && is_foreign && !wl_has_failed(self->worker.run)) {
    wl_wait_step(&waiter);
    block = atomic_load_explicit(place, memory_order_acquire);
  }
  return block;
}

static void check(replay_thread* self, const void* block, uint32_t slot, uint64_t size) {
  if (block != NULL && !wl_pattern_holds(block, size, slot)) {
    wl_fail(self->worker.run, "a block of %llu bytes at %p lost its contents",
            (unsigned long long)size, block);
  }
}

static void check_zero(replay_thread* self, const unsigned char* block, uint64_t size) {
  for (uint64_t i = 0; i < size; i++) {
    if (block[i] == 0) continue;
    wl_fail(self->worker.run, "calloc returned %llu bytes that are not all 0",
            (unsigned long long)size);
    return;
  }
}

static void* call_allocate(const trace_op* op, void* old) {
  switch (op->kind) {
    case TRACE_CALLOC:
      return calloc(1, op->size);
    case TRACE_REALLOC:
      return realloc(old, op->size);
    case TRACE_MEMALIGN:
      return memalign(1ull << op->alignment, op->size);
    default:
      return malloc(op->size);
  }
}

static void verify_new(replay_thread* self, const trace_op* op, void* block) {
  replay_plan* plan = self->plan;
  if (op->kind == TRACE_REALLOC) {
    uint64_t old_size = plan->sizes[op->old_slot];
    uint64_t kept = old_size < op->size ? old_size : op->size;
    check(self, block, op->old_slot, kept & ~7ull);
  }
  if (op->kind == TRACE_CALLOC) check_zero(self, block, op->size);
  if (op->kind == TRACE_MEMALIGN &&
      ((uintptr_t)block >> op->alignment << op->alignment) != (uintptr_t)block) {
    wl_fail(self->worker.run, "memalign returned %p: not aligned to 2^%u", block, op->alignment);
  }
  plan->sizes[op->slot] = op->size;
  wl_pattern_write(block, op->size, op->slot);
}

static void allocate(replay_thread* self, const trace_op* op, bool latency) {
  void* old = op->kind == TRACE_REALLOC ? take_block(self, op->old_slot, op->is_foreign) : NULL;
  bool verify = self->worker.run->verify;
  if (verify && old != NULL) check(self, old, op->old_slot, self->plan->sizes[op->old_slot]);
  uint64_t before = latency ? wl_tick() : 0;
  void* block = call_allocate(op, old);
  if (latency) wl_count_latency(&self->worker, before, wl_tick());
  if (block == NULL) {
    wl_fail(self->worker.run, "an allocation of %llu bytes returned no memory",
            (unsigned long long)op->size);
    return;
  }
  if (verify) {
    verify_new(self, op, block);
  } else if (op->size > 0) {
    wl_touch_block(block, op->size, self->worker.run->touch);
  }
  if (op->kind == TRACE_REALLOC) {
    atomic_store_explicit(&self->plan->slots[op->old_slot], NULL, memory_order_relaxed);
  }
  atomic_store_explicit(&self->plan->slots[op->slot], block, memory_order_release);
}

static void release(replay_thread* self, const trace_op* op, bool latency) {
  void* block = take_block(self, op->slot, op->is_foreign);
  if (self->worker.run->verify) check(self, block, op->slot, self->plan->sizes[op->slot]);
  atomic_store_explicit(&self->plan->slots[op->slot], NULL, memory_order_relaxed);
  uint64_t before = latency ? wl_tick() : 0;
  free(block);
  if (latency) wl_count_latency(&self->worker, before, wl_tick());
}

// ---- batches ----

static void* thread_main(void* argument);

// A thread that cannot be started plays nothing, and starts nobody.
static void skip_thread(replay_plan* plan, int32_t index) {
  trace_thread* script = &plan->trace->threads[index];
  plan->threads[index].is_alive = false;
  atomic_store_explicit(&plan->threads[index].has_ended, true, memory_order_release);
  atomic_fetch_sub_explicit(&plan->running, 1, memory_order_relaxed);
  atomic_fetch_sub_explicit(&plan->working, 1, memory_order_relaxed);
  for (int32_t i = script->first_started; i >= 0; i = plan->trace->threads[i].next_started) {
    atomic_fetch_add_explicit(&plan->running, 1, memory_order_relaxed);
    skip_thread(plan, i);
  }
}

static void start_thread(replay_plan* plan, int32_t index) {
  pthread_t thread;
  replay_thread* self = &plan->threads[index];
  self->is_alive = true;
  atomic_fetch_add_explicit(&plan->running, 1, memory_order_relaxed);
  int error = pthread_create(&thread, &plan->detached, thread_main, self);
  if (error == 0) return;
  wl_fail(self->worker.run, "cannot start thread %d: %s", (int)index, strerror(error));
  skip_thread(plan, index);
}

// Starts those that are met when this one has done so many calls; returns when the next one is due.
static uint64_t start_threads(replay_thread* self, uint64_t calls) {
  const trace_thread* scripts = self->plan->trace->threads;
  while (self->next_start >= 0 && scripts[self->next_start].start_after <= calls) {
    int32_t next = scripts[self->next_start].next_started;
    start_thread(self->plan, self->next_start);
    self->next_start = next;
  }
  return self->next_start >= 0 ? scripts[self->next_start].start_after : UINT64_MAX;
}

static void show_progress(replay_plan* plan) {
  unsigned percent = (unsigned)(plan->trace->ops_read * 100 / plan->trace->totals.ops);
  if (!plan->shows_progress || percent == plan->percent) return;
  plan->percent = percent;
  wl_print(STDERR_FILENO, percent < 100 ? "\rreplay: %u %% " : "\r\x1b[K", percent);
}

static void end_all(replay_plan* plan) {
  plan->is_over = true;
  for (size_t i = 0; i < plan->trace->thread_count; i++) {
    if (plan->threads[i].is_alive) sem_post(&plan->threads[i].part);
  }
}

// Reads the next batch and wakes those that have a part in it. Nobody plays meanwhile.
static void next_batch(replay_plan* plan, wl_run* run) {
  trace* script = plan->trace;
  wl_clock_pause(run);
  bool has_more = !wl_has_failed(run) && trace_next(script);
  if (script->message[0] != '\0') wl_fail(run, "%s", script->message);
  show_progress(plan);
  atomic_store_explicit(&plan->turn, 0, memory_order_relaxed);
  atomic_store_explicit(&plan->working, (uint32_t)script->active_count, memory_order_relaxed);
  wl_clock_resume(run);
  if (!has_more) {
    end_all(plan);
    return;
  }
  for (size_t i = 0; i < script->active_count; i++) {
    replay_thread* thread = &plan->threads[script->active[i]];
    thread->next_start = thread->script->first_started;
    sem_post(&thread->part);
  }
  for (int32_t i = script->first_started; i >= 0;) {
    int32_t next = script->threads[i].next_started;
    start_thread(plan, i);
    i = next;
  }
}

static void play(replay_thread* self) {
  const trace_thread* script = self->script;
  const bool latency = self->worker.run->latency;
  const bool strict = self->plan->order == ORDER_STRICT;
  uint64_t start_at = start_threads(self, 0);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < script->op_count && !wl_has_failed(self->worker.run); i++) {
    const trace_op* op = &script->ops[i];
    if (strict) wait_for_turn(self, op->turn);
    if (op->kind == TRACE_FREE) {
      release(self, op, latency);
    } else {
      allocate(self, op, latency);
      sum += op->size * (op->slot | 1u);
    }
    if (strict && op->ends_turn) {
      atomic_store_explicit(&self->plan->turn, op->turn + 1, memory_order_release);
    }
    if (i + 1 >= start_at) start_at = start_threads(self, i + 1);
  }
  // After a failure those that are still to come find it, and play nothing.
  start_threads(self, UINT64_MAX - 1);
  self->worker.checksum += sum;
  self->worker.ops += script->op_count;
}

static void wait_for_part(replay_thread* self) {
  while (sem_wait(&self->part) != 0) continue;
}

static void* thread_main(void* argument) {
  replay_thread* self = argument;
  replay_plan* plan = self->plan;
  int32_t before = self->script->predecessor;
  wl_waiter waiter = {0};
  while (before >= 0 && !wl_has_failed(self->worker.run) &&
         !atomic_load_explicit(&plan->threads[before].has_ended, memory_order_acquire)) {
    wl_wait_step(&waiter);
  }
  for (bool ends = false; !ends;) {
    wait_for_part(self);
    if (plan->is_over) break;
    play(self);
    ends = self->script->ends;
    if (ends) {
      self->is_alive = false;
      atomic_store_explicit(&self->has_ended, true, memory_order_release);
    }
    // What the others did is seen by who reads the next batch, and its by all that it wakes.
    if (atomic_fetch_sub_explicit(&plan->working, 1, memory_order_acq_rel) == 1) {
      next_batch(plan, self->worker.run);
    }
  }
  atomic_fetch_sub_explicit(&plan->running, 1, memory_order_release);
  return NULL;
}

static void set_up(wl_worker* worker) {
  replay_plan* plan = worker->shared;
  size_t count = plan->trace->totals.threads;
  // Reserved: a thread touches its histogram when it counts, and there may be many threads.
  wl_histogram* histograms = worker->run->latency ? wl_reserve(count * sizeof(*histograms)) : NULL;
  plan->threads = wl_map(count * sizeof(*plan->threads));
  pthread_attr_init(&plan->detached);
  pthread_attr_setdetachstate(&plan->detached, PTHREAD_CREATE_DETACHED);
  for (size_t i = 0; i < count; i++) {
    replay_thread* self = &plan->threads[i];
    self->plan = plan;
    self->script = &plan->trace->threads[i];
    self->worker = (wl_worker){.run = worker->run, .index = (unsigned)i};
    sem_init(&self->part, 0, 0);
    if (histograms != NULL) self->worker.histogram = &histograms[i];
  }
  plan->threads[0].is_alive = true;
  next_batch(plan, worker->run);
}

// A thread is counted before the one that starts it ends: at 0 none is left, nor will there be.
static void timed(wl_worker* worker) {
  replay_plan* plan = worker->shared;
  wl_waiter waiter = {0};
  atomic_store_explicit(&plan->running, 1, memory_order_relaxed);
  thread_main(&plan->threads[0]);
  while (atomic_load_explicit(&plan->running, memory_order_acquire) > 0) wl_wait_step(&waiter);
}

// Sums up what the threads counted, and frees what the recorded program never did.
static void tear_down(wl_worker* worker) {
  replay_plan* plan = worker->shared;
  const replay_thread* threads = plan->threads;
  for (size_t i = 0; i < plan->trace->thread_count; i++) {
    worker->ops += threads[i].worker.ops;
    worker->checksum += threads[i].worker.checksum;
    if (worker->run->latency) wl_histogram_merge(worker->histogram, threads[i].worker.histogram);
  }
  for (uint64_t i = 0; i < plan->trace->totals.slots; i++) free(plan->slots[i]);
}

static void report(wl_run* run, const replay_plan* plan, const char* path) {
  static const char* const kOrders[] = {"blocks", "strict"};
  const trace_totals* recorded = &plan->trace->totals;
  wl_add_text(run, "trace", path);
  wl_add_text(run, "replay_order", kOrders[plan->order]);
  wl_add_u64(run, "trace_threads", recorded->threads);
  wl_add_u64(run, "trace_peak_bytes", recorded->peak_bytes);
  wl_add_u64(run, "trace_peak_blocks", recorded->peak_blocks);
  wl_add_u64(run, "trace_unknown_frees", recorded->unknown_frees);
  wl_add_u64(run, "trace_failed_calls", recorded->failed_calls);
  wl_report(run);
}

// A text becomes a trace without a name, where temporary files go.
static int unpack_text(wl_run* run, int text, const char* path) {
  char message[TRACE_MESSAGE_BYTES];
  const char* folder = getenv("TMPDIR");
  int fd = open(folder != NULL && folder[0] != '\0' ? folder : "/tmp",
                O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) wl_reject(run, "no temporary file for the trace: %s", strerror(errno));
  if (isatty(STDERR_FILENO)) wl_print(STDERR_FILENO, "\rreplay: reading the text ");
  if (!trace_from_text(text, path, fd, message)) wl_reject(run, "%s", message);
  close(text);
  return fd;
}

static void open_trace(wl_run* run, const char* path, trace* recorded) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) wl_reject(run, "%s: %s", path, strerror(errno));
  if (!trace_is_packed(fd)) fd = unpack_text(run, fd, path);
  if (!trace_open(recorded, fd, path)) wl_reject(run, "%s", recorded->message);
}

int main(int argc, char** argv) {
  wl_run run = wl_run_defaults();
  const char* path = NULL;
  static trace recorded;
  replay_plan plan = {.trace = &recorded,
                      .order = ORDER_BLOCKS,
                      .percent = 100,
                      .shows_progress = isatty(STDERR_FILENO)};
  const wl_option positionals[] = {
      {"TRACE", WL_TEXT, &path, NULL, 0, 0, "the recorded trace"},
  };
  const wl_option options[] = {
      {"order", WL_CHOICE, &plan.order, "blocks|strict", 0, 0,
       "between threads: wait for blocks only, or keep the whole order"},
  };
  const wl_program program = {
      .name = "replay",
      .about =
          "Replays the calls of a recorded program (hakrecord, or Android's memory_replay text).",
      .positionals = positionals,
      .positional_count = WL_COUNT(positionals),
      .options = options,
      .option_count = WL_COUNT(options),
      .features = WL_HAS_TOUCH | WL_HAS_VERIFY | WL_HAS_LATENCY,
  };
  wl_begin(&run, &program, argc, argv);
  if (path == NULL) wl_reject(&run, "TRACE is missing");
  open_trace(&run, path, &recorded);
  plan.slots = wl_map((recorded.totals.slots + 1) * sizeof(*plan.slots));
  if (run.verify) plan.sizes = wl_map((recorded.totals.slots + 1) * sizeof(*plan.sizes));
  wl_run_workers(&run, &(wl_phases){set_up, timed, tear_down}, &plan);
  report(&run, &plan, path);
  return wl_end(&run);
}
