// Texts: the arena they live in, the buffer they grow in, what makes them clean and fit.

#define _GNU_SOURCE  // obstack_vprintf, tdestroy

#include "tools/hakplot/strings.h"

#include <limits.h>
#include <math.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>
#include <uniwidth.h>

// ---- memory ----

#define obstack_chunk_alloc malloc
#define obstack_chunk_free free

// The C library's macros align addresses as distances from NULL.
#define USES_OBSTACK __attribute__((no_sanitize("pointer-overflow")))

void* hp_must(void* memory) {
  if (memory == NULL) {
    fputs("hakplot: out of memory\n", stderr);
    exit(1);
  }
  return memory;
}

// Without memory the C library ends the process with a message.
USES_OBSTACK static struct obstack* stack_of(hp_arena* arena) {
  if (arena->first == NULL) {
    obstack_begin(&arena->stack, 1 << 16);
    obstack_alignment_mask(&arena->stack) = 15;
    arena->first = obstack_alloc(&arena->stack, 1);
  }
  return &arena->stack;
}

// What an obstack takes for a size.
static int checked(size_t bytes) {
  hp_must(bytes <= INT_MAX ? &bytes : NULL);
  return (int)bytes;
}

USES_OBSTACK void* hp_alloc(hp_arena* arena, size_t bytes) {
  return memset(obstack_alloc(stack_of(arena), checked(bytes)), 0, bytes);
}

USES_OBSTACK void hp_arena_free(hp_arena* arena) {
  if (arena->first != NULL) obstack_free(&arena->stack, NULL);
  arena->first = NULL;
}

char* hp_copy(hp_arena* arena, const char* data, size_t size) {
  char* copy = hp_alloc(arena, size + 1);
  if (size > 0) memcpy(copy, data, size);
  return copy;
}

USES_OBSTACK char* hp_format(hp_arena* arena, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  obstack_vprintf(stack_of(arena), format, arguments);
  va_end(arguments);
  obstack_1grow(&arena->stack, '\0');
  return obstack_finish(&arena->stack);
}

void* hp_grow(hp_arena* arena, void* array, size_t count, size_t element_bytes) {
  bool is_full = count == 0 || (count >= 4 && (count & (count - 1)) == 0);
  if (!is_full) return array;
  size_t capacity = count < 4 ? 4 : count * 2;
  void* larger = hp_alloc(arena, capacity * element_bytes);
  if (count > 0) memcpy(larger, array, count * element_bytes);
  return larger;
}

// ---- buffer ----

static void reserve(hp_text* text, size_t extra) {
  if (text->capacity - text->size > extra) return;
  size_t capacity = (text->size + extra + 1) * 2;
  text->data = hp_must(realloc(text->data, capacity));
  text->capacity = capacity;
}

void hp_put(hp_text* text, const char* data, size_t size) {
  reserve(text, size);
  if (size > 0) memcpy(text->data + text->size, data, size);
  text->size += size;
  text->data[text->size] = '\0';
}

void hp_puts(hp_text* text, const char* string) { hp_put(text, string, strlen(string)); }

void hp_printf(hp_text* text, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  reserve(text, (size_t)length);
  vsnprintf(text->data + text->size, (size_t)length + 1, format, again);
  va_end(again);
  text->size += (size_t)length;
}

void hp_pad(hp_text* text, const char* string, size_t columns) {
  hp_puts(text, string);
  for (size_t used = hp_columns(string); used < columns; used++) hp_put(text, " ", 1);
}

void hp_text_free(hp_text* text) {
  free(text->data);
  *text = (hp_text){0};
}

// ---- map: a tree of the C library, and the keys in their order ----

typedef struct map_entry {
  const char* key;
  size_t number;
} map_entry;

static int by_key(const void* a, const void* b) {
  return strcmp(((const map_entry*)a)->key, ((const map_entry*)b)->key);
}

size_t hp_map_put(hp_map* map, hp_arena* arena, const char* key, bool* is_new) {
  size_t number = hp_map_get(map, key, SIZE_MAX);
  *is_new = number == SIZE_MAX;
  if (!*is_new) return number;
  map_entry* one = hp_must(malloc(sizeof(*one)));
  *one = (map_entry){hp_copy(arena, key, strlen(key)), map->count};
  hp_must(tsearch(one, &map->root, by_key));
  if ((map->count & (map->count - 1)) == 0) {
    size_t room = map->count == 0 ? 1 : 2 * map->count;
    map->keys = hp_must(realloc(map->keys, room * sizeof(*map->keys)));
  }
  map->keys[map->count] = one->key;
  return map->count++;
}

size_t hp_map_get(const hp_map* map, const char* key, size_t missing) {
  const map_entry wanted = {.key = key};
  map_entry* const* found = tfind(&wanted, &map->root, by_key);
  return found != NULL ? (*found)->number : missing;
}

void hp_map_free(hp_map* map) {
  tdestroy(map->root, free);
  free(map->keys);
  *map = (hp_map){0};
}

// ---- names ----

static size_t give(hp_names* names, hp_arena* arena, const char* name, bool* is_new) {
  size_t at = hp_map_put(&names->given, arena, name, is_new);
  if (*is_new) {
    names->next = hp_grow(arena, names->next, at, sizeof(*names->next));
    names->next[at] = 2;
  }
  return at;
}

const char* hp_unique_name(hp_names* names, hp_arena* arena, const char* name) {
  bool is_new;
  size_t first = give(names, arena, name, &is_new);
  size_t at = first;
  while (!is_new) {
    const char* numbered = hp_format(arena, "%s-%zu", name, names->next[first]++);
    at = give(names, arena, numbered, &is_new);
  }
  return names->given.keys[at];
}

