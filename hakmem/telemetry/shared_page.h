// The shared page: a process's figures, published for other processes of the same user to watch.
//
// With HAKMEM_TELEMETRY_SHM=1 the allocator writes them every quarter of a second into memory that
// a viewer (tools/haktop) maps read-only: a memfd named HAK_SHARED_PAGE_NAME, which the viewer
// finds among /proc/PID/fd, and which goes with the process. Nothing is stopped or traced.
//
// `sequence` is odd while the writer is at work; a reader copies and tries again until it was even
// and the same before and after. `version` changes when the layout does.

#ifndef HAKMEM_SHARED_PAGE_H_
#define HAKMEM_SHARED_PAGE_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/config.h"
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/options/events.h"

#define HAK_SHARED_PAGE_NAME "hakmem-telemetry"
#define HAK_SHARED_PAGE_MAGIC "hakmem\0"  // 8 bytes
#define HAK_SHARED_PAGE_VERSION 2
#define HAK_SHARED_PAGE_EVENTS 32

typedef struct hak_shared_page {
  char magic[8];
  uint32_t version;
  uint32_t bytes;  // of this structure
  _Atomic(uint64_t) sequence;
  int64_t pid;  // of the process that writes; a fork leaves the child without a page of its own
  char phase[64];
  hak_stats stats;
  hak_retention retention;
  hak_class_stats classes[HAK_N_CLASSES];  // [0]: spans and huge blocks: exhaustions only
  uint64_t n_events;
  hak_event_t events[HAK_SHARED_PAGE_EVENTS];  // the last ones, oldest first
} hak_shared_page_t;

#endif  // HAKMEM_SHARED_PAGE_H_
