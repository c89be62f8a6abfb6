// Where the lines of the allocator go, and how they are kept from harming the program.

#include "hakmem/platform/standard_error.h"

#include <errno.h>
#include <unistd.h>

#include "hakmem/base/atomic.h"
#include "hakmem/platform/descriptor.h"
#include "hakmem/platform/text.h"

// How long the end of the process waits for each piece of its last line to be read.
#define LAST_WAIT_MS 1000

static hak_descriptor_t at_start = HAK_DESCRIPTOR_NONE;
static _Atomic(uint64_t) n_lost;  // lines, since one last got out

void hak_stderr_begin(void) { at_start = hak_descriptor_of(STDERR_FILENO); }

bool hak_stderr_is_ours(void) { return hak_descriptor_is_ours(&at_start); }

// There is nobody to tell of an error.
static void append(const char* text, size_t length, int wait_ms) {
  int error = hak_descriptor_append(STDERR_FILENO, text, length, wait_ms);
  (void)error;
}

static bool report_lost(uint64_t lost) {
  char buffer[80];
  hak_text_t text = {.buffer = buffer, .capacity = sizeof buffer};
  hak_text_string(&text, "hakmem: lines that found no room here: ");
  hak_text_number(&text, lost);
  hak_text_string(&text, "\n");
  return hak_descriptor_append(STDERR_FILENO, buffer, text.length, 0) == 0;
}

void hak_stderr_write(const char* text, size_t length) {
  if (!hak_stderr_is_ours()) return;
  uint64_t lost = hak_exchange_acq_rel(&n_lost, 0);
  if (lost != 0 && report_lost(lost)) lost = 0;
  if (hak_descriptor_append(STDERR_FILENO, text, length, 0) == EAGAIN) lost++;
  if (lost != 0) hak_fetch_add_relaxed(&n_lost, lost);
}

void hak_stderr_write_last(const char* text, size_t length) {
  if (!hak_stderr_is_ours() && !hak_descriptor_is_put(STDERR_FILENO)) return;
  append(text, length, LAST_WAIT_MS);
}

void hak_stderr_print(const char* text, size_t length) {
  append(text, length, HAK_DESCRIPTOR_WAIT);
}
