// The watched process, as /proc shows it. Nothing here touches the process itself.

#ifndef HAKMEM_TOOLS_HAKTOP_WATCHED_H_
#define HAKMEM_TOOLS_HAKTOP_WATCHED_H_

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct ht_watched {
  pid_t pid;
  char command[64];
  uint64_t start_ticks;  // since boot: tells apart processes that had the same number
  bool has_ended;        // all its threads; nobody has waited for it yet
} ht_watched;

// False when there is no such process, or none that may be seen.
bool ht_watched_read(pid_t pid, ht_watched* watched);

// Whether the process that was read once is still there and runs.
bool ht_watched_runs(const ht_watched* watched);

// Whether the process calls itself `own_pid`: its number here, or in a PID namespace of its own.
bool ht_watched_is_called(pid_t pid, int64_t own_pid);

#endif  // HAKMEM_TOOLS_HAKTOP_WATCHED_H_
