// The recorder, preloaded into a program by hakrecord: passes every allocation call on to the
// allocator behind it and notes it in the raw recording (raw.h).
//
// It disturbs little: no locks, no system calls but a few for 26 000 events, no allocation, one
// shared counter. It keeps the order right by taking a block's ticket while nobody
// else can have the block: after malloc has returned and before free is called; realloc gets two.
//
// Only the process that hakrecord started records (through exec too), not the ones it forks.

#define _GNU_SOURCE  // RTLD_NEXT

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tools/hakrecord/raw.h"

// The allocator's own functions. Until they are known, requests are served from `early`.
static void* (*next_malloc)(size_t);
static void* (*next_calloc)(size_t, size_t);
static void* (*next_realloc)(void*, size_t);
static void* (*next_memalign)(size_t, size_t);
static void (*next_free)(void*);

enum { EARLY_BYTES = 1 << 16, PATH_BYTES = 4096, EXIT_ROUNDS = 4 };

static _Alignas(16) char early[EARLY_BYTES];
static atomic_size_t early_used;

static raw_header* header;  // NULL: not recording
static char raw_path[PATH_BYTES];
static pthread_key_t exit_key;
static bool has_exit_key;

typedef struct recorder_thread {
  raw_event* next;  // where the next event goes
  raw_event* end;
  uint32_t tid;
  unsigned exit_rounds;  // of thread-specific destructors seen
  bool is_busy;          // inside the recorder: calls made by it are not the program's
} recorder_thread;

static __thread recorder_thread self __attribute__((tls_model("initial-exec")));

// ---- before the allocator is known ----

static bool is_early(const void* block) {
  return (const char*)block >= early && (const char*)block < early + EARLY_BYTES;
}

static void* early_allocate(size_t size) {
  size_t bytes = (size + 31) & ~(size_t)15;
  size_t at = atomic_fetch_add(&early_used, bytes);
  if (size > EARLY_BYTES || at + bytes > EARLY_BYTES) return NULL;
  memcpy(early + at, &size, sizeof(size));
  return early + at + 16;
}

static size_t early_size(const void* block) {
  size_t size;
  memcpy(&size, (const char*)block - 16, sizeof(size));
  return size;
}

static void* look_up(const char* name) { return dlsym(RTLD_NEXT, name); }

static void resolve(void) {
  static atomic_flag is_resolving = ATOMIC_FLAG_INIT;
  if (next_free != NULL || atomic_flag_test_and_set(&is_resolving)) return;
  void* functions[] = {look_up("malloc"), look_up("calloc"), look_up("realloc"),
                       look_up("memalign"), look_up("free")};
  memcpy(&next_malloc, &functions[0], sizeof(void*));
  memcpy(&next_calloc, &functions[1], sizeof(void*));
  memcpy(&next_realloc, &functions[2], sizeof(void*));
  memcpy(&next_memalign, &functions[3], sizeof(void*));
  memcpy(&next_free, &functions[4], sizeof(void*));
}

// ---- writing events ----

