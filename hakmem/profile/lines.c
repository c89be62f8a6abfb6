// A line each stack.

#include "hakmem/profile/lines.h"

#include <string.h>

#include "hakmem/profile/modules.h"
#include "hakmem/profile/samples.h"

static void write_hex(hak_text_t* text, uint64_t value) {
  char digits[16];
  size_t n = hak_digits(digits + sizeof digits, value, 16);
  hak_text_string(text, "0x");
  hak_text_put(text, digits + sizeof digits - n, n);
}

// ---- collapsed stacks ----

static void write_frame(hak_text_t* text, uintptr_t address) {
  size_t number = hak_modules_find(address);
  if (number != 0) {
    const hak_module_t* module = hak_module(number);
    const char* slash = strrchr(module->name, '/');
    hak_text_string(text, slash != NULL ? slash + 1 : module->name);
    hak_text_string(text, "+");
    address -= module->bias;
  }
  write_hex(text, address);
}

void hak_collapsed_write(hak_text_t* text, bool is_live) {
  for (const hak_stack_t* at = hak_stacks_all(); at != NULL; at = at->next) {
    hak_tally_t tallies[HAK_N_TALLIES];
    hak_samples_tallies(at, tallies);
    uint64_t bytes = tallies[is_live ? HAK_TALLY_INUSE : HAK_TALLY_ALLOC].bytes;
    if (bytes == 0) continue;
    if (at->n_frames == 0) hak_text_string(text, "[no room for the stack]");
    for (unsigned i = at->n_frames; i != 0; i--) {
      write_frame(text, at->frames[i - 1]);
      if (i != 1) hak_text_string(text, ";");
    }
    hak_text_string(text, " ");
    hak_text_number(text, bytes);
    hak_text_string(text, "\n");
  }
}
