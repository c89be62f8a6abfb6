// Recorded traces of allocation calls, as they are kept in files: written by trace_writer.h, read
// here a batch at a time.
//
// A file is the magic, frames and, at its end, trace_totals. A frame is a trace_frame and zstd of
// up to TRACE_FRAME_CALLS calls in the order in which they happened. Each is a byte (kind in bits 0
// to 2; the low 4 bits of its value in bits 3 to 6; bit 7: the rest of the value follows as a
// LEB128 number) and what its kind adds:
//
//   malloc, calloc   value: bytes
//   realloc          value: bytes; the old block's slot
//   memalign         value: bytes; a byte: the alignment as a power of two
//   free             value: the block's slot
//   thread           value: index of the thread that makes the calls that follow; of a new thread
//                    (index: one more than all before) its tid follows
//   done             the thread has ended
//
// Slots are numbers of live blocks. They are not written for new blocks: writer and reader give
// them out alike (trace_slots). Where written, they are zigzag differences from the last one
// written in the frame.

#ifndef HAKMEM_WORKLOADS_TRACE_H_
#define HAKMEM_WORKLOADS_TRACE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_MAGIC 0x3163617274b668u  // little endian
#define TRACE_END_MAGIC 0x31646e6574b668u

enum {
  TRACE_MESSAGE_BYTES = 512,
  TRACE_MAX_THREADS = 1 << 16,  // over the whole life of the program
  TRACE_FRAME_CALLS = 1 << 17,
  TRACE_CALL_BYTES = 32,  // no call takes more in a frame
};

typedef enum trace_kind {
  TRACE_MALLOC,
  TRACE_CALLOC,
  TRACE_REALLOC,
  TRACE_MEMALIGN,
  TRACE_FREE,
  TRACE_THREAD,
  TRACE_DONE,
} trace_kind;

typedef struct trace_frame {
  uint32_t packed_bytes;  // that follow
  uint32_t plain_bytes;
} trace_frame;

typedef struct trace_totals {
  uint64_t ops;
  uint64_t threads;
  uint64_t slots;          // all slots are below
  uint64_t unknown_frees;  // of blocks made before the recording began: not in the trace
  uint64_t failed_calls;   // that returned no memory when they were recorded: not in the trace
  uint64_t peak_bytes;     // requested and live at the same time
  uint64_t peak_blocks;
  uint64_t magic;
} trace_totals;

// ---- slots ----

// The newest free slot is given out first, but none that was freed in the same frame: so within a
// frame a slot means one block at most after another, and threads that replay it freely cannot take
// one for the other.
typedef struct trace_slots {
  uint32_t* free;
  uint64_t free_count;
  uint32_t* freed;  // in this frame
  uint64_t freed_count;
  uint64_t used;  // slots that were ever given out
} trace_slots;

static inline uint32_t trace_slot_take(trace_slots* slots) {
  return slots->free_count > 0 ? slots->free[--slots->free_count] : (uint32_t)slots->used++;
}
static inline void trace_slot_give(trace_slots* slots, uint32_t slot) {
  slots->freed[slots->freed_count++] = slot;
}
static inline void trace_slots_end_frame(trace_slots* slots) {
  for (uint64_t i = 0; i < slots->freed_count; i++) {
    slots->free[slots->free_count++] = slots->freed[i];
  }
  slots->freed_count = 0;
}

// ---- reading ----

typedef struct trace_op {
  uint64_t size;      // calloc: count * size
  uint32_t slot;      // the block that is made; free: the block that is freed
  uint32_t old_slot;  // realloc: the block that is moved
  uint32_t turn;      // calls of one thread in a row share a turn; turns follow one another
  uint16_t thread;    // index into trace.threads
  uint8_t kind;       // trace_kind, up to TRACE_FREE
  uint8_t alignment;  // memalign: as a power of two
  bool is_foreign;    // the block that is freed or moved was made by another thread
  bool ends_turn;
} trace_op;

// One life of a thread: a tid that goes on after its end is another thread. The trace does not say
// who started a thread; here it is the one whose call stands before the thread's first. Threads
// that one has started are a list, in order. Of the present batch but for tid and predecessor.
typedef struct trace_thread {
  uint64_t tid;
  int32_t predecessor;  // the thread of the same tid before this one, or -1
  trace_op* ops;
  uint64_t op_count;
  uint64_t start_after;   // so many calls of its starter come before its start
  int32_t next_started;   // by the same starter after this one, or -1
  int32_t first_started;  // by this one, or -1
  int32_t last_started;
  bool is_in_batch;
  bool ends;  // with this batch
} trace_thread;

typedef struct trace {
  trace_totals totals;
  trace_thread* threads;  // [totals.threads]; the first starts with the program
  size_t thread_count;    // seen so far
  trace_op* ops;          // of the batch, in recorded order
  trace_op* sorted;       // by thread; each thread's in order
  uint64_t op_count;
  uint32_t turn_count;
  uint16_t* active;  // threads that are in the batch
  size_t active_count;
  int32_t first_started;  // those that start before any call of the batch; a list as above
  uint64_t ops_read;      // in this batch and all before
  char message[TRACE_MESSAGE_BYTES];  // what is wrong, when something is

  // The reader's own.
  int fd;
  const char* path;
  trace_slots slots;
  uint16_t* makers;  // by slot: the thread that made its block
  int32_t* tids;     // hash table: the newest thread of a tid, from 1; 0: free
  void* decoder;
  char* packed;
  size_t packed_bytes;  // room
  char* plain;
} trace;

// Whether the file is a trace, and no text that trace_writer.h can make one of.
bool trace_is_packed(int fd);

// Opens the trace in a file, which `path` names in messages; takes the descriptor. All memory is
// wl_map's or wl_reserve's. False with a message.
bool trace_open(trace* self, int fd, const char* path);

// Reads the next batch. False at the end, and with a message where the file is damaged.
bool trace_next(trace* self);

#endif  // HAKMEM_WORKLOADS_TRACE_H_
