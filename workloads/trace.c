// Traces, read batch by batch. A batch is a frame: decoded in order, then sorted by thread.

#define ZSTD_STATIC_LINKING_ONLY  // ZSTD_initStaticDCtx: memory that is not malloc's

#include "workloads/trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "workloads/harness/measure.h"

enum {
  TID_PLACES = 2 * TRACE_MAX_THREADS,
  PLAIN_BYTES = (TRACE_FRAME_CALLS + 1) * TRACE_CALL_BYTES,
};

static bool fail(trace* self, const char* what) {
  snprintf(self->message, sizeof(self->message), "%s: %s", self->path, what);
  return false;
}

static bool fail_damaged(trace* self) { return fail(self, "the trace is damaged"); }

// ---- the file ----

static bool read_all(int fd, void* data, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t got = read(fd, (char*)data + done, bytes - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += (size_t)got;
  }
  return true;
}

bool trace_is_packed(int fd) {
  uint64_t magic = 0;
  return pread(fd, &magic, sizeof(magic), 0) == sizeof(magic) && magic == TRACE_MAGIC;
}

bool trace_open(trace* self, int fd, const char* path) {
  *self = (trace){.fd = fd, .path = path, .first_started = -1};
  trace_totals* totals = &self->totals;
  off_t end = lseek(fd, 0, SEEK_END) - (off_t)sizeof(*totals);
  if (end < (off_t)sizeof(uint64_t) || pread(fd, totals, sizeof(*totals), end) != sizeof(*totals) ||
      totals->magic != TRACE_END_MAGIC || totals->threads > TRACE_MAX_THREADS ||
      totals->slots > UINT32_MAX) {
    return fail(self, "the trace has no end: its recording was cut off");
  }
  if (totals->ops == 0) return fail(self, "holds no call that can be replayed");
  lseek(fd, sizeof(uint64_t), SEEK_SET);
  size_t decoder_bytes = ZSTD_estimateDCtxSize();
  self->threads = wl_map(totals->threads * sizeof(*self->threads));
  self->active = wl_map(totals->threads * sizeof(*self->active));
  self->ops = wl_map(TRACE_FRAME_CALLS * sizeof(*self->ops));
  self->sorted = wl_map(TRACE_FRAME_CALLS * sizeof(*self->sorted));
  self->makers = wl_map((totals->slots + 1) * sizeof(*self->makers));
  self->slots.free = wl_map((totals->slots + 1) * sizeof(uint32_t));
  self->slots.freed = wl_map((TRACE_FRAME_CALLS + 1) * sizeof(uint32_t));
  self->tids = wl_map(TID_PLACES * sizeof(*self->tids));
  self->decoder = ZSTD_initStaticDCtx(wl_map(decoder_bytes), decoder_bytes);
  self->packed_bytes = ZSTD_compressBound(PLAIN_BYTES);
  self->packed = wl_map(self->packed_bytes);
  self->plain = wl_map(PLAIN_BYTES);
  return true;
}

// ---- threads ----

static int32_t* find_tid(const trace* self, uint64_t tid) {
  uint64_t at = tid * 0x9e3779b97f4a7c15u >> 40;
  for (;; at++) {
    int32_t* place = &self->tids[at % TID_PLACES];
    if (*place == 0 || self->threads[*place - 1].tid == tid) return place;
  }
}

static void activate(trace* self, int32_t index) {
  trace_thread* thread = &self->threads[index];
  if (thread->is_in_batch) return;
  thread->is_in_batch = true;
  thread->first_started = thread->last_started = thread->next_started = -1;
  thread->op_count = 0;
  self->active[self->active_count++] = (uint16_t)index;
}

// Enters a thread among those that the last caller started; the first of all has no starter.
static void link_to_starter(trace* self, int32_t index, int32_t starter_index) {
  if (index == 0) return;
  if (starter_index < 0) {
    int32_t* last = &self->first_started;
    while (*last >= 0) last = &self->threads[*last].next_started;
    *last = index;
    return;
  }
  trace_thread* starter = &self->threads[starter_index];
  self->threads[index].start_after = starter->op_count;
  if (starter->first_started < 0) {
    starter->first_started = index;
  } else {
    self->threads[starter->last_started].next_started = index;
  }
  starter->last_started = index;
}

static void add_thread(trace* self, uint64_t tid, int32_t starter) {
  int32_t* place = find_tid(self, tid);
  int32_t index = (int32_t)self->thread_count++;
  self->threads[index] = (trace_thread){.tid = tid, .predecessor = *place - 1};
  *place = index + 1;
  activate(self, index);
  link_to_starter(self, index, starter);
}

// ---- a frame ----

typedef struct reader {
  trace* out;
  const unsigned char* at;
  const unsigned char* end;
  uint32_t slot;   // the last that was written
  int32_t thread;  // whose calls these are, -1 before the first
  int32_t caller;  // whose call was the last, -1 before the first
  bool is_bad;
} reader;

