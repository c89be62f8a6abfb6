#include "tools/hakplot/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- memory ----

enum { HP_CHUNK_BYTES = 64 << 10 };

typedef struct hp_chunk {
  struct hp_chunk* next;
  size_t used;
  size_t size;
  _Alignas(16) char data[];
} hp_chunk;

void* hp_must(void* memory) {
  if (memory == NULL) {
    fputs("hakplot: out of memory\n", stderr);
    exit(1);
  }
  return memory;
}

void* hp_alloc(hp_arena* arena, size_t bytes) {
  bytes = (bytes + 15) & ~(size_t)15;
  hp_chunk* chunk = arena->chunks;
  if (chunk == NULL || chunk->size - chunk->used < bytes) {
    size_t size = bytes > HP_CHUNK_BYTES ? bytes : HP_CHUNK_BYTES;
    chunk = hp_must(calloc(1, sizeof(*chunk) + size));
    chunk->size = size;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
  }
  void* memory = chunk->data + chunk->used;
  chunk->used += bytes;
  return memory;
}

void hp_arena_free(hp_arena* arena) {
  for (hp_chunk* chunk = arena->chunks; chunk != NULL;) {
    hp_chunk* next = chunk->next;
    free(chunk);
    chunk = next;
  }
  arena->chunks = NULL;
}

void hp_arena_reset(hp_arena* arena) {
  hp_chunk* kept = arena->chunks;
  if (kept == NULL) return;
  hp_arena older = {kept->next};
  hp_arena_free(&older);
  kept->next = NULL;
  memset(kept->data, 0, kept->used);
  kept->used = 0;
}

char* hp_copy(hp_arena* arena, const char* data, size_t size) {
  char* copy = hp_alloc(arena, size + 1);
  if (size > 0) memcpy(copy, data, size);
  return copy;
}

