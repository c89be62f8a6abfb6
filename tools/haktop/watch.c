// One process under watch: its page is followed and its end noticed; and the list of all of them.

#define _GNU_SOURCE  // qsort_r

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

static int is_number(const struct dirent* entry) {
  return isdigit((unsigned char)entry->d_name[0]);
}

static int by_value(double a, double b) { return (a < b) - (a > b); }

static int compare_found(const void* left, const void* right, void* column) {
  const ht_found* a = left;
  const ht_found* b = right;
  const ht_found_column by = *(ht_found_column*)column;
  int order = by == HT_FOUND_COMMAND ? strcmp(a->command, b->command)
              : by == HT_FOUND_LIVE  ? by_value(a->live_bytes, b->live_bytes)
              : by == HT_FOUND_RSS   ? by_value(a->rss_bytes, b->rss_bytes)
                                     : 0;
  return order != 0 ? order : (a->pid > b->pid) - (a->pid < b->pid);
}

static ht_found found_of(const ht_watch* watch) {
  const hak_shared_page_t* page = &watch->model.now;
  ht_found found = {.pid = (pid_t)watch->model.pid,
                    .live_bytes = ht_known(page->stats.allocated_bytes),
                    .rss_bytes = ht_known(page->stats.rss_bytes)};
  snprintf(found.command, sizeof(found.command), "%s", watch->model.command);
  snprintf(found.phase, sizeof(found.phase), "%.*s", (int)sizeof(page->phase), page->phase);
  return found;
}

ht_found* ht_find_all(ht_found_column sort, bool is_reversed, size_t* count) {
  static ht_watch watch;
  char message[HT_MESSAGE_BYTES];
  struct dirent** entries;
  int n_entries = scandir("/proc", &entries, is_number, versionsort);
  ht_found* found = calloc(n_entries > 0 ? (size_t)n_entries : 1, sizeof(*found));
  *count = 0;
  for (int i = 0; i < n_entries; i++) {
    pid_t pid = (pid_t)strtol(entries[i]->d_name, NULL, 10);
    free(entries[i]);
    if (found == NULL || !ht_watch_start(&watch, pid, message)) continue;
    found[(*count)++] = found_of(&watch);
    ht_watch_end(&watch);
  }
  if (n_entries >= 0) free(entries);
  if (*count > 0) qsort_r(found, *count, sizeof(*found), compare_found, &sort);
  for (size_t i = 0; is_reversed && i < *count / 2; i++) {
    ht_found swapped = found[i];
    found[i] = found[*count - 1 - i];
    found[*count - 1 - i] = swapped;
  }
  return found;
}

void ht_put_found(ht_canvas* canvas, int row, ht_style style, const ht_found* found,
                  ht_found_column sort, bool is_reversed) {
  static const int kEnds[HT_FOUND_N_COLUMNS] = {8, 0, 36, 46};
  ht_number pid = {"PID"};
  if (found != NULL) snprintf(pid.text, sizeof(pid.text), "%d", (int)found->pid);
  ht_put_right(canvas, row, 0, 8, style, pid.text);
  ht_put(canvas, row, 10, 16, style, found != NULL ? found->command : "COMMAND");
  ht_put_right(canvas, row, 27, 9, style,
               found != NULL ? ht_format_bytes(found->live_bytes).text : "LIVE");
  ht_put_right(canvas, row, 37, 9, style,
               found != NULL ? ht_format_bytes(found->rss_bytes).text : "RSS");
  ht_put(canvas, row, 48, 32, style, found != NULL ? found->phase : "PHASE");
  if (found != NULL || sort == HT_FOUND_N_COLUMNS) return;
  int sign = sort == HT_FOUND_COMMAND ? 9 : kEnds[sort] - (sort == HT_FOUND_LIVE ? 5 : 4);
  ht_put_sign(canvas, row, sign, style, is_reversed ? L'\u25b2' : L'\u25bc',
              is_reversed ? '^' : 'v');
}

unsigned ht_watch_list(FILE* out, bool has_utf8) {
  size_t count;
  ht_found* found = ht_find_all(HT_FOUND_PID, false, &count);
  ht_canvas canvas = ht_canvas_new((int)count + 1, 80, has_utf8);
  ht_put_found(&canvas, 0, HT_PLAIN, NULL, HT_FOUND_N_COLUMNS, false);
  for (size_t i = 0; i < count; i++) {
    ht_put_found(&canvas, (int)i + 1, HT_PLAIN, &found[i], HT_FOUND_PID, false);
  }
  if (count > 0) ht_canvas_print(&canvas, out);
  ht_canvas_free(&canvas);
  free(found);
  return (unsigned)count;
}
