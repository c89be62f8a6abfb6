// The dataset: one plain structure that the readers fill and everything else reads. A row is a run
// of a program, or one moment of a run; its values are pairs of a field and a number or text. A
// field that a row does not have is unknown: hp_number answers NaN, hp_string NULL, never 0 or "".
//
// Texts are clean (see hp_clean) and interned: equal texts have equal addresses. Everything lives
// in the dataset's arena until hp_dataset_free.

#ifndef HAKMEM_TOOLS_HAKPLOT_DATASET_H_
#define HAKMEM_TOOLS_HAKPLOT_DATASET_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/hakplot/text.h"

// Every field, by the name that records use; docs/RECORDS.md says what each means. Those of perf
// stat that no record has: perf_cycles, perf_<call>_calls (from tracepoints), perf_syscalls.
#define HP_NUMBER_FIELDS(X)                                                                        \
  X(seed)                                                                                          \
  X(threads)                                                                                       \
  X(ops)                                                                                           \
  X(ns_total)                                                                                      \
  X(mops)                                                                                          \
  X(ns_per_op)                                                                                     \
  X(user_s)                                                                                        \
  X(system_s)                                                                                      \
  X(kernel_share)                                                                                  \
  X(minor_faults)                                                                                  \
  X(major_faults)                                                                                  \
  X(peak_rss_bytes)                                                                                \
  X(rss_bytes)                                                                                     \
  X(live_bytes)                                                                                    \
  X(mops_low)                                                                                      \
  X(mops_high)                                                                                     \
  X(working_set)                                                                                   \
  X(min_bytes)                                                                                     \
  X(max_bytes)                                                                                     \
  X(remote_percent)                                                                                \
  X(pairs)                                                                                         \
  X(latency_p50_ns)                                                                                \
  X(latency_p90_ns)                                                                                \
  X(latency_p99_ns)                                                                                \
  X(latency_p999_ns)                                                                               \
  X(latency_p9999_ns)                                                                              \
  X(latency_max_ns)                                                                                \
  X(run) X(order) X(baseline) X(dirty) X(perf_duration_s) X(perf_user_s) X(perf_system_s) X(       \
      perf_task_clock_s) X(perf_page_faults) X(perf_page_faults_user) X(perf_page_faults_kernel)   \
      X(perf_minor_faults) X(perf_major_faults) X(perf_context_switches) X(perf_cpu_migrations) X( \
          perf_cycles) X(perf_cycles_user) X(perf_cycles_kernel) X(perf_instructions_user)         \
          X(perf_mmap_calls) X(perf_munmap_calls) X(perf_madvise_calls) X(perf_mremap_calls) X(    \
              perf_mprotect_calls) X(perf_brk_calls) X(perf_syscalls) X(perf_runs) X(host_cores)   \
              X(host_l1d_bytes) X(host_l2_bytes) X(host_l3_bytes) X(t_ns) X(time_ns) X(pid)        \
                  X(sequence) X(kernel_mmap_calls) X(kernel_munmap_calls) X(kernel_madvise_calls)  \
                      X(kernel_mremap_calls) X(kernel_mprotect_calls) X(page_faults_minor)         \
                          X(page_faults_major) X(vmas) X(vmas_max) X(committed_bytes)              \
                              X(allocated_bytes) X(purged_bytes) X(exhaustions)                    \
                                  X(retained_rounding_bytes) X(retained_partial_slabs_bytes) X(    \
                                      retained_empty_pages_bytes) X(retained_thread_caches_bytes)  \
                                      X(retained_outgoing_bytes) X(retained_abandoned_bytes)       \
                                          X(retained_huge_cache_bytes) X(retained_prewarmed_bytes) \
                                              X(retained_metadata_bytes) X(percent) X(cycles)

