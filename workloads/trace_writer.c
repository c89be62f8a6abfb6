// Traces, written: events in batches, each a frame of zstd.

#define _GNU_SOURCE               // mremap
#define ZSTD_STATIC_LINKING_ONLY  // ZSTD_initStaticCCtx

#include "workloads/trace_writer.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

enum {
  LEVEL = 3,
  TID_PLACES = 2 * TRACE_MAX_THREADS,
  PLAIN_BYTES = TRACE_FRAME_CALLS * TRACE_CALL_BYTES,
  ROOM_BYTES = 3 * TRACE_CALL_BYTES,  // for a thread, a call and an end
  LEAST_LIVE = 1 << 12,
};

typedef struct trace_tid {
  uint64_t tid;
  int32_t thread;  // from 1; 0: the place is free
  bool is_living;
} trace_tid;

static void* map(size_t bytes) {
  void* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

static void fail(trace_writer* self, const char* message) {
  if (self->message == NULL) self->message = message;
}

static void write_all(trace_writer* self, const void* data, size_t bytes) {
  for (size_t done = 0; done < bytes && self->message == NULL;) {
    ssize_t written = write(self->fd, (const char*)data + done, bytes - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(self, strerror(errno));
    if (written > 0) done += (size_t)written;
  }
}

bool trace_writer_open(trace_writer* self, int fd) {
  static const uint64_t kMagic = TRACE_MAGIC;
  *self = (trace_writer){.fd = fd, .thread = -1, .mask = LEAST_LIVE - 1, .slot_room = LEAST_LIVE};
  size_t encoder_bytes = ZSTD_estimateCCtxSize(LEVEL);
  self->packed_room = ZSTD_compressBound(PLAIN_BYTES);
  self->live = map(LEAST_LIVE * sizeof(*self->live));
  self->slots.free = map(LEAST_LIVE * sizeof(uint32_t));
  self->slots.freed = map((TRACE_FRAME_CALLS + 1) * sizeof(uint32_t));
  self->tids = map(TID_PLACES * sizeof(*self->tids));
  self->plain = map(PLAIN_BYTES);
  self->packed = map(self->packed_room);
  self->encoder = map(encoder_bytes);
  if (self->live == NULL || self->slots.free == NULL || self->slots.freed == NULL ||
      self->tids == NULL || self->plain == NULL || self->packed == NULL || self->encoder == NULL) {
    fail(self, "no memory");
    return false;
  }
  self->encoder = ZSTD_initStaticCCtx(self->encoder, encoder_bytes);
  write_all(self, &kMagic, sizeof(kMagic));
  return self->message == NULL;
}

// ---- live blocks ----

static uint64_t home_of(const trace_writer* self, uint64_t pointer) {
  uint64_t hash = pointer / 8 * 0x9e3779b97f4a7c15u;
  return (hash ^ hash >> 32) & self->mask;
}

static trace_block* find(const trace_writer* self, uint64_t pointer) {
  uint64_t at = home_of(self, pointer);
  while (self->live[at].pointer != 0 && self->live[at].pointer != pointer) {
    at = (at + 1) & self->mask;
  }
  return &self->live[at];
}

// What comes behind the freed place moves up where it may, so that no search ends too early.
static void erase(trace_writer* self, trace_block* block) {
  uint64_t hole = (uint64_t)(block - self->live);
  self->live_count--;
  self->live_bytes -= block->size;
  for (uint64_t at = hole;;) {
    at = (at + 1) & self->mask;
    if (self->live[at].pointer == 0) break;
    uint64_t distance = (at - home_of(self, self->live[at].pointer)) & self->mask;
    if (distance < ((at - hole) & self->mask)) continue;
    self->live[hole] = self->live[at];
    hole = at;
  }
  self->live[hole].pointer = 0;
}

static bool double_table(trace_writer* self) {
  trace_block* old = self->live;
  uint64_t places = self->mask + 1;
  trace_block* larger = map(2 * places * sizeof(*larger));
  if (larger == NULL) return false;
  self->live = larger;
  self->mask = 2 * places - 1;
  for (uint64_t i = 0; i < places; i++) {
    if (old[i].pointer != 0) *find(self, old[i].pointer) = old[i];
  }
  munmap(old, places * sizeof(*old));
  return true;
}

// A slot may come back to the free ones: there is room for all that were ever given out.
static bool double_slots(trace_writer* self) {
  size_t bytes = self->slot_room * sizeof(uint32_t);
  void* larger = mremap(self->slots.free, bytes, 2 * bytes, MREMAP_MAYMOVE);
  if (larger == MAP_FAILED) return false;
  self->slots.free = larger;
  self->slot_room *= 2;
  return true;
}

static uint32_t put(trace_writer* self, uint64_t pointer, uint64_t size) {
  trace_totals* totals = &self->totals;
  bool is_full = 2 * self->live_count > self->mask || self->slots.used == self->slot_room;
  if (is_full && 2 * self->live_count > self->mask && !double_table(self)) fail(self, "no memory");
  if (is_full && self->slots.used == self->slot_room && !double_slots(self)) {
    fail(self, "no memory");
  }
  if (self->message != NULL) return 0;
  trace_block* place = find(self, pointer);
  if (place->pointer != 0) {
    erase(self, place);
    place = find(self, pointer);
  }
  *place = (trace_block){pointer, size, trace_slot_take(&self->slots)};
  self->live_count++;
  self->live_bytes += size;
  if (self->live_bytes > totals->peak_bytes) totals->peak_bytes = self->live_bytes;
  if (self->live_count > totals->peak_blocks) totals->peak_blocks = self->live_count;
  return place->slot;
}

// ---- the frame ----

static void end_frame(trace_writer* self) {
  if (self->plain_bytes == 0) return;
  size_t packed = ZSTD_compressCCtx(self->encoder, self->packed, self->packed_room, self->plain,
                                    self->plain_bytes, LEVEL);
  if (ZSTD_isError(packed)) fail(self, ZSTD_getErrorName(packed));
  const trace_frame frame = {(uint32_t)packed, (uint32_t)self->plain_bytes};
  write_all(self, &frame, sizeof(frame));
  write_all(self, self->packed, packed);
  trace_slots_end_frame(&self->slots);
  self->plain_bytes = 0;
  self->frame_calls = 0;
  self->thread = -1;
  self->slot = 0;
}

static void put_number(trace_writer* self, uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    self->plain[self->plain_bytes++] = (char)(unsigned char)(value | 0x80);
  }
  self->plain[self->plain_bytes++] = (char)(unsigned char)value;
}

static void put_item(trace_writer* self, trace_kind kind, uint64_t value) {
  unsigned head = (unsigned)kind | (unsigned)(value & 15) << 3 | (value > 15 ? 0x80u : 0);
  self->plain[self->plain_bytes++] = (char)(unsigned char)head;
  if (value > 15) put_number(self, value >> 4);
}

static uint64_t slot_difference(trace_writer* self, uint32_t slot) {
  int64_t difference = (int64_t)slot - (int64_t)self->slot;
  self->slot = slot;
  return (uint64_t)difference << 1 ^ (uint64_t)(difference >> 63);
}

static trace_tid* find_tid(const trace_writer* self, uint64_t tid) {
  uint64_t at = tid * 0x9e3779b97f4a7c15u >> 40;
  for (;; at++) {
    trace_tid* place = &self->tids[at % TID_PLACES];
    if (place->thread == 0 || place->tid == tid) return place;
  }
}

// Says whose the next item is, where that changes; the frame has room for it and a call then.
static bool enter_thread(trace_writer* self, uint64_t tid) {
  if (self->frame_calls == TRACE_FRAME_CALLS || self->plain_bytes + ROOM_BYTES > PLAIN_BYTES) {
    end_frame(self);
  }
  if (self->message != NULL) return false;
  trace_tid* place = find_tid(self, tid);
  if (!place->is_living) {
    if (self->totals.threads == TRACE_MAX_THREADS) {
      fail(self, "too many threads");
      return false;
    }
    *place = (trace_tid){tid, (int32_t)++self->totals.threads, true};
    put_item(self, TRACE_THREAD, (uint64_t)place->thread - 1);
    put_number(self, tid);
  } else if (place->thread - 1 != self->thread) {
    put_item(self, TRACE_THREAD, (uint64_t)place->thread - 1);
  }
  self->thread = place->thread - 1;
  return true;
}

static void count_call(trace_writer* self) {
  self->frame_calls++;
  self->totals.ops++;
}

// ---- calls ----

void trace_write_new(trace_writer* self, trace_kind kind, uint64_t tid, uint64_t pointer,
                     uint64_t size, uint64_t alignment) {
  if (pointer == 0) {
    self->totals.failed_calls++;
    return;
  }
  if (!enter_thread(self, tid)) return;
  put(self, pointer, size);
  put_item(self, kind, size);
  if (kind == TRACE_MEMALIGN) put_number(self, (uint64_t)__builtin_ctzll(alignment | 1ull << 63));
  count_call(self);
}

void trace_write_free(trace_writer* self, uint64_t tid, uint64_t pointer) {
  trace_block* block = find(self, pointer);
  if (pointer == 0) return;
  if (block->pointer == 0) {
    self->totals.unknown_frees++;
    return;
  }
  if (!enter_thread(self, tid)) return;
  uint32_t slot = block->slot;
  erase(self, block);
  put_item(self, TRACE_FREE, slot_difference(self, slot));
  trace_slot_give(&self->slots, slot);
  count_call(self);
}

void trace_write_move_begin(trace_writer* self, uint64_t pointer, trace_block* old) {
  trace_block* block = find(self, pointer);
  *old = pointer != 0 ? *block : (trace_block){0};
  if (old->pointer != 0) erase(self, block);
}

void trace_write_move_end(trace_writer* self, uint64_t tid, const trace_block* old,
                          uint64_t pointer, uint64_t size) {
  if (pointer == 0) {
    self->totals.failed_calls++;
    if (old->pointer == 0) return;
    *find(self, old->pointer) = *old;  // it is where it was
    self->live_count++;
    self->live_bytes += old->size;
    return;
  }
  if (old->pointer == 0) {
    trace_write_new(self, TRACE_MALLOC, tid, pointer, size, 0);
    return;
  }
  if (!enter_thread(self, tid)) return;
  put_item(self, TRACE_REALLOC, size);
  put_number(self, slot_difference(self, old->slot));
  trace_slot_give(&self->slots, old->slot);
  put(self, pointer, size);
  count_call(self);
}

void trace_write_done(trace_writer* self, uint64_t tid) {
  trace_tid* place = find_tid(self, tid);
  if (place->thread == 0 || !place->is_living || !enter_thread(self, tid)) return;
  put_item(self, TRACE_DONE, 0);
  place->is_living = false;
}

void trace_write_exec(trace_writer* self, uint64_t tid) {
  for (uint64_t i = 0; i <= self->mask && self->message == NULL;) {
    uint64_t pointer = self->live[i].pointer;
    if (pointer != 0) trace_write_free(self, tid, pointer);
    if (pointer == 0) i++;  // else another block may have come into the place
  }
  trace_write_done(self, tid);
}

bool trace_writer_close(trace_writer* self) {
  if (self->plain != NULL && self->packed != NULL && self->message == NULL) end_frame(self);
  self->totals.slots = self->slots.used;
  self->totals.magic = TRACE_END_MAGIC;
  write_all(self, &self->totals, sizeof(self->totals));
  munmap(self->live, (self->mask + 1) * sizeof(*self->live));
  munmap(self->slots.free, self->slot_room * sizeof(uint32_t));
  munmap(self->slots.freed, (TRACE_FRAME_CALLS + 1) * sizeof(uint32_t));
  munmap(self->tids, TID_PLACES * sizeof(*self->tids));
  munmap(self->plain, PLAIN_BYTES);
  munmap(self->packed, self->packed_room);
  if (self->encoder != NULL) munmap(self->encoder, ZSTD_estimateCCtxSize(LEVEL));
  return self->message == NULL;
}
