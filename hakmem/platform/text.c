// A text's buffer, passed on whenever it is full; digits of numbers.

#include "hakmem/platform/text.h"

#include <string.h>

size_t hak_digits(char* end, uint64_t value, unsigned base) {
  size_t n = 0;
  do {
    *(end - ++n) = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  return n;
}

static void pass_on(hak_text_t* text) {
  if (text->has_failed || text->length == 0) return;
  text->has_failed = !text->sink(text->buffer, text->length, text->context);
  text->length = 0;
}

void hak_text_put(hak_text_t* text, const char* bytes, size_t length) {
  while (!text->has_failed) {
    size_t taken = hak_min_size(length, text->capacity - text->length);
    memcpy(text->buffer + text->length, bytes, taken);
    text->length += taken;
    bytes += taken;
    length -= taken;
    if (length == 0) return;
    if (text->sink == NULL) {
      text->has_failed = true;
    } else {
      pass_on(text);
    }
  }
}

void hak_text_string(hak_text_t* text, const char* string) {
  hak_text_put(text, string, strlen(string));
}

void hak_text_number(hak_text_t* text, uint64_t value) {
  char digits[20];
  size_t n = hak_digits(digits + sizeof digits, value, 10);
  hak_text_put(text, digits + sizeof digits - n, n);
}

void hak_text_decimal(hak_text_t* text, uint64_t value, unsigned digits) {
  char fraction[9];
  for (unsigned i = digits; i > 0; i--) {
    fraction[i - 1] = (char)('0' + value % 10);
    value /= 10;
  }
  hak_text_number(text, value);
  hak_text_put(text, ".", 1);
  hak_text_put(text, fraction, digits);
}

// ---- JSON ----

static bool is_continuation(unsigned char byte) { return (byte & 0xc0) == 0x80; }

// The length of the UTF-8 character that `s`, which a NUL ends, begins with; 0: it begins with
// none. (Unicode 15, table 3-7: overlong forms, surrogates and what is above U+10FFFF are none.)
static size_t utf8_length(const unsigned char* s) {
  if (s[0] < 0x80) return 1;
  if (s[0] >= 0xc2 && s[0] <= 0xdf) return is_continuation(s[1]) ? 2 : 0;
  if (s[0] >= 0xe0 && s[0] <= 0xef) {
    unsigned char low = s[0] == 0xe0 ? 0xa0 : 0x80;
    unsigned char high = s[0] == 0xed ? 0x9f : 0xbf;
    return s[1] >= low && s[1] <= high && is_continuation(s[2]) ? 3 : 0;
  }
  if (s[0] >= 0xf0 && s[0] <= 0xf4) {
    unsigned char low = s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xf4 ? 0x8f : 0xbf;
    return s[1] >= low && s[1] <= high && is_continuation(s[2]) && is_continuation(s[3]) ? 4 : 0;
  }
  return 0;
}

void hak_text_json(hak_text_t* text, const char* string) {
  for (const unsigned char* at = (const unsigned char*)string; *at != '\0';) {
    size_t length = utf8_length(at);
    if (length == 0) {
      hak_text_string(text, "\\ufffd");
      at++;
    } else if (*at < 0x20 || *at == 0x7f) {
      char escape[] = "\\u0000";
      escape[4] = "0123456789abcdef"[*at >> 4];
      escape[5] = "0123456789abcdef"[*at & 15];
      hak_text_string(text, escape);
      at++;
    } else {
      if (*at == '"' || *at == '\\') hak_text_put(text, "\\", 1);
      hak_text_put(text, (const char*)at, length);
      at += length;
    }
  }
}

bool hak_text_end(hak_text_t* text) {
  if (text->sink != NULL) pass_on(text);
  return !text->has_failed;
}