#define HP_TEXT_FIELDS(X) \
  X(workload)             \
  X(args)                 \
  X(touch)                \
  X(rng)                  \
  X(mode)                 \
  X(limit)                \
  X(allocator)            \
  X(allocator_version)    \
  X(allocator_path)       \
  X(allocator_build_id)   \
  X(build_mode)           \
  X(status)               \
  X(experiment)           \
  X(title)                \
  X(phase)                \
  X(time_utc)             \
  X(source)               \
  X(host_cpu)             \
  X(host_kernel)          \
  X(host_thp)             \
  X(host_governor)        \
  X(host_id) X(commit) X(workload_sha256) X(allocator_sha256) X(env) X(component) X(group)

// Numbers first, so that hp_is_number is one comparison.
#define HP_ENUMERATOR(name) HP_##name,
typedef enum hp_field {
  HP_NUMBER_FIELDS(HP_ENUMERATOR) HP_TEXT_FIELDS(HP_ENUMERATOR) HP_FIELD_COUNT
} hp_field;
#undef HP_ENUMERATOR

typedef enum hp_kind {
  HP_RUN,        // one run of a program, its totals
  HP_MEAN,       // the means of several runs, without the runs (perf stat -r)
  HP_SAMPLE,     // one moment of a run: hakmem.sample.1
  HP_TELEMETRY,  // one moment of a process: hakmem.telemetry.1, counters since its start
  HP_INTERVAL,   // what happened in one interval of perf stat -I
  HP_PART,       // a part of a profile: component, group, percent
} hp_kind;

typedef struct hp_value {
  uint16_t field;
  float error;  // standard error over the value, of a mean; else 0
  union {
    double number;
    const char* text;
  };
} hp_value;

// A size class in a telemetry row.
typedef struct hp_class {
  uint32_t index;
  double block_bytes;
  double live;
  double capacity;
} hp_class;

typedef struct hp_row {
  hp_kind kind;
  uint32_t line;     // from 1
  const char* file;  // as the user named it
  hp_value* values;
  size_t value_count;
  hp_class* classes;
  size_t class_count;
} hp_row;

typedef struct hp_dataset {
  hp_arena arena;
  hp_map texts;
  hp_map notes_seen;
  hp_map fields;  // names to hp_field
  hp_row* rows;
  size_t row_count;
  const char** files;  // those that were read, in order
  size_t file_count;
  const char** notes;  // what a reader of the charts must know: mixed builds, scaled counters ...
  size_t note_count;
  const char* error;       // of the last reader that failed: file, line, what was expected
  bool has_several_hosts;  // set by hp_group_runs
} hp_dataset;

void hp_dataset_init(hp_dataset* data);
void hp_dataset_free(hp_dataset* data);

const char* hp_intern(hp_dataset* data, const char* text, size_t size);

// The field of that name, or HP_FIELD_COUNT.
hp_field hp_field_named(hp_dataset* data, const char* name);
const char* hp_field_name(hp_field field);
static inline bool hp_is_number(hp_field field) { return field < HP_workload; }

// A new last row. The pointer holds until the next row.
hp_row* hp_add_row(hp_dataset* data, hp_kind kind, const char* file, uint32_t line);

// Sets a field; NaN and NULL change nothing. Text is taken as it is: intern it.
void hp_set_number(hp_dataset* data, hp_row* row, hp_field field, double number);
void hp_set_text(hp_dataset* data, hp_row* row, hp_field field, const char* interned);
hp_value* hp_find(const hp_row* row, hp_field field);

double hp_number(const hp_row* row, hp_field field);
const char* hp_string(const hp_row* row, hp_field field);
bool hp_has_failed(const hp_row* row);  // a status that is known and not "ok"

// Adds a note unless it is there already.
void hp_note(hp_dataset* data, const char* format, ...) __attribute__((format(printf, 2, 3)));

// Sets data->error to "FILE:LINE: ..." (line 0: no line). Returns false.
bool hp_fail(hp_dataset* data, const char* file, size_t line, const char* format, ...)
    __attribute__((format(printf, 4, 5)));

#endif  // HAKMEM_TOOLS_HAKPLOT_DATASET_H_
