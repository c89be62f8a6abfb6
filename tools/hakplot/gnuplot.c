// gnuplot's scripts: terminal, frame, axes and labels; the shapes are in gnuplot_shapes.c.

#include "tools/hakplot/gnuplot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hakplot/gnuplot_drawing.h"

// In pixels of a 96 dpi screen, and in columns of text that fit beside or above the plot.
enum {
  WIDTH = 860,
  LINE = 17,
  PLOT_HEIGHT = 360,
  AXIS_HEIGHT = 70,
  HEAT_ROW = 20,
  ROW_PADDING = 9,
  BAR_HALF = 11,
  TITLE_COLUMNS = 88,
  CAPTION_COLUMNS = 112,
  LABEL_COLUMNS = 36,
  LINES_MAX = 5,
};

void hp_put_quoted(const hp_drawing* at, FILE* out, const char* text) {
  fputc('\'', out);
  while (*text != '\0') {
    const char* from = text;
    uint32_t rune = hp_next_rune(&text);
    if (rune == '\'') fputc('\'', out);
    bool is_drawable = !at->needs_fonts || hp_font_has(rune);
    fprintf(out, "%.*s", (int)(is_drawable ? text - from : 3), is_drawable ? from : "\uFFFD");
  }
  fputc('\'', out);
}

// Joined by line ends, which single quotes cannot hold.
static void put_lines(const hp_drawing* at, const char* const* lines, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (i > 0) fputs(".\"\\n\".", at->script);
    hp_put_quoted(at, at->script, lines[i]);
  }
}

// Returns how many lines it takes.
static size_t put_wrapped(hp_drawing* at, const char* text, size_t columns) {
  const char* lines[LINES_MAX];
  size_t count = hp_wrap(text, columns, LINES_MAX, lines);
  put_lines(at, lines, count);
  return count;
}

FILE* hp_element(hp_drawing* at) {
  fputs(at->has_element ? ", \\\n  " : "plot ", at->plot);
  at->has_element = true;
  return at->plot;
}

static bool has_rows(const hp_figure* figure) {
  return figure->shape == HP_BARS || figure->shape == HP_STACK || figure->shape == HP_DOTS;
}

static bool has_key(const hp_figure* figure) {
  return figure->series_count > 1 && figure->shape != HP_HEAT;
}

static size_t lines_of(const char* text, size_t columns) {
  const char* lines[LINES_MAX];
  return text[0] == '\0' ? 0 : hp_wrap(text, columns, LINES_MAX, lines);
}

// ---- size ----

// A row is as high as the longest of its texts and what it draws.
static double row_height(const hp_figure* figure) {
  size_t lines = 1;
  for (size_t i = 0; i < figure->row_count; i++) {
    size_t label = lines_of(figure->rows[i].label, LABEL_COLUMNS);
    size_t note = lines_of(figure->rows[i].note, LABEL_COLUMNS);
    lines = label > lines ? label : lines;
    lines = note > lines ? note : lines;
  }
  double drawn = figure->shape == HP_DOTS ? 7.6 * (double)figure->series_count : 2 * BAR_HALF;
  return fmax((double)lines * LINE, drawn) + ROW_PADDING;
}

// Lines of text above the plot; a title's is half as high again. Marks alternate between two.
static double lines_above(const hp_figure* figure) {
  return 1.5 * (double)lines_of(figure->title, TITLE_COLUMNS) +
         1.2 * (double)lines_of(figure->caption, CAPTION_COLUMNS) +
         (figure->mark_count > 0 ? 3.2 : 1.2);
}

static double picture_height(const hp_figure* figure) {
  double plot = has_rows(figure)           ? row_height(figure) * (double)figure->row_count
                : figure->shape == HP_HEAT ? HEAT_ROW * (double)figure->series_count
                                           : PLOT_HEIGHT;
  double key = has_key(figure) ? (1 + ceil((double)figure->series_count / 3)) * LINE : 0;
  return lines_above(figure) * LINE + plot + AXIS_HEIGHT + key;
}

