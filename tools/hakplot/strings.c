// Texts: the memory they live in, the map of their names, what makes them clean and fit.

#define _GNU_SOURCE  // obstack_vprintf, tdestroy

#include "tools/hakplot/strings.h"

#include <limits.h>
#include <math.h>
#include <obstack.h>
#include <search.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>
#include <uniwidth.h>

// ---- memory ----

#define obstack_chunk_alloc malloc
#define obstack_chunk_free free

// The C library's macros align addresses as distances from NULL.
#define USES_OBSTACK __attribute__((no_sanitize("pointer-overflow")))

static struct obstack memory;
static void* first;   // in it; NULL: nothing is
static hp_map* maps;  // whose nodes the C library has allocated

static void* must(void* block) {
  if (block != NULL) return block;
  fputs("hakplot: out of memory\n", stderr);
  exit(1);
}

// Without memory the C library ends the process with a message.
USES_OBSTACK static struct obstack* stack(void) {
  if (first == NULL) {
    obstack_begin(&memory, 1 << 16);
    obstack_alignment_mask(&memory) = 15;
    first = obstack_alloc(&memory, 1);
  }
  return &memory;
}

USES_OBSTACK void* hp_alloc(size_t bytes) {
  must(bytes <= INT_MAX ? &bytes : NULL);  // what an obstack takes for a size
  return memset(obstack_alloc(stack(), (int)bytes), 0, bytes);
}

static void keep(void* unused) { (void)unused; }

USES_OBSTACK void hp_free_all(void) {
  for (; maps != NULL; maps = maps->next) tdestroy(maps->root, keep);
  if (first != NULL) obstack_free(&memory, NULL);
  first = NULL;
}

char* hp_copy(const char* data, size_t size) {
  char* copy = hp_alloc(size + 1);
  if (size > 0) memcpy(copy, data, size);
  return copy;
}

USES_OBSTACK static char* finish(void) {
  obstack_1grow(&memory, '\0');
  return obstack_finish(&memory);
}

char* hp_format(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  obstack_vprintf(stack(), format, arguments);
  va_end(arguments);
  return finish();
}

void* hp_grow(void* array, size_t count, size_t element_bytes) {
  bool is_full = count == 0 || (count >= 4 && (count & (count - 1)) == 0);
  if (!is_full) return array;
  size_t capacity = count < 4 ? 4 : count * 2;
  void* larger = hp_alloc(capacity * element_bytes);
  if (count > 0) memcpy(larger, array, count * element_bytes);
  return larger;
}

// ---- maps: trees of the C library ----

static int by_key(const void* a, const void* b) {
  return strcmp(((const hp_entry*)a)->key, ((const hp_entry*)b)->key);
}

hp_map* hp_map_new(void) {
  hp_map* map = hp_alloc(sizeof(*map));
  map->next = maps;
  return maps = map;
}

hp_entry* hp_get(const hp_map* map, const char* key) {
  const hp_entry wanted = {.key = key};
  hp_entry* const* found = tfind(&wanted, &map->root, by_key);
  return found != NULL ? *found : NULL;
}

hp_entry* hp_put(hp_map* map, const char* key, size_t thing_bytes) {
  hp_entry* entry = hp_get(map, key);
  if (entry == NULL) {
    entry = hp_alloc(sizeof(*entry));
    *entry = (hp_entry){hp_copy(key, strlen(key)), map->count, 0, hp_alloc(thing_bytes)};
    must(tsearch(entry, &map->root, by_key));
    map->at = hp_grow(map->at, map->count, sizeof(entry));
    map->at[map->count++] = entry;
  }
  entry->puts++;
  return entry;
}

const char* hp_unique_name(hp_map* names, const char* name) {
  hp_entry* given = hp_put(names, name, sizeof(size_t));
  size_t* tried = given->thing;  // the last number
  if (*tried == 0) *tried = 1;
  while (given->puts > 1) {
    given = hp_put(names, hp_format("%s-%zu", name, ++*tried), sizeof(size_t));
  }
  return given->key;
}

// ---- UTF-8 ----

