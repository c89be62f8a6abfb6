// The ring of slow events, each slot written and read without a lock.

#include "hakmem/options/events.h"

#include "hakmem/base/atomic.h"
#include "hakmem/base/size_class.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/platform/line.h"
#include "hakmem/platform/platform.h"
#include "hakmem/platform/thread_id.h"

// A slot's words are atomics so that a reader may race with a writer; `sequence` is 0 while the
// slot is being written and the event's number after, so a reader that finds the same number
// before and after copying has a whole event.
typedef struct slot {
  _Atomic(uint64_t) sequence;
  _Atomic(uint64_t) time_ns, address, bytes;
  _Atomic(uint64_t) kind_class_thread;
  _Atomic(int32_t) detail;
} slot_t;

static slot_t ring[HAK_EVENT_RING];
static _Atomic(uint64_t) n_events;
static _Atomic(uint64_t) n_printed;
static _Atomic(uint64_t) exhausted[HAK_N_CLASSES];

const char* hak_event_name(hak_event_kind_t kind) {
  static const char* const names[HAK_EVENT_N_KINDS] = {
      "reserved",      "exhausted", "out of memory",  "purged",       "adopted",
      "kernel failed", "prewarmed", "near the limit", "at the limit",
  };
  return names[kind];
}

uint64_t hak_events_count(void) { return hak_load_relaxed(&n_events); }
uint64_t hak_events_exhausted(unsigned size_class) {
  return hak_load_relaxed(&exhausted[size_class]);
}

static const char* outcome(hak_event_kind_t kind) {
  switch (kind) {
    case HAK_EVENT_EXHAUSTED:
      return ": no SuperSlab had room; took one more";
    case HAK_EVENT_OUT_OF_MEMORY:
      return ": there is no memory left; the caller gets NULL";
    case HAK_EVENT_NEAR_LIMIT:
      return ": what is free goes back at once, and caches do not grow";
    case HAK_EVENT_AT_LIMIT:
      return ": refused, until caches are empty";
    default:
      return "";
  }
}

static void print(const hak_event_t* event) {
  hak_event_kind_t kind = (hak_event_kind_t)event->kind;
  unsigned size_class = event->size_class;
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, hak_event_name(kind));
  if (kind == HAK_EVENT_KERNEL_FAILED) {
    hak_line_text(&line, " ");
    hak_line_text(&line, hak_platform_kind_name((hak_kernel_kind_t)size_class));
    hak_line_text(&line, " errno ");
    hak_line_number(&line, (uint64_t)event->detail);
  } else if (size_class != 0) {
    hak_line_text(&line, " class ");
    hak_line_number(&line, size_class);
    hak_line_text(&line, " (");
    hak_line_number(&line, hak_class_info(size_class)->block_bytes);
    hak_line_text(&line, "-byte blocks)");
  }
  if (event->bytes != 0) {
    hak_line_text(&line, " ");
    hak_line_number(&line, event->bytes);
    hak_line_text(&line, " bytes");
  }
  if (event->address != 0) {
    hak_line_text(&line, " at ");
    hak_line_hex(&line, event->address);
  }
  hak_line_text(&line, outcome(kind));
  hak_line_end(&line);
}

void hak_event_record(hak_event_kind_t kind, unsigned size_class, uintptr_t address, size_t bytes,
                      int detail) {
  if (kind == HAK_EVENT_EXHAUSTED) hak_fetch_add_relaxed(&exhausted[size_class], 1);
  uint64_t sequence = hak_fetch_add_relaxed(&n_events, 1) + 1;
  slot_t* slot = &ring[sequence % HAK_EVENT_RING];
  hak_store_relaxed(&slot->sequence, 0);
  atomic_thread_fence(memory_order_release);  // pairs with the fence in read_slot
  hak_store_relaxed(&slot->time_ns, hak_platform_now_ns());
  hak_store_relaxed(&slot->address, address);
  hak_store_relaxed(&slot->bytes, bytes);
  hak_store_relaxed(&slot->kind_class_thread,
                    (uint64_t)kind << 48 | (uint64_t)size_class << 32 | hak_thread_id());
  hak_store_relaxed(&slot->detail, detail);
  hak_store_release(&slot->sequence, sequence);
  if (hak_option_number(HAK_OPTION_ss_debug) != 0) {
    hak_tick_register(HAK_JOB_EVENTS, hak_events_print);
    hak_tick_set_due(HAK_JOB_EVENTS, 0);
  }
}

static bool read_slot(slot_t* slot, uint64_t sequence, hak_event_t* out) {
  if (hak_load_acquire(&slot->sequence) != sequence) return false;
  uint64_t packed = hak_load_relaxed(&slot->kind_class_thread);
  *out = (hak_event_t){
      .sequence = sequence,
      .time_ns = hak_load_relaxed(&slot->time_ns),
      .address = hak_load_relaxed(&slot->address),
      .bytes = hak_load_relaxed(&slot->bytes),
      .thread = (uint32_t)packed,
      .kind = (uint16_t)(packed >> 48),
      .size_class = (uint16_t)(packed >> 32),
      .detail = hak_load_relaxed(&slot->detail),
  };
  atomic_thread_fence(memory_order_acquire);
  return hak_load_relaxed(&slot->sequence) == sequence;
}

size_t hak_events_read(hak_event_t* out, size_t max) {
  uint64_t last = hak_events_count();
  uint64_t first = last > HAK_EVENT_RING ? last - HAK_EVENT_RING + 1 : 1;
  if (last >= first && last - first + 1 > max) first = last - max + 1;
  size_t n = 0;
  for (uint64_t sequence = first; sequence <= last; sequence++) {
    n += read_slot(&ring[sequence % HAK_EVENT_RING], sequence, &out[n]);
  }
  return n;
}

static void print_missed(uint64_t missed) {
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, "events that came too fast to be written: ");
  hak_line_number(&line, missed);
  hak_line_end(&line);
}

// Threads that come here at once share the work: each takes the next event that nobody has taken.
void hak_events_print(void) {
  uint64_t missed = 0;
  hak_tick_set_due(HAK_JOB_EVENTS, HAK_TICK_NEVER);
  if (hak_option_number(HAK_OPTION_ss_debug) == 0) {
    hak_store_relaxed(&n_printed, hak_events_count());
    return;
  }
  for (uint64_t taken = hak_load_relaxed(&n_printed); taken < hak_events_count();) {
    if (!hak_cas_weak_release(&n_printed, &taken, taken + 1)) continue;
    hak_event_t event;
    taken++;
    if (!read_slot(&ring[taken % HAK_EVENT_RING], taken, &event)) {
      missed++;
      continue;
    }
    if (missed != 0) print_missed(missed);
    missed = 0;
    print(&event);
  }
  if (missed != 0) print_missed(missed);
}