static void put_terminal(const hp_drawing* at, unsigned format) {
  const char* name = at->figure->name;
  FILE* script = at->script;
  double height = picture_height(at->figure);
  if (format == HP_SVG) {
    fprintf(script,
            "set terminal svg size %d,%.0f fixed font 'sans-serif,12' noenhanced "
            "background '#ffffff'\nset output '%s.svg'\n",
            WIDTH, height, name);
  } else if (format == HP_PNG) {
    fprintf(script,
            "set terminal pngcairo size %d,%.0f font 'sans-serif,12' fontscale 1.5 linewidth 2 "
            "pointscale 2 noenhanced background '#ffffff'\nset output '%s.png'\n",
            2 * WIDTH, 2 * height, name);
  } else {
    fprintf(
        script,
        "set terminal pdfcairo size %.2fin,%.2fin font 'sans-serif,12' fontscale 0.58 noenhanced "
        "background '#ffffff'\nset output '%s.pdf'\n",
        WIDTH / 96.0, height / 96, name);
  }
}

// ---- frame ----

// Title and caption stand at the picture's edge, whatever the labels leave of the plot's width.
static void put_frame(hp_drawing* at) {
  const hp_figure* figure = at->figure;
  FILE* script = at->script;
  fputs("set encoding utf8\nset datafile separator \"\\t\"\nset datafile missing 'NaN'\n", script);
  fprintf(script, "set tmargin %.1f\nset label 1 ", lines_above(figure));
  size_t titles = put_wrapped(at, figure->title, TITLE_COLUMNS);
  fprintf(script, " at screen 0,1 left offset character 1.5,-1.3 font ',15' textcolor rgb '" HP_INK
                  "' noenhanced\nset label 2 ");
  put_wrapped(at, figure->caption, CAPTION_COLUMNS);
  fprintf(script,
          " at screen 0,1 left offset character 1.5,%.1f textcolor rgb '" HP_SOFT_INK
          "' noenhanced\n",
          -1.3 - 1.5 * (double)titles);
  fputs("set border 3 linecolor rgb '" HP_SOFT_INK
        "'\nset tics nomirror out scale 0.5 textcolor rgb '" HP_INK
        "'\nset grid linecolor rgb '" HP_GRID
        "' linetype 1 linewidth 1\nset style fill solid 1.0\n",
        script);
  fputs(has_key(figure) ? "set key below left Left reverse samplen 2 width 2 textcolor rgb '" HP_INK
                          "' noenhanced\n"
                        : "unset key\n",
        script);
}

// gnuplot formats it like printf.
static void put_tick_text(const hp_drawing* at, const char* text) {
  char* doubled = hp_alloc(2 * strlen(text) + 1);
  char* to = doubled;
  for (; *text != '\0'; text++) {
    if (*text == '%') *to++ = '%';
    *to++ = *text;
  }
  hp_put_quoted(at, at->script, doubled);
}

static void put_axis(hp_drawing* at, char letter, const hp_axis* axis) {
  FILE* script = at->script;
  fprintf(script, "set %clabel ", letter);
  hp_put_quoted(at, script, axis->title);
  // A line between the axis and the key, which gnuplot puts close to each other.
  if (letter == 'x' && has_key(at->figure)) fputs(".\"\\n\"", script);
  fputs(" textcolor rgb '" HP_INK "' noenhanced\n", script);
  if (axis->scale == HP_LOG10) fprintf(script, "set logscale %c 10\n", letter);
  if (axis->scale == HP_LOG2)
    fprintf(script, "set logscale %c 2\nset format %c '%%.0f'\n", letter, letter);
  if (axis->tick_count == 0) return;
  size_t columns = 0;
  for (size_t i = 0; i < axis->tick_count; i++) columns += hp_columns(axis->ticks[i].text) + 2;
  bool is_wide = letter == 'x' && columns > CAPTION_COLUMNS;
  fprintf(script, "set %ctics %s", letter, is_wide ? "rotate by 30 right " : "");
  for (size_t i = 0; i < axis->tick_count; i++) {
    fputs(i == 0 ? "(" : ", ", script);
    put_tick_text(at, axis->ticks[i].text);
    fprintf(script, " %.10g", axis->ticks[i].at);
  }
  fputs(")\n", script);
}

