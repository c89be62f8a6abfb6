// What HAKMEM_PROFILE asks for: a profiler that starts with the program, or at a signal; files that
// are written at an interval, at a signal, and at exit.
//
// Files are written by whoever next takes a slow path, or by the background thread: see
// telemetry/beat.h. Lock DUMP is held meanwhile, and nobody waits for it but who calls
// hak_profile_dump and its kin.

#ifndef HAKMEM_DUMPS_H_
#define HAKMEM_DUMPS_H_

#include "hakmem/base/base.h"

// When the library is loaded. Whether a background thread is needed, so that an idle program hears
// its signals and times, too. pre: the option is set.
hak_cold hak_nodiscard bool hak_dumps_start(void);

// After the program's own destructors: what lives then has leaked, or was never meant to end.
// pre: the option is set.
hak_cold void hak_dumps_finish(void);

#endif  // HAKMEM_DUMPS_H_
