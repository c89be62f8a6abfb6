// See trace.h. Reading is one pass over the text, which gives slots to pointers and threads to tids
// through open-addressing tables, and one stable sort of the calls by thread.

#include "workloads/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "workloads/harness/measure.h"
#include "workloads/harness/text_file.h"

// A live block of the recorded program. An empty place has pointer 0; a deleted one keeps its
// pointer with no slot.
typedef struct live_block {
  uint64_t pointer;
  uint64_t size;
  uint32_t slot;
  uint16_t thread;
  bool is_live;
} live_block;

enum { TID_PLACES = 2 * TRACE_MAX_THREADS };

typedef struct reader {
  trace* out;
  uint32_t* tids;  // [TID_PLACES] the newest thread of a tid, counted from 1; 0 is an empty place
  live_block* table;
  uint64_t mask;
  uint64_t live_bytes;
  uint64_t live_blocks;
  int32_t current_thread;  // of the last call, -1 before the first
} reader;

enum { MAX_VALUES = 5 };

typedef struct trace_line {
  uint64_t tid;
  char name[16];
  uint64_t values[MAX_VALUES];
  int value_count;
} trace_line;

// ---- one line of text ----

static bool read_unsigned(const char** text, uint64_t* value) {
  const char* at = *text;
  uint64_t base = 10;
  *value = 0;
  if (at[0] == '0' && at[1] == 'x') {
    at += 2;
    base = 16;
  }
  const char* start = at;
  for (;; at++) {
    uint64_t digit;
    if (*at >= '0' && *at <= '9') {
      digit = (uint64_t)(*at - '0');
    } else if (base == 16 && *at >= 'a' && *at <= 'f') {
      digit = 10 + (uint64_t)(*at - 'a');
    } else {
      break;
    }
    if (*value > (UINT64_MAX - digit) / base) return false;
    *value = *value * base + digit;
  }
  *text = at;
  return at != start;
}

// Reads "<tid>: <name> <value> ..." up to the end of the line.
static bool read_line(const char* text, trace_line* out) {
  if (!read_unsigned(&text, &out->tid) || *text++ != ':' || *text++ != ' ') return false;
  size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz_");
  if (length == 0 || length >= sizeof(out->name)) return false;
  memcpy(out->name, text, length);
  out->name[length] = '\0';
  text += length;
  out->value_count = 0;
  while (*text == ' ' && out->value_count < MAX_VALUES) {
    text++;
    if (!read_unsigned(&text, &out->values[out->value_count++])) return false;
  }
  if (*text == '\r') text++;
  return *text == '\n' || *text == '\0';
}

// ---- live blocks ----

static live_block* find_place(const reader* self, uint64_t pointer) {
  uint64_t at = pointer / 16 * 0x9e3779b97f4a7c15u;
  for (at ^= at >> 32;; at++) {
    live_block* place = &self->table[at & self->mask];
    if (place->pointer == pointer || place->pointer == 0) return place;
  }
}

static live_block* find_live(const reader* self, uint64_t pointer) {
  live_block* place = find_place(self, pointer);
  return pointer != 0 && place->is_live ? place : NULL;
}

static void remove_live(reader* self, live_block* block) {
  block->is_live = false;
  self->live_bytes -= block->size;
  self->live_blocks--;
}

// A pointer that is live already was freed unseen (a recording with gaps): the old block stays
// allocated.
static uint32_t add_live(reader* self, uint64_t pointer, uint64_t size, uint16_t thread) {
  live_block* place = find_place(self, pointer);
  if (place->is_live) remove_live(self, place);
  *place = (live_block){pointer, size, self->out->slot_count++, thread, true};
  self->live_bytes += size;
  self->live_blocks++;
  if (self->live_bytes > self->out->peak_bytes) self->out->peak_bytes = self->live_bytes;
  if (self->live_blocks > self->out->peak_blocks) self->out->peak_blocks = self->live_blocks;
  return place->slot;
}

// ---- threads and calls ----

static uint32_t* find_tid(const reader* self, uint64_t tid) {
  uint64_t at = tid * 0x9e3779b97f4a7c15u >> 40;
  for (;; at++) {
    uint32_t* place = &self->tids[at % TID_PLACES];
    if (*place == 0 || self->out->threads[*place - 1].tid == tid) return place;
  }
}