// A row's label on the left of the plot, or its note on the right. Returns its columns.
static size_t put_row_text(hp_drawing* at, const char* text, size_t row, bool is_note) {
  const char* lines[LINES_MAX];
  size_t widest = 0;
  if (text[0] == '\0') return 0;
  size_t count = hp_wrap(text, LABEL_COLUMNS, LINES_MAX, lines);
  for (size_t i = 0; i < count; i++) {
    size_t columns = hp_columns(lines[i]);
    if (columns > widest) widest = columns;
  }
  fputs("set label ", at->script);
  put_lines(at, lines, count);
  fprintf(at->script,
          " at graph %d, first %zu %s offset character %d,%.1f textcolor rgb '%s' noenhanced\n",
          is_note, row, is_note ? "left" : "right", is_note ? 1 : -1, 0.5 * (double)(count - 1),
          is_note ? HP_SOFT_INK : HP_INK);
  return widest;
}

static void put_rows(hp_drawing* at) {
  const hp_figure* figure = at->figure;
  size_t margins[2] = {0, 0};
  at->half = (figure->shape == HP_DOTS ? 3.8 * (double)figure->series_count : BAR_HALF) /
             row_height(figure);
  for (size_t i = 0; i < figure->row_count; i++) {
    for (int is_note = 0; is_note < 2; is_note++) {
      const hp_figure_row* row = &figure->rows[i];
      size_t columns = put_row_text(at, is_note ? row->note : row->label, i, is_note);
      if (columns > margins[is_note]) margins[is_note] = columns;
    }
  }
  fprintf(at->script,
          "set lmargin %zu\nset rmargin %zu\nset yrange [%zu.5:-0.5]\nunset ytics\n"
          "set grid noy\n",
          margins[0] + 2, margins[1] + 2, figure->row_count - 1);
}

// Vertical lines with their texts above the plot: at two heights in turn, to the right of the line
// at the lower and to the left at the upper, so that no line runs through the text of a neighbour.
static void put_marks(hp_drawing* at) {
  for (size_t i = 0; i < at->figure->mark_count; i++) {
    const hp_mark* mark = &at->figure->marks[i];
    fprintf(at->script,
            "set arrow from first %.10g, graph 0 to first %.10g, graph 1 nohead dashtype 3 "
            "linecolor rgb '" HP_SOFT_INK "' back\nset label ",
            mark->at, mark->at);
    hp_put_quoted(at, at->script, mark->text);
    fprintf(at->script,
            " at first %.10g, graph 1 %s offset character %s textcolor rgb '" HP_SOFT_INK
            "' noenhanced\n",
            mark->at, i % 2 == 0 ? "left" : "right", i % 2 == 0 ? "0,0.6" : "0,1.6");
  }
}

static void put_plot(hp_drawing* at) {
  char* plot;
  size_t size;
  at->plot = open_memstream(&plot, &size);
  if (at->plot == NULL) return;
  hp_put_shape(at);
  fclose(at->plot);
  fprintf(at->script, "%s\n", plot);
  free(plot);
}

void hp_gnuplot_script(const hp_figure* figure, unsigned formats, FILE* script) {
  static const unsigned kFormats[] = {HP_SVG, HP_PNG, HP_PDF};
  const bool needs_fonts = (formats & (HP_PNG | HP_PDF)) != 0;
  hp_drawing at = {.figure = figure, .script = script, .needs_fonts = needs_fonts};
  bool is_drawn = false;
  fprintf(script, "# Made by hakplot. To draw again after changing something: gnuplot %s.gp\n",
          figure->name);
  for (size_t i = 0; i < 3; i++) {
    if ((formats & kFormats[i]) == 0) continue;
    put_terminal(&at, kFormats[i]);
    if (is_drawn) {
      fputs("replot\n", script);
      continue;
    }
    put_frame(&at);
    put_axis(&at, 'x', &figure->x);
    if (has_rows(figure)) {
      put_rows(&at);
    } else {
      put_axis(&at, 'y', &figure->y);
    }
    put_marks(&at);
    put_plot(&at);
    is_drawn = true;
  }
  fputs("unset output\n", script);
}
