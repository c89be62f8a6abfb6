// malloc, free and the rest of the C library's allocation functions, served by hakmem.
//
// Linked or preloaded, these take the place of libc's. All of them: one that fell through to libc
// would hand out blocks that our free does not know, or walk a heap that is not there.

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/malloc/fast_path.h"
#include "hakmem/platform/platform.h"
#include "hakmem/stats/introspect.h"

// Not all of these are declared by every libc.
HAK_API void cfree(void* ptr);
HAK_API void free_sized(void* ptr, size_t size);
HAK_API void free_aligned_sized(void* ptr, size_t alignment, size_t size);

HAK_API void* malloc(size_t size) { return hak_fast_malloc(size); }
HAK_API void free(void* ptr) { hak_fast_free(ptr); }
HAK_API void cfree(void* ptr) { hak_fast_free(ptr); }
HAK_API void* calloc(size_t count, size_t size) { return hak_calloc(count, size); }
HAK_API void* realloc(void* ptr, size_t size) { return hak_realloc(ptr, size); }
HAK_API void* reallocarray(void* ptr, size_t count, size_t size) {
  return hak_reallocarray(ptr, count, size);
}

HAK_API void free_sized(void* ptr, size_t size) { hak_free_sized(ptr, size); }
HAK_API void free_aligned_sized(void* ptr, size_t alignment, size_t size) {
  hak_free_aligned_sized(ptr, alignment, size);
}

HAK_API void* aligned_alloc(size_t alignment, size_t size) {
  return hak_aligned_alloc(alignment, size);
}
HAK_API int posix_memalign(void** out, size_t alignment, size_t size) {
  return hak_posix_memalign(out, alignment, size);
}
HAK_API void* memalign(size_t alignment, size_t size) { return hak_memalign(alignment, size); }

HAK_API void* valloc(size_t size) { return hak_memalign(hak_platform_os_page_bytes(), size); }

HAK_API void* pvalloc(size_t size) {
  size_t os_page = hak_platform_os_page_bytes();
  if (size > PTRDIFF_MAX - os_page) {
    errno = ENOMEM;
    return NULL;
  }
  return hak_memalign(os_page, hak_round_up(hak_max_size(size, 1), os_page));
}

HAK_API size_t malloc_usable_size(void* ptr) { return hak_usable_size(ptr); }

// ---- introspection ----

HAK_API int malloc_trim(size_t pad) {
  (void)pad;  // glibc keeps that much at the top of its heap; there is no such top here
  return hak_introspect_trim() ? 1 : 0;
}

// glibc's parameters are accepted, and mean nothing to this allocator, so that programs which tune
// their malloc go on running.
HAK_API int mallopt(int parameter, int value) {
  (void)value;
  static const int known[] = {M_MXFAST,         M_NLBLKS,  M_GRAIN,      M_KEEP,
                              M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX,   M_MMAP_THRESHOLD,
                              M_CHECK_ACTION,   M_PERTURB, M_ARENA_TEST, M_ARENA_MAX};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (parameter == known[i]) return 1;
  }
  return 0;
}

HAK_API struct mallinfo2 mallinfo2(void) { return hak_introspect_mallinfo2(); }

static int saturate(size_t value) { return value > INT32_MAX ? INT32_MAX : (int)value; }

HAK_API struct mallinfo mallinfo(void) {
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

HAK_API void malloc_stats(void) { hak_introspect_print(); }

HAK_API int malloc_info(int options, FILE* stream) {
  if (options != 0) return EINVAL;
  return hak_introspect_xml(stream);
}
