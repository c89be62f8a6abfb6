// The smallest program that allocates: prints what it then takes of address space and of memory, in
// bytes. What an allocator costs everybody.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void) {
  free(malloc(100));
  FILE* file = fopen("/proc/self/statm", "r");
  unsigned long long pages, resident;
  if (file == NULL || fscanf(file, "%llu %llu", &pages, &resident) != 2) return 1;
  unsigned long long page = (unsigned long long)sysconf(_SC_PAGESIZE);
  printf("%llu %llu\n", pages * page, resident * page);
  return 0;
}
