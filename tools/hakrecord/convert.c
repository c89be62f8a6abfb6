// A raw recording becomes a trace. The events of all chunks are merged by their tickets. A chunk
// takes part from the time on at which its events may be due: so few are read at the same time,
// however long the recording is.

#include "tools/hakrecord/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/hakrecord/raw.h"
#include "workloads/trace_writer.h"

// A chunk that is being read, at its next event.
typedef struct cursor {
  const unsigned char* at;
  const unsigned char* end;
  uint64_t ticket;
  uint64_t pointer;  // the last, an eighth of it
  uint32_t tid;
  raw_kind kind;  // of the event
  uint64_t size;
  uint64_t alignment;
} cursor;

// A realloc that has begun, by thread.
typedef struct move {
  uint32_t tid;
  trace_block old;
} move;

typedef struct converter {
  const char* file;
  size_t chunk_count;
  const raw_chunk** chunks;  // by first ticket
  cursor* heap;              // the smallest ticket first
  size_t heap_count;
  move* moves;
  size_t move_count;
  trace_writer* out;
} converter;

static void* must(void* memory) {
  if (memory != NULL) return memory;
  fputs("hakrecord: out of memory\n", stderr);
  exit(1);
}

// ---- one chunk ----

static uint64_t take_number(cursor* self) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && self->at < self->end; shift += 7) {
    unsigned char byte = *self->at++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value;
}

static void take_pointer(cursor* self) {
  uint64_t zigzag = take_number(self);
  self->pointer += zigzag >> 1 ^ (0 - (zigzag & 1));
}

// Reads the next event. False at the end.
static bool advance(cursor* self) {
  if (self->at >= self->end) return false;
  unsigned char head = *self->at++;
  uint64_t less = head >> 4;
  if (less == 15) less += take_number(self);
  self->ticket += less + 1;
  self->kind = head & 15;
  if (self->kind <= RAW_REALLOC_END) take_pointer(self);
  if (self->kind <= RAW_MEMALIGN || self->kind == RAW_REALLOC_END) self->size = take_number(self);
  if (self->kind == RAW_MEMALIGN) self->alignment = take_number(self);
  if (self->kind == RAW_THREAD) {
    self->tid = (uint32_t)take_number(self);
    self->pointer = 0;
  }
  return self->kind < RAW_N_KINDS;
}

// ---- all of them ----

static void sink(converter* self, size_t at) {
  for (size_t child; (child = 2 * at + 1) < self->heap_count; at = child) {
    if (child + 1 < self->heap_count && self->heap[child + 1].ticket < self->heap[child].ticket) {
      child++;
    }
    if (self->heap[at].ticket <= self->heap[child].ticket) return;
    cursor swapped = self->heap[at];
    self->heap[at] = self->heap[child];
    self->heap[child] = swapped;
  }
}

static void push(converter* self, const raw_chunk* chunk) {
  cursor one = {.at = chunk->events, .ticket = chunk->first_ticket - 1};
  uint32_t used = atomic_load(&chunk->used);
  one.end = chunk->events + (used < RAW_CHUNK_EVENTS ? used : RAW_CHUNK_EVENTS);
  if (!advance(&one)) return;
  self->heap[self->heap_count++] = one;
  for (size_t at = self->heap_count - 1; at > 0;) {
    size_t parent = (at - 1) / 2;
    if (self->heap[parent].ticket <= self->heap[at].ticket) break;
    cursor swapped = self->heap[at];
    self->heap[at] = self->heap[parent];
    self->heap[parent] = swapped;
    at = parent;
  }
}

static void pop(converter* self) {
  if (!advance(&self->heap[0])) self->heap[0] = self->heap[--self->heap_count];
  sink(self, 0);
}

static move* move_of(converter* self, uint32_t tid) {
  size_t i = 0;
  while (i < self->move_count && self->moves[i].tid != tid) i++;
  if (i == self->move_count) {
    self->moves = must(realloc(self->moves, (i + 1) * sizeof(*self->moves)));
    self->moves[self->move_count++] = (move){.tid = tid};
  }
  return &self->moves[i];
}

static void write_event(converter* self, const cursor* event) {
  static const trace_kind kKinds[] = {
      [RAW_MALLOC] = TRACE_MALLOC, [RAW_CALLOC] = TRACE_CALLOC, [RAW_MEMALIGN] = TRACE_MEMALIGN};
  uint64_t pointer = event->pointer * 8;
  switch (event->kind) {
    case RAW_MALLOC:
    case RAW_CALLOC:
    case RAW_MEMALIGN:
      trace_write_new(self->out, kKinds[event->kind], event->tid, pointer, event->size,
                      event->alignment);
      break;
    case RAW_FREE:
      trace_write_free(self->out, event->tid, pointer);
      break;
    case RAW_REALLOC_BEGIN:
      trace_write_move_begin(self->out, pointer, &move_of(self, event->tid)->old);
      break;
    case RAW_REALLOC_END:
    case RAW_REALLOC_FAILED: {
      move* moved = move_of(self, event->tid);
      bool has_failed = event->kind == RAW_REALLOC_FAILED;
      trace_write_move_end(self->out, event->tid, &moved->old, has_failed ? 0 : pointer,
                           event->size);
      *moved = self->moves[--self->move_count];
      break;
    }
    case RAW_THREAD_DONE:
      trace_write_done(self->out, event->tid);
      break;
    case RAW_EXEC:
      self->move_count = 0;
      trace_write_exec(self->out, event->tid);
      break;
    case RAW_THREAD:
    case RAW_N_KINDS:
      break;
  }
}

