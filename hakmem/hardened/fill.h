// Memory filled with one byte, and whether it still is.

#ifndef HAKMEM_FILL_H_
#define HAKMEM_FILL_H_

#include <string.h>

#include "hakmem/base/base.h"

// What freed blocks are filled with. No address of a user's on any machine looks like eight of it,
// so that a pointer that is read from a freed block faults when it is followed.
#define HAK_FREED_BYTE 0xdf

static inline bool hak_is_filled(const void* memory, size_t bytes, unsigned char byte) {
  const char* first = (const char*)memory;
  // Each byte is what the one before it is.
  return bytes == 0 || ((unsigned char)*first == byte && memcmp(first, first + 1, bytes - 1) == 0);
}

#endif  // HAKMEM_FILL_H_
