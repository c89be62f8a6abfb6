// What a run says when it is over: the table for people and the JSON record (docs/RECORDS.md) for
// programs.

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workloads/harness/harness.h"
#include "workloads/harness/json_record.h"
#include "workloads/harness/print.h"

// The build's mode as Bazel names it; a compilation by hand is told apart by what the compiler
// says.
#if !defined(WL_BUILD_MODE)
#if defined(__OPTIMIZE__)
#define WL_BUILD_MODE "opt"
#else
#define WL_BUILD_MODE "dbg"
#endif
#endif

// The kernel accounts processor time in ticks of milliseconds: below this much time a share of it
// is noise.
static const double kLeastSecondsForShare = 0.2;

static const struct {
  const char* name;
  double quantile;
} kQuantiles[] = {
    {"p50", 0.5},      {"p90", 0.9},        {"p99", 0.99}, {"p999", 0.999},
    {"p9999", 0.9999}, {"p99999", 0.99999}, {"max", 1.0},
};

// The figures derived from the measurement; NAN where they cannot be known.
typedef struct figures {
  wl_usage used;
  double mops;
  double ns_per_op;
  double kernel_share;
  double ns_per_tick;
} figures;

static figures derive(const wl_run* run) {
  figures all = {.mops = NAN, .ns_per_op = NAN, .kernel_share = NAN, .ns_per_tick = NAN};
  if (!run->measured) return all;
  all.used = wl_usage_between(&run->begin, &run->end);
  double cpu_s = all.used.user_s + all.used.system_s;
  // In a latency run most of the time is the timing: its throughput means nothing.
  if (run->ops > 0 && all.used.ns > 0 && !run->latency && !wl_has_failed(run)) {
    all.ns_per_op = (double)all.used.ns / (double)run->ops;
    all.mops = 1e3 / all.ns_per_op;
  }
  if (cpu_s >= kLeastSecondsForShare) all.kernel_share = all.used.system_s / cpu_s;
  uint64_t ticks = run->end_moment.ticks - run->begin_moment.ticks;
  uint64_t ns = run->end_moment.ns - run->begin_moment.ns;
  if (ticks > 0) all.ns_per_tick = (double)ns / (double)ticks;
  return all;
}

static const char* or_null(const char* text) { return text[0] != '\0' ? text : NULL; }

static const char* const kTouchNames[] = {"none", "first", "all"};

static void add_parameters(const wl_run* run, wl_record* record) {
  unsigned features = run->program->features;
  if (features & WL_HAS_SIZES) {
    wl_record_u64(record, "min_bytes", run->min_bytes);
    wl_record_u64(record, "max_bytes", run->max_bytes);
  }
  if (features & WL_HAS_TOUCH) wl_record_text(record, "touch", kTouchNames[run->touch]);
  if ((features & WL_HAS_WARMUP) && run->warmup != WL_UNSET) {
    wl_record_u64(record, "warmup", run->warmup);
  }
  if (run->latency) wl_record_text(record, "mode", "latency");
  if (run->verify) wl_record_text(record, "mode", "verify");
}

static void add_measurement(const wl_run* run, const figures* all, wl_record* record) {
  uint64_t peak;
  if (run->measured) {
    wl_record_u64(record, "ops", run->ops);
    wl_record_u64(record, "ns_total", all->used.ns);
    wl_record_double(record, "mops", all->mops);
    wl_record_double(record, "ns_per_op", all->ns_per_op);
    if (!isnan(run->steady_mops)) wl_record_double(record, "steady_mops", run->steady_mops);
    wl_record_double(record, "user_s", all->used.user_s);
    wl_record_double(record, "system_s", all->used.system_s);
    wl_record_double(record, "kernel_share", all->kernel_share);
    wl_record_u64(record, "minor_faults", all->used.minor_faults);
    wl_record_u64(record, "major_faults", all->used.major_faults);
    wl_record_u64(record, "preemptions", all->used.preemptions);
    if (run->rss_known) wl_record_u64(record, "rss_bytes", run->rss_bytes);
    wl_record_u64(record, "harness_bytes", run->harness_bytes);
    wl_record_hex(record, "checksum", run->checksum);
  }
  if (wl_peak_rss_bytes(&peak)) wl_record_u64(record, "peak_rss_bytes", peak);
}

static void add_extras(const wl_run* run, wl_record* record) {
  for (size_t i = 0; i < run->extra_count; i++) {
    const wl_extra* extra = &run->extras[i];
    if (extra->is_string) {
      wl_record_text(record, extra->key, extra->text);
    } else {
      wl_record_number(record, extra->key, extra->text);
    }
  }
}

static void add_allocator(const wl_run* run, wl_record* record) {
  wl_record_text(record, "allocator", run->allocator.name);
  wl_record_text(record, "allocator_version", or_null(run->allocator.version));
  wl_record_text(record, "allocator_path", or_null(run->allocator.path));
  wl_record_text(record, "allocator_build_id", or_null(run->allocator.build_id));
  wl_record_text(record, "build_mode", WL_BUILD_MODE);
}

