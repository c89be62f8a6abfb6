// The grid of cells: text and lines are clipped to it, and it is written out as text.

#define _GNU_SOURCE  // wcwidth
#include "tools/haktop/canvas.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

ht_canvas ht_canvas_new(int rows, int columns, bool has_utf8) {
  size_t n_cells = (size_t)rows * (size_t)columns;
  ht_canvas canvas = {rows, columns, has_utf8, calloc(n_cells + 1, sizeof(ht_cell))};
  if (canvas.cells == NULL) {
    fputs("haktop: out of memory\n", stderr);
    exit(1);
  }
  for (size_t i = 0; i < n_cells; i++) canvas.cells[i] = (ht_cell){L' ', HT_PLAIN};
  return canvas;
}

void ht_canvas_free(ht_canvas* canvas) {
  free(canvas->cells);
  canvas->cells = NULL;
}

static void set(ht_canvas* canvas, int row, int column, ht_style style, wchar_t rune) {
  if (row < 0 || row >= canvas->rows || column < 0 || column >= canvas->columns) return;
  canvas->cells[(ptrdiff_t)row * canvas->columns + column] = (ht_cell){rune, style};
}

// Takes the next character off `text`. Returns the columns it needs, 0 at the end.
static int next_rune(const char** text, bool has_utf8, wchar_t* rune) {
  mbstate_t state = {0};
  size_t length = mbrtowc(rune, *text, MB_LEN_MAX, &state);
  if (length == 0) return 0;
  if (length == (size_t)-1 || length == (size_t)-2) {
    *rune = L'?';
    length = 1;
  }
  *text += length;
  int columns = wcwidth(*rune);
  // Control characters, marks that change other cells, and what ASCII lacks.
  if (columns <= 0 || (!has_utf8 && *rune > 0x7e)) {
    *rune = L'?';
    columns = 1;
  }
  return columns;
}

static int columns_of(const char* text, bool has_utf8) {
  wchar_t rune;
  int columns = 0;
  for (int wide; (wide = next_rune(&text, has_utf8, &rune)) > 0;) columns += wide;
  return columns;
}

int ht_put(ht_canvas* canvas, int row, int column, int width, ht_style style, const char* text) {
  wchar_t rune;
  int used = 0;
  if (width > canvas->columns - column) width = canvas->columns - column;
  if (width <= 0) return 0;
  for (int wide; (wide = next_rune(&text, canvas->has_utf8, &rune)) > 0; used += wide) {
    if (used + wide > width) {
      ht_put_sign(canvas, row, column + width - 1, style, L'\u2026', '~');
      return width;
    }
    set(canvas, row, column + used, style, rune);
    if (wide == 2) set(canvas, row, column + used + 1, style, 0);
  }
  return used;
}

int ht_printf(ht_canvas* canvas, int row, int column, int width, ht_style style, const char* format,
              ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  return ht_put(canvas, row, column, width, style, text);
}

int ht_put_right(ht_canvas* canvas, int row, int column, int width, ht_style style,
                 const char* text) {
  int columns = columns_of(text, canvas->has_utf8);
  if (columns <= width) return ht_put(canvas, row, column + width - columns, columns, style, text);
  for (int i = 0; i < width; i++) set(canvas, row, column + i, style, L'#');
  return width;
}

void ht_put_bar(ht_canvas* canvas, int row, int column, int width, double share) {
  if (isnan(share) || share <= 0) return;
  int steps = canvas->has_utf8 ? 8 : 1;  // of a column
  int length = (int)lround(fmin(share, 1) * width * steps);
  // With UTF-8 there is room to tell a little from nothing.
  if (length == 0 && canvas->has_utf8) length = 1;
  wchar_t full = canvas->has_utf8 ? L'\u2588' : L'#';
  for (int i = 0; i < length / steps; i++) set(canvas, row, column + i, HT_BAR, full);
  // U+2589 is seven eighths of a column, U+258F one.
  int eighths = length % steps;
  if (eighths > 0) {
    set(canvas, row, column + length / steps, HT_BAR, (wchar_t)(0x2590 - eighths));
  }
}

void ht_put_column(ht_canvas* canvas, int row, int rows, int column, double share) {
  if (isnan(share)) return;
  int eighths = (int)lround(fmin(fmax(share, 0), 1) * rows * 8);
  if (eighths == 0 && share > 0) eighths = 1;
  for (int i = 0; i < rows && eighths > 0; i++, eighths -= 8) {
    int height = eighths < 8 ? eighths : 8;
    ht_put_sign(canvas, row - i, column, HT_BAR, (wchar_t)(L'\u2580' + height),
                height < 5 ? '.' : '#');
  }
}

void ht_put_sign(ht_canvas* canvas, int row, int column, ht_style style, wchar_t utf8, char ascii) {
  set(canvas, row, column, style, canvas->has_utf8 ? utf8 : (wchar_t)ascii);
}

static int length_of(const ht_canvas* canvas, int row) {
  const ht_cell* cells = ht_canvas_row(canvas, row);
  int length = canvas->columns;
  while (length > 0 && cells[length - 1].rune == L' ') length--;
  return length;
}

void ht_canvas_print(const ht_canvas* canvas, FILE* out) {
  int rows = canvas->rows;
  while (rows > 0 && length_of(canvas, rows - 1) == 0) rows--;
  for (int row = 0; row < rows; row++) {
    const ht_cell* cells = ht_canvas_row(canvas, row);
    int length = length_of(canvas, row);
    for (int column = 0; column < length; column++) {
      if (cells[column].rune == 0) continue;
      char bytes[MB_LEN_MAX];
      mbstate_t state = {0};
      size_t size = wcrtomb(bytes, cells[column].rune, &state);
      if (size == (size_t)-1) {
        bytes[0] = '?';
        size = 1;
      }
      fwrite(bytes, 1, size, out);
    }
    fputc('\n', out);
  }
}
