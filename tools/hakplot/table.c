// Tables as text, HTML and Markdown.

#include "tools/hakplot/table.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void hp_table_column(hp_table* table, const char* header) {
  if (table->column_count < HP_TABLE_COLUMNS) table->headers[table->column_count++] = header;
}

hp_table_row* hp_table_row_add(hp_table* table) {
  table->rows = hp_grow(table->arena, table->rows, table->row_count, sizeof(*table->rows));
  hp_table_row* row = &table->rows[table->row_count++];
  *row = (hp_table_row){0};
  return row;
}

void hp_table_footer(hp_table* table, const char* footer) {
  for (size_t i = 0; i < table->footer_count; i++) {
    if (strcmp(table->footers[i], footer) == 0) return;
  }
  table->footers =
      hp_grow(table->arena, table->footers, table->footer_count, sizeof(*table->footers));
  table->footers[table->footer_count++] = footer;
}

static const char* cell(const hp_table_row* row, size_t column) {
  return row->cells[column] != NULL ? row->cells[column] : "";
}

size_t hp_terminal_columns(void) {
  struct winsize window;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col < 40) return 80;
  return window.ws_col < 120 ? window.ws_col : 120;
}

static bool is_shown(const hp_table* table, size_t column) {
  if (column == 0) return true;
  for (size_t i = 0; i < table->row_count; i++) {
    const char* text = cell(&table->rows[i], column);
    if (text[0] != '\0' && strcmp(text, "unknown") != 0) return true;
  }
  return false;
}

// What a table needs in a terminal: the first column, whose cells are wrapped, and the others in
// blocks that each repeat the first.
typedef struct outline {
  size_t widths[HP_TABLE_COLUMNS];  // 0: not shown
  size_t end;                       // of the block: the first column that it has not
  size_t total;                     // width of the block
} outline;

enum { FIRST_COLUMN_LEAST = 16, FIRST_COLUMN_MOST = 44, FIRST_COLUMN_LINES = 3 };

static void measure(const hp_table* table, size_t columns, outline* at) {
  size_t others = 0;
  *at = (outline){0};
  for (size_t c = 0; c < table->column_count; c++) {
    if (!is_shown(table, c)) continue;
    at->widths[c] = hp_columns(table->headers[c]);
    for (size_t i = 0; i < table->row_count; i++) {
      size_t wide = hp_columns(cell(&table->rows[i], c));
      if (wide > at->widths[c]) at->widths[c] = wide;
    }
    if (c > 0) others += at->widths[c] + 2;
  }
  size_t room = columns > others ? columns - others : 0;
  size_t most = room >= FIRST_COLUMN_LEAST ? room : columns / 2;
  if (most > FIRST_COLUMN_MOST) most = FIRST_COLUMN_MOST;
  if (at->widths[0] > most) at->widths[0] = most;
}

// The block that begins with column `from`: as many columns as fit, one at least.
static void find_block(const hp_table* table, size_t columns, size_t from, outline* at) {
  bool has_any = false;
  at->total = at->widths[0];
  for (at->end = from; at->end < table->column_count; at->end++) {
    size_t wide = at->widths[at->end];
    if (wide == 0) continue;
    if (has_any && at->total + wide + 2 > columns) break;
    at->total += wide + 2;
    has_any = true;
  }
}

static void put_right(hp_text* text, const char* content, size_t width) {
  hp_puts(text, "  ");
  for (size_t used = hp_columns(content); used < width; used++) hp_put(text, " ", 1);
  hp_puts(text, content);
}

// A name that is wider than its column goes on in the lines below.
static void put_row(const hp_table* table, const hp_table_row* row, size_t from, const outline* at,
                    hp_text* text) {
  const char* lines[FIRST_COLUMN_LINES];
  size_t count = hp_wrap(table->arena, cell(row, 0), at->widths[0], FIRST_COLUMN_LINES, lines);
  hp_pad(text, lines[0], at->widths[0]);
  for (size_t c = from; c < at->end; c++) {
    if (at->widths[c] > 0) put_right(text, cell(row, c), at->widths[c]);
  }
  hp_puts(text, "\n");
  for (size_t i = 1; i < count; i++) hp_printf(text, "  %s\n", lines[i]);
}

static void put_block(const hp_table* table, size_t from, const outline* at, hp_text* text) {
  hp_pad(text, table->headers[0], at->widths[0]);
  for (size_t c = from; c < at->end; c++) {
    if (at->widths[c] > 0) put_right(text, table->headers[c], at->widths[c]);
  }
  hp_puts(text, "\n");
  for (size_t i = 0; i < at->total; i++) hp_puts(text, "─");
  hp_puts(text, "\n");
  for (size_t i = 0; i < table->row_count; i++) put_row(table, &table->rows[i], from, at, text);
}

