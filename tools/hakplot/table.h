// Tables of text: filled cell by cell, written aligned for a terminal, as HTML or as Markdown.

#ifndef HAKMEM_TOOLS_HAKPLOT_TABLE_H_
#define HAKMEM_TOOLS_HAKPLOT_TABLE_H_

#include <stdbool.h>
#include <stddef.h>

#include "tools/hakplot/strings.h"

enum { HP_TABLE_COLUMNS = 16 };

typedef struct hp_table_row {
  const char* cells[HP_TABLE_COLUMNS];  // NULL: empty
} hp_table_row;

typedef struct hp_table {
  const char* title;
  const char* headers[HP_TABLE_COLUMNS];
  size_t column_count;  // the first is text, left-aligned; the others are numbers
  hp_table_row* rows;
  size_t row_count;
  const char** footers;  // remarks below
  size_t footer_count;
} hp_table;

void hp_table_column(hp_table* table, const char* header);
hp_table_row* hp_table_row_add(hp_table* table);
void hp_table_footer(hp_table* table, const char* footer);  // once; NULL: none

// Columns of the terminal at stdout, at most 120; 80 where there is none.
size_t hp_terminal_columns(void);

// All leave out columns that are empty or unknown in every row, except the first. As text, what is
// wider than `columns` is wrapped: long names, and columns into further blocks below.
void hp_table_text(const hp_table* table, size_t columns, FILE* text);
void hp_table_html(const hp_table* table, FILE* html);
void hp_table_markdown(const hp_table* table);  // to stdout
void hp_table_print(const hp_table* table);     // as text, to stdout

// The text with <, >, &, and quotes as entities.
const char* hp_html(const char* text);

#endif  // HAKMEM_TOOLS_HAKPLOT_TABLE_H_
