// Writes traces (trace.h) from allocation calls in the order in which they happened. Memory is
// mapped, not malloc's, in proportion to the blocks that are live at the same time.
//
// A text of Android's memory_replay becomes a trace, too:
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

#ifndef HAKMEM_WORKLOADS_TRACE_WRITER_H_
#define HAKMEM_WORKLOADS_TRACE_WRITER_H_

#include "workloads/trace.h"

// A live block of the recorded program. An empty place has pointer 0.
typedef struct trace_block {
  uint64_t pointer;
  uint64_t size;
  uint32_t slot;
} trace_block;

typedef struct trace_writer {
  int fd;
  trace_totals totals;
  const char* message;  // what went wrong, when something did
  trace_block* live;    // hash table by pointer, at most half full
  uint64_t mask;
  uint64_t live_count;
  uint64_t live_bytes;
  trace_slots slots;
  uint64_t slot_room;
  struct trace_tid* tids;  // hash table: the living thread of a tid
  int32_t thread;          // of the last call in the frame, -1: none yet
  uint32_t slot;           // the last that was written in the frame
  uint64_t frame_calls;
  char* plain;
  size_t plain_bytes;
  char* packed;
  size_t packed_room;
  void* encoder;
} trace_writer;

// Begins a trace in an empty file. False without memory, or where the file cannot be written.
bool trace_writer_open(trace_writer* self, int fd);

// The calls of a thread. A pointer of 0 is a call that returned no memory; a free of a block that
// is not live is counted and left out. What is allocated where a block is still live was freed
// unseen: that block stays allocated.
void trace_write_new(trace_writer* self, trace_kind kind, uint64_t tid, uint64_t pointer,
                     uint64_t size, uint64_t alignment);
void trace_write_free(trace_writer* self, uint64_t tid, uint64_t pointer);
void trace_write_done(trace_writer* self, uint64_t tid);

// A realloc, in two steps: between them its block is nobody's. `*old` becomes the block, with
// pointer 0 where it is not known; the second step says where it went, 0: nowhere, it was left.
void trace_write_move_begin(trace_writer* self, uint64_t pointer, trace_block* old);
void trace_write_move_end(trace_writer* self, uint64_t tid, const trace_block* old,
                          uint64_t pointer, uint64_t size);

// All that is live is freed by that thread, which ends: another program takes its place.
void trace_write_exec(trace_writer* self, uint64_t tid);

// Ends the trace and frees the writer's memory; the descriptor stays open. False with a message in
// `self->message`.
bool trace_writer_close(trace_writer* self);

// Makes a trace of a text, from descriptor to descriptor. False with a message that names the line.
bool trace_from_text(int text_fd, const char* name, int fd, char message[TRACE_MESSAGE_BYTES]);

#endif  // HAKMEM_WORKLOADS_TRACE_WRITER_H_
