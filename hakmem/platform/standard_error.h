// Standard error, in a program that may have closed it, put a full pipe there, or given its number
// to a file of its own. Everything the allocator says goes through here.
//
// What stderr was when the process began is remembered by its file. A line never ends the process
// (a reader that is gone, a limit on file sizes) nor stops it (a terminal's job control), is no
// point of cancellation, and does not wait for a reader that does not read, but as said below.
//
// All functions preserve errno and neither allocate nor use libc's stdio. They take no lock, and
// may be called with any held.

#ifndef HAKMEM_STANDARD_ERROR_H_
#define HAKMEM_STANDARD_ERROR_H_

#include "hakmem/base/base.h"

// Remembers what descriptor 2 is now. When the library begins.
void hak_stderr_begin(void);

// Whether descriptor 2 is what it was then.
bool hak_stderr_is_ours(void);

// What the allocator has to say while the program goes on: to what stderr was at the beginning, or
// nowhere. What is lost for want of room is counted, and said before the next line that gets out.
void hak_stderr_write(const char* text, size_t length);

// What it has to say before it ends the process: also to what has been put in stderr's place since,
// a terminal, a pipe, a file that is only appended to, as daemons do with their logs, or one
// without a name, which goes with the process, as those that catch its output. Not to a file that
// was opened there: one that may be written anywhere, a socket, or one that is closed on exec, as
// no standard error is. Waits for a reader, but not for ever.
void hak_stderr_write_last(const char* text, size_t length);

// What the program has asked to have printed: to descriptor 2, whatever it is. Waits for its reader
// as any write does.
void hak_stderr_print(const char* text, size_t length);

#endif  // HAKMEM_STANDARD_ERROR_H_
