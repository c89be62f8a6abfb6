// One JSON object, built in its buffer. `text` always holds a complete object but for the closing
// brace.

#include "workloads/harness/json_record.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void append(wl_record* record, const char* text, size_t length) {
  if (record->overflowed || length > sizeof(record->text) - 2 - record->length) {
    record->overflowed = true;
    return;
  }
  memcpy(record->text + record->length, text, length);
  record->length += length;
}

static void append_text(wl_record* record, const char* text) { append(record, text, strlen(text)); }

// The length of the valid UTF-8 sequence at `text` (1..4), or 0.
static size_t utf8_length(const unsigned char* text) {
  size_t length = text[0] < 0x80                       ? 1
                  : text[0] >= 0xc2 && text[0] <= 0xdf ? 2
                  : (text[0] & 0xf0) == 0xe0           ? 3
                  : text[0] >= 0xf0 && text[0] <= 0xf4 ? 4
                                                       : 0;
  for (size_t i = 1; i < length; i++) {
    if ((text[i] & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and code points above U+10FFFF.
  if (length == 3 && text[0] == 0xe0 && text[1] < 0xa0) return 0;
  if (length == 3 && text[0] == 0xed && text[1] > 0x9f) return 0;
  if (length == 4 && text[0] == 0xf0 && text[1] < 0x90) return 0;
  if (length == 4 && text[0] == 0xf4 && text[1] > 0x8f) return 0;
  return length;
}

static void append_string(wl_record* record, const char* string) {
  append_text(record, "\"");
  for (const unsigned char* at = (const unsigned char*)string; *at != '\0';) {
    size_t length = utf8_length(at);
    char escape[8];
    if (length == 0) {
      append_text(record, "\\ufffd");
      length = 1;
    } else if (*at == '"' || *at == '\\') {
      append(record, (char[]){'\\', (char)*at}, 2);
    } else if (*at < 0x20) {
      snprintf(escape, sizeof(escape), "\\u%04x", *at);
      append_text(record, escape);
    } else {
      append(record, (const char*)at, length);
    }
    at += length;
  }
  append_text(record, "\"");
}

static void append_key(wl_record* record, const char* key) {
  if (record->length > 1) append_text(record, ",");
  append_string(record, key);
  append_text(record, ":");
}

void wl_record_open(wl_record* record, const char* schema) {
  record->length = 0;
  record->overflowed = false;
  append_text(record, "{");
  wl_record_text(record, "schema", schema);
}

void wl_record_text(wl_record* record, const char* key, const char* text) {
  append_key(record, key);
  if (text == NULL) {
    append_text(record, "null");
  } else {
    append_string(record, text);
  }
}

void wl_record_number(wl_record* record, const char* key, const char* number) {
  append_key(record, key);
  append_text(record, number);
}

void wl_record_double(wl_record* record, const char* key, double value) {
  char number[40];
  snprintf(number, sizeof(number), "%.9g", value);
  wl_record_number(record, key, isfinite(value) ? number : "null");
}

void wl_record_u64(wl_record* record, const char* key, uint64_t value) {
  char number[24];
  snprintf(number, sizeof(number), "%" PRIu64, value);
  wl_record_number(record, key, number);
}

void wl_record_hex(wl_record* record, const char* key, uint64_t value) {
  char number[24];
  snprintf(number, sizeof(number), "0x%016" PRIx64, value);
  wl_record_text(record, key, number);
}

void wl_record_null(wl_record* record, const char* key) { wl_record_text(record, key, NULL); }

bool wl_record_write(const wl_record* record, int fd) {
  if (record->overflowed) {
    errno = EOVERFLOW;
    return false;
  }
  char line[WL_RECORD_BYTES];
  memcpy(line, record->text, record->length);
  memcpy(line + record->length, "}\n", 2);
  size_t length = record->length + 2;
  for (size_t done = 0; done < length;) {
    ssize_t written = write(fd, line + done, length - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    done += (size_t)written;
  }
  return true;
}
