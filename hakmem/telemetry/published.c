// The shared page of this process, and its descriptor.

#include "hakmem/telemetry/published.h"

#include <string.h>

#include "hakmem/platform/descriptor.h"
#include "hakmem/platform/platform.h"
#include "hakmem/telemetry/shared_page.h"

static hak_descriptor_t descriptor = HAK_DESCRIPTOR_NONE;
static hak_shared_page_t* page;  // NULL: none

static int ensure_page(void) {
  if (page != NULL && hak_descriptor_is_ours(&descriptor)) return 0;
  if (page != NULL) hak_descriptor_unshare(page, sizeof *page);
  page = NULL;
  void* memory;
  int error = hak_descriptor_share(&descriptor, HAK_SHARED_PAGE_NAME, sizeof *page, &memory);
  if (error == 0) page = memory;
  return error;
}

// Readers copy while this runs, and throw away what they copied when `sequence` has moved: so the
// contents are plain stores, between the two that say so.
int hak_published_update(const hak_snapshot_t* snapshot, int64_t process_id, const char* phase) {
  int error = ensure_page();
  if (error != 0) return error;
  uint64_t sequence = hak_load_relaxed(&page->sequence);
  hak_store_relaxed(&page->sequence, sequence + 1);
  atomic_thread_fence(memory_order_release);
  memcpy(page->magic, HAK_SHARED_PAGE_MAGIC, sizeof page->magic);
  page->version = HAK_SHARED_PAGE_VERSION;
  page->bytes = sizeof *page;
  page->pid = process_id;
  strncpy(page->phase, phase, sizeof page->phase - 1);
  page->stats = snapshot->stats;
  page->retention = snapshot->retention;
  memcpy(page->classes, snapshot->classes, sizeof page->classes);
  page->n_events = hak_events_count();
  size_t n = hak_events_read(page->events, HAK_SHARED_PAGE_EVENTS);
  memset(page->events + n, 0, (HAK_SHARED_PAGE_EVENTS - n) * sizeof page->events[0]);
  hak_store_release(&page->sequence, sequence + 2);
  return 0;
}

void hak_published_forget(void) {
  hak_descriptor_close(&descriptor);
  page = NULL;
}
