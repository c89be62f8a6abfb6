// What happens once, when the library is loaded: prewarming, telemetry and the background thread,
// where the options ask for them. The allocator itself needs no start: it works before, from the
// first call.

#ifndef HAKMEM_START_H_
#define HAKMEM_START_H_

#include "hakmem/base/base.h"

// Makes `supers` SuperSlabs' worth of slabs of `size_class` ready, faulted in and unowned, for
// whichever thread first needs them. Returns how many SuperSlabs' worth it got; the reason for
// fewer is an event and a line on stderr.
hak_cold unsigned hak_prewarm_class(unsigned size_class, unsigned supers);

// Prewarms what a list such as "1024:16,64:4" (block bytes : SuperSlabs) asks for. False, with a
// line on stderr, at the first part that is malformed.
hak_cold bool hak_prewarm_list(const char* list);

#endif  // HAKMEM_START_H_
