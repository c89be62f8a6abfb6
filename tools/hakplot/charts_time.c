// Charts over time: the life of one process or run.

#include <math.h>
#include <stdio.h>
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

// What the runs of one phase and workload share.
static void phase_key(hp_text* key, const track* one) {
  key->size = 0;
  hp_printf(key, "%d\t%s\t%s", (int)one->kind, one->label, one->title);
}

static void add_moment(hp_arena* arena, track* one, const hp_row* row) {
  double rss = hp_number(row, HP_rss_bytes);
  one->rows = hp_grow(arena, one->rows, one->count, sizeof(*one->rows));
  one->rows[one->count++] = row;
  if (rss > one->peak) one->peak = rss;
}

// One track for each file, process, run and phase.
static tracks find_tracks(hp_dataset* data) {
  tracks all = {0};
  hp_map keys = {0};
  hp_text key = {0};
  for (size_t i = 0; i < data->row_count; i++) {
    const hp_row* row = &data->rows[i];
    bool has_workload = hp_string(row, HP_workload) != NULL;
    bool is_new;
    if (!is_moment(row)) continue;
    track found = {.label = hp_row_label(data, row), .kind = row->kind, .workload = ""};
    found.title = has_workload ? hp_workload_title(data, row) : "telemetry";
    if (has_workload) found.workload = hp_format(&data->arena, ", %s", found.title);
    phase_key(&key, &found);
    hp_printf(&key, "\t%s\t%.0f\t%.0f", row->file, hp_number(row, HP_run), hp_number(row, HP_pid));
    size_t at = hp_map_put(&keys, &data->arena, key.data, &is_new);
    if (is_new) {
      all.at = hp_grow(&data->arena, all.at, all.count, sizeof(*all.at));
      all.at[all.count++] = found;
    }
    add_moment(&data->arena, &all.at[at], row);
  }
  hp_map_free(&keys);
  hp_text_free(&key);
  return all;
}

static int by_peak(const void* a, const void* b) {
  double x = ((const track*)a)->peak;
  double y = ((const track*)b)->peak;
  return (x > y) - (x < y);
}

// Without those of too few moments, which a note counts.
static tracks find_long_tracks(hp_dataset* data) {
  tracks all = find_tracks(data);
  size_t kept = 0;
  for (size_t i = 0; i < all.count; i++) {
    if (all.at[i].count >= MOMENTS_LEAST) all.at[kept++] = all.at[i];
  }
  if (kept < all.count) {
    hp_note(data,
            "no charts over time of %zu of %zu runs, which tell of less than %d moments: "
            "HAKMEM_TELEMETRY_INTERVAL=20, in the env of a phase, writes one every 20 ms",
            all.count - kept, all.count, MOMENTS_LEAST);
  }
  all.count = kept;
  return all;
}

// Of the runs of one phase and workload the one with the median peak stands for all. In the order
// in which the phases came.
static tracks find_typical(hp_dataset* data) {
  tracks all = find_long_tracks(data);
  tracks* phases = NULL;
  tracks typical = {0};
  hp_map keys = {0};
  hp_text key = {0};
  for (size_t i = 0; i < all.count; i++) {
    bool is_new;
    phase_key(&key, &all.at[i]);
    size_t at = hp_map_put(&keys, &data->arena, key.data, &is_new);
    if (is_new) {
      phases = hp_grow(&data->arena, phases, at, sizeof(*phases));
      phases[at] = (tracks){0};
    }
    tracks* one = &phases[at];
    one->at = hp_grow(&data->arena, one->at, one->count, sizeof(*one->at));
    one->at[one->count++] = all.at[i];
  }
  typical.at = hp_alloc(&data->arena, (keys.count + 1) * sizeof(*typical.at));
  for (size_t i = 0; i < keys.count; i++) {
    qsort(phases[i].at, phases[i].count, sizeof(*phases[i].at), by_peak);
    typical.at[i] = phases[i].at[(phases[i].count - 1) / 2];
    typical.at[i].run_count = phases[i].count;
  }
  typical.count = keys.count;
  hp_map_free(&keys);
  hp_text_free(&key);
  return typical;
}

