// What one row says of each metric, and what a group's rows say together.

#include <math.h>
#include <string.h>

#include "tools/common/statistics.h"
#include "tools/hakplot/group.h"

// Timer ticks a second at which Linux samples user and system time. 250 is the default of Debian
// and Ubuntu; no record says it, and no smaller value than 100 exists, where intervals would be 1.6
// times as wide.
static const double kTicksPerSecond = 250;

// Below this many CPU seconds a share is refused: fewer than 50 ticks.
static const double kLeastCpuSeconds = 0.2;

static double first_known(double a, double b) { return isnan(a) ? b : a; }

// A run that times single calls or checks every block says nothing of speed.
static bool is_diagnostic(const hp_row* row) { return hp_string(row, HP_mode) != NULL; }

bool hp_is_duet(const hp_row* row) { return !isnan(hp_number(row, HP_duet)); }

static double throughput(const hp_row* row) {
  if (is_diagnostic(row)) return NAN;
  double ops = hp_number(row, HP_ops);
  double cpu_s = hp_number(row, HP_user_s) + hp_number(row, HP_system_s);
  if (hp_is_duet(row)) return ops / cpu_s * 1e-6;
  double timed = ops / hp_number(row, HP_ns_total) * 1e3;
  double whole = ops / hp_number(row, HP_perf_duration_s) * 1e-6;
  return first_known(hp_number(row, HP_mops), first_known(timed, whole));
}

// Throughput in the median slice of the timed region.
static double steady(const hp_row* row) {
  return hp_is_duet(row) || is_diagnostic(row) ? NAN : hp_number(row, HP_steady_mops);
}

static double time_per_op(const hp_row* row) {
  if (is_diagnostic(row)) return NAN;
  double stated = hp_is_duet(row) ? NAN : hp_number(row, HP_ns_per_op);
  return first_known(stated, 1e3 / throughput(row));
}

static double elapsed(const hp_row* row) {
  if (hp_is_duet(row)) return NAN;
  return first_known(hp_number(row, HP_ns_total) * 1e-9, hp_number(row, HP_perf_duration_s));
}

hp_cpu_source hp_cpu_times(const hp_row* row, double* user_s, double* system_s) {
  *user_s = hp_number(row, HP_user_s);
  *system_s = hp_number(row, HP_system_s);
  if (!isnan(*user_s + *system_s)) return HP_CPU_REGION;
  *user_s = hp_number(row, HP_perf_user_s);
  *system_s = hp_number(row, HP_perf_system_s);
  return isnan(*user_s + *system_s) ? HP_CPU_UNKNOWN : HP_CPU_PROCESS;
}

static double kernel_percent(const hp_row* row) {
  double user;
  double system;
  double stated = hp_number(row, HP_kernel_share) * 100;
  if (hp_cpu_times(row, &user, &system) == HP_CPU_UNKNOWN) return stated;
  return user + system < kLeastCpuSeconds ? NAN : system / (user + system) * 100;
}

static double per_million(const hp_row* row, double count) {
  return count / hp_number(row, HP_ops) * 1e6;
}

static double fault_count(const hp_row* row) {
  double timed = hp_number(row, HP_minor_faults) + hp_number(row, HP_major_faults);
  double process = hp_number(row, HP_page_faults_minor) + hp_number(row, HP_page_faults_major);
  return first_known(timed, first_known(process, hp_number(row, HP_perf_page_faults)));
}

static double faults(const hp_row* row) { return per_million(row, fault_count(row)); }

// Totals say something only where they cannot be had for each operation.
static double unless_per_op(const hp_row* row, double total) {
  return isnan(hp_number(row, HP_ops)) ? total : NAN;
}

static double faults_total(const hp_row* row) { return unless_per_op(row, fault_count(row)); }

static double cpu_time(const hp_row* row) {
  double user;
  double system;
  hp_cpu_times(row, &user, &system);
  return unless_per_op(row, first_known(user + system, hp_number(row, HP_perf_task_clock_s)));
}

const char* const kCallNames[HP_CALL_COUNT] = {"mmap",   "munmap",   "madvise",
                                               "mremap", "mprotect", "brk"};

