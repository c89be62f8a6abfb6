// Text that is put together piece by piece, without stdio and without allocating: in a buffer of
// the caller's, which is passed on to a function whenever it is full. Without such a function a
// text that does not fit has failed, and so has one whose function returned false: what comes after
// is left out, and hak_text_end says so.

#ifndef HAKMEM_TEXT_H_
#define HAKMEM_TEXT_H_

#include "hakmem/base/base.h"

typedef bool (*hak_text_sink_t)(const char* text, size_t length, void* context);

typedef struct hak_text {
  char* buffer;
  size_t capacity, length;
  hak_text_sink_t sink;  // NULL: everything stays in the buffer
  void* context;
  bool has_failed;
} hak_text_t;

void hak_text_put(hak_text_t* text, const char* bytes, size_t length);
void hak_text_string(hak_text_t* text, const char* string);
void hak_text_number(hak_text_t* text, uint64_t value);
// value / 10^digits, with that many digits after the point. `digits` is 1 to 9.
void hak_text_decimal(hak_text_t* text, uint64_t value, unsigned digits);
// The text of a JSON string, without the quotes: valid UTF-8 whatever `string` holds.
void hak_text_json(hak_text_t* text, const char* string);

// Passes on what the buffer still holds. Whether the whole text got through.
hak_nodiscard bool hak_text_end(hak_text_t* text);

// Writes the digits of `value` before `end`; returns how many. At most 20 (base 10), 16 (base 16).
size_t hak_digits(char* end, uint64_t value, unsigned base);

#endif  // HAKMEM_TEXT_H_
