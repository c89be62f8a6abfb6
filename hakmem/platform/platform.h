// Platform layer: every call into the kernel goes through here, counted and timed by kind.
//
// All functions are thread-safe and preserve errno. Those that can fail return 0 or an errno
// value. None is a point of cancellation.
//
// Memory is mapped, moved and given back through libc's mmap, munmap, mremap and madvise, so that
// libraries which watch these by patching them see it, as they see libc's own malloc. Where one of
// the names leads to another library's function, which may call malloc, where there is no libc.so,
// and before the library has started, the kernel is called directly. So is it for all else.

#ifndef HAKMEM_PLATFORM_H_
#define HAKMEM_PLATFORM_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"

typedef enum hak_kernel_kind {
#define HAK_KERNEL_CALL(KIND, name) HAK_KERNEL_##KIND,
#include "hakmem/platform/kernel_calls.def"
  HAK_KERNEL_N_KINDS,
} hak_kernel_kind_t;

// What was asked of the kernel since the start of the process, for one kind of call.
typedef struct hak_kernel_counters {
  _Atomic(uint64_t) calls;
  _Atomic(uint64_t) bytes;     // of the calls that succeeded
  _Atomic(uint64_t) failures;  // calls that returned an error
  _Atomic(uint64_t) ns;        // wall time spent in the calls
} hak_kernel_counters_t;

const hak_kernel_counters_t* hak_platform_counters(hak_kernel_kind_t kind);
const char* hak_platform_kind_name(hak_kernel_kind_t kind);

// ---- memory ----

// Bytes of an OS page: 4, 16 or 64 KiB. (0 in the variable: not asked yet.)
extern _Atomic(size_t) hak_platform_os_page;
hak_noinline size_t hak_platform_ask_os_page(void);
static inline size_t hak_platform_os_page_bytes(void) {
  size_t bytes = hak_load_relaxed(&hak_platform_os_page);
  return hak_likely(bytes != 0) ? bytes : hak_platform_ask_os_page();
}

// The soft limit on address space (RLIMIT_AS) in bytes; SIZE_MAX when there is none. Asked for when
// the library begins, and not again: a sandbox may kill the process for it later.
size_t hak_platform_address_limit(void);

// Maps `bytes` of fresh, zero, private memory, readable and writable. (Not MAP_NORESERVE: under
// the default overcommit policy it would only hide that a request exceeds all memory there is.)
// `alignment` is a power of two, at least an OS page; no part of the mapping made on the way is
// left over. On success *out is the address.
hak_nodiscard int hak_platform_map(size_t bytes, size_t alignment, void** out);

// The same of address space that cannot be touched until it is made writable. Until then it counts
// against no limit but that on address space, and locks no memory.
hak_nodiscard int hak_platform_reserve(size_t bytes, size_t alignment, void** out);

// Replaces what is mapped at [address, address + bytes) by fresh, zero memory.
hak_nodiscard int hak_platform_map_again(void* address, size_t bytes);

// The same by address space that cannot be touched, as hak_platform_reserve maps it.
hak_nodiscard int hak_platform_reserve_again(void* address, size_t bytes);

// Maps `bytes` of fresh, zero memory at `address`, unless something is mapped in that range:
// EEXIST.
hak_nodiscard int hak_platform_map_free(void* address, size_t bytes);

// Makes a range of private memory readable and writable, whatever has been made of it before.
int hak_platform_make_writable(void* address, size_t bytes);

// Makes a range of private memory fault when it is touched, without a mapping of its own, and drops
// what it holds; or (wanted: false) makes it readable and writable again, as zero memory. EINVAL
// where the kernel cannot (before 6.13).
int hak_platform_set_guard(void* address, size_t bytes, bool wanted);

int hak_platform_unmap(void* address, size_t bytes);

// Gives the memory behind a range back to the kernel. The range stays mapped and reads as zero.
// EINVAL for memory that the program has locked, before Linux 5.18.
hak_nodiscard int hak_platform_purge(void* address, size_t bytes);

// Asks for transparent huge pages in a range, or asks not to get any.
int hak_platform_advise_huge(void* address, size_t bytes, bool wanted);

