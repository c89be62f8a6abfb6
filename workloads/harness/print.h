// Formatted text to a file descriptor without malloc, which dprintf calls for its buffer.

#ifndef HAKMEM_WORKLOADS_HARNESS_PRINT_H_
#define HAKMEM_WORKLOADS_HARNESS_PRINT_H_

#include <stdbool.h>

enum { WL_PRINT_BYTES = 8192 };  // what is longer is cut

void wl_print(int fd, const char* format, ...) __attribute__((format(printf, 2, 3)));

// Whether something that was meant for standard output did not arrive.
bool wl_print_has_failed(void);

#endif  // HAKMEM_WORKLOADS_HARNESS_PRINT_H_