static double seconds_of(const track* one, size_t i) {
  double start = one->kind == HP_TELEMETRY ? time_ns(one->rows[0]) : 0;
  return (time_ns(one->rows[i]) - start) * 1e-9;
}

// Every how many moments a point is drawn, so that at most `points` are.
static size_t stride(const track* one, size_t points) { return (one->count + points - 1) / points; }

static const char* run_text(hp_arena* arena, const hp_run_range* runs) {
  if (runs->most <= 1) return "One run.";
  return hp_format(arena, "The run of the median peak, of %s.", hp_run_range_text(arena, runs));
}

// What the program holds: as it says itself, or as the allocator counts.
static double live_bytes(const hp_row* row) {
  double said = hp_number(row, HP_live_bytes);
  return isnan(said) ? hp_number(row, HP_allocated_bytes) : said;
}

static void add_rss_line(hp_figure* figure, const track* one) {
  hp_series* rss = hp_series_add(figure, one->label, HP_PLAIN);
  size_t step = stride(one, LINE_POINTS);
  bool has_live = false;
  for (size_t i = 0; i < one->count; i += step) {
    double bytes = hp_number(one->rows[i], HP_rss_bytes);
    has_live |= isfinite(live_bytes(one->rows[i]));
    hp_point_add(figure, rss, (hp_point){seconds_of(one, i), bytes / kMiB, NAN, NAN});
  }
  if (!has_live) return;
  hp_series* live =
      hp_series_add(figure, hp_format(figure->arena, "%s, live", one->label), HP_DASHED);
  for (size_t i = 0; i < one->count; i += step) {
    hp_point_add(figure, live,
                 (hp_point){seconds_of(one, i), live_bytes(one->rows[i]) / kMiB, NAN, NAN});
  }
}

typedef struct rss_figure {
  hp_figure* figure;
  hp_run_range runs;
} rss_figure;

