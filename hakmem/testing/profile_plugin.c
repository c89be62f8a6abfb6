// A library that leaks, for profile_program: most of it in code that lies apart, in a second
// segment, where the linker does that.

#include <stdlib.h>

void plugin_leak(void);
void plugin_leak_less(void);

static void* volatile kept;

__attribute__((cold, noinline)) void plugin_leak(void) {
  for (int i = 0; i < 200000; i++) kept = malloc(100);
  plugin_leak_less();
}

__attribute__((noinline)) void plugin_leak_less(void) {
  for (int i = 0; i < 150000; i++) kept = malloc(100);
}