static uint64_t take_number(reader* self) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && self->at < self->end; shift += 7) {
    unsigned char byte = *self->at++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  self->is_bad = true;
  return 0;
}

static uint32_t slot_of(reader* self, uint64_t zigzag) {
  int64_t difference = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
  uint32_t slot = (uint32_t)(self->slot + difference);
  if (slot >= self->out->slots.used) self->is_bad = true;
  self->slot = slot;
  return self->is_bad ? 0 : slot;
}

static void take_thread(reader* self, uint64_t index) {
  trace* out = self->out;
  if (index > out->thread_count || index >= out->totals.threads) {
    self->is_bad = true;
    return;
  }
  if (index == out->thread_count) {
    add_thread(out, take_number(self), self->caller);
  } else {
    activate(out, (int32_t)index);
  }
  self->thread = (int32_t)index;
}

// The slots of the block that a call makes, and of the one it takes.
static void use_slots(reader* self, trace_op* op, bool takes, bool makes, uint64_t zigzag) {
  trace* out = self->out;
  if (takes) {
    uint32_t slot = slot_of(self, zigzag);
    op->is_foreign = out->makers[slot] != op->thread;
    if (out->slots.freed_count < TRACE_FRAME_CALLS) trace_slot_give(&out->slots, slot);
    op->slot = op->old_slot = slot;
  }
  if (!makes) return;
  op->slot = trace_slot_take(&out->slots);
  if (op->slot >= out->totals.slots) {
    self->is_bad = true;
    op->slot = 0;
  }
  out->makers[op->slot] = op->thread;
}

static void take_call(reader* self, trace_kind kind, uint64_t value) {
  trace* out = self->out;
  if (self->thread < 0 || out->op_count == TRACE_FRAME_CALLS) {
    self->is_bad = true;
    return;
  }
  if (self->thread != self->caller && out->op_count > 0) out->turn_count++;
  self->caller = self->thread;
  trace_op* op = &out->ops[out->op_count++];
  *op =
      (trace_op){.kind = (uint8_t)kind, .thread = (uint16_t)self->thread, .turn = out->turn_count};
  if (kind == TRACE_FREE) {
    use_slots(self, op, true, false, value);
  } else {
    op->size = value;
    use_slots(self, op, kind == TRACE_REALLOC, true, kind == TRACE_REALLOC ? take_number(self) : 0);
    if (kind == TRACE_MEMALIGN) op->alignment = (uint8_t)(take_number(self) & 63);
  }
  out->threads[self->thread].op_count++;
}

static void take_item(reader* self) {
  unsigned char head = *self->at++;
  trace_kind kind = head & 7;
  uint64_t value = head >> 3 & 15;
  if (head & 0x80) value |= take_number(self) << 4;
  if (kind <= TRACE_FREE) {
    take_call(self, kind, value);
  } else if (kind == TRACE_THREAD) {
    take_thread(self, value);
  } else if (self->thread >= 0) {
    self->out->threads[self->thread].ends = true;
  }
}

// Moves each thread's calls together, keeping their order.
static void sort_by_thread(trace* self) {
  uint64_t at = 0;
  for (size_t i = 0; i < self->active_count; i++) {
    trace_thread* thread = &self->threads[self->active[i]];
    thread->ops = self->sorted + at;
    at += thread->op_count;
    thread->op_count = 0;
  }
  for (uint64_t i = 0; i < self->op_count; i++) {
    trace_op* op = &self->ops[i];
    op->ends_turn = i + 1 == self->op_count || self->ops[i + 1].turn != op->turn;
    trace_thread* thread = &self->threads[op->thread];
    thread->ops[thread->op_count++] = *op;
  }
}

static void forget_batch(trace* self) {
  for (size_t i = 0; i < self->active_count; i++) {
    self->threads[self->active[i]].is_in_batch = false;
  }
  self->active_count = 0;
  self->op_count = 0;
  self->turn_count = 0;
  self->first_started = -1;
}

bool trace_next(trace* self) {
  trace_frame frame;
  forget_batch(self);
  if (self->ops_read == self->totals.ops) return false;
  if (!read_all(self->fd, &frame, sizeof(frame)) || frame.packed_bytes > self->packed_bytes ||
      frame.plain_bytes > PLAIN_BYTES || !read_all(self->fd, self->packed, frame.packed_bytes)) {
    return fail_damaged(self);
  }
  size_t plain = ZSTD_decompressDCtx(self->decoder, self->plain, frame.plain_bytes, self->packed,
                                     frame.packed_bytes);
  if (plain != frame.plain_bytes) return fail_damaged(self);
  const unsigned char* data = (const unsigned char*)self->plain;
  reader in = {.out = self, .at = data, .end = data + plain, .thread = -1, .caller = -1};
  while (in.at < in.end && !in.is_bad) take_item(&in);
  trace_slots_end_frame(&self->slots);
  self->ops_read += self->op_count;
  if (in.is_bad || self->ops_read > self->totals.ops) return fail_damaged(self);
  sort_by_thread(self);
  return true;
}
