// The shapes of figures as gnuplot draws them: their data and their elements of the plot command.
// Boxes are drawn with their edges given, since gnuplot's own bars and histograms only stand
// upright; lying, labels of any length stay readable.

#include <math.h>

#include "tools/hakplot/gnuplot_drawing.h"

// Black last, since it is also the ink.
static const char* const kColours[] = {HP_BLUE, HP_ORANGE,    HP_GREEN, HP_PURPLE,
                                       HP_SKY,  HP_VERMILION, HP_INK};
enum { COLOURS = sizeof(kColours) / sizeof(kColours[0]) };

static const int kPoints[] = {7, 5, 9, 11, 13, 6, 4, 8, 10, 12};
enum { POINTS = sizeof(kPoints) / sizeof(kPoints[0]), KEY_COLUMNS = 100 };

// ---- pieces ----

static void open_data(hp_drawing* at, const char* name, size_t index) {
  fprintf(at->script, "$%s%zu << EOD\n", name, index);
}

static void close_data(hp_drawing* at) { fputs("EOD\n", at->script); }

// Columns 2 to 5; before them stands one that cannot be read as a comment.
static void put_point(hp_drawing* at, double x, double y, double low, double high) {
  const double values[] = {x, y, low, high};
  fputs("0", at->script);
  for (size_t i = 0; i < 4; i++) {
    if (isfinite(values[i])) fprintf(at->script, "\t%.10g", values[i]);
    if (!isfinite(values[i])) fputs("\tNaN", at->script);
  }
  fputs("\n", at->script);
}

static void put_title(hp_drawing* at, const hp_series* series) {
  const char* line;
  hp_wrap(series->name, KEY_COLUMNS, 1, &line);
  fputs(" title ", at->plot);
  hp_put_quoted(at, at->plot, line);
}

static void put_unknown(hp_drawing* at, size_t row) {
  fprintf(at->script,
          "set label 'unknown' at graph 0, first %zu left offset character 1,0 textcolor rgb "
          "'" HP_SOFT_INK "' noenhanced\n",
          row);
}

static bool has_intervals(const hp_series* series) {
  for (size_t k = 0; k < series->count; k++) {
    if (isfinite(series->points[k].low) && isfinite(series->points[k].x)) return true;
  }
  return false;
}

// Those of a series with rows.
static void put_row_intervals(hp_drawing* at, const hp_series* series, const char* title) {
  if (!has_intervals(series)) return;
  open_data(at, "intervals", 0);
  for (size_t k = 0; k < series->count; k++) {
    const hp_point* point = &series->points[k];
    if (isfinite(point->low)) put_point(at, point->x, point->y, point->low, point->high);
  }
  close_data(at);
  fprintf(hp_element(at),
          "$intervals0 using 2:3:4:5 with xerrorbars pointtype 0 linewidth 2 linecolor rgb "
          "'" HP_INK "' title '%s'",
          title);
}

static void put_x_range(hp_drawing* at) {
  const hp_figure* figure = at->figure;
  double largest = hp_figure_max(figure, true);
  double high = figure->x.high > 0 ? figure->x.high : largest > 0 ? largest * 1.04 : 1;
  fprintf(at->script, "set xrange [0:%.10g]\n", high);
}

// ---- bars ----

static const struct {
  hp_row_look look;
  const char* fill;
  const char* remark;  // in the key: after the series' name, or in its place for what is no run
} kBarLooks[] = {
    {HP_ROW_BASELINE, "linecolor rgb '" HP_GREY "' fillstyle solid 1.0 noborder", ", baseline"},
    {HP_ROW_PLAIN, "linecolor rgb '" HP_SKY "' fillstyle solid 1.0 noborder", ""},
    {HP_ROW_RANGE,
     "linecolor rgb '" HP_GREY "' fillstyle pattern 5 border linecolor rgb '" HP_GREY "'",
     "stated without runs"},
};

