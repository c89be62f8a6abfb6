// The shapes of figures as gnuplot draws them: data blocks and one plot command each. Boxes are
// drawn with their edges given, since gnuplot's own bars and histograms only stand upright; lying,
// labels of any length stay readable.

#include <math.h>
#include <stdio.h>

#include "tools/hakplot/gnuplot_layout.h"

// Okabe and Ito's colours, which people with any colour vision tell apart; black last, since it is
// also the ink. Yellow is left out: it is too light for lines on white.
static const char* const kColours[] = {"#0072b2", "#e69f00", "#009e73", "#cc79a7",
                                       "#56b4e9", "#d55e00", "#222222"};
enum { COLOURS = sizeof(kColours) / sizeof(kColours[0]) };

static const int kPoints[] = {7, 5, 9, 11, 13, 6, 4, 8, 10, 12};
enum { POINTS = sizeof(kPoints) / sizeof(kPoints[0]) };

// ---- data blocks ----

static void put_number(hp_text* script, double value) {
  if (isfinite(value)) {
    hp_printf(script, "\t%.10g", value);
  } else {
    hp_puts(script, "\tNaN");
  }
}

static void open_block(hp_text* script, const char* name, size_t index) {
  hp_printf(script, "$%s%zu << EOD\n", name, index);
}

static void put_point(hp_text* script, double x, double y, double low, double high) {
  hp_puts(script,
          "0");  // a first column, so that no line begins with what might be read as a comment
  put_number(script, x);
  put_number(script, y);
  put_number(script, low);
  put_number(script, high);
  hp_puts(script, "\n");
}

static void close_block(hp_text* script) { hp_puts(script, "EOD\n"); }

// The middle of a point's row on the y axis.
static double row_of(const hp_layout* at, const hp_point* point) {
  return at->row_at[(size_t)point->y];
}

static void put_series_block(hp_text* script, const char* name, size_t index,
                             const hp_series* series) {
  open_block(script, name, index);
  for (size_t k = 0; k < series->count; k++) {
    const hp_point* point = &series->points[k];
    put_point(script, point->x, point->y, point->low, point->high);
  }
  close_block(script);
}

static double axis_high(const hp_figure* figure) {
  if (figure->x.high > 0) return figure->x.high;
  double largest = hp_figure_max(figure, true);
  return largest > 0 ? largest * 1.04 : 1;
}

static bool has_intervals(const hp_series* series) {
  for (size_t k = 0; k < series->count; k++) {
    if (isfinite(series->points[k].low) && isfinite(series->points[k].x)) return true;
  }
  return false;
}

static void put_row_intervals(hp_layout* at, const hp_series* series) {
  open_block(at->script, "intervals", 0);
  for (size_t k = 0; k < series->count; k++) {
    const hp_point* point = &series->points[k];
    if (isfinite(point->low))
      put_point(at->script, point->x, row_of(at, point), point->low, point->high);
  }
  close_block(at->script);
}

// ---- bars ----

// One data block for each look of a row.
static const struct {
  hp_row_look look;
  const char* block;
  const char* fill;
  const char* remark;  // in the key: after the series' name, or in its place for what is no run
} kBarLooks[] = {
    {HP_ROW_BASELINE, "baseline", "linecolor rgb '#8c8c8c' fillstyle solid 1.0 noborder",
     ", baseline"},
    {HP_ROW_PLAIN, "bars", "linecolor rgb '#56b4e9' fillstyle solid 1.0 noborder", ""},
    {HP_ROW_RANGE, "stated",
     "linecolor rgb '#8c8c8c' fillstyle pattern 5 border linecolor rgb '#8c8c8c'",
     "stated without runs"},
};
enum { BAR_LOOKS = sizeof(kBarLooks) / sizeof(kBarLooks[0]) };

static bool is_in_look(const hp_figure* figure, const hp_point* point, size_t look) {
  return figure->rows[(size_t)point->y].look == kBarLooks[look].look && !isnan(point->x);
}

