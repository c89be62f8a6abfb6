// hakmem: a drop-in memory allocator for Linux.
//
// The functions of this header are the allocator under its own names. They can be used beside
// another malloc (link //hakmem:core) or as the process's malloc (link //hakmem, or preload
// libhakmem.so, which also define malloc, free and the rest of libc's allocation functions).
//
// Common to all functions, unless one says otherwise:
// - Sizes are in bytes. Every block is aligned to 16 bytes at least.
// - Thread safety: any thread may call any function at any time, and may free any block, whichever
//   thread allocated it. They may be called before constructors have run and after destructors
//   have. None is async-signal-safe; fork is allowed at any time, in a signal handler too.
// - Errors: a function that returns a block returns NULL and sets errno to ENOMEM when the memory
//   cannot be had or the size exceeds PTRDIFF_MAX. free and its kin preserve errno.
// - Misuse that is noticed (a pointer that is not a block of this allocator, an interior pointer, a
//   double free, a size that the block cannot have) prints one line to stderr and aborts.
// - Size 0: a block of its own, that can be resized and freed. Its usable size is 0, and whoever
//   reads or writes there faults. (With tens of thousands of them live, further ones are memory.)

#ifndef HAKMEM_HAKMEM_H_
#define HAKMEM_HAKMEM_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HAK_VERSION_MAJOR 0
#define HAK_VERSION_MINOR 1
#define HAK_VERSION_PATCH 0

#if defined(__GNUC__)
#define HAK_API __attribute__((visibility("default")))
#define HAK_MALLOC_LIKE __attribute__((malloc, warn_unused_result))
#define HAK_NODISCARD __attribute__((warn_unused_result))
#define HAK_ALLOC_SIZE(...) __attribute__((alloc_size(__VA_ARGS__)))
#define HAK_ALLOC_ALIGN(n) __attribute__((alloc_align(n)))
#else
#define HAK_API
#define HAK_MALLOC_LIKE
#define HAK_NODISCARD
#define HAK_ALLOC_SIZE(...)
#define HAK_ALLOC_ALIGN(n)
#endif

// Of functions that do not read what lies at the address that their n-th argument is: else GCC
// warns of a block to which nothing has been written yet.
#ifdef HAK_ADDRESS_ONLY
#elif defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
#define HAK_ADDRESS_ONLY(n) __attribute__((access(none, n)))
#else
#define HAK_ADDRESS_ONLY(n)
#endif

// ---- allocation ----

// Returns a block of at least `size` bytes, its contents undefined. Size 0 gives a unique block
// that must be freed.
HAK_API void* hak_malloc(size_t size) HAK_MALLOC_LIKE HAK_ALLOC_SIZE(1);

// Returns a block of `count * size` bytes, all zero. An overflowing product is ENOMEM.
HAK_API void* hak_calloc(size_t count, size_t size) HAK_MALLOC_LIKE HAK_ALLOC_SIZE(1, 2);

// Resizes `ptr` to `size` bytes and returns it, moved or not; the contents are kept up to the
// smaller size. hak_realloc(NULL, n) allocates. hak_realloc(p, 0) frees p and returns NULL, as
// glibc does. On failure `ptr` stays valid and unchanged.
HAK_API void* hak_realloc(void* ptr, size_t size) HAK_NODISCARD HAK_ALLOC_SIZE(2);

// hak_realloc(ptr, count * size); an overflowing product is ENOMEM and leaves `ptr` unchanged.
HAK_API void* hak_reallocarray(void* ptr, size_t count, size_t size) HAK_NODISCARD
    HAK_ALLOC_SIZE(2, 3);

// Frees a block. NULL is ignored. Preserves errno.
HAK_API void hak_free(void* ptr);

// C23 free_sized: frees a block that was allocated by malloc, calloc or realloc with this very
// size. Aborts for a size that the block cannot have.
HAK_API void hak_free_sized(void* ptr, size_t size);

// C23 free_aligned_sized: frees a block that was allocated by aligned_alloc with this alignment and
// size. Aborts for those that the block cannot have.
HAK_API void hak_free_aligned_sized(void* ptr, size_t alignment, size_t size);

// ---- aligned allocation ----

