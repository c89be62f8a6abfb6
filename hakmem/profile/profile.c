// Start, stop, dump, and the moment of a sample. Owns lock DUMP.

#include "hakmem/profile/profile.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "hakmem/hardened/hardened.h"
#include "hakmem/heap/cache.h"
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/descriptor.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/platform.h"
#include "hakmem/platform/probe.h"
#include "hakmem/profile/lines.h"
#include "hakmem/profile/modules.h"
#include "hakmem/profile/pprof.h"
#include "hakmem/slab/central.h"
#include "hakmem/telemetry/target.h"
#include "hakmem/unwind/unwind.h"

hak_lock_t hak_dump_lock = HAK_LOCK_INIT(HAK_RANK_DUMP);
static uint64_t last_interval;  // lock:DUMP: in bytes; 0: nothing was sampled yet

// Set while this thread takes a sample: what the unwinder allocates, if anything, is no sample.
static hak_thread_local bool is_sampling;

// ---- samples ----

HAK_PROBE_DEFINE(otel_memory, alloc);

// Enters a sample, a block of `bytes`, with the stack of calls that led to it. False: there is no
// room.
HAK_HAS_PROBE static bool record(hak_profile_sample_t* sample, uint64_t bytes, const void* caller) {
  int saved_errno = errno;
  uintptr_t frames[HAK_UNWIND_DEPTH];
  is_sampling = true;
  hak_compiler_barrier();
  unsigned n = hak_unwind(frames, caller);
  bool is_known = hak_samples_add(sample, frames, n);
  hak_compiler_barrier();
  is_sampling = false;
  errno = saved_errno;
  if (is_known && hak_probe_is_on(otel_memory, alloc)) {
    HAK_PROBE_3(otel_memory, alloc, sample->block, bytes, sample->bytes);
  }
  return is_known;
}

void* hak_profile_take(void* stand_in, unsigned size_class, const void* caller) {
  if (is_sampling || !hak_sampling_is_on()) return stand_in;
  void* block = hak_central_take_sampled(size_class);
  if (block == NULL) return stand_in;
  uint64_t bytes = hak_class_info(size_class)->block_bytes;
  uint64_t objects = hak_load_relaxed(&hak_sampling_classes[size_class].objects);
  hak_profile_sample_t sample = {
      .block = block,
      .stand_in = stand_in,
      .objects = objects,
      .bytes = (objects * bytes) >> HAK_OBJECTS_SHIFT,
  };
  if (record(&sample, bytes, caller)) return block;
  hak_central_return_sampled(block);
  return stand_in;
}

void hak_profile_note(const void* block, uint64_t bytes, hak_heap_t* heap, const void* caller) {
  hak_sampler_t* sampler = heap != NULL ? &heap->sampler : NULL;
  if (is_sampling || !hak_sampling_draw(sampler, bytes)) return;
  double weight = hak_sampling_weight(bytes, hak_load_relaxed(&hak_sampling_interval));
  hak_profile_sample_t sample = {
      .block = block,
      .objects = hak_sampling_objects(weight),
      .bytes = (uint64_t)(weight * (double)bytes + 0.5),
  };
  (void)record(&sample, bytes, caller);
}

void* hak_profile_free(void* block) {
  hak_profile_sample_t sample = {.block = block};
  (void)hak_samples_remove(&sample);
  hak_central_return_sampled(block);
  return sample.stand_in;
}

// ---- begin and end ----

// lock:DUMP
static bool ready_tables(void) {
  hak_lock_acquire(&hak_profile_lock);
  bool is_ready = hak_samples_start();
  hak_lock_release(&hak_profile_lock);
  return is_ready;
}

// The job WATCH.
static void draw_pages(void) {
  uint64_t begin_ns = hak_platform_now_ns();
  hak_sampling_draw_pages();
  uint64_t took_ms = (hak_platform_now_ns() - begin_ns) * HAK_WATCH_SHARE / 1000000;
  hak_tick_set_due(HAK_JOB_WATCH,
                   hak_platform_now_ms() + hak_max_size(took_ms, HAK_WATCH_LEAST_MS));
}

bool hak_profile_begin(uint64_t interval) {
  if (!ready_tables()) return false;
  last_interval = interval;
  hak_sampling_begin(interval, hak_platform_now_ns() ^ (uint64_t)hak_process_id() << 32);
  hak_tick_register(HAK_JOB_WATCH, draw_pages);
  draw_pages();
  return true;
}

