// The background thread: does what is due while the program is idle, where an option asks for that.
//
// It starts from a slow path of the program's, once there is work for it and the heap has come to a
// size that is worth a thread; it ends when nothing has been due for a while, and starts again with
// the next need, in a forked child too. So a program that has not allocated much has one thread, as
// without hakmem, and can change its user namespace, its rights and its filters first. The thread
// blocks all signals, has a small stack, and is called "hakmem".

#ifndef HAKMEM_BACKGROUND_H_
#define HAKMEM_BACKGROUND_H_

#include "hakmem/base/base.h"

// From here on there may be one. Once, when the library is loaded. `at_once`: it starts now, and
// stays; telemetry that is to be written at its time needs it.
void hak_background_begin(bool at_once);

#endif  // HAKMEM_BACKGROUND_H_
