// Text and memory for hakplot: memory that is freed all at once, a map from strings to things, and
// the two gates that text from files passes: hp_clean for what is shown, hp_parse_number for what
// is counted. Nothing here depends on the locale, and no caller may set one: numbers are written
// and read with a point.
//
// hakplot reads, draws and ends: one store of memory serves the process. One thread uses it.
// Running out of memory ends the process with a message; no function returns NULL for it.

#ifndef HAKMEM_TOOLS_HAKPLOT_STRINGS_H_
#define HAKMEM_TOOLS_HAKPLOT_STRINGS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// ---- memory ----

void* hp_alloc(size_t bytes);  // zeroed, 16-byte aligned
void hp_free_all(void);        // all that any function of hakplot has given out
char* hp_copy(const char* data, size_t size);
char* hp_format(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Makes room for one more element in an array; `count` is its length. The old array stays, so at
// most as much again is lost.
void* hp_grow(void* array, size_t count, size_t element_bytes);

// Adds an element to such an array: the place where it is to be written.
#define hp_push(array, count) \
  ((array) = hp_grow((array), (count), sizeof(*(array))), &(array)[(count)++])

// ---- things by their names, in the order in which these first came ----

typedef struct hp_entry {
  const char* key;
  size_t number;  // 0, 1, 2 ... in that order
  size_t puts;    // of this key so far: 1 where it is new
  void* thing;
} hp_entry;

typedef struct hp_map {
  void* root;
  hp_entry** at;  // by number
  size_t count;
  struct hp_map* next;
} hp_map;

hp_map* hp_map_new(void);

// The entry of the key. A new one has a thing of so many bytes, zeroed.
hp_entry* hp_put(hp_map* map, const char* key, size_t thing_bytes);
hp_entry* hp_get(const hp_map* map, const char* key);  // NULL: there is none

// The name, or the name with "-2", "-3" ... where these names have it already.
const char* hp_unique_name(hp_map* names, const char* name);

// ---- what comes from files ----

// A copy that is valid UTF-8 on one line and moves no terminal: control characters become escapes
// as C writes them, bytes that are not UTF-8 and invisible direction marks the replacement
// character.
char* hp_clean(const char* data, size_t size);

// The first character of clean text that is not empty; goes on to the next.
uint32_t hp_next_rune(const char** at);

// Columns a terminal needs for it; wide characters count two.
size_t hp_columns(const char* utf8);

// Writes it left-aligned in so many columns, or `sign` so many times.
void hp_pad(FILE* out, const char* utf8, size_t columns);
void hp_repeat(FILE* out, const char* sign, size_t times);

// The largest prefix of at most `columns` columns, in bytes; at least one character unless empty.
size_t hp_prefix(const char* utf8, size_t columns);

// Breaks text into lines of at most `columns` columns, at blanks (which go) and behind signs where
// it can; at most `max_lines`, the last ending in "…" where more is left. Returns how many.
size_t hp_wrap(const char* text, size_t columns, size_t max_lines, const char** lines);

// A decimal number, the whole of the text. False for anything else: hexadecimal, inf, nan, blanks.
bool hp_parse_number(const char* text, double* value);

// A number of significant digits as people write it: no exponent between 1e-4 and 1e9.
char* hp_number_text(double value, int digits);

// "48 KiB", "1.5 GiB"; "unknown" for NaN.
char* hp_size_text(double bytes);

#endif  // HAKMEM_TOOLS_HAKPLOT_STRINGS_H_
