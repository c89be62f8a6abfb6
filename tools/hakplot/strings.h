// Text and memory for hakplot: an arena that frees everything at once, a growing buffer, a map from
// strings to small numbers, and the two gates that text from files passes: hp_clean for what is
// shown, hp_parse_number for what is counted. Nothing here depends on the locale, and no caller may
// set one: numbers are written and read with a point.
//
// Running out of memory ends the process with a message; no function returns NULL for it.

#ifndef HAKMEM_TOOLS_HAKPLOT_STRINGS_H_
#define HAKMEM_TOOLS_HAKPLOT_STRINGS_H_

#include <obstack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- memory ----

typedef struct hp_arena {
  struct obstack stack;
  void* first;  // in it; NULL: there is none yet
} hp_arena;

void* hp_alloc(hp_arena* arena, size_t bytes);  // zeroed, 16-byte aligned
void hp_arena_free(hp_arena* arena);
char* hp_copy(hp_arena* arena, const char* data, size_t size);
char* hp_format(hp_arena* arena, const char* format, ...) __attribute__((format(printf, 2, 3)));

// Makes room for one more element in an array that the arena holds; `count` is its length. The old
// array stays in the arena, so at most as much again is lost.
void* hp_grow(hp_arena* arena, void* array, size_t count, size_t element_bytes);

void* hp_must(void* memory);  // `memory`, or ends the process where malloc returned NULL

// ---- a growing buffer, always terminated by a zero byte ----

typedef struct hp_text {
  char* data;
  size_t size;
  size_t capacity;
} hp_text;

void hp_put(hp_text* text, const char* data, size_t size);
void hp_puts(hp_text* text, const char* string);
void hp_printf(hp_text* text, const char* format, ...) __attribute__((format(printf, 2, 3)));
void hp_pad(hp_text* text, const char* string, size_t columns);  // left-aligned in columns
void hp_text_free(hp_text* text);

// ---- strings to numbers 0, 1, 2 ... in the order they first came ----

typedef struct hp_map {
  void* root;
  const char** keys;
  size_t count;
} hp_map;

// The key's number. `*is_new` says whether it was not there before. The key is copied to the arena.
size_t hp_map_put(hp_map* map, hp_arena* arena, const char* key, bool* is_new);
size_t hp_map_get(const hp_map* map, const char* key, size_t missing);  // its number, or `missing`
void hp_map_free(hp_map* map);

// ---- names, each given once ----

typedef struct hp_names {
  hp_map given;
  size_t* next;  // by given name: the number that its next namesake tries
} hp_names;

// The name, or the name with "-2", "-3" ... where it was given before.
const char* hp_unique_name(hp_names* names, hp_arena* arena, const char* name);
void hp_names_free(hp_names* names);

// ---- what comes from files ----

// A copy that is valid UTF-8 on one line and moves no terminal: control characters become escapes
// as C writes them, bytes that are not UTF-8 and invisible direction marks the replacement
// character.
char* hp_clean(hp_arena* arena, const char* data, size_t size);

// The first character of clean text that is not empty; goes on to the next.
uint32_t hp_next_rune(const char** at);

// Columns a terminal needs for it; wide characters count two.
size_t hp_columns(const char* utf8);

// The largest prefix of at most `columns` columns, in bytes; at least one character unless empty.
size_t hp_prefix(const char* utf8, size_t columns);

// Breaks text into lines of at most `columns` columns, at blanks (which go) and behind signs where
// it can; at most `max_lines`, the last ending in "…" where more is left. Returns how many.
size_t hp_wrap(hp_arena* arena, const char* text, size_t columns, size_t max_lines,
               const char** lines);

// A decimal number, the whole of data. False for anything else: hexadecimal, inf, nan, blanks.
bool hp_parse_number(const char* data, size_t size, double* value);

// A number of significant digits as people write it: no exponent between 1e-4 and 1e9.
char* hp_number_text(hp_arena* arena, double value, int digits);

// "48 KiB", "1.5 GiB"; "unknown" for NaN.
char* hp_size_text(hp_arena* arena, double bytes);

#endif  // HAKMEM_TOOLS_HAKPLOT_STRINGS_H_
