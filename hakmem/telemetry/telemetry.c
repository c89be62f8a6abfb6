// The writer of telemetry: its files, its due times, its thread. Owns lock TELEMETRY.

#include "hakmem/telemetry/telemetry.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/descriptor.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/line.h"
#include "hakmem/platform/lock.h"
#include "hakmem/platform/platform.h"
#include "hakmem/platform/standard_error.h"
#include "hakmem/telemetry/beat.h"
#include "hakmem/telemetry/export.h"
#include "hakmem/telemetry/published.h"
#include "hakmem/telemetry/report.h"
#include "hakmem/telemetry/target.h"

#define PAGE_INTERVAL_MS 250

// How long the end of the process waits for a thread that is writing, which may be for ever.
#define LAST_WAIT_MS 1000

// How long a write waits for the reader of a pipe. It is a thread of the program's that waits.
#define WRITE_WAIT_MS 100

#define PATH_BYTES (4096 + 512)

static hak_lock_t lock = HAK_LOCK_INIT(HAK_RANK_TELEMETRY);

// All of this: lock:TELEMETRY.
static hak_target_t target;
static bool has_target;
static hak_descriptor_t file = HAK_DESCRIPTOR_NONE;
static int64_t process_id;
static uint64_t sequence;       // of the last line
static uint64_t events_before;  // of the process that forked this one
static hak_beat_t line_beat = HAK_BEAT_INIT(HAK_JOB_TELEMETRY);
static hak_beat_t page_beat = HAK_BEAT_INIT(HAK_JOB_TELEMETRY);
static bool has_complained;

// lock:TELEMETRY. Static, since a thread may have a small stack; and apart from the rest, so that
// none of it takes memory unless it is used.
static struct {
  hak_snapshot_t snapshot;
  char text[HAK_REPORT_LINE_BYTES];
  hak_event_t events[HAK_EVENT_RING];
  char path[PATH_BYTES], prom_path[PATH_BYTES], new_path[PATH_BYTES];
  char directory[4096];  // where the program was at the start; "" when it is not known
} room;

// ---- writing ----

hak_cold static void complain(const char* where, int error) {
  if (has_complained) return;
  has_complained = true;
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, "telemetry cannot be written to ");
  hak_line_text(&line, where);
  hak_line_text(&line, ": errno ");
  hak_line_number(&line, (uint64_t)error);
  hak_line_text(&line, " (the program goes on; said once)");
  hak_line_end(&line);
}

hak_cold static bool fail(const char* where, int error) {
  hak_stats_count_telemetry_failure();
  complain(where, error);
  return false;
}

static int find_path(const char* suffix, char out[PATH_BYTES]) {
  bool fits = hak_target_path(&target, room.directory, process_id, 0, suffix, out, PATH_BYTES);
  return fits ? 0 : ENAMETOOLONG;
}

// The program may have closed the descriptor, or somebody may have removed the file. Of stderr
// there is a duplicate, since many programs close it before they end.
static int ensure_file(void) {
  if (hak_descriptor_has_name(&file)) return 0;
  hak_descriptor_close(&file);
  if (target.is_stderr) {
    return hak_stderr_is_ours() ? hak_descriptor_duplicate(&file, STDERR_FILENO) : EBADF;
  }
  int error = find_path("", room.path);
  return error != 0 ? error : hak_descriptor_open(&file, room.path);
}

static const char* file_name(void) { return target.is_stderr ? "stderr" : room.path; }

static bool write_text(const char* text, size_t length) {
  int error = ensure_file();
  if (error == 0) error = hak_descriptor_append(file.number, text, length, WRITE_WAIT_MS);
  return error == 0 || fail(file_name(), error);
}

// A file that is written piece by piece.
typedef struct output {
  hak_descriptor_t file;
  int error;  // of the piece that failed
} output_t;

static bool append_piece(const char* text, size_t length, void* context) {
  output_t* out = context;
  out->error = hak_descriptor_append(out->file.number, text, length, WRITE_WAIT_MS);
  return out->error == 0;
}

