// The C library's allocation functions, served by hakmem.
//
// Linked or preloaded, these stand where libc's stood, under all of libc's names. What libc's
// function does with libc's heap, ours does with ours; what libc's does by calling another by its
// public name, which a program or a library may have defined for itself, ours does that way too;
// and so does what libc does not have. docs/COMPATIBILITY.md says what follows for whom.
//
// There is no operator new or delete: the C++ runtime's call malloc and free, and each other as the
// standard says, whichever of them a program or a library replaces.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/malloc/fast_path.h"
#include "hakmem/platform/libc.h"
#include "hakmem/platform/platform.h"
#include "hakmem/stats/introspect.h"

// Another name of a function of this file.
#define NAME_OF(function) __attribute__((alias(#function)))

// ---- on our heap ----

static void* own_malloc(size_t size) { return hak_fast_malloc(size); }
static void own_free(void* ptr) { hak_fast_free(ptr); }
static void* own_calloc(size_t count, size_t size) { return hak_calloc(count, size); }
static void* own_realloc(void* ptr, size_t size) { return hak_realloc(ptr, size); }
static void* own_memalign(size_t alignment, size_t size) { return hak_memalign(alignment, size); }
static void* own_valloc(size_t size) { return hak_memalign(hak_platform_os_page_bytes(), size); }

static void* own_pvalloc(size_t size) {
  size_t os_page = hak_platform_os_page_bytes();
  if (size > PTRDIFF_MAX - os_page) {
    errno = ENOMEM;
    return NULL;
  }
  return hak_memalign(os_page, hak_round_up(hak_max_size(size, 1), os_page));
}

HAK_API void* malloc(size_t size) NAME_OF(own_malloc);
HAK_API void free(void* ptr) NAME_OF(own_free);
HAK_API void* calloc(size_t count, size_t size) NAME_OF(own_calloc);
HAK_API void* realloc(void* ptr, size_t size) NAME_OF(own_realloc);
HAK_API void* memalign(size_t alignment, size_t size) NAME_OF(own_memalign);
HAK_API void* valloc(size_t size) NAME_OF(own_valloc);
HAK_API void* pvalloc(size_t size) NAME_OF(own_pvalloc);

HAK_API void* aligned_alloc(size_t alignment, size_t size) {
  return hak_aligned_alloc(alignment, size);
}
HAK_API int posix_memalign(void** out, size_t alignment, size_t size) {
  return hak_posix_memalign(out, alignment, size);
}

// libc's second names, for those who wrap the first ones, and for older dynamic linkers.
HAK_API void* __libc_malloc(size_t size) NAME_OF(own_malloc);
HAK_API void __libc_free(void* ptr) NAME_OF(own_free);
HAK_API void* __libc_calloc(size_t count, size_t size) NAME_OF(own_calloc);
HAK_API void* __libc_realloc(void* ptr, size_t size) NAME_OF(own_realloc);
HAK_API void* __libc_memalign(size_t alignment, size_t size) NAME_OF(own_memalign);
HAK_API void* __libc_valloc(size_t size) NAME_OF(own_valloc);
HAK_API void* __libc_pvalloc(size_t size) NAME_OF(own_pvalloc);

// ---- on the malloc in force ----

// The functions that the process means by malloc, free and realloc: ours as a rule. (The compiler
// would take the definitions above for granted.)
#define IN_FORCE(function)                          \
  ({                                                \
    __typeof__(&(function)) in_force = &(function); \
    hak_hide_value(in_force);                       \
    in_force;                                       \
  })

// Not declared by every libc.
HAK_API void cfree(void* ptr);
HAK_API void free_sized(void* ptr, size_t size);
HAK_API void free_aligned_sized(void* ptr, size_t alignment, size_t size);

HAK_API void* reallocarray(void* ptr, size_t count, size_t size) {
  size_t bytes;
  if (hak_unlikely(__builtin_mul_overflow(count, size, &bytes))) return hak_refuse();
  return IN_FORCE(realloc)(ptr, bytes);
}

HAK_API void cfree(void* ptr) { IN_FORCE(free)(ptr); }

HAK_API void free_sized(void* ptr, size_t size) {
  if (IN_FORCE(free) != own_free) return IN_FORCE(free)(ptr);
  hak_free_sized(ptr, size);
}

HAK_API void free_aligned_sized(void* ptr, size_t alignment, size_t size) {
  if (IN_FORCE(free) != own_free) return IN_FORCE(free)(ptr);
  hak_free_aligned_sized(ptr, alignment, size);
}

// Of a block that another malloc gave nothing is known: 0 promises nothing. With ours in force that
// is misuse.
HAK_API size_t malloc_usable_size(void* ptr) {
  if (IN_FORCE(malloc) != own_malloc && !hak_owns(ptr)) return 0;
  return hak_usable_size(ptr);
}

// ---- introspection ----

HAK_API int malloc_trim(size_t pad) {
  (void)pad;  // glibc keeps that much at the top of its heap; there is no such top here
  return hak_introspect_trim() ? 1 : 0;
}

// glibc's parameters are accepted, and mean nothing to this allocator, so that programs which tune
// their malloc go on running.
static int own_mallopt(int parameter, int value) {
  (void)value;
  static const int known[] = {M_MXFAST,         M_NLBLKS,  M_GRAIN,      M_KEEP,
                              M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX,   M_MMAP_THRESHOLD,
                              M_CHECK_ACTION,   M_PERTURB, M_ARENA_TEST, M_ARENA_MAX};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (parameter == known[i]) return 1;
  }
  return 0;
}

HAK_API int mallopt(int parameter, int value) NAME_OF(own_mallopt);
HAK_API int __libc_mallopt(int parameter, int value) NAME_OF(own_mallopt);

HAK_API struct mallinfo2 mallinfo2(void) { return hak_introspect_mallinfo2(); }

static int saturate(size_t value) { return value > INT32_MAX ? INT32_MAX : (int)value; }

static struct mallinfo own_mallinfo(void) {
  struct mallinfo2 info = hak_introspect_mallinfo2();
  return (struct mallinfo){
      .arena = saturate(info.arena),
      .ordblks = saturate(info.ordblks),
      .smblks = saturate(info.smblks),
      .hblks = saturate(info.hblks),
      .hblkhd = saturate(info.hblkhd),
      .usmblks = saturate(info.usmblks),
      .fsmblks = saturate(info.fsmblks),
      .uordblks = saturate(info.uordblks),
      .fordblks = saturate(info.fordblks),
      .keepcost = saturate(info.keepcost),
  };
}

HAK_API struct mallinfo mallinfo(void) NAME_OF(own_mallinfo);
HAK_API struct mallinfo __libc_mallinfo(void) NAME_OF(own_mallinfo);

HAK_API void malloc_stats(void) { hak_introspect_print(); }

HAK_API int malloc_info(int options, FILE* stream) {
  if (options != 0) return EINVAL;
  return hak_introspect_xml(stream);
}
