#include "tools/hakplot/table.h"

#include <string.h>

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

// A terminal has no room for the longest names; the page shows them whole.
static const char* narrow_cell(const hp_table* table, size_t row, size_t column) {
  enum { FIRST_COLUMN_MAX = 44 };
  const char* line[1];
  if (column > 0) return cell(&table->rows[row], column);
  hp_wrap(table->arena, cell(&table->rows[row], 0), FIRST_COLUMN_MAX, 1, line);
  return line[0];
}

static bool is_shown(const hp_table* table, size_t column) {
  if (column == 0) return true;
  for (size_t i = 0; i < table->row_count; i++) {
    const char* text = cell(&table->rows[i], column);
    if (text[0] != '\0' && strcmp(text, "unknown") != 0) return true;
  }
  return false;
}

static void put_cell(hp_text* text, const char* content, size_t width, bool is_first) {
  if (is_first) {
    hp_pad(text, content, width);
    return;
  }
  hp_puts(text, "  ");
  for (size_t used = hp_columns(content); used < width; used++) hp_put(text, " ", 1);
  hp_puts(text, content);
}

void hp_table_text(const hp_table* table, hp_text* text) {
  size_t widths[HP_TABLE_COLUMNS] = {0};
  size_t total = 0;
  for (size_t c = 0; c < table->column_count; c++) {
    if (!is_shown(table, c)) continue;
    widths[c] = hp_columns(table->headers[c]);
    for (size_t i = 0; i < table->row_count; i++) {
      size_t columns = hp_columns(narrow_cell(table, i, c));
      if (columns > widths[c]) widths[c] = columns;
    }
    total += widths[c] + (c > 0 ? 2 : 0);
  }
  if (table->title != NULL) hp_printf(text, "%s\n", table->title);
  for (size_t c = 0; c < table->column_count; c++) {
    if (is_shown(table, c)) put_cell(text, table->headers[c], widths[c], c == 0);
  }
  hp_puts(text, "\n");
  for (size_t i = 0; i < total; i++) hp_puts(text, "─");
  hp_puts(text, "\n");
  for (size_t i = 0; i < table->row_count; i++) {
    for (size_t c = 0; c < table->column_count; c++) {
      if (is_shown(table, c)) put_cell(text, narrow_cell(table, i, c), widths[c], c == 0);
    }
    hp_puts(text, "\n");
  }
  for (size_t i = 0; i < table->footer_count; i++) hp_printf(text, "%s\n", table->footers[i]);
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
