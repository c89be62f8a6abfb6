#include "hakmem/introspect.h"

#include <errno.h>

#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/line.h"
#include "hakmem/platform.h"
#include "hakmem/purge.h"
#include "hakmem/size_class.h"
#include "hakmem/stats.h"
#include "hakmem/thread.h"
#include "hakmem/thread_cache.h"

bool hak_introspect_trim(void) {
  hak_heap_t* heap = hak_this_heap;
  if (heap != HAK_NO_HEAP) hak_cache_drain(heap);
  return hak_purge_all() != 0;
}

struct mallinfo2 hak_introspect_mallinfo2(void) {
  hak_snapshot_t snapshot;
  hak_stats_gather(&snapshot);
  hak_stats stats = snapshot.stats;
  struct mallinfo2 info = {0};
  size_t live = stats.allocated_bytes;
  info.arena = stats.committed_bytes - hak_min_size(stats.committed_bytes, stats.huge_bytes);
  info.hblks = stats.huge_blocks;
  info.hblkhd = stats.huge_bytes;
  info.uordblks = live;
  info.fordblks = stats.committed_bytes - hak_min_size(stats.committed_bytes, live);
  info.fsmblks = stats.cached_bytes;
  info.keepcost = snapshot.retention.empty_pages_bytes + snapshot.retention.huge_cache_bytes;
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    info.ordblks += snapshot.classes[c].free;
    info.smblks += snapshot.classes[c].cached;
  }
  return info;
}

// ---- malloc_stats ----

static void print_bytes(const char* name, size_t bytes) {
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, name);
  hak_line_number_padded(&line, bytes, 16);
  hak_line_text(&line, " bytes");
  hak_line_end(&line);
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
  hak_line_end(&line);
}

static void print_kernel(hak_kernel_kind_t kind) {
  const hak_kernel_counters_t* counters = hak_platform_counters(kind);
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, hak_platform_kind_name(kind));
  hak_line_text(&line, ": ");
  hak_line_number(&line, hak_counter_read(&counters->calls));
  hak_line_text(&line, " calls, ");
  hak_line_number(&line, hak_counter_read(&counters->bytes));
  hak_line_text(&line, " bytes, ");
  hak_line_number(&line, hak_counter_read(&counters->failures));
  hak_line_text(&line, " failures, ");
  hak_line_number(&line, hak_counter_read(&counters->ns) / 1000);
  hak_line_text(&line, " us");
  hak_line_end(&line);
}

void hak_introspect_print(void) {
  hak_snapshot_t snapshot;
  hak_stats_gather(&snapshot);
  hak_stats stats = snapshot.stats;
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, "version ");
  hak_line_text(&line, hak_version());
  hak_line_end(&line);
  print_bytes("reserved  ", stats.reserved_bytes);
  print_bytes("committed ", stats.committed_bytes);
  print_bytes("live      ", stats.allocated_bytes);
  print_bytes("cached    ", stats.cached_bytes);
  print_bytes("purged    ", stats.purged_bytes);
  print_bytes("metadata  ", stats.metadata_bytes);
  for (int kind = 0; kind < HAK_KERNEL_N_KINDS; kind++) print_kernel((hak_kernel_kind_t)kind);
  hak_line_begin(&line);
  hak_line_text(&line,
                " class bytes     slabs  capacity      live      free    cached  outgoing"
                "   refills   flushes");
  hak_line_end(&line);
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    if (snapshot.classes[c].slabs != 0) print_class(c, &snapshot.classes[c]);
  }
}

// ---- malloc_info ----

int hak_introspect_xml(FILE* stream) {
  hak_snapshot_t snapshot;
  hak_stats_gather(&snapshot);
  hak_stats stats = snapshot.stats;
  // The first bytes written may allocate the stream's buffer: all figures are read by then.
  fprintf(stream, "<malloc version=\"hakmem-%s\">\n<heap nr=\"0\">\n<sizes>\n", hak_version());
  for (unsigned c = 1; c < HAK_N_CLASSES; c++) {
    const hak_class_stats* class_stats = &snapshot.classes[c];
    if (class_stats->slabs == 0) continue;
    fprintf(stream,
            "<size from=\"%zu\" to=\"%u\" total=\"%llu\" count=\"%llu\" live=\"%llu\" "
            "cached=\"%llu\"/>\n",
            (size_t)hak_class_info(c - 1)->block_bytes + 1, hak_class_info(c)->block_bytes,
            (unsigned long long)class_stats->free * hak_class_info(c)->block_bytes,
            (unsigned long long)class_stats->free, (unsigned long long)class_stats->live,
            (unsigned long long)class_stats->cached);
  }
  fprintf(stream,
          "</sizes>\n<total type=\"rest\" count=\"%llu\" size=\"%llu\"/>\n"
          "<total type=\"mmap\" count=\"%llu\" size=\"%llu\"/>\n"
          "<system type=\"current\" size=\"%llu\"/>\n<system type=\"max\" size=\"%llu\"/>\n"
          "<aspace type=\"total\" size=\"%llu\"/>\n</heap>\n</malloc>\n",
          (unsigned long long)stats.spans, (unsigned long long)stats.span_bytes,
          (unsigned long long)stats.huge_blocks, (unsigned long long)stats.huge_bytes,
          (unsigned long long)stats.committed_bytes,
          (unsigned long long)(stats.committed_bytes + stats.purged_bytes),
          (unsigned long long)stats.reserved_bytes);
  return ferror(stream) != 0 ? EIO : 0;
}
