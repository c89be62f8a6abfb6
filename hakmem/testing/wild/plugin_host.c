// Exchanges blocks with a plug-in, or with libc by a handle: plugin_host ACTION PLUGIN. The plug-in
// is opened with RTLD_DEEPBIND.

#define _GNU_SOURCE

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void* function(void* handle, const char* name) {
  void* symbol = handle != NULL ? dlsym(handle, name) : NULL;
  if (symbol == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(2);
  }
  return symbol;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  void* plugin = dlopen(argv[2], RTLD_NOW | RTLD_DEEPBIND);
  const char* action = argv[1];
  if (strcmp(action, "take") == 0) {
    free(((void* (*)(size_t))function(plugin, "plugin_malloc"))(100));
  } else if (strcmp(action, "resize") == 0) {
    free(realloc(((void* (*)(size_t))function(plugin, "plugin_malloc"))(100), 1000));
  } else if (strcmp(action, "give") == 0) {
    ((void (*)(void*))function(plugin, "plugin_free"))(strdup("a block"));
  } else if (strcmp(action, "other") == 0) {
    free(((void* (*)(size_t))function(plugin, "other_malloc"))(100));
  } else if (strcmp(action, "static") == 0) {
    free(((void* (*)(void))function(plugin, "static_block"))());
  } else if (strcmp(action, "handle") == 0) {
    void* libc = dlopen("libc.so.6", RTLD_NOW);
    free(((void* (*)(size_t))function(libc, "malloc"))(100));
  } else {
    return 2;
  }
  puts("done");
  return 0;
}
