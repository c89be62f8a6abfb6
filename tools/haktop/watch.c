#include "tools/haktop/watch.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/haktop/canvas.h"
#include "tools/haktop/format.h"

// The page is written every quarter of a second: this long without it and something is the matter.
static const double kSilentAfter = 2;

double ht_now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

bool ht_watch_start(ht_watch* watch, pid_t pid, char message[HT_MESSAGE_BYTES]) {
  memset(watch, 0, sizeof(*watch));
  if (!ht_page_open(&watch->page, pid, message)) return false;
  watch->started_s = ht_now_s();
  if (!ht_watched_read(pid, &watch->watched)) {
    snprintf(message, HT_MESSAGE_BYTES, "process %d has just ended", (int)pid);
    ht_watch_end(watch);
    return false;
  }
  watch->model.pid = pid;
  snprintf(watch->model.command, sizeof(watch->model.command), "%s", watch->watched.command);
  ht_watch_sample(watch);
  if (watch->model.n_states == 0) {
    snprintf(message, HT_MESSAGE_BYTES,
             "the page of process %d is half written and stays so: the process was stopped, or "
             "died, in the middle of an update",
             (int)pid);
    ht_watch_end(watch);
    return false;
  }
  return true;
}

// A program that closes all its descriptors makes its allocator go on with a page of a new one.
static void follow_page(ht_watch* watch) {
  ht_page again;
  char message[HT_MESSAGE_BYTES];
  if (!ht_page_open(&again, watch->watched.pid, message)) return;
  ht_page_close(&watch->page);
  watch->page = again;
}

void ht_watch_sample(ht_watch* watch) {
  static hak_shared_page_t state;
  ht_model* model = &watch->model;
  if (model->status == HT_SILENT) follow_page(watch);
  double now_s = ht_now_s();
  // First whether it runs, then the page: so the last state of a process that has ended is seen.
  bool runs = ht_watched_runs(&watch->watched);
  bool is_whole = ht_page_copy(&watch->page, &state);
  uint64_t sequence = hak_load_relaxed(&state.sequence);
  if (is_whole && (model->n_states == 0 || sequence != watch->sequence)) {
    ht_model_add(model, &state);
    watch->sequence = sequence;
    watch->changed_s = now_s;
  }
  model->watched_s = now_s - watch->started_s;
  model->silent_s = now_s - watch->changed_s;
  model->status = !runs                             ? HT_ENDED
                  : !is_whole                       ? HT_STUCK
                  : model->silent_s >= kSilentAfter ? HT_SILENT
                                                    : HT_RUNNING;
}

void ht_watch_end(ht_watch* watch) { ht_page_close(&watch->page); }

// ---- listing ----

static int compare_pids(const void* a, const void* b) {
  int x = *(const int*)a;
  int y = *(const int*)b;
  return (x > y) - (x < y);
}

// The numbers of all processes, ascending; to be freed. NULL when there is no /proc or no memory.
static int* all_pids(size_t* count) {
  DIR* folder = opendir("/proc");
  int* pids = NULL;
  *count = 0;
  if (folder == NULL) return NULL;
  for (struct dirent* entry; (entry = readdir(folder)) != NULL;) {
    if (!isdigit((unsigned char)entry->d_name[0])) continue;
    if (*count % 256 == 0) {
      int* more = realloc(pids, (*count + 256) * sizeof(*pids));
      if (more == NULL) break;
      pids = more;
    }
    pids[(*count)++] = (int)strtol(entry->d_name, NULL, 10);
  }
  closedir(folder);
  if (pids != NULL) qsort(pids, *count, sizeof(*pids), compare_pids);
  return pids;
}

static void put_line(ht_canvas* line, const char* pid, const char* command, const char* phase,
                     const char* live, const char* rss) {
  ht_put_right(line, 0, 0, 8, HT_PLAIN, pid);
  ht_put(line, 0, 10, 16, HT_PLAIN, command);
  ht_put_right(line, 0, 27, 9, HT_PLAIN, live);
  ht_put_right(line, 0, 37, 9, HT_PLAIN, rss);
  ht_put(line, 0, 48, 32, HT_PLAIN, phase);
}

unsigned ht_watch_list(FILE* out, bool has_utf8) {
  size_t n_pids;
  int* pids = all_pids(&n_pids);
  unsigned n_listed = 0;
  for (size_t i = 0; i < n_pids; i++) {
    static ht_watch watch;
    char message[HT_MESSAGE_BYTES];
    char pid[16];
    char live[HT_NUMBER_BYTES];
    char rss[HT_NUMBER_BYTES];
    char phase[sizeof(watch.model.now.phase) + 1];
    if (!ht_watch_start(&watch, pids[i], message)) continue;
    ht_canvas lines[2] = {ht_canvas_new(1, 80, has_utf8), ht_canvas_new(1, 80, has_utf8)};
    const hak_shared_page_t* page = &watch.model.now;
    snprintf(pid, sizeof(pid), "%d", pids[i]);
    snprintf(phase, sizeof(phase), "%.*s", (int)sizeof(page->phase), page->phase);
    put_line(&lines[0], "PID", "COMMAND", "PHASE", "LIVE", "RSS");
    put_line(&lines[1], pid, watch.model.command, phase,
             ht_format_bytes(live, ht_known(page->stats.allocated_bytes)),
             ht_format_bytes(rss, ht_known(page->stats.rss_bytes)));
    if (n_listed++ == 0) ht_canvas_print(&lines[0], out);
    ht_canvas_print(&lines[1], out);
    ht_canvas_free(&lines[0]);
    ht_canvas_free(&lines[1]);
    ht_watch_end(&watch);
  }
  free(pids);
  return n_listed;
}