// Dots of one row lie side by side, in the order of the runs.
static void put_run_dots(hp_layout* at, const hp_series* series) {
  open_block(at->script, "runs", 0);
  for (size_t from = 0; from < series->count;) {
    size_t to = from;
    while (to < series->count && series->points[to].y == series->points[from].y) to++;
    double count = (double)(to - from);
    for (size_t k = from; k < to; k++) {
      double offset = count < 2 ? 0 : ((double)(k - from) / (count - 1) - 0.5) * at->row_half * 1.3;
      put_point(at->script, series->points[k].x, row_of(at, &series->points[k]) + offset, NAN, NAN);
    }
    from = to;
  }
  close_block(at->script);
}

static void put_bars(hp_layout* at) {
  const hp_figure* figure = at->figure;
  const hp_series* bars = &figure->series[0];
  for (size_t look = 0; look < BAR_LOOKS; look++) {
    open_block(at->script, kBarLooks[look].block, 0);
    for (size_t k = 0; k < bars->count; k++) {
      const hp_point* point = &bars->points[k];
      if (is_in_look(figure, point, look)) {
        put_point(at->script, point->x, row_of(at, point), point->low, point->high);
      }
    }
    close_block(at->script);
  }
  for (size_t k = 0; k < bars->count; k++) {
    if (isnan(bars->points[k].x)) hp_put_unknown(at, (size_t)bars->points[k].y);
  }
  put_row_intervals(at, bars);
  if (figure->series_count > 1) put_run_dots(at, &figure->series[1]);
  hp_printf(at->script, "set xrange [0:%.10g]\n", axis_high(figure));
}

static bool has_look(const hp_figure* figure, size_t look) {
  const hp_series* bars = &figure->series[0];
  for (size_t k = 0; k < bars->count; k++) {
    if (is_in_look(figure, &bars->points[k], look)) return true;
  }
  return false;
}

static bool has_measured_intervals(const hp_figure* figure) {
  const hp_series* bars = &figure->series[0];
  for (size_t k = 0; k < bars->count; k++) {
    const hp_point* point = &bars->points[k];
    if (isfinite(point->low) && figure->rows[(size_t)point->y].look != HP_ROW_RANGE) return true;
  }
  return false;
}

static void plot_bars(hp_layout* at) {
  const hp_figure* figure = at->figure;
  const hp_series* bars = &figure->series[0];
  const char* before = "plot ";
  for (size_t look = 0; look < BAR_LOOKS; look++) {
    if (!has_look(figure, look)) continue;
    hp_printf(at->script, "%s$%s0 using 2:3:(0):2:($3-11):($3+11) with boxxyerror %s title '%s%s'",
              before, kBarLooks[look].block, kBarLooks[look].fill,
              kBarLooks[look].look == HP_ROW_RANGE ? "" : bars->name, kBarLooks[look].remark);
    before = ", \\\n  ";
  }
  if (has_intervals(bars)) {
    hp_printf(at->script,
              "%s$intervals0 using 2:3:4:5 with xerrorbars pointtype 0 linewidth 2 linecolor rgb "
              "'%s' title '%s'",
              before, HP_INK, has_measured_intervals(figure) ? "95 % interval" : "stated range");
  }
  if (figure->series_count > 1) {
    hp_printf(at->script,
              "%s$runs0 using 2:3 with points pointtype 6 pointsize 0.6 linecolor rgb '%s' "
              "title '%s'",
              before, HP_INK, figure->series[1].name);
  }
  hp_puts(at->script, "\n");
}

// ---- stacks ----

// Colour and pattern of a tone: patterns stay apart in print and to those who see no colours.
static void put_fill(hp_text* script, unsigned tone) {
  enum { SOLID = -1 };
  static const struct {
    const char* colour;
    int pattern;
  } kTones[] = {
      [HP_TONE_KERNEL] = {"#d55e00", SOLID},
      [HP_TONE_USER] = {"#0072b2", 4},
      [HP_TONE_LOOP] = {"#8c8c8c", 1},
      {"#222222", SOLID},
      {"#e69f00", 4},
      {"#56b4e9", SOLID},
      {"#009e73", 5},
      {"#cc79a7", SOLID},
      {"#0072b2", 1},
      {"#d55e00", 6},
      {"#8c8c8c", SOLID},
      {"#009e73", 7},
      {"#e69f00", SOLID},
      {"#cc79a7", 2},
  };
  unsigned others = (unsigned)(sizeof(kTones) / sizeof(kTones[0])) - HP_TONE_OTHERS;
  if (tone >= HP_TONE_OTHERS) tone = HP_TONE_OTHERS + (tone - HP_TONE_OTHERS) % others;
  const char* colour = kTones[tone].colour;
  hp_printf(script, "linecolor rgb '%s' fillstyle ", colour);
  if (kTones[tone].pattern == SOLID) {
    hp_puts(script, "solid 1.0");
  } else {
    hp_printf(script, "pattern %d", kTones[tone].pattern);
  }
  hp_printf(script, " border linecolor rgb '%s'", colour);
}

