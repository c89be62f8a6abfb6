// gnuplot's scripts: terminal, frame, axes and labels; the shapes are in gnuplot_shapes.c.

#define _GNU_SOURCE  // memfd_create

#include "tools/hakplot/gnuplot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/hakplot/gnuplot_layout.h"

// Geometry, in pixels of a 96 dpi screen. Text widths are those of DejaVu Sans, the widest of the
// usual sans-serif fonts, so that nothing overlaps with another.
enum {
  WIDTH = 860,
  MARGIN = 16,
  TITLE_LINE = 22,
  TEXT_LINE = 17,
  KEY_LINE = 18,
  ROW_PADDING = 9,
  PLOT_HEIGHT = 360,
  AXIS_HEIGHT = 62,
  LABEL_COLUMNS = 36,
  LABEL_LINES = 5,
  NOTE_LINES = 3,
  KEY_COLUMNS_MAX = 100,
};

static const double kColumnWidth = 7.5;
static const double kTitleColumnWidth = 9.2;

void hp_put_quoted(hp_text* script, const char* text) {
  hp_put(script, "'", 1);
  for (; *text != '\0'; text++) {
    if (*text == '\'') hp_put(script, "'", 1);
    hp_put(script, text, 1);
  }
  hp_put(script, "'", 1);
}

// Lines joined by line ends, which single quotes cannot hold.
static void put_joined(hp_text* script, const char* const* lines, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (i > 0) hp_puts(script, ".\"\\n\".");
    hp_put_quoted(script, lines[i]);
  }
}

// Text at a position given by gnuplot's own coordinates.
static void put_label(hp_layout* at, const char* text, size_t columns, size_t max_lines,
                      const char* position) {
  const char* lines[8];
  size_t count = hp_wrap(at->figure->arena, text, columns, max_lines, lines);
  if (text[0] == '\0') return;
  hp_printf(at->script, "set label %zu ", ++at->labels);
  put_joined(at->script, lines, count);
  hp_printf(at->script, " %s\n", position);
}

static double max_columns(const hp_figure* figure, bool is_note, size_t limit) {
  size_t widest = 0;
  for (size_t i = 0; i < figure->row_count; i++) {
    size_t columns = hp_columns(is_note ? figure->rows[i].note : figure->rows[i].label);
    if (columns > widest) widest = columns;
  }
  return (double)(widest < limit ? widest : limit);
}

static size_t lines_of(const hp_figure* figure, const char* text, size_t columns, size_t limit) {
  const char* lines[8];
  return hp_wrap(figure->arena, text, columns, limit, lines);
}

static size_t title_columns(void) { return (size_t)((WIDTH - 2 * MARGIN) / kTitleColumnWidth); }
static size_t text_columns(void) { return (size_t)((WIDTH - 2 * MARGIN) / kColumnWidth); }

static bool has_rows(const hp_figure* figure) {
  return figure->shape == HP_BARS || figure->shape == HP_STACK || figure->shape == HP_DOTS;
}

bool hp_has_key(const hp_figure* figure) {
  return figure->shape != HP_HEAT && figure->series_count > 1;
}

// ---- layout ----

static size_t key_rows(const hp_layout* at) {
  const hp_figure* figure = at->figure;
  // Of bars the key names looks, the interval and the runs, whatever the series are called.
  size_t widest = figure->shape == HP_BARS ? 22 : 1;
  size_t entries = 0;
  if (!hp_has_key(figure)) return 0;
  for (size_t i = 0; i < figure->series_count; i++) {
    if (figure->series[i].look == HP_DASHED) continue;
    entries++;
    size_t columns = hp_columns(figure->series[i].name);
    if (columns > widest) widest = columns;
  }
  if (widest > KEY_COLUMNS_MAX) widest = KEY_COLUMNS_MAX;
  size_t fit = (size_t)((WIDTH - 2 * MARGIN) / ((double)widest * kColumnWidth + 80));
  if (figure->shape == HP_BARS) entries = 5;  // three looks of rows, the interval, the runs
  if (fit < 1) fit = 1;
  return (entries + fit - 1) / fit;
}

