// Numbers as people type them. The value is held as mantissa * 10^exponent until the end, so
// that 1.5k and 0.5e1 are exact and nothing passes through floating point.

#include "workloads/harness/number.h"

#include <stddef.h>

typedef unsigned __int128 wide;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool parse_hex(const char* text, uint64_t* out) {
  uint64_t value = 0;
  if (*text == '\0') return false;
  for (; *text != '\0'; text++) {
    int digit = hex_value(*text);
    if (digit < 0 || value >> 60 != 0) return false;
    value = value << 4 | (uint64_t)digit;
  }
  *out = value;
  return true;
}

// Reads digits into `*value`; returns the first character that is not one, or NULL on overflow.
static const char* read_digits(const char* text, wide* value, int* count) {
  for (*count = 0; is_digit(*text); text++, ++*count) {
    *value = *value * 10u + (unsigned)(*text - '0');
    if (*value > UINT64_MAX) return NULL;
  }
  return text;
}

static unsigned suffix_shift(char c) {
  switch (c) {
    case 'k':
    case 'K':
      return 10;
    case 'm':
    case 'M':
      return 20;
    case 'g':
    case 'G':
      return 30;
    default:
      return 0;
  }
}

// mantissa * 2^shift * 10^exponent as a whole number of 64 bits.
static bool scale(wide mantissa, unsigned shift, int exponent, uint64_t* out) {
  wide value = mantissa << shift;  // at most 94 bits
  for (; exponent > 0 && value != 0; exponent--) {
    value *= 10;
    if (value > UINT64_MAX) return false;
  }
  for (; exponent < 0 && value != 0; exponent++) {
    if (value % 10 != 0) return false;
    value /= 10;
  }
  if (value > UINT64_MAX) return false;
  *out = (uint64_t)value;
  return true;
}

bool wl_parse_number(const char* text, uint64_t* out) {
  if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) return parse_hex(text + 2, out);

  wide mantissa = 0;
  int whole_digits = 0;
  int fraction_digits = 0;
  text = read_digits(text, &mantissa, &whole_digits);
  if (text == NULL) return false;
  if (*text == '.') {
    text = read_digits(text + 1, &mantissa, &fraction_digits);
    if (text == NULL || fraction_digits == 0) return false;
  }
  if (whole_digits == 0) return false;

  wide exponent = 0;
  if (*text == 'e' || *text == 'E') {
    int exponent_digits = 0;
    text = read_digits(text + 1, &exponent, &exponent_digits);
    if (text == NULL || exponent_digits == 0 || exponent > 99) return false;
  }

  unsigned shift = suffix_shift(*text);
  if (shift != 0) text++;
  if (*text != '\0') return false;
  return scale(mantissa, shift, (int)exponent - fraction_digits, out);
}