double hp_calls(const hp_row* row, size_t call) {
  static const hp_field kCounted[HP_CALL_COUNT] = {HP_kernel_mmap_calls,     HP_kernel_munmap_calls,
                                                   HP_kernel_madvise_calls,  HP_kernel_mremap_calls,
                                                   HP_kernel_mprotect_calls, HP_FIELD_COUNT};
  static const hp_field kTraced[HP_CALL_COUNT] = {HP_perf_mmap_calls,     HP_perf_munmap_calls,
                                                  HP_perf_madvise_calls,  HP_perf_mremap_calls,
                                                  HP_perf_mprotect_calls, HP_perf_brk_calls};
  return first_known(hp_number(row, kCounted[call]), hp_number(row, kTraced[call]));
}

// The sum of the calls that the row knows; a row that knows none is unknown.
static double call_count(const hp_row* row) {
  double all = hp_number(row, HP_perf_syscalls);
  double sum = NAN;
  for (size_t i = 0; i < HP_CALL_COUNT; i++) {
    double calls = hp_calls(row, i);
    if (!isnan(calls)) sum = isnan(sum) ? calls : sum + calls;
  }
  return first_known(sum, all);
}

static double syscalls(const hp_row* row) { return per_million(row, call_count(row)); }

static double syscalls_total(const hp_row* row) { return unless_per_op(row, call_count(row)); }

static double mean_rss(const hp_row* row) { return hp_number(row, HP_mean_rss_bytes) / 1048576; }

static double over_rss(const hp_row* row) { return hp_number(row, HP_mean_over_bytes) / 1048576; }

static double left_rss(const hp_row* row) { return hp_number(row, HP_left_15s_bytes) / 1048576; }

static double peak_rss(const hp_row* row) { return hp_number(row, HP_peak_rss_bytes) / 1048576; }

const hp_metric kMetrics[HP_METRIC_COUNT] = {
    [HP_THROUGHPUT] = {"throughput", "throughput, million operations a second", "M ops/s",
                       throughput, true, HP_perf_duration_s,
                       "throughput, million operations a second of processor time", "M ops/CPU s"},
    [HP_TIME_PER_OP] = {"time-per-op", "time per operation, ns", "ns/op", time_per_op, false,
                        HP_perf_duration_s, "processor time per operation, ns", "CPU ns/op"},
    [HP_ELAPSED] = {"elapsed", "elapsed time, s", "s", elapsed, .measured = HP_perf_duration_s},
    [HP_KERNEL_SHARE] = {"kernel-share", "CPU time in the kernel, %", "% kernel", kernel_percent,
                         .measured = HP_FIELD_COUNT},
    [HP_FAULTS] = {"faults", "page faults per million operations", "faults/Mop", faults,
                   .measured = HP_perf_page_faults},
    [HP_SYSCALLS] = {"syscalls", "memory system calls per million operations", "calls/Mop",
                     syscalls, .measured = HP_perf_syscalls},
    [HP_PEAK_RSS] = {"peak-rss", "peak resident memory, MiB", "MiB peak", peak_rss,
                     .measured = HP_FIELD_COUNT},
    [HP_CPU_TIME] = {"cpu-time", "CPU time of a run, s", "CPU s", cpu_time,
                     .measured = HP_FIELD_COUNT},
    [HP_FAULTS_TOTAL] = {"faults-total", "page faults of a run", "faults", faults_total,
                         .measured = HP_perf_page_faults},
    [HP_SYSCALLS_TOTAL] = {"syscalls-total", "memory system calls of a run", "calls",
                           syscalls_total, .measured = HP_perf_syscalls},
    [HP_STEADY] = {"steady", "throughput in the median slice, million operations a second",
                   "M ops/s steady", steady, true, .measured = HP_FIELD_COUNT},
    [HP_MEAN_RSS] = {"mean-rss", "resident memory over the run, mean, MiB", "MiB mean", mean_rss,
                     .measured = HP_FIELD_COUNT},
    [HP_OVER_RSS] = {"over-rss", "resident memory beyond what is live, mean over the run, MiB",
                     "MiB over", over_rss, .measured = HP_FIELD_COUNT},
    [HP_LEFT_RSS] = {"left-rss", "resident memory 15 s after the work, MiB", "MiB left", left_rss,
                     .measured = HP_FIELD_COUNT},
};