// Each series' block holds the edges of its parts: y, from, to. The interval, where there is one,
// is that of the first series' end.
static void put_stack(hp_layout* at) {
  const hp_figure* figure = at->figure;
  double* ends = hp_alloc(figure->arena, (figure->row_count + 1) * sizeof(*ends));
  bool* is_known = hp_alloc(figure->arena, (figure->row_count + 1) * sizeof(*is_known));
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    open_block(at->script, "part", i);
    for (size_t k = 0; k < series->count; k++) {
      const hp_point* point = &series->points[k];
      size_t row = (size_t)point->y;
      if (isnan(point->x)) continue;
      put_point(at->script, row_of(at, point), ends[row], ends[row] + point->x, NAN);
      ends[row] += point->x;
      is_known[row] = true;
    }
    close_block(at->script);
  }
  for (size_t row = 0; row < figure->row_count; row++) {
    if (!is_known[row]) hp_put_unknown(at, row);
  }
  put_row_intervals(at, &figure->series[0]);
  hp_printf(at->script, "set xrange [0:%.10g]\n", axis_high(figure));
}

static void plot_stack(hp_layout* at) {
  const hp_figure* figure = at->figure;
  for (size_t i = 0; i < figure->series_count; i++) {
    hp_printf(at->script, "%s$part%zu using 4:2:3:4:($2-11):($2+11) with boxxyerror ",
              i > 0 ? ", \\\n  " : "plot ", i);
    put_fill(at->script, figure->series[i].tone);
    hp_puts(at->script, " title ");
    hp_put_key_name(at, &figure->series[i]);
  }
  if (has_intervals(&figure->series[0])) {
    hp_printf(at->script,
              ", \\\n  $intervals0 using 2:3:4:5 with xerrorbars pointtype 0 linewidth 3 "
              "linecolor rgb '%s' notitle",
              HP_INK);
  }
  hp_puts(at->script, "\n");
}

// ---- dots on a logarithmic axis ----

static double least_above_zero(const hp_figure* figure, bool is_x) {
  double least = INFINITY;
  for (size_t i = 0; i < figure->series_count; i++) {
    for (size_t k = 0; k < figure->series[i].count; k++) {
      const hp_point* point = &figure->series[i].points[k];
      double value = is_x ? point->x : point->y;
      if (value > 0) least = fmin(least, value);
    }
  }
  return isinf(least) ? 1 : least;
}

// 0 has no place on a logarithmic axis: it gets one of its own, a decade below the least value.
static double place_of_zero(const hp_figure* figure) {
  return pow(10, floor(log10(least_above_zero(figure, true))) - 1);
}

static void put_dots(hp_layout* at) {
  const hp_figure* figure = at->figure;
  double zero = place_of_zero(figure);
  double high = hp_figure_max(figure, true);
  double lanes = (double)figure->series_count;
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    double lane = (((double)i + 0.5) / lanes - 0.5) * 2 * at->row_half;
    open_block(at->script, "dots", i);
    for (size_t k = 0; k < series->count; k++) {
      const hp_point* point = &series->points[k];
      if (isnan(point->x)) continue;
      put_point(at->script, point->x > 0 ? point->x : zero, row_of(at, point) + lane, NAN, NAN);
    }
    close_block(at->script);
  }
  hp_printf(at->script, "set xrange [%.10g:%.10g]\nset format x '%%g'\n", zero * 0.6,
            high > 0 ? high * 2 : 10);
  hp_printf(at->script, "set xtics add ('0' %.10g)\n", zero);
  hp_printf(at->script,
            "set arrow from first %.10g, graph 0 to first %.10g, graph 1 nohead "
            "linecolor rgb '%s' back\n",
            zero * 3, zero * 3, HP_SOFT_INK);
  // A line between rows keeps the dots of neighbours apart.
  for (size_t row = 0; row + 1 < figure->row_count; row++) {
    double below = (at->row_at[row] + at->row_at[row + 1]) / 2;
    hp_printf(at->script,
              "set arrow from graph 0, first %.1f to graph 1, first %.1f nohead "
              "linecolor rgb '%s' back\n",
              below, below, HP_GRID);
  }
}

