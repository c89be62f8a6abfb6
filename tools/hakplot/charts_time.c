// Charts over time: the life of one process or run.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hakplot/charts.h"

static const double kMiB = 1048576;
enum { LINE_POINTS = 600, HEAT_COLUMNS = 120 };

// The moments of one run, in the order read.
typedef struct track {
  const char* label;
  const char* title;  // of the workload; "telemetry" without one
  hp_kind kind;
  const hp_row** rows;
  size_t count;
  double peak;  // largest RSS
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
static tracks find_tracks(hp_dataset* data) {
  tracks all = {0};
  hp_map keys = {0};
  hp_text key = {0};
  for (size_t i = 0; i < data->row_count; i++) {
    const hp_row* row = &data->rows[i];
    const char* workload = hp_string(row, HP_workload);
    bool is_new;
    if (!is_moment(row)) continue;
    const char* label = hp_row_label(data, row);
    key.size = 0;
    hp_printf(&key, "%d\t%s\t%s\t%s\t%.0f\t%.0f", (int)row->kind, row->file, label,
              workload != NULL ? workload : "", hp_number(row, HP_run), hp_number(row, HP_pid));
    size_t at = hp_map_put(&keys, &data->arena, key.data, &is_new);
    if (is_new) {
      all.at = hp_grow(&data->arena, all.at, all.count, sizeof(*all.at));
      all.at[all.count++] = (track){.label = label, .kind = row->kind};
      all.at[at].title = workload != NULL ? workload : "telemetry";
    }
    track* one = &all.at[at];
    one->rows = hp_grow(&data->arena, one->rows, one->count, sizeof(*one->rows));
    one->rows[one->count++] = row;
    double rss = hp_number(row, HP_rss_bytes);
    if (rss > one->peak) one->peak = rss;
  }
  hp_map_free(&keys);
  hp_text_free(&key);
  return all;
}

static double seconds_of(const track* one, size_t i) {
  double start = one->kind == HP_TELEMETRY ? time_ns(one->rows[0]) : 0;
  return (time_ns(one->rows[i]) - start) * 1e-9;
}

// Every how many moments a point is drawn, so that at most `points` are.
static size_t stride(const track* one, size_t points) { return (one->count + points - 1) / points; }

static int by_peak(const void* a, const void* b) {
  double x = (*(const track* const*)a)->peak;
  double y = (*(const track* const*)b)->peak;
  return (x > y) - (x < y);
}

// Of the runs of one phase and workload the one with the median peak stands for all.
static const track* typical(hp_arena* arena, const tracks* all, const track* first) {
  size_t of = 0;
  const track** same = hp_alloc(arena, all->count * sizeof(*same));
  for (size_t i = 0; i < all->count; i++) {
    const track* other = &all->at[i];
    if (other->kind != first->kind || strcmp(other->label, first->label) != 0 ||
        strcmp(other->title, first->title) != 0) {
      continue;
    }
    if (of == 0 && other != first) return NULL;  // not the first of its kind
    same[of++] = other;
  }
  qsort(same, of, sizeof(*same), by_peak);
  return same[(of - 1) / 2];
}

static void add_rss_line(hp_figure* figure, const track* one) {
  hp_series* rss = hp_series_add(figure, one->label, HP_PLAIN);
  size_t step = stride(one, LINE_POINTS);
  bool has_live = false;
  for (size_t i = 0; i < one->count; i += step) {
    double bytes = hp_number(one->rows[i], HP_rss_bytes);
    has_live |= isfinite(hp_number(one->rows[i], HP_live_bytes)) ||
                isfinite(hp_number(one->rows[i], HP_allocated_bytes));
    hp_point_add(figure, rss, (hp_point){seconds_of(one, i), bytes / kMiB, NAN, NAN});
  }
  if (!has_live) return;
  hp_series* live =
      hp_series_add(figure, hp_format(figure->arena, "%s, live", one->label), HP_DASHED);
  for (size_t i = 0; i < one->count; i += step) {
    double bytes = hp_number(one->rows[i], HP_live_bytes);
    if (isnan(bytes)) bytes = hp_number(one->rows[i], HP_allocated_bytes);
    hp_point_add(figure, live, (hp_point){seconds_of(one, i), bytes / kMiB, NAN, NAN});
  }
}

void hp_chart_rss(hp_figures* figures) {
  hp_arena* arena = &figures->data->arena;
  tracks all = find_tracks(figures->data);
  hp_map titles = {0};
  hp_figure** by_title = NULL;
  for (size_t i = 0; i < all.count; i++) {
    const track* one = &all.at[i];
    bool is_new;
    if (one->kind == HP_INTERVAL || !(one->peak > 0)) continue;
    const track* shown = typical(arena, &all, one);
    if (shown == NULL) continue;
    size_t at = hp_map_put(&titles, arena, one->title, &is_new);
    if (is_new) {
      by_title = hp_grow(arena, by_title, at, sizeof(*by_title));
      by_title[at] = hp_figure_new(arena, HP_LINES, "rss",
                                   hp_format(arena, "Memory over time: %s", one->title));
      by_title[at]->x.title = "time, s";
      by_title[at]->y.title = "MiB";
      by_title[at]->caption =
          "Solid: resident memory; dashed, same colour: bytes the program holds. Run of the median "
          "peak.";
    }
    add_rss_line(by_title[at], shown);
  }
  for (size_t i = 0; i < titles.count; i++) hp_figures_add(figures, by_title[i]);
  hp_map_free(&titles);
}

// ---- telemetry ----

static const struct {
  hp_field field;
  const char* name;
} kReasons[] = {{HP_retained_metadata_bytes, "metadata"},
                {HP_retained_rounding_bytes, "rounding"},
                {HP_retained_partial_slabs_bytes, "part-used slabs"},
                {HP_retained_thread_caches_bytes, "thread caches"},
                {HP_retained_outgoing_bytes, "outgoing buffers"},
                {HP_retained_abandoned_bytes, "abandoned slabs"},
                {HP_retained_huge_cache_bytes, "huge cache"},
                {HP_retained_prewarmed_bytes, "prewarmed"},
                {HP_retained_lost_bytes, "lost in a fork"},
                {HP_retained_empty_pages_bytes, "empty pages"}};
enum { REASONS = sizeof(kReasons) / sizeof(kReasons[0]) };

typedef hp_figure* (*track_chart)(hp_arena* arena, const track* one);

// One figure for each phase that has telemetry.
static void for_telemetry(hp_figures* figures, track_chart make) {
  hp_arena* arena = &figures->data->arena;
  tracks all = find_tracks(figures->data);
  for (size_t i = 0; i < all.count; i++) {
    if (all.at[i].kind != HP_TELEMETRY) continue;
    const track* shown = typical(arena, &all, &all.at[i]);
    if (shown == NULL) continue;
    hp_figures_add(figures, make(arena, shown));
  }
}

static hp_figure* retention_figure(hp_arena* arena, const track* one) {
  hp_figure* figure = hp_figure_new(arena, HP_AREA, "retention",
                                    hp_format(arena, "Memory kept, by reason: %s", one->label));
  size_t step = stride(one, LINE_POINTS);
  for (size_t r = 0; r < REASONS; r++) {
    bool is_known = false;
    for (size_t i = 0; i < one->count; i++) {
      is_known |= isfinite(hp_number(one->rows[i], kReasons[r].field));
    }
    if (!is_known) continue;
    hp_series* series = hp_series_add(figure, kReasons[r].name, HP_PLAIN);
    for (size_t i = 0; i < one->count; i += step) {
      double bytes = hp_number(one->rows[i], kReasons[r].field);
      hp_point_add(figure, series, (hp_point){seconds_of(one, i), bytes / kMiB, NAN, NAN});
    }
  }
  figure->x.title = "time, s";
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
  hp_figure* figure = hp_figure_new(arena, HP_HEAT, "classes",
                                    hp_format(arena, "Occupancy of size classes: %s", one->label));
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
  figure->x.title = "time, s";
  figure->y.title = "block size";
  figure->caption =
      "Live blocks of a class as a share of what its slabs could hold; white: no slab.";
  return figure;
}

void hp_chart_classes(hp_figures* figures) { for_telemetry(figures, classes_figure); }

// ---- perf stat -I ----

void hp_chart_intervals(hp_figures* figures) {
  hp_arena* arena = &figures->data->arena;
  tracks all = find_tracks(figures->data);
  hp_figure* figure = hp_figure_new(arena, HP_LINES, "intervals", "Page faults over time");
  for (size_t i = 0; i < all.count; i++) {
    const track* one = &all.at[i];
    if (one->kind != HP_INTERVAL) continue;
    const track* shown = typical(arena, &all, one);
    if (shown == NULL) continue;
    hp_series* series = hp_series_add(figure, one->label, HP_PLAIN);
    double before = 0;
    for (size_t k = 0; k < shown->count; k++) {
      double end = seconds_of(shown, k);
      double faults = hp_number(shown->rows[k], HP_perf_page_faults);
      hp_point_add(figure, series, (hp_point){end, faults / (end - before) / 1e3, NAN, NAN});
      before = end;
    }
  }
  figure->x.title = "time, s";
  figure->y.title = "page faults a second, thousands";
  figure->caption = "Each point is one interval of perf stat -I, at its end.";
  hp_figures_add(figures, figure);
}
