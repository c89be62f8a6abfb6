// The start of the process: what options ask for before main.

#define _GNU_SOURCE  // strchrnul

#include "hakmem/malloc/start.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "hakmem/base/size_class.h"
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/line.h"
#include "hakmem/slab/central.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/telemetry/telemetry.h"
#include "hakmem/thread/idle.h"

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
      hak_line_begin(&line);
      hak_line_text(&line, "HAKMEM_PREWARM=");
      hak_line_text(&line, list);
      hak_line_text(&line, " is not understood at ");
      hak_line_text(&line, part);
      hak_line_text(&line, " (BYTES:SUPERSLABS, with BYTES from 1 to 32768, separated by commas)");
      hak_line_end(&line);
      return false;
    }
    part = *end == ',' ? end + 1 : end;
  }
  return true;
}

// ---- the background thread ----

// How long it may sleep while nothing is due: what becomes due meanwhile is done that much late.
static uint64_t longest_sleep_ms(void) {
  int64_t delay_ms = hak_option_number(HAK_OPTION_purge_delay);
  if (delay_ms < 0) return 1000;  // no purge; telemetry knows its times in advance
  return delay_ms < 20 ? 10 : (uint64_t)delay_ms / 2;
}

// Does what is due while no other thread of the program enters a slow path. A forked child has no
// such thread: its own slow paths do the work.
static void* background(void* arg) {
  (void)arg;
  uint64_t longest_ms = longest_sleep_ms();
  for (;;) {
    hak_tick_sleep(longest_ms);
    hak_tick();
  }
  return NULL;
}

static void start_background(void) {
  hak_idle_start();
  sigset_t all, before;
  sigfillset(&all);
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 128 * HAK_KIB);
  // The program's signals are for the program's threads.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int error = pthread_create(&thread, &attributes, background, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (error == 0) return;
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, "no background thread: errno ");
  hak_line_number(&line, (uint64_t)error);
  hak_line_end(&line);
}

__attribute__((constructor)) static void start(void) {
  hak_fork_look();  // registers the handler before others do theirs
  hak_reserve_ready();
  const char* prewarm = hak_option_text(HAK_OPTION_prewarm);
  if (prewarm != NULL) (void)hak_prewarm_list(prewarm);
  bool wants_thread = hak_telemetry_start();
  if (wants_thread || hak_option_number(HAK_OPTION_background) != 0) start_background();
}
