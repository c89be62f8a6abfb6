// One process under watch: its page, whether it still runs, and the model that is drawn. Also
// finds the processes that can be watched.

#ifndef HAKMEM_TOOLS_HAKTOP_WATCH_H_
#define HAKMEM_TOOLS_HAKTOP_WATCH_H_

#include <stdio.h>

#include "tools/haktop/canvas.h"
#include "tools/haktop/mapped_page.h"
#include "tools/haktop/model.h"
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

// A process that publishes a page and may be read.
typedef struct ht_found {
  pid_t pid;
  char command[64];
  char phase[sizeof(((hak_shared_page_t*)0)->phase) + 1];
  double live_bytes;
  double rss_bytes;
} ht_found;

// The columns of the list.
typedef enum ht_found_column {
  HT_FOUND_PID,
  HT_FOUND_COMMAND,
  HT_FOUND_LIVE,
  HT_FOUND_RSS,
  HT_FOUND_N_COLUMNS,
} ht_found_column;

// All of them, to be freed: by number and name ascending, by memory the largest first; reversed.
ht_found* ht_find_all(ht_found_column sort, bool is_reversed, size_t* count);

// One of them, or (NULL) the headings, with a sign on the sorted one, as a line of a canvas.
void ht_put_found(ht_canvas* canvas, int row, ht_style style, const ht_found* found,
                  ht_found_column sort, bool is_reversed);

// Prints the list, one line each, by number. Returns how many.
unsigned ht_watch_list(FILE* out, bool has_utf8);

double ht_now_s(void);  // monotonic

#endif  // HAKMEM_TOOLS_HAKTOP_WATCH_H_
