// A library that leaks, and is closed: for profile_program.

#include <stdlib.h>

void plugin_leak(void);

static void* volatile kept;

void plugin_leak(void) {
  for (int i = 0; i < 200000; i++) kept = malloc(100);
}
