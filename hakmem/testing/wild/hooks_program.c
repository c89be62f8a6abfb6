// A program that watches memory as libraries for fast networks do: it patches libc's munmap,
// mremap, madvise and mmap to see what goes back to the kernel, and then gives memory back in every
// way. What the allocator says it has returned must be what the patches saw. Exit code 77: no
// patching here.

#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hakmem/include/hakmem/hakmem.h"

typedef enum { MMAP, MUNMAP, MREMAP, MADVISE, N_CALLS } call_t;
static unsigned long n_seen[N_CALLS];

static int madvise_hook(void* address, size_t bytes, int advice) {
  n_seen[MADVISE]++;
  return (int)syscall(SYS_madvise, address, bytes, advice);
}
static int munmap_hook(void* address, size_t bytes) {
  n_seen[MUNMAP]++;
  return (int)syscall(SYS_munmap, address, bytes);
}
static void* mremap_hook(void* from, size_t bytes, size_t wanted, int flags, void* to) {
  n_seen[MREMAP]++;
  return (void*)syscall(SYS_mremap, from, bytes, wanted, flags, to);
}
static void* mmap_hook(void* address, size_t bytes, int protection, int flags, int fd,
                       off_t offset) {
  n_seen[MMAP]++;
  return (void*)syscall(SYS_mmap, address, bytes, protection, flags, fd, offset);
}

// jmp *0(%rip), and the address.
static void patch(const char* name, const void* hook) {
  char* code = dlsym(RTLD_NEXT, name);
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char* begin = (char*)((uintptr_t)code & ~(page - 1));
  if (mprotect(begin, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) _exit(77);
  memcpy(code, "\xff\x25\0\0\0\0", 6);
  memcpy(code + 6, &hook, sizeof hook);
}

static bool (*get)(hak_stats*, size_t);

static void read_counts(unsigned long counts[N_CALLS]) {
  hak_stats stats = {0};
  get(&stats, sizeof stats);
  counts[MMAP] = stats.mmap.calls;
  counts[MUNMAP] = stats.munmap.calls;
  counts[MREMAP] = stats.mremap.calls;
  counts[MADVISE] = stats.madvise.calls;
}

static void use_memory(void) {
  enum { kBlocks = 600 };
  static char* blocks[kBlocks];
  for (int i = 0; i < kBlocks; i++) {
    size_t bytes = i % 40 == 0 ? 3 << 20 : i % 4 == 0 ? 200000 : 8000;
    blocks[i] = malloc(bytes);
    if (blocks[i] == NULL) abort();
    memset(blocks[i], i, bytes);
  }
  char* grown = malloc(3 << 20);
  char* in_the_way = malloc(3 << 20);
  if (grown == NULL || in_the_way == NULL) abort();
  memset(grown, 7, 3 << 20);
  for (size_t mib = 8; mib < 300; mib *= 2) grown = realloc(grown, mib << 20);
  if (grown == NULL || grown[(3 << 20) - 1] != 7) abort();
  free(in_the_way);
  free(grown);
  for (int i = 0; i < kBlocks; i++) free(blocks[i]);
  malloc_trim(0);
}

int main(void) {
  get = (bool (*)(hak_stats*, size_t))dlsym(RTLD_DEFAULT, "hak_stats_get");
  if (get == NULL) return 1;
  setvbuf(stdout, NULL, _IONBF, 0);
  patch("madvise", (const void*)(uintptr_t)madvise_hook);
  patch("munmap", (const void*)(uintptr_t)munmap_hook);
  patch("mremap", (const void*)(uintptr_t)mremap_hook);
  patch("mmap", (const void*)(uintptr_t)mmap_hook);
  unsigned long before[N_CALLS], after[N_CALLS], seen[N_CALLS];
  read_counts(before);
  memset(n_seen, 0, sizeof n_seen);
  use_memory();
  memcpy(seen, n_seen, sizeof seen);
  read_counts(after);
  static const char* const names[] = {"mmap", "munmap", "mremap", "madvise"};
  for (int i = 0; i < N_CALLS; i++) printf("%s %lu %lu\n", names[i], after[i] - before[i], seen[i]);
  return 0;
}