// The rows of one look.
static void put_bars_looking(hp_drawing* at, size_t look) {
  const hp_figure* figure = at->figure;
  const hp_series* bars = &figure->series[0];
  bool is_range = kBarLooks[look].look == HP_ROW_RANGE;
  size_t count = 0;
  open_data(at, "bars", look);
  for (size_t k = 0; k < bars->count; k++) {
    const hp_point* point = &bars->points[k];
    if (figure->rows[(size_t)point->y].look != kBarLooks[look].look || isnan(point->x)) continue;
    put_point(at, point->x, point->y, point->low, point->high);
    count++;
  }
  close_data(at);
  if (count == 0) return;
  fprintf(hp_element(at),
          "$bars%zu using 2:3:(0):2:($3-%.3f):($3+%.3f) with boxxyerror %s title '%s%s'", look,
          at->half, at->half, kBarLooks[look].fill, is_range ? "" : bars->name,
          kBarLooks[look].remark);
}

// Dots of one row lie side by side, in the order of the runs.
static void put_run_dots(hp_drawing* at, const hp_series* series) {
  open_data(at, "runs", 0);
  for (size_t from = 0, to = 0; from < series->count; from = to) {
    while (to < series->count && series->points[to].y == series->points[from].y) to++;
    for (size_t k = from; k < to; k++) {
      double place = to - from < 2 ? 0 : (double)(k - from) / (double)(to - from - 1) - 0.5;
      put_point(at, series->points[k].x, series->points[k].y + place * at->half * 1.3, NAN, NAN);
    }
  }
  close_data(at);
  fprintf(hp_element(at),
          "$runs0 using 2:3 with points pointtype 6 pointsize 0.6 linecolor rgb '" HP_INK
          "' title '%s'",
          series->name);
}

static void put_bars(hp_drawing* at) {
  const hp_figure* figure = at->figure;
  const hp_series* bars = &figure->series[0];
  bool is_measured = false;
  for (size_t look = 0; look < sizeof(kBarLooks) / sizeof(kBarLooks[0]); look++) {
    put_bars_looking(at, look);
  }
  for (size_t k = 0; k < bars->count; k++) {
    const hp_point* point = &bars->points[k];
    if (isnan(point->x)) put_unknown(at, (size_t)point->y);
    is_measured |= isfinite(point->low) && figure->rows[(size_t)point->y].look != HP_ROW_RANGE;
  }
  put_row_intervals(at, bars, is_measured ? "95 % interval" : "stated range");
  if (figure->series_count > 1) put_run_dots(at, &figure->series[1]);
  put_x_range(at);
}

// ---- stacks and areas ----

// Colour and pattern of a tone: patterns stay apart in print and to those who see no colours.
static void put_fill(hp_drawing* at, const hp_series* series) {
  static const struct {
    const char* colour;
    const char* style;
  } kTones[] = {
      [HP_TONE_KERNEL] = {HP_VERMILION, "solid 1.0"},
      [HP_TONE_USER] = {HP_BLUE, "pattern 4"},
      [HP_TONE_LOOP] = {HP_GREY, "pattern 1"},
      {HP_INK, "solid 1.0"},
      {HP_ORANGE, "pattern 4"},
      {HP_SKY, "solid 1.0"},
      {HP_GREEN, "pattern 5"},
      {HP_PURPLE, "solid 1.0"},
      {HP_BLUE, "pattern 1"},
      {HP_VERMILION, "pattern 6"},
      {HP_GREY, "solid 1.0"},
      {HP_GREEN, "pattern 7"},
      {HP_ORANGE, "solid 1.0"},
      {HP_PURPLE, "pattern 2"},
  };
  unsigned others = (unsigned)(sizeof(kTones) / sizeof(kTones[0])) - HP_TONE_OTHERS;
  unsigned tone = series->tone;
  if (tone >= HP_TONE_OTHERS) tone = HP_TONE_OTHERS + (tone - HP_TONE_OTHERS) % others;
  fprintf(at->plot, "linecolor rgb '%s' fillstyle %s border linecolor rgb '%s'",
          kTones[tone].colour, kTones[tone].style, kTones[tone].colour);
  put_title(at, series);
}

