// One flat JSON object on one line, built in a fixed buffer. docs/RECORDS.md describes the keys.

#ifndef HAKMEM_WORKLOADS_HARNESS_JSON_RECORD_H_
#define HAKMEM_WORKLOADS_HARNESS_JSON_RECORD_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WL_RECORD_BYTES = 16384 };

typedef struct wl_record {
  size_t length;
  bool overflowed;  // a value did not fit: the record must not be written
  char text[WL_RECORD_BYTES];
} wl_record;

void wl_record_open(wl_record* record, const char* schema);

// NULL text and a double that is not finite are written as null: unknown.
void wl_record_text(wl_record* record, const char* key, const char* text);
void wl_record_double(wl_record* record, const char* key, double value);
void wl_record_u64(wl_record* record, const char* key, uint64_t value);
void wl_record_number(wl_record* record, const char* key,
                      const char* number);                               // written by the caller
void wl_record_hex(wl_record* record, const char* key, uint64_t value);  // as a string
void wl_record_null(wl_record* record, const char* key);

// Writes the object and a newline with one write(2), so that lines of several writers do not mix.
// False on failure, errno set.
bool wl_record_write(const wl_record* record, int fd);

#endif  // HAKMEM_WORKLOADS_HARNESS_JSON_RECORD_H_
