// Never names malloc: only the C library calls it. Linked with hakmem it must be served all the
// same. 0 if so.

#define _GNU_SOURCE  // RTLD_DEFAULT

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef bool owns_fn(const void* ptr);

int main(int argc, char** argv) {
  // Looked up, lest naming it should do what the linker's flags have to do.
  owns_fn* owns = (owns_fn*)dlsym(RTLD_DEFAULT, "hak_owns");
  return argc == 1 && owns != NULL && owns(strdup(argv[0])) ? 0 : 1;
}
