// What hakprof says of profiles: which values it needs, and the lists that it makes of them.

#ifndef HAKMEM_TOOLS_HAKPROF_REPORTS_H_
#define HAKMEM_TOOLS_HAKPROF_REPORTS_H_

#include "tools/hakprof/listing.h"
#include "tools/hakprof/tree.h"

// A value by name, for all but lifetimes, and how a site is told from another: by so many of its
// innermost frames.
typedef struct pf_request {
  const pf_profile* profile;
  const pf_profile* base;  // diff's; NULL: none
  const char* value;
  size_t frames;
  const char* error;  // why there is no list: a value that is missing
} pf_request;

// False: an error.
typedef bool pf_report(pf_request* request, pf_listing* listing);

pf_report pf_report_top, pf_report_tree, pf_report_leaks, pf_report_diff, pf_report_lifetimes;

// The type, or PF_NONE and an error that says what the profile has instead.
int pf_need(pf_request* request, const pf_profile* profile, const char* name);

// "main;run;parse 1024" for each stack, as flame graph tools read it.
bool pf_write_folded(pf_request* request, FILE* text);

#endif  // HAKMEM_TOOLS_HAKPROF_REPORTS_H_
