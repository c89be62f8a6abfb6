// Client requests: instructions that do nothing, and that memcheck understands.

#include "hakmem/platform/memcheck.h"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_GET_VBITS(memory, bits, bytes) ((void)(memory), (void)(bits), 0)
#define VALGRIND_MALLOCLIKE_BLOCK(block, size, redzone, is_zero) ((void)(is_zero))
#define VALGRIND_FREELIKE_BLOCK(block, redzone) ((void)(block))
#define VALGRIND_RESIZEINPLACE_BLOCK(block, old_size, size, redzone) ((void)(old_size))
#define VALGRIND_MAKE_MEM_NOACCESS(memory, bytes) ((void)(memory), (void)(bytes))
#define VALGRIND_MAKE_MEM_DEFINED(memory, bytes) ((void)(memory), (void)(bytes))
#define VALGRIND_DISABLE_ERROR_REPORTING ((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING ((void)0)
#endif

_Atomic(bool) hak_memcheck_is_on;

// (Valgrind's other tools do not answer this.)
bool hak_memcheck_begin(void) {
  char byte = 0, bits;
  bool is_on = VALGRIND_GET_VBITS(&byte, &bits, 1) == 1;
  hak_store_relaxed(&hak_memcheck_is_on, is_on);
  return is_on;
}

// What lies behind the block's end is no redzone, which there would have to be before it too.
static void hide_end(const void* block, size_t size, size_t bytes) {
  (void)VALGRIND_MAKE_MEM_NOACCESS((const char*)block + size, bytes - size);
}

void hak_memcheck_tell_given(const void* block, size_t size, size_t bytes, bool is_zero) {
  VALGRIND_MALLOCLIKE_BLOCK(block, size, 0, is_zero);
  hide_end(block, size, bytes);
}

void hak_memcheck_tell_taken(const void* block) { VALGRIND_FREELIKE_BLOCK(block, 0); }

void hak_memcheck_tell_resized(const void* block, size_t old_size, size_t size, size_t bytes) {
  VALGRIND_RESIZEINPLACE_BLOCK(block, old_size, size, 0);
  hide_end(block, size, bytes);
}

void hak_memcheck_tell_defined(const void* memory, size_t bytes) {
  (void)VALGRIND_MAKE_MEM_DEFINED(memory, bytes);
}

void hak_memcheck_tell_quiet(bool is_quiet) {
  if (is_quiet) {
    VALGRIND_DISABLE_ERROR_REPORTING;
  } else {
    VALGRIND_ENABLE_ERROR_REPORTING;
  }
}
