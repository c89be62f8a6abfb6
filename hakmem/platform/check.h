// Assertions, and the end of a process whose heap is corrupt or misused.
//
// - hak_assert(x): HAK_DEBUG >= 1. In release it costs nothing but must still compile.
// - hak_assert_slow(x): HAK_DEBUG >= 2, for validators that walk a structure.
// - hak_fatal_*: always on. One line on stderr (standard_error.h), then abort(). Never returns,
//   never allocates.

#ifndef HAKMEM_CHECK_H_
#define HAKMEM_CHECK_H_

#include "hakmem/base/base.h"

// Called after the message and before abort(), at most once: for what is worth keeping. It runs in
// whatever state the allocator is in, with locks held perhaps. Other threads that end here
// meanwhile wait for it, but not for ever.
void hak_fatal_set_last_words(void (*last_words)(void));

hak_noreturn hak_cold void hak_fatal_assert(const char* expression, const char* file, int line);

// "hakmem: WHAT: 0xADDRESS (class C, N bytes)". Pass class 0 when none is known: the part in
// parentheses is then left out.
hak_noreturn hak_cold void hak_fatal_block(const char* what, const void* address,
                                           unsigned size_class, size_t block_bytes);

// The same for an address where this allocator has nothing: "hakmem: WHAT: 0xADDRESS (...)", with
// what origin.h finds out.
hak_noreturn hak_cold void hak_fatal_foreign(const char* what, const void* address);

// The condition is evaluated only at the level that asks for it, and compiled at every level.
#define hak_check_at_level(level, x)                                            \
  do {                                                                          \
    if (HAK_DEBUG >= (level) && !(x)) hak_fatal_assert(#x, __FILE__, __LINE__); \
  } while (0)
#define hak_assert(x) hak_check_at_level(1, x)
#define hak_assert_slow(x) hak_check_at_level(2, x)

#endif  // HAKMEM_CHECK_H_
