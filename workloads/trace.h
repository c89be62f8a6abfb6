// Recorded traces of allocation calls, in the text format of Android's memory_replay:
//
//   <tid>: malloc <ptr> <size>
//   <tid>: calloc <ptr> <count> <size>
//   <tid>: realloc <new ptr> <old ptr> <size>
//   <tid>: memalign <ptr> <alignment> <size>
//   <tid>: free <ptr>
//   <tid>: thread_done 0x0
//
// Newer versions of Android append when a call began and ended, in nanoseconds, and when a thread
// ended; these times are read over.
//
// Reading one turns pointers into dense numbers: every allocation has a slot of its own, so that
// nothing is looked up when the trace is replayed. Lines stand in the order in which the calls
// happened.

#ifndef HAKMEM_WORKLOADS_TRACE_H_
#define HAKMEM_WORKLOADS_TRACE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// At most as many threads as a 16-bit number can tell apart, over the whole life of the program.
enum { TRACE_MESSAGE_BYTES = 512, TRACE_MAX_THREADS = 1 << 16 };

typedef enum trace_kind {
  TRACE_MALLOC,
  TRACE_CALLOC,
  TRACE_REALLOC,
  TRACE_MEMALIGN,
  TRACE_FREE,
} trace_kind;

typedef struct trace_op {
  uint64_t size;      // calloc: count * size
  uint32_t slot;      // the block that is made; free: the block that is freed
  uint32_t old_slot;  // realloc: the block that is moved
  uint32_t turn;      // calls of one thread in a row share a turn; turns follow one another
  uint16_t thread;    // index into trace.threads
  uint8_t kind;       // trace_kind
  uint8_t alignment;  // memalign: as a power of two
  bool is_foreign;    // the block that is freed or moved was made by another thread
  bool ends_turn;
} trace_op;

// One life of a thread: a tid that goes on after thread_done is another thread. The trace does not
// say who started a thread; here it is the one whose call stands before the thread's first line.
// Threads that one has started are a list, in order.
typedef struct trace_thread {
  uint64_t tid;
  trace_op* ops;
  uint64_t op_count;
  uint64_t start_after;   // so many calls of its starter come before its start
  int32_t next_started;   // by the same starter after this one, or -1
  int32_t first_started;  // by this one, or -1
  int32_t last_started;
  int32_t predecessor;  // the thread of the same tid before this one, or -1
  bool has_ended;       // thread_done was read
} trace_thread;

typedef struct trace {
  trace_thread* threads;  // the first starts with the program
  size_t thread_count;
  trace_op* ops;  // sorted by thread; each thread's in order
  uint64_t op_count;
  uint32_t slot_count;
  uint32_t turn_count;
  uint64_t unknown_frees;  // of blocks made before the recording began: not replayed
  uint64_t failed_calls;   // that returned no memory when they were recorded: not replayed
  uint64_t peak_bytes;     // requested and live at the same time
  uint64_t peak_blocks;
} trace;

// Reads a file. Returns false with a message that names file and line.
bool trace_read(const char* path, trace* out, char message[TRACE_MESSAGE_BYTES]);

#endif  // HAKMEM_WORKLOADS_TRACE_H_
