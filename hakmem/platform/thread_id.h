// Threads' numbers: what locks and last words know a thread by.

#ifndef HAKMEM_THREAD_ID_H_
#define HAKMEM_THREAD_ID_H_

#include "hakmem/base/base.h"

// No number is higher: the bit above is free for whoever stores one (lock.h).
#define HAK_THREAD_ID_MAX UINT32_C(0x7fffffff)

extern hak_thread_local uint32_t hak_this_thread_id;  // 0: none yet

hak_noinline uint32_t hak_thread_id_begin(void);

// A number that is unique to the calling thread for as long as the process lives; never 0.
static inline uint32_t hak_thread_id(void) {
  uint32_t id = hak_this_thread_id;
  return hak_likely(id != 0) ? id : hak_thread_id_begin();
}

// Whether the calling thread has one already: whoever has ever held a lock has.
static inline bool hak_thread_has_id(void) { return hak_this_thread_id != 0; }

#endif  // HAKMEM_THREAD_ID_H_
