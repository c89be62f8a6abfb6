// The start of the process: what options ask for before main.

#define _GNU_SOURCE  // strchrnul

#include "hakmem/malloc/start.h"

#include <string.h>

#include "hakmem/base/size_class.h"
#include "hakmem/hardened/hardened.h"
#include "hakmem/hardened/sample.h"
#include "hakmem/malloc/background.h"
#include "hakmem/malloc/misuse.h"
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/line.h"
#include "hakmem/profile/dumps.h"
#include "hakmem/slab/central.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/telemetry/telemetry.h"
#include "hakmem/unwind/unwind.h"

// ---- prewarm ----

// One slab, in memory and in its class's list; false when there is no memory.
static bool prewarm_slab(unsigned size_class) {
  hak_slab_t* slab = hak_slab_create(size_class, NULL);
  if (slab == NULL) return false;
  size_t bytes = hak_slab_bytes(slab);
  int error = hak_platform_populate((void*)slab->run.base, bytes);
  bool populated = hak_event_kernel_ok(HAK_KERNEL_MADVISE, error, (void*)slab->run.base, bytes);
  hak_run_set_use(&slab->run, HAK_RUN_PREWARMED);
  hak_central_add(slab);
  return populated;
}

unsigned hak_prewarm_class(unsigned size_class, unsigned supers) {
  if (size_class == 0 || size_class >= HAK_N_CLASSES) return 0;
  hak_fork_look();
  hak_reserve_ready();
  unsigned slab_pages = hak_class_info(size_class)->slab_pages;
  for (unsigned got = 0; got < supers; got++) {
    for (unsigned page = 0; page + slab_pages <= hak_super_pages(); page += slab_pages) {
      if (prewarm_slab(size_class)) continue;
      hak_line_t line;
      hak_line_begin(&line);
      hak_line_text(&line, "prewarm of class ");
      hak_line_number(&line, size_class);
      hak_line_text(&line, " stopped: out of memory after ");
      hak_line_number(&line, got);
      hak_line_text(&line, " of ");
      hak_line_number(&line, supers);
      hak_line_text(&line, " SuperSlabs");
      hak_line_end(&line);
      return got;
    }
    hak_event_record(HAK_EVENT_PREWARMED, size_class, 0, hak_super_bytes(), 0);
  }
  return supers;
}

// One part, BYTES:SUPERSLABS.
static bool prewarm_part(const char* part, const char* end) {
  const char* colon = memchr(part, ':', (size_t)(end - part));
  int64_t block_bytes, supers;
  if (colon == NULL || !hak_parse_bytes(part, colon, &block_bytes) ||
      !hak_parse_bytes(colon + 1, end, &supers) || block_bytes < 1 ||
      block_bytes > (int64_t)HAK_SMALL_MAX || supers < 0 || supers > INT32_MAX) {
    return false;
  }
  (void)hak_prewarm_class(hak_class_of((size_t)block_bytes), (unsigned)supers);
  return true;
}

bool hak_prewarm_list(const char* list) {
  for (const char* part = list; *part != '\0';) {
    const char* end = strchrnul(part, ',');
    if (!prewarm_part(part, end)) {
      hak_line_t line;
      hak_option_begin_line(HAK_OPTION_prewarm, list, &line);
      hak_line_text(&line, "is not understood at ");
      hak_line_text(&line, part);
      hak_line_text(&line, " (BYTES:SUPERSLABS, with BYTES from 1 to 32768, separated by commas)");
      hak_line_end(&line);
      return false;
    }
    part = *end == ',' ? end + 1 : end;
  }
  return true;
}

// ---- the start and the end ----

__attribute__((constructor)) static void start(void) {
  hak_fork_look();  // registers the handler before others do theirs
  hak_reserve_ready();
  const char* prewarm = hak_option_text(HAK_OPTION_prewarm);
  if (prewarm != NULL) (void)hak_prewarm_list(prewarm);
  bool needs_thread = hak_telemetry_start();
  if (hak_option_text(HAK_OPTION_profile) != NULL) needs_thread |= hak_dumps_start();
  hak_background_begin(needs_thread);
  (void)hak_hardened_begin();
  if (hak_load_relaxed(&hak_sample_every) != 0) (void)hak_unwind_start();
  // Last: calls are timed, and libc's clock would cost each program 60 KiB of libc's text.
  hak_platform_ready_libc();
  hak_tick();
}

__attribute__((destructor)) static void finish(void) {
  if (hak_option_text(HAK_OPTION_profile) != NULL) hak_dumps_finish();
  hak_events_print();
  hak_misuse_look_at_cached();  // last: it may end the process
}
