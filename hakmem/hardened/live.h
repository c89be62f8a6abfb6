// Which addresses are those of live blocks: a bit for each 16 bytes of a SuperSlab.
//
// A bit is set while a live block begins there. One atomic operation takes a block out of the
// program's hands, so that of two threads that free it one is told at once that it is no block; and
// so is whoever frees what lies inside of one, or was free already. A SuperSlab's bits are metadata
// memory, made when it first holds a block of a hardened process, and kept with its descriptor.
// That of a block at its very beginning, as each huge block is, lies in the descriptor and needs
// none. Any thread, no lock.

#ifndef HAKMEM_LIVE_H_
#define HAKMEM_LIVE_H_

#include "hakmem/base/base.h"

// Says that a live block begins at `block`, a multiple of 16 in a SuperSlab. False: no memory; it
// never is where a block began before, or where `block` is the SuperSlab's first.
hak_nodiscard bool hak_live_add(const void* block);

// Takes it out of the live ones. False: none begins there.
hak_nodiscard bool hak_live_take(const void* block);

// Any address.
bool hak_live_is(const void* address);

#endif  // HAKMEM_LIVE_H_