void hp_names_free(hp_names* names) { hp_map_free(&names->given); }

// ---- UTF-8 ----

// The first character of at most `size` bytes, the replacement character where it is none. Returns
// its length.
static size_t decode(const char* data, size_t size, ucs4_t* rune) {
  int length = u8_mbtoucr(rune, (const uint8_t*)data, size);
  if (length < 0) *rune = 0xfffd;
  return length < 0 ? 1 : (size_t)length;
}

static void put_rune(hp_text* text, ucs4_t rune) {
  uint8_t bytes[6];
  int length = u8_uctomb(bytes, rune, sizeof(bytes));
  if (length > 0) hp_put(text, (const char*)bytes, (size_t)length);
}

// Control characters as C writes them, so that every font can show them; C1 controls, bidirectional
// marks and non-characters replaced.
static void put_visible(hp_text* text, ucs4_t rune) {
  static const char kEscapes[] = "abtnvfr";  // from 7 on
  bool is_hidden = (rune >= 0x80 && rune < 0xa0) || rune == 0x2028 || rune == 0x2029 ||
                   (rune >= 0x200b && rune <= 0x200f) || (rune >= 0x202a && rune <= 0x202e) ||
                   (rune >= 0x2066 && rune <= 0x2069) || rune == 0xfeff ||
                   (rune & 0xfffe) == 0xfffe;
  if (rune >= 7 && rune < 14) {
    hp_printf(text, "\\%c", kEscapes[rune - 7]);
  } else if (rune < 0x20 || rune == 0x7f) {
    hp_printf(text, "\\x%02x", rune);
  } else {
    put_rune(text, is_hidden ? 0xfffd : rune);
  }
}

char* hp_clean(hp_arena* arena, const char* data, size_t size) {
  hp_text text = {0};
  hp_put(&text, "", 0);
  for (size_t at = 0; at < size;) {
    ucs4_t rune;
    at += decode(data + at, size - at, &rune);
    put_visible(&text, rune);
  }
  char* copy = hp_copy(arena, text.data, text.size);
  hp_text_free(&text);
  return copy;
}

uint32_t hp_next_rune(const char** at) {
  ucs4_t rune;
  *at += decode(*at, strnlen(*at, 4), &rune);
  return rune;
}

size_t hp_columns(const char* utf8) {
  return (size_t)u8_width((const uint8_t*)utf8, strlen(utf8), "UTF-8");
}

size_t hp_prefix(const char* utf8, size_t columns) {
  size_t used = 0;
  size_t at = 0;
  for (size_t length; utf8[at] != '\0'; at += length) {
    ucs4_t rune;
    length = decode(utf8 + at, strlen(utf8 + at), &rune);
    int width = uc_width(rune, "UTF-8");
    used += width > 0 ? (size_t)width : 0;
    if (at > 0 && used > columns) break;
  }
  return at;
}

// Where to break the first `size` bytes: after the last blank of their second half, else behind the
// last sign. A blank may also stand right behind them.
static size_t break_at(const char* text, size_t size) {
  static const char* const kBreaks[] = {" ", "_-/,;:.="};
  if (text[size] == ' ') return size;
  for (size_t i = 0; i < sizeof(kBreaks) / sizeof(kBreaks[0]); i++) {
    for (size_t at = size; at > size / 2; at--) {
      if (strchr(kBreaks[i], text[at - 1]) != NULL) return at;
    }
  }
  return size;
}

size_t hp_wrap(hp_arena* arena, const char* text, size_t columns, size_t max_lines,
               const char** lines) {
  size_t count = 0;
  do {
    size_t size = hp_prefix(text, columns);
    if (text[size] != '\0' && count + 1 == max_lines) {
      lines[count++] = hp_format(arena, "%.*s…", (int)hp_prefix(text, columns - 1), text);
      break;
    }
    if (text[size] != '\0') size = break_at(text, size);
    bool has_blank = size > 0 && text[size] != '\0' && text[size - 1] == ' ';
    lines[count++] = hp_copy(arena, text, has_blank ? size - 1 : size);
    text += size;
    if (*text == ' ' && !has_blank) text++;
  } while (*text != '\0');
  return count;
}

// ---- numbers ----

bool hp_parse_number(const char* data, size_t size, double* value) {
  char copy[64];
  if (size == 0 || size >= sizeof(copy)) return false;
  for (size_t i = 0; i < size; i++) {
    if (strchr("0123456789.eE+-", data[i]) == NULL || data[i] == '\0') return false;
  }
  memcpy(copy, data, size);
  copy[size] = '\0';
  char* end;
  *value = strtod(copy, &end);
  return *end == '\0' && end != copy && isfinite(*value);
}

char* hp_number_text(hp_arena* arena, double value, int digits) {
  if (isnan(value)) return hp_copy(arena, "unknown", 7);
  double size = fabs(value);
  if (size != 0 && (size < 1e-4 || size >= 1e9)) return hp_format(arena, "%.*g", digits, value);
  int before = size < 1 ? 1 : (int)floor(log10(size)) + 1;
  int after = digits > before ? digits - before : 0;
  if (size != 0 && size < 1) after = digits - 1 - (int)floor(log10(size));
  return hp_format(arena, "%.*f", after, value);
}

char* hp_size_text(hp_arena* arena, double bytes) {
  static const char* const kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  if (isnan(bytes)) return hp_copy(arena, "unknown", 7);
  for (; bytes >= 1024 && unit < 4; unit++) bytes /= 1024;
  return hp_format(arena, "%g %s", bytes, kUnits[unit]);
}
