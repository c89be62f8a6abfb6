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

// What an address is called; NULL, and as it is: it lies in no file.
static const hak_module_t* find_module(uintptr_t* address) {
  size_t number = hak_modules_find(*address);
  if (number == 0) return NULL;
  const hak_module_t* module = hak_module(number);
  *address -= module->bias;
  return module;
}

// ---- collapsed stacks ----

static void write_frame(hak_text_t* text, uintptr_t address) {
  const hak_module_t* module = find_module(&address);
  if (module != NULL) {
    const char* slash = strrchr(module->name, '/');
    hak_text_string(text, slash != NULL ? slash + 1 : module->name);
    hak_text_string(text, "+");
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

// ---- JSON ----

static void write_key(hak_text_t* text, const char* key) {
  hak_text_string(text, ",\"");
  hak_text_string(text, key);
  hak_text_string(text, "\":");
}

static void write_figure(hak_text_t* text, const char* key, uint64_t value) {
  write_key(text, key);
  hak_text_number(text, value);
}

static void write_modules(hak_text_t* text) {
  write_key(text, "modules");
  for (size_t i = 0; i < hak_modules_count(); i++) {
    const hak_module_t* module = hak_module(i + 1);
    char hex[HAK_BUILD_ID_HEX_BYTES];
    hak_text_string(text, i == 0 ? "[{\"file\":\"" : ",{\"file\":\"");
    hak_text_json(text, module->name);
    hak_text_string(text, "\",\"build_id\":\"");
    hak_text_string(text, hak_module_build_id(module, hex));
    hak_text_string(text, "\"}");
  }
  hak_text_string(text, hak_modules_count() != 0 ? "]" : "[]");
}

static void write_header(hak_text_t* text, const hak_profile_head_t* head) {
  hak_text_string(text, "{\"schema\":\"hakmem.profile.1\"");
  write_figure(text, "pid", (uint64_t)head->process_id);
  write_figure(text, "unix_time_ns", head->time_ns);
  write_figure(text, "interval", head->interval);
  write_figure(text, "lost_samples", hak_samples_lost());
  write_key(text, "age_bounds_ms");
  uint64_t bound_ms = 1;
  for (unsigned i = 0; i < HAK_N_AGES - 1; i++, bound_ms *= 10) {
    hak_text_string(text, i == 0 ? "[" : ",");
    hak_text_number(text, bound_ms);
  }
  hak_text_string(text, "]");
  write_modules(text);
  hak_text_string(text, "}\n");
}

static void write_frames(hak_text_t* text, const hak_stack_t* stack) {
  write_key(text, "frames");
  hak_text_string(text, "[");
  for (unsigned i = 0; i < stack->n_frames; i++) {
    uintptr_t address = stack->frames[i];
    const hak_module_t* module = find_module(&address);
    hak_text_string(text, i == 0 ? "\"" : ",\"");
    if (module != NULL) {
      hak_text_json(text, module->name);
      hak_text_string(text, "+");
    }
    write_hex(text, address);
    hak_text_string(text, "\"");
  }
  hak_text_string(text, "]");
}

static void write_stack_line(hak_text_t* text, const hak_stack_t* stack) {
  hak_tally_t tallies[HAK_N_TALLIES];
  hak_samples_tallies(stack, tallies);
  hak_text_string(text, "{\"schema\":\"hakmem.profile.stack.1\"");
  write_figure(text, "alloc_samples", tallies[HAK_TALLY_ALLOC].samples);
  write_figure(text, "inuse_samples", tallies[HAK_TALLY_INUSE].samples);
  for (hak_tally_kind_t kind = 0; kind < HAK_N_TALLIES; kind++) {
    char name[HAK_TALLY_NAME_BYTES];
    write_figure(text, hak_tally_name(kind, false, name), hak_tally_objects(&tallies[kind]));
    write_figure(text, hak_tally_name(kind, true, name), tallies[kind].bytes);
  }
  write_key(text, "inuse_space_by_age");
  for (unsigned i = 0; i < HAK_N_AGES; i++) {
    hak_text_string(text, i == 0 ? "[" : ",");
    hak_text_number(text, stack->ages[i]);
  }
  hak_text_string(text, "]");
  write_frames(text, stack);
  hak_text_string(text, "}\n");
}

void hak_json_lines_write(hak_text_t* text, const hak_profile_head_t* head) {
  hak_samples_tally_ages();
  write_header(text, head);
  for (const hak_stack_t* at = hak_stacks_all(); at != NULL; at = at->next) {
    write_stack_line(text, at);
  }
}
