// Assertions, and the end of a process whose heap is corrupt or misused.
//
// - hak_assert(x): HAK_DEBUG >= 1. In release it costs nothing but must still compile.
// - hak_assert_slow(x): HAK_DEBUG >= 2, for validators that walk a structure.
// - hak_fatal_*: always on. One line on stderr (standard_error.h), or a few more where a teller has
//   them, then abort(). Never returns, never allocates.

#ifndef HAKMEM_CHECK_H_
#define HAKMEM_CHECK_H_

#include "hakmem/base/base.h"

struct hak_line;

// Called after the message and before abort(), at most once: for what is worth keeping. It runs in
// whatever state the allocator is in, with locks held perhaps. Other threads that end here
// meanwhile wait for it, but not for ever.
void hak_fatal_set_last_words(void (*last_words)(void));

hak_noreturn hak_cold void hak_fatal_assert(const char* expression, const char* file, int line);

// "hakmem: WHAT: 0xADDRESS (PLACE), in thread N". The place is what the layers above find there;
// where they have nothing, what origin.h finds out. Threads have the numbers of thread_id.h.
hak_noreturn hak_cold void hak_fatal_pointer(const char* what, const void* address);

// Who knows the allocator's own memory: appends what lies at `address`, or returns false when it is
// none of ours. Called as last words are.
typedef bool (*hak_fatal_finder_t)(struct hak_line* line, const void* address);
void hak_fatal_set_finder(hak_fatal_finder_t finder);

// Who has more to say of an address than fits a line: writes lines of its own behind the first.
// Called as last words are.
typedef void (*hak_fatal_teller_t)(const void* address);
void hak_fatal_set_teller(hak_fatal_teller_t teller);

// The condition is evaluated only at the level that asks for it, and compiled at every level.
#define hak_check_at_level(level, x)                                            \
  do {                                                                          \
    if (HAK_DEBUG >= (level) && !(x)) hak_fatal_assert(#x, __FILE__, __LINE__); \
  } while (0)
#define hak_assert(x) hak_check_at_level(1, x)
#define hak_assert_slow(x) hak_check_at_level(2, x)

#endif  // HAKMEM_CHECK_H_