// Has the kernel clear a range in a forked child. EINVAL where it cannot (before 4.14).
hak_nodiscard int hak_platform_wipe_on_fork(void* address, size_t bytes);

// Faults a range in for writing, in one call where the kernel can (5.14), else page by page. The
// contents stay. An error means that not all of it could be had.
hak_nodiscard int hak_platform_populate(void* address, size_t bytes);

// Whether a range lies in one of the kernel's mappings: 0; EFAULT when in several, or not mapped;
// another error when the kernel does not say.
hak_nodiscard int hak_platform_is_one_mapping(void* address, size_t bytes);

// Moves the memory behind [from, from + bytes) to [to, to + bytes), both mapped, without a copy.
// `from` stays mapped and reads as zero. ENOSYS or EINVAL where the kernel cannot (before 5.7).
// pre: `from` lies in one mapping; of several, kernels from 6.17 on may move some and then fail.
// After any error all is still at `from`, but `to` may be unmapped: kernels unmap it first.
hak_nodiscard int hak_platform_move(void* from, void* to, size_t bytes);

// Whether the 8 bytes at `address`, a multiple of 8, can be read and are `value`. Touches nothing
// that is not mapped; asks the kernel.
hak_nodiscard bool hak_platform_holds(const void* address, uint64_t value);

// ---- the process ----

// What the kernel accounts to the process; UINT64_MAX where that can't be had.
typedef struct hak_process {
  uint64_t minor_faults, major_faults;
  uint64_t user_ns, system_ns;
  uint64_t rss_bytes;
  uint64_t vmas, vmas_max;
} hak_process_t;

// Asks the kernel and /proc. All calls are of kind HAK_KERNEL_TELEMETRY.
void hak_platform_process(hak_process_t* process);

// Reads a small file of the kernel's, which gives it in one piece: `capacity` bytes at most. Calls
// of the same kind.
hak_nodiscard int hak_platform_read_file(const char* path, char* text, size_t capacity,
                                         size_t* length);

// ---- time, waiting ----

// Monotonic time: exact, and as of the kernel's last tick (cheaper, 1 to 10 ms late).
uint64_t hak_platform_now_ns(void);
uint64_t hak_platform_now_ms(void);

// From here on memory is mapped through libc's functions, if they are libc's, and so are the clocks
// read: libc asks the vDSO, without a system call, for which a sandbox might kill. When the library
// starts, by one thread; no lock held.
void hak_platform_ready_libc(void);

// Whether the clocks are the kernel's, and not what another library makes of them.
bool hak_platform_has_true_clock(void);

// Sleeps; may wake early.
void hak_platform_sleep_ms(uint64_t ms);

// Sleeps while *word == expected; may wake early. Wakes at most one sleeper.
void hak_platform_wait(_Atomic(uint32_t)* word, uint32_t expected);
void hak_platform_wake(_Atomic(uint32_t)* word);
void hak_platform_wake_all(_Atomic(uint32_t)* word);

// Sleeps while *word == expected, for `ms` at most; may wake early. Not counted: it is no work.
void hak_platform_wait_ms(_Atomic(uint32_t)* word, uint32_t expected, uint64_t ms);

// Any other call, of a kind. *result, when it is not NULL, is the kernel's answer to one that
// succeeds.
int hak_platform_call(hak_kernel_kind_t kind, size_t bytes, long* result, long number,
                      const long arguments[6]);

// ---- another kernel, for tests ----

// Answers a call as hak_platform_ask does: 0 or an errno value, and *answer when it succeeds.
typedef int (*hak_platform_kernel_t)(hak_kernel_kind_t kind, size_t bytes, long* answer,
                                     long number, const long arguments[6]);

// From here on every call goes to `kernel`; NULL: to the real one.
void hak_platform_set_kernel(hak_platform_kernel_t kernel);

// The real kernel's answer to a call. Neither counted nor timed; may change errno.
int hak_platform_ask(long number, const long arguments[6], long* answer);

#endif  // HAKMEM_PLATFORM_H_