// C17 aligned_alloc: `alignment` is a power of two, else EINVAL. `size` need not be a multiple of
// it.
HAK_API void* hak_aligned_alloc(size_t alignment, size_t size) HAK_MALLOC_LIKE HAK_ALLOC_ALIGN(1)
    HAK_ALLOC_SIZE(2);

// POSIX posix_memalign: `alignment` is a power of two and a multiple of sizeof(void*). Returns 0,
// EINVAL or ENOMEM, and leaves *out unchanged on failure. As glibc's it sets errno for ENOMEM only.
HAK_API int hak_posix_memalign(void** out, size_t alignment, size_t size) HAK_NODISCARD;

// glibc memalign: an alignment that is not a power of two is rounded up to the next one; one for
// which there is none is EINVAL.
HAK_API void* hak_memalign(size_t alignment, size_t size) HAK_MALLOC_LIKE HAK_ALLOC_SIZE(2);

// ---- questions about sizes ----

// The bytes that may be used at `ptr`, at least the size asked for. 0 for NULL. Aborts for a
// pointer that is not a block.
HAK_API size_t hak_usable_size(const void* ptr) HAK_ADDRESS_ONLY(1);

// The usable size a request of `size` bytes would get, so that a caller can ask for all of it. 0
// when no such block can exist (over PTRDIFF_MAX).
HAK_API size_t hak_good_size(size_t size);

// The size class that serves requests of `size` bytes: 1 and up; 0 when no class does (large and
// huge blocks).
HAK_API unsigned hak_size_class(size_t size);

// The block size of a class, in bytes; 0 when there is no such class.
HAK_API size_t hak_class_size(unsigned size_class);

// ---- questions about addresses ----

// Whether `ptr` lies in a block, live or free, that this allocator manages. Never aborts.
HAK_API bool hak_owns(const void* ptr) HAK_ADDRESS_ONLY(1);

// What hak_super_lookup finds out about an address.
typedef struct hak_super_info {
  uintptr_t super_base;  // first byte of the SuperSlab (of the first one of a huge block)
  size_t super_bytes;    // its size: one SuperSlab (512 KiB in the direct backend), or all of a
                         // huge block's
  uintptr_t page_base;   // first byte of the 64 KiB page that holds the address
  unsigned page_index;   // that page's index in the SuperSlab
  unsigned size_class;   // 0 for a large or a huge block
  uintptr_t block_base;  // first byte of the block, live or free, that holds the address
  size_t block_bytes;    // usable bytes of that block
} hak_super_info;

// Looks up any address. Fills `*info` and returns true when the address lies in a block, live or
// free, of this allocator; returns false and leaves `*info` unchanged when it is foreign (or in a
// part of a SuperSlab that holds no block now). The answer describes the moment of the call:
// another thread may free the block at once.
HAK_API bool hak_super_lookup(const void* ptr, hak_super_info* info) HAK_ADDRESS_ONLY(1);

// ---- memory in advance ----

// Maps `superslabs` SuperSlabs' worth of blocks of a size class (as hak_size_class numbers them)
// and faults them in, so that a later burst of such blocks meets neither system calls nor page
// faults. Returns how many SuperSlabs' worth are ready; when fewer than asked for, a line on
// stderr says why. 0 for a class that does not exist.
HAK_API unsigned hak_ss_prewarm_class(unsigned size_class, unsigned superslabs);

// ---- a limit on memory ----

#define HAK_NO_LIMIT SIZE_MAX

// Limits the memory that blocks may take, in bytes: pages that hold memory, free or not, but not
// what the allocator keeps for itself (some hundredths of that). It takes the place of HAKMEM_LIMIT
// or of an earlier limit.
// - Beyond `soft_bytes` free memory goes back to the kernel at once, caches do not grow, and no
//   huge page is asked for. 0: seven eighths of `hard_bytes`.
// - Beyond `hard_bytes` nothing goes: all free and cached memory is given back first, and then a
//   request that has no room fails with ENOMEM, and leaves the block that it was to resize as it
//   is. What is in use beyond a limit that is set later stays.
// HAK_NO_LIMIT: none. Returns true; false, with errno EINVAL and nothing changed, when `hard_bytes`
// is 0 or less than `soft_bytes`. Any thread, at any time. A forked child has its parent's limit,
// for itself.
HAK_API bool hak_memory_limit_set(size_t soft_bytes, size_t hard_bytes);