static void status_of(const wl_run* run, char* status, size_t bytes) {
  snprintf(status, bytes, "%s%s", wl_has_failed(run) ? "failed: " : "ok", run->failure);
}

static void write_record(wl_run* run, const figures* all) {
  wl_record record;
  char status[WL_STATUS_BYTES + 16];
  if (run->json_fd < 0) return;
  status_of(run, status, sizeof(status));
  wl_record_open(&record, "hakmem.workload.1");
  wl_record_text(&record, "workload", run->program->name);
  wl_record_text(&record, "args", run->args);
  wl_record_u64(&record, "seed", run->seed);
  wl_record_u64(&record, "threads", run->threads);
  add_parameters(run, &record);
  add_measurement(run, all, &record);
  add_extras(run, &record);
  add_allocator(run, &record);
  wl_record_text(&record, "status", status);
  if (!wl_record_write(&record, run->json_fd)) {
    wl_print(STDERR_FILENO, "%s: cannot write the record to %s: %s\n", run->program->name,
             run->json_path, strerror(errno));
    wl_fail(run, "cannot write the record to %s", run->json_path);
  }
}

// ---- the table ----

static void row(const wl_run* run, const char* label, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

static void row(const wl_run* run, const char* label, const char* format, ...) {
  char text[WL_STATUS_BYTES + 64];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  wl_print(run->table_fd, "  %-18s %s\n", label, text);
}

// In units that leave digits before the point, however long an operation takes.
static void put_throughput(const wl_run* run, const figures* all) {
  const bool is_slow = all->mops < 0.1;
  row(run, "throughput", "%.4g %s, %.4g %s", all->mops * (is_slow ? 1e6 : 1),
      is_slow ? "ops/s" : "Mops/s", all->ns_per_op * (is_slow ? 1e-3 : 1),
      is_slow ? "us/op" : "ns/op");
}

static void print_measurement(const wl_run* run, const figures* all) {
  uint64_t peak;
  const double mib = 1024.0 * 1024.0;
  if (!run->measured) return;
  row(run, "operations", "%" PRIu64 " in %.3f s", run->ops, (double)all->used.ns * 1e-9);
  if (!isnan(all->mops)) {
    put_throughput(run, all);
  }
  if (!isnan(run->steady_mops)) {
    row(run, "in the median slice", "%.4g Mops/s", run->steady_mops);
  }
  if (isnan(all->kernel_share)) {
    row(run, "processor time", "user %.3f s, system %.3f s, kernel share unknown (below %.1f s)",
        all->used.user_s, all->used.system_s, kLeastSecondsForShare);
  } else {
    row(run, "processor time", "user %.3f s, system %.3f s, kernel share %.1f %%", all->used.user_s,
        all->used.system_s, all->kernel_share * 100);
  }
  row(run, "page faults", "%" PRIu64 " minor, %" PRIu64 " major", all->used.minor_faults,
      all->used.major_faults);
  row(run, "preemptions", "%" PRIu64, all->used.preemptions);
  if (run->rss_known && wl_peak_rss_bytes(&peak)) {
    row(run, "resident memory", "peak %.1f MiB, at the end %.1f MiB, of which the harness %.1f MiB",
        (double)peak / mib, (double)run->rss_bytes / mib, (double)run->harness_bytes / mib);
  }
}

static void print_table(const wl_run* run, const figures* all) {
  char status[WL_STATUS_BYTES + 16];
  status_of(run, status, sizeof(status));
  wl_print(run->table_fd, "%s %s\n", run->program->name, run->args);
  row(run, "allocator", "%s%s%s", run->allocator.name, run->allocator.version[0] ? " " : "",
      run->allocator.version);
  row(run, "malloc lives in", "%s",
      run->allocator.path[0] ? run->allocator.path : "an unknown object");
  print_measurement(run, all);
  for (size_t i = 0; i < run->extra_count; i++) {
    char label[32];
    snprintf(label, sizeof(label), "%s", run->extras[i].key);
    for (char* at = label; *at != '\0'; at++) {
      if (*at == '_') *at = ' ';
    }
    row(run, label, "%s", run->extras[i].text);
  }
  if (run->measured) row(run, "checksum", "0x%016" PRIx64, run->checksum);
  if (strcmp(WL_BUILD_MODE, "opt") != 0) row(run, "build", "%s: not for measuring", WL_BUILD_MODE);
  row(run, "status", "%s", status);
}

// ---- the workload's own figures ----

static wl_extra* next_extra(wl_run* run, const char* key) {
  if (run->extra_count == WL_MAX_EXTRAS) {
    wl_print(STDERR_FILENO, "too many figures: no room for %s\n", key);
    abort();
  }
  wl_extra* extra = &run->extras[run->extra_count++];
  snprintf(extra->key, sizeof(extra->key), "%s", key);
  return extra;
}

void wl_add_u64(wl_run* run, const char* key, uint64_t value) {
  wl_extra* extra = next_extra(run, key);
  snprintf(extra->text, sizeof(extra->text), "%" PRIu64, value);
  extra->is_string = false;
}

void wl_add_double(wl_run* run, const char* key, double value) {
  wl_extra* extra = next_extra(run, key);
  snprintf(extra->text, sizeof(extra->text), isfinite(value) ? "%.6g" : "null", value);
  extra->is_string = false;
}

void wl_add_text(wl_run* run, const char* key, const char* value) {
  wl_extra* extra = next_extra(run, key);
  snprintf(extra->text, sizeof(extra->text), "%s", value);
  extra->is_string = true;
}

void wl_add_percentiles(wl_run* run, const char* prefix, const wl_histogram* ticks) {
  char key[32];
  double ns_per_tick = derive(run).ns_per_tick;
  if (ticks->total == 0 || isnan(ns_per_tick)) return;
  for (size_t i = 0; i < sizeof(kQuantiles) / sizeof(kQuantiles[0]); i++) {
    uint64_t quantile = wl_histogram_quantile(ticks, kQuantiles[i].quantile);
    snprintf(key, sizeof(key), "%s_%s_ns", prefix, kQuantiles[i].name);
    wl_add_double(run, key, (double)quantile * ns_per_tick);
  }
  snprintf(key, sizeof(key), "%s_calls", prefix);
  wl_add_u64(run, key, ticks->total);
}

// The times of calls, less what their timing cost; that cost, and how fine the clock is.
static void add_latencies(wl_run* run) {
  double ns_per_tick = derive(run).ns_per_tick;
  wl_add_percentiles(run, "latency", run->histogram);
  if (isnan(ns_per_tick)) return;
  wl_add_double(run, "timer_ns", (double)run->empty_ticks * ns_per_tick);
  if (run->step_ticks == 0) return;
  wl_add_double(run, "timer_step_ns", (double)run->step_ticks * ns_per_tick);
}

void wl_report_row(wl_run* run, const char* name, uint64_t value, bool is_first) {
  figures all = derive(run);
  write_record(run, &all);
  if (is_first) {
    wl_print(run->table_fd, "%s %s, served by %s\n%14s %10s %10s %8s %10s %10s\n",
             run->program->name, run->args, run->allocator.path, name, "Mops/s", "ns/op", "kernel",
             "faults", "peak MiB");
  }
  uint64_t peak = 0;
  char share[16] = "-";
  if (!isnan(all.kernel_share)) {
    snprintf(share, sizeof(share), "%.1f %%", all.kernel_share * 100);
  }
  wl_peak_rss_bytes(&peak);
  wl_print(run->table_fd, "%14" PRIu64 " %10.4g %10.4g %8s %10" PRIu64 " %10.1f\n", value, all.mops,
           all.ns_per_op, share, all.used.minor_faults + all.used.major_faults,
           (double)peak / 1048576);
  if (wl_has_failed(run)) row(run, "status", "failed: %s", run->failure);
}

// Sleeps, or does meanwhile what the workload does.
static void rest_until(const wl_run* run, uint64_t until_ns) {
  for (uint64_t now_ns; (now_ns = wl_now_ns()) < until_ns;) {
    uint64_t ns = until_ns - now_ns;
    const uint64_t step_ns = (uint64_t)WL_REST_STEP_MS * 1000000;
    if (run->rest_a_step != NULL && ns > step_ns) ns = step_ns;
    nanosleep(&(struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)}, NULL);
    if (run->rest_a_step != NULL) run->rest_a_step(run->rest_context);
  }
}

