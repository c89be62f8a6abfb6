// The stack of the calling thread, in a way that never allocates and takes no lock, also in a
// handler of a signal.
//
// Return addresses are found by the rows of .eh_frame (frame_row.h), so that code without frame
// pointers is no obstacle. A row that has been found is kept in a table, by the address and by the
// object that lay there: a frame takes some ten nanoseconds then. glibc's _dl_find_object (2.35)
// says which object that is, without a lock. Nothing is read but .eh_frame of what is loaded, and
// the thread's stack: upwards from the frame before, and not beyond the stack's end.
//
// What is not so simple (a handler of a signal, or a stack that a function has realigned) is left
// to libgcc_s, the unwinder of C++ exceptions, which is opened when the profiler starts, so that
// the allocator itself needs libc alone. Where neither is to be had a stack is its caller alone.
// Code that lies in no loaded object, as compilers at run time make it, ends a stack.
//
// (A program that registers frames of its own, __register_frame, as compilers at run time do, makes
// libgcc before version 13 take a lock for each stack that is left to it.)

#ifndef HAKMEM_UNWIND_H_
#define HAKMEM_UNWIND_H_

#include "hakmem/base/base.h"
#include "hakmem/platform/line.h"

// The most frames of a stack that are kept, those of the program nearest to the allocation.
#define HAK_UNWIND_DEPTH 64

// Gets ready what unwinding takes. Allocates; no lock held. Several calls are as one. Whether there
// is more than callers to be had.
hak_cold bool hak_unwind_start(void);

// Stores the addresses of the calls that led here, innermost first. Those before `caller`, a return
// address, and those of the allocator's own shared library are left out. Returns how many, at most
// HAK_UNWIND_DEPTH. Of a call while another of the thread's is at work, as what libgcc_s does may
// bring, the caller alone.
hak_cold unsigned hak_unwind(uintptr_t frames[HAK_UNWIND_DEPTH], const void* caller);

// The same of what a signal has interrupted, from the instruction on that it was at. `context`: the
// third argument of the signal's handler, which is the caller.
hak_cold unsigned hak_unwind_interrupted(uintptr_t frames[HAK_UNWIND_DEPTH], const void* context);

// Appends a frame as `file+0xADDRESS`: the loaded file, without its folders, and the address in its
// own terms, as addr2line wants it; where it is in none, the address.
hak_cold void hak_unwind_describe(hak_line_t* line, uintptr_t frame);

// Where the loaded object begins that has code at `address`; 0: none has, or that cannot be told.
hak_cold uintptr_t hak_unwind_object(uintptr_t address);

// The two ways that it has, for tests: stores return addresses less one, from that of this call on,
// `most` at most. By rows: 0 where a frame is not simple. By libgcc_s: 0 without it.
hak_cold unsigned hak_unwind_by_rows(uintptr_t* frames, unsigned most);
hak_cold unsigned hak_unwind_by_libgcc(uintptr_t* frames, unsigned most);

#endif  // HAKMEM_UNWIND_H_
