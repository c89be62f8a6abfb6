// File descriptors of the allocator's own, in a program that does not know of them.
//
// A program may close every descriptor, or open a file and count on its number. So ours have high
// numbers, are not inherited by programs that are executed, and are never trusted: each is known by
// the file behind it, and one that is another file's now is neither written to nor closed.
//
// All functions preserve errno and neither allocate nor use libc's stdio. Those that can fail
// return 0 or an errno value. The caller sees to it that one thread at a time uses a descriptor.

#ifndef HAKMEM_DESCRIPTOR_H_
#define HAKMEM_DESCRIPTOR_H_

#include "hakmem/base/base.h"

typedef struct hak_descriptor {
  int number;  // -1: none
  uint64_t device, inode;
} hak_descriptor_t;

#define HAK_DESCRIPTOR_NONE \
  { .number = -1, .device = 0, .inode = 0 }

// Opens `path` to append to it, and makes the file if it is not there. A FIFO that nobody reads is
// an error (ENXIO).
hak_nodiscard hak_cold int hak_descriptor_open(hak_descriptor_t* out, const char* path);

// The same for a file that is to hold nothing yet.
hak_nodiscard hak_cold int hak_descriptor_create(hak_descriptor_t* out, const char* path);

// A descriptor of the program's as it is now, to know it by later; none if it is closed.
hak_descriptor_t hak_descriptor_of(int number);

// Another descriptor for what `number` is now.
hak_nodiscard hak_cold int hak_descriptor_duplicate(hak_descriptor_t* out, int number);

// Makes memory that other processes can map through /proc: `bytes` of zero, with its owner's rights
// only, its size fixed. It is mapped at *memory, which a forked child does not inherit.
hak_nodiscard hak_cold int hak_descriptor_share(hak_descriptor_t* out, const char* name,
                                                size_t bytes, void** memory);

hak_cold void hak_descriptor_unshare(void* memory, size_t bytes);

// Whether it is still the file it was opened as; and, for one that is known by its name, that
// nobody has removed that.
bool hak_descriptor_is_ours(const hak_descriptor_t* descriptor);
bool hak_descriptor_has_name(const hak_descriptor_t* descriptor);

// Whether `number` looks like what somebody has put there to be written to, as by dup2, rather than
// a file that was opened and happens to have that number: see standard_error.h.
bool hak_descriptor_is_put(int number);

// Closes it if it is ours. It is none then.
hak_cold void hak_descriptor_close(hak_descriptor_t* descriptor);

// Writes all of the text at the end of the file. To a regular one in one system call unless the
// kernel takes less than that; when not all of it can be written, what was is taken back as far as
// the file allows it: nobody has appended since. To another in pieces, for each of which it waits
// up to `wait_ms` that there is room (HAK_DESCRIPTOR_WAIT: for ever); EAGAIN when there is none,
// and then the beginning may be written. (Of a pipe that others write to at the same moment the
// kernel may wait all the same: nobody should hold a lock.) Neither a full disk nor a reader that
// is gone ends the process by a signal, nor does a terminal stop it.
#define HAK_DESCRIPTOR_WAIT (-1)
hak_nodiscard hak_cold int hak_descriptor_append(int number, const char* text, size_t length,
                                                 int wait_ms);

// The absolute path of the working directory; false when it has none or it does not fit.
hak_nodiscard hak_cold bool hak_working_directory(char* out, size_t bytes);

// Puts the file `from` in the place of `to`; removes a file.
hak_nodiscard hak_cold int hak_rename(const char* from, const char* to);
hak_cold void hak_unlink(const char* path);

int64_t hak_process_id(void);

#endif  // HAKMEM_DESCRIPTOR_H_
