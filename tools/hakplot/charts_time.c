// Charts over time: the life of one process or run.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hakplot/charts.h"

static const double kMiB = 1048576;
enum { LINE_POINTS = 600, HEAT_COLUMNS = 120 };

// What happened between fewer moments is a guess.
enum { MOMENTS_LEAST = 3 };

// The moments of one run, in the order read.
typedef struct track {
  const char* label;
  const char* title;     // of the workload; "telemetry" without one
  const char* phase;     // what the runs of one phase and workload share
  const char* workload;  // ": random_mixed 1e7", or nothing
  hp_kind kind;
  const hp_row** rows;
  size_t count;
  double peak;       // largest RSS
  size_t run_count;  // for how many runs of its phase and workload it stands
} track;

typedef struct tracks {
  track* at;
  size_t count;
} tracks;

static double time_ns(const hp_row* row) {
  return row->kind == HP_TELEMETRY ? hp_number(row, HP_time_ns) : hp_number(row, HP_t_ns);
}

static bool is_moment(const hp_row* row) {
  return (row->kind == HP_SAMPLE || row->kind == HP_TELEMETRY || row->kind == HP_INTERVAL) &&
         isfinite(time_ns(row));
}

// One track for each file, process, run and phase.
static hp_map* find_tracks(hp_dataset* data) {
  hp_map* all = hp_map_new();
  for (size_t i = 0; i < data->row_count; i++) {
    const hp_row* row = &data->rows[i];
    if (!is_moment(row)) continue;
    bool has_workload = hp_string(row, HP_workload) != NULL;
    track found = {.label = hp_row_label(data, row), .kind = row->kind, .workload = ""};
    found.title = has_workload ? hp_workload_title(row) : "telemetry";
    if (has_workload) found.workload = hp_format(", %s", found.title);
    found.phase = hp_format("%d\t%s\t%s", (int)found.kind, found.label, found.title);
    const char* key = hp_format("%s\t%s\t%.0f\t%.0f", found.phase, row->file,
                                hp_number(row, HP_run), hp_number(row, HP_pid));
    const hp_entry* entry = hp_put(all, key, sizeof(track));
    track* one = entry->thing;
    if (entry->puts == 1) *one = found;
    *hp_push(one->rows, one->count) = row;
    one->peak = fmax(one->peak, hp_number(row, HP_rss_bytes));
  }
  return all;
}

static int by_peak(const void* a, const void* b) {
  double x = ((const track*)a)->peak;
  double y = ((const track*)b)->peak;
  return (x > y) - (x < y);
}

// Of the runs of one phase and workload the one with the median peak stands for all. In the order
// in which the phases came; without runs of too few moments, which a note counts.
static tracks find_typical(hp_dataset* data) {
  const hp_map* all = find_tracks(data);
  hp_map* phases = hp_map_new();
  tracks typical = {0};
  size_t kept = 0;
  for (size_t i = 0; i < all->count; i++) {
    const track* one = all->at[i]->thing;
    if (one->count < MOMENTS_LEAST) continue;
    tracks* phase = hp_put(phases, one->phase, sizeof(*phase))->thing;
    *hp_push(phase->at, phase->count) = *one;
    kept++;
  }
  if (kept < all->count) {
    hp_note(data,
            "no charts over time of %zu of %zu runs, which tell of less than %d moments: "
            "HAKMEM_TELEMETRY_INTERVAL=20, in the env of a phase, writes one every 20 ms",
            all->count - kept, all->count, MOMENTS_LEAST);
  }
  for (size_t i = 0; i < phases->count; i++) {
    const tracks* phase = phases->at[i]->thing;
    qsort(phase->at, phase->count, sizeof(*phase->at), by_peak);
    track* one = hp_push(typical.at, typical.count);
    *one = phase->at[(phase->count - 1) / 2];
    one->run_count = phase->count;
  }
  return typical;
}

static double seconds_of(const track* one, size_t i) {
  double start = one->kind == HP_TELEMETRY ? time_ns(one->rows[0]) : 0;
  return (time_ns(one->rows[i]) - start) * 1e-9;
}

