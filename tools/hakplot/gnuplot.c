// gnuplot's scripts: terminal, frame, axes and labels; the shapes are in gnuplot_shapes.c.

#include "tools/hakplot/gnuplot.h"

#include <math.h>

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

void hp_put_quoted(hp_text* script, const char* text) {
  hp_put(script, "'", 1);
  for (; *text != '\0'; text++) {
    if (*text == '\'') hp_put(script, "'", 1);
    hp_put(script, text, 1);
  }
  hp_put(script, "'", 1);
}

// Joined by line ends, which single quotes cannot hold.
static void put_lines(hp_text* script, const char* const* lines, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (i > 0) hp_puts(script, ".\"\\n\".");
    hp_put_quoted(script, lines[i]);
  }
}

// Returns how many lines it takes.
static size_t put_wrapped(hp_drawing* at, const char* text, size_t columns) {
  const char* lines[LINES_MAX];
  size_t count = hp_wrap(at->figure->arena, text, columns, LINES_MAX, lines);
  put_lines(at->script, lines, count);
  return count;
}

hp_text* hp_element(hp_drawing* at) {
  hp_puts(&at->plot, at->plot.size == 0 ? "plot " : ", \\\n  ");
  return &at->plot;
}

static bool has_rows(const hp_figure* figure) {
  return figure->shape == HP_BARS || figure->shape == HP_STACK || figure->shape == HP_DOTS;
}

static bool has_key(const hp_figure* figure) {
  return figure->series_count > 1 && figure->shape != HP_HEAT;
}

static size_t lines_of(const hp_figure* figure, const char* text, size_t columns) {
  const char* lines[LINES_MAX];
  return text[0] == '\0' ? 0 : hp_wrap(figure->arena, text, columns, LINES_MAX, lines);
}

// ---- size ----

// A row is as high as the longest of its texts and what it draws.
static double row_height(const hp_figure* figure) {
  size_t lines = 1;
  for (size_t i = 0; i < figure->row_count; i++) {
    size_t label = lines_of(figure, figure->rows[i].label, LABEL_COLUMNS);
    size_t note = lines_of(figure, figure->rows[i].note, LABEL_COLUMNS);
    lines = label > lines ? label : lines;
    lines = note > lines ? note : lines;
  }
  double drawn = figure->shape == HP_DOTS ? 7.6 * (double)figure->series_count : 2 * BAR_HALF;
  return fmax((double)lines * LINE, drawn) + ROW_PADDING;
}