static void merge(converter* self) {
  size_t next = 0;
  while ((self->heap_count > 0 || next < self->chunk_count) && self->out->message == NULL) {
    while (next < self->chunk_count &&
           (self->heap_count == 0 || self->chunks[next]->first_ticket <= self->heap[0].ticket)) {
      push(self, self->chunks[next++]);
    }
    if (self->heap_count == 0) continue;
    write_event(self, &self->heap[0]);
    pop(self);
  }
}

static int by_first_ticket(const void* a, const void* b) {
  const raw_chunk* x = *(const raw_chunk* const*)a;
  const raw_chunk* y = *(const raw_chunk* const*)b;
  return (x->first_ticket > y->first_ticket) - (x->first_ticket < y->first_ticket);
}

static void list_chunks(converter* self, size_t file_bytes) {
  size_t count = (file_bytes - RAW_HEADER_BYTES) / RAW_CHUNK_BYTES;
  self->chunks = must(calloc(count + 1, sizeof(void*)));
  self->heap = must(calloc(count + 1, sizeof(cursor)));
  for (size_t i = 0; i < count; i++) {
    const void* chunk = self->file + RAW_HEADER_BYTES + i * RAW_CHUNK_BYTES;
    self->chunks[self->chunk_count++] = chunk;
  }
  qsort(self->chunks, self->chunk_count, sizeof(void*), by_first_ticket);
}

static const char* map_recording(const char* path, size_t* bytes) {
  struct stat status;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) != 0 || status.st_size < RAW_HEADER_BYTES) {
    if (fd >= 0) close(fd);
    return NULL;
  }
  *bytes = (size_t)status.st_size;
  void* mapped = mmap(NULL, *bytes, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  return mapped == MAP_FAILED ? NULL : mapped;
}

bool convert_recording(const char* raw_path, int trace_fd, convert_summary* summary,
                       char message[TRACE_MESSAGE_BYTES]) {
  size_t bytes = 0;
  trace_writer out;
  converter self = {.file = map_recording(raw_path, &bytes), .out = &out};
  const raw_header* header = (const raw_header*)(const void*)self.file;
  *summary = (convert_summary){0};
  if (header == NULL || header->magic != RAW_MAGIC) {
    snprintf(message, TRACE_MESSAGE_BYTES, "%s: not a recording", raw_path);
    return false;
  }
  if (trace_writer_open(&out, trace_fd)) {
    list_chunks(&self, bytes);
    merge(&self);
  }
  bool is_good = trace_writer_close(&out);
  if (!is_good) {
    snprintf(message, TRACE_MESSAGE_BYTES, "cannot write the trace: %s", out.message);
  }
  summary->totals = out.totals;
  summary->dropped = header->dropped;
  summary->arena = header->arena;
  free(self.chunks);
  free(self.heap);
  free(self.moves);
  munmap((void*)(uintptr_t)self.file, bytes);
  return is_good;
}

// ---- as a text ----

// Blocks have made-up addresses, a new one each: the text reads the same wherever it was recorded.
static void print_op(FILE* text, const trace* script, const trace_op* op, uint64_t* names,
                     uint64_t* next) {
  uint64_t tid = script->threads[op->thread].tid;
  uint64_t old = names[op->old_slot];
  if (op->kind == TRACE_FREE) {
    fprintf(text, "%" PRIu64 ": free 0x%" PRIx64 "\n", tid, names[op->slot]);
    return;
  }
  uint64_t name = names[op->slot] = 0x10000 + 16 * (*next)++;
  switch ((trace_kind)op->kind) {
    case TRACE_CALLOC:
      fprintf(text, "%" PRIu64 ": calloc 0x%" PRIx64 " 1 %" PRIu64 "\n", tid, name, op->size);
      break;
    case TRACE_REALLOC:
      fprintf(text, "%" PRIu64 ": realloc 0x%" PRIx64 " 0x%" PRIx64 " %" PRIu64 "\n", tid, name,
              old, op->size);
      break;
    case TRACE_MEMALIGN:
      fprintf(text, "%" PRIu64 ": memalign 0x%" PRIx64 " %llu %" PRIu64 "\n", tid, name,
              1ull << op->alignment, op->size);
      break;
    default:
      fprintf(text, "%" PRIu64 ": malloc 0x%" PRIx64 " %" PRIu64 "\n", tid, name, op->size);
  }
}

// Threads end behind the last call that they make in a batch.
static void print_batch(FILE* text, const trace* script, uint64_t* names, uint64_t* next) {
  for (uint64_t i = 0; i < script->op_count; i++) {
    const trace_op* op = &script->ops[i];
    trace_thread* thread = &script->threads[op->thread];
    print_op(text, script, op, names, next);
    bool is_last = --thread->op_count == 0;
    if (is_last && thread->ends) fprintf(text, "%" PRIu64 ": thread_done 0x0\n", thread->tid);
    if (is_last) thread->ends = false;
  }
  for (size_t i = 0; i < script->active_count; i++) {  // those that only end
    const trace_thread* thread = &script->threads[script->active[i]];
    if (thread->ends) fprintf(text, "%" PRIu64 ": thread_done 0x0\n", thread->tid);
  }
}

bool print_trace(const char* path, FILE* text, char message[TRACE_MESSAGE_BYTES]) {
  static trace script;
  uint64_t next = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || !trace_is_packed(fd)) {
    snprintf(message, TRACE_MESSAGE_BYTES, "%s: %s", path,
             fd < 0 ? strerror(errno) : "not a trace of hakrecord");
    return false;
  }
  bool is_good = trace_open(&script, fd, path);
  uint64_t* names = must(calloc(script.totals.slots + 1, sizeof(*names)));
  while (is_good && trace_next(&script)) print_batch(text, &script, names, &next);
  free(names);
  snprintf(message, TRACE_MESSAGE_BYTES, "%s", script.message);
  return is_good && message[0] == '\0';
}