// Every how many moments a point is drawn, so that at most `points` are.
static size_t stride(const track* one, size_t points) { return (one->count + points - 1) / points; }

static const char* run_text(const hp_run_range* runs) {
  if (runs->most <= 1) return "One run.";
  return hp_format("The run of the median peak, of %s.", hp_run_range_text(runs));
}

// What the program holds: as it says itself, or as the allocator counts.
static double live_bytes(const hp_row* row, hp_field field) {
  double said = hp_number(row, field);
  return isnan(said) ? hp_number(row, HP_allocated_bytes) : said;
}

// Adds a line of what the moments say, in MiB; none where no moment says it.
static bool add_bytes(hp_figure* figure, const char* name, hp_look look, const track* one,
                      double (*bytes)(const hp_row* row, hp_field field), hp_field field) {
  hp_series* series = hp_series_add(figure, name, look);
  size_t step = stride(one, LINE_POINTS);
  bool is_known = false;
  for (size_t i = 0; i < one->count; i++) {
    double value = bytes(one->rows[i], field);
    is_known |= isfinite(value);
    if (i % step == 0) hp_point_add(series, seconds_of(one, i), value / kMiB);
  }
  if (!is_known) figure->series_count--;
  return is_known;
}

typedef struct rss_figure {
  hp_figure* figure;
  hp_run_range runs;
  bool has_live;
} rss_figure;

void hp_chart_rss(hp_figures* figures) {
  tracks all = find_typical(figures->data);
  hp_map* titles = hp_map_new();
  for (size_t i = 0; i < all.count; i++) {
    const track* one = &all.at[i];
    if (one->kind == HP_INTERVAL || !(one->peak > 0)) continue;
    rss_figure* rss = hp_put(titles, one->title, sizeof(*rss))->thing;
    if (rss->figure == NULL) {
      rss->figure = hp_figure_new(HP_LINES, "rss", hp_format("Memory over time: %s", one->title));
    }
    add_bytes(rss->figure, one->label, HP_PLAIN, one, hp_number, HP_rss_bytes);
    rss->has_live |= add_bytes(rss->figure, hp_format("%s, live", one->label), HP_DASHED, one,
                               live_bytes, HP_live_bytes);
    hp_run_range_add(&rss->runs, one->run_count);
  }
  for (size_t i = 0; i < titles->count; i++) {
    const rss_figure* rss = titles->at[i]->thing;
    rss->figure->x.title = "time, s";
    rss->figure->y.title = "MiB";
    rss->figure->caption =
        hp_format("%s. %s",
                  rss->has_live ? "Thick: resident memory; thin and dashed, same colour: bytes the "
                                  "program holds"
                                : "Resident memory",
                  run_text(&rss->runs));
    hp_figures_add(figures, rss->figure);
  }
}

// ---- telemetry ----

static const struct {
  hp_field field;
  const char* name;
} kReasons[] = {
#define HAK_REASON(reason, meaning) {HP_retained_##reason##_bytes, #reason},
#include "hakmem/telemetry/stats.def"
};
enum { REASONS = sizeof(kReasons) / sizeof(kReasons[0]) };

typedef hp_figure* (*track_chart)(const track* one);

// One figure for each phase that has telemetry.
static void for_telemetry(hp_figures* figures, track_chart make) {
  tracks all = find_typical(figures->data);
  for (size_t i = 0; i < all.count; i++) {
    if (all.at[i].kind != HP_TELEMETRY) continue;
    hp_figure* figure = make(&all.at[i]);
    hp_run_range runs = {all.at[i].run_count, all.at[i].run_count};
    figure->x.title = "time, s";
    figure->caption = hp_format("%s %s", figure->caption, run_text(&runs));
    hp_figures_add(figures, figure);
  }
}

