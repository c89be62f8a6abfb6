// malloc_trim, mallinfo2, malloc_stats and malloc_info, from hak_stats.

#include "hakmem/stats/introspect.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "hakmem/base/atomic.h"
#include "hakmem/base/size_class.h"
#include "hakmem/hardened/hardened.h"
#include "hakmem/hardened/quarantine.h"
#include "hakmem/heap/cache.h"
#include "hakmem/heap/holes.h"
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/line.h"
#include "hakmem/platform/platform.h"
#include "hakmem/stats/stats.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/thread/idle.h"
#include "hakmem/thread/thread.h"

bool hak_introspect_trim(void) {
  hak_fork_look();
  uint64_t before = hak_purge_bytes();
  hak_heap_t* heap = hak_this_heap != HAK_NO_HEAP ? hak_this_heap : hak_thread_begin();
  if (heap != NULL) hak_cache_drain(heap);
  if (hak_is_hardened()) hak_quarantine_empty();
  hak_idle_reclaim_all(false);
  hak_holes_purge_all(heap);
  hak_purge_all();
  return hak_purge_bytes() != before;
}

// A snapshot is too large for the stack of a small thread, and one from malloc would be among the
// figures. So there is one for whoever comes first; others, who come at the same time, or in the
// child of a fork at such a time, map their own.
static hak_snapshot_t shared_snapshot;
static _Atomic(bool) is_shared_taken;

// All figures, or NULL when there is no memory.
static hak_snapshot_t* take_snapshot(void) {
  hak_snapshot_t* snapshot = &shared_snapshot;
  if (hak_exchange_acq_rel(&is_shared_taken, true)) {
    void* own = NULL;
    if (hak_platform_map(sizeof *snapshot, hak_platform_os_page_bytes(), &own) != 0) return NULL;
    snapshot = own;
  }
  hak_stats_gather(snapshot);
  return snapshot;
}

static void drop_snapshot(hak_snapshot_t* snapshot) {
  if (snapshot == &shared_snapshot) {
    hak_store_release(&is_shared_taken, false);
  } else {
    hak_platform_unmap(snapshot, sizeof *snapshot);
  }
}

// Writing is a cancellation point, and a thread that ended there would keep its snapshot.
// (malloc_stats is none at all in glibc.)
static int hold_cancellation(void) {
  int state = PTHREAD_CANCEL_ENABLE;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
  return state;
}

static void release_cancellation(int state) { pthread_setcancelstate(state, NULL); }

struct mallinfo2 hak_introspect_mallinfo2(void) {
  struct mallinfo2 info = {0};
  hak_snapshot_t* snapshot = take_snapshot();
  if (snapshot == NULL) return info;
  const hak_stats* stats = &snapshot->stats;
  info.arena = stats->committed_bytes - hak_min_size(stats->committed_bytes, stats->huge_bytes);
  info.hblks = stats->huge_blocks;
  info.hblkhd = stats->huge_bytes;
  info.uordblks = stats->allocated_bytes;
  info.fordblks =
      stats->committed_bytes - hak_min_size(stats->committed_bytes, stats->allocated_bytes);
  info.fsmblks = stats->cached_bytes;
  info.keepcost = snapshot->retention.empty_pages_bytes + snapshot->retention.huge_cache_bytes;
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    info.ordblks += snapshot->classes[c].free;
    info.smblks += snapshot->classes[c].cached;
  }
  drop_snapshot(snapshot);
  return info;
}

// ---- malloc_stats ----

static void begin_row(hak_line_t* line, const char* name, size_t width) {
  hak_line_begin(line);
  hak_line_text(line, name);
  for (size_t length = strlen(name); length < width; length++) hak_line_text(line, " ");
}

// "name             bytes bytes"
static void print_bytes(const char* name, uint64_t bytes) {
  hak_line_t line;
  begin_row(&line, name, 16);
  if (bytes == HAK_UNKNOWN) {
    hak_line_text(&line, "         unknown");
  } else {
    hak_line_number_padded(&line, bytes, 16);
    hak_line_text(&line, " bytes");
  }
  hak_line_end_print(&line);
}

static void print_class(unsigned size_class, const hak_class_stats* stats) {
  const uint64_t columns[] = {size_class,     hak_class_info(size_class)->block_bytes,
                              stats->slabs,   stats->capacity,
                              stats->live,    stats->free,
                              stats->cached,  stats->outgoing,
                              stats->refills, stats->flushes};
  hak_line_t line;
  hak_line_begin(&line);
  for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
    hak_line_number_padded(&line, columns[i], i < 2 ? 6 : 10);
  }
  hak_line_end_print(&line);
}

static void print_kernel(hak_kernel_kind_t kind) {
  const hak_kernel_counters_t* counters = hak_platform_counters(kind);
  hak_line_t line;
  begin_row(&line, hak_platform_kind_name(kind), 10);
  hak_line_number_padded(&line, hak_counter_read(&counters->calls), 12);
  hak_line_number_padded(&line, hak_counter_read(&counters->bytes), 18);
  hak_line_number_padded(&line, hak_counter_read(&counters->failures), 10);
  hak_line_number_padded(&line, hak_counter_read(&counters->ns) / 1000, 14);
  hak_line_end_print(&line);
}

