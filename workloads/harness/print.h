// Formatted text to a file descriptor without malloc, which dprintf calls for its buffer.

#ifndef HAKMEM_WORKLOADS_HARNESS_PRINT_H_
#define HAKMEM_WORKLOADS_HARNESS_PRINT_H_

enum { WL_PRINT_BYTES = 8192 };  // what is longer is cut

void wl_print(int fd, const char* format, ...) __attribute__((format(printf, 2, 3)));

#endif  // HAKMEM_WORKLOADS_HARNESS_PRINT_H_
