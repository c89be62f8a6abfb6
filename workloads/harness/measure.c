// What the kernel says of this process, read without malloc; and memory that is not malloc's.

#include "workloads/harness/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "workloads/harness/print.h"

static double seconds(struct timeval time) {
  return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

void wl_usage_read(wl_usage* usage) {
  struct rusage self;
  usage->ns = wl_now_ns();
  getrusage(RUSAGE_SELF, &self);
  usage->user_s = seconds(self.ru_utime);
  usage->system_s = seconds(self.ru_stime);
  usage->minor_faults = (uint64_t)self.ru_minflt;
  usage->major_faults = (uint64_t)self.ru_majflt;
  usage->preemptions = (uint64_t)self.ru_nivcsw;
}

wl_usage wl_usage_between(const wl_usage* begin, const wl_usage* end) {
  return (wl_usage){
      .ns = end->ns - begin->ns,
      .user_s = end->user_s - begin->user_s,
      .system_s = end->system_s - begin->system_s,
      .minor_faults = end->minor_faults - begin->minor_faults,
      .major_faults = end->major_faults - begin->major_faults,
      .preemptions = end->preemptions - begin->preemptions,
  };
}

// The number of kB after `label` at the start of a line of a /proc file.
static bool read_kilobytes(const char* path, const char* label, uint64_t* bytes) {
  char text[8192];
  size_t length = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  for (ssize_t got; length < sizeof(text) - 1; length += (size_t)got) {
    got = read(fd, text + length, sizeof(text) - 1 - length);
    if (got <= 0) break;
  }
  close(fd);
  text[length] = '\0';
  const char* line = strstr(text, label);
  if (line == NULL || (line != text && line[-1] != '\n')) return false;
  *bytes = strtoull(line + strlen(label), NULL, 10) * 1024;
  return true;
}

bool wl_rss_bytes(uint64_t* bytes) {
  return read_kilobytes("/proc/self/smaps_rollup", "Rss:", bytes) ||
         read_kilobytes("/proc/self/status", "VmRSS:", bytes);
}

bool wl_peak_rss_bytes(uint64_t* bytes) {
  return read_kilobytes("/proc/self/status", "VmHWM:", bytes);
}

void wl_reset_peak_rss(void) {
  int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t written = write(fd, "5", 1);  // CLEAR_REFS_MM_HIWATER_RSS
  (void)written;                        // if not, the peak of the set-up stays in
  close(fd);
}

static void* map(uint64_t bytes, int flags) {
  void* memory = mmap(NULL, bytes == 0 ? 1 : bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (memory == MAP_FAILED) {
    wl_print(STDERR_FILENO, "cannot map %" PRIu64 " bytes for the workload's own tables: %s\n",
             bytes, strerror(errno));
    exit(1);
  }
  return memory;
}

static _Atomic uint64_t harness_bytes;

static uint64_t whole_pages(uint64_t bytes) {
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  return (bytes + page - 1) / page * page;
}

void* wl_map(uint64_t bytes) {
  harness_bytes += whole_pages(bytes);
  return map(bytes, MAP_POPULATE);
}

void* wl_reserve(uint64_t bytes) { return map(bytes, MAP_NORESERVE); }

void wl_trim(void* memory, uint64_t reserved, uint64_t used) {
  uint64_t kept = whole_pages(used);
  uint64_t all = whole_pages(reserved == 0 ? 1 : reserved);
  if (kept < all) munmap((char*)memory + kept, all - kept);
  harness_bytes += kept;
}

void wl_unmap(void* memory, uint64_t bytes) {
  harness_bytes -= whole_pages(bytes);
  munmap(memory, bytes == 0 ? 1 : bytes);
}

uint64_t wl_harness_bytes(void) { return harness_bytes; }
