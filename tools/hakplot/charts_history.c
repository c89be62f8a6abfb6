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

static const char* stem_of(const char* path) {
  const char* slash = strrchr(path, '/');
  const char* name = slash != NULL ? slash + 1 : path;
  const char* dot = strrchr(name, '.');
  return hp_copy(name, dot != NULL && dot > name ? (size_t)(dot - name) : strlen(name));
}

size_t hp_history_of(const hp_group* group, hp_group** eras) {
  hp_map* files = hp_map_new();
  size_t count = 0;
  *eras = NULL;
  for (size_t i = 0; i < group->run_count; i++) {
    const hp_row* run = group->runs[i];
    const hp_entry* file = hp_put(files, run->file, 0);
    if (file->puts == 1) {
      *hp_push(*eras, count) = (hp_group){.label = stem_of(run->file), .host = group->host};
    }
    hp_group* era = &(*eras)[file->number];
    *hp_push(era->runs, era->run_count) = run;
  }
  if (count > 0) qsort(*eras, count, sizeof(**eras), by_time);
  return count;
}

// The files of all phases of a case, in the order of time.
static hp_map* files_of(const hp_case* one) {
  hp_group all = {0};
  hp_group* eras;
  hp_map* files = hp_map_new();
  for (size_t g = 0; g < one->group_count; g++) {
    for (size_t i = 0; i < one->groups[g].run_count; i++) {
      *hp_push(all.runs, all.run_count) = one->groups[g].runs[i];
    }
  }
  size_t count = hp_history_of(&all, &eras);
  for (size_t i = 0; i < count; i++) hp_put(files, eras[i].runs[0]->file, 0);
  return files;
}

void hp_chart_history(hp_figures* figures) {
  for (size_t i = 0; i < figures->cases->count; i++) {
    const hp_case* one = &figures->cases->at[i];
    const hp_unit unit = hp_unit_of(one, &kMetrics[HP_THROUGHPUT]);
    if (hp_is_dry(one)) continue;
    hp_figure* figure = hp_case_figure(HP_LINES, "history", "Throughput over time", one);
    const hp_map* files = files_of(one);
    hp_run_range runs = {0};
    for (size_t g = 0; g < one->group_count; g++) {
      hp_series* series = hp_series_add(figure, one->groups[g].label, HP_PLAIN);
      hp_group* eras;
      size_t count = hp_history_of(&one->groups[g], &eras);
      for (size_t e = 0; e < count; e++) {
        hp_summary speed = hp_summarise(&eras[e], &kMetrics[HP_THROUGHPUT]);
        double x = (double)hp_get(files, eras[e].runs[0]->file)->number;
        hp_summary_add(series, x, &speed, unit.factor, &runs);
      }
    }
    for (size_t n = 0; n < files->count; n++) {
      hp_tick_add(&figure->x, (double)n, stem_of(files->at[n]->key));
    }
    figure->x.title = "records, in the order of time";
    figure->y.title = unit.title;
    figure->caption = hp_points_caption(&runs);
    hp_figures_add(figures, figure);
  }
}