// FILE.prom as a whole: whoever reads it sees the old one or the new one.
static void write_prom(void) {
  char suffix[40];
  hak_text_t name = {.buffer = suffix, .capacity = sizeof suffix};
  hak_text_string(&name, ".prom.");
  hak_text_number(&name, (uint64_t)process_id);
  hak_text_put(&name, ".new", sizeof ".new");
  output_t out = {.error = 0};
  int error = find_path(suffix, room.new_path);
  if (error == 0) error = find_path(".prom", room.prom_path);
  if (error == 0) error = hak_descriptor_create(&out.file, room.new_path);
  if (error == 0) {
    hak_text_t text = {
        .buffer = room.text, .capacity = sizeof room.text, .sink = append_piece, .context = &out};
    hak_report_metrics(&text, &room.snapshot, HAK_PROMETHEUS_TEXT);
    if (!hak_text_end(&text)) error = out.error;
    hak_descriptor_close(&out.file);
    if (error == 0) error = hak_rename(room.new_path, room.prom_path);
    if (error != 0) hak_unlink(room.new_path);
  }
  if (error != 0) (void)fail(room.prom_path, error);
}

// A line of the figures in `room.snapshot`. A number is used up even if the line is lost, so that a
// gap shows it.
hak_cold static bool write_line(void) {
  char phase[HAK_PHASE_BYTES];
  hak_export_phase(phase);
  hak_text_t text = {.buffer = room.text, .capacity = sizeof room.text};
  hak_report_head_t head = {++sequence, (uint64_t)process_id, phase};
  hak_report_json(&text, &room.snapshot, &head);
  bool is_written =
      hak_text_end(&text) ? write_text(room.text, text.length) : fail("a line", E2BIG);
  if (target.with_prom) write_prom();
  return is_written;
}

// This process's events that the ring still holds.
hak_cold static void write_events(void) {
  size_t n = hak_events_read(room.events, HAK_EVENT_RING);
  hak_text_t text = {.buffer = room.text, .capacity = sizeof room.text};
  for (size_t i = 0; i < n; i++) {
    if (room.events[i].sequence <= events_before) continue;
    hak_report_event(&text, &room.events[i], (uint64_t)process_id);
    if (text.length + HAK_REPORT_EVENT_BYTES <= sizeof room.text) continue;
    (void)write_text(room.text, text.length);
    text.length = 0;
  }
  if (text.length != 0) (void)write_text(room.text, text.length);
}

hak_cold static void publish(void) {
  char phase[HAK_PHASE_BYTES];
  hak_export_phase(phase);
  int error = hak_published_update(&room.snapshot, process_id, phase);
  if (error != 0) (void)fail("a shared page", error);
}

// ---- when ----

// A process that was made without fork's handlers is not ours to write for: it may share the
// descriptor's offset or, after vfork, even this memory with its parent.
static bool is_this_process(void) { return hak_process_id() == process_id; }

hak_cold static void do_due(void) {
  bool is_line_due = hak_beat_take(&line_beat), is_page_due = hak_beat_take(&page_beat);
  if (is_line_due || is_page_due) hak_stats_gather(&room.snapshot);
  if (is_line_due) (void)write_line();
  if (is_page_due) publish();
  hak_beat_set_due(&line_beat, &page_beat);
}

// The tick's job. When another thread is writing, the due time stays and the next tick tries again.
static void run_job(void) {
  if (!hak_lock_try(&lock)) return;
  if (is_this_process()) {
    do_due();
  } else {
    hak_tick_set_due(HAK_JOB_TELEMETRY, hak_platform_now_ms() + 1000);
  }
  hak_lock_release(&lock);
}

bool hak_telemetry_write(const char* phase) {
  hak_fork_look();
  if (hak_lock_is_mine(&lock)) return false;  // a signal handler that interrupted it
  if (phase != NULL) hak_export_set_phase(phase);
  bool is_written = false;
  hak_lock_acquire(&lock);
  if (has_target && is_this_process()) {
    hak_stats_gather(&room.snapshot);
    is_written = write_line();
  }
  hak_lock_release(&lock);
  return is_written;
}

