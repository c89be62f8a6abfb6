// The phase label, and workspaces to gather figures in. Owns lock EXPORT.

#include "hakmem/telemetry/export.h"

#include <errno.h>
#include <string.h>

#include "hakmem/page_map/meta.h"
#include "hakmem/platform/descriptor.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/lock.h"
#include "hakmem/telemetry/report.h"

// A snapshot is too large for the stack of a small thread, and the caller's function may take its
// time, or come back here: so each call has one of its own. They are kept for later calls.
typedef struct workspace {
  hak_snapshot_t snapshot;
  struct workspace* next;  // lock:EXPORT, of those that wait
} workspace_t;

static hak_lock_t lock = HAK_LOCK_INIT(HAK_RANK_EXPORT);
static workspace_t* idle;             // lock:EXPORT
static char phase_[HAK_PHASE_BYTES];  // lock:EXPORT

// ---- the phase ----

// A UTF-8 character is not cut in two.
static size_t length_that_fits(const char* phase) {
  size_t length = strnlen(phase, HAK_PHASE_BYTES);
  if (length < HAK_PHASE_BYTES) return length;
  length--;
  while (length > HAK_PHASE_BYTES - 4 && (phase[length] & 0xc0) == 0x80) length--;
  return length;
}

void hak_export_set_phase(const char* phase) {
  size_t length = length_that_fits(phase);
  hak_fork_look();
  hak_lock_acquire(&lock);
  memset(phase_, 0, sizeof phase_);
  memcpy(phase_, phase, length);
  hak_lock_release(&lock);
}

void hak_export_phase(char out[HAK_PHASE_BYTES]) {
  hak_lock_acquire(&lock);
  memcpy(out, phase_, HAK_PHASE_BYTES);
  hak_lock_release(&lock);
}

// Whatever a thread that is gone was doing was one store, or is made good by the next.
static void repair(bool is_whole) {
  (void)is_whole;
  (void)hak_lock_repair(&lock);
}
HAK_REPAIR(EXPORT, repair, NULL);

// ---- the figures as text ----

static workspace_t* take_workspace(void) {
  hak_fork_look();
  hak_lock_acquire(&lock);
  workspace_t* workspace = idle;
  if (workspace != NULL) idle = workspace->next;
  hak_lock_release(&lock);
  if (workspace != NULL) return workspace;
  workspace = hak_meta_alloc(sizeof *workspace, alignof(workspace_t));
  if (workspace == NULL) errno = ENOMEM;
  return workspace;
}

static void return_workspace(workspace_t* workspace) {
  hak_lock_acquire(&lock);
  workspace->next = idle;
  idle = workspace;
  hak_lock_release(&lock);
}

bool hak_stats_json(hak_write_fn write, void* context) {
  char buffer[512], phase[HAK_PHASE_BYTES];
  workspace_t* workspace = take_workspace();
  if (workspace == NULL) return false;
  hak_stats_gather(&workspace->snapshot);
  hak_export_phase(phase);
  hak_text_t text = {
      .buffer = buffer, .capacity = sizeof buffer, .sink = write, .context = context};
  hak_report_head_t head = {HAK_UNKNOWN, (uint64_t)hak_process_id(), phase};
  hak_report_json(&text, &workspace->snapshot, &head);
  bool is_whole = hak_text_end(&text);
  return_workspace(workspace);
  return is_whole;
}

bool hak_stats_openmetrics(hak_write_fn write, void* context) {
  char buffer[512];
  workspace_t* workspace = take_workspace();
  if (workspace == NULL) return false;
  hak_stats_gather(&workspace->snapshot);
  hak_text_t text = {
      .buffer = buffer, .capacity = sizeof buffer, .sink = write, .context = context};
  hak_report_metrics(&text, &workspace->snapshot, HAK_OPEN_METRICS);
  bool is_whole = hak_text_end(&text);
  return_workspace(workspace);
  return is_whole;
}