void hp_chart_rss(hp_figures* figures) {
  hp_arena* arena = &figures->data->arena;
  tracks all = find_typical(figures->data);
  hp_map titles = {0};
  rss_figure* by_title = NULL;
  for (size_t i = 0; i < all.count; i++) {
    const track* one = &all.at[i];
    bool is_new;
    if (one->kind == HP_INTERVAL || !(one->peak > 0)) continue;
    size_t at = hp_map_put(&titles, arena, one->title, &is_new);
    if (is_new) {
      by_title = hp_grow(arena, by_title, at, sizeof(*by_title));
      by_title[at] = (rss_figure){0};
      by_title[at].figure = hp_figure_new(arena, HP_LINES, "rss",
                                          hp_format(arena, "Memory over time: %s", one->title));
    }
    add_rss_line(by_title[at].figure, one);
    hp_run_range_add(&by_title[at].runs, one->run_count);
  }
  for (size_t i = 0; i < titles.count; i++) {
    hp_figure* figure = by_title[i].figure;
    figure->x.title = "time, s";
    figure->y.title = "MiB";
    bool has_live = false;
    for (size_t k = 0; k < figure->series_count; k++) {
      has_live |= figure->series[k].look == HP_DASHED;
    }
    figure->caption =
        hp_format(arena, "%s. %s",
                  has_live ? "Thick: resident memory; thin and dashed, same colour: bytes the "
                             "program holds"
                           : "Resident memory",
                  run_text(arena, &by_title[i].runs));
    hp_figures_add(figures, figure);
  }
  hp_map_free(&titles);
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

typedef hp_figure* (*track_chart)(hp_arena* arena, const track* one);

// One figure for each phase that has telemetry.
static void for_telemetry(hp_figures* figures, track_chart make) {
  hp_arena* arena = &figures->data->arena;
  tracks all = find_typical(figures->data);
  for (size_t i = 0; i < all.count; i++) {
    if (all.at[i].kind != HP_TELEMETRY) continue;
    hp_figure* figure = make(arena, &all.at[i]);
    hp_run_range runs = {all.at[i].run_count, all.at[i].run_count};
    figure->x.title = "time, s";
    figure->caption = hp_format(arena, "%s %s", figure->caption, run_text(arena, &runs));
    hp_figures_add(figures, figure);
  }
}

static hp_figure* retention_figure(hp_arena* arena, const track* one) {
  hp_figure* figure =
      hp_figure_new(arena, HP_AREA, "retention",
                    hp_format(arena, "Memory kept, by reason: %s%s", one->label, one->workload));
  size_t step = stride(one, LINE_POINTS);
  for (size_t r = 0; r < REASONS; r++) {
    bool is_known = false;
    for (size_t i = 0; i < one->count; i++) {
      is_known |= isfinite(hp_number(one->rows[i], kReasons[r].field));
    }
    if (!is_known) continue;
    char* name = hp_copy(arena, kReasons[r].name, strlen(kReasons[r].name));
    for (char* at = name; (at = strchr(at, '_')) != NULL;) *at = ' ';
    hp_series* series = hp_series_add(figure, name, HP_PLAIN);
    for (size_t i = 0; i < one->count; i += step) {
      double bytes = hp_number(one->rows[i], kReasons[r].field);
      hp_point_add(figure, series, (hp_point){seconds_of(one, i), bytes / kMiB, NAN, NAN});
    }
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
static hp_class* classes_of(hp_arena* arena, const track* one, size_t* count) {
  hp_map seen = {0};
  hp_class* classes = NULL;
  *count = 0;
  for (size_t i = 0; i < one->count; i++) {
    for (size_t k = 0; k < one->rows[i]->class_count; k++) {
      bool is_new;
      char key[16];
      snprintf(key, sizeof(key), "%u", one->rows[i]->classes[k].index);
      hp_map_put(&seen, arena, key, &is_new);
      if (!is_new) continue;
      classes = hp_grow(arena, classes, *count, sizeof(*classes));
      classes[(*count)++] = one->rows[i]->classes[k];
    }
  }
  hp_map_free(&seen);
  if (*count > 0) qsort(classes, *count, sizeof(*classes), by_index);
  return classes;
}

static hp_figure* classes_figure(hp_arena* arena, const track* one) {
  hp_figure* figure =
      hp_figure_new(arena, HP_HEAT, "classes",
                    hp_format(arena, "Occupancy of size classes: %s%s", one->label, one->workload));
  size_t count;
  hp_class* classes = classes_of(arena, one, &count);
  size_t step = stride(one, HEAT_COLUMNS);
  for (size_t c = 0; c < count; c++) {
    const char* title = isfinite(classes[c].block_bytes)
                            ? hp_format(arena, "%.0f B", classes[c].block_bytes)
                            : hp_format(arena, "class %u", classes[c].index);
    hp_series* series = hp_series_add(figure, title, HP_PLAIN);
    for (size_t i = 0; i < one->count; i += step) {
      const hp_class* class = class_in(one->rows[i], classes[c].index);
      double percent =
          class != NULL && class->capacity > 0 ? class->live / class->capacity * 100 : NAN;
      hp_point_add(figure, series, (hp_point){seconds_of(one, i), percent, NAN, NAN});
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
  hp_arena* arena = &figures->data->arena;
  tracks all = find_typical(figures->data);
  hp_figure* figure = hp_figure_new(arena, HP_LINES, "intervals", "Page faults over time");
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
      hp_point_add(figure, series, (hp_point){end, faults / (end - before) / 1e3, NAN, NAN});
      before = end;
    }
  }
  figure->x.title = "time, s";
  figure->y.title = "page faults a second, thousands";
  figure->caption =
      hp_format(arena, "Each point is one interval of perf stat -I, at its end; %s%s.",
                runs.most > 1 ? "one run of " : "", hp_run_range_text(arena, &runs));
  hp_figures_add(figures, figure);
}
