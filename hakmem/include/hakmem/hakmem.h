// hakmem: a drop-in memory allocator for Linux.
//
// The functions of this header are the allocator under its own names. They can be used beside
// another malloc (link //hakmem:core) or as the process's malloc (link //hakmem, or preload
// libhakmem.so, which also define malloc, free and the rest of the C and C++ allocation functions).
//
// Common to all functions, unless one says otherwise:
// - Sizes are in bytes. Every block is aligned to 16 bytes at least.
// - Thread safety: any thread may call any function at any time, and may free any block, whichever
//   thread allocated it. They may be called before constructors have run and after destructors
//   have. None is async-signal-safe; fork is allowed at any time, in a signal handler too.
// - Errors: a function that returns a block returns NULL and sets errno to ENOMEM when the memory
//   cannot be had or the size exceeds PTRDIFF_MAX. free and its kin preserve errno.
// - Misuse that is noticed (a pointer that is not a block of this allocator, an interior pointer, a
//   double free) prints one line to stderr and aborts.

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
// size.
HAK_API void hak_free_sized(void* ptr, size_t size);

// C23 free_aligned_sized: frees a block that was allocated by aligned_alloc with this alignment and
// size.
HAK_API void hak_free_aligned_sized(void* ptr, size_t alignment, size_t size);

// ---- aligned allocation ----

// C17 aligned_alloc: `alignment` is a power of two, else EINVAL. `size` need not be a multiple of
// it.
HAK_API void* hak_aligned_alloc(size_t alignment, size_t size) HAK_MALLOC_LIKE HAK_ALLOC_ALIGN(1)
    HAK_ALLOC_SIZE(2);

// POSIX posix_memalign: `alignment` is a power of two and a multiple of sizeof(void*). Returns 0,
// EINVAL or ENOMEM; does not touch errno, and leaves *out unchanged on failure.
HAK_API int hak_posix_memalign(void** out, size_t alignment, size_t size) HAK_NODISCARD;

// glibc memalign: an alignment that is not a power of two is rounded up to the next one; one for
// which there is none is EINVAL.
HAK_API void* hak_memalign(size_t alignment, size_t size) HAK_MALLOC_LIKE HAK_ALLOC_SIZE(2);

// ---- questions about sizes ----

// The bytes that may be used at `ptr`, at least the size asked for. 0 for NULL. Aborts for a
// pointer that is not a block.
HAK_API size_t hak_usable_size(const void* ptr);

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
HAK_API bool hak_owns(const void* ptr);

// What hak_super_lookup finds out about an address.
typedef struct hak_super_info {
  uintptr_t super_base;  // first byte of the SuperSlab (of the first one of a huge block)
  size_t super_bytes;    // its size: one SuperSlab, or all SuperSlabs of a huge block
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
HAK_API bool hak_super_lookup(const void* ptr, hak_super_info* info);

// ---- memory in advance ----

// Maps `superslabs` SuperSlabs' worth of blocks of a size class (as hak_size_class numbers them)
// and faults them in, so that a later burst of such blocks meets neither system calls nor page
// faults. Returns how many SuperSlabs' worth are ready; when fewer than asked for, a line on
// stderr says why. 0 for a class that does not exist.
HAK_API unsigned hak_ss_prewarm_class(unsigned size_class, unsigned superslabs);

// ---- the library ----

// "MAJOR.MINOR.PATCH" of the library that is running. Also the proof that hakmem serves a process:
// it is exported by every build of the allocator.
HAK_API const char* hak_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // HAKMEM_HAKMEM_H_
