// Purge: giving the memory of free pages back to the kernel.
//
// A SuperSlab with free dirty pages, or dirty ones behind the end of a huge block, waits in a
// queue, oldest first. Once it has waited for the purge delay, whichever thread next takes a slow
// path gives back, with madvise and no lock held, the pages that have been free all that time;
// pages freed meanwhile wait for another delay. So a page is given back between one and two delays
// after it became free, and memory in steady use is never given back at all. But where there is
// more than a program is known to need (spare.h) the oldest of it goes back at once.

#ifndef HAKMEM_PURGE_H_
#define HAKMEM_PURGE_H_

#include "hakmem/superslab/layout.h"

// Puts `super` in the queue if it has such pages and is not there yet. lock:BACKEND
void hak_purge_enqueue(hak_superslab_t* super);

// Gives back what is due, one batch at the most: the job of the tick (tick.h). No lock held.
void hak_purge_due(void);

// Gives back all that is free, whatever its age. Returns the bytes. No lock held.
size_t hak_purge_all(void);

// Gives back all that is free where more memory is held than the hard limit allows: between taking
// memory, of which what is free does not count, and handing it out. No lock held.
void hak_purge_to_limit(void);

// Counts and reports memory that another layer has given back.
void hak_purge_report(size_t bytes);

uint64_t hak_purge_bytes(void);  // given back since the start

// Whether the calling thread is between taking pages out of circulation and putting them back.
bool hak_purge_is_running_here(void);

// In a forked child: forgets the queue, so that hak_purge_enqueue can fill it anew.
void hak_purge_forget_queue(void);

// Whether any thread has pages out of circulation (lock:BACKEND, or a child); and, in a forked
// child, that none has any more.
bool hak_purge_is_running(void);
void hak_purge_forget_running(void);

#endif  // HAKMEM_PURGE_H_
