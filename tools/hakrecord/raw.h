// The raw recording: what the recorder writes inside the program, and hakrecord turns into a trace
// when the program has ended. A file that both map: it survives a crash, and no event is copied
// twice.
//
// One header page, then chunks. A thread claims a chunk at a time and fills it with its events; the
// first event of kind RAW_NONE ends a chunk. Tickets number the events of all threads in the order
// in which they happened.

#ifndef HAKMEM_TOOLS_HAKRECORD_RAW_H_
#define HAKMEM_TOOLS_HAKRECORD_RAW_H_

#include <stdatomic.h>
#include <stdint.h>

#define RAW_MAGIC 0x31776172636b6168u  // "hakcraw1", little endian
#define RAW_PATH_VARIABLE "HAKRECORD_RAW"

enum { RAW_HEADER_BYTES = 4096, RAW_CHUNK_BYTES = 1 << 20 };

typedef enum raw_kind {
  RAW_NONE,
  RAW_MALLOC,         // pointer, size
  RAW_CALLOC,         // pointer, size = count * size
  RAW_MEMALIGN,       // pointer, size, extra = alignment
  RAW_FREE,           // pointer; before the call: nobody can have the address yet
  RAW_REALLOC_BEGIN,  // pointer = old block; before the call
  RAW_REALLOC_END,  // pointer = new block, 0 if the call failed; size; extra = ticket of the begin
  RAW_THREAD_DONE,
  RAW_EXEC,  // another program in this process: all blocks and other threads are gone
} raw_kind;

typedef struct raw_event {
  uint64_t ticket;
  uint64_t pointer;
  uint64_t size;
  uint64_t extra;
  uint32_t tid;
  _Atomic uint32_t kind;  // raw_kind; written last, so that a crash leaves no half event
} raw_event;

enum { RAW_EVENTS_PER_CHUNK = RAW_CHUNK_BYTES / sizeof(raw_event) };

typedef struct raw_header {
  uint64_t magic;
  _Atomic int32_t pid;      // of the process that records: the first to map the file
  _Atomic uint64_t chunks;  // claimed so far
  _Atomic uint64_t next_ticket;
  _Atomic uint64_t dropped;  // events for which there was no room
} raw_header;

_Static_assert(sizeof(raw_header) <= RAW_HEADER_BYTES, "the header has one page");

#endif  // HAKMEM_TOOLS_HAKRECORD_RAW_H_
