// The option's target, its beats, and the numbers of files.

#include "hakmem/profile/dumps.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "hakmem/hardened/hardened.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/descriptor.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/line.h"
#include "hakmem/profile/profile.h"
#include "hakmem/telemetry/beat.h"
#include "hakmem/telemetry/target.h"
#include "hakmem/unwind/unwind.h"

#define PATH_BYTES (4096 + 512)

// How long a write waits for the reader of a pipe, while the program runs. It is a thread of the
// program's that waits.
#define WRITE_WAIT_MS 100

// All of this: lock:DUMP.
static hak_target_t target;
static bool has_target;
static hak_profile_kind kind;
static int64_t process_id;
static uint64_t n_files;  // of this process
static bool has_complained;
static hak_beat_t dump_beat = HAK_BEAT_INIT(HAK_JOB_PROFILE);
static hak_beat_t toggle_beat = HAK_BEAT_INIT(HAK_JOB_PROFILE);
static char directory[4096];  // where the program was at the start; "" when it is not known
static char path[PATH_BYTES];

// ---- files ----

static void complain(const char* where, int error, bool is_last) {
  if (has_complained) return;
  has_complained = true;
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, "the heap profile cannot be written to ");
  hak_line_text(&line, where);
  hak_line_text(&line, ": errno ");
  hak_line_number(&line, (uint64_t)error);
  if (is_last) {
    hak_line_end_last(&line);
  } else {
    hak_line_text(&line, " (the program goes on; said once)");
    hak_line_end(&line);
  }
}

static void write_next(bool is_last) {
  int wait_ms = is_last ? HAK_DESCRIPTOR_WAIT : WRITE_WAIT_MS;
  n_files++;
  if (!hak_target_path(&target, directory, process_id, n_files, "", path, sizeof path)) {
    complain(target.file, ENAMETOOLONG, is_last);
    return;
  }
  int error = hak_profile_write_file(path, kind, wait_ms);
  if (error != 0) complain(path, error, is_last);
}

static bool ends_in(const char* text, const char* end) {
  size_t n = strlen(text), k = strlen(end);
  return n >= k && strcmp(text + n - k, end) == 0;
}

static hak_profile_kind kind_of(const char* file) {
  if (ends_in(file, ".folded")) return HAK_PROFILE_LIVE_STACKS;
  return ends_in(file, ".jsonl") ? HAK_PROFILE_JSON : HAK_PROFILE_PPROF;
}

// ---- while the program runs ----

// A process that was made without fork's handlers is not ours to write for: it may share even this
// memory with its parent (vfork).
static bool is_this_process(void) { return has_target && hak_process_id() == process_id; }

static void toggle(void) {
  if (hak_sampling_is_on()) {
    hak_profile_end();
    write_next(false);
  } else {
    (void)hak_profile_begin(target.interval);  // out of memory: the next signal tries again
  }
}

static void do_due(void) {
  bool is_dump_due = hak_beat_take(&dump_beat), is_toggle_due = hak_beat_take(&toggle_beat);
  if (is_dump_due && hak_profile_has_begun()) write_next(false);
  if (is_toggle_due) toggle();
  hak_beat_set_due(&dump_beat, &toggle_beat);
}

// The tick's job. While another thread has the lock the due time stays, and the next tick tries
// again.
static void run_job(void) {
  if (!hak_lock_try(&hak_dump_lock)) return;
  if (is_this_process()) {
    do_due();
  } else {
    hak_tick_set_due(HAK_JOB_PROFILE, HAK_TICK_NEVER);
  }
  hak_lock_release(&hak_dump_lock);
}

// The child of fork numbers files of its own.
static void begin_child(void) {
  if (hak_lock_is_mine(&hak_dump_lock)) return;  // a handler forked that interrupted it: it goes on
  process_id = hak_process_id();
  n_files = 0;
  hak_beat_restart(&dump_beat);
  hak_beat_restart(&toggle_beat);
  hak_beat_set_due(&dump_beat, &toggle_beat);
}

// ---- the start and the end ----

static void start_signal(hak_beat_t* beat, int signal) {
  int error = signal != 0 ? hak_beat_on_signal(beat, signal) : 0;
  if (error != 0) complain("a signal's order", error, false);
}

// lock:DUMP
static void start_target(void) {
  bool is_repeated = target.signal != 0 || target.toggle != 0 || target.every_ms != 0;
  if (target.file[0] == '\0') {
    strcpy(target.file, is_repeated ? "hakmem.%p.%n.pb" : "hakmem.%p.pb");
  }
  kind = kind_of(target.file);
  if (!hak_working_directory(directory, sizeof directory)) directory[0] = '\0';
  process_id = hak_process_id();
  has_target = true;
  hak_tick_register(HAK_JOB_PROFILE, run_job);
  hak_beat_set_interval(&dump_beat, target.every_ms);
  start_signal(&dump_beat, target.signal);
  start_signal(&toggle_beat, target.toggle);
  hak_beat_set_due(&dump_beat, &toggle_beat);
}

bool hak_dumps_start(void) {
  if (!hak_target_parse_profile(hak_option_text(HAK_OPTION_profile), &target)) return false;
  if (hak_hardened_begin()) {
    hak_option_refuse(HAK_OPTION_profile, "is not for a hardened process; nothing is profiled");
    return false;
  }
  if (target.toggle != 0) {
    (void)hak_unwind_start();  // here, for it allocates
  } else if (!hak_profile_start(target.interval)) {
    return false;
  }
  pthread_atfork(NULL, NULL, begin_child);
  hak_lock_acquire(&hak_dump_lock);
  start_target();
  hak_lock_release(&hak_dump_lock);
  return target.signal != 0 || target.toggle != 0 || target.every_ms != 0;
}

void hak_dumps_finish(void) {
  hak_fork_look();
  hak_lock_acquire(&hak_dump_lock);
  if (is_this_process() && hak_profile_has_begun()) write_next(true);
  has_target = false;
  hak_lock_release(&hak_dump_lock);
}
