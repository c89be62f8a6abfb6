// Figures of the whole allocator, gathered on request from the counters that the layers keep.
//
// Nothing is stopped for it: heaps are read while their threads run, and the lock of the backend is
// given up between groups of SuperSlabs. Figures of a busy program are each right to within what
// moved meanwhile, and exact in a quiescent one. What counts from the start never goes back.

#ifndef HAKMEM_STATS_H_
#define HAKMEM_STATS_H_

#include "hakmem/base/config.h"
#include "hakmem/include/hakmem/hakmem.h"

typedef struct hak_snapshot {
  hak_stats stats;
  hak_retention retention;
  hak_class_stats classes[HAK_N_CLASSES];  // [0]: spans and huge blocks: exhaustions only
} hak_snapshot_t;

// Too large for the stack of a small thread.
hak_cold void hak_stats_gather(hak_snapshot_t* snapshot);

// For the layer above, whose failures are a figure too.
hak_cold void hak_stats_count_telemetry_failure(void);

#endif  // HAKMEM_STATS_H_