char* hp_format(hp_arena* arena, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  char* text = hp_alloc(arena, (size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  return text;
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

// ---- map ----

static uint64_t hash_of(const char* key) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (; *key != '\0'; key++) hash = (hash ^ (unsigned char)*key) * 0x100000001b3u;
  return hash ^ (hash >> 32);
}

static uint32_t* slot_of(const hp_map* map, const char* key) {
  size_t slot = hash_of(key) & (map->slot_count - 1);
  while (map->slots[slot] != 0 && strcmp(map->keys[map->slots[slot] - 1], key) != 0) {
    slot = (slot + 1) & (map->slot_count - 1);
  }
  return &map->slots[slot];
}

static void enlarge(hp_map* map) {
  free(map->slots);
  map->slot_count = map->slot_count == 0 ? 64 : map->slot_count * 2;
  map->slots = hp_must(calloc(map->slot_count, sizeof(*map->slots)));
  map->keys = hp_must(realloc(map->keys, map->slot_count / 2 * sizeof(*map->keys)));
  for (size_t i = 0; i < map->count; i++) *slot_of(map, map->keys[i]) = (uint32_t)(i + 1);
}

size_t hp_map_put(hp_map* map, hp_arena* arena, const char* key, bool* is_new) {
  if (map->count * 2 >= map->slot_count) enlarge(map);
  uint32_t* slot = slot_of(map, key);
  *is_new = *slot == 0;
  if (*is_new) {
    map->keys[map->count++] = hp_copy(arena, key, strlen(key));
    *slot = (uint32_t)map->count;
  }
  return *slot - 1;
}

size_t hp_map_get(const hp_map* map, const char* key, size_t missing) {
  if (map->count == 0) return missing;
  uint32_t slot = *slot_of(map, key);
  return slot != 0 ? slot - 1 : missing;
}

void hp_map_clear(hp_map* map) {
  if (map->count > 0) memset(map->slots, 0, map->slot_count * sizeof(*map->slots));
  map->count = 0;
}

void hp_map_free(hp_map* map) {
  free(map->slots);
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

enum { HP_REPLACEMENT = 0xfffd };

// Decodes one character of at most `size` bytes. Returns its length, or 0 where it is not UTF-8.
static size_t decode(const unsigned char* data, size_t size, uint32_t* rune) {
  static const uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t length = data[0] < 0x80   ? 1
                  : data[0] < 0xc0 ? 0
                  : data[0] < 0xe0 ? 2
                  : data[0] < 0xf0 ? 3
                  : data[0] < 0xf8 ? 4
                                   : 0;
  if (length == 0 || length > size) return 0;
  *rune = length == 1 ? data[0] : data[0] & (0x7fu >> length);
  for (size_t i = 1; i < length; i++) {
    if ((data[i] & 0xc0) != 0x80) return 0;
    *rune = *rune << 6 | (data[i] & 0x3fu);
  }
  bool is_surrogate = *rune >= 0xd800 && *rune <= 0xdfff;
  return *rune < kSmallest[length] || is_surrogate || *rune > 0x10ffff ? 0 : length;
}

static void put_rune(hp_text* text, uint32_t rune) {
  char bytes[4];
  size_t length = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
  if (length == 1) {
    bytes[0] = (char)rune;
  } else {
    for (size_t i = length; i-- > 1; rune >>= 6) bytes[i] = (char)(0x80 | (rune & 0x3f));
    bytes[0] = (char)((0xf00u >> length) | rune);
  }
  hp_put(text, bytes, length);
}

// Control characters as C writes them, so that every font can show them; C1 controls, bidirectional
// marks and non-characters replaced.
static void put_visible(hp_text* text, uint32_t rune) {
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
    put_rune(text, is_hidden ? HP_REPLACEMENT : rune);
  }
}

char* hp_clean(hp_arena* arena, const char* data, size_t size) {
  hp_text text = {0};
  hp_put(&text, "", 0);
  for (size_t at = 0; at < size;) {
    uint32_t rune = HP_REPLACEMENT;
    size_t length = decode((const unsigned char*)data + at, size - at, &rune);
    put_visible(&text, length == 0 ? HP_REPLACEMENT : rune);
    at += length == 0 ? 1 : length;
  }
  char* copy = hp_copy(arena, text.data, text.size);
  hp_text_free(&text);
  return copy;
}

uint32_t hp_next_rune(const char** at) {
  uint32_t rune = HP_REPLACEMENT;
  size_t length = decode((const unsigned char*)*at, strnlen(*at, 4), &rune);
  *at += length == 0 ? 1 : length;
  return rune;
}

static size_t rune_columns(uint32_t rune) {
  if (rune >= 0x300 && rune <= 0x36f) return 0;
  bool is_wide = (rune >= 0x1100 && rune <= 0x115f) || (rune >= 0x2e80 && rune <= 0xa4cf) ||
                 (rune >= 0xac00 && rune <= 0xd7a3) || (rune >= 0xf900 && rune <= 0xfaff) ||
                 (rune >= 0xfe30 && rune <= 0xfe6f) || (rune >= 0xff00 && rune <= 0xff60) ||
                 (rune >= 0x1f300 && rune <= 0x1faff) || (rune >= 0x20000 && rune <= 0x3fffd);
  return is_wide ? 2 : 1;
}

// Walks characters until `limit` columns are full; returns bytes, columns in *columns.
static size_t walk(const char* utf8, size_t limit, size_t* columns) {
  size_t size = strlen(utf8);
  size_t at = 0;
  *columns = 0;
  while (at < size) {
    uint32_t rune = HP_REPLACEMENT;
    size_t length = decode((const unsigned char*)utf8 + at, size - at, &rune);
    size_t width = rune_columns(rune);
    if (at > 0 && *columns + width > limit) break;
    *columns += width;
    at += length == 0 ? 1 : length;
  }
  return at;
}

size_t hp_columns(const char* utf8) {
  size_t columns;
  walk(utf8, SIZE_MAX, &columns);
  return columns;
}

size_t hp_prefix(const char* utf8, size_t columns) {
  size_t used;
  return walk(utf8, columns, &used);
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
