// The chart of what was measured again and again: a line for each phase over the files that its
// runs stand in, in the order of time.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hakplot/charts.h"

static const char* or_empty(const char* text) { return text != NULL ? text : ""; }

static int by_time(const void* a, const void* b) {
  const hp_row* one = ((const hp_group*)a)->runs[0];
  const hp_row* other = ((const hp_group*)b)->runs[0];
  int order =
      strcmp(or_empty(hp_string(one, HP_time_utc)), or_empty(hp_string(other, HP_time_utc)));
  return order != 0 ? order : strcmp(one->file, other->file);
}

static const char* stem_of(hp_arena* arena, const char* path) {
  const char* slash = strrchr(path, '/');
  const char* name = slash != NULL ? slash + 1 : path;
  const char* dot = strrchr(name, '.');
  return hp_copy(arena, name, dot != NULL && dot > name ? (size_t)(dot - name) : strlen(name));
}

size_t hp_history_of(hp_arena* arena, const hp_group* group, hp_group** eras) {
  hp_map files = {0};
  *eras = NULL;
  for (size_t i = 0; i < group->run_count; i++) {
    const hp_row* run = group->runs[i];
    bool is_new;
    size_t at = hp_map_put(&files, arena, run->file, &is_new);
    if (is_new) {
      *eras = hp_grow(arena, *eras, at, sizeof(**eras));
      (*eras)[at] = (hp_group){.label = stem_of(arena, run->file), .host = group->host};
    }
    hp_group* era = &(*eras)[at];
    era->runs = hp_grow(arena, era->runs, era->run_count, sizeof(*era->runs));
    era->runs[era->run_count++] = run;
  }
  size_t count = files.count;
  hp_map_free(&files);
  if (count > 0) qsort(*eras, count, sizeof(**eras), by_time);
  return count;
}

// The files of all phases of a case, in the order of time.
static hp_map names_of(hp_arena* arena, const hp_case* one) {
  hp_group all = {0};
  hp_group* eras;
  hp_map names = {0};
  bool is_new;
  for (size_t g = 0; g < one->group_count; g++) {
    for (size_t i = 0; i < one->groups[g].run_count; i++) {
      all.runs = hp_grow(arena, all.runs, all.run_count, sizeof(*all.runs));
      all.runs[all.run_count++] = one->groups[g].runs[i];
    }
  }
  size_t count = hp_history_of(arena, &all, &eras);
  for (size_t i = 0; i < count; i++) hp_map_put(&names, arena, eras[i].runs[0]->file, &is_new);
  return names;
}

void hp_chart_history(hp_figures* figures) {
  hp_arena* arena = &figures->data->arena;
  for (size_t i = 0; i < figures->cases->count; i++) {
    const hp_case* one = &figures->cases->at[i];
    const hp_unit unit = hp_unit_of(arena, one, &kMetrics[HP_THROUGHPUT]);
    if (hp_is_dry(one)) continue;
    hp_figure* figure =
        hp_figure_new(arena, HP_LINES, hp_figure_name(figures, "history", one->name),
                      hp_format(arena, "Throughput over time: %s", one->title));
    hp_map names = names_of(arena, one);
    hp_run_range runs = {0};
    for (size_t g = 0; g < one->group_count; g++) {
      hp_series* series = hp_series_add(figure, one->groups[g].label, HP_PLAIN);
      hp_group* eras;
      size_t count = hp_history_of(arena, &one->groups[g], &eras);
      for (size_t e = 0; e < count; e++) {
        double x = (double)hp_map_get(&names, eras[e].runs[0]->file, 0);
        hp_summary speed = hp_summarise(arena, &eras[e], &kMetrics[HP_THROUGHPUT]);
        if (!isfinite(speed.centre)) continue;
        hp_run_range_add(&runs, speed.count);
        hp_point_add(figure, series,
                     (hp_point){x, speed.centre * unit.factor, speed.low * unit.factor,
                                speed.high * unit.factor});
      }
    }
    for (size_t n = 0; n < names.count; n++) {
      hp_tick_add(figure, &figure->x, (double)n, stem_of(arena, names.keys[n]));
    }
    hp_map_free(&names);
    figure->x.title = "records, in the order of time";
    figure->y.title = unit.title;
    figure->caption =
        hp_format(arena, "Points: medians, %s; upright lines: 95 %% intervals, from 6 runs on.",
                  hp_run_range_text(arena, &runs));
    hp_figures_add(figures, figure);
  }
}