const char* hp_metric_title(const hp_metric* metric, const hp_row* row) {
  return hp_is_duet(row) && metric->duet_title != NULL ? metric->duet_title : metric->title;
}

const char* hp_metric_unit(const hp_metric* metric, const hp_row* row) {
  return hp_is_duet(row) && metric->duet_unit != NULL ? metric->duet_unit : metric->unit;
}

const hp_metric* hp_metric_named(const char* name) {
  for (size_t i = 0; i < HP_METRIC_COUNT; i++) {
    if (strcmp(kMetrics[i].name, name) == 0) return &kMetrics[i];
  }
  return NULL;
}

// A range that a report states in place of runs (throughput alone has one).
static hp_summary summary_of_range(const hp_group* group) {
  double low = NAN;
  double high = NAN;
  for (size_t i = 0; i < group->run_count && isnan(low); i++) {
    low = hp_number(group->runs[i], HP_mops_low);
    high = hp_number(group->runs[i], HP_mops_high);
  }
  return (hp_summary){(low + high) / 2, low, high, .samples = NAN,
                      .is_range = isfinite(low + high)};
}

// The runs' own shares are kept beside the one of all.
static hp_summary summary_of_share(const hp_group* group, double* values, size_t count) {
  hp_share share = hp_kernel_share(group);
  return (hp_summary){share.share * 100,
                      share.low * 100,
                      share.high * 100,
                      NAN,
                      values,
                      count,
                      .samples = hp_share_samples(&share)};
}

hp_summary hp_summarise_by(const hp_group* group, hp_figure_of of, size_t which) {
  double* values = hp_alloc((group->run_count + 1) * sizeof(*values));
  size_t count = 0;
  for (size_t i = 0; i < group->run_count; i++) {
    double value = of(group->runs[i], which);
    if (isfinite(value)) values[count++] = value;
  }
  if (count == 0 && group->mean != NULL) {
    return (hp_summary){.centre = of(group->mean, which),
                        .low = NAN,
                        .high = NAN,
                        .error = NAN,
                        .samples = NAN,
                        .is_mean = true};
  }
  hp_interval interval = hp_median_interval(values, count);
  return (hp_summary){
      hp_median(values, count), interval.low, interval.high, NAN, values, count, .samples = NAN};
}

static double metric_of(const hp_row* row, size_t metric) { return kMetrics[metric].of(row); }

hp_summary hp_summarise(const hp_group* group, const hp_metric* metric) {
  hp_summary summary = hp_summarise_by(group, metric_of, (size_t)(metric - kMetrics));
  if (metric == &kMetrics[HP_KERNEL_SHARE]) {
    return summary_of_share(group, summary.values, summary.count);
  }
  if (summary.is_mean) {
    const hp_value* measured = hp_find(group->mean, metric->measured);
    if (measured != NULL && measured->error > 0) summary.error = measured->error;
  } else if (summary.count == 0 && metric == &kMetrics[HP_THROUGHPUT]) {
    return summary_of_range(group);
  }
  return summary;
}

const hp_metric* hp_main_metric(const hp_case* one) {
  for (size_t i = 0; i < one->group_count; i++) {
    hp_summary summary = hp_summarise(&one->groups[i], &kMetrics[HP_THROUGHPUT]);
    if (!isnan(summary.centre)) return &kMetrics[HP_THROUGHPUT];
  }
  return &kMetrics[hp_is_duet(one->sample) ? HP_CPU_TIME : HP_ELAPSED];
}

// Titles and units of throughput begin, or go on after the comma, with the word for a million.
hp_unit hp_unit_of(const hp_case* one, const hp_metric* metric) {
  static const struct {
    double below;
    double factor;
    const char* letter;
    const char* word;
  } kSteps[] = {{1e-4, 1e6, "", ""}, {0.1, 1e3, "k ", "thousand "}};
  const char* million = "million ";
  hp_unit unit = {hp_metric_unit(metric, one->sample), hp_metric_title(metric, one->sample), 1};
  const char* word = strstr(unit.title, million);
  double largest = 0;
  for (size_t i = 0; i < one->group_count; i++) {
    largest = fmax(largest, hp_summarise(&one->groups[i], metric).centre);
  }
  for (size_t i = 0; i < sizeof(kSteps) / sizeof(kSteps[0]) && word != NULL; i++) {
    if (largest >= kSteps[i].below || largest == 0) continue;
    unit.factor = kSteps[i].factor;
    unit.name = hp_format("%s%s", kSteps[i].letter, unit.name + 2);
    unit.title = hp_format("%.*s%s%s", (int)(word - unit.title), unit.title, kSteps[i].word,
                           word + strlen(million));
    break;
  }
  return unit;
}

