// The raw recording: what the recorder writes inside the program, and hakrecord turns into a trace
// when the program has ended. A file for each process, which both map: it survives a crash, and no
// event is copied twice.
//
// One header page, then chunks. A thread claims a chunk at a time and fills it with its events.
// Tickets number the events of all threads in the order in which they happened; those of a chunk
// ascend.
//
// An event is a byte (kind in bits 0 to 3; in bits 4 to 7 how far its ticket is from the last one
// of the chunk, less 1; 15: that less 15 follows as a LEB128 number), and what its kind adds, as
// LEB128 numbers: P is a pointer, as the zigzag difference of its eighth from the chunk's last one.

#ifndef HAKMEM_TOOLS_HAKRECORD_RAW_H_
#define HAKMEM_TOOLS_HAKRECORD_RAW_H_

#include <stdatomic.h>
#include <stdint.h>

#define RAW_MAGIC 0x32776172636b6168u  // "hakcraw2", little endian

// A folder. The first process of all makes RAW_FIRST in it, and owns it through its execs. The
// others do nothing, or make a file of their number where RAW_CHILDREN_VARIABLE is set.
#define RAW_PATH_VARIABLE "HAKRECORD_RAW"
#define RAW_CHILDREN_VARIABLE "HAKRECORD_CHILDREN"
#define RAW_FIRST "first"

enum { RAW_HEADER_BYTES = 4096, RAW_CHUNK_BYTES = 1 << 18, RAW_EVENT_BYTES = 48 };

typedef enum raw_kind {
  RAW_MALLOC,         // P, size
  RAW_CALLOC,         // P, size = count * size
  RAW_MEMALIGN,       // P, size, alignment
  RAW_FREE,           // P; before the call: nobody can have the address yet
  RAW_REALLOC_BEGIN,  // P of the old block; before the call. The same thread's next event is one of
  RAW_REALLOC_END,    //   P of the new block, size
  RAW_REALLOC_FAILED,
  RAW_THREAD,  // the thread that writes what follows: its number; the last pointer is 0 again
  RAW_THREAD_DONE,
  RAW_EXEC,  // another program in this process: all blocks and other threads are gone
  RAW_N_KINDS,
} raw_kind;

typedef struct raw_header {
  uint64_t magic;
  _Atomic int32_t pid;      // of the process that records: the first to map the file
  _Atomic uint64_t chunks;  // claimed so far
  _Atomic uint64_t next_ticket;
  _Atomic uint64_t dropped;  // events for which there was no room
  // Programs with an allocator of their own above malloc: the index of raw_arenas, from 1; 0: none.
  _Atomic int32_t arena;
} raw_header;

_Static_assert(sizeof(raw_header) <= RAW_HEADER_BYTES, "the header has one page");

typedef struct raw_chunk {
  uint64_t first_ticket;  // no event has a smaller one
  _Atomic uint32_t used;  // bytes of events; written last, so that a crash leaves no half event
  unsigned char events[];
} raw_chunk;

enum { RAW_CHUNK_EVENTS = RAW_CHUNK_BYTES - sizeof(raw_chunk) };

// A function that tells such a program, what it is, and how it is told to use malloc.
static const struct {
  const char* symbol;
  const char* name;
  const char* variable;
  const char* value;
} raw_arenas[] = {
    {"PyObject_Malloc", "Python", "PYTHONMALLOC", "malloc"},
    {"_zend_mm_alloc", "PHP", "USE_ZEND_ALLOC", "0"},
};
enum { RAW_N_ARENAS = sizeof(raw_arenas) / sizeof(raw_arenas[0]) };

#endif  // HAKMEM_TOOLS_HAKRECORD_RAW_H_