// Each series' data holds the edges of its parts: y, from, to. The interval, where there is one, is
// that of the first series' end.
static void put_stack(hp_drawing* at) {
  const hp_figure* figure = at->figure;
  double* ends = hp_alloc((figure->row_count + 1) * sizeof(*ends));
  bool* is_known = hp_alloc((figure->row_count + 1) * sizeof(*is_known));
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    open_data(at, "part", i);
    for (size_t k = 0; k < series->count; k++) {
      size_t row = (size_t)series->points[k].y;
      double part = series->points[k].x;
      if (isnan(part)) continue;
      put_point(at, (double)row, ends[row], ends[row] + part, NAN);
      ends[row] += part;
      is_known[row] = true;
    }
    close_data(at);
    fprintf(hp_element(at), "$part%zu using 4:2:3:4:($2-%.3f):($2+%.3f) with boxxyerror ", i,
            at->half, at->half);
    put_fill(at, series);
  }
  for (size_t row = 0; row < figure->row_count; row++) {
    if (!is_known[row]) put_unknown(at, row);
  }
  put_row_intervals(at, &figure->series[0], "95 % interval");
  put_x_range(at);
}

// Points of all series stand at the same x, in the same order; an unknown part counts as nothing.
static void put_area(hp_drawing* at) {
  const hp_figure* figure = at->figure;
  size_t count = figure->series[0].count;
  double* sums = hp_alloc((count + 1) * sizeof(*sums));
  double high = 0;
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    open_data(at, "area", i);
    for (size_t k = 0; k < count && k < series->count; k++) {
      double part = isnan(series->points[k].y) ? 0 : series->points[k].y;
      put_point(at, series->points[k].x, sums[k], sums[k] + part, NAN);
      sums[k] += part;
      high = fmax(high, sums[k]);
    }
    close_data(at);
    fprintf(hp_element(at), "$area%zu using 2:3:4 with filledcurves ", i);
    put_fill(at, series);
  }
  fprintf(at->script, "set yrange [0:%.10g]\n", high > 0 ? high * 1.04 : 1);
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

// 0 has no place on a logarithmic axis: it gets one of its own, a decade below the least value. A
// line between rows keeps the dots of neighbours apart.
static void put_dots(hp_drawing* at) {
  const hp_figure* figure = at->figure;
  double zero = pow(10, floor(log10(least_above_zero(figure, true))) - 1);
  double high = hp_figure_max(figure, true);
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    double lane = (2 * (double)i + 1) / (double)figure->series_count - 1;
    open_data(at, "dots", i);
    for (size_t k = 0; k < series->count; k++) {
      const hp_point* point = &series->points[k];
      if (isnan(point->x)) continue;
      put_point(at, point->x > 0 ? point->x : zero, point->y + lane * at->half, NAN, NAN);
    }
    close_data(at);
    fprintf(hp_element(at),
            "$dots%zu using 2:3 with points pointtype %d pointsize 0.8 linecolor rgb '%s'", i,
            kPoints[i % POINTS], kColours[i % COLOURS]);
    put_title(at, series);
  }
  fprintf(at->script,
          "set xrange [%.10g:%.10g]\nset format x '%%g'\nset xtics add ('0' %.10g)\n"
          "set arrow from first %.10g, graph 0 to first %.10g, graph 1 nohead linecolor rgb "
          "'" HP_SOFT_INK "' back\n",
          zero * 0.6, high > 0 ? high * 2 : 10, zero, zero * 3, zero * 3);
  for (size_t row = 0; row + 1 < figure->row_count; row++) {
    fprintf(at->script,
            "set arrow from graph 0, first %zu.5 to graph 1, first %zu.5 nohead linecolor rgb "
            "'" HP_GRID "' back\n",
            row, row);
  }
}

// ---- lines ----

enum { POINTS_AT_MOST = 40 };