// A row is as high as its texts need and what it draws.
static void lay_out_rows(hp_layout* at) {
  const hp_figure* figure = at->figure;
  at->row_at = hp_alloc(figure->arena, (figure->row_count + 1) * sizeof(*at->row_at));
  at->row_half = figure->shape == HP_DOTS ? fmax(11, 3.8 * (double)figure->series_count) : 11;
  at->plot = 0;
  for (size_t i = 0; i < figure->row_count; i++) {
    size_t lines = lines_of(figure, figure->rows[i].label, LABEL_COLUMNS, LABEL_LINES);
    size_t note = lines_of(figure, figure->rows[i].note, LABEL_COLUMNS, NOTE_LINES);
    double text = (double)(note > lines ? note : lines) * TEXT_LINE;
    double height = fmax(text, 2 * at->row_half) + ROW_PADDING;
    at->row_at[i] = at->plot + height / 2;
    at->plot += height;
  }
  at->left = MARGIN + max_columns(figure, false, LABEL_COLUMNS) * kColumnWidth + 12;
  at->right = MARGIN + max_columns(figure, true, LABEL_COLUMNS) * kColumnWidth + 12;
}

// Marks alternate between two heights above the plot.
enum { MARK_HEIGHT = 2 * TEXT_LINE + 4 };

static double tick_columns(const hp_axis* axis) {
  size_t widest = 0;
  for (size_t i = 0; i < axis->tick_count; i++) {
    size_t columns = hp_columns(axis->ticks[i].text);
    if (columns > widest) widest = columns;
  }
  return (double)widest;
}

static hp_layout lay_out(const hp_figure* figure, hp_text* script) {
  hp_layout at = {.figure = figure, .script = script, .right = 28, .plot = PLOT_HEIGHT};
  at.left = fmax(74, tick_columns(&figure->y) * kColumnWidth + 44);
  if (has_rows(figure)) lay_out_rows(&at);
  if (figure->shape == HP_HEAT) {
    at.plot = 20.0 * (double)figure->series_count;
    at.left = 96;
    at.right = 110;
  }
  size_t titles = lines_of(figure, figure->title, title_columns(), 3);
  size_t captions =
      figure->caption[0] == '\0' ? 0 : lines_of(figure, figure->caption, text_columns(), 5);
  at.top = MARGIN + (double)titles * TITLE_LINE + (double)captions * TEXT_LINE + 10;
  if (figure->mark_count > 0) at.top += MARK_HEIGHT;
  at.bottom = AXIS_HEIGHT;
  at.key_rows = key_rows(&at);
  if (at.key_rows > 0) at.bottom += (double)at.key_rows * KEY_LINE + 14;
  at.height = at.top + at.plot + at.bottom;
  return at;
}

static void put_terminal(const hp_layout* at, unsigned format) {
  const char* name = at->figure->name;
  hp_text* script = at->script;
  if (format == HP_SVG) {
    hp_printf(script,
              "set terminal svg size %d,%.0f fixed font 'sans-serif,12' noenhanced "
              "background '#ffffff'\nset output '%s.svg'\n",
              WIDTH, at->height, name);
  } else if (format == HP_PNG) {
    hp_printf(script,
              "set terminal pngcairo size %d,%.0f font 'sans-serif,12' fontscale 1.5 linewidth 2 "
              "pointscale 2 noenhanced background '#ffffff'\nset output '%s.png'\n",
              2 * WIDTH, 2 * at->height, name);
  } else {
    hp_printf(
        script,
        "set terminal pdfcairo size %.2fin,%.2fin font 'sans-serif,12' fontscale 0.58 noenhanced "
        "background '#ffffff'\nset output '%s.pdf'\n",
        WIDTH / 96.0, at->height / 96, name);
  }
}

