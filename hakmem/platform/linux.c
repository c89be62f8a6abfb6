// Every call into the kernel, as a raw system call of Linux. Owns the counters of calls.

#define _GNU_SOURCE  // mremap flags, syscall

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hakmem/platform/libc.h"
#include "hakmem/platform/platform.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4  // Linux 5.7
#endif

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000  // Linux 4.17
#endif

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18  // Linux 4.14
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102  // Linux 6.13
#define MADV_GUARD_REMOVE 103
#endif

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24  // Linux 5.18
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif

static hak_kernel_counters_t counters[HAK_KERNEL_N_KINDS];
static _Atomic(hak_platform_kernel_t) other_kernel;

const hak_kernel_counters_t* hak_platform_counters(hak_kernel_kind_t kind) {
  return &counters[kind];
}

const char* hak_platform_kind_name(hak_kernel_kind_t kind) {
  static const char* const names[HAK_KERNEL_N_KINDS] = {
#define HAK_KERNEL_CALL(KIND, name) #name,
#include "hakmem/platform/kernel_calls.def"
  };
  return names[kind];
}

void hak_platform_set_kernel(hak_platform_kernel_t kernel) {
  hak_store_release(&other_kernel, kernel);
}

// Another library may have taken clock_gettime's place. It may allocate, and its clock may stand
// still, jump or run fast.
static _Atomic(bool) is_clock_libcs;
static _Atomic(bool) is_clock_true;

static struct timespec read_clock(clockid_t clock) {
  struct timespec t;
  if (hak_likely(hak_load_relaxed(&is_clock_libcs))) {
    clock_gettime(clock, &t);
  } else {
    syscall(SYS_clock_gettime, clock, &t);
  }
  return t;
}

