// A grid of character cells, which is all that drawing knows of a screen: the same frame goes to
// ncurses and, as plain text, to a file.
//
// Everything put on it is clipped to the place it is given and to the grid, so that nothing can
// overlap. Text comes from strangers (command names, labels): it is read as the locale says, and
// what cannot be shown in a cell becomes '?'. Without UTF-8, cells hold ASCII only.

#ifndef HAKMEM_TOOLS_HAKTOP_CANVAS_H_
#define HAKMEM_TOOLS_HAKTOP_CANVAS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <wchar.h>

// What a cell means; who draws it decides how it looks. No style says what the text does not.
typedef enum ht_style {
  HT_PLAIN,
  HT_LABEL,     // beside a figure
  HT_HEADING,   // of a table or a pane
  HT_SELECTED,  // the pane or column that the user chose
  HT_BAR,
  HT_WARNING,
  HT_N_STYLES,
} ht_style;

typedef struct ht_cell {
  wchar_t rune;  // 0: the right half of a wide character
  ht_style style;
} ht_cell;

typedef struct ht_canvas {
  int rows;
  int columns;
  bool has_utf8;
  ht_cell* cells;  // rows * columns, owned
} ht_canvas;

// All blank. Without memory the program ends with a message.
ht_canvas ht_canvas_new(int rows, int columns, bool has_utf8);
void ht_canvas_free(ht_canvas* canvas);

static inline const ht_cell* ht_canvas_row(const ht_canvas* canvas, int row) {
  return canvas->cells + (ptrdiff_t)row * canvas->columns;
}

// Writes into the `width` columns from `column` on, at their left or right end. Returns the columns
// used. Text that is cut off ends in a sign that says so; what goes to the right is a number, which
// must not be cut: one that does not fit is replaced by #.
int ht_put(ht_canvas* canvas, int row, int column, int width, ht_style style, const char* text);
int ht_printf(ht_canvas* canvas, int row, int column, int width, ht_style style, const char* format,
              ...) __attribute__((format(printf, 6, 7)));
int ht_put_right(ht_canvas* canvas, int row, int column, int width, ht_style style,
                 const char* text);

// A bar of `share` (0..1; beyond is clipped) of `width` columns: eighths of a column with UTF-8,
// else whole columns. No bar for NAN.
void ht_put_bar(ht_canvas* canvas, int row, int column, int width, double share);

// A column of `rows` cells up from `row`, filled from below by `share` (0..1; beyond is clipped):
// eighths of a row with UTF-8, else halves. Nothing for NAN.
void ht_put_column(ht_canvas* canvas, int row, int rows, int column, double share);

// One of two signs, by what the canvas can show.
void ht_put_sign(ht_canvas* canvas, int row, int column, ht_style style, wchar_t utf8, char ascii);

// Writes the rows as lines, without blanks at their ends and without blank rows at the end. Errors
// are left in `out`'s error indicator.
void ht_canvas_print(const ht_canvas* canvas, FILE* out);

#endif  // HAKMEM_TOOLS_HAKTOP_CANVAS_H_
