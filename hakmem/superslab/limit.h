// The limit on memory that blocks may take, as the program or its user has set it.
//
// It counts pages that hold memory (spare.h): not what the kernel makes of them, nor the
// allocator's own structures. There are two stages. Beyond the soft limit memory is short: what is
// spare goes back at once, caches do not grow, no huge page is asked for. Beyond the hard one
// nothing goes: a request for which there would have to be more pages in use is refused, and only
// after all that caches hold has been given up (slow_path.c) does malloc return NULL. What is spare
// counts for no refusal: it goes back before the block is handed out.
//
// A limit may be a share of what the container has (container.h). That is asked under the lock,
// when memory has grown by some MiB since it was asked last and where a request would be refused:
// so a small program asks nothing, and a container that has grown is believed. With a limit in
// bytes, or none, nothing is ever asked.

#ifndef HAKMEM_LIMIT_H_
#define HAKMEM_LIMIT_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"

// Takes the limit from HAKMEM_LIMIT; one line on stderr says when that cannot be understood, and
// then there is none. lock:BACKEND
void hak_limit_load(void);

// Sets both, in bytes, in place of what there was. SIZE_MAX: none. A `soft` of 0 is seven eighths
// of the hard one. False, with nothing changed: `hard` is 0, or less than `soft`. No lock held.
// `committed`: bytes of pages that hold memory now.
hak_nodiscard bool hak_limit_set(size_t soft, size_t hard, size_t committed);

// In bytes, SIZE_MAX: none, or not asked for yet. No lock needed.
extern _Atomic(size_t) hak_limit_soft_bytes, hak_limit_hard_bytes;
static inline size_t hak_limit_soft(void) { return hak_load_relaxed(&hak_limit_soft_bytes); }
static inline size_t hak_limit_hard(void) { return hak_load_relaxed(&hak_limit_hard_bytes); }

// Whether `bytes` more may be used beside what is `in_use`; a refusal is an event. lock:BACKEND
hak_nodiscard bool hak_limit_admits(size_t in_use, size_t bytes);

// Says how much memory pages hold now. Whether memory has become short with it: an event.
// lock:BACKEND
bool hak_limit_note(size_t committed);

// Whether memory is short. No lock needed.
extern _Atomic(bool) hak_limit_near;
static inline bool hak_limit_is_near(void) { return hak_load_relaxed(&hak_limit_near); }

// How often memory has become short, and how often the hard limit has refused some.
uint64_t hak_limit_approaches(void);
uint64_t hak_limit_refusals(void);

#endif  // HAKMEM_LIMIT_H_