// A line's colour is that of the last plain series; after all colours the dashes change.
static void put_line(hp_drawing* at, size_t index, size_t style) {
  const hp_series* series = &at->figure->series[index];
  const char* colour = kColours[style % COLOURS];
  bool is_again = style >= COLOURS;  // the colour was there before: points tell the two apart
  bool has_points = series->look == HP_PLAIN && (series->count <= POINTS_AT_MOST || is_again);
  fprintf(hp_element(at), "$line%zu using 2:3 with %s ", index,
          has_points ? "linespoints" : "lines");
  if (series->look == HP_DASHED) {
    fprintf(at->plot, "linewidth 1 dashtype 2 linecolor rgb '%s' notitle", colour);
    return;
  }
  if (series->look == HP_REFERENCE) {
    fprintf(at->plot, "linewidth 1.5 dashtype %zu linecolor rgb '" HP_SOFT_INK "'", 2 + index % 3);
  } else {
    fprintf(at->plot, "linewidth 2 dashtype %d linecolor rgb '%s' pointtype %d pointsize 0.7",
            is_again ? 4 : 1, colour, kPoints[style % POINTS]);
    if (has_points && series->count > POINTS_AT_MOST)
      fprintf(at->plot, " pointinterval %zu", series->count / 10);
  }
  put_title(at, series);
}

// Intervals lie below all lines.
static void put_lines(hp_drawing* at) {
  const hp_figure* figure = at->figure;
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    open_data(at, "line", i);
    for (size_t k = 0; k < series->count; k++) {
      const hp_point* point = &series->points[k];
      put_point(at, point->x, point->y, point->low, point->high);
    }
    close_data(at);
  }
  for (int pass = 0; pass < 2; pass++) {
    size_t plain = 0;
    for (size_t i = 0; i < figure->series_count; i++) {
      if (figure->series[i].look == HP_PLAIN) plain++;
      size_t style = plain > 0 ? plain - 1 : 0;
      if (pass == 1) put_line(at, i, style);
      if (pass == 1 || !has_intervals(&figure->series[i])) continue;
      fprintf(hp_element(at),
              "$line%zu using 2:4:(0):($5-$4) with vectors nohead linewidth 1 linecolor rgb '%s' "
              "notitle",
              i, kColours[style % COLOURS]);
    }
  }
  double high = figure->y.high > 0 ? figure->y.high : hp_figure_max(figure, false) * 1.06;
  if (figure->y.scale == HP_LINEAR)
    fprintf(at->script, "set yrange [0:%.10g]\n", high > 0 ? high : 1);
  if (figure->y.scale == HP_LOG10)
    fprintf(at->script, "set yrange [%.10g:*]\n", least_above_zero(figure, false) * 0.7);
  if (figure->x.high > 0) fprintf(at->script, "set xrange [0:%.10g]\n", figure->x.high);
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

static void put_heat(hp_drawing* at) {
  const hp_figure* figure = at->figure;
  const hp_series* first = &figure->series[0];
  open_data(at, "heat", 0);
  for (size_t i = 0; i < figure->series_count; i++) {
    const hp_series* series = &figure->series[i];
    for (size_t k = 0; k < series->count; k++) {
      double value = series->points[k].y;
      if (isnan(value)) continue;
      put_point(at, value, (double)i, cell_edge(series, k), cell_edge(series, k + 1));
    }
  }
  close_data(at);
  fputs("set ytics (", at->script);
  for (size_t i = 0; i < figure->series_count; i++) {
    hp_put_quoted(at, at->script, figure->series[i].name);
    fprintf(at->script, " %zu%s", i, i + 1 < figure->series_count ? ", " : ")\n");
  }
  fprintf(at->script, "set yrange [-0.5:%.1f]\nset xrange [%.10g:%.10g]\nunset grid\n",
          (double)figure->series_count - 0.5, cell_edge(first, 0), cell_edge(first, first->count));
  fputs("set palette defined (" HP_HEAT_STEPS
        ")\nset cbrange [0:100]\nset cblabel 'live blocks, % of capacity'\n",
        at->script);
  fputs(
      "$heat0 using 4:3:4:5:($3-0.5):($3+0.5):2 with boxxyerror fillstyle solid 1.0 noborder "
      "linecolor palette notitle",
      hp_element(at));
}

void hp_put_shape(hp_drawing* at) {
  static void (*const kShapes[])(hp_drawing*) = {
      [HP_BARS] = put_bars,   [HP_STACK] = put_stack, [HP_DOTS] = put_dots,
      [HP_LINES] = put_lines, [HP_AREA] = put_area,   [HP_HEAT] = put_heat,
  };
  kShapes[at->figure->shape](at);
}
