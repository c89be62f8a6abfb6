// The frame every workload stands in: command line, proof of the allocator, worker threads, the
// timed region, verdict, table and JSON record.
//
//   wl_begin(&run, &program, argc, argv);     parses, proves the allocator; exits on bad arguments
//
//   wl_run_workers(&run, &phases, shared);    set-up, timed region, tear-down in each worker
//
//   wl_add_u64(&run, "working_set", n);       what the record should also say
//
//   wl_report(&run);                          one table, one JSON line
//
//   return wl_end(&run);                      exit code
//
// Only the part between set-up and tear-down is timed. The harness itself never calls malloc
// (pthread_create does, for workers beyond the first).

#ifndef HAKMEM_WORKLOADS_HARNESS_HARNESS_H_
#define HAKMEM_WORKLOADS_HARNESS_HARNESS_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workloads/harness/arguments.h"
#include "workloads/harness/histogram.h"
#include "workloads/harness/identity.h"
#include "workloads/harness/measure.h"
#include "workloads/harness/time_stamp.h"

#define WL_COUNT(array) (sizeof(array) / sizeof((array)[0]))

// The shared options a workload offers; --json, --left, --expect-allocator and --help
// are always there.
enum {
  WL_HAS_SEED = 1 << 0,
  WL_HAS_THREADS = 1 << 1,
  WL_HAS_SIZES = 1 << 2,  // --min, --max
  WL_HAS_TOUCH = 1 << 3,
  WL_HAS_WARMUP = 1 << 4,
  WL_HAS_VERIFY = 1 << 5,
  WL_HAS_LATENCY = 1 << 6,
  WL_HAS_SLICES = 1 << 7,  // no option: the workload calls wl_end_slice
};

typedef enum wl_touch { WL_TOUCH_NONE, WL_TOUCH_FIRST, WL_TOUCH_ALL } wl_touch;

// The timed region in equal parts: so many that most of them are free of what happens on the
// machine now and then, and none is too short to be timed.
enum { WL_SLICES = 128, WL_LEAST_SLICE_OPS = 10000 };

// While a workload rests it does something so often, if it does anything.
enum { WL_REST_STEP_MS = 50 };

enum { WL_MAX_EXTRAS = 40, WL_MAX_THREADS = 4096, WL_STATUS_BYTES = 4608, WL_ARGS_BYTES = 1024 };

typedef struct wl_program {
  const char* name;
  const char* about;
  const wl_option* positionals;
  size_t positional_count;
  const wl_option* options;
  size_t option_count;
  unsigned features;  // WL_HAS_*
} wl_program;

// A figure that only this workload has: kept as the text that both table and JSON show.
typedef struct wl_extra {
  char key[32];
  char text[96];
  bool is_string;
} wl_extra;

// The same moment on both clocks: two of them tell how long a tick is.
typedef struct wl_moment {
  uint64_t ns;
  uint64_t ticks;
} wl_moment;

typedef struct wl_run {
  const wl_program* program;
  char args[WL_ARGS_BYTES];  // the command line but for --json and --expect-allocator

  // Parameters. Set defaults before wl_begin, read them after.
  uint64_t seed;
  uint64_t threads;
  uint64_t min_bytes;
  uint64_t max_bytes;
  uint64_t warmup;  // operations of each worker before the timed region
  unsigned touch;   // wl_touch
  bool verify;
  bool latency;
  bool left;
  // What is done every WL_REST_STEP_MS while --left waits; NULL: nothing.
  void (*rest_a_step)(void* context);
  void* rest_context;
  const char* json_path;           // NULL: no record
  const char* expected_allocator;  // NULL: any

  wl_identity allocator;
  int json_fd;           // -1: none
  int table_fd;          // stderr when the record goes to stdout
  uint64_t empty_ticks;  // what an empty pair of wl_tick costs, and
  uint64_t step_ticks;   // the least by which two readings differ (0: unknown); of a latency run

  // The last measurement.
  wl_usage begin;
  wl_usage end;
  wl_usage paused_at;
  wl_moment begin_moment;
  wl_moment end_moment;
  uint64_t rss_bytes;
  bool rss_known;
  uint64_t harness_bytes;  // of rss_bytes
  bool measured;           // wl_run_workers came to its end
  uint64_t ops;
  uint64_t checksum;
  wl_histogram* histogram;  // of a latency run
  double steady_mops;       // throughput of the median slice; NAN unless it was sliced
  wl_extra extras[WL_MAX_EXTRAS];
  size_t extra_count;

  atomic_bool has_failed;
  char failure[WL_STATUS_BYTES];
} wl_run;

