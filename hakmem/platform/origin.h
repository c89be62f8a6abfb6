// Where an address that hakmem did not give comes from, as far as the process itself can tell.

#ifndef HAKMEM_ORIGIN_H_
#define HAKMEM_ORIGIN_H_

#include "hakmem/platform/line.h"

// Appends words that lead to the malloc that gave `address`: the heap of libc's, the
// object that it lies in, or another allocator's library that is loaded. For the last message of a
// process: no system call that libc's malloc would not make, no allocation, none of our locks.
hak_cold void hak_origin_describe(hak_line_t* line, const void* address);

#endif  // HAKMEM_ORIGIN_H_
