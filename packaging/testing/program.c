// A program outside the repository, in C and in C++: says which hakmem runs, and whether malloc and
// the C library's own callers of it are served by it.

#include <hakmem/hakmem.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  void* block = malloc(100);
  char* copy = strdup("allocated by the C library");
  int is_served = hak_owns(block) && hak_owns(copy) &&
                  malloc_usable_size(block) == hak_good_size(100) &&
                  malloc_usable_size(block) == hak_usable_size(block);
  printf("hakmem %s (header %d.%d.%d) %s\n", hak_version(), HAK_VERSION_MAJOR, HAK_VERSION_MINOR,
         HAK_VERSION_PATCH, is_served ? "serves malloc" : "does not serve malloc");
  free(copy);
  free(block);
  return is_served ? 0 : 1;
}