// ---- the end, and new processes ----

static bool take_lock_at_last(void) {
  if (hak_lock_is_mine(&lock)) return false;
  for (unsigned waited_ms = 0; waited_ms < LAST_WAIT_MS; waited_ms++) {
    if (hak_lock_try(&lock)) return true;
    hak_platform_sleep_ms(1);
  }
  return false;
}

// The last line comes after the events, so that it is the last of the file. With other locks
// held there is no gathering.
static void write_last(bool can_gather) {
  if (!take_lock_at_last()) return;
  if (has_target && is_this_process()) {
    write_events();
    if (can_gather) {
      hak_stats_gather(&room.snapshot);
      (void)write_line();
    }
    hak_beat_set_interval(&line_beat, 0);
  }
  hak_lock_release(&lock);
}

static void write_last_words(void) { write_last(!hak_lock_holds_any()); }

__attribute__((destructor)) static void finish(void) {
  hak_fork_look();
  write_last(true);
}

// What a thread that is gone was writing is the parent's.
static void repair(bool is_whole) {
  (void)is_whole;
  (void)hak_lock_repair(&lock);
}
HAK_REPAIR(TELEMETRY, repair, NULL);

// The child of fork opens the file anew, for its name and its offset, counts its own lines and
// events, and has no page. (A child that was made in another way may share its descriptors.)
static void begin_child(void) {
  if (hak_lock_is_mine(&lock)) return;  // a handler forked that interrupted it: it goes on
  if (!target.is_stderr) hak_descriptor_close(&file);
  hak_published_forget();
  process_id = hak_process_id();
  sequence = 0;
  events_before = hak_events_count();
  hak_beat_restart(&line_beat);
  hak_beat_set_interval(&page_beat, 0);
  hak_beat_set_due(&line_beat, &page_beat);
}

// ---- the start ----

hak_cold static void start_target(void) {
  const char* value = hak_option_text(HAK_OPTION_telemetry);
  has_target = value != NULL && hak_target_parse(value, &target);
  if (!has_target) return;
  if (!hak_working_directory(room.directory, sizeof room.directory)) room.directory[0] = '\0';
  int error = ensure_file();
  if (error != 0) (void)fail(file_name(), error);
  hak_beat_set_interval(&line_beat, (uint64_t)hak_option_number(HAK_OPTION_telemetry_interval));
  error = target.signal != 0 ? hak_beat_on_signal(&line_beat, target.signal) : 0;
  if (error != 0) complain("a signal's order", error);
  hak_fatal_set_last_words(write_last_words);
}

hak_cold static void start_page(void) {
  if (hak_option_number(HAK_OPTION_telemetry_shm) == 0) return;
  bool is_line_sooner = line_beat.interval_ms != 0 && line_beat.interval_ms < PAGE_INTERVAL_MS;
  hak_beat_set_interval(&page_beat, is_line_sooner ? line_beat.interval_ms : PAGE_INTERVAL_MS);
  page_beat.due_ms = HAK_TICK_NOW;
}

bool hak_telemetry_start(void) {
  const char* phase = hak_option_text(HAK_OPTION_phase);
  if (phase != NULL) hak_export_set_phase(phase);
  pthread_atfork(NULL, NULL, begin_child);
  // Most programs ask for none of it, and shall not touch memory for it.
  bool is_wanted = hak_option_text(HAK_OPTION_telemetry) != NULL ||
                   hak_option_number(HAK_OPTION_telemetry_shm) != 0;
  if (!is_wanted) return false;
  hak_lock_acquire(&lock);
  process_id = hak_process_id();
  hak_tick_register(HAK_JOB_TELEMETRY, run_job);
  start_target();
  start_page();
  if (has_target || page_beat.interval_ms != 0) do_due();
  hak_lock_release(&lock);
  return line_beat.interval_ms != 0 || page_beat.interval_ms != 0 || target.signal != 0;
}