// The work is done: what the program holds beside what is live is what the allocator keeps.
static void add_left(wl_run* run) {
  static const uint64_t kSeconds[] = {1, 5, 15};
  const uint64_t end_ns = wl_now_ns();
  for (size_t i = 0; i < WL_COUNT(kSeconds); i++) {
    char key[32];
    uint64_t bytes;
    rest_until(run, end_ns + kSeconds[i] * 1000000000);
    snprintf(key, sizeof(key), "left_%" PRIu64 "s_bytes", kSeconds[i]);
    if (wl_rss_bytes(&bytes)) wl_add_u64(run, key, bytes);
  }
}

void wl_report(wl_run* run) {
  if (run->latency && run->measured) add_latencies(run);
  if (run->left && run->measured && !wl_has_failed(run)) add_left(run);
  figures all = derive(run);
  write_record(run, &all);
  print_table(run, &all);
}

void wl_sample(wl_run* run, uint64_t t_ns, uint64_t rss_bytes, uint64_t live_bytes) {
  wl_record record;
  if (run->json_fd < 0) return;
  wl_record_open(&record, "hakmem.sample.1");
  wl_record_text(&record, "workload", run->program->name);
  wl_record_u64(&record, "t_ns", t_ns);
  wl_record_u64(&record, "rss_bytes", rss_bytes);
  wl_record_u64(&record, "live_bytes", live_bytes);
  if (!wl_record_write(&record, run->json_fd)) {
    wl_fail(run, "cannot write a sample to %s", run->json_path);
  }
}