// The limits as they are now, in bytes; HAK_NO_LIMIT where there is none. One that is a share of
// the container's memory (HAKMEM_LIMIT=75%) is none until 16 MiB are in use. NULL is allowed.
HAK_API void hak_memory_limit_get(size_t* soft_bytes, size_t* hard_bytes);

// ---- figures: where the time and the memory go ----
//
// All figures come from counters that the allocator's slow paths keep, so that they cost the fast
// paths nothing. Nothing is stopped to read them: in a busy program figures may be out of step by
// what moved meanwhile; in a quiescent one they are exact, and what counts from the start never
// goes back. Reading them costs a walk over all slabs (2 GiB take some 2 ms), allocates nothing,
// and counts as a slow path, not as a fast one. hak_stats_get also asks the kernel about the
// process, which takes it the longer the more mappings there are.
//
// The structures grow by fields at their end in later versions. A caller passes the size it was
// compiled with and gets the fields it knows; a field the running library does not know is left
// unchanged. HAK_UNKNOWN stands in a field whose value could not be had.

#define HAK_UNKNOWN UINT64_MAX

// One kind of call into the kernel, since the start of the process.
typedef struct hak_kernel_stats {
  uint64_t calls;
  uint64_t bytes;     // asked for by calls that succeeded
  uint64_t failures;  // calls that returned an error
  uint64_t ns;        // wall time spent in them
} hak_kernel_stats;

typedef struct hak_stats {
  uint64_t time_ns;  // CLOCK_MONOTONIC

  // What the allocator asked of the kernel; telemetry: for these figures themselves.
  hak_kernel_stats mmap, munmap, madvise, mremap, mprotect, futex, telemetry;

  // The process, as the kernel accounts for it.
  uint64_t minor_faults, major_faults;  // page faults
  uint64_t user_ns, system_ns;          // CPU time
  uint64_t rss_bytes;                   // resident set
  uint64_t vmas, vmas_max;              // mappings, and how many there may be

  // Memory.
  uint64_t reserved_bytes;   // address space taken for blocks
  uint64_t committed_bytes;  // of it, and of the metadata, what may be resident
  uint64_t allocated_bytes;  // blocks in the program's hands, as usable sizes (see hak_retention)
  uint64_t metadata_bytes;
  uint64_t purged_bytes;  // given back to the kernel since the start

  // Live blocks above the size classes.
  uint64_t spans, span_bytes;
  uint64_t huge_blocks, huge_bytes;

  // Threads.
  uint64_t heaps;  // threads that have a cache
  uint64_t cached_bytes, outgoing_bytes;

  // Events since the start, of all classes.
  uint64_t refills, flushes;    // exchanges between thread caches and slabs
  uint64_t remote_frees;        // blocks returned to slabs of other threads
  uint64_t remote_atomics;      // read-modify-writes that took
  uint64_t adoptions;           // slabs of ended threads taken over
  uint64_t exhaustions;         // times a class ran out of room and one more SuperSlab was taken
  uint64_t lock_acquisitions;   // of all the allocator's locks
  uint64_t lock_contentions;    // of those, how many had to wait
  uint64_t events;              // slow events recorded (HAKMEM_SS_DEBUG)
  uint64_t telemetry_failures;  // telemetry lines that could not be written

  // The limit; HAK_UNKNOWN: there is none.
  uint64_t limit_soft_bytes, limit_hard_bytes;
  uint64_t limit_approaches;  // times that memory has come beyond the soft limit
  uint64_t limit_refusals;    // times that the hard limit had no room, before caches were emptied
                              // or after
} hak_stats;

// One size class.
typedef struct hak_class_stats {
  uint64_t block_bytes;
  uint64_t slabs;     // in use
  uint64_t capacity;  // their blocks; each is live, free, cached or outgoing
  uint64_t live;      // in the program's hands
  uint64_t free;      // in slabs
  uint64_t cached;    // in thread caches
  uint64_t outgoing;  // freed by threads that do not own them, on their way back
  // Since the start:
  uint64_t taken, returned;   // blocks that went from slabs to threads, and back
  uint64_t refills, flushes;  // in how many exchanges
  uint64_t remote_frees;
  uint64_t adoptions;
  uint64_t exhaustions;
} hak_class_stats;

