// The background thread: does what is due while the program is idle.
//
// It starts once there is work for it and the heap has come to a size that is worth a thread; it
// ends when nothing has been due for a while, and starts again with the next need, in a forked
// child too. A sandbox may kill a program for the system call that makes a thread, and cannot be
// asked. So by default it starts only when a thread of the program's has just begun; where the
// option says always, in any slow path of malloc. A program with one thread stays alone, and any
// program that has not allocated much can change its user namespace, its rights and its filters
// first. The thread blocks all signals, has a small stack, and is called "hakmem".

#ifndef HAKMEM_BACKGROUND_H_
#define HAKMEM_BACKGROUND_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"

// From here on there may be one. Once, when the library is loaded. `at_once`: it starts now, and
// stays; telemetry that is to be written at its time needs it.
void hak_background_begin(bool at_once);

// Begins the thread, if there may be one now and there is work for it. Not in free: libc frees with
// locks held that pthread_create takes. A thread of the program's that has just begun calls it, and
// where the option says always, each slow path of malloc.
void hak_background_begin_thread(void);
extern _Atomic(bool) hak_background_is_wanted;
static inline void hak_background_look(void) {
  if (hak_unlikely(hak_load_relaxed(&hak_background_is_wanted))) hak_background_begin_thread();
}

#endif  // HAKMEM_BACKGROUND_H_
