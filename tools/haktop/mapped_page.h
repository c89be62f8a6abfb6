// The shared page of a process (hakmem/telemetry/shared_page.h): finding, checking, mapping,
// copying.
//
// The process is neither stopped nor traced, and not trusted either: a page is only mapped when it
// is sealed against shrinking, and what is copied out of it is data, never an index or a string.

#ifndef HAKMEM_TOOLS_HAKTOP_MAPPED_PAGE_H_
#define HAKMEM_TOOLS_HAKTOP_MAPPED_PAGE_H_

#include <stdbool.h>
#include <sys/types.h>

#include "hakmem/telemetry/shared_page.h"

enum { HT_MESSAGE_BYTES = 512 };

typedef struct ht_page {
  const hak_shared_page_t* shared;  // mapped read-only; outlives the process
} ht_page;

// False with a message that says why not, and of which process.
bool ht_page_open(ht_page* page, pid_t pid, char message[HT_MESSAGE_BYTES]);
void ht_page_close(ht_page* page);

// Copies a whole state of the page. Waits a tenth of a second at most; false when no update was
// finished in that time: the writer has stopped, or died, in the middle of one.
bool ht_page_copy(const ht_page* page, hak_shared_page_t* copy);

#endif  // HAKMEM_TOOLS_HAKTOP_MAPPED_PAGE_H_
