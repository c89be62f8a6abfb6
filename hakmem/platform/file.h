// Files that are read: without stdio, without allocating, through the kernel's calls (of kind
// HAK_KERNEL_TELEMETRY). Any thread. What cannot be read is as if it were empty.

#ifndef HAKMEM_FILE_H_
#define HAKMEM_FILE_H_

#include "hakmem/base/base.h"

// A descriptor to read `path` with; -1: it cannot be opened.
hak_cold int hak_file_open(const char* path);
hak_cold void hak_file_close(int file);

// Reads up to `bytes` from `offset` on. Returns how many there were.
hak_cold size_t hak_file_read(int file, uint64_t offset, void* out, size_t bytes);

#endif  // HAKMEM_FILE_H_
