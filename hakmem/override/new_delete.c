// C++ operator new and delete, served by hakmem.
//
// Written in C under their mangled names (Itanium C++ ABI), so that a C program does not come to
// depend on libstdc++. When memory runs out, new has to call the new handler and then throw
// std::bad_alloc; both are the C++ runtime's, which is looked for only then.

#define _GNU_SOURCE  // RTLD_DEFAULT, dladdr

#include <dlfcn.h>
#include <stdlib.h>

#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/malloc/fast_path.h"
#include "hakmem/platform/line.h"

// ---- the C++ runtime ----

typedef void (*new_handler_t)(void);
typedef new_handler_t (*get_new_handler_t)(void);
typedef void (*throw_bad_alloc_t)(void);
typedef void* (*nothrow_new_t)(size_t size, const void* tag);
typedef void* (*nothrow_new_aligned_t)(size_t size, size_t alignment, const void* tag);

#define GET_NEW_HANDLER "_ZSt15get_new_handlerv"
#define THROW_BAD_ALLOC "_ZSt17__throw_bad_allocv"

// Not NULL in a program that is linked with the runtime, as the only way to it in a static one.
extern new_handler_t linked_get_new_handler(void) __asm__(GET_NEW_HANDLER) __attribute__((weak));
extern void linked_throw_bad_alloc(void) __asm__(THROW_BAD_ALLOC) __attribute__((weak));

// What that function does, for a static program that has no use for it otherwise: it has what it
// names itself, std::bad_alloc among it if it means to catch that.
extern void* cxa_allocate_exception(size_t size) __asm__("__cxa_allocate_exception")
    __attribute__((weak));
extern void cxa_throw(void* thrown, const void* type, void (*destroy)(void*)) __asm__("__cxa_throw")
    __attribute__((weak));
extern const char bad_alloc_type[] __asm__("_ZTISt9bad_alloc") __attribute__((weak));
extern const void* const bad_alloc_table[] __asm__("_ZTVSt9bad_alloc") __attribute__((weak));
extern void bad_alloc_destroy(void* thrown) __asm__("_ZNSt9bad_allocD1Ev") __attribute__((weak));

static void throw_from_parts(void) {
  if (cxa_throw == NULL || cxa_allocate_exception == NULL || bad_alloc_type == NULL) return;
  const void** thrown = cxa_allocate_exception(sizeof *thrown);
  *thrown = &bad_alloc_table[2];  // behind the offset and the type come the functions
  cxa_throw(thrown, bad_alloc_type, bad_alloc_destroy);
}

// What a name means to the loaded object that holds `address`: in its own scope, which may not be
// the program's. (dlopen is looked up, too, since linkers warn of it in static programs.)
static void* symbol_seen_from(const void* address, const char* name) {
  void* (*open)(const char*, int) = (void* (*)(const char*, int))dlsym(RTLD_DEFAULT, "dlopen");
  Dl_info info;
  if (open == NULL || dladdr(address, &info) == 0) return NULL;
  void* object = open(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (object == NULL) return NULL;
  void* symbol = dlsym(object, name);
  dlclose(object);  // it stays: it is at work
  return symbol;
}

// A function of the runtime: the program's, or that of a plug-in which has brought one for itself
// and holds the address `caller`. NULL: there is none.
static void* runtime_symbol(const char* name, const void* caller) {
  void* symbol = dlsym(RTLD_DEFAULT, name);
  return symbol != NULL ? symbol : symbol_seen_from(caller, name);
}

static new_handler_t current_new_handler(const void* caller) {
  get_new_handler_t get = linked_get_new_handler;
  if (get == NULL) get = (get_new_handler_t)runtime_symbol(GET_NEW_HANDLER, caller);
  return get != NULL ? get() : NULL;
}

static throw_bad_alloc_t find_throw(const void* caller) {
  if (linked_throw_bad_alloc != NULL) return linked_throw_bad_alloc;
  return (throw_bad_alloc_t)runtime_symbol(THROW_BAD_ALLOC, caller);
}

hak_noreturn hak_cold static void throw_bad_alloc(const void* caller) {
  throw_bad_alloc_t throw_it = find_throw(caller);
  if (throw_it != NULL) throw_it();
  throw_from_parts();
  hak_line_t line;
  hak_line_begin(&line);
  hak_line_text(&line, "out of memory in operator new, and no C++ runtime to throw bad_alloc");
  hak_line_end(&line);
  abort();
}

// ---- out of memory ----

// [new.delete.single]: call the handler and try again, for as long as there is one. It may throw.
// An alignment that is not allowed is none of its business.
static void* ask_handler(size_t size, size_t alignment, const void* caller) {
  if (!hak_is_power_of_two(alignment)) return NULL;
  for (;;) {
    new_handler_t handler = current_new_handler(caller);
    if (handler == NULL) return NULL;
    handler();
    void* block = hak_aligned_alloc(alignment, size);
    if (block != NULL) return block;
  }
}

hak_cold static void* new_slow(size_t size, size_t alignment, const void* caller) {
  void* block = ask_handler(size, alignment, caller);
  if (block == NULL) throw_bad_alloc(caller);
  return block;
}

HAK_API void* _ZnwmRKSt9nothrow_t(size_t size, const void* tag);
HAK_API void* _ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void* tag);

