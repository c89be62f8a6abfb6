// An allocator to be preloaded in tests of the workloads: it counts calls and, on request, does
// wrong.
//
//   PROBE_OVERLAP=N    every Nth block lies on the block before it: --verify must notice
//   PROBE_FAIL=N       malloc and its kin return NULL after N calls
//   PROBE_CRASH=N      the Nth call is a segmentation fault
//   PROBE_READ=FIFO    the call 20000 opens it for reading: waits until somebody writes
//   PROBE_WRITE=FIFO   the other end
//   PROBE_REPORT=FILE  at exit, "ALLOCATIONS FREES" is written there
//   HAKMEM_TELEMETRY=FILE  at exit, two lines of telemetry are written there, as hakmem does
//
// Blocks are cut off the end of one large mapping and never used again; a size in front of each
// serves realloc.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Later than any call of a program that only tries the library out.
enum { HEADER_BYTES = 16, MEETING_CALL = 20000 };

static const size_t kHeapBytes = (size_t)8 << 30;

static _Atomic(char*) heap;
static atomic_size_t used;
static atomic_ullong allocations;
static atomic_ullong frees;
static _Atomic(void*) last_block;
static unsigned long long overlap_every;
static unsigned long long fail_after;
static unsigned long long crash_at;

static unsigned long long number_from_environment(const char* name) {
  const char* text = getenv(name);
  return text != NULL ? strtoull(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void read_environment(void) {
  overlap_every = number_from_environment("PROBE_OVERLAP");
  fail_after = number_from_environment("PROBE_FAIL");
  crash_at = number_from_environment("PROBE_CRASH");
}

static char* heap_start(void) {
  char* start = atomic_load(&heap);
  if (start != NULL) return start;
  start = mmap(NULL, kHeapBytes, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) abort();
  char* expected = NULL;
  if (atomic_compare_exchange_strong(&heap, &expected, start)) return start;
  munmap(start, kHeapBytes);
  return expected;
}

static size_t* size_of(void* block) { return (size_t*)(void*)((char*)block - HEADER_BYTES); }

static void* take(size_t alignment, size_t size) {
  char* start = heap_start();
  size_t bytes = size + alignment + (size_t)2 * HEADER_BYTES;
  size_t at = atomic_fetch_add(&used, (bytes + 15) & ~(size_t)15);
  if (at + bytes > kHeapBytes) return NULL;
  uintptr_t block = ((uintptr_t)start + at + HEADER_BYTES + alignment - 1) & ~(alignment - 1);
  *size_of((void*)block) = size;
  return (void*)block;
}

// Waits for the process that opens the other end.
static void meet(const char* variable, int flags) {
  const char* path = getenv(variable);
  if (path != NULL) close(open(path, flags));
}

static void* allocate(size_t alignment, size_t size) {
  unsigned long long number = atomic_fetch_add(&allocations, 1) + 1;
  if (crash_at != 0 && number == crash_at) raise(SIGSEGV);
  if (number == MEETING_CALL) {
    meet("PROBE_READ", O_RDONLY);
    meet("PROBE_WRITE", O_WRONLY);
  }
  if (fail_after != 0 && number > fail_after) {
    errno = ENOMEM;
    return NULL;
  }
  void* last = atomic_load(&last_block);
  if (overlap_every != 0 && last != NULL && number % overlap_every == 0 && alignment <= 16) {
    return last;
  }
  void* block = take(alignment, size);
  atomic_store(&last_block, block);
  return block;
}

void* malloc(size_t size) { return allocate(16, size); }

void* calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
  return allocate(16, bytes);
}

void* realloc(void* old, size_t size) {
  void* block = allocate(16, size);
  if (old == NULL || block == NULL) return block;
  size_t kept = *size_of(old) < size ? *size_of(old) : size;
  memmove(block, old, kept);
  return block;
}

void* memalign(size_t alignment, size_t size);
void* memalign(size_t alignment, size_t size) { return allocate(alignment, size); }
void* aligned_alloc(size_t alignment, size_t size) { return allocate(alignment, size); }

int posix_memalign(void** out, size_t alignment, size_t size) {
  void* block = allocate(alignment, size);
  if (block == NULL) return ENOMEM;
  *out = block;
  return 0;
}

void free(void* block) {
  if (block != NULL) atomic_fetch_add(&frees, 1);
}

// Appends a line to the file that a variable names.
static void write_report(const char* variable, const char* line) {
  const char* path = getenv(variable);
  if (path == NULL) return;
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (write(fd, line, strlen(line)) < 0) abort();
  close(fd);
}

__attribute__((destructor)) static void report(void) {
  char line[128];
  unsigned long long made = atomic_load(&allocations);
  snprintf(line, sizeof(line), "%llu %llu\n", made, atomic_load(&frees));
  write_report("PROBE_REPORT", line);
  for (int i = 1; i <= 2; i++) {
    snprintf(line, sizeof(line),
             "{\"schema\":\"hakmem.telemetry.1\",\"sequence\":%d,\"vmas\":%d}\n", i, 30 + i);
    write_report("HAKMEM_TELEMETRY", line);
  }
  write_report("HAKMEM_TELEMETRY", "{\"schema\":\"hakmem.event.1\",\"sequence\":1}\n");
}