char* hp_summary_text(const hp_summary* summary, double factor) {
  char* centre = hp_number_text(summary->centre * factor, 3);
  if (summary->is_range && summary->low < summary->high) {
    return hp_format("%s to %s", hp_number_text(summary->low * factor, 3),
                     hp_number_text(summary->high * factor, 3));
  }
  double half = fmax(summary->high - summary->centre, summary->centre - summary->low);
  if (isnan(half) || summary->is_range || summary->centre == 0) return centre;
  return hp_format("%s ± %.*f %%", centre, half < summary->centre / 100 ? 1 : 0,
                   half / summary->centre * 100);
}

// The runs of a group and, last, its mean.
static size_t row_count(const hp_group* group) {
  return group->run_count + (group->mean != NULL ? 1 : 0);
}
static const hp_row* row_at(const hp_group* group, size_t i) {
  return i < group->run_count ? group->runs[i] : group->mean;
}

static hp_share share_of_cycles(const hp_group* group) {
  double user = 0;
  double kernel = 0;
  for (size_t i = 0; i < row_count(group); i++) {
    user += hp_number(row_at(group, i), HP_perf_cycles_user);
    kernel += hp_number(row_at(group, i), HP_perf_cycles_kernel);
  }
  double share = kernel / (user + kernel);
  hp_cpu_source source = isnan(share) ? HP_CPU_UNKNOWN : HP_CPU_CYCLES;
  return (hp_share){share, NAN, NAN, NAN, row_count(group), source};
}

static hp_share share_stated(const hp_group* group) {
  for (size_t i = 0; i < group->run_count; i++) {
    double share = hp_number(group->runs[i], HP_kernel_share);
    if (share >= 0 && share <= 1)
      return (hp_share){share, NAN, NAN, .cpu_s = NAN, .source = HP_CPU_STATED};
  }
  return (hp_share){NAN, NAN, NAN, .cpu_s = NAN, .source = HP_CPU_UNKNOWN};
}

// Adds the times of the rows whose best source is `wanted`.
static hp_share share_of_times(const hp_group* group, hp_cpu_source wanted) {
  double user_s = 0;
  double system_s = 0;
  size_t count = 0;
  for (size_t i = 0; i < row_count(group); i++) {
    double user;
    double system;
    if (hp_cpu_times(row_at(group, i), &user, &system) != wanted) continue;
    user_s += user;
    system_s += system;
    count++;
  }
  double cpu_s = user_s + system_s;
  if (cpu_s < kLeastCpuSeconds)
    return (hp_share){NAN, NAN, NAN, .cpu_s = cpu_s, .source = HP_CPU_UNKNOWN};
  double share = system_s / cpu_s;
  hp_interval interval = hp_share_interval(share, cpu_s * kTicksPerSecond);
  return (hp_share){share, interval.low, interval.high, cpu_s, count, wanted};
}

double hp_share_samples(const hp_share* share) {
  bool is_sampled = share->source == HP_CPU_REGION || share->source == HP_CPU_PROCESS;
  return is_sampled ? share->cpu_s * kTicksPerSecond : NAN;
}

hp_share hp_kernel_share(const hp_group* group) {
  hp_share share = share_of_times(group, HP_CPU_REGION);
  double too_few_s = share.cpu_s;
  if (share.source == HP_CPU_UNKNOWN) share = share_of_cycles(group);
  if (share.source == HP_CPU_UNKNOWN) {
    share = share_of_times(group, HP_CPU_PROCESS);
    too_few_s = fmax(too_few_s, share.cpu_s);
  }
  if (share.source == HP_CPU_UNKNOWN) share = share_stated(group);
  if (share.source == HP_CPU_UNKNOWN) share.cpu_s = too_few_s;
  return share;
}
