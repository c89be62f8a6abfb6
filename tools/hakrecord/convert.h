// From a raw recording (raw.h) to a trace that //workloads:replay reads, and from that to a text.

#ifndef HAKMEM_TOOLS_HAKRECORD_CONVERT_H_
#define HAKMEM_TOOLS_HAKRECORD_CONVERT_H_

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "workloads/trace.h"

typedef struct convert_summary {
  trace_totals totals;
  uint64_t dropped;  // events that found no room
  int arena;         // an index of raw_arenas from 1: the program has an allocator of its own
} convert_summary;

// Reads the raw recording at `raw_path` and writes the trace to a file. False with a message.
bool convert_recording(const char* raw_path, int trace_fd, convert_summary* summary,
                       char message[TRACE_MESSAGE_BYTES]);

// Writes a trace as a text of Android's memory_replay. False with a message.
bool print_trace(const char* path, FILE* text, char message[TRACE_MESSAGE_BYTES]);

#endif  // HAKMEM_TOOLS_HAKRECORD_CONVERT_H_
