// Figures of the whole allocator, gathered on request from the counters that the layers keep.
//
// Nothing is stopped for it: heaps are read while their threads run, so that figures of a busy
// program are each right to within what moved meanwhile, and exact in a quiescent one.

#ifndef HAKMEM_STATS_H_
#define HAKMEM_STATS_H_

#include "hakmem/base.h"
#include "hakmem/config.h"
#include "hakmem/lock.h"

typedef struct hak_class_stats {
  uint64_t slabs;     // slabs in use
  uint64_t capacity;  // their blocks
  uint64_t free;      // of those, blocks free in the slabs
  uint64_t cached;    // in magazines
  uint64_t outgoing;  // freed by threads that do not own them, not returned yet
  uint64_t live;      // what is left: in the program's hands
  uint64_t taken, returned, refills, flushes, remote_frees, adoptions;
} hak_class_stats_t;

typedef struct hak_stats {
  hak_class_stats_t classes[HAK_N_CLASSES];
  size_t reserved_bytes;    // address space
  size_t committed_bytes;   // memory that may be resident: dirty pages
  size_t slab_bytes;        // pages in slabs
  size_t free_dirty_bytes;  // free pages waiting for the purge
  size_t live_small_bytes;  // blocks of size classes in the program's hands
  size_t free_small_bytes;  // blocks free in slabs
  size_t cached_bytes;      // in magazines
  size_t outgoing_bytes;    // in outgoing buffers
  size_t span_bytes, huge_bytes;
  uint64_t spans, huge_blocks;
  size_t purged_bytes;
  size_t metadata_bytes;
  unsigned heaps;           // threads with a heap
  uint64_t remote_atomics;  // read-modify-writes made to free blocks of other threads
  hak_lock_counts_t locks;  // of all locks
} hak_stats_t;

void hak_stats_gather(hak_stats_t* stats);

#endif  // HAKMEM_STATS_H_