static void print_text(const char* text) {
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, text);
  hak_line_end_print(&line);
}

static void print_memory(const hak_stats* stats) {
  print_bytes("reserved", stats->reserved_bytes);
  print_bytes("committed", stats->committed_bytes);
  print_bytes("resident", stats->rss_bytes);
  print_bytes("purged", stats->purged_bytes);
  print_bytes("live", stats->allocated_bytes);
  print_bytes("live in spans", stats->span_bytes);
  print_bytes("live in huge", stats->huge_bytes);
}

static void print_retention(const hak_retention* retention) {
  print_text("held and not live (the sum is committed - live):");
  print_bytes("  rounding", retention->rounding_bytes);
  print_bytes("  partial slabs", retention->partial_slabs_bytes);
  print_bytes("  abandoned", retention->abandoned_bytes);
  print_bytes("  prewarmed", retention->prewarmed_bytes);
  print_bytes("  thread caches", retention->thread_caches_bytes);
  print_bytes("  outgoing", retention->outgoing_bytes);
  print_bytes("  empty pages", retention->empty_pages_bytes);
  print_bytes("  huge cache", retention->huge_cache_bytes);
  print_bytes("  lost", retention->lost_bytes);
  print_bytes("  metadata", retention->metadata_bytes);
}

static void print_snapshot(const hak_snapshot_t* snapshot) {
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, "version ");
  hak_line_text(&line, hak_version());
  hak_line_end_print(&line);
  print_memory(&snapshot->stats);
  print_retention(&snapshot->retention);
  print_text("call             calls             bytes  failures  microseconds");
  for (int kind = 0; kind < HAK_KERNEL_N_KINDS; kind++) print_kernel((hak_kernel_kind_t)kind);
  print_text(
      " class bytes     slabs  capacity      live      free    cached  outgoing"
      "   refills   flushes");
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    if (snapshot->classes[c].slabs != 0) print_class(c, &snapshot->classes[c]);
  }
}

void hak_introspect_print(void) {
  int cancel_state = hold_cancellation();
  hak_snapshot_t* snapshot = take_snapshot();
  if (snapshot != NULL) {
    print_snapshot(snapshot);
    drop_snapshot(snapshot);
  } else {
    print_text("malloc_stats: out of memory");
  }
  release_cancellation(cancel_state);
}

// ---- malloc_info ----

// One XML attribute.
static void attribute(FILE* stream, const char* name, uint64_t value) {
  fprintf(stream, " %s=\"%" PRIu64 "\"", name, value);
}

static void print_xml_class(FILE* stream, unsigned size_class, const hak_class_stats* stats) {
  fputs("<size", stream);
  attribute(stream, "from", (uint64_t)hak_class_info(size_class - 1)->block_bytes + 1);
  attribute(stream, "to", stats->block_bytes);
  attribute(stream, "total", stats->free * stats->block_bytes);
  attribute(stream, "count", stats->free);
  attribute(stream, "live", stats->live);
  attribute(stream, "cached", stats->cached);
  fputs("/>\n", stream);
}

// The elements of glibc's that tell totals: <NAME type="TYPE" size="BYTES"/>.
static void print_xml_size(FILE* stream, const char* name, const char* type, uint64_t bytes) {
  fprintf(stream, "<%s type=\"%s\" size=\"%" PRIu64 "\"/>\n", name, type, bytes);
}

static void print_xml_total(FILE* stream, const char* type, uint64_t count, uint64_t bytes) {
  fprintf(stream, "<total type=\"%s\"", type);
  attribute(stream, "count", count);
  attribute(stream, "size", bytes);
  fputs("/>\n", stream);
}

static void print_xml(FILE* stream, const hak_snapshot_t* snapshot) {
  const hak_stats* stats = &snapshot->stats;
  fprintf(stream, "<malloc version=\"hakmem-%s\">\n<heap nr=\"0\">\n<sizes>\n", hak_version());
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    if (snapshot->classes[c].slabs != 0) print_xml_class(stream, c, &snapshot->classes[c]);
  }
  fputs("</sizes>\n", stream);
  print_xml_total(stream, "rest", stats->spans, stats->span_bytes);
  print_xml_total(stream, "mmap", stats->huge_blocks, stats->huge_bytes);
  print_xml_size(stream, "system", "current", stats->committed_bytes);
  print_xml_size(stream, "system", "max", stats->committed_bytes + stats->purged_bytes);
  print_xml_size(stream, "aspace", "total", stats->reserved_bytes);
  fputs("</heap>\n</malloc>\n", stream);
}

int hak_introspect_xml(FILE* stream) {
  int cancel_state = hold_cancellation();
  // The first bytes written may allocate the stream's buffer: all figures are read by then.
  hak_snapshot_t* snapshot = take_snapshot();
  int error = snapshot != NULL ? 0 : ENOMEM;
  if (snapshot != NULL) {
    print_xml(stream, snapshot);
    drop_snapshot(snapshot);
    // Most streams meet the disk only here.
    error = fflush(stream) != 0 ? errno : ferror(stream) != 0 ? EIO : 0;
  }
  release_cancellation(cancel_state);
  return error;
}
