// The quarantine: where freed blocks of a class wait, and where the next come from.
//
// A freed block is filled (fill.h) and waits in a ring of its class, HAK_QUARANTINE_BYTES of them.
// While the ring is more than half full, malloc takes a block at random from its older half: so
// none comes again before half a ring of others was freed, nor when it could be foretold. Else it
// takes one at random of a few fresh ones, from the slabs that nobody owns. When the ring is full,
// some of the older half, at random, go home to their slabs. A block that leaves the ring, either
// way, must be filled as it came: else it was written to after it was freed, and the process ends.
//
// Each class has a lock, HARDENED. In a forked child, what a thread that is gone was at work on is
// given up.

#ifndef HAKMEM_QUARANTINE_H_
#define HAKMEM_QUARANTINE_H_

#include "hakmem/base/base.h"

// Blocks that wait in a class's ring at the most: a power of two.
unsigned hak_quarantine_capacity(unsigned size_class);

// Blocks of the class that wait now, fresh ones too. No lock needed.
unsigned hak_quarantine_count(unsigned size_class);

// Takes a block of the class, which may hold anything; NULL: out of memory. No lock held.
hak_nodiscard void* hak_quarantine_take(unsigned size_class);

// Puts a block of the class that is no longer live. No lock held.
void hak_quarantine_put(unsigned size_class, void* block);

// Sends home all that waits, large blocks too (guarded.h): for who finds no memory. No lock held.
void hak_quarantine_empty(void);

#endif  // HAKMEM_QUARANTINE_H_