static void claim_chunk(void) {
  uint64_t number = atomic_fetch_add(&header->chunks, 1);
  off_t offset = RAW_HEADER_BYTES + (off_t)number * RAW_CHUNK_BYTES;
  // Opened anew each time: programs close descriptors that they do not know. The space is reserved,
  // so that a full disk is an error here and not a signal later.
  int fd = open(raw_path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  if (fallocate(fd, 0, offset, RAW_CHUNK_BYTES) == 0 ||
      posix_fallocate(fd, offset, RAW_CHUNK_BYTES) == 0) {
    void* chunk = mmap(NULL, RAW_CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
    if (chunk != MAP_FAILED) {
      self.next = chunk;
      self.end = self.next + RAW_EVENTS_PER_CHUNK;
    }
  }
  close(fd);
}

// What threads that ended have left of their chunks, for new threads: a chunk for each of many
// short-lived ones would cost more than what they do. A place is free (next is NULL), being written
// or read (busy_mark), or holds a part of a chunk.
enum { SPARES = 64 };
static struct {
  _Atomic(raw_event*) next;
  raw_event* end;
} spares[SPARES];
static raw_event busy_mark;

static bool change_spare(size_t place, raw_event* from, raw_event* to) {
  return atomic_compare_exchange_strong(&spares[place].next, &from, to);
}

static void give_spare(void) {
  for (size_t i = 0; i < SPARES && self.next != self.end; i++) {
    if (!change_spare(i, NULL, &busy_mark)) continue;
    spares[i].end = self.end;
    atomic_store(&spares[i].next, self.next);
    self.next = self.end = NULL;
  }
}

static bool take_spare(void) {
  for (size_t i = 0; i < SPARES; i++) {
    raw_event* next = atomic_load(&spares[i].next);
    if (next == NULL || next == &busy_mark || !change_spare(i, next, &busy_mark)) continue;
    self.next = next;
    self.end = spares[i].end;
    atomic_store(&spares[i].next, NULL);
    return true;
  }
  return false;
}

// Makes the thread ready to record, or returns false.
static bool has_room(void) {
  if (self.next != self.end) return true;
  if (self.next != NULL) {
    munmap(self.end - RAW_EVENTS_PER_CHUNK, RAW_CHUNK_BYTES);
    self.next = self.end = NULL;
  } else {
    self.tid = (uint32_t)syscall(SYS_gettid);
    if (has_exit_key) pthread_setspecific(exit_key, &self);
    if (take_spare()) return true;
  }
  claim_chunk();
  return self.next != NULL;
}

// Takes a ticket and writes an event; returns the ticket. Preserves errno.
static uint64_t record(raw_kind kind, const void* pointer, size_t size, uint64_t extra) {
  if (header == NULL || self.is_busy) return 0;
  int error = errno;
  uint64_t ticket = 0;
  self.is_busy = true;
  if (has_room()) {
    raw_event* event = self.next++;
    ticket = atomic_fetch_add(&header->next_ticket, 1);
    event->ticket = ticket;
    event->pointer = (uint64_t)(uintptr_t)pointer;
    event->size = size;
    event->extra = extra;
    event->tid = self.tid;
    atomic_store_explicit(&event->kind, kind, memory_order_release);
  } else {
    atomic_fetch_add(&header->dropped, 1);
  }
  self.is_busy = false;
  errno = error;
  return ticket;
}

// Runs as often as the C library repeats destructors, so that most other destructors of the thread
// come first.
static void on_thread_exit(void* unused) {
  (void)unused;
  if (++self.exit_rounds < EXIT_ROUNDS) {
    pthread_setspecific(exit_key, &self);
  } else {
    record(RAW_THREAD_DONE, NULL, 0, 0);
    give_spare();
  }
}

static void stop_in_child(void) { header = NULL; }

__attribute__((constructor)) static void start(void) {
  const char* path = getenv(RAW_PATH_VARIABLE);
  resolve();
  if (path == NULL || strlen(path) >= sizeof(raw_path)) return;
  strcpy(raw_path, path);
  int fd = open(raw_path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  raw_header* mapped = mmap(NULL, RAW_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED || mapped->magic != RAW_MAGIC) return;
  int32_t owner = 0;  // the first to come; if that was this process, it was another program then
  bool is_first = atomic_compare_exchange_strong(&mapped->pid, &owner, (int32_t)getpid());
  if (!is_first && owner != (int32_t)getpid()) {
    munmap(mapped, RAW_HEADER_BYTES);
    return;
  }
  has_exit_key = pthread_key_create(&exit_key, on_thread_exit) == 0;
  pthread_atfork(NULL, NULL, stop_in_child);
  header = mapped;
  if (!is_first) record(RAW_EXEC, NULL, 0, 0);
}

// ---- the calls ----

void* malloc(size_t size) {
  if (next_malloc == NULL) resolve();
  if (next_malloc == NULL) return early_allocate(size);
  void* block = next_malloc(size);
  if (block != NULL) record(RAW_MALLOC, block, size, 0);
  return block;
}

void* calloc(size_t count, size_t size) {
  if (next_calloc == NULL) resolve();
  size_t bytes;
  if (next_calloc == NULL) {
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : early_allocate(bytes);
  }
  void* block = next_calloc(count, size);
  if (block != NULL) record(RAW_CALLOC, block, count * size, 0);
  return block;
}

void free(void* block) {
  if (block == NULL || is_early(block)) return;
  if (next_free == NULL) resolve();
  record(RAW_FREE, block, 0, 0);
  next_free(block);
}

static void* move_early(void* block, size_t size) {
  void* moved = malloc(size);
  size_t kept = early_size(block);
  if (moved != NULL) memcpy(moved, block, kept < size ? kept : size);
  return moved;
}

void* realloc(void* block, size_t size) {
  if (block == NULL) return malloc(size);
  if (is_early(block)) return move_early(block, size);
  if (next_realloc == NULL) resolve();
  if (size == 0) {  // frees; some allocators return a new block of no bytes
    record(RAW_FREE, block, 0, 0);
    void* empty = next_realloc(block, 0);
    if (empty != NULL) record(RAW_MALLOC, empty, 0, 0);
    return empty;
  }
  uint64_t begin = record(RAW_REALLOC_BEGIN, block, 0, 0);
  void* moved = next_realloc(block, size);
  record(RAW_REALLOC_END, moved, size, begin);
  return moved;
}

void* reallocarray(void* block, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return NULL;
  }
  return realloc(block, bytes);
}

void* memalign(size_t alignment, size_t size) {
  if (next_memalign == NULL) resolve();
  if (next_memalign == NULL) return NULL;
  void* block = next_memalign(alignment, size);
  if (block != NULL) record(RAW_MEMALIGN, block, size, alignment);
  return block;
}

static bool is_power_of_two(size_t value) { return value != 0 && (value & (value - 1)) == 0; }

void* aligned_alloc(size_t alignment, size_t size) {
  if (!is_power_of_two(alignment)) {
    errno = EINVAL;
    return NULL;
  }
  return memalign(alignment, size);
}

int posix_memalign(void** out, size_t alignment, size_t size) {
  if (!is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  int error = errno;
  void* block = memalign(alignment, size);
  errno = error;
  if (block == NULL) return ENOMEM;
  *out = block;
  return 0;
}

void* valloc(size_t size) { return memalign((size_t)sysconf(_SC_PAGESIZE), size); }

void* pvalloc(size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return memalign(page, (size + page - 1) / page * page);
}
