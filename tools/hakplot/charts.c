#include "tools/hakplot/charts.h"

#include <math.h>
#include <string.h>

const hp_chart kCharts[] = {
    {"throughput",
     "Longer is better. A bar is the median of its runs, the line on it the 95 % interval of that "
     "median, each circle one run: where intervals overlap, the difference may be noise.",
     "records of runs, or perf stat files with --ops", hp_chart_throughput},
    {"kernel-share",
     "Time in the kernel is time an allocator spends on mmap, munmap, madvise and page faults. The "
     "line is what sampling by timer ticks leaves open (95 %).",
     "user and system time, or cycles by mode", hp_chart_kernel_share},
    {"profile", "Where the processor's time goes, by part, as a profiler saw it.",
     "lines of schema hakmem.profile.1", hp_chart_profile},
    {"time-split",
     "CPU time of one operation. The dry loop runs without an allocator: what "
     "lies beyond it is the allocator's, in user space and in the kernel.",
     "records with operations, user and system time", hp_chart_time_split},
    {"kernel-events",
     "What an allocator asks of the kernel, on a logarithmic axis with a place for 0. In a steady "
     "state all should be near 0.",
     "records with page faults or calls, and operations", hp_chart_kernel_events},
    {"limit",
     "The best run, as a share of the loop that has no allocator at all. The second mark is an "
     "ideal allocator: one load and one store.",
     "records of a workload and of dry with the same parameters", hp_chart_limit},
    {"elapsed", "Shorter is better. Wall-clock time of a run.", "perf stat files without --ops",
     hp_chart_elapsed},
    {"working-set",
     "Throughput against the bytes that are live. The marks are this machine's caches: behind each "
     "the program's own misses grow, and an allocator that touches more memory falls sooner.",
     "records of one workload with 3 working sets or more", hp_chart_working_set},
    {"remote-free", "Throughput as more blocks are freed by another thread than allocated them.",
     "records with 3 shares of remote frees or more", hp_chart_remote_free},
    {"scaling",
     "Throughput against threads. The ideal line is the best single thread times the threads.",
     "records of one workload with 2 numbers of threads or more", hp_chart_scaling},
    {"latency",
     "How long single calls take: the further right, the rarer. Both axes are logarithmic.",
     "records of workloads run with --latency", hp_chart_latency},
    {"rss",
     "Memory of the process (solid) and bytes the program holds (dashed). The gap is what the "
     "allocator keeps.",
     "lines of schema hakmem.sample.1 or hakmem.telemetry.1", hp_chart_rss},
    {"retention",
     "Every byte held from the kernel that is not live in the program, by the one reason for it.",
     "telemetry of the allocator", hp_chart_retention},
    {"classes",
     "How full the slabs of each size class are over time: dark means memory held for few blocks.",
     "telemetry of the allocator", hp_chart_classes},
    {"intervals", "Page faults a second over the run, from perf stat -I.", "perf stat -I",
     hp_chart_intervals},
};
const size_t kChartCount = sizeof(kCharts) / sizeof(kCharts[0]);

const hp_chart* hp_chart_named(const char* name) {
  for (size_t i = 0; i < kChartCount; i++) {
    if (strcmp(kCharts[i].name, name) == 0) return &kCharts[i];
  }
  return NULL;
}

const char* hp_figure_name(hp_figures* figures, const char* chart, const char* part) {
  return part[0] == '\0' ? chart : hp_format(&figures->data->arena, "%s-%s", chart, part);
}

void hp_figures_add(hp_figures* figures, hp_figure* figure) {
  if (!hp_figure_has_data(figure)) return;
  const char* name = figure->name;
  bool is_new;
  for (int n = 2;
       hp_map_put(&figures->names, &figures->data->arena, figure->name, &is_new), !is_new; n++) {
    figure->name = hp_format(&figures->data->arena, "%s-%d", name, n);
  }
  figures->at = hp_grow(&figures->data->arena, figures->at, figures->count, sizeof(*figures->at));
  figures->at[figures->count++] = figure;
}

const char* hp_count_note(hp_arena* arena, const hp_group* group, const hp_summary* summary) {
  const char* failed = group->failed > 0 ? hp_format(arena, ", %zu failed", group->failed) : "";
  if (summary->is_range) return hp_format(arena, "stated%s", failed);
  if (summary->is_mean) {
    double runs = hp_number(group->mean, HP_perf_runs);
    return isnan(runs) ? hp_format(arena, "mean (perf -r)%s", failed)
                       : hp_format(arena, "mean of %.0f%s", runs, failed);
  }
  return hp_format(arena, "n=%zu%s", summary->count, failed);
}

bool hp_is_limit(const hp_group* group) {
  return group->run_count > 0 && hp_string(group->runs[0], HP_limit) != NULL;
}

static bool is_same_number(const hp_row* a, const hp_row* b, hp_field field) {
  double x = hp_number(a, field);
  double y = hp_number(b, field);
  return x == y || (isnan(x) && isnan(y));
}

static double smaller(double a, double b) { return isnan(a) || b < a ? b : a; }
static double larger(double a, double b) { return isnan(a) || b > a ? b : a; }

hp_dry hp_dry_limit(const hp_figures* figures, const hp_row* like, const char* limit) {
  static const hp_field kSame[] = {HP_working_set, HP_min_bytes, HP_max_bytes, HP_threads};
  if (isnan(hp_number(like, HP_working_set))) return (hp_dry){NAN, NAN};
  hp_dry dry = {NAN, NAN};
  for (size_t i = 0; i < figures->data->row_count; i++) {
    const hp_row* row = &figures->data->rows[i];
    const char* kind = hp_string(row, HP_limit);
    if (row->kind != HP_RUN || hp_has_failed(row)) continue;
    if (kind == NULL || strcmp(kind, limit) != 0) continue;
    bool is_same = hp_string(row, HP_host_id) == hp_string(like, HP_host_id) &&
                   hp_string(row, HP_touch) == hp_string(like, HP_touch);
    for (size_t k = 0; k < sizeof(kSame) / sizeof(kSame[0]); k++) {
      is_same &= is_same_number(row, like, kSame[k]);
    }
    if (!is_same) continue;
    double mops = kMetrics[HP_THROUGHPUT].of(row);
    double cpu_s = hp_number(row, HP_user_s) + hp_number(row, HP_system_s);
    double user_ns = cpu_s / hp_number(row, HP_ops) * 1e9;
    if (isfinite(mops)) dry.best_mops = larger(dry.best_mops, mops);
    if (isfinite(user_ns)) dry.user_ns = smaller(dry.user_ns, user_ns);
  }
  return dry;
}