static void put_frame(hp_layout* at) {
  const hp_figure* figure = at->figure;
  hp_text* script = at->script;
  char position[160];
  hp_puts(script,
          "set encoding utf8\nset datafile separator \"\\t\"\nset datafile missing 'NaN'\n");
  hp_printf(script, "set lmargin at screen %.5f\nset rmargin at screen %.5f\n", at->left / WIDTH,
            1 - at->right / WIDTH);
  hp_printf(script, "set tmargin at screen %.5f\nset bmargin at screen %.5f\n",
            1 - at->top / at->height, at->bottom / at->height);
  double title_y = 1 - (MARGIN + 8) / at->height;
  snprintf(position, sizeof(position),
           "at screen %.5f, screen %.5f left font ',15' textcolor rgb '%s' noenhanced",
           MARGIN / (double)WIDTH, title_y, HP_INK);
  put_label(at, figure->title, title_columns(), 3, position);
  size_t titles = lines_of(figure, figure->title, title_columns(), 3);
  snprintf(position, sizeof(position),
           "at screen %.5f, screen %.5f left textcolor rgb '%s' noenhanced", MARGIN / (double)WIDTH,
           title_y - (double)titles * TITLE_LINE / at->height, HP_SOFT_INK);
  put_label(at, figure->caption, text_columns(), 5, position);
  hp_printf(script,
            "set border 3 linecolor rgb '%s'\nset tics nomirror out scale 0.5 textcolor rgb "
            "'%s'\nset grid linecolor rgb '%s' linetype 1 linewidth 1\nset style fill solid 1.0\n",
            HP_SOFT_INK, HP_INK, HP_GRID);
  if (!hp_has_key(figure)) {
    hp_puts(script, "unset key\n");
  } else {
    hp_printf(script,
              "set key at screen %.5f, screen %.5f left bottom Left reverse vertical "
              "maxrows %zu samplen %d spacing 1 width 2 textcolor rgb '%s' noenhanced\n",
              MARGIN / (double)WIDTH, 8 / at->height, at->key_rows,
              figure->shape == HP_LINES ? 4 : 2, HP_INK);
  }
}

void hp_put_key_name(const hp_layout* at, const hp_series* series) {
  const char* lines[1];
  hp_wrap(at->figure->arena, series->name, KEY_COLUMNS_MAX, 1, lines);
  hp_put_quoted(at->script, lines[0]);
}

void hp_put_unknown(hp_layout* at, size_t row) {
  hp_printf(at->script,
            "set label %zu 'unknown' at graph 0, first %.4f left offset character 1,0 "
            "textcolor rgb '%s' noenhanced\n",
            ++at->labels, at->row_at[row], HP_SOFT_INK);
}

static void put_axis(hp_layout* at, char letter, const hp_axis* axis) {
  hp_text* script = at->script;
  hp_printf(script, "set %clabel ", letter);
  hp_put_quoted(script, axis->title);
  hp_printf(script, " textcolor rgb '%s' noenhanced\n", HP_INK);
  if (axis->scale == HP_LOG10) hp_printf(script, "set logscale %c 10\n", letter);
  if (axis->scale == HP_LOG2)
    hp_printf(script, "set logscale %c 2\nset format %c '%%.0f'\n", letter, letter);
  if (axis->tick_count == 0) return;
  hp_printf(script, "set %ctics (", letter);
  for (size_t i = 0; i < axis->tick_count; i++) {
    // gnuplot formats tick texts like printf: ours are made by the charts and hold no "%".
    hp_put_quoted(script, axis->ticks[i].text);
    hp_printf(script, " %.10g%s", axis->ticks[i].at, i + 1 < axis->tick_count ? ", " : ")\n");
  }
}

static void put_row_labels(hp_layout* at) {
  const hp_figure* figure = at->figure;
  char position[160];
  for (size_t i = 0; i < figure->row_count; i++) {
    double half = 0.5 * TEXT_LINE;
    size_t lines = lines_of(figure, figure->rows[i].label, LABEL_COLUMNS, LABEL_LINES);
    snprintf(position, sizeof(position),
             "at graph 0, first %.4f right offset character -1,0 textcolor rgb '%s' noenhanced",
             at->row_at[i] - (double)(lines - 1) * half, HP_INK);
    put_label(at, figure->rows[i].label, LABEL_COLUMNS, LABEL_LINES, position);
    lines = lines_of(figure, figure->rows[i].note, LABEL_COLUMNS, NOTE_LINES);
    snprintf(position, sizeof(position),
             "at graph 1, first %.4f left offset character 1,0 textcolor rgb '%s' noenhanced",
             at->row_at[i] - (double)(lines - 1) * half, HP_SOFT_INK);
    put_label(at, figure->rows[i].note, LABEL_COLUMNS, NOTE_LINES, position);
  }
  hp_printf(at->script, "set yrange [%.1f:0]\nunset ytics\nset grid noy\n", at->plot);
}

