// C++ operator new and delete, served by hakmem.
//
// Written in C under their mangled names (Itanium C++ ABI), so that a C program does not come to
// depend on libstdc++. When memory runs out, new has to call the new handler and then throw
// std::bad_alloc; both are found at run time, since a process that calls operator new has a C++
// runtime loaded.

#define _GNU_SOURCE  // RTLD_DEFAULT

#include <dlfcn.h>
#include <stdlib.h>

#include "hakmem/fast_path.h"
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/line.h"

typedef void (*new_handler_t)(void);
typedef new_handler_t (*get_new_handler_t)(void);
typedef void (*throw_bad_alloc_t)(void);

// A function of the C++ runtime, by its mangled name; NULL when the process has none.
static void* runtime_symbol(const char* name) { return dlsym(RTLD_DEFAULT, name); }

static new_handler_t current_new_handler(void) {
  get_new_handler_t get = (get_new_handler_t)runtime_symbol("_ZSt15get_new_handlerv");
  return get != NULL ? get() : NULL;
}

hak_noreturn hak_cold static void throw_bad_alloc(void) {
  throw_bad_alloc_t throw_it = (throw_bad_alloc_t)runtime_symbol("_ZSt17__throw_bad_allocv");
  if (throw_it != NULL) throw_it();
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, "out of memory in operator new, and no C++ runtime to throw bad_alloc");
  hak_line_end(&line);
  abort();
}

// [new.delete.single]: call the handler and try again, for as long as there is one.
hak_cold static void* new_slow(size_t size, size_t alignment, bool may_throw) {
  for (;;) {
    new_handler_t handler = current_new_handler();
    if (handler == NULL) break;
    handler();
    void* block = hak_aligned_alloc(alignment, size);
    if (block != NULL) return block;
  }
  if (may_throw) throw_bad_alloc();
  return NULL;
}

static inline void* new_block(size_t size, bool may_throw) {
  void* block = hak_fast_malloc(size);
  return hak_likely(block != NULL) ? block : new_slow(size, HAK_MIN_ALIGNMENT, may_throw);
}

static inline void* new_aligned(size_t size, size_t alignment, bool may_throw) {
  void* block = hak_aligned_alloc(alignment, size);
  return hak_likely(block != NULL) ? block : new_slow(size, alignment, may_throw);
}

// Signatures: m = size_t, St11align_val_t = std::align_val_t, RKSt9nothrow_t = const nothrow_t&.
#define DEFINE_NEW(op)                                                                \
  HAK_API void* _Z##op##m(size_t size);                                               \
  HAK_API void* _Z##op##m(size_t size) { return new_block(size, true); }              \
  HAK_API void* _Z##op##mRKSt9nothrow_t(size_t size, const void* tag);                \
  HAK_API void* _Z##op##mRKSt9nothrow_t(size_t size, const void* tag) {               \
    (void)tag;                                                                        \
    return new_block(size, false);                                                    \
  }                                                                                   \
  HAK_API void* _Z##op##mSt11align_val_t(size_t size, size_t alignment);              \
  HAK_API void* _Z##op##mSt11align_val_t(size_t size, size_t alignment) {             \
    return new_aligned(size, alignment, true);                                        \
  }                                                                                   \
  HAK_API void* _Z##op##mSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, \
                                                       const void* tag);              \
  HAK_API void* _Z##op##mSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, \
                                                       const void* tag) {             \
    (void)tag;                                                                        \
    return new_aligned(size, alignment, false);                                       \
  }

#define DEFINE_DELETE(op)                                                             \
  HAK_API void _Z##op##Pv(void* ptr);                                                 \
  HAK_API void _Z##op##Pv(void* ptr) { hak_fast_free(ptr); }                          \
  HAK_API void _Z##op##Pvm(void* ptr, size_t size);                                   \
  HAK_API void _Z##op##Pvm(void* ptr, size_t size) { hak_free_sized(ptr, size); }     \
  HAK_API void _Z##op##PvRKSt9nothrow_t(void* ptr, const void* tag);                  \
  HAK_API void _Z##op##PvRKSt9nothrow_t(void* ptr, const void* tag) {                 \
    (void)tag;                                                                        \
    hak_fast_free(ptr);                                                               \
  }                                                                                   \
  HAK_API void _Z##op##PvSt11align_val_t(void* ptr, size_t alignment);                \
  HAK_API void _Z##op##PvSt11align_val_t(void* ptr, size_t alignment) {               \
    (void)alignment;                                                                  \
    hak_fast_free(ptr);                                                               \
  }                                                                                   \
  HAK_API void _Z##op##PvmSt11align_val_t(void* ptr, size_t size, size_t alignment);  \
  HAK_API void _Z##op##PvmSt11align_val_t(void* ptr, size_t size, size_t alignment) { \
    (void)alignment;                                                                  \
    hak_free_sized(ptr, size);                                                        \
  }                                                                                   \
  HAK_API void _Z##op##PvSt11align_val_tRKSt9nothrow_t(void* ptr, size_t alignment,   \
                                                       const void* tag);              \
  HAK_API void _Z##op##PvSt11align_val_tRKSt9nothrow_t(void* ptr, size_t alignment,   \
                                                       const void* tag) {             \
    (void)alignment;                                                                  \
    (void)tag;                                                                        \
    hak_fast_free(ptr);                                                               \
  }

DEFINE_NEW(nw)     // operator new
DEFINE_NEW(na)     // operator new[]
DEFINE_DELETE(dl)  // operator delete
DEFINE_DELETE(da)  // operator delete[]
