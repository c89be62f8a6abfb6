// From a raw recording (raw.h) to a trace in the text format that //workloads:replay reads.

#ifndef HAKMEM_TOOLS_HAKRECORD_CONVERT_H_
#define HAKMEM_TOOLS_HAKRECORD_CONVERT_H_

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct convert_summary {
  uint64_t calls;
  uint64_t threads;
  uint64_t peak_bytes;  // requested and live at the same time
  uint64_t unknown;     // frees and moves of blocks that were not seen made: left out
  uint64_t dropped;     // events that found no room
} convert_summary;

enum { CONVERT_MESSAGE_BYTES = 512 };

// Reads the raw recording at `raw_path` and writes the trace. Returns false with a message.
bool convert_recording(const char* raw_path, FILE* trace, convert_summary* summary,
                       char message[CONVERT_MESSAGE_BYTES]);

#endif  // HAKMEM_TOOLS_HAKRECORD_CONVERT_H_
