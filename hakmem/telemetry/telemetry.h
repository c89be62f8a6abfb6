// Telemetry: when figures are written, and where. How they look is report.h's.
//
// Nothing happens unless an option asks for it. What is due is written by whichever thread next
// takes a slow path, or by the background thread (tick.h); one thread at a time, and nobody waits
// for it but hak_telemetry_write. It never calls malloc and takes no lock of libc's. A write that
// fails is counted, said once, and costs the program nothing else.

#ifndef HAKMEM_TELEMETRY_H_
#define HAKMEM_TELEMETRY_H_

#include "hakmem/base/base.h"

// Reads the options and begins. Once, when the library is loaded. Whether a background thread is
// needed, so that an idle program is heard of, too.
hak_nodiscard bool hak_telemetry_start(void);

#endif  // HAKMEM_TELEMETRY_H_