uint64_t hak_platform_now_ns(void) {
  struct timespec t = read_clock(CLOCK_MONOTONIC);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t hak_platform_now_ms(void) {
  struct timespec t = read_clock(CLOCK_MONOTONIC_COARSE);
  return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

// ---- through libc ----

static _Atomic(bool) is_through_libc;

// The dynamic linker's list of what is loaded, which is here without a call; there is none in a
// static program. (glibc's function for it would cost each program 60 KiB of libc's text.)
#pragma weak _r_debug

// The object that a function lies in, of those that do not lie in each other: the last one that
// begins before it.
static const struct link_map* object_of(uintptr_t function) {
  const struct link_map* found = NULL;
  for (const struct link_map* at = _r_debug.r_map; at != NULL; at = at->l_next) {
    if (at->l_addr <= function && (found == NULL || at->l_addr > found->l_addr)) found = at;
  }
  return found;
}

static bool are_libcs(const uintptr_t* functions, size_t n) {
  const struct link_map* libc = object_of((uintptr_t)getauxval);
  for (size_t i = 0; i < n; i++) {
    if (libc == NULL || object_of(functions[i]) != libc) return false;
  }
  return true;
}

void hak_platform_ready_libc(void) {
  const uintptr_t memory[] = {(uintptr_t)mmap, (uintptr_t)munmap, (uintptr_t)mremap,
                              (uintptr_t)madvise, (uintptr_t)syscall};
  const uintptr_t clock[] = {(uintptr_t)clock_gettime};
  const uintptr_t kernel[] = {(uintptr_t)syscall};
  bool is_dynamic = &_r_debug != NULL;
  hak_store_relaxed(&is_through_libc,
                    is_dynamic && are_libcs(memory, sizeof memory / sizeof memory[0]));
  hak_store_relaxed(&is_clock_libcs, !is_dynamic || are_libcs(clock, 1));
  hak_store_relaxed(&is_clock_true, !is_dynamic || are_libcs(clock, 1) || are_libcs(kernel, 1));
}

bool hak_platform_has_true_clock(void) { return hak_load_relaxed(&is_clock_true); }

// As syscall: -1 and errno when it fails.
static long ask_kernel(long number, const long a[6]) {
  if (hak_load_relaxed(&is_through_libc)) {
    switch (number) {
      case SYS_mmap:
        return (long)mmap((void*)a[0], (size_t)a[1], (int)a[2], (int)a[3], (int)a[4], a[5]);
      case SYS_munmap:
        return munmap((void*)a[0], (size_t)a[1]);
      case SYS_mremap:
        return (long)mremap((void*)a[0], (size_t)a[1], (size_t)a[2], (int)a[3], (void*)a[4]);
      case SYS_madvise:
        return madvise((void*)a[0], (size_t)a[1], (int)a[2]);
      default:
        break;
    }
  }
  return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// ---- calls ----

int hak_platform_ask(long number, const long a[6], long* answer) {
  *answer = ask_kernel(number, a);
  return *answer == -1 ? errno : 0;
}

// The one place where the kernel is called: counts, times, preserves errno. Returns 0 or an errno
// value; the kernel's answer goes to *result when result is not NULL. An error of `expected` is an
// answer like others, and counts as no failure.
static int call(hak_kernel_kind_t kind, size_t bytes, long* result, int expected, long number,
                const long a[6]) {
  int saved_errno = errno;
  hak_platform_kernel_t other = hak_load_acquire(&other_kernel);
  long answer = 0;
  uint64_t begin = hak_platform_now_ns();
  int error =
      other != NULL ? other(kind, bytes, &answer, number, a) : hak_platform_ask(number, a, &answer);
  if (error == 0 && result != NULL) *result = answer;
  hak_kernel_counters_t* counter = &counters[kind];
  hak_fetch_add_relaxed(&counter->ns, hak_platform_now_ns() - begin);
  hak_fetch_add_relaxed(&counter->calls, 1);
  if (error == 0 || error == expected) {
    hak_fetch_add_relaxed(&counter->bytes, bytes);
  } else {
    hak_fetch_add_relaxed(&counter->failures, 1);
  }
  errno = saved_errno;
  return error;
}

int hak_platform_call(hak_kernel_kind_t kind, size_t bytes, long* result, long number,
                      const long a[6]) {
  return call(kind, bytes, result, 0, number, a);
}

_Atomic(size_t) hak_platform_os_page;

size_t hak_platform_ask_os_page(void) {
  size_t bytes = getauxval(AT_PAGESZ);
  hak_store_relaxed(&hak_platform_os_page, bytes);
  return bytes;
}

size_t hak_platform_address_limit(void) {
  struct rlimit limit;
  int saved_errno = errno;
  bool known = getrlimit(RLIMIT_AS, &limit) == 0;
  errno = saved_errno;
  return known && limit.rlim_cur != RLIM_INFINITY ? (size_t)limit.rlim_cur : SIZE_MAX;
}

static int map_at(void* address, size_t bytes, int protection, int flags, void** out) {
  long answer = 0;
  int error = hak_platform_call(HAK_KERNEL_MMAP, bytes, &answer, SYS_mmap,
                                (const long[6]){(long)address, (long)bytes, protection,
                                                MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0});
  if (error == 0) *out = (void*)answer;
  return error;
}

// Kernels align large anonymous mappings to a huge page by themselves more and more often: the
// exact size is tried first, and only a misaligned answer costs a second, larger mapping whose
// ends are cut off.
static int map_aligned(size_t bytes, size_t alignment, int protection, void** out) {
  void* base = NULL;
  int error = map_at(NULL, bytes, protection, 0, &base);
  if (error != 0) return error;
  if (((uintptr_t)base & (alignment - 1)) == 0) {
    *out = base;
    return 0;
  }
  hak_platform_unmap(base, bytes);
  if (bytes > SIZE_MAX - alignment) return ENOMEM;
  error = map_at(NULL, bytes + alignment, protection, 0, &base);
  if (error != 0) return error;
  uintptr_t first = hak_round_up((uintptr_t)base, alignment);
  size_t head = first - (uintptr_t)base;
  if (head != 0) hak_platform_unmap(base, head);
  if (head != alignment) hak_platform_unmap((void*)(first + bytes), alignment - head);
  *out = (void*)first;
  return 0;
}

int hak_platform_map(size_t bytes, size_t alignment, void** out) {
  return map_aligned(bytes, alignment, PROT_READ | PROT_WRITE, out);
}

int hak_platform_reserve(size_t bytes, size_t alignment, void** out) {
  return map_aligned(bytes, alignment, PROT_NONE, out);
}

int hak_platform_map_again(void* address, size_t bytes) {
  void* base = NULL;
  return map_at(address, bytes, PROT_READ | PROT_WRITE, MAP_FIXED, &base);
}

int hak_platform_reserve_again(void* address, size_t bytes) {
  void* base = NULL;
  return map_at(address, bytes, PROT_NONE, MAP_FIXED, &base);
}

// Kernels before 4.17 do not know the flag and take the address for a wish.
int hak_platform_map_free(void* address, size_t bytes) {
  void* base = NULL;
  int error = map_at(address, bytes, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE, &base);
  if (error != 0 || base == address) return error;
  hak_platform_unmap(base, bytes);
  return EEXIST;
}

int hak_platform_make_writable(void* address, size_t bytes) {
  return hak_platform_call(
      HAK_KERNEL_MPROTECT, bytes, NULL, SYS_mprotect,
      (const long[6]){(long)address, (long)bytes, PROT_READ | PROT_WRITE, 0, 0, 0});
}

int hak_platform_set_guard(void* address, size_t bytes, bool wanted) {
  return call(HAK_KERNEL_MADVISE, bytes, NULL, EINVAL, SYS_madvise,
              (const long[6]){(long)address, (long)bytes,
                              wanted ? MADV_GUARD_INSTALL : MADV_GUARD_REMOVE, 0, 0, 0});
}

int hak_platform_unmap(void* address, size_t bytes) {
  return hak_platform_call(HAK_KERNEL_MUNMAP, bytes, NULL, SYS_munmap,
                           (const long[6]){(long)address, (long)bytes, 0, 0, 0, 0});
}

// What gives memory back. For memory that the program has locked (mlockall) the kernel wants to be
// told that this is known; the same then does for memory that is not locked.
int hak_platform_purge(void* address, size_t bytes) {
  static _Atomic(int) known_advice = MADV_DONTNEED;
  int advice = hak_load_relaxed(&known_advice);
  int expected = advice == MADV_DONTNEED ? EINVAL : 0;
  int error = call(HAK_KERNEL_MADVISE, bytes, NULL, expected, SYS_madvise,
                   (const long[6]){(long)address, (long)bytes, advice, 0, 0, 0});
  if (error == 0 || error != expected) return error;
  error =
      hak_platform_call(HAK_KERNEL_MADVISE, bytes, NULL, SYS_madvise,
                        (const long[6]){(long)address, (long)bytes, MADV_DONTNEED_LOCKED, 0, 0, 0});
  if (error == 0) hak_store_relaxed(&known_advice, MADV_DONTNEED_LOCKED);
  return error;
}

int hak_platform_advise_huge(void* address, size_t bytes, bool wanted) {
  return hak_platform_call(HAK_KERNEL_MADVISE, bytes, NULL, SYS_madvise,
                           (const long[6]){(long)address, (long)bytes,
                                           wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE, 0, 0, 0});
}

int hak_platform_wipe_on_fork(void* address, size_t bytes) {
  return hak_platform_call(HAK_KERNEL_MADVISE, bytes, NULL, SYS_madvise,
                           (const long[6]){(long)address, (long)bytes, MADV_WIPEONFORK, 0, 0, 0});
}

int hak_platform_populate(void* address, size_t bytes) {
  int error =
      hak_platform_call(HAK_KERNEL_MADVISE, bytes, NULL, SYS_madvise,
                        (const long[6]){(long)address, (long)bytes, MADV_POPULATE_WRITE, 0, 0, 0});
  bool is_unknown = error == EINVAL || error == ENOSYS || error == EPERM;  // or not permitted
  if (!is_unknown) return error;
  size_t os_page = hak_platform_os_page_bytes();
  for (volatile char* p = address; p < (volatile char*)address + bytes; p += os_page) *p = *p;
  return 0;
}

// Asks for a page more where the range lies. All kernels look first whether the range as it is ends
// within its mapping (EFAULT), and then whether it may grow (EAGAIN: not what is locked) and the
// page behind it is free. That hardly ever is (ENOMEM); if so, it is given back.
int hak_platform_is_one_mapping(void* address, size_t bytes) {
  size_t os_page = hak_platform_os_page_bytes();
  int error = call(HAK_KERNEL_MREMAP, 0, NULL, ENOMEM, SYS_mremap,
                   (const long[6]){(long)address, (long)bytes, (long)(bytes + os_page), 0, 0, 0});
  if (error == 0) hak_platform_unmap((char*)address + bytes, os_page);
  return error == ENOMEM || error == EAGAIN ? 0 : error;
}

int hak_platform_move(void* from, void* to, size_t bytes) {
  return hak_platform_call(
      HAK_KERNEL_MREMAP, bytes, NULL, SYS_mremap,
      (const long[6]){(long)from, (long)bytes, (long)bytes,
                      MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, (long)to, 0});
}

// A wait that ends at once: the kernel compares, and says what it found.
bool hak_platform_holds(const void* address, uint64_t value) {
  const uint32_t* words = address;
  uint32_t expected[2];
  __builtin_memcpy(expected, &value, sizeof expected);
  struct timespec now = {0};
  for (unsigned i = 0; i < 2; i++) {
    int error;
    do {
      error = call(HAK_KERNEL_FUTEX, 0, NULL, ETIMEDOUT, SYS_futex,
                   (const long[6]){(long)&words[i], FUTEX_WAIT_PRIVATE, (long)expected[i],
                                   (long)&now, 0, 0});
    } while (error == EINTR);
    if (error != ETIMEDOUT) return false;
  }
  return true;
}

// ---- the process ----

// Little enough for the stack of any thread; /proc gives whole lines of its maps in any case.
#define PIECE_BYTES 2048

static int open_to_read(const char* path, long* fd) {
  return hak_platform_call(HAK_KERNEL_TELEMETRY, 0, fd, SYS_openat,
                           (const long[6]){AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0});
}

static int read_piece(long fd, char* piece, size_t capacity, long* length) {
  return hak_platform_call(HAK_KERNEL_TELEMETRY, capacity, length, SYS_read,
                           (const long[6]){fd, (long)piece, (long)capacity, 0, 0, 0});
}

static void close_file(long fd) {
  (void)hak_platform_call(HAK_KERNEL_TELEMETRY, 0, NULL, SYS_close,
                          (const long[6]){fd, 0, 0, 0, 0, 0});
}

int hak_platform_read_file(const char* path, char* text, size_t capacity, size_t* length) {
  long fd, got = 0;
  int error = open_to_read(path, &fd);
  if (error != 0) return error;
  error = read_piece(fd, text, capacity, &got);
  close_file(fd);
  *length = error == 0 ? (size_t)got : 0;
  return error;
}

// The `index`-th decimal number of a small file.
static uint64_t number_in_file(const char* path, unsigned index) {
  char piece[PIECE_BYTES];
  size_t length = 0;
  int error = hak_platform_read_file(path, piece, sizeof piece, &length);
  const char *at = piece, *end = piece + (error == 0 ? length : 0);
  for (; index != 0; index--) {
    while (at < end && *at != ' ') at++;
    while (at < end && *at == ' ') at++;
  }
  if (at == end || *at < '0' || *at > '9') return UINT64_MAX;
  uint64_t number = 0;
  for (; at < end && *at >= '0' && *at <= '9'; at++) number = number * 10 + (uint64_t)(*at - '0');
  return number;
}

static uint64_t lines_in_file(const char* path) {
  char piece[PIECE_BYTES];
  long fd, length = 0;
  if (open_to_read(path, &fd) != 0) return UINT64_MAX;
  uint64_t lines = 0;
  int error;
  while ((error = read_piece(fd, piece, sizeof piece, &length)) == 0 && length > 0) {
    for (long i = 0; i < length; i++) lines += piece[i] == '\n';
  }
  close_file(fd);
  return error == 0 ? lines : UINT64_MAX;
}

static uint64_t ns_of(struct timeval t) {
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

void hak_platform_process(hak_process_t* process) {
  struct rusage usage;
  int error = hak_platform_call(HAK_KERNEL_TELEMETRY, 0, NULL, SYS_getrusage,
                                (const long[6]){RUSAGE_SELF, (long)&usage, 0, 0, 0, 0});
  process->minor_faults = error == 0 ? (uint64_t)usage.ru_minflt : UINT64_MAX;
  process->major_faults = error == 0 ? (uint64_t)usage.ru_majflt : UINT64_MAX;
  process->user_ns = error == 0 ? ns_of(usage.ru_utime) : UINT64_MAX;
  process->system_ns = error == 0 ? ns_of(usage.ru_stime) : UINT64_MAX;
  uint64_t rss_pages = number_in_file("/proc/self/statm", 1);
  bool known = rss_pages != UINT64_MAX;
  process->rss_bytes = known ? rss_pages * hak_platform_os_page_bytes() : UINT64_MAX;
  process->vmas = lines_in_file("/proc/self/maps");
  process->vmas_max = number_in_file("/proc/sys/vm/max_map_count", 0);
}

// ---- time, waiting ----

void hak_platform_sleep_ms(uint64_t ms) {
  _Atomic(uint32_t) nobody = 0;
  hak_platform_wait_ms(&nobody, 0, ms);
}

void hak_platform_wait(_Atomic(uint32_t)* word, uint32_t expected) {
  hak_platform_call(HAK_KERNEL_FUTEX, 0, NULL, SYS_futex,
                    (const long[6]){(long)word, FUTEX_WAIT_PRIVATE, (long)expected, 0, 0, 0});
}

void hak_platform_wake(_Atomic(uint32_t)* word) {
  hak_platform_call(HAK_KERNEL_FUTEX, 0, NULL, SYS_futex,
                    (const long[6]){(long)word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0});
}

void hak_platform_wake_all(_Atomic(uint32_t)* word) {
  hak_platform_call(HAK_KERNEL_FUTEX, 0, NULL, SYS_futex,
                    (const long[6]){(long)word, FUTEX_WAKE_PRIVATE, INT_MAX, 0, 0, 0});
}

void hak_platform_wait_ms(_Atomic(uint32_t)* word, uint32_t expected, uint64_t ms) {
  struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
  int saved_errno = errno;
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &t, NULL, 0);
  errno = saved_errno;
}