static void plot_dots(hp_layout* at) {
  const hp_figure* figure = at->figure;
  const char* before = "plot ";
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    hp_printf(at->script, "%s", before);
    hp_printf(at->script,
              "$dots%zu using 2:3 with points pointtype %d pointsize 0.8 linecolor rgb '%s' "
              "title ",
              i, kPoints[i % POINTS], kColours[i % COLOURS]);
    hp_put_key_name(at, series);
    before = ", \\\n  ";
  }
  hp_puts(at->script, "\n");
}

// ---- lines ----

static void put_lines(hp_layout* at) {
  const hp_figure* figure = at->figure;
  for (size_t i = 0; i < figure->series_count; i++) {
    put_series_block(at->script, "line", i, &figure->series[i]);
  }
  if (figure->y.scale == HP_LINEAR) {
    double high = figure->y.high > 0 ? figure->y.high : hp_figure_max(figure, false) * 1.06;
    hp_printf(at->script, "set yrange [0:%.10g]\n", high > 0 ? high : 1);
  }
  if (figure->y.scale == HP_LOG10)
    hp_printf(at->script, "set yrange [%.10g:*]\n", least_above_zero(figure, false) * 0.7);
  if (figure->x.high > 0) hp_printf(at->script, "set xrange [0:%.10g]\n", figure->x.high);
}

enum { POINTS_AT_MOST = 40 };

// A line's colour is that of the last plain series; after all colours the dashes change.
static void plot_line(hp_layout* at, size_t index, size_t style) {
  const hp_series* series = &at->figure->series[index];
  const char* colour = kColours[style % COLOURS];
  bool is_again = style >= COLOURS;  // the colour was there before: points tell the two apart
  bool has_points = series->look == HP_PLAIN && (series->count <= POINTS_AT_MOST || is_again);
  hp_printf(at->script, "$line%zu using 2:3 with %s ", index, has_points ? "linespoints" : "lines");
  if (series->look == HP_REFERENCE) {
    hp_printf(at->script, "linewidth 1.5 dashtype %zu linecolor rgb '%s' title ", 2 + index % 3,
              HP_SOFT_INK);
  } else if (series->look == HP_DASHED) {
    hp_printf(at->script, "linewidth 1 dashtype 2 linecolor rgb '%s' notitle", colour);
    return;
  } else {
    hp_printf(at->script, "linewidth 2 dashtype %d linecolor rgb '%s' pointtype %d pointsize 0.7 ",
              is_again ? 4 : 1, colour, kPoints[style % POINTS]);
    if (has_points && series->count > POINTS_AT_MOST)
      hp_printf(at->script, "pointinterval %zu ", series->count / 10);
    hp_puts(at->script, "title ");
  }
  hp_put_key_name(at, series);
}

// Intervals lie below all lines.
static void plot_lines(hp_layout* at) {
  const hp_figure* figure = at->figure;
  const char* before = "plot ";
  for (int pass = 0; pass < 2; pass++) {
    size_t plain = 0;
    for (size_t i = 0; i < figure->series_count; i++) {
      if (figure->series[i].look == HP_PLAIN) plain++;
      size_t style = plain > 0 ? plain - 1 : 0;
      if (pass == 0 && !has_intervals(&figure->series[i])) continue;
      hp_puts(at->script, before);
      before = ", \\\n  ";
      if (pass == 1) {
        plot_line(at, i, style);
      } else {
        hp_printf(at->script,
                  "$line%zu using 2:4:(0):($5-$4) with vectors nohead linewidth 1 linecolor "
                  "rgb '%s' notitle",
                  i, kColours[style % COLOURS]);
      }
    }
  }
  hp_puts(at->script, "\n");
}

