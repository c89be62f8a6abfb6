// A program in C, without a C++ library, that loads a plug-in in C++ (its argument) for itself, as
// interpreters do.

#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  void* plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  int (*run)(void) = plugin != NULL ? (int (*)(void))dlsym(plugin, "run_out_of_memory") : NULL;
  if (run == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  return run();
}