// Enters a thread among those that the last caller started; the first of all has no starter.
static void link_to_starter(const reader* self, int32_t index) {
  trace_thread* threads = self->out->threads;
  trace_thread* starter = &threads[self->current_thread >= 0 ? self->current_thread : 0];
  if (index == 0) return;
  threads[index].start_after = starter->op_count;
  if (starter->first_started < 0) {
    starter->first_started = index;
  } else {
    threads[starter->last_started].next_started = index;
  }
  starter->last_started = index;
}

// The living thread of a tid, or a new one. -1 when there are too many.
static int32_t thread_of(const reader* self, uint64_t tid) {
  trace* out = self->out;
  uint32_t* place = find_tid(self, tid);
  int32_t last = (int32_t)*place - 1;
  if (last >= 0 && !out->threads[last].has_ended) return last;
  if (out->thread_count == TRACE_MAX_THREADS) return -1;
  int32_t index = (int32_t)out->thread_count++;
  out->threads[index] = (trace_thread){
      .tid = tid, .next_started = -1, .first_started = -1, .last_started = -1, .predecessor = last};
  *place = (uint32_t)index + 1;
  link_to_starter(self, index);
  return index;
}

static trace_op* add_op(reader* self, trace_kind kind, int32_t thread, uint64_t size) {
  trace* out = self->out;
  if (thread != self->current_thread) {
    if (out->op_count > 0) out->turn_count++;
    self->current_thread = thread;
  }
  trace_op* op = &out->ops[out->op_count++];
  *op = (trace_op){
      .size = size,
      .turn = out->turn_count,
      .thread = (uint16_t)thread,
      .kind = (uint8_t)kind,
  };
  out->threads[thread].op_count++;
  return op;
}

static void add_free(reader* self, int32_t thread, uint64_t pointer) {
  live_block* block = find_live(self, pointer);
  if (block == NULL) {
    self->out->unknown_frees += pointer != 0;
    return;
  }
  trace_op* op = add_op(self, TRACE_FREE, thread, 0);
  op->slot = block->slot;
  op->is_foreign = block->thread != thread;
  remove_live(self, block);
}

static trace_op* add_allocation(reader* self, trace_kind kind, int32_t thread, uint64_t pointer,
                                uint64_t size) {
  if (pointer == 0) {
    self->out->failed_calls++;
    return NULL;
  }
  trace_op* op = add_op(self, kind, thread, size);
  op->slot = add_live(self, pointer, size, (uint16_t)thread);
  return op;
}

static void add_realloc(reader* self, int32_t thread, uint64_t pointer, uint64_t old,
                        uint64_t size) {
  if (size == 0 && pointer == 0) {
    add_free(self, thread, old);
    return;
  }
  live_block* block = pointer != 0 ? find_live(self, old) : NULL;
  if (block == NULL) {
    add_allocation(self, TRACE_MALLOC, thread, pointer, size);
    return;
  }
  uint32_t old_slot = block->slot;
  bool is_foreign = block->thread != thread;
  remove_live(self, block);
  trace_op* op = add_allocation(self, TRACE_REALLOC, thread, pointer, size);
  op->old_slot = old_slot;
  op->is_foreign = is_foreign;
}

// Whether a line is this call, with its `values` or these and `times` behind them.
static bool is_call(const trace_line* line, const char* name, int values, int times) {
  return strcmp(line->name, name) == 0 &&
         (line->value_count == values || line->value_count == values + times);
}

