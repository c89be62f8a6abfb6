// A whole text file in memory that is not malloc's.

#ifndef HAKMEM_WORKLOADS_HARNESS_TEXT_FILE_H_
#define HAKMEM_WORKLOADS_HARNESS_TEXT_FILE_H_

#include <stddef.h>

// The file's contents with a 0 behind them; `*bytes` becomes their length. NULL with errno set when
// it cannot be read.
char* wl_read_text(const char* path, size_t* bytes);

// For the memory of wl_read_text.
void wl_free_text(char* text, size_t bytes);

#endif  // HAKMEM_WORKLOADS_HARNESS_TEXT_FILE_H_
