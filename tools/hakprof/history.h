// Memory by function over time, from several profiles of a process.

#ifndef HAKMEM_TOOLS_HAKPROF_HISTORY_H_
#define HAKMEM_TOOLS_HAKPROF_HISTORY_H_

#include "tools/hakplot/figure.h"
#include "tools/hakprof/reports.h"

// A figure of what the functions hold that allocate most of the value, stacked, the rest as one;
// over seconds, or the profiles' numbers where one does not say its time. NULL: the request has an
// error.
hp_figure* pf_history(pf_request* request, const pf_profile* profiles, size_t count);

#endif  // HAKMEM_TOOLS_HAKPROF_HISTORY_H_
