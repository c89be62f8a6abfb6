// The figures as text for the program itself (hak_stats_json, hak_stats_openmetrics), and the phase
// label, which every line of theirs and of telemetry's carries. Lock: EXPORT, held for a moment.

#ifndef HAKMEM_EXPORT_H_
#define HAKMEM_EXPORT_H_

#include "hakmem/base/base.h"

#define HAK_PHASE_BYTES 64  // with the NUL

// Copies the label, cut to what fits; copies it out.
hak_cold void hak_export_set_phase(const char* phase);
hak_cold void hak_export_phase(char out[HAK_PHASE_BYTES]);

#endif  // HAKMEM_EXPORT_H_
