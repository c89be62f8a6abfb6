// The last line of a process, and its last words. One thread at a time says them.

#include "hakmem/platform/check.h"

#include <stdlib.h>
#include <string.h>

#include "hakmem/base/atomic.h"
#include "hakmem/platform/line.h"
#include "hakmem/platform/origin.h"
#include "hakmem/platform/platform.h"
#include "hakmem/platform/thread_id.h"

// How long a thread waits for the last words of another, which may have got stuck in them.
#define OTHERS_WAIT_MS 2000

typedef void (*last_words_t)(void);
static _Atomic(last_words_t) last_words;
static _Atomic(hak_fatal_finder_t) finder;
static _Atomic(hak_fatal_teller_t) teller;
static _Atomic(uint32_t) speaker;  // the thread that is saying them; 0: none

void hak_fatal_set_last_words(last_words_t function) { hak_store_release(&last_words, function); }

void hak_fatal_set_finder(hak_fatal_finder_t function) { hak_store_release(&finder, function); }

void hak_fatal_set_teller(hak_fatal_teller_t function) { hak_store_release(&teller, function); }

// A heap that is corrupt may end several threads at once: the first one's words are not cut short
// by the others. What goes wrong in the words themselves finds none any more.
hak_noreturn static void end(void) {
  uint32_t nobody = 0, self = hak_thread_id();
  if (atomic_compare_exchange_strong(&speaker, &nobody, self)) {
    last_words_t function = hak_exchange_acq_rel(&last_words, NULL);
    if (function != NULL) function();
    atomic_store(&speaker, 0);
  } else if (nobody != self) {
    hak_platform_sleep_ms(OTHERS_WAIT_MS);
  }
  abort();
}

void hak_fatal_assert(const char* expression, const char* file, int line) {
  hak_line_t text;
  hak_line_begin(&text);
  hak_line_text(&text, "assertion failed: ");
  hak_line_text(&text, expression);
  hak_line_text(&text, " at ");
  hak_line_text(&text, file);
  hak_line_text(&text, ":");
  hak_line_number(&text, (uint64_t)line);
  hak_line_end_last(&text);
  end();
}

void hak_fatal_pointer(const char* what, const void* address) {
  hak_line_t text;
  hak_line_begin(&text);
  hak_line_text(&text, what);
  hak_line_text(&text, ": ");
  hak_line_hex(&text, (uintptr_t)address);
  hak_line_text(&text, " (");
  hak_fatal_finder_t find = hak_load_acquire(&finder);
  if (find == NULL || !find(&text, address)) hak_origin_describe(&text, address);
  hak_line_text(&text, "), in thread ");
  hak_line_number(&text, hak_thread_id());
  hak_line_end_last(&text);
  hak_fatal_teller_t tell = hak_load_acquire(&teller);
  if (tell != NULL) tell(address);
  end();
}
