// Tables as text, HTML and Markdown.

#include "tools/hakplot/table.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void hp_table_column(hp_table* table, const char* header) {
  if (table->column_count < HP_TABLE_COLUMNS) table->headers[table->column_count++] = header;
}

hp_table_row* hp_table_row_add(hp_table* table) {
  hp_table_row* row = hp_push(table->rows, table->row_count);
  *row = (hp_table_row){0};
  return row;
}

void hp_table_footer(hp_table* table, const char* footer) {
  for (size_t i = 0; i < table->footer_count && footer != NULL; i++) {
    if (strcmp(table->footers[i], footer) == 0) return;
  }
  if (footer != NULL) *hp_push(table->footers, table->footer_count) = footer;
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

static void put_right(FILE* text, const char* content, size_t width) {
  hp_repeat(text, " ", 2 + width - hp_columns(content));
  fputs(content, text);
}

// A name that is wider than its column goes on in the lines below.
static void put_row(const char* const* cells, size_t from, const outline* at, FILE* text) {
  const char* lines[FIRST_COLUMN_LINES];
  const char* name = cells[0] != NULL ? cells[0] : "";
  size_t count = hp_wrap(name, at->widths[0], FIRST_COLUMN_LINES, lines);
  hp_pad(text, lines[0], at->widths[0]);
  for (size_t c = from; c < at->end; c++) {
    if (at->widths[c] > 0) put_right(text, cells[c] != NULL ? cells[c] : "", at->widths[c]);
  }
  fputc('\n', text);
  for (size_t i = 1; i < count; i++) fprintf(text, "  %s\n", lines[i]);
}

static void put_block(const hp_table* table, size_t from, const outline* at, FILE* text) {
  put_row(table->headers, from, at, text);
  hp_repeat(text, "─", at->total);
  fputc('\n', text);
  for (size_t i = 0; i < table->row_count; i++) put_row(table->rows[i].cells, from, at, text);
}

void hp_table_text(const hp_table* table, size_t columns, FILE* text) {
  enum { FOOTER_LINES = 6 };
  const char* lines[FOOTER_LINES];
  outline at;
  measure(table, columns, &at);
  if (table->title != NULL) fprintf(text, "%s\n", table->title);
  find_block(table, columns, 1, &at);
  put_block(table, 1, &at, text);
  while (at.end < table->column_count) {
    size_t from = at.end;
    find_block(table, columns, from, &at);
    if (at.total == at.widths[0]) break;  // nothing shown is left
    fputs("\n", text);
    put_block(table, from, &at, text);
  }
  for (size_t i = 0; i < table->footer_count; i++) {
    size_t count = hp_wrap(table->footers[i], columns, FOOTER_LINES, lines);
    for (size_t k = 0; k < count; k++) fprintf(text, "%s\n", lines[k]);
  }
}

void hp_table_print(const hp_table* table) {
  hp_table_text(table, hp_terminal_columns(), stdout);
  putchar('\n');
}

const char* hp_html(const char* text) {
  char* html = hp_alloc(6 * strlen(text) + 1);
  char* to = html;
  for (; *text != '\0'; text++) {
    const char* entity = *text == '<'    ? "&lt;"
                         : *text == '>'  ? "&gt;"
                         : *text == '&'  ? "&amp;"
                         : *text == '"'  ? "&quot;"
                         : *text == '\'' ? "&#39;"
                                         : (char[]){*text, '\0'};
    to = stpcpy(to, entity);
  }
  return html;
}

void hp_table_html(const hp_table* table, FILE* html) {
  if (table->title != NULL) fprintf(html, "<h3>%s</h3>\n", hp_html(table->title));
  fputs("<div class=\"scroll\"><table>\n<thead><tr>", html);
  for (size_t c = 0; c < table->column_count; c++) {
    if (is_shown(table, c)) fprintf(html, "<th scope=\"col\">%s</th>", hp_html(table->headers[c]));
  }
  fputs("</tr></thead>\n<tbody>\n", html);
  for (size_t i = 0; i < table->row_count; i++) {
    fputs("<tr>", html);
    for (size_t c = 0; c < table->column_count; c++) {
      const char* text = hp_html(cell(&table->rows[i], c));
      if (!is_shown(table, c)) continue;
      fprintf(html, c == 0 ? "<th scope=\"row\">%s</th>" : "<td>%s</td>", text);
    }
    fputs("</tr>\n", html);
  }
  fputs("</tbody></table></div>\n", html);
  for (size_t i = 0; i < table->footer_count; i++) {
    fprintf(html, "<p class=\"small\">%s</p>\n", hp_html(table->footers[i]));
  }
}

// Signs that Markdown would take for its own are escaped.
static void put_markdown(const char* content) {
  for (; *content != '\0'; content++) {
    if (strchr("\\`*_[]|~#", *content) != NULL) putchar('\\');
    fputs(hp_html((char[]){*content, '\0'}), stdout);
  }
}

static void put_markdown_row(const hp_table* table, const char* const* cells) {
  for (size_t c = 0; c < table->column_count; c++) {
    if (!is_shown(table, c)) continue;
    fputs("| ", stdout);
    put_markdown(cells[c] != NULL ? cells[c] : "");
    putchar(' ');
  }
  puts("|");
}

void hp_table_markdown(const hp_table* table) {
  fputs("**", stdout);
  put_markdown(table->title);
  puts("**\n");
  put_markdown_row(table, table->headers);
  for (size_t c = 0; c < table->column_count; c++) {
    if (is_shown(table, c)) fputs(c == 0 ? "| --- " : "| ---: ", stdout);
  }
  puts("|");
  for (size_t i = 0; i < table->row_count; i++) put_markdown_row(table, table->rows[i].cells);
  for (size_t i = 0; i < table->footer_count; i++) {
    putchar('\n');
    put_markdown(table->footers[i]);
    putchar('\n');
  }
  putchar('\n');
}