// Adds what one line says. Returns NULL, or what is wrong with it.
static const char* add_line(reader* self, const trace_line* line) {
  const uint64_t* values = line->values;
  int32_t thread = thread_of(self, line->tid);
  if (thread < 0) return "too many threads";
  if (is_call(line, "malloc", 2, 2)) {
    add_allocation(self, TRACE_MALLOC, thread, values[0], values[1]);
  } else if (is_call(line, "free", 1, 2)) {
    add_free(self, thread, values[0]);
  } else if (is_call(line, "calloc", 3, 2)) {
    uint64_t bytes;
    if (__builtin_mul_overflow(values[1], values[2], &bytes)) return "count * size overflows";
    add_allocation(self, TRACE_CALLOC, thread, values[0], bytes);
  } else if (is_call(line, "realloc", 3, 2)) {
    add_realloc(self, thread, values[0], values[1], values[2]);
  } else if (is_call(line, "memalign", 3, 2)) {
    uint64_t alignment = values[1];
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
      return "the alignment is not a power of two";
    }
    trace_op* op = add_allocation(self, TRACE_MEMALIGN, thread, values[0], values[2]);
    if (op != NULL) op->alignment = (uint8_t)__builtin_ctzll(alignment);
  } else if (is_call(line, "thread_done", 1, 1)) {
    self->out->threads[thread].has_ended = true;
  } else {
    return "not a call that can be replayed, or with too few or too many values";
  }
  return NULL;
}

// ---- the whole file ----

// Moves each thread's calls together, keeping their order.
static void sort_by_thread(trace* out, uint64_t reserved) {
  trace_op* sorted = wl_map(out->op_count * sizeof(*sorted));
  uint64_t at = 0;
  for (size_t i = 0; i < out->thread_count; i++) {
    out->threads[i].ops = sorted + at;
    at += out->threads[i].op_count;
    out->threads[i].op_count = 0;
  }
  for (uint64_t i = 0; i < out->op_count; i++) {
    trace_op* op = &out->ops[i];
    op->ends_turn = i + 1 == out->op_count || out->ops[i + 1].turn != op->turn;
    trace_thread* thread = &out->threads[op->thread];
    thread->ops[thread->op_count++] = *op;
  }
  wl_trim(out->ops, reserved, 0);
  out->ops = sorted;
}

static uint64_t count_lines(const char* text) {
  uint64_t lines = 1;
  for (; (text = strchr(text, '\n')) != NULL; text++) lines++;
  return lines;
}

static bool read_lines(reader* self, const char* path, const char* text,
                       char message[TRACE_MESSAGE_BYTES]) {
  for (uint64_t number = 1; *text != '\0'; number++) {
    trace_line line;
    const char* end = text + strcspn(text, "\n");
    bool is_blank = text == end || *text == '#';
    const char* wrong = is_blank                  ? NULL
                        : !read_line(text, &line) ? "expected \"<tid>: <call> <values>\""
                                                  : add_line(self, &line);
    if (wrong != NULL) {
      snprintf(message, TRACE_MESSAGE_BYTES, "%s:%" PRIu64 ": %s", path, number, wrong);
      return false;
    }
    text = *end == '\n' ? end + 1 : end;
  }
  return true;
}

bool trace_read(const char* path, trace* out, char message[TRACE_MESSAGE_BYTES]) {
  size_t bytes;
  char* text = wl_read_text(path, &bytes);
  if (text == NULL) {
    snprintf(message, TRACE_MESSAGE_BYTES, "%s: %s", path, strerror(errno));
    return false;
  }
  uint64_t lines = count_lines(text);
  uint64_t places = 1;
  if (lines >= UINT32_MAX) {
    snprintf(message, TRACE_MESSAGE_BYTES, "%s: more than 2^32 calls", path);
    return false;
  }
  while (places < 2 * lines) places *= 2;
  const uint64_t thread_bytes = TRACE_MAX_THREADS * sizeof(trace_thread);
  *out = (trace){
      .threads = wl_reserve(thread_bytes),
      .ops = wl_reserve(lines * sizeof(trace_op)),
  };
  reader self = {
      .out = out,
      .tids = wl_reserve(TID_PLACES * sizeof(uint32_t)),
      .table = wl_reserve(places * sizeof(live_block)),
      .mask = places - 1,
      .current_thread = -1,
  };
  if (!read_lines(&self, path, text, message)) return false;
  if (out->op_count == 0) {
    snprintf(message, TRACE_MESSAGE_BYTES, "%s: holds no call that can be replayed", path);
    return false;
  }
  sort_by_thread(out, lines * sizeof(trace_op));
  wl_trim(out->threads, thread_bytes, out->thread_count * sizeof(trace_thread));
  wl_trim(self.tids, TID_PLACES * sizeof(uint32_t), 0);
  wl_trim(self.table, places * sizeof(live_block), 0);
  wl_free_text(text, bytes);
  return true;
}