// C cannot catch what a handler throws. The runtime's own nothrow operators can: they are a call of
// operator new, ours, with a catch around it. Where there are none (a static program has ours in
// their place) what the handler throws ends the program.
hak_cold static void* nothrow_new_slow(size_t size, size_t alignment, const void* tag,
                                       const void* caller) {
  if (current_new_handler(caller) == NULL) return NULL;
  const void* runtime = (const void*)find_throw(caller);
  if (alignment == HAK_MIN_ALIGNMENT) {
    nothrow_new_t theirs = (nothrow_new_t)symbol_seen_from(runtime, "_ZnwmRKSt9nothrow_t");
    if (theirs != NULL && theirs != _ZnwmRKSt9nothrow_t) return theirs(size, tag);
  } else {
    nothrow_new_aligned_t theirs =
        (nothrow_new_aligned_t)symbol_seen_from(runtime, "_ZnwmSt11align_val_tRKSt9nothrow_t");
    if (theirs != NULL && theirs != _ZnwmSt11align_val_tRKSt9nothrow_t) {
      return theirs(size, alignment, tag);
    }
  }
  return ask_handler(size, alignment, caller);
}

// ---- the operators ----

#define CALLER __builtin_return_address(0)

// Signatures: m = size_t, St11align_val_t = std::align_val_t, RKSt9nothrow_t = const nothrow_t&.
#define DEFINE_NEW(op)                                                                         \
  HAK_API void* _Z##op##m(size_t size);                                                        \
  HAK_API void* _Z##op##m(size_t size) {                                                       \
    void* block = hak_fast_malloc(size);                                                       \
    return hak_likely(block != NULL) ? block : new_slow(size, HAK_MIN_ALIGNMENT, CALLER);      \
  }                                                                                            \
  HAK_API void* _Z##op##mRKSt9nothrow_t(size_t size, const void* tag);                         \
  HAK_API void* _Z##op##mRKSt9nothrow_t(size_t size, const void* tag) {                        \
    void* block = hak_fast_malloc(size);                                                       \
    return hak_likely(block != NULL) ? block                                                   \
                                     : nothrow_new_slow(size, HAK_MIN_ALIGNMENT, tag, CALLER); \
  }                                                                                            \
  HAK_API void* _Z##op##mSt11align_val_t(size_t size, size_t alignment);                       \
  HAK_API void* _Z##op##mSt11align_val_t(size_t size, size_t alignment) {                      \
    void* block = hak_aligned_alloc(alignment, size);                                          \
    return hak_likely(block != NULL) ? block : new_slow(size, alignment, CALLER);              \
  }                                                                                            \
  HAK_API void* _Z##op##mSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment,          \
                                                       const void* tag);                       \
  HAK_API void* _Z##op##mSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment,          \
                                                       const void* tag) {                      \
    void* block = hak_aligned_alloc(alignment, size);                                          \
    return hak_likely(block != NULL) ? block : nothrow_new_slow(size, alignment, tag, CALLER); \
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
