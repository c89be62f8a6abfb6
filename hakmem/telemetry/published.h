// The writer of the shared page (shared_page.h): figures that other processes of the user can
// watch. The caller sees to it that one thread at a time is here. A forked child has no page.

#ifndef HAKMEM_PUBLISHED_H_
#define HAKMEM_PUBLISHED_H_

#include "hakmem/stats/stats.h"

// Brings the page up to date; makes it first if there is none, or if the program has closed its
// descriptor. 0, or the errno value that says why it cannot be made.
hak_cold hak_nodiscard int hak_published_update(const hak_snapshot_t* snapshot, int64_t process_id,
                                                const char* phase);

// In a forked child: lets go of the parent's page, which is not mapped here.
hak_cold void hak_published_forget(void);

#endif  // HAKMEM_PUBLISHED_H_