static hp_figure* retention_figure(const track* one) {
  hp_figure* figure = hp_figure_new(
      HP_AREA, "retention", hp_format("Memory kept, by reason: %s%s", one->label, one->workload));
  for (size_t r = 0; r < REASONS; r++) {
    char* name = hp_copy(kReasons[r].name, strlen(kReasons[r].name));
    for (char* at = name; (at = strchr(at, '_')) != NULL;) *at = ' ';
    add_bytes(figure, name, HP_PLAIN, one, hp_number, kReasons[r].field);
  }
  figure->y.title = "MiB held beyond the live blocks";
  figure->caption = "From the allocator's telemetry; each byte has exactly one reason.";
  return figure;
}

void hp_chart_retention(hp_figures* figures) { for_telemetry(figures, retention_figure); }

static const hp_class* class_in(const hp_row* row, uint32_t index) {
  for (size_t i = 0; i < row->class_count; i++) {
    if (row->classes[i].index == index) return &row->classes[i];
  }
  return NULL;
}

static int by_index(const void* a, const void* b) {
  uint32_t x = ((const hp_class*)a)->index;
  uint32_t y = ((const hp_class*)b)->index;
  return (x > y) - (x < y);
}

// All classes that some moment of the track names, by index.
static hp_class* classes_of(const track* one, size_t* count) {
  hp_map* seen = hp_map_new();
  hp_class* classes = NULL;
  *count = 0;
  for (size_t i = 0; i < one->count; i++) {
    for (size_t k = 0; k < one->rows[i]->class_count; k++) {
      const hp_class* class = &one->rows[i]->classes[k];
      bool is_new = hp_put(seen, hp_format("%u", class->index), 0)->puts == 1;
      if (is_new) *hp_push(classes, *count) = *class;
    }
  }
  if (*count > 0) qsort(classes, *count, sizeof(*classes), by_index);
  return classes;
}

static hp_figure* classes_figure(const track* one) {
  hp_figure* figure = hp_figure_new(
      HP_HEAT, "classes", hp_format("Occupancy of size classes: %s%s", one->label, one->workload));
  size_t count;
  hp_class* classes = classes_of(one, &count);
  size_t step = stride(one, HEAT_COLUMNS);
  for (size_t c = 0; c < count; c++) {
    const char* title = isfinite(classes[c].block_bytes)
                            ? hp_format("%.0f B", classes[c].block_bytes)
                            : hp_format("class %u", classes[c].index);
    hp_series* series = hp_series_add(figure, title, HP_PLAIN);
    for (size_t i = 0; i < one->count; i += step) {
      const hp_class* class = class_in(one->rows[i], classes[c].index);
      double percent =
          class != NULL && class->capacity > 0 ? class->live / class->capacity * 100 : NAN;
      hp_point_add(series, seconds_of(one, i), percent);
    }
  }
  figure->y.title = "block size";
  figure->caption =
      "Live blocks of a class as a share of what its slabs could hold; white: no slab.";
  return figure;
}

void hp_chart_classes(hp_figures* figures) { for_telemetry(figures, classes_figure); }

// ---- perf stat -I ----

void hp_chart_intervals(hp_figures* figures) {
  tracks all = find_typical(figures->data);
  hp_figure* figure = hp_figure_new(HP_LINES, "intervals", "Page faults over time");
  hp_run_range runs = {0};
  for (size_t i = 0; i < all.count; i++) {
    const track* one = &all.at[i];
    if (one->kind != HP_INTERVAL) continue;
    hp_series* series = hp_series_add(figure, one->label, HP_PLAIN);
    hp_run_range_add(&runs, one->run_count);
    double before = 0;
    for (size_t k = 0; k < one->count; k++) {
      double end = seconds_of(one, k);
      double faults = hp_number(one->rows[k], HP_perf_page_faults);
      hp_point_add(series, end, faults / (end - before) / 1e3);
      before = end;
    }
  }
  figure->x.title = "time, s";
  figure->y.title = "page faults a second, thousands";
  figure->caption = hp_format("Each point is one interval of perf stat -I, at its end; %s%s.",
                              runs.most > 1 ? "one run of " : "", hp_run_range_text(&runs));
  hp_figures_add(figures, figure);
}