typedef struct wl_worker {
  wl_run* run;
  unsigned index;
  void* shared;  // what was given to wl_run_workers
  void* state;   // the worker's own, made in set_up
  uint64_t ops;  // result: operations in the timed region
  uint64_t checksum;
  wl_histogram* histogram;  // NULL unless this is a latency run
  uint64_t* slice_ends_ns;  // [WL_SLICES + 1], after the beginning of the first; NULL: not sliced
  unsigned slice_count;     // that have ended
} wl_worker;

// All but `timed` may be NULL. They run in the worker's own thread; workers wait for one another
// before and after `timed`. What set_up counts (ops, latencies) is forgotten, so that a warm-up may
// use the code that is timed. A function that fails calls wl_fail and returns.
typedef struct wl_phases {
  void (*set_up)(wl_worker*);
  void (*timed)(wl_worker*);
  void (*tear_down)(wl_worker*);
} wl_phases;

// Defaults: seed 42, one thread, 16..1040 bytes, touch first, no warm-up given.
wl_run wl_run_defaults(void);

void wl_begin(wl_run* run, const wl_program* program, int argc, char** argv);

// One worker runs in the calling thread, so that a process measured with one thread has one thread.
void wl_run_workers(wl_run* run, const wl_phases* phases, void* shared);

// The clock, for workloads that have no workers: everything between the two is the timed region.
void wl_clock_start(wl_run* run);
void wl_clock_stop(wl_run* run);

// Time, faults and processor time between the two do not count (idling, taking samples).
void wl_clock_pause(wl_run* run);
void wl_clock_resume(wl_run* run);

// Notes a failure: the first one becomes the run's status. Any thread.
void wl_fail(wl_run* run, const char* format, ...) __attribute__((format(printf, 2, 3)));
static inline bool wl_has_failed(const wl_run* run) {
  return atomic_load_explicit(&run->has_failed, memory_order_relaxed);
}

// Stops with a usage message and exit code 2: for arguments that only make sense together.
void wl_reject(const wl_run* run, const char* format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

void wl_add_u64(wl_run* run, const char* key, uint64_t value);
void wl_add_double(wl_run* run, const char* key, double value);
void wl_add_text(wl_run* run, const char* key, const char* value);

// The percentiles of `ticks` (counted with wl_count_ticks) in ns as PREFIX_p50_ns ..
// PREFIX_p99999_ns and PREFIX_max_ns, and their number as PREFIX_calls; nothing when it is empty or
// no run was measured.
void wl_add_percentiles(wl_run* run, const char* prefix, const wl_histogram* ticks);

void wl_report(wl_run* run);

// The same for one measurement of several, by the parameter `name`: a record, and a row of a table
// whose heading stands before the first.
void wl_report_row(wl_run* run, const char* name, uint64_t value, bool is_first);

// A line of a time series beside the record: resident and live bytes at a moment of the run.
// Nothing without --json.
void wl_sample(wl_run* run, uint64_t t_ns, uint64_t rss_bytes, uint64_t live_bytes);

int wl_end(wl_run* run);

// Counts one call that lay between two wl_tick readings, less what the readings cost. (A thread
// that changed processors may have read the second a little behind the first: that is 0, too.)
static inline void wl_count_ticks(const wl_run* run, wl_histogram* ticks, uint64_t before,
                                  uint64_t after) {
  uint64_t least = before + run->empty_ticks;
  wl_histogram_add(ticks, after > least ? after - least : 0);
}

static inline void wl_count_latency(wl_worker* worker, uint64_t before, uint64_t after) {
  wl_count_ticks(worker->run, worker->histogram, before, after);
}

// Operations of a slice when `ops` are to be done; 0 when the run is not sliced.
static inline uint64_t wl_slice_ops(const wl_worker* worker, uint64_t ops) {
  uint64_t slice_ops = ops / WL_SLICES;
  return worker->slice_ends_ns != NULL && slice_ops >= WL_LEAST_SLICE_OPS ? slice_ops : 0;
}

// Called before the first slice and after each.
static inline void wl_end_slice(wl_worker* worker) {
  worker->slice_ends_ns[worker->slice_count++] = wl_now_ns();
}

// What a workload does with a fresh block, by --touch.
static inline void wl_touch_block(void* block, size_t size, unsigned touch) {
  if (touch == WL_TOUCH_FIRST) {
    *(volatile unsigned char*)block = 1;
  } else if (touch == WL_TOUCH_ALL) {
    __builtin_memset(block, 1, size);
    __asm__ volatile("" : : "r"(block) : "memory");
  }
}

#endif  // HAKMEM_WORKLOADS_HARNESS_HARNESS_H_
