// See convert.h. Addresses in the trace are made up: block N of the recording is called 0x10000 +
// 16 * N. The real ones can be in use twice for a moment in the order of the tickets, when a
// realloc moves a block while another thread is given the old place; invented ones are not, and the
// trace reads the same wherever it was recorded.

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

enum { MAX_TIDS = 1 << 16 };

// A live block, found by its real address. Places with address 0 are empty; a freed block keeps its
// place.
typedef struct block {
  uint64_t address;
  uint64_t number;
  uint64_t size;
  bool is_live;
} block;

typedef struct converter {
  const raw_header* header;
  size_t file_bytes;
  uint64_t event_count;       // tickets
  const raw_event** ordered;  // [event_count], NULL where an event is missing
  block* moving;              // [event_count], the block that a RAW_REALLOC_BEGIN took away
  block* table;
  uint64_t mask;
  uint64_t live_bytes;
  uint64_t next_number;
  uint32_t* tids;  // seen, for counting threads
  convert_summary* summary;
  FILE* trace;
} converter;

static void* map_table(size_t bytes) {
  void* memory =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

static uint64_t name_of(uint64_t number) { return 0x10000 + 16 * number; }

static block* find_place(const converter* self, uint64_t address) {
  uint64_t at = address / 16 * 0x9e3779b97f4a7c15u;
  for (at ^= at >> 32;; at++) {
    block* place = &self->table[at & self->mask];
    if (place->address == address || place->address == 0) return place;
  }
}

// Makes the block at `address` live under `number`; one that is still there was freed unseen.
static void put(converter* self, uint64_t address, uint64_t number, uint64_t size) {
  block* place = find_place(self, address);
  if (place->is_live) self->live_bytes -= place->size;
  *place = (block){address, number, size, true};
  self->live_bytes += size;
  if (self->live_bytes > self->summary->peak_bytes) self->summary->peak_bytes = self->live_bytes;
}

// Takes the block away and returns what it was; is_live is false when there was none.
static block take(converter* self, uint64_t address) {
  block* place = find_place(self, address);
  block taken = *place;
  if (!taken.is_live) {
    self->summary->unknown++;
    return taken;
  }
  place->is_live = false;
  self->live_bytes -= taken.size;
  return taken;
}

static void convert_realloc(converter* self, const raw_event* event) {
  block old = event->extra < self->event_count ? self->moving[event->extra] : (block){0};
  if (event->pointer == 0) {  // failed: the old block is still where it was
    if (old.is_live) put(self, old.address, old.number, old.size);
    return;
  }
  uint64_t number = self->next_number++;
  put(self, event->pointer, number, event->size);
  if (old.is_live) {
    fprintf(self->trace, "%" PRIu32 ": realloc 0x%" PRIx64 " 0x%" PRIx64 " %" PRIu64 "\n",
            event->tid, name_of(number), name_of(old.number), event->size);
  } else {
    fprintf(self->trace, "%" PRIu32 ": malloc 0x%" PRIx64 " %" PRIu64 "\n", event->tid,
            name_of(number), event->size);
  }
  self->summary->calls++;
}

static void convert_free(converter* self, const raw_event* event) {
  block freed = take(self, event->pointer);
  if (!freed.is_live) return;
  fprintf(self->trace, "%" PRIu32 ": free 0x%" PRIx64 "\n", event->tid, name_of(freed.number));
  self->summary->calls++;
}

static void convert_allocation(converter* self, const raw_event* event) {
  uint64_t number = self->next_number++;
  put(self, event->pointer, number, event->size);
  switch ((raw_kind)event->kind) {
    case RAW_CALLOC:
      fprintf(self->trace, "%" PRIu32 ": calloc 0x%" PRIx64 " 1 %" PRIu64 "\n", event->tid,
              name_of(number), event->size);
      break;
    case RAW_MEMALIGN:
      fprintf(self->trace, "%" PRIu32 ": memalign 0x%" PRIx64 " %" PRIu64 " %" PRIu64 "\n",
              event->tid, name_of(number), event->extra, event->size);
      break;
    default:
      fprintf(self->trace, "%" PRIu32 ": malloc 0x%" PRIx64 " %" PRIu64 "\n", event->tid,
              name_of(number), event->size);
  }
  self->summary->calls++;
}

// What lived before is freed, and the thread is another one.
static void convert_exec(converter* self, const raw_event* event) {
  for (uint64_t i = 0; i <= self->mask; i++) {
    if (!self->table[i].is_live) continue;
    const raw_event freed = {.pointer = self->table[i].address, .tid = event->tid};
    convert_free(self, &freed);
  }
  fprintf(self->trace, "%" PRIu32 ": thread_done 0x0\n", event->tid);
}

static void convert_event(converter* self, const raw_event* event) {
  switch ((raw_kind)event->kind) {
    case RAW_FREE:
      convert_free(self, event);
      break;
    case RAW_REALLOC_BEGIN:
      self->moving[event->ticket] = take(self, event->pointer);
      break;
    case RAW_REALLOC_END:
      convert_realloc(self, event);
      break;
    case RAW_THREAD_DONE:
      fprintf(self->trace, "%" PRIu32 ": thread_done 0x0\n", event->tid);
      break;
    case RAW_EXEC:
      convert_exec(self, event);
      break;
    default:
      convert_allocation(self, event);
  }
}

static void count_thread(converter* self, uint32_t tid) {
  uint32_t at = tid * 2654435761u >> 16;
  for (uint32_t i = 0; i < MAX_TIDS; i++, at = (at + 1) % MAX_TIDS) {
    if (self->tids[at] == tid) return;
    if (self->tids[at] == 0) {
      self->tids[at] = tid;
      self->summary->threads++;
      return;
    }
  }
}

// Puts every event of every chunk in the place of its ticket.
static void order_events(converter* self) {
  const char* file = (const char*)self->header;
  uint64_t chunks = (self->file_bytes - RAW_HEADER_BYTES) / RAW_CHUNK_BYTES;
  for (uint64_t chunk = 0; chunk < chunks; chunk++) {
    const raw_event* event =
        (const raw_event*)(const void*)(file + RAW_HEADER_BYTES + chunk * RAW_CHUNK_BYTES);
    for (size_t i = 0; i < RAW_EVENTS_PER_CHUNK && event[i].kind != RAW_NONE; i++) {
      if (event[i].ticket >= self->event_count || event[i].kind > RAW_EXEC) continue;
      self->ordered[event[i].ticket] = &event[i];
      count_thread(self, event[i].tid);
    }
  }
}

static bool map_tables(converter* self) {
  uint64_t places = 1;
  while (places < 2 * self->event_count) places *= 2;
  self->mask = places - 1;
  self->ordered = map_table((self->event_count + 1) * sizeof(void*));
  self->moving = map_table((self->event_count + 1) * sizeof(*self->moving));
  self->table = map_table(places * sizeof(*self->table));
  self->tids = map_table(MAX_TIDS * sizeof(*self->tids));
  return self->ordered != NULL && self->moving != NULL && self->table != NULL && self->tids != NULL;
}

static void unmap_tables(const converter* self) {
  munmap(self->ordered, (self->event_count + 1) * sizeof(void*));
  munmap(self->moving, (self->event_count + 1) * sizeof(*self->moving));
  munmap(self->table, (self->mask + 1) * sizeof(*self->table));
  munmap(self->tids, MAX_TIDS * sizeof(*self->tids));
}

static const raw_header* map_recording(const char* path, size_t* bytes) {
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

bool convert_recording(const char* raw_path, FILE* trace, convert_summary* summary,
                       char message[CONVERT_MESSAGE_BYTES]) {
  *summary = (convert_summary){0};
  converter self = {.summary = summary, .trace = trace};
  self.header = map_recording(raw_path, &self.file_bytes);
  if (self.header == NULL || self.header->magic != RAW_MAGIC) {
    snprintf(message, CONVERT_MESSAGE_BYTES, "%s: not a recording", raw_path);
    return false;
  }
  self.event_count = self.header->next_ticket;
  summary->dropped = self.header->dropped;
  bool is_mapped = map_tables(&self);
  if (is_mapped) {
    order_events(&self);
    for (uint64_t i = 0; i < self.event_count; i++) {
      if (self.ordered[i] != NULL) convert_event(&self, self.ordered[i]);
    }
    unmap_tables(&self);
  } else {
    snprintf(message, CONVERT_MESSAGE_BYTES, "no memory for %" PRIu64 " events", self.event_count);
  }
  munmap((void*)(uintptr_t)self.header, self.file_bytes);
  if (is_mapped && (fflush(trace) != 0 || ferror(trace))) {
    snprintf(message, CONVERT_MESSAGE_BYTES, "cannot write the trace: %s", strerror(errno));
    return false;
  }
  return is_mapped;
}