// Vertical lines with their texts above the plot: at two heights in turn, to the right of the line
// at the lower and to the left at the upper, so that no line runs through the text of a neighbour.
static void put_marks(hp_layout* at) {
  const hp_figure* figure = at->figure;
  for (size_t i = 0; i < figure->mark_count; i++) {
    bool is_low = i % 2 == 0;
    double height = 1 + (8.0 + (is_low ? 0 : TEXT_LINE)) / at->plot;
    hp_printf(at->script,
              "set arrow from first %.10g, graph 0 to first %.10g, graph %.4f nohead dashtype 3 "
              "linecolor rgb '%s' back\n",
              figure->marks[i].at, figure->marks[i].at, height + 4.0 / at->plot, HP_SOFT_INK);
    hp_printf(at->script, "set label %zu ", ++at->labels);
    hp_put_quoted(at->script, figure->marks[i].text);
    hp_printf(
        at->script,
        " at first %.10g, graph %.4f %s offset character %g,0 textcolor rgb '%s' noenhanced\n",
        figure->marks[i].at, height, is_low ? "left" : "right", is_low ? 0.4 : -0.4, HP_SOFT_INK);
  }
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
  hp_layout at = lay_out(figure, script);
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
    if (!has_rows(figure)) put_axis(&at, 'y', &figure->y);
    if (has_rows(figure)) put_row_labels(&at);
    put_marks(&at);
    hp_put_shape(&at);
    is_drawn = true;
  }
  hp_puts(script, "unset output\n");
  if ((formats & (HP_PNG | HP_PDF)) != 0) replace_undrawable(script);
}

static void put_terminal_script(const hp_figure* figure, int columns, hp_text* script) {
  hp_figure lines = *figure;
  hp_layout at = {.figure = &lines, .script = script};
  lines.shape = HP_LINES;  // characters cannot fill areas that stay apart
  hp_printf(script, "set terminal dumb size %d,28 noenhanced\n", columns);
  hp_puts(script,
          "set encoding utf8\nset datafile separator \"\\t\"\n"
          "set datafile missing 'NaN'\nset key below\nset title ");
  hp_put_quoted(script, figure->title);
  hp_puts(script, " noenhanced\n");
  put_axis(&at, 'x', &figure->x);
  put_axis(&at, 'y', &figure->y);
  hp_put_shape(&at);
}

// gnuplot begins and ends with a form feed and blank lines, and fills lines with blanks.
static void strip_blank_lines(hp_text* text) {
  size_t size = 0;      // of what is kept
  size_t last_ink = 0;  // behind its last line that is not blank
  size_t line = 0;
  for (size_t i = 0; i < text->size; i++) {
    char c = text->data[i];
    if (c == '\n') {
      while (size > line && text->data[size - 1] == ' ') size--;
      if (size == 0) continue;
      if (size > line) last_ink = size + 1;
      line = size + 1;
    }
    if (c != '\f') text->data[size++] = c;
  }
  text->size = last_ink;
  text->data[last_ink] = '\0';
}

// gnuplot reads the script from memory, so that no file is left behind however this ends.
bool hp_gnuplot_text(const hp_figure* figure, int columns, hp_text* text) {
  hp_text script = {0};
  hp_text message = {0};
  char path[32];
  int fd = memfd_create("hakplot", 0);
  put_terminal_script(figure, columns, &script);
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  bool is_good = fd >= 0 && write(fd, script.data, script.size) == (ssize_t)script.size &&
                 hp_gnuplot_run("/", path, text, &message);
  if (!is_good) {
    fprintf(stderr, "hakplot: %s not drawn: %s\n", figure->name,
            message.size > 0 ? message.data : strerror(errno));
  }
  if (is_good) strip_blank_lines(text);
  if (fd >= 0) close(fd);
  hp_text_free(&script);
  hp_text_free(&message);
  return is_good;
}
