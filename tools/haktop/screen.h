// The full screen: draws frames with ncurses, takes keys. Owns the terminal while it runs, and
// gives it back as it was however it ends: a key, a signal, the end of the watched process.

#ifndef HAKMEM_TOOLS_HAKTOP_SCREEN_H_
#define HAKMEM_TOOLS_HAKTOP_SCREEN_H_

#include "tools/haktop/view.h"
#include "tools/haktop/watch.h"

// Shows the process until the user quits. Returns the exit code: 0, or 128 and the number of the
// signal that ended it (Ctrl-C quits); 1 with a message when there is no terminal to draw on.
int ht_screen_run(ht_watch* watch, ht_view* view, bool has_utf8);

// Lists the processes that can be watched until the user chooses one, `*pid`, or quits (0). Returns
// the exit code as above.
int ht_screen_choose(pid_t* pid, bool has_utf8);

#endif  // HAKMEM_TOOLS_HAKTOP_SCREEN_H_