void hp_table_text(const hp_table* table, size_t columns, hp_text* text) {
  enum { FOOTER_LINES = 6 };
  const char* lines[FOOTER_LINES];
  outline at;
  measure(table, columns, &at);
  if (table->title != NULL) hp_printf(text, "%s\n", table->title);
  find_block(table, columns, 1, &at);
  put_block(table, 1, &at, text);
  while (at.end < table->column_count) {
    size_t from = at.end;
    find_block(table, columns, from, &at);
    if (at.total == at.widths[0]) break;  // nothing shown is left
    hp_puts(text, "\n");
    put_block(table, from, &at, text);
  }
  for (size_t i = 0; i < table->footer_count; i++) {
    size_t count = hp_wrap(table->arena, table->footers[i], columns, FOOTER_LINES, lines);
    for (size_t k = 0; k < count; k++) hp_printf(text, "%s\n", lines[k]);
  }
}

void hp_put_html(hp_text* html, const char* text) {
  for (; *text != '\0'; text++) {
    const char* entity = *text == '<'    ? "&lt;"
                         : *text == '>'  ? "&gt;"
                         : *text == '&'  ? "&amp;"
                         : *text == '"'  ? "&quot;"
                         : *text == '\'' ? "&#39;"
                                         : NULL;
    if (entity != NULL) hp_puts(html, entity);
    if (entity == NULL) hp_put(html, text, 1);
  }
}

void hp_table_html(const hp_table* table, hp_text* html) {
  if (table->title != NULL) {
    hp_puts(html, "<h3>");
    hp_put_html(html, table->title);
    hp_puts(html, "</h3>\n");
  }
  hp_puts(html, "<div class=\"scroll\"><table>\n<thead><tr>");
  for (size_t c = 0; c < table->column_count; c++) {
    if (!is_shown(table, c)) continue;
    hp_puts(html, "<th scope=\"col\">");
    hp_put_html(html, table->headers[c]);
    hp_puts(html, "</th>");
  }
  hp_puts(html, "</tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < table->row_count; i++) {
    hp_puts(html, "<tr>");
    for (size_t c = 0; c < table->column_count; c++) {
      if (!is_shown(table, c)) continue;
      hp_puts(html, c == 0 ? "<th scope=\"row\">" : "<td>");
      hp_put_html(html, cell(&table->rows[i], c));
      hp_puts(html, c == 0 ? "</th>" : "</td>");
    }
    hp_puts(html, "</tr>\n");
  }
  hp_puts(html, "</tbody></table></div>\n");
  for (size_t i = 0; i < table->footer_count; i++) {
    hp_puts(html, "<p class=\"small\">");
    hp_put_html(html, table->footers[i]);
    hp_puts(html, "</p>\n");
  }
}

// Signs that Markdown would take for its own are escaped.
static void put_markdown(hp_text* text, const char* content) {
  for (; *content != '\0'; content++) {
    const char one[2] = {*content, '\0'};
    if (strchr("\\`*_[]|~#", *content) != NULL) hp_puts(text, "\\");
    hp_put_html(text, one);
  }
}

static void put_markdown_row(const hp_table* table, const char* const* cells, hp_text* text) {
  for (size_t c = 0; c < table->column_count; c++) {
    if (!is_shown(table, c)) continue;
    hp_puts(text, "| ");
    put_markdown(text, cells[c] != NULL ? cells[c] : "");
    hp_puts(text, " ");
  }
  hp_puts(text, "|\n");
}

void hp_table_markdown(const hp_table* table, hp_text* text) {
  if (table->title != NULL) {
    hp_puts(text, "**");
    put_markdown(text, table->title);
    hp_puts(text, "**\n\n");
  }
  put_markdown_row(table, table->headers, text);
  for (size_t c = 0; c < table->column_count; c++) {
    if (is_shown(table, c)) hp_puts(text, c == 0 ? "| --- " : "| ---: ");
  }
  hp_puts(text, "|\n");
  for (size_t i = 0; i < table->row_count; i++) put_markdown_row(table, table->rows[i].cells, text);
  for (size_t i = 0; i < table->footer_count; i++) {
    hp_puts(text, "\n");
    put_markdown(text, table->footers[i]);
    hp_puts(text, "\n");
  }
}