hak_cold bool hak_profile_start(size_t interval) {
  if (interval == 0 || interval > (size_t)HAK_SAMPLING_INTERVAL_MAX) {
    errno = EINVAL;
    return false;
  }
  hak_fork_look();
  if (hak_hardened_begin()) {
    errno = ENOTSUP;
    return false;
  }
  (void)hak_unwind_start();  // it allocates, and takes the dynamic linker's locks
  hak_lock_acquire(&hak_dump_lock);
  bool is_ready = hak_profile_begin(interval);
  hak_lock_release(&hak_dump_lock);
  if (is_ready && hak_this_heap != HAK_NO_HEAP) hak_cache_return_unsampled(hak_this_heap);
  if (!is_ready) errno = ENOMEM;
  return is_ready;
}

void hak_profile_end(void) {
  hak_tick_set_due(HAK_JOB_WATCH, HAK_TICK_NEVER);
  hak_sampling_end();
  hak_central_end_sampled();
}

hak_cold void hak_profile_stop(void) {
  hak_fork_look();
  hak_lock_acquire(&hak_dump_lock);
  hak_profile_end();
  hak_lock_release(&hak_dump_lock);
}

bool hak_profile_has_begun(void) { return last_interval != 0; }

// ---- profiles ----

typedef struct output {
  int number;
  int wait_ms;
  int error;
} output_t;

static bool append(const char* bytes, size_t length, void* context) {
  output_t* out = context;
  out->error = hak_descriptor_append(out->number, bytes, length, out->wait_ms);
  return out->error == 0;
}

static uint64_t wall_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// lock:DUMP. Returns 0 or an errno value.
static int write_profile(int number, hak_profile_kind kind, int wait_ms) {
  char buffer[1024];
  output_t out = {.number = number, .wait_ms = wait_ms, .error = 0};
  hak_text_t text = {.buffer = buffer, .capacity = sizeof buffer, .sink = append, .context = &out};
  if (!hak_modules_read()) return ENOMEM;
  hak_profile_head_t head = {wall_ns(), last_interval, hak_process_id()};
  if (kind == HAK_PROFILE_PPROF) {
    hak_pprof_write(&text, &head);
  } else if (kind == HAK_PROFILE_JSON) {
    hak_json_lines_write(&text, &head);
  } else {
    hak_collapsed_write(&text, kind == HAK_PROFILE_LIVE_STACKS);
  }
  return hak_text_end(&text) ? 0 : out.error;
}

int hak_profile_write_file(const char* path, hak_profile_kind kind, int wait_ms) {
  hak_descriptor_t file = HAK_DESCRIPTOR_NONE;
  int error = hak_descriptor_create(&file, path);
  if (error != 0) return error;
  error = write_profile(file.number, kind, wait_ms);
  hak_descriptor_close(&file);
  return error;
}

static bool is_kind(hak_profile_kind kind) {
  return kind == HAK_PROFILE_PPROF || kind == HAK_PROFILE_LIVE_STACKS ||
         kind == HAK_PROFILE_ALL_STACKS || kind == HAK_PROFILE_JSON;
}

static bool dump(const char* path, int number, hak_profile_kind kind) {
  int error = EINVAL;
  if (is_kind(kind)) {
    hak_fork_look();
    hak_lock_acquire(&hak_dump_lock);
    error = path != NULL ? hak_profile_write_file(path, kind, HAK_DESCRIPTOR_WAIT)
                         : write_profile(number, kind, HAK_DESCRIPTOR_WAIT);
    hak_lock_release(&hak_dump_lock);
  }
  if (error != 0) errno = error;
  return error == 0;
}

hak_cold bool hak_profile_dump(const char* path, hak_profile_kind kind) {
  return dump(path, -1, kind);
}

hak_cold bool hak_profile_write(int fd, hak_profile_kind kind) { return dump(NULL, fd, kind); }

// ---- after a fork ----

// What is under it is settled by who takes it next: each of these does all it does anew.
static void repair(bool is_whole) {
  (void)is_whole;
  (void)hak_lock_repair(&hak_dump_lock);
}
HAK_REPAIR(DUMP, repair, NULL);
