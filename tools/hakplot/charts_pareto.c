// The chart of speed against memory: a point for each phase, and the line of those that no other
// phase beats in both.

#include <math.h>
#include <stdlib.h>

#include "tools/hakplot/charts.h"

static int by_x(const void* a, const void* b) {
  double x = ((const hp_point*)a)->x;
  double y = ((const hp_point*)b)->x;
  return (x > y) - (x < y);
}

// Each point is a series of its own.
static void add_front(hp_figure* figure) {
  size_t count = figure->series_count;
  hp_point* points = hp_alloc(count * sizeof(*points));
  for (size_t i = 0; i < count; i++) points[i] = figure->series[i].points[0];
  qsort(points, count, sizeof(*points), by_x);
  hp_series* front = hp_series_add(figure, "none is faster with less", HP_REFERENCE);
  double best = -INFINITY;
  for (size_t i = 0; i < count; i++) {
    if (points[i].y <= best) continue;
    best = points[i].y;
    hp_point_add(front, points[i].x, points[i].y);
  }
  if (front->count < 2) figure->series_count--;  // one beats all: no line
}

void hp_chart_pareto(hp_figures* figures) {
  for (size_t i = 0; i < figures->cases->count; i++) {
    const hp_case* one = &figures->cases->at[i];
    const hp_unit unit = hp_unit_of(one, &kMetrics[HP_THROUGHPUT]);
    if (hp_is_dry(one) || one->is_sweep_point) continue;
    hp_figure* figure = hp_case_figure(HP_LINES, "pareto", "Speed and memory", one);
    hp_run_range runs = {0};
    for (size_t g = 0; g < one->group_count; g++) {
      const hp_group* group = &one->groups[g];
      hp_summary speed = hp_summarise(group, &kMetrics[HP_THROUGHPUT]);
      hp_summary memory = hp_summarise(group, &kMetrics[HP_PEAK_RSS]);
      if (hp_is_limit(group) || !isfinite(speed.centre + memory.centre)) continue;
      hp_summary_add(hp_series_add(figure, group->label, HP_PLAIN), memory.centre, &speed,
                     unit.factor, &runs);
    }
    if (figure->series_count < 2) continue;
    add_front(figure);
    figure->x.title = kMetrics[HP_PEAK_RSS].title;
    figure->x.high = hp_figure_max(figure, true) * 1.05;
    figure->y.title = unit.title;
    figure->caption =
        hp_format("Medians, %s; upright lines: 95 %% intervals of the speed, from 6 runs on.",
                  hp_run_range_text(&runs));
    hp_figures_add(figures, figure);
  }
}
