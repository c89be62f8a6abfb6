// One process under watch: its page, whether it still runs, and the model that is drawn. Also
// finds the processes that can be watched.

#ifndef HAKMEM_TOOLS_HAKTOP_WATCH_H_
#define HAKMEM_TOOLS_HAKTOP_WATCH_H_

#include <stdio.h>

#include "tools/haktop/model.h"
#include "tools/haktop/page.h"
#include "tools/haktop/watched.h"

typedef struct ht_watch {
  ht_page page;
  ht_watched watched;
  ht_model model;
  uint64_t sequence;  // of the last state
  double started_s;
  double changed_s;  // when the last state was new
} ht_watch;

// Opens the page and takes the first state. False with a message.
bool ht_watch_start(ht_watch* watch, pid_t pid, char message[HT_MESSAGE_BYTES]);

// Takes the page's state, when there is a new one, and sees how the process is.
void ht_watch_sample(ht_watch* watch);

void ht_watch_end(ht_watch* watch);

// Lists the processes that publish a page and may be read, one line each, by number. Returns how
// many.
unsigned ht_watch_list(FILE* out, bool has_utf8);

double ht_now_s(void);  // monotonic

#endif  // HAKMEM_TOOLS_HAKTOP_WATCH_H_
