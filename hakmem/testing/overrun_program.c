// overrun_program SIZE DISTANCE: writes one byte so far past the end of its only block, and says so
// if it comes to that.

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  if (argc != 3) return 1;
  size_t size = strtoul(argv[1], NULL, 10), distance = strtoul(argv[2], NULL, 10);
  volatile char* block = malloc(size);
  if (block == NULL) return 1;
  block[size - 1] = 1;
  block[size + distance] = 1;
  puts("written");
  return 0;
}
