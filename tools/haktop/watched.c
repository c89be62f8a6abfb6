// The watched process, read from /proc.

#include "tools/haktop/watched.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Reads the beginning of /proc/PID/NAME as a string. False when it cannot be read.
static bool read_file(pid_t pid, const char* name, char* text, size_t bytes) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
  FILE* file = fopen(path, "re");
  if (file == NULL) return false;
  size_t size = fread(text, 1, bytes - 1, file);
  fclose(file);
  text[size] = '\0';
  return size > 0;
}

bool ht_watched_read(pid_t pid, ht_watched* watched) {
  char text[1024];
  if (!read_file(pid, "stat", text, sizeof(text))) return false;
  // PID (COMMAND) STATE ...; the command may hold anything, parentheses and newlines included.
  char* command = strchr(text, '(');
  char* end = strrchr(text, ')');
  if (command == NULL || end == NULL || end < command) return false;
  *end = '\0';
  *watched = (ht_watched){.pid = pid};
  snprintf(watched->command, sizeof(watched->command), "%s", command + 1);
  // After it: state is field 3, the number of threads 20, the time of the start 22.
  char state = ' ';
  long threads = 0;
  int found = sscanf(end + 1,
                     " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %ld %*s "
                     "%" SCNu64,
                     &state, &threads, &watched->start_ticks);
  // A process whose first thread has ended looks like a zombie while the others run.
  watched->has_ended = (state == 'Z' || state == 'X') && threads <= 1;
  return found == 3;
}

bool ht_watched_runs(const ht_watched* watched) {
  ht_watched now;
  return ht_watched_read(watched->pid, &now) && !now.has_ended &&
         now.start_ticks == watched->start_ticks;
}

bool ht_watched_is_called(pid_t pid, int64_t own_pid) {
  char text[4096];
  if (own_pid == pid) return true;
  if (own_pid <= 0 || !read_file(pid, "status", text, sizeof(text))) return false;
  // "NSpid:\t<here>\t...\t<in its own namespace>\n"
  char* line = strstr(text, "\nNSpid:");
  if (line == NULL) return false;
  char* at = line + strlen("\nNSpid:");
  for (char* end = at;; at = end) {
    while (*at == '\t' || *at == ' ') at++;
    if (*at == '\n' || *at == '\0') return false;
    if (strtoll(at, &end, 10) == own_pid) return true;
    if (end == at) return false;
  }
}