// ---- areas ----

// Points of all series stand at the same x, in the same order; an unknown part counts as nothing.
static void put_area(hp_layout* at) {
  const hp_figure* figure = at->figure;
  size_t count = figure->series[0].count;
  double* sums = hp_alloc(figure->arena, (count + 1) * sizeof(*sums));
  double high = 0;
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    open_block(at->script, "area", i);
    for (size_t k = 0; k < count && k < series->count; k++) {
      double part = isnan(series->points[k].y) ? 0 : series->points[k].y;
      put_point(at->script, series->points[k].x, sums[k], sums[k] + part, NAN);
      sums[k] += part;
      high = fmax(high, sums[k]);
    }
    close_block(at->script);
  }
  hp_printf(at->script, "set yrange [0:%.10g]\n", high > 0 ? high * 1.04 : 1);
}

static void plot_area(hp_layout* at) {
  const hp_figure* figure = at->figure;
  for (size_t i = 0; i < figure->series_count; i++) {
    hp_printf(at->script, "%s$area%zu using 2:3:4 with filledcurves ", i > 0 ? ", \\\n  " : "plot ",
              i);
    put_fill(at->script, figure->series[i].tone);
    hp_puts(at->script, " title ");
    hp_put_key_name(at, &figure->series[i]);
  }
  hp_puts(at->script, "\n");
}

// ---- heat map ----

// Where the cell of moment k begins: between it and the one before. Moments may lie unevenly;
// beyond the first and the last a cell is as wide as it is on its other side.
static double cell_edge(const hp_series* series, size_t k) {
  const hp_point* points = series->points;
  size_t count = series->count;
  if (count < 2) return points[0].x + (k == 0 ? -0.5 : 0.5);
  if (k == 0) return points[0].x - (points[1].x - points[0].x) / 2;
  if (k == count) return points[count - 1].x + (points[count - 1].x - points[count - 2].x) / 2;
  return (points[k - 1].x + points[k].x) / 2;
}

static void put_heat(hp_layout* at) {
  const hp_figure* figure = at->figure;
  const hp_series* first = &figure->series[0];
  open_block(at->script, "heat", 0);
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    for (size_t k = 0; k < series->count; k++) {
      double value = series->points[k].y;
      if (isnan(value)) continue;
      put_point(at->script, value, (double)i, cell_edge(series, k), cell_edge(series, k + 1));
    }
  }
  close_block(at->script);
  hp_puts(at->script, "set ytics (");
  for (size_t i = 0; i < figure->series_count; i++) {
    hp_put_quoted(at->script, figure->series[i].name);
    hp_printf(at->script, " %zu%s", i, i + 1 < figure->series_count ? ", " : ")\n");
  }
  hp_printf(at->script, "set yrange [-0.5:%.1f]\nset xrange [%.10g:%.10g]\nunset grid\n",
            (double)figure->series_count - 0.5, cell_edge(first, 0),
            cell_edge(first, first->count));
  // Dark to light in even steps of lightness, blue to yellow: readable in grey and to everyone.
  hp_puts(at->script,
          "set palette defined (0 '#00224e', 25 '#434e6c', 50 '#7d7c78', 75 '#bcae6c', "
          "100 '#fee838')\nset cbrange [0:100]\nset cblabel 'live blocks, % of capacity'\n");
}

void hp_put_shape(hp_layout* at) {
  switch (at->figure->shape) {
    case HP_BARS:
      put_bars(at);
      plot_bars(at);
      break;
    case HP_STACK:
      put_stack(at);
      plot_stack(at);
      break;
    case HP_DOTS:
      put_dots(at);
      plot_dots(at);
      break;
    case HP_LINES:
      put_lines(at);
      plot_lines(at);
      break;
    case HP_AREA:
      put_area(at);
      plot_area(at);
      break;
    case HP_HEAT:
      put_heat(at);
      hp_puts(at->script,
              "plot $heat0 using 4:3:4:5:($3-0.5):($3+0.5):2 with boxxyerror "
              "fillstyle solid 1.0 noborder linecolor palette notitle\n");
      break;
  }
}