// Why memory is held that the program does not use. Every committed byte that is not live has
// exactly one reason: in a quiescent program the reasons add up to committed_bytes - live_bytes.
//
// Live is what the program may use: the block sizes of size classes, all OS pages of a large block.
// The sizes it asked for are not recorded (that would cost every malloc and free), so what rounding
// up to a block adds, at most 1/9 above 128 bytes, counts as live.
typedef struct hak_retention {
  uint64_t committed_bytes;      // as in hak_stats
  uint64_t live_bytes;           // hak_stats.allocated_bytes
  uint64_t rounding_bytes;       // ends of slabs and of large blocks that no block can use
  uint64_t partial_slabs_bytes;  // free blocks in slabs that have live ones or an owner
  uint64_t abandoned_bytes;      // the same, in slabs whose thread has ended
  uint64_t prewarmed_bytes;      // slabs that were made ready and not used yet
  uint64_t thread_caches_bytes;  // blocks in magazines, spans that threads keep
  uint64_t outgoing_bytes;       // blocks on their way back to their slabs
  uint64_t empty_pages_bytes;    // free pages of SuperSlabs in use, inside the purge delay
  uint64_t huge_cache_bytes;     // SuperSlabs free as a whole, inside the purge delay
  uint64_t lost_bytes;           // given up in a forked child: caught half changed
  uint64_t metadata_bytes;       // the allocator's own
} hak_retention;

// Each fills `*out`, of `bytes` bytes, and returns true; hak_stats_class_get returns false and
// leaves it unchanged when there is no such class.
HAK_API bool hak_stats_get(hak_stats* out, size_t bytes);
HAK_API bool hak_stats_class_get(unsigned size_class, hak_class_stats* out, size_t bytes);
HAK_API bool hak_retention_get(hak_retention* out, size_t bytes);

// Receives text, in pieces; returns false to stop.
typedef bool (*hak_write_fn)(const char* text, size_t length, void* context);

// Writes all figures as one line of JSON, a flat object and a newline (docs/TELEMETRY.md), or in
// the OpenMetrics text format. False when `write` stopped it. `write` may allocate.
HAK_API bool hak_stats_json(hak_write_fn write, void* context);
HAK_API bool hak_stats_openmetrics(hak_write_fn write, void* context);

// Writes a line to the file of HAKMEM_TELEMETRY now. `phase`, when not NULL, is its phase label and
// that of all later lines (at most 63 bytes count). False when there is no such file or the write
// failed.
HAK_API bool hak_telemetry_write(const char* phase);

// ---- the heap profiler: who holds the memory ----
//
// Allocations are sampled, one in `interval` bytes on average, with the stack of calls that led
// there; what a sample stands for is estimated without bias. docs/PROFILER.md says what it costs,
// and how to read what is written.

typedef enum hak_profile_kind {
  HAK_PROFILE_PPROF,        // pprof's profile.proto, all values, with build ids of mapped files
  HAK_PROFILE_LIVE_STACKS,  // a line of text each stack: MODULE+0xADDRESS;... and its live bytes
  HAK_PROFILE_ALL_STACKS,   // the same, with all that was allocated there since the first start
  HAK_PROFILE_JSON,         // a line of JSON each stack, with all values and the ages of what lives
} hak_profile_kind;

// Begins to sample at an interval in bytes, from 1 to 2^30; where it has begun, goes on with that
// interval. What was allocated before is not seen. False, with errno: EINVAL, ENOMEM, or ENOTSUP in
// a hardened process. It opens libgcc_s (to unwind with) the first time.
HAK_API bool hak_profile_start(size_t interval);

// Ends it. The samples that live are still followed until they are freed.
HAK_API void hak_profile_stop(void);

// Writes a profile as it is now: to a file that is made or emptied, or to a descriptor. False, with
// errno, when that failed.
HAK_API bool hak_profile_dump(const char* path, hak_profile_kind kind);
HAK_API bool hak_profile_write(int fd, hak_profile_kind kind);

// ---- the library ----

// "MAJOR.MINOR.PATCH" of the library that is running. Also the proof that hakmem serves a process:
// it is exported by every build of the allocator.
HAK_API const char* hak_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // HAKMEM_HAKMEM_H_
