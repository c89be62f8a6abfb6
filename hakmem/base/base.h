// Base layer: compiler attributes and the few helpers everything above may use. Owns nothing.

#ifndef HAKMEM_BASE_H_
#define HAKMEM_BASE_H_

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef HAK_DEBUG
#define HAK_DEBUG 0  // 0: release, 1: assertions, 2: assertions and structure validators
#endif

#define hak_likely(x) __builtin_expect(!!(x), 1)
#define hak_unlikely(x) __builtin_expect(!!(x), 0)
#define hak_noinline __attribute__((noinline))
#define hak_cold __attribute__((noinline, cold))  // not run in most processes: lies apart
#define hak_nodiscard __attribute__((warn_unused_result))
#define hak_noreturn __attribute__((noreturn))
#define hak_prefetch_write(address) __builtin_prefetch((address), 1)  // any address, NULL too

// Initial-exec: malloc must never call into the dynamic linker to find its thread's state. The
// price is static TLS space, of which the library uses a few words (design: at most 1 KiB), so
// that it can still be dlopen'ed.
#define hak_thread_local __thread __attribute__((tls_model("initial-exec")))

// The compiler knows nothing of the variable's value from here on, and so recomputes what it had
// derived from it (as Linux's OPTIMIZER_HIDE_VAR).
#define hak_hide_value(variable) __asm__("" : "+r"(variable))

#define HAK_CACHE_LINE 64

static inline size_t hak_min_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t hak_max_size(size_t a, size_t b) { return a > b ? a : b; }

static inline bool hak_is_power_of_two(size_t x) { return x != 0 && (x & (x - 1)) == 0; }

// `to` is a power of two; the caller has excluded overflow.
static inline size_t hak_round_up(size_t x, size_t to) { return (x + to - 1) & ~(to - 1); }
static inline size_t hak_round_down(size_t x, size_t to) { return x & ~(to - 1); }

#endif  // HAKMEM_BASE_H_
