// The recorder, preloaded into a program by hakrecord: passes every allocation call on to the
// allocator behind it and notes it in the raw recording (raw.h).
//
// It disturbs little: no locks, no system calls but a few for some 30 000 events, no allocation,
// one shared counter. It keeps the order right by taking a block's ticket while nobody else can
// have the block: after malloc has returned and before free is called; realloc gets two.
//
// A forked child, and a program that another one starts, has a recording of its own or none.

#define _GNU_SOURCE  // RTLD_NEXT

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
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
static char raw_folder[PATH_BYTES];
static char raw_path[PATH_BYTES + 32];
static bool follows_children;
static pthread_key_t exit_key;
static bool has_exit_key;

typedef struct recorder_thread {
  raw_chunk* chunk;      // where the next events go, NULL: nowhere yet
  uint32_t used;         // bytes of it
  uint32_t tid;          // 0: not known yet
  uint64_t ticket;       // the chunk's last
  uint64_t pointer;      // the chunk's last, an eighth of it
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

// ---- chunks ----

static void claim_chunk(void) {
  uint64_t number = atomic_fetch_add(&header->chunks, 1);
  off_t offset = RAW_HEADER_BYTES + (off_t)number * RAW_CHUNK_BYTES;
  // Opened anew each time: programs close descriptors that they do not know. The space is reserved,
  // so that a full disk is an error here and not a signal later; and mapped at once, which costs
  // less than a fault for each page.
  int fd = open(raw_path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  if (fallocate(fd, 0, offset, RAW_CHUNK_BYTES) == 0 ||
      posix_fallocate(fd, offset, RAW_CHUNK_BYTES) == 0) {
    void* chunk =
        mmap(NULL, RAW_CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
    if (chunk != MAP_FAILED) {
      self.chunk = chunk;
      self.used = 0;
      self.chunk->first_ticket = atomic_load(&header->next_ticket);
      self.ticket = self.chunk->first_ticket - 1;
    }
  }
  close(fd);
}

// What threads that ended have left of their chunks, for new threads: a chunk for each of many
// short-lived ones would cost more than what they do. A place is free (chunk is NULL), being
// written or read (busy_mark), or holds a chunk.
enum { SPARES = 64 };
static struct {
  _Atomic(raw_chunk*) chunk;
  uint64_t ticket;
} spares[SPARES];
static raw_chunk busy_mark;

static bool change_spare(size_t place, raw_chunk* from, raw_chunk* to) {
  return atomic_compare_exchange_strong(&spares[place].chunk, &from, to);
}

static void give_spare(void) {
  for (size_t i = 0; i < SPARES && self.chunk != NULL; i++) {
    if (!change_spare(i, NULL, &busy_mark)) continue;
    spares[i].ticket = self.ticket;
    atomic_store(&spares[i].chunk, self.chunk);
    self.chunk = NULL;
  }
}

static bool take_spare(void) {
  for (size_t i = 0; i < SPARES; i++) {
    raw_chunk* chunk = atomic_load(&spares[i].chunk);
    if (chunk == NULL || chunk == &busy_mark || !change_spare(i, chunk, &busy_mark)) continue;
    self.chunk = chunk;
    self.used = atomic_load(&chunk->used);
    self.ticket = spares[i].ticket;
    atomic_store(&spares[i].chunk, NULL);
    return true;
  }
  return false;
}

// ---- writing events ----

static unsigned char* put_number(unsigned char* at, uint64_t value) {
  for (; value >= 0x80; value >>= 7) *at++ = (unsigned char)(value | 0x80);
  *at++ = (unsigned char)value;
  return at;
}

static unsigned char* put_head(unsigned char* at, raw_kind kind, uint64_t ticket) {
  uint64_t less = ticket - self.ticket - 1;
  self.ticket = ticket;
  *at++ = (unsigned char)((unsigned)kind | (unsigned)(less < 15 ? less : 15) << 4);
  return less < 15 ? at : put_number(at, less - 15);
}

static unsigned char* put_pointer(unsigned char* at, const void* pointer) {
  uint64_t eighth = (uint64_t)(uintptr_t)pointer / 8;
  int64_t difference = (int64_t)(eighth - self.pointer);
  self.pointer = eighth;
  return put_number(at, (uint64_t)difference << 1 ^ (uint64_t)(difference >> 63));
}

static void end_event(const unsigned char* at) {
  self.used = (uint32_t)(at - self.chunk->events);
  atomic_store_explicit(&self.chunk->used, self.used, memory_order_release);
}

// Names the thread in a chunk that it has just got.
static void sign_chunk(void) {
  uint64_t ticket = atomic_fetch_add(&header->next_ticket, 1);
  unsigned char* at = put_head(self.chunk->events + self.used, RAW_THREAD, ticket);
  self.pointer = 0;
  end_event(put_number(at, self.tid));
}

static __attribute__((noinline)) bool get_chunk(void) {
  if (self.chunk != NULL) munmap(self.chunk, RAW_CHUNK_BYTES);
  bool is_first = self.tid == 0;
  self.chunk = NULL;
  if (is_first) {
    self.tid = (uint32_t)syscall(SYS_gettid);
    if (has_exit_key) pthread_setspecific(exit_key, &self);
  }
  if (!is_first || !take_spare()) claim_chunk();
  // A spare may be as good as full.
  if (self.chunk != NULL && self.used + 2 * RAW_EVENT_BYTES > RAW_CHUNK_EVENTS) {
    munmap(self.chunk, RAW_CHUNK_BYTES);
    self.chunk = NULL;
    claim_chunk();
  }
  if (self.chunk != NULL) sign_chunk();
  return self.chunk != NULL;
}

// Takes a ticket and writes an event. Preserves errno.
static void record(raw_kind kind, const void* pointer, size_t size, size_t alignment) {
  if (header == NULL || self.is_busy) return;
  self.is_busy = true;
  if (self.chunk == NULL || self.used + RAW_EVENT_BYTES > RAW_CHUNK_EVENTS) {
    int error = errno;
    bool has_chunk = get_chunk();
    errno = error;
    if (!has_chunk) {
      atomic_fetch_add(&header->dropped, 1);
      self.is_busy = false;
      return;
    }
  }
  uint64_t ticket = atomic_fetch_add_explicit(&header->next_ticket, 1, memory_order_acq_rel);
  unsigned char* at = put_head(self.chunk->events + self.used, kind, ticket);
  if (kind <= RAW_REALLOC_END) at = put_pointer(at, pointer);
  if (kind <= RAW_MEMALIGN || kind == RAW_REALLOC_END) at = put_number(at, size);
  if (kind == RAW_MEMALIGN) at = put_number(at, alignment);
  end_event(at);
  self.is_busy = false;
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

// ---- processes ----

static raw_header* map_header(bool is_new) {
  int fd =
      open(raw_path, is_new ? O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL : O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return NULL;
  raw_header* mapped = MAP_FAILED;
  if (!is_new || ftruncate(fd, RAW_HEADER_BYTES) == 0) {
    mapped = mmap(NULL, RAW_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  close(fd);
  return mapped == MAP_FAILED ? NULL : mapped;
}

static bool name_recording(const char* name) {
  int length = snprintf(raw_path, sizeof(raw_path), "%s/%s", raw_folder, name);
  return length > 0 && (size_t)length < sizeof(raw_path);
}

// Opens the recording of this process: `name`, if it is the owner's or nobody's yet. `*is_first`
// says whether it begins.
static raw_header* open_recording(const char* name, bool* is_first) {
  if (!name_recording(name)) return NULL;
  raw_header* mapped = map_header(true);
  if (mapped != NULL) mapped->magic = RAW_MAGIC;
  if (mapped == NULL) mapped = map_header(false);
  if (mapped == NULL) return NULL;
  int32_t owner = 0;
  *is_first = atomic_compare_exchange_strong(&mapped->pid, &owner, (int32_t)getpid());
  if (*is_first || owner == (int32_t)getpid()) return mapped;
  munmap(mapped, RAW_HEADER_BYTES);
  return NULL;
}

static raw_header* open_own(bool* is_first) {
  char number[16];
  snprintf(number, sizeof(number), "%d", (int)getpid());
  return open_recording(number, is_first);
}

// What the child has of its parent's recording is the parent's: chunks are shared.
static void begin_in_child(void) {
  bool is_first;
  header = NULL;
  self = (recorder_thread){0};
  memset(spares, 0, sizeof(spares));
  if (follows_children) header = open_own(&is_first);
}

static void note_arena(void) {
  int32_t found = 0;
  for (int32_t i = 0; i < RAW_N_ARENAS; i++) {
    const char* chosen = getenv(raw_arenas[i].variable);
    const char* value = raw_arenas[i].value;
    bool uses_malloc = chosen != NULL && strncmp(chosen, value, strlen(value)) == 0;
    if (!uses_malloc && dlsym(RTLD_DEFAULT, raw_arenas[i].symbol) != NULL) found = i + 1;
  }
  atomic_store(&header->arena, found);
}

__attribute__((constructor)) static void start(void) {
  const char* folder = getenv(RAW_PATH_VARIABLE);
  bool is_first = false;
  resolve();
  if (folder == NULL || strlen(folder) >= sizeof(raw_folder)) return;
  strcpy(raw_folder, folder);
  follows_children = getenv(RAW_CHILDREN_VARIABLE) != NULL;
  raw_header* mapped = open_recording(RAW_FIRST, &is_first);
  if (mapped == NULL && follows_children) mapped = open_own(&is_first);
  if (mapped == NULL) return;
  has_exit_key = pthread_key_create(&exit_key, on_thread_exit) == 0;
  pthread_atfork(NULL, NULL, begin_in_child);
  header = mapped;
  note_arena();
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
  record(RAW_REALLOC_BEGIN, block, 0, 0);
  void* moved = next_realloc(block, size);
  record(moved != NULL ? RAW_REALLOC_END : RAW_REALLOC_FAILED, moved, size, 0);
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