// The first character of at most `size` bytes, the replacement character where it is none. Returns
// its length.
static size_t decode(const char* data, size_t size, ucs4_t* rune) {
  int length = u8_mbtoucr(rune, (const uint8_t*)data, size);
  if (length < 0) *rune = 0xfffd;
  return length < 0 ? 1 : (size_t)length;
}

USES_OBSTACK static void put_rune(ucs4_t rune) {
  uint8_t bytes[6];
  int length = u8_uctomb(bytes, rune, sizeof(bytes));
  for (int i = 0; i < length; i++) obstack_1grow(stack(), (char)bytes[i]);
}

// Control characters as C writes them, so that every font can show them; C1 controls, bidirectional
// marks and non-characters replaced.
static void put_visible(ucs4_t rune) {
  static const char kEscapes[] = "abtnvfr";  // from 7 on
  bool is_hidden = (rune >= 0x80 && rune < 0xa0) || rune == 0x2028 || rune == 0x2029 ||
                   (rune >= 0x200b && rune <= 0x200f) || (rune >= 0x202a && rune <= 0x202e) ||
                   (rune >= 0x2066 && rune <= 0x2069) || rune == 0xfeff ||
                   (rune & 0xfffe) == 0xfffe;
  if (rune >= 7 && rune < 14) {
    obstack_printf(stack(), "\\%c", kEscapes[rune - 7]);
  } else if (rune < 0x20 || rune == 0x7f) {
    obstack_printf(stack(), "\\x%02x", rune);
  } else {
    put_rune(is_hidden ? 0xfffd : rune);
  }
}

char* hp_clean(const char* data, size_t size) {
  for (size_t at = 0; at < size;) {
    ucs4_t rune;
    at += decode(data + at, size - at, &rune);
    put_visible(rune);
  }
  stack();
  return finish();
}

uint32_t hp_next_rune(const char** at) {
  ucs4_t rune;
  *at += decode(*at, strnlen(*at, 4), &rune);
  return rune;
}

size_t hp_columns(const char* utf8) {
  return (size_t)u8_width((const uint8_t*)utf8, strlen(utf8), "UTF-8");
}

void hp_repeat(FILE* out, const char* sign, size_t times) {
  for (; times > 0; times--) fputs(sign, out);
}

void hp_pad(FILE* out, const char* utf8, size_t columns) {
  size_t used = hp_columns(utf8);
  fputs(utf8, out);
  hp_repeat(out, " ", used < columns ? columns - used : 0);
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

size_t hp_wrap(const char* text, size_t columns, size_t max_lines, const char** lines) {
  size_t count = 0;
  do {
    size_t size = hp_prefix(text, columns);
    if (text[size] != '\0' && count + 1 == max_lines) {
      lines[count++] = hp_format("%.*s…", (int)hp_prefix(text, columns - 1), text);
      break;
    }
    if (text[size] != '\0') size = break_at(text, size);
    bool has_blank = size > 0 && text[size] != '\0' && text[size - 1] == ' ';
    lines[count++] = hp_copy(text, has_blank ? size - 1 : size);
    text += size;
    if (*text == ' ' && !has_blank) text++;
  } while (*text != '\0');
  return count;
}

// ---- numbers ----

bool hp_parse_number(const char* text, double* value) {
  char* end;
  *value = strtod(text, &end);
  return text[strspn(text, "0123456789.eE+-")] == '\0' && *end == '\0' && end != text &&
         isfinite(*value);
}

char* hp_number_text(double value, int digits) {
  if (isnan(value)) return hp_copy("unknown", 7);
  double size = fabs(value);
  if (size != 0 && (size < 1e-4 || size >= 1e9)) return hp_format("%.*g", digits, value);
  int before = size < 1 ? 1 : (int)floor(log10(size)) + 1;
  int after = digits > before ? digits - before : 0;
  if (size != 0 && size < 1) after = digits - 1 - (int)floor(log10(size));
  return hp_format("%.*f", after, value);
}

char* hp_size_text(double bytes) {
  static const char* const kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  if (isnan(bytes)) return hp_copy("unknown", 7);
  for (; bytes >= 1024 && unit < 4; unit++) bytes /= 1024;
  return hp_format("%g %s", bytes, kUnits[unit]);
}