// Lines of text above the plot; a title's is half as high again. Marks alternate between two.
static double lines_above(const hp_figure* figure) {
  return 1.5 * (double)lines_of(figure, figure->title, TITLE_COLUMNS) +
         1.2 * (double)lines_of(figure, figure->caption, CAPTION_COLUMNS) +
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
  hp_text* script = at->script;
  double height = picture_height(at->figure);
  if (format == HP_SVG) {
    hp_printf(script,
              "set terminal svg size %d,%.0f fixed font 'sans-serif,12' noenhanced "
              "background '#ffffff'\nset output '%s.svg'\n",
              WIDTH, height, name);
  } else if (format == HP_PNG) {
    hp_printf(script,
              "set terminal pngcairo size %d,%.0f font 'sans-serif,12' fontscale 1.5 linewidth 2 "
              "pointscale 2 noenhanced background '#ffffff'\nset output '%s.png'\n",
              2 * WIDTH, 2 * height, name);
  } else {
    hp_printf(
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
  hp_text* script = at->script;
  hp_puts(script,
          "set encoding utf8\nset datafile separator \"\\t\"\nset datafile missing 'NaN'\n");
  hp_printf(script, "set tmargin %.1f\nset label 1 ", lines_above(figure));
  size_t titles = put_wrapped(at, figure->title, TITLE_COLUMNS);
  hp_printf(script,
            " at screen 0,1 left offset character 1.5,-1.3 font ',15' textcolor rgb '" HP_INK
            "' noenhanced\nset label 2 ");
  put_wrapped(at, figure->caption, CAPTION_COLUMNS);
  hp_printf(script,
            " at screen 0,1 left offset character 1.5,%.1f textcolor rgb '" HP_SOFT_INK
            "' noenhanced\n",
            -1.3 - 1.5 * (double)titles);
  hp_puts(script, "set border 3 linecolor rgb '" HP_SOFT_INK
                  "'\nset tics nomirror out scale 0.5 textcolor rgb '" HP_INK
                  "'\nset grid linecolor rgb '" HP_GRID
                  "' linetype 1 linewidth 1\nset style fill solid 1.0\n");
  hp_puts(script, has_key(figure)
                      ? "set key below left Left reverse samplen 2 width 2 textcolor rgb '" HP_INK
                        "' noenhanced\n"
                      : "unset key\n");
}

// gnuplot formats it like printf.
static void put_tick_text(hp_text* script, const char* text) {
  hp_text doubled = {0};
  hp_puts(&doubled, "");
  for (; *text != '\0'; text++) {
    if (*text == '%') hp_put(&doubled, text, 1);
    hp_put(&doubled, text, 1);
  }
  hp_put_quoted(script, doubled.data);
  hp_text_free(&doubled);
}

static void put_axis(hp_drawing* at, char letter, const hp_axis* axis) {
  hp_text* script = at->script;
  hp_printf(script, "set %clabel ", letter);
  hp_put_quoted(script, axis->title);
  // A line between the axis and the key, which gnuplot puts close to each other.
  if (letter == 'x' && has_key(at->figure)) hp_puts(script, ".\"\\n\"");
  hp_puts(script, " textcolor rgb '" HP_INK "' noenhanced\n");
  if (axis->scale == HP_LOG10) hp_printf(script, "set logscale %c 10\n", letter);
  if (axis->scale == HP_LOG2)
    hp_printf(script, "set logscale %c 2\nset format %c '%%.0f'\n", letter, letter);
  if (axis->tick_count == 0) return;
  size_t columns = 0;
  for (size_t i = 0; i < axis->tick_count; i++) columns += hp_columns(axis->ticks[i].text) + 2;
  bool is_wide = letter == 'x' && columns > CAPTION_COLUMNS;
  hp_printf(script, "set %ctics %s", letter, is_wide ? "rotate by 30 right " : "");
  for (size_t i = 0; i < axis->tick_count; i++) {
    hp_puts(script, i == 0 ? "(" : ", ");
    put_tick_text(script, axis->ticks[i].text);
    hp_printf(script, " %.10g", axis->ticks[i].at);
  }
  hp_puts(script, ")\n");
}

// A row's label on the left of the plot, or its note on the right. Returns its columns.
static size_t put_row_text(hp_drawing* at, const char* text, size_t row, bool is_note) {
  const char* lines[LINES_MAX];
  size_t widest = 0;
  if (text[0] == '\0') return 0;
  size_t count = hp_wrap(at->figure->arena, text, LABEL_COLUMNS, LINES_MAX, lines);
  for (size_t i = 0; i < count; i++) {
    size_t columns = hp_columns(lines[i]);
    if (columns > widest) widest = columns;
  }
  hp_puts(at->script, "set label ");
  put_lines(at->script, lines, count);
  hp_printf(at->script,
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
  hp_printf(at->script,
            "set lmargin %zu\nset rmargin %zu\nset yrange [%zu.5:-0.5]\nunset ytics\n"
            "set grid noy\n",
            margins[0] + 2, margins[1] + 2, figure->row_count - 1);
}

// Vertical lines with their texts above the plot: at two heights in turn, to the right of the line
// at the lower and to the left at the upper, so that no line runs through the text of a neighbour.
static void put_marks(hp_drawing* at) {
  for (size_t i = 0; i < at->figure->mark_count; i++) {
    const hp_mark* mark = &at->figure->marks[i];
    hp_printf(at->script,
              "set arrow from first %.10g, graph 0 to first %.10g, graph 1 nohead dashtype 3 "
              "linecolor rgb '" HP_SOFT_INK "' back\nset label ",
              mark->at, mark->at);
    hp_put_quoted(at->script, mark->text);
    hp_printf(at->script,
              " at first %.10g, graph 1 %s offset character %s textcolor rgb '" HP_SOFT_INK
              "' noenhanced\n",
              mark->at, i % 2 == 0 ? "left" : "right", i % 2 == 0 ? "0,0.6" : "0,1.6");
  }
}

static void put_plot(hp_drawing* at) {
  hp_put_shape(at);
  hp_printf(at->script, "%s\n", at->plot.data);
  hp_text_free(&at->plot);
}

// In PNG and PDF gnuplot draws a character that no font has as a box larger than the picture.
static void replace_undrawable(hp_text* script) {
  hp_text drawable = {0};
  for (const char* at = script->data; *at != '\0';) {
    const char* from = at;
    uint32_t rune = hp_next_rune(&at);
    if (hp_font_has(rune)) hp_put(&drawable, from, (size_t)(at - from));
    if (!hp_font_has(rune)) hp_puts(&drawable, "\uFFFD");
  }
  hp_text_free(script);
  *script = drawable;
}

void hp_gnuplot_script(const hp_figure* figure, unsigned formats, hp_text* script) {
  static const unsigned kFormats[] = {HP_SVG, HP_PNG, HP_PDF};
  hp_drawing at = {.figure = figure, .script = script};
  bool is_drawn = false;
  hp_printf(script, "# Made by hakplot. To draw again after changing something: gnuplot %s.gp\n",
            figure->name);
  for (size_t i = 0; i < 3; i++) {
    if ((formats & kFormats[i]) == 0) continue;
    put_terminal(&at, kFormats[i]);
    if (is_drawn) {
      hp_puts(script, "replot\n");
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
  hp_puts(script, "unset output\n");
  if ((formats & (HP_PNG | HP_PDF)) != 0) replace_undrawable(script);
}
